# SPDX-License-Identifier: Apache-2.0
"""Read the whole corpus and say how much was found.

python -m tests.reports.corpus              the figures
python -m tests.reports.corpus --write DIR  and the reports, with the truth beside each as JSON
"""

import argparse
import json
from pathlib import Path
from typing import Any

from cds_service.errors import RequestError
from cds_service.intake.marker_lookup import MarkerLookup
from cds_service.reports.pdf.reading import read_pdf
from cds_service.reports.read import as_json
from tests.reports.corpus.reports import lookups, reports
from tests.reports.corpus.scoring import Score


def _read(pdf: bytes, known: tuple[MarkerLookup, ...]) -> dict[str, Any]:
    try:
        return as_json(read_pdf(pdf), known)
    except RequestError as error:
        print(f"refused {error}")
        return {}


def main() -> None:
    """Print the figures; with --write, the reports and the truth beside each as files."""
    parser = argparse.ArgumentParser(description="Read the whole corpus.")
    parser.add_argument("--write", type=Path, metavar="DIR", help="write the reports here")
    folder = parser.parse_args().write
    known = lookups()
    total = Score()
    by_layout: dict[str, Score] = {}
    for report in reports():
        if folder is not None:
            folder.mkdir(parents=True, exist_ok=True)
            (folder / f"{report.name}.pdf").write_bytes(report.pdf)
            truth = json.dumps(report.truth, indent=1, ensure_ascii=False)
            (folder / f"{report.name}.json").write_text(truth + "\n", encoding="utf-8")
        read = _read(report.pdf, known)
        for score in (total, by_layout.setdefault(report.layout, Score())):
            score.add(report.name, report.truth, read)
    for layout, score in by_layout.items():
        print(f"{layout:16} {score.found:5} of {score.rows:5} rows, {len(score.wrong)} wrong")
    for line in (*total.wrong, *total.missed[:20]):
        print(("wrong  " if line in total.wrong else "missed ") + line)
    print(
        f"found {total.found} of {total.rows} rows ({total.share:.1f} %), {len(total.wrong)} wrong"
    )


if __name__ == "__main__":
    main()
