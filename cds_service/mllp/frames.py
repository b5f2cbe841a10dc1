# SPDX-License-Identifier: Apache-2.0
"""Bytes of a connection -> messages, by the frames of MLLP.

HL7, "Minimal Lower Layer Protocol", release 1: a message stands between the bytes VT (0B) and FS CR
(1C 0D). Neither byte occurs in a message.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Final, Literal, NamedTuple, TypeAlias

FrameFault: TypeAlias = Literal["garbage", "cut-off", "too-long"]

START: Final = b"\x0b"
END: Final = b"\x1c\r"
_EDGE: Final = re.compile(rb"[\x0b\x1c]")
_BETWEEN: Final = b"\r\n"  # what stands between frames and means nothing
_HEAD: Final = 4096  # bytes of a message that is too long, to name it in the answer


class MllpFrame(NamedTuple):
    """A message; with a fault it is none.

    `garbage`: bytes outside of any frame. `cut-off`: another frame began before this one ended.
    `too-long`: no more of it is read, and nothing that comes after it either.
    """

    message: bytes
    fault: FrameFault | None = None


@dataclass(slots=True)
class FrameDecoder:
    """Takes the bytes as they come. `garbage` counts those outside of frames."""

    most_bytes: int
    garbage: int = field(default=0, init=False)
    is_within: bool = field(default=False, init=False)
    is_over: bool = field(default=False, init=False)
    _held: bytearray = field(default_factory=bytearray, init=False)

    def feed(self, data: bytes) -> Iterator[MllpFrame]:
        """The frames that end within these bytes, in order."""
        while data and not self.is_over:
            if not self.is_within:
                outside, start, data = data.partition(START)
                yield from self._outside(outside)
                self.is_within = bool(start)
                continue
            edge = _EDGE.search(data)
            self._held += data if edge is None else data[: edge.start()]
            data = b"" if edge is None else data[edge.end() :]
            if len(self._held) > self.most_bytes:
                self.is_over = True
                yield MllpFrame(bytes(self._held[:_HEAD]), "too-long")
            elif edge is not None:
                self.is_within = edge[0] == START
                yield MllpFrame(bytes(self._held), "cut-off" if self.is_within else None)
                self._held.clear()

    def _outside(self, data: bytes) -> Iterator[MllpFrame]:
        garbage = len(data) - sum(data.count(byte) for byte in _BETWEEN)
        if garbage:
            self.garbage += garbage
            yield MllpFrame(b"", "garbage")


def framed(message: bytes) -> bytes:
    """The message in its frame."""
    return START + message + END
