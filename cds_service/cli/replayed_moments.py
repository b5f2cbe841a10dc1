# SPDX-License-Identifier: Apache-2.0
"""`--every STEP --from DAY --to DAY`: the moments of a replay."""

from collections.abc import Mapping
from datetime import datetime
from zoneinfo import ZoneInfo

import click

from cds_service.cli.as_of_option import time_of
from cds_service.screening.steps import MOST_STEPS, moments_between, step_of
from cds_service.settings import load_settings


def moments_of(
    every: str | None,
    begin: str | None,
    end: str | None,
    others: Mapping[str, object],
    look_back: bool,
) -> tuple[datetime, ...]:
    """Each moment from the end of the first day to that of the last; none without the options.

    Refuses the `others`, which have no meaning for many moments, and to look back without any.
    """
    if every is None and begin is None and end is None:
        if look_back:
            raise click.UsageError("--look-back goes with --every")
        return ()
    if every is None or begin is None or end is None:
        raise click.UsageError("--every, --from and --to go together")
    for name, value in others.items():
        if value:
            raise click.UsageError(f"{name} goes without --every")
    zone = ZoneInfo(load_settings().site_time_zone)
    try:
        step = step_of(every)
    except ValueError:
        raise click.BadParameter(
            "write a step such as 1d, 7d or 12h", param_hint="--every"
        ) from None
    first, last = time_of(begin, zone, "--from"), time_of(end, zone, "--to")
    if first > last:
        raise click.UsageError(f"--from {begin} is after --to {end}")
    try:
        return moments_between(first, last, step, zone)
    except ValueError:
        raise click.UsageError(
            f"--every {every}: too many steps, at most {MOST_STEPS:,}; take a longer one"
        ) from None
