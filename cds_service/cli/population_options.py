# SPDX-License-Identifier: Apache-2.0
"""Options of the commands that read a population: ids or hashes of them, and the machine."""

import os
from collections.abc import Callable
from typing import Any, Final, TextIO, TypeVar

import click

from cds_service.screening.privacy import new_key
from cds_service.screening.run import MEMORY_MB

CommandT = TypeVar("CommandT", bound=Callable[..., Any])

_OPTIONS: Final = (
    click.option("--ids", is_flag=True, help="Show ids of patients, not keyed hashes of them."),
    click.option(
        "--key-file",
        type=click.File("r"),
        help="A secret for the hashes, for the same ones in every run [random for each run].",
    ),
    click.option(
        "--workers",
        type=click.IntRange(1, 256),
        default=lambda: os.cpu_count() or 1,
        show_default="processors",
        help="Processes that decide.",
    ),
    click.option(
        "--memory",
        type=click.IntRange(200, 1_000_000),
        default=MEMORY_MB,
        show_default=True,
        metavar="MB",
        help="Memory of the engine; what has no room is written to the disk.",
    ),
)


def population_options(command: CommandT) -> CommandT:
    """Give a command `--ids`, `--key-file`, `--workers` and `--memory`."""
    for option in reversed(_OPTIONS):
        command = option(command)
    return command


def key_of(file: TextIO | None, *, ids: bool) -> str | None:
    """The key of the hashes; none where ids are asked for."""
    if ids:
        if file is not None:
            raise click.UsageError("--key-file goes without --ids")
        return None
    try:
        key = new_key() if file is None else file.read().strip()
    except UnicodeDecodeError:
        raise click.BadParameter("the file is no text", param_hint="--key-file") from None
    if not key:
        raise click.BadParameter("the file is empty", param_hint="--key-file")
    return key
