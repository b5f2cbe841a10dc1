# SPDX-License-Identifier: Apache-2.0
"""The page about a population: one file of HTML that loads nothing."""

from collections.abc import Mapping
from typing import Any

from markupsafe import Markup

from cds_service.cli.screen_table import lost_lines, note_lines
from cds_service.explanation.view import DISCLAIMER
from cds_service.screening.privacy import SMALL_CELL, is_small
from cds_service.screening.report import report_of
from cds_service.service import Knowledge
from cds_service.web.html.rendering import STYLE, document


def report_page(data: Mapping[str, Any], knowledge: Knowledge, *, moment_given: bool) -> str:
    """The page for the counts of a run."""
    return document(
        "population.html",
        {
            "view": report_of(data, knowledge.packs),
            "unread": list(lost_lines(data, _patients)),
            "notes": list(note_lines(data, _patients)),
            "zone": str(knowledge.zone),
            "moment_given": moment_given,
            "disclaimer": DISCLAIMER,
            "style": Markup(STYLE.read_text(encoding="utf-8")),  # noqa: S704 - a file of ours
        },
    )


def _patients(count: int, singular: str, plural: str) -> str:
    """So many patients, or fewer than are shown, and the verb."""
    return (
        f"fewer than {SMALL_CELL} {plural}"
        if is_small(count)
        else f"{count:,} {singular if count == 1 else plural}"
    )
