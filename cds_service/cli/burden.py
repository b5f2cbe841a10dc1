# SPDX-License-Identifier: Apache-2.0
"""`cds-service burden FOLDER --cards OLD NEW`: how many cards two editions show, side by side."""

import json
import sys
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import click
from click import BadParameter

from cds_service.cli.burden_counts import as_json, as_lines, burden_of, lost_of
from cds_service.cli.burden_views import (
    PatientView,
    ShownCard,
    files_of,
    knowledge_of,
    services_of,
    views_of,
)
from cds_service.clock import system_clock
from cds_service.errors import RequestError
from cds_service.knowledge.model.pack import INDICATORS
from cds_service.screening.earlier_views import EarlierViews


@click.command()
@click.argument("folder", type=click.Path(exists=True, file_okay=False, path_type=Path))
@click.option(
    "--cards",
    "sides",
    nargs=2,
    required=True,
    metavar="OLD NEW",
    type=click.Path(exists=True, path_type=Path),
    help="Two cards folders, or files of views answered before: one JSON object a line.",
)
@click.option("--hook", default="patient-view", show_default=True, help="What the views are of.")
@click.option("--at", "when", help="The time of the views, such as 2026-06-15T09:00Z [now].")
@click.option(
    "--again",
    "days",
    type=click.IntRange(0, 3650),
    multiple=True,
    metavar="DAYS",
    help="View each patient again so many days later; may be given more than once.",
)
@click.option("--json", "as_data", is_flag=True, help="JSON: views, old, new, lost.")
def burden(
    folder: Path,
    sides: tuple[Path, Path],
    hook: str,
    when: str | None,
    days: tuple[int, ...],
    as_data: bool,
) -> None:
    """Compare how many cards two editions of the packs show for the same patients.

    FOLDER holds patients in files that `evaluate` reads: FHIR Bundles, NDJSON or hook requests
    (.json, .ndjson). Each patient is one view at one time, and one more for each --again: what was
    shown before may then be quiet. Shown are cards per 100 views by rule and severity, the share of
    views with a card, and the patients that are lost: with a critical or warning card in OLD and
    none in NEW.

    \b
    Examples:
      cds-service burden patients --cards old/cards cards
      cds-service burden patients --cards old/cards cards --at 2026-06-15T09:00Z --json
      cds-service burden patients --cards old/cards cards --hook order-sign
      cds-service burden patients --cards old/cards cards --again 1 --again 7
      cds-service burden patients --cards old-views.jsonl cards

    A file of views has {"patient": "Patient/1", "cards": [{"rule": RULE, "indicator": "info"}]} a
    line, in the order of the patients.

    In the source tree `python -m benchmarks.hospital FOLDER` makes up patients of a hospital, and
    `python -m benchmarks.burden` compares the first edition with the cards of the tree on them.

    Exit codes: 0 compared; 1 a file or a pack cannot be read, there are no patients, or no service
    answers the hook.
    """
    now = _time(when)
    times = [now, *(now + timedelta(days=later) for later in sorted(days))]
    files = files_of(folder)
    if not files:
        raise RequestError(f"There are no patients in {folder}: no .json or .ndjson files.")
    old, new = (_side(side, files, hook, times) for side in sides)
    if [view.patient for view in old] != [view.patient for view in new]:
        raise RequestError("The two sides are not of the same patients.")
    counted = burden_of(old), burden_of(new)
    lost = lost_of(old, new)
    if as_data:
        click.echo(json.dumps(as_json(*counted, lost), indent=2))
    else:
        for line in as_lines(*counted, lost):
            click.echo(line)


def _time(when: str | None) -> datetime:
    if when is None:
        return system_clock()
    try:
        time = datetime.fromisoformat(when)
    except ValueError:
        raise BadParameter("write a time such as 2026-06-15T09:00Z", param_hint="--at") from None
    return time if time.tzinfo is not None else time.replace(tzinfo=UTC)


def _side(
    side: Path, files: Sequence[Path], hook: str, times: Sequence[datetime]
) -> list[PatientView]:
    """The views of one side: answered now, or read from a file of answered ones."""
    if side.is_file():
        return read_views(side)
    knowledge = knowledge_of(side)
    services_of(knowledge, hook)  # before the bar of the progress
    label = f"Views with {side.name}"
    with click.progressbar(files, label=label, file=sys.stderr, show_pos=True) as bar:
        return [
            view for file in bar for view in views_of(file, knowledge, hook, times, EarlierViews)
        ]


def read_views(file: Path) -> list[PatientView]:
    """The views of a file of answered ones; raises `RequestError` for any other."""
    try:
        lines = [json.loads(line) for line in file.read_text(encoding="utf-8").splitlines()]
        return [
            PatientView(str(line["patient"]), tuple(map(_card, line["cards"]))) for line in lines
        ]
    except (ValueError, KeyError, TypeError):
        raise RequestError(f"{file.name} is no file of answered views.") from None


def _card(written: Mapping[str, Any]) -> ShownCard:
    if written["indicator"] not in INDICATORS:
        raise ValueError
    return ShownCard(str(written["rule"]), str(written["indicator"]))
