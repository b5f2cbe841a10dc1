# SPDX-License-Identifier: Apache-2.0
"""The registrations in force: a client can be added or shut out without a restart."""

from collections.abc import Callable
from functools import partial
from pathlib import Path

from cds_service.errors import SettingsError
from cds_service.sourcefile.diagnostics import in_words
from cds_service.sourcefile.watched import WatchedFile
from cds_service.trust.clients import Registrations
from cds_service.trust.read_clients import read_registrations


class Registry(WatchedFile[Registrations]):
    """The clients of a file."""

    def __init__(
        self,
        path: Path,
        *,
        development: bool,
        told: Callable[[Registrations, int], None] | None = None,
    ) -> None:
        """Read the file and watch it, as `WatchedFile` does."""
        super().__init__(path, partial(_registrations, development=development), told)


def _registrations(path: Path, *, development: bool) -> Registrations:
    found, problems = read_registrations(path, development=development)
    if found is None:
        raise SettingsError([f"CDS_CLIENTS: {line}" for line in in_words(problems)])
    return found
