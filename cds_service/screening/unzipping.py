# SPDX-License-Identifier: Apache-2.0
"""Zipped files that may be cut off or damaged: the engine does not always tell."""

import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import IO, Final

_PIECE: Final = 1 << 16
_GZIP: Final = 31  # the header and the check sum of gzip, for zlib


class _Damaged(Exception):
    pass


def is_whole(path: Path) -> bool:
    """Whether a file can be unzipped to its end, and its check sum is right."""
    try:
        for _ in _pieces(path):
            pass
    except _Damaged:
        return False
    return True


def unzip_rest(path: Path, to: Path) -> bool:
    """Unzip whole lines as far as it goes, and say whether that was all."""
    whole = True
    with to.open("w+b") as out:
        try:
            for piece in _pieces(path):
                out.write(piece)
        except _Damaged:
            whole = False
            _cut_last_line(out)
    return whole


def _pieces(path: Path) -> Iterator[bytes]:
    try:
        with path.open("rb") as data:
            member = zlib.decompressobj(_GZIP)
            while piece := data.read(_PIECE):
                while piece:
                    yield member.decompress(piece)
                    piece = member.unused_data.lstrip(b"\0") if member.eof else b""
                    if member.eof and piece:  # several archives in one file are one text
                        member = zlib.decompressobj(_GZIP)
    except (OSError, zlib.error):
        raise _Damaged from None
    if not member.eof:
        raise _Damaged


def _cut_last_line(out: IO[bytes]) -> None:
    end = out.tell()
    while end:
        begin = max(0, end - _PIECE)
        out.seek(begin)
        place = out.read(end - begin).rfind(b"\n")
        if place >= 0:
            out.truncate(begin + place + 1)
            return
        end = begin
    out.truncate(0)
