# SPDX-License-Identifier: Apache-2.0
"""Bytes -> HL7 v2 messages, out of a file, a batch or a frame of MLLP."""

import logging
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Final

import hl7

from cds_service.errors import PayloadTooLarge, RequestError

# What it cannot decode it would log with the value.
logging.getLogger(hl7.util.__file__).disabled = True

MAX_SEGMENTS: Final = 100_000
_FRAME = re.compile(rb"[\x0b\x1c]")  # around a message in MLLP
_BLANK = b" \t\r\n\x0b\x1c"
_BOM = b"\xef\xbb\xbf"
_BEGINS = re.compile(rb"(?:MSH|FHS|BHS)[^\w\s]")
_AROUND = frozenset(("FHS", "BHS", "BTS", "FTS"))
# Blanks and other marks before a segment: if they hid a PID, its results would be another's.
_BEFORE = re.compile(r"\A\W+(?=\w)")
_LINE_END = re.compile(r"\r\n|\r|\n")
# Table 0211 and how senders write it.
_CHARSETS: Final = {
    "UNICODE UTF-8": "utf-8",
    "UTF-8": "utf-8",
    "UTF8": "utf-8",
    "UNICODE": "utf-8",
    "ASCII": "ascii",
    **{f"8859/{n}": f"iso8859-{n}" for n in (*range(1, 10), 15)},
}
# Highlighting means nothing here.
_DROPPED: Final = {"H": "", "N": ""}


def is_hl7v2(data: bytes) -> bool:
    """Whether a file begins as a message of HL7 v2, or a batch of them, does."""
    return _BEGINS.match(data.removeprefix(_BOM).lstrip(_BLANK)) is not None


@dataclass(frozen=True, slots=True)
class Segment:
    """A segment: fields by their number in the standard, texts without escapes."""

    name: str
    _fields: Sequence[Any]
    _message: hl7.Message

    @property
    def component_separator(self) -> str:
        """What stands between the components of a field in this message."""
        return str(self._message.separators[3])

    def text(self, field: int) -> str:
        """A field whole, with what is in its parts."""
        return self._unescaped(str(self._fields[field])) if field < len(self._fields) else ""

    def repetitions(self, field: int) -> list[tuple[str, ...]]:
        """The components of each repetition of a field that is not empty."""
        if field >= len(self._fields) or not str(self._fields[field]):
            return []
        return [self._components(repetition) for repetition in self._fields[field]]

    def component(self, field: int, number: int) -> str:
        """A component of the first repetition of a field, empty if it is not there."""
        first = next(iter(self.repetitions(field)), ())
        return first[number - 1].strip() if number <= len(first) else ""

    def _components(self, repetition: Any) -> tuple[str, ...]:
        parts = [repetition] if isinstance(repetition, str) else list(repetition)
        return tuple(self._unescaped(str(part)) for part in parts)

    def _unescaped(self, text: str) -> str:
        try:
            return str(self._message.unescape(text, _DROPPED)).replace("\r", "\n")
        except (ValueError, TypeError):  # a sequence that is none
            return text


def read_messages(data: bytes) -> tuple[tuple[Segment, ...], ...]:
    """The segments of each message, the header first.

    Raises `RequestError` if there is no message, `PayloadTooLarge` for more than `MAX_SEGMENTS`.
    """
    text = _decoded(_FRAME.sub(b"\r", data.removeprefix(_BOM)))
    lines = [line for line in _LINE_END.split(text) if line.strip()]
    if len(lines) > MAX_SEGMENTS:
        raise PayloadTooLarge(f"Expected at most {MAX_SEGMENTS:,} segments.")
    return tuple(_message(lines) for lines in _split(lines))


def _split(lines: Sequence[str]) -> Iterator[list[str]]:
    message: list[str] = []
    for number, line in enumerate(lines, start=1):
        begins = _BEFORE.sub("", line)
        if begins[:3] in _AROUND:
            continue
        if begins.startswith("MSH"):
            if message:
                yield message
            message = [begins]
        elif not message:
            raise RequestError("Expected the segment MSH before any other.", f"segment {number}")
        else:
            message.append(begins)
    if not message:
        raise RequestError("Expected a message of HL7 v2, which begins with the segment MSH.")
    yield message


def _message(lines: Sequence[str]) -> tuple[Segment, ...]:
    try:
        message = hl7.parse("\r".join(lines))
    except (hl7.HL7Exception, ValueError, IndexError, AssertionError):  # it asserts MSH-2
        raise RequestError("Expected a segment MSH with the separators of its message.") from None
    return tuple(Segment(str(fields[0])[:3].upper(), fields, message) for fields in message)


def _decoded(data: bytes) -> str:
    """The text of the messages; where the character set is not named, UTF-8 or else Latin 1."""
    header = re.search(rb"MSH(.)[^\r\n]*", data)
    fields = header[0].split(header[1]) if header else []
    sent = fields[17].split(b"~")[0].strip() if len(fields) > 17 else b""
    named = sent.decode("ascii", "replace").upper()
    for charset in (_CHARSETS.get(named.removeprefix("ISO ").removeprefix("ISO-")), "utf-8"):
        if charset is None:
            continue
        try:
            return data.decode(charset)
        except UnicodeDecodeError:
            continue
    return data.decode("cp1252", "replace")
