# SPDX-License-Identifier: Apache-2.0
"""The registrations that count now: clients can be added and removed without a restart."""

from collections.abc import Callable
from functools import partial
from pathlib import Path

from cds_service.sourcefile.schema import settings_value
from cds_service.sourcefile.watched import WatchedFile
from cds_service.trust.clients import Registrations
from cds_service.trust.clients_file import read_registrations, shows_its_end


class Registry(WatchedFile[Registrations]):
    """The registered clients, read again when their file changes."""

    def __init__(
        self,
        path: Path,
        *,
        development: bool,
        on_reload: Callable[[Registrations, int], None] | None = None,
    ) -> None:
        """Read the file and watch it, as `WatchedFile` does."""
        read = partial(_registrations, development=development)
        super().__init__(path, read, on_reload, is_whole=shows_its_end)


def _registrations(path: Path, *, development: bool) -> Registrations:
    return settings_value("CDS_CLIENTS", *read_registrations(path, development=development))
