# SPDX-License-Identifier: Apache-2.0
"""A file of an export on its way to the disk: unpacked, and whole or not there at all."""

import os
import zlib
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import BinaryIO, Final, Protocol

from msgspec import DecodeError
from msgspec.json import decode

from cds_service.errors import CdsServiceError

PART: Final = ".part"
_GZIP: Final = b"\x1f\x8b"
_MARK: Final = b"\xef\xbb\xbf"  # some servers put it before JSON
_SHOWN: Final = 10_000_000  # bytes between one report and the next
_LONGEST_LINE: Final = 64 * 1024 * 1024


class NotWhole(Exception):
    """What arrived is only a part of a file, or no NDJSON."""


class _Unpacking(Protocol):
    @property
    def eof(self) -> bool: ...
    @property
    def unused_data(self) -> bytes: ...
    def decompress(self, data: bytes, /) -> bytes: ...
    def flush(self) -> bytes: ...


class Download:
    """Writes one attempt at a file beside its place; `keep` checks it and moves it there.

    Whether it is packed is seen by its first bytes: some servers pack files and do not say so, and
    NDJSON begins otherwise.
    """

    def __init__(self, path: Path, arrived: Callable[[int], None] = lambda _: None) -> None:
        self.lines = 0
        self.size = 0
        self._path = path
        self._arrived = arrived
        self._part = path.with_name(f"{path.name}{PART}")
        self._file: BinaryIO | None = None
        self._start = b""
        self._unpacking: _Unpacking | None = None
        self._is_known = False
        self._tail = bytearray()

    def begin(self) -> "Download":
        """Begin anew; what an earlier attempt wrote is gone."""
        self.close()
        self.lines = self.size = 0
        self._start, self._unpacking, self._is_known = b"", None, False
        self._tail.clear()
        opened = os.open(self._part, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        self._file = os.fdopen(opened, "wb")
        return self

    def write(self, piece: bytes) -> None:
        """Take what arrived next."""
        if not self._is_known:
            self._start += piece
            if len(self._start) < len(_MARK):
                return
            piece, self._start, self._is_known = self._start, b"", True
            if piece.startswith(_GZIP):
                self._unpacking = _gzip()
        self._take(self._unpacked(piece) if self._unpacking else piece)

    def keep(self) -> None:
        """Move the file to its place; raises `NotWhole` if it was cut off."""
        if self._start:
            self._take(self._start)
        if self._unpacking is not None and not self._unpacking.eof:
            raise NotWhole
        if self._tail.strip():
            try:
                decode(bytes(self._tail))
            except (DecodeError, RecursionError, UnicodeDecodeError):
                raise NotWhole from None
            self.lines += 1
        if self._file is not None:
            self._file.flush()
            os.fsync(self._file.fileno())
        self.close()
        self._part.replace(self._path)

    def close(self) -> None:
        """Leave the part as it is."""
        if self._file is not None:
            with suppress(OSError):  # it may have no room for what is left of a part
                self._file.close()
            self._file = None

    def _unpacked(self, piece: bytes) -> bytes:
        """What a packed piece holds; several packed parts one after another are one file."""
        found = b""
        try:
            while piece and self._unpacking is not None:
                if self._unpacking.eof:
                    self._unpacking = _gzip()
                found += self._unpacking.decompress(piece)
                piece = self._unpacking.unused_data.lstrip(b"\0")
        except zlib.error:
            raise NotWhole from None
        return found

    def _take(self, data: bytes) -> None:
        if not data or self._file is None:
            return
        start = data.removeprefix(_MARK).lstrip()
        if not self.size and start and not start.startswith(b"{"):
            raise NotWhole
        self._file.write(data)
        if (self.size + len(data)) // _SHOWN > self.size // _SHOWN or not self.size:
            self._arrived(self.size)
        self.size += len(data)
        self.lines += data.count(b"\n")
        end = data.rfind(b"\n")
        if end >= 0:
            self._tail.clear()
        self._tail += data[end + 1 :]
        if len(self._tail) > _LONGEST_LINE:
            raise CdsServiceError("A line of the export is longer than any resource is.")


def resources_in(path: Path) -> int:
    """The lines of a file that are not blank."""
    with path.open("rb") as lines:
        return sum(1 for line in lines if line.strip())


def _gzip() -> _Unpacking:
    return zlib.decompressobj(wbits=31)
