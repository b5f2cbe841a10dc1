# SPDX-License-Identifier: Apache-2.0
"""Files that the processes of one machine share."""

from pathlib import Path
from typing import NamedTuple


class LocalFile(NamedTuple):
    """A file of this machine; `among_others` says that other users can make its folder first."""

    path: Path
    among_others: bool


def file_identity(file: Path) -> tuple[int, int] | None:
    """What tells the file from another at its place; `None` if there is none."""
    try:
        found = file.stat()
    except OSError:
        return None
    return found.st_dev, found.st_ino
