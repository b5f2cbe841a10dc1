# SPDX-License-Identifier: Apache-2.0
"""The header of a message (MSH), read from its bytes: whose it is, and what it wants to be."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

_LINE: Final = re.compile(rb"\r\n|\r|\n")
_BOM: Final = b"\xef\xbb\xbf"
_MOST_SHOWN: Final = 250  # bytes of a field that is sent back; the standard's longest is 250


@dataclass(frozen=True, slots=True)
class MessageHeader:
    """The fields of MSH as they came; what is too long to be one counts as empty."""

    _fields: Sequence[bytes]
    separator: bytes

    def field(self, number: int) -> bytes:
        """MSH-`number`, from 2 on."""
        found = self._fields[number - 1] if number <= len(self._fields) else b""
        return found.strip() if len(found) <= _MOST_SHOWN else b""

    @property
    def marks(self) -> list[bytes]:
        """The bytes that stand between parts of the message, or before escapes."""
        return [self.separator, *(bytes([byte]) for byte in self.field(2)[:5])]

    def component(self, number: int, component: int = 1) -> str:
        """A component of MSH-`number`, for comparison."""
        parts = self.field(number).split(self.field(2)[:1] or b"^")
        return parts[component - 1].decode("latin-1").strip() if component <= len(parts) else ""


def lines_of(message: bytes) -> list[bytes]:
    """The segments of a message, without blanks before them."""
    return [line for part in _LINE.split(message.removeprefix(_BOM)) if (line := part.lstrip())]


def read_header(lines: Sequence[bytes]) -> MessageHeader | None:
    """The header, if the first segment is one with its separators."""
    first = lines[0] if lines else b""
    separator = first[3:4]
    if not first.startswith(b"MSH") or not separator or separator.isalnum() or len(first) < 8:
        return None
    return MessageHeader(first.split(separator), separator)
