# SPDX-License-Identifier: Apache-2.0
"""Reports of the corpus as scans: what is proposed of them, and what is proposed wrongly.

python -m tests.reports.corpus.scans              the figures, which need Tesseract
python -m tests.reports.corpus.scans --write DIR  and the scans, with the truth beside each as JSON
"""

import argparse
import io
import json
import random
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import pypdfium2
from PIL import Image, ImageFilter

from cds_service.errors import RequestError
from cds_service.intake.marker_lookup import MarkerLookup
from cds_service.reports.pdf.reading import read_pdf
from cds_service.reports.read import as_json
from tests.reports.corpus.languages import LANGUAGES
from tests.reports.corpus.layouts import LAYOUTS
from tests.reports.corpus.patients import Patient, invented, truth_of
from tests.reports.corpus.reports import CorpusReport, lookups
from tests.reports.corpus.scoring import is_same_row

_INCH = 72
_CHANCE = random.Random(7)


def _noisy(page: Image.Image) -> Image.Image:
    """Soft letters, grain, and a speck here and there, as of a bad copier."""
    grain = Image.effect_noise(page.size, 40)
    soft = Image.blend(page.filter(ImageFilter.GaussianBlur(0.8)), grain, 0.15)
    for _ in range(400):
        at = _CHANCE.randrange(soft.width - 2), _CHANCE.randrange(soft.height - 2)
        soft.paste(60, (*at, at[0] + 2, at[1] + 2))
    return soft


def _skewed(page: Image.Image) -> Image.Image:
    return page.rotate(2, Image.Resampling.BICUBIC, fillcolor=255)


CONDITIONS: dict[str, tuple[int, Callable[[Image.Image], Image.Image]]] = {
    "clean": (300, lambda page: page),
    "skewed": (200, _skewed),
    "noise": (200, _noisy),
    "150 dpi": (150, lambda page: page),
}


def scans(
    is_wanted: Callable[[str, str], bool] = lambda _condition, _layout: True,
) -> Iterator[tuple[str, CorpusReport]]:
    """A dozen reports, each in every condition: its name, and the scan as PDF.

    Of what is not wanted none is drawn.
    """
    for number, (key, layout) in enumerate(LAYOUTS.items()):
        for step in (0, 3)[: 2 if number < 2 else 1]:
            language = LANGUAGES[(number + step) % len(LANGUAGES)]
            patient = invented(language, 100 * number, dates=layout.dates)
            _set_flags(patient)
            truth = truth_of(patient, dates=layout.dates, date_only=layout.date_only)
            pdf = layout.write(patient, language)
            for condition, (dpi, worsen) in CONDITIONS.items():
                if not is_wanted(condition, key):
                    continue
                name = f"{key}-{language.code}-{condition}"
                yield condition, CorpusReport(name, key, scanned(pdf, dpi, worsen), truth)


def _set_flags(patient: Patient) -> None:
    """Flags that agree with the value, as those of a laboratory do; the corpus has any."""
    for row in patient.rows:
        number = float(row.truth) if row.truth else None
        row.flag = ""
        if number is not None and row.high and number > float(row.high):
            row.flag = "H"
        elif number is not None and row.low and number < float(row.low):
            row.flag = "L"


def scanned(pdf: bytes, dpi: int, worsen: Callable[[Image.Image], Image.Image]) -> bytes:
    """The pages of a PDF as pictures, as a scanner makes them."""
    pages = [
        worsen(page.render(scale=dpi / _INCH).to_pil().convert("L"))
        for page in pypdfium2.PdfDocument(pdf)
    ]
    held = io.BytesIO()
    save = partial(pages[0].save, held, "PDF", save_all=True, append_images=pages[1:])
    save(resolution=dpi, quality=80)
    return held.getvalue()


@dataclass(slots=True)
class ScanScore:
    """How many rows there are, how many were proposed rightly, and what is wrong."""

    rows: int = 0
    right: int = 0
    refused: int = 0
    wrong: list[str] = field(default_factory=list)
    accepted: list[str] = field(default_factory=list)  # certain, which none may be

    def add(self, name: str, truth: dict[str, Any], read: dict[str, Any] | None) -> None:
        """Count a report; `None` was refused."""
        self.rows += sum(row["value"] is not None for row in truth["rows"])
        self.refused += read is None
        left = list(truth["rows"])
        for row in (read or {}).get("rows", ()):
            if row["certain"]:
                self.accepted.append(f"{name}: {row}")
            if row["marker"] is None or row["proposed"] is None:
                continue
            comparator = row["proposed"].rstrip("0123456789.") or None
            value = row["proposed"].lstrip("<=>")
            proposed = {**_plain(row), "value": value, "comparator": comparator}
            hit = next((row for row in left if is_same_row(_plain(row), proposed)), None)
            if hit is None:
                self.wrong.append(f"{name}: {_brief(row)}")
            else:
                self.right += 1
                left.remove(hit)
        for who, known in ((read or {}).get("patient") or {}).items():
            if known not in {None, truth["patient"][who]}:
                self.wrong.append(f"{name}: {who} of the patient")


def _plain(row: dict[str, Any]) -> dict[str, Any]:
    """A row with its unit in letters: µ and u, and 10^9 and 10*9, are the same."""
    unit = (row["unit"] or "").translate(str.maketrans("µμ*", "uu^"))
    return {**row, "unit": unit}


def _brief(row: dict[str, Any]) -> str:
    keys = ("marker", "text", "proposed", "unit", "low", "high", "flag", "date")
    return ", ".join(f"{key}={row[key]}" for key in keys)


def read_scan(pdf: bytes, known: tuple[MarkerLookup, ...]) -> dict[str, Any] | None:
    """What is read of a scan, `None` if it is refused."""
    try:
        return as_json(read_pdf(pdf), known)
    except RequestError:
        return None


def main() -> None:
    """Print the figures; with --write, the scans and the truth beside each as files."""
    parser = argparse.ArgumentParser(description="Read the scans.")
    parser.add_argument("--write", type=Path, metavar="DIR", help="write the scans here")
    folder = parser.parse_args().write
    known = lookups()
    scores = {condition: ScanScore() for condition in CONDITIONS}
    for condition, report in scans():
        if folder is not None:
            folder.mkdir(parents=True, exist_ok=True)
            (folder / f"{report.name}.pdf").write_bytes(report.pdf)
            truth = json.dumps(report.truth, indent=1, ensure_ascii=False)
            (folder / f"{report.name}.json").write_text(truth + "\n", encoding="utf-8")
        scores[condition].add(report.name, report.truth, read_scan(report.pdf, known))
    for condition, score in scores.items():
        print(
            f"{condition:8} {score.right:4} of {score.rows:4} values proposed rightly, "
            f"{len(score.wrong)} wrongly, {score.refused} scans refused"
        )
    for line in (line for score in scores.values() for line in score.wrong):
        print(f"wrong  {line}")
    accepted = sum(len(score.accepted) for score in scores.values())
    print(f"accepted without a person: {accepted}")


if __name__ == "__main__":
    main()
