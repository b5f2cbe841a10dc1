# SPDX-License-Identifier: Apache-2.0
"""`--as-of`, the same for every command that has it."""

from datetime import datetime, tzinfo

import click

from cds_service.intake.as_of import end_of


def time_of(text: str, zone: tzinfo, option: str = "--as-of") -> datetime:
    """The moment that the option means; refuses what is no day and no instant."""
    try:
        return end_of(text, zone)
    except ValueError:
        raise click.BadParameter(
            "write a day such as 2026-03-05, or an instant such as 2026-03-05T09:00Z",
            param_hint=option,
        ) from None
