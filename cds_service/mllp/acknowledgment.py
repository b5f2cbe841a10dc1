# SPDX-License-Identifier: Apache-2.0
"""What a sender is answered: an ACK, with the reason where a message is not taken.

HL7 v2.5.1, 2.9 (original and enhanced acknowledgment) and tables 0008, 0155, 0357 and 0516. No
value of a message is sent back but the names and the control id in its header.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from secrets import token_hex
from typing import Final, Literal, TypeAlias

from cds_service.mllp.header import MessageHeader

Code: TypeAlias = Literal["AA", "AE", "AR"]
Refusal: TypeAlias = Literal[
    "no-header",
    "several-messages",
    "no-control-id",
    "wrong-type",
    "wrong-version",
    "wrong-processing",
    "unknown-sender",
    "unreadable",
    "no-patient-id",
    "no-test",
    "result-unclear",
    "too-long",
]

# Table 0357.
SEGMENTS, FIELD, TYPE, EVENT, PROCESSING, VERSION, KEY, REPEATED, INTERNAL = (
    (100, "Segment sequence error"),
    (101, "Required field missing"),
    (200, "Unsupported message type"),
    (201, "Unsupported event code"),
    (202, "Unsupported processing id"),
    (203, "Unsupported version id"),
    (204, "Unknown key identifier"),
    (205, "Duplicate key identifier"),
    (207, "Application internal error"),
)
# Whether an answer is sent, by MSH-15 or MSH-16 (table 0155) and by whether it is good news.
_SENT: Final[Mapping[bytes, tuple[bool, bool]]] = {
    b"AL": (True, True),
    b"NE": (False, False),
    b"ER": (False, True),
    b"SU": (True, False),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class AnswerReason:
    """Why a message is not taken, or what is odd about one that is; `where` is as in ERR-2."""

    code: Code
    refusal: Refusal | None
    condition: tuple[int, str]
    text: str
    where: str = ""


class MessageRefused(Exception):
    """The message is not taken."""

    def __init__(self, reason: AnswerReason) -> None:
        super().__init__(reason.text)
        self.reason = reason


def acknowledgment(
    header: MessageHeader | None, reason: AnswerReason | None, now: datetime
) -> bytes:
    """The message that answers; empty if the sender wants none."""
    code: str = "AA" if reason is None else reason.code
    if header is None:
        header = MessageHeader((b"MSH", rb"^~\&"), b"|")
    accept, application = header.field(15).upper(), header.field(16).upper()
    is_enhanced = accept in _SENT and accept != b"NE"
    wanted = _SENT.get(accept if is_enhanced else application, (True, True))
    if not wanted[code != "AA"]:
        return b""
    if is_enhanced:
        code = f"C{code[1]}"
    lines = [_msh(header, now), [b"MSA", code.encode(), header.field(10)]]
    if reason is not None:
        lines[1].append(reason.text.encode("ascii", "replace"))
        lines.append(_err(header, reason))
    return b"".join(header.separator.join(line) + b"\r" for line in lines)


def _msh(header: MessageHeader, now: datetime) -> list[bytes]:
    joint = _joint(header)
    event = header.component(9, 2).encode("latin-1")
    kind = joint.join((b"ACK", event, b"ACK")) if event else b"ACK"
    own = [header.field(n) for n in (5, 6, 3, 4)]
    time = now.strftime("%Y%m%d%H%M%S%z").encode()
    identity = token_hex(10).encode()
    found = [b"MSH", header.field(2) or rb"^~\&", *own, time, b"", kind, identity]
    found += [header.field(11) or b"P", header.field(12) or b"2.5.1"]
    if header.field(18):  # in which its names are sent back
        found += [b""] * 5 + [header.field(18)]
    return found


def _err(header: MessageHeader, reason: AnswerReason) -> list[bytes]:
    number, name = reason.condition
    joint = _joint(header)
    condition = joint.join((str(number).encode(), name.encode(), b"HL70357"))
    where = reason.where.encode().replace(b"^", joint)
    severity = b"W" if reason.code == "AA" else b"E"
    text = reason.text.encode("ascii", "replace")
    return [b"ERR", b"", where, condition, severity, b"", b"", b"", text]


def _joint(header: MessageHeader) -> bytes:
    return header.field(2)[:1] or b"^"
