# SPDX-License-Identifier: Apache-2.0
"""Whom a command trusts when it calls a server: `CDS_AUTHORITIES`, and `--ca-file` where it is."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import click

from cds_service.errors import SettingsError
from cds_service.operating_settings import of_authorities
from cds_service.outgoing.authorities import trust_also
from cds_service.settings import load_settings


def trust_authorities(*more: Path) -> None:
    """Trust those of the settings and of these files.

    Settings that have problems are left to the command, which may need none, or name them all.
    """
    try:
        named = load_settings().authorities
    except SettingsError:
        named = None
    trust_also(named, *more)


def ca_file_option(command: Callable[..., Any]) -> Callable[..., Any]:
    """The option `--ca-file` of a command that calls servers; the command does not see it."""
    return click.option(
        "--ca-file",
        type=click.Path(exists=True, dir_okay=False, path_type=Path),
        callback=_trust,
        expose_value=False,
        is_eager=True,
        help="Trust the authorities of this file (PEM) too [default: CDS_AUTHORITIES].",
    )(command)


def _trust(_context: click.Context, _option: click.Parameter, file: Path | None) -> None:
    if file is None:
        return
    try:
        trust_authorities(of_authorities(file))
    except ValueError as error:
        raise click.BadParameter(str(error)) from None
