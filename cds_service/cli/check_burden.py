# SPDX-License-Identifier: Apache-2.0
"""`cds-service check --burden`: the cards of a population against the budget of the site."""

import os
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Final
from zoneinfo import ZoneInfo

import click

from cds_service.cli.as_of_option import time_of
from cds_service.cli.burden_data import DAYS, cards_a_day
from cds_service.clock import system_clock
from cds_service.counting import counted
from cds_service.knowledge.site.file import SiteFile
from cds_service.screening.burden import AskedEdition, BurdenRun
from cds_service.screening.burden_batches import BurdenQuestion
from cds_service.screening.burden_source import find_source
from cds_service.screening.decisions import TRIGGER
from cds_service.screening.openings import period_of
from cds_service.screening.run import MEMORY_MB, Progress, Resources
from cds_service.screening.views import EditionPlace
from cds_service.settings import load_settings
from cds_service.sourcefile.diagnostics import Problem

_FEWER: Final = "switch rules off, change values, or agree on another budget"
_ENCOUNTERS: Final = "give a SOURCE with the encounters of these days, or another --as-of"


def check_asked(site: SiteFile | None, sources: Sequence[Path], moment: str | None) -> None:
    """Refuse what cannot be checked."""
    if moment is not None and not sources:
        raise click.UsageError("--as-of: it goes with --burden")
    if sources and (site is None or site.shape.budget is None):
        raise click.UsageError("--burden: a site file with a budget is needed (--site)")


def check_burden(
    cards: Path, site: SiteFile, sources: Sequence[Path], moment: str | None, notes: list[str]
) -> Iterator[Problem]:
    """Hold the cards that are shown on an average day against the budget, and note the number."""
    budget = site.shape.budget
    if budget is None or not sources:
        return
    zone = ZoneInfo(load_settings().site_time_zone)
    until = system_clock() if moment is None else time_of(moment, zone)
    period = period_of(DAYS, until, zone)
    question = BurdenQuestion(hook=TRIGGER, moments=(), period=period, known=frozenset(), key=None)
    place = EditionPlace(cards=cards, site_file=Path(site.document.file))
    machine = Resources(workers=os.cpu_count() or 1, memory_mb=MEMORY_MB)
    run = BurdenRun(
        find_source(sources), [AskedEdition("now", place)], question, machine, Progress()
    )
    found = run.count()
    mark = site.document.mark(("budget", "cards a day"))
    days = f"from {period.first} to {period.last}"
    if found.openings is None or not found.openings.encounters:
        message = f"cards a day are not known: SOURCE has no Encounter {days}"
        yield Problem("K807", mark, message, _ENCOUNTERS)
        return
    edition = found.tally.editions[0]
    number = cards_a_day(edition, period.days)
    encounters = counted(found.openings.encounters, "encounter")
    words = f"{number:,.1f} cards a day in the {encounters} {days}"
    notes.append(f"burden: {words}; the budget is {budget.cards_a_day:,}")
    refused = edition.openings.refused
    if found.unread or found.openings.unread or found.openings.of_nobody or refused:
        notes.append("burden: not everything could be counted: `burden` names what")
    if number > budget.cards_a_day:
        message = f"{words} are more than the {budget.cards_a_day:,} of the budget"
        yield Problem("K807", mark, message, _FEWER)
