# SPDX-License-Identifier: Apache-2.0
"""`cds-service burden SOURCE`: how many cards a population is shown, and what changes."""

import json
from collections.abc import Mapping, Sequence
from datetime import timedelta
from pathlib import Path
from typing import Any, TextIO
from zoneinfo import ZoneInfo

import click

from cds_service.cli.as_of_option import time_of
from cds_service.cli.burden_data import DAYS, as_json
from cds_service.cli.burden_table import as_lines
from cds_service.cli.population_options import key_of, population_options
from cds_service.cli.screen_progress import progress_shown
from cds_service.cli.screen_source import FilesType, check_outside
from cds_service.clock import system_clock
from cds_service.screening.burden import AskedEdition, BurdenRun
from cds_service.screening.burden_batches import BurdenQuestion
from cds_service.screening.burden_output import CHANGES, changes_written
from cds_service.screening.burden_source import find_source
from cds_service.screening.decisions import TRIGGER
from cds_service.screening.openings import period_of
from cds_service.screening.run import Resources
from cds_service.screening.views import EditionPlace, ViewMoment
from cds_service.settings import load_settings, no_color


@click.command()
@click.argument(
    "sources",
    metavar="SOURCE...",
    nargs=-1,
    required=True,
    type=FilesType(),
)
@click.option(
    "--cards",
    "sides",
    nargs=2,
    metavar="OLD NEW",
    type=click.Path(exists=True, path_type=Path),
    help="Compare two cards folders, or files of views answered before.",
)
@click.option("--hook", default=TRIGGER, show_default=True, help="What the views are of.")
@click.option(
    "--as-of",
    "--at",
    "moment",
    metavar="DAY|INSTANT",
    help="As the end of this day in CDS_SITE_TIME_ZONE, or this instant, knew it [now].",
)
@click.option(
    "--again",
    type=click.IntRange(0, 3650),
    multiple=True,
    metavar="DAYS",
    help="View each patient again so many days later; may be given more than once.",
)
@click.option(
    "--over",
    "days",
    type=click.IntRange(1, 366),
    default=DAYS,
    show_default=True,
    metavar="DAYS",
    help="Count the encounters of so many days up to then.",
)
@click.option(
    "--out",
    "folder",
    type=click.Path(file_okay=False, path_type=Path),
    help=f"With --cards: write every change to {CHANGES} in this folder.",
)
@click.option("--overwrite", is_flag=True, help=f"Replace the {CHANGES} in that folder.")
@population_options
@click.option("--json", "as_data", is_flag=True, help="JSON in the place of the tables.")
def burden(  # noqa: PLR0913, PLR0917 - one for each option
    sources: tuple[Path, ...],
    sides: tuple[Path, Path] | None,
    hook: str,
    moment: str | None,
    again: tuple[int, ...],
    days: int,
    folder: Path | None,
    overwrite: bool,
    ids: bool,
    key_file: TextIO | None,
    workers: int,
    memory: int,
    as_data: bool,
) -> None:
    """Count the cards that a population is shown, and what an edition changes.

    SOURCE is a folder or files as for `screen`, and hook requests (.json), each a patient. Each
    patient is one view, and one more for each --again: what was shown before may then be quiet.
    Where SOURCE has Encounters, a chart is also opened once on each day of an encounter.

    \b
    Examples:
      cds-service burden export
      cds-service burden export --as-of 2026-06-15 --over 7
      cds-service burden export --cards old/cards cards --out changed
      cds-service burden requests --cards old/cards cards --hook order-sign
      cds-service burden requests --cards old-views.jsonl cards --again 1 --again 7

    Counted are cards per 1,000 patients and per 100 encounters by rule, severity, sex, age and
    ward, which cards come together, and what precedence and quiet days hold back; with --cards who
    is shown something else, and why. By sex, age and ward small counts are hidden.

    A file of views has {"patient": "Patient/1", "cards": [{"rule": RULE, "indicator": "info"}]} a
    line, in the order of the patients.

    Exports need the extra `population` (DuckDB). Exit codes: 0 counted; 1 a file or a pack cannot
    be read, or no service answers the hook; 2 wrong use or settings; 3 a worker process ended.
    """
    of_changes = {"--overwrite": overwrite, "--ids": ids, "--key-file": key_file}
    _check_options(sources, sides, folder, of_changes)
    question = _question(hook, moment, again, days, key_of(key_file, ids=ids))
    source = find_source(sources)
    editions = editions_of(sides)
    names = [edition.name for edition in editions]
    machine = Resources(workers=workers, memory_mb=memory)
    with progress_shown() as progress, changes_written(folder, overwrite=overwrite) as changes:
        run = BurdenRun(source, editions, question, machine, progress)
        found = run.count(changes)
    data = as_json(found, names, question, [path.name for path in source.passed_over])
    _print(data, names, as_data=as_data)


def _check_options(
    sources: Sequence[Path], sides: object, folder: Path | None, of_changes: Mapping[str, object]
) -> None:
    """Refuse options that would do nothing, and a folder that would be read as a source."""
    if folder is not None:
        check_outside(folder, sources)
    if of_changes["--overwrite"] and folder is None:
        raise click.UsageError("--overwrite: it goes with --out")
    if sides is None:
        for name, value in {"--out": folder, **of_changes}.items():
            if value:
                raise click.UsageError(f"{name}: it goes with --cards")


def _question(
    hook: str, moment: str | None, again: Sequence[int], days: int, key: str | None
) -> BurdenQuestion:
    zone = ZoneInfo(load_settings().site_time_zone)
    first = system_clock() if moment is None else time_of(moment, zone)
    return BurdenQuestion(
        hook=hook,
        moments=tuple(
            ViewMoment(first + timedelta(days=later), moment is not None)
            for later in (0, *sorted(again))
        ),
        period=period_of(days, first, zone),
        known=frozenset(),
        key=key,
    )


def editions_of(sides: tuple[Path, Path] | None) -> list[AskedEdition]:
    """The editions that are asked, by their names."""
    if sides is None:
        return [AskedEdition("now", EditionPlace())]
    places = (side if side.is_file() else EditionPlace(cards=side) for side in sides)
    return [AskedEdition(name, place) for name, place in zip(("old", "new"), places, strict=True)]


def _print(data: dict[str, Any], names: Sequence[str], *, as_data: bool) -> None:
    if as_data:
        click.echo(json.dumps(data, indent=2))
        return
    for line in as_lines(data, names):
        click.echo(line, color=False if no_color() else None)
