# SPDX-License-Identifier: Apache-2.0
"""The reports of the corpus, made anew each time and always the same."""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from typing import Any

from cds_service.intake.marker_lookup import MarkerLookup
from cds_service.service import load_knowledge, lookups_of
from cds_service.settings import load_settings
from tests.reports.corpus.languages import LANGUAGES
from tests.reports.corpus.layouts import LAYOUTS
from tests.reports.corpus.patients import invented, truth_of

SEEDS = 1


@dataclass(frozen=True, slots=True)
class CorpusReport:
    """A report, its layout, and what a reader has to find in it."""

    name: str
    layout: str
    pdf: bytes
    truth: dict[str, Any]


def reports(seeds: int = SEEDS) -> Iterator[CorpusReport]:
    """Every layout in every language."""
    for number, (key, layout) in enumerate(LAYOUTS.items()):
        for language in LANGUAGES:
            for seed in range(seeds):
                patient = invented(language, 100 * number + seed, dates=layout.dates)
                truth = truth_of(patient, dates=layout.dates, date_only=layout.date_only)
                name = f"{key}-{language.code}-{seed}"
                yield CorpusReport(name, key, layout.write(patient, language), truth)


@cache
def lookups() -> tuple[MarkerLookup, ...]:
    """What finds the markers of the project's own pack."""
    return lookups_of(load_knowledge(load_settings()))
