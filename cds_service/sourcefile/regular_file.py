# SPDX-License-Identifier: Apache-2.0
"""The bytes of a regular file, and no more of them than are wanted.

A pipe or a device could keep the service waiting, or never end. Links are followed: secrets that
are mounted into a container are links.
"""

import os
from dataclasses import dataclass
from pathlib import Path
from stat import S_IMODE, S_ISREG
from typing import Final

_DO_NOT_WAIT: Final = getattr(os, "O_NONBLOCK", 0)  # or opening a pipe waits for who writes to it


@dataclass(frozen=True, slots=True, kw_only=True)
class RegularFile:
    """The content of a file, never shown, and its rights."""

    content: bytes
    mode: int


def read_regular_file(path: Path, most_bytes: int) -> RegularFile:
    """The file, with at most one byte more than `most_bytes`: then it is too long.

    Raises `OSError`, whose `strerror` says why it cannot be read.
    """
    with os.fdopen(os.open(path, os.O_RDONLY | _DO_NOT_WAIT), "rb") as file:
        mode = os.fstat(file.fileno()).st_mode
        if not S_ISREG(mode):
            raise OSError(0, "is no regular file")
        return RegularFile(content=file.read(most_bytes + 1), mode=S_IMODE(mode))
