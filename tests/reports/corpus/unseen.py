# SPDX-License-Identifier: Apache-2.0
"""Read the layouts of portals and laboratories, and say how much was found.

python -m tests.reports.corpus.unseen              the figures
python -m tests.reports.corpus.unseen --write DIR  and the reports, with the truth beside each
"""

import argparse
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from cds_service.errors import RequestError
from cds_service.intake.marker_lookup import MarkerLookup
from cds_service.reports.pdf.reading import read_pdf
from cds_service.reports.read import as_json
from tests.reports.corpus.patients import invented, truth_of
from tests.reports.corpus.portals import PORTALS, PRINTED_LANGUAGES
from tests.reports.corpus.printouts import PRINTOUTS
from tests.reports.corpus.reports import CorpusReport, lookups
from tests.reports.corpus.scoring import Score
from tests.web.browsing import chromium

_SEED = 7000


def printed() -> Iterator[CorpusReport]:
    """Every layout in every language."""
    with chromium() as browser:
        page = browser.new_page()
        for number, (key, portal) in enumerate(PORTALS.items()):
            for language in PRINTED_LANGUAGES:
                patient = invented(language, _SEED + number, dates=portal.dates)
                truth = truth_of(patient, dates=portal.dates, date_only=portal.date_only)
                page.set_content(portal.page(patient, language))
                pdf = page.pdf(format="A4", print_background=True)
                yield CorpusReport(f"{key}-{language.code}", key, pdf, truth)
    for number, (key, write) in enumerate(PRINTOUTS.items()):
        for language in PRINTED_LANGUAGES:
            patient = invented(language, _SEED + 100 + number)
            truth = truth_of(patient, dates=1, date_only=True)
            yield CorpusReport(f"{key}-{language.code}", key, write(patient, language), truth)


def read(pdf: bytes, known: tuple[MarkerLookup, ...]) -> dict[str, Any]:
    """What is read; the reason if the report is refused."""
    try:
        return as_json(read_pdf(pdf), known)
    except RequestError as error:
        return {"refused": str(error)}


def main() -> None:
    """Print the figures; with --write, the reports and the truth beside each as files."""
    parser = argparse.ArgumentParser(description="Read the layouts of portals and laboratories.")
    parser.add_argument("--write", type=Path, metavar="DIR", help="write the reports here")
    parser.add_argument("--missed", action="store_true", help="say which rows were not found")
    arguments = parser.parse_args()
    known, total = lookups(), Score()
    by_layout: dict[str, Score] = {}
    for report in printed():
        if arguments.write is not None:
            arguments.write.mkdir(parents=True, exist_ok=True)
            (arguments.write / f"{report.name}.pdf").write_bytes(report.pdf)
            truth = json.dumps(report.truth, indent=1, ensure_ascii=False)
            (arguments.write / f"{report.name}.json").write_text(f"{truth}\n", encoding="utf-8")
        found = read(report.pdf, known)
        for score in (total, by_layout.setdefault(report.layout, Score())):
            score.add(report.name, report.truth, found)
    for layout, score in by_layout.items():
        print(f"{layout:18} {score.found:4} of {score.rows:4} rows, {len(score.wrong)} wrong")
    for line in total.wrong:
        print(f"wrong  {line}")
    for line in total.missed if arguments.missed else ():
        print(f"missed {line}")
    print(
        f"found {total.found} of {total.rows} rows ({total.share:.1f} %), {len(total.wrong)} wrong"
    )


if __name__ == "__main__":
    main()
