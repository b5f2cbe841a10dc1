# SPDX-License-Identifier: Apache-2.0
"""A message -> items of the inbox, one for each patient, and the answer to its sender.

What is taken is on the disk before the answer is made. What a message says is read here already, so
that its sender hears at once what cannot be read; it is written to its FHIR server by a worker.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from hashlib import sha256
from typing import Final, Literal, TypeAlias
from zoneinfo import ZoneInfo

from sqlalchemy import Connection, select

from cds_service.clock import Clock
from cds_service.errors import CdsServiceError
from cds_service.fhir_client.servers import MessageSettings, Server, Servers
from cds_service.mllp.acknowledgment import (
    EVENT,
    FIELD,
    INTERNAL,
    KEY,
    PROCESSING,
    REPEATED,
    SEGMENTS,
    TYPE,
    VERSION,
    AnswerReason,
    Code,
    MessageRefused,
    Refusal,
    acknowledgment,
)
from cds_service.mllp.header import MessageHeader, lines_of, read_header
from cds_service.reports.hl7v2.results import read_results
from cds_service.store.store import Transactions, insert_into
from cds_service.store.tables import inbox_items
from cds_service.subscriptions.inbox_insert import compressed
from cds_service.subscriptions.message_observations import MessageResult, results_of_message
from cds_service.subscriptions.message_order import UnclearResult
from cds_service.subscriptions.message_patient import patient_identifiers
from cds_service.subscriptions.message_results import written_before
from cds_service.subscriptions.message_states import check_clear
from cds_service.subscriptions.queue import enqueue_all
from cds_service.subscriptions.work import MESSAGE, OF_MESSAGES

Outcome: TypeAlias = Literal["stored", "repeated", "control-id-reused"] | Refusal

_AROUND: Final = (b"FHS", b"BHS")
# In one message. To read more would take seconds, in which others wait.
_MOST_PATIENTS: Final = 100
_MOST_IDENTIFIERS: Final = 20  # of a patient; each is searched for
_MOST_SEGMENTS: Final = 5_000
_MOST_PARTS: Final = 100_000


@dataclass(frozen=True, slots=True)
class MessageAnswer:
    """What is sent back (nothing, if the sender wants nothing), and what became of the message."""

    message: bytes
    outcome: Outcome


@dataclass(frozen=True, slots=True)
class _Part:
    """What a message says of one patient: a message of its own, and by what its item waits."""

    message: bytes
    key: str
    results: tuple[MessageResult, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class MessageReceiver:
    """Takes messages for the servers that list their senders."""

    servers: Servers
    database: Transactions
    clock: Clock
    zone: ZoneInfo

    def may_connect(self, address: str) -> bool:
        """Whether any sender may send from this address."""
        return any(
            sender.is_at(address)
            for server in self.servers.listed.values()
            if server.messages is not None
            for sender in server.messages.senders
        )

    def receive(
        self, message: bytes, address: str, certificate: bytes | None = None
    ) -> MessageAnswer:
        """Store a message and say so, or why not; raises `StoreError` if it could not be stored.

        `certificate` is that of the sender (DER), if it has shown one.
        """
        now = self.clock()
        lines = lines_of(message)
        header = read_header(lines)
        try:
            if header is None:
                raise refused("AE", "no-header", SEGMENTS, "Expected the segment MSH first.")
            server, settings = self._checked(header, lines, address, certificate)
            parts = tuple(_parts(lines, settings, self.zone))
            outcome = self._stored(server, header, message, parts, now)
        except MessageRefused as error:
            reason = error.reason
            return MessageAnswer(
                acknowledgment(header, reason, now), reason.refusal or "unreadable"
            )
        return MessageAnswer(acknowledgment(header, _REMARKS.get(outcome), now), outcome)

    def too_long(self, head: bytes) -> MessageAnswer:
        """The answer to a message that is longer than is read, of which this is the beginning."""
        text = "Expected a shorter message."
        reason = refused("AR", "too-long", INTERNAL, text).reason
        return MessageAnswer(
            acknowledgment(read_header(lines_of(head)), reason, self.clock()), "too-long"
        )

    def _checked(
        self,
        header: MessageHeader,
        lines: Sequence[bytes],
        address: str,
        certificate: bytes | None,
    ) -> tuple[Server, MessageSettings]:
        """The server that the results of the message are for, and what it says of messages."""
        _check_type(header)
        server, settings = self._server(header, address, certificate)
        if header.component(11) != settings.processing:
            text = "Expected the processing id that this server takes."
            raise refused("AR", "wrong-processing", PROCESSING, text, "MSH^1^11")
        if not header.field(10).decode("latin-1").isprintable() or not header.field(10):
            text = "Expected a message control id, of signs that can be printed."
            raise refused("AE", "no-control-id", FIELD, text, "MSH^1^10")
        if len(lines) > _MOST_SEGMENTS or _count(lines, header.marks) > _MOST_PARTS:
            text = "Expected fewer segments, fields and components."
            raise refused("AR", "too-long", INTERNAL, text)
        starts = [line[:3].upper() for line in lines]
        if starts.count(b"MSH") > 1 or any(name in starts for name in _AROUND):
            raise refused("AE", "several-messages", SEGMENTS, "Expected one message in a frame.")
        if not all(_is_segment(line, header.separator) for line in lines):
            text = "Expected the name of a segment after each end of a line."
            raise refused("AE", "unreadable", SEGMENTS, text)
        return server, settings

    def _server(
        self, header: MessageHeader, address: str, certificate: bytes | None
    ) -> tuple[Server, MessageSettings]:
        for server in self.servers.listed.values():
            settings = server.messages
            for sender in () if settings is None else settings.senders:
                is_named = (sender.application, sender.facility) == _sender(header)
                is_there = is_named and sender.is_at(address) and sender.has(certificate)
                if settings is not None and is_there:
                    return server, settings
        text = "This sender may not send from its address, with its certificate, or at all."
        raise refused("AR", "unknown-sender", KEY, text, "MSH^1^3")

    def _stored(
        self,
        server: Server,
        header: MessageHeader,
        message: bytes,
        parts: Sequence[_Part],
        now: datetime,
    ) -> Outcome:
        """Keep the parts of a message, in one transaction; a repeat of it changes nothing."""
        digest = sha256(message).hexdigest()
        name = "|".join((*_sender(header), header.field(10).decode("latin-1")))
        rows = [
            {
                "server": server.base,
                "type": MESSAGE,
                "resource_id": f"{name}#{n}",
                "version": digest,
                "updated": None,
                "gone": False,
                "subscription": "",
                "received": now,
                "body": compressed(part.message),
                "patient": part.key,
                "state": "waiting",
                "attempts": 0,
                "problem": "",
            }
            for n, part in enumerate(parts, start=1)
        ]
        with self.database.writing() as connection:
            known = _versions(connection, server, f"{name}#1")
            if digest in known:
                return "repeated"
            _check_clear(connection, server, parts, now)
            added = (
                insert_into(inbox_items, connection)
                .on_conflict_do_nothing()
                .returning(inbox_items.c.id)
            )
            if not connection.execute(added, rows).all():  # it was stored meanwhile
                return "repeated"
            asked = sorted({part.key for part in parts})
            enqueue_all(connection, [(server.base, key, now) for key in asked])
            return "control-id-reused" if known else "stored"


_REMARKS: Final = {
    "control-id-reused": AnswerReason(
        code="AA",
        refusal=None,
        condition=REPEATED,
        text="Stored. Another message had this control id before.",
        where="MSH^1^10",
    )
}


def refused(
    code: Code, refusal: Refusal, condition: tuple[int, str], text: str, where: str = ""
) -> MessageRefused:
    """The error for a message that is not taken."""
    return MessageRefused(
        AnswerReason(code=code, refusal=refusal, condition=condition, text=text, where=where)
    )


def _check_type(header: MessageHeader) -> None:
    if header.component(9).upper() != "ORU":
        raise refused("AR", "wrong-type", TYPE, "Expected a message ORU^R01.", "MSH^1^9")
    if header.component(9, 2).upper() not in {"R01", ""}:
        raise refused("AR", "wrong-type", EVENT, "Expected a message ORU^R01.", "MSH^1^9")
    if not header.component(12).startswith("2."):
        text = "Expected a version 2 of HL7, such as 2.5.1."
        raise refused("AR", "wrong-version", VERSION, text, "MSH^1^12")


def _count(lines: Sequence[bytes], marks: Iterable[bytes]) -> int:
    """How many parts the lines have."""
    different = set(marks)
    return sum(line.count(mark) for line in lines for mark in different)


def _is_segment(line: bytes, separator: bytes) -> bool:
    """Whether a line is a whole segment.

    The rest of a value with a line end in it is none: its segment was cut, and with it a unit, a
    status or a remark. `ADD` continues the segment before it, which is not read.
    """
    name, following = line[:3].upper(), line[3:4]
    return name.isalnum() and name != b"ADD" and following in {b"", separator}


def _sender(header: MessageHeader) -> tuple[str, str]:
    return header.component(3), header.component(4)


def _parts(lines: Sequence[bytes], settings: MessageSettings, zone: ZoneInfo) -> Iterator[_Part]:
    """What the message says of each patient, of whom there is a known identifier."""
    for message in _by_patient(lines):
        try:
            patients = read_results(message).patients
        except CdsServiceError as error:
            raise refused("AE", "unreadable", SEGMENTS, str(error)) from None
        if len(patients) != 1:
            text = "Expected the segment PID before its results."
            raise refused("AE", "unreadable", SEGMENTS, text)
        (about,) = patients
        identifiers = patient_identifiers(about.patient, settings)
        if not 0 < len(identifiers) <= _MOST_IDENTIFIERS:
            text = (
                f"Expected 1 to {_MOST_IDENTIFIERS} identifiers of the patient by known assigning "
                "authorities."
            )
            raise refused("AE", "no-patient-id", KEY, text, "PID^1^3")
        if not all(row.name or row.codes for row in about.rows):
            raise refused("AE", "no-test", FIELD, "Expected the test of each result.", "OBX^1^3")
        key = sha256("|".join(identifiers[0]).encode()).hexdigest()[:40]
        results = results_of_message(
            message, about.rows, subject="", patient=identifiers[0], zone=zone
        )
        yield _Part(message, f"{OF_MESSAGES}{key}", results)


def _check_clear(
    connection: Connection, server: Server, parts: Iterable[_Part], now: datetime
) -> None:
    """Refuse what could be one of several results already; a worker refuses what turns out so."""
    for part in parts:
        try:
            known = written_before(connection, server.base, part.results)
            check_clear(part.results, known, now)
        except UnclearResult as error:
            raise refused("AE", "result-unclear", FIELD, str(error), error.where) from None


def _by_patient(lines: Sequence[bytes]) -> list[bytes]:
    """A message for each patient: the segments before the first PID, and those of their own."""
    places = [n for n, line in enumerate(lines) if line[:3].upper() == b"PID"]
    if len(places) > _MOST_PATIENTS:
        text = f"Expected at most {_MOST_PATIENTS} patients in one message."
        raise refused("AR", "too-long", INTERNAL, text)
    if not places:
        return [b"\r".join(lines)]
    ends = [*places[1:], len(lines)]
    common = lines[: places[0]]
    return [
        b"\r".join([*common, *lines[place:end]]) for place, end in zip(places, ends, strict=True)
    ]


def _versions(connection: Connection, server: Server, name: str) -> set[str]:
    """The digests of the messages that had this name."""
    table = inbox_items.c
    question = select(table.version).where(
        table.server == server.base, table.type == MESSAGE, table.resource_id == name
    )
    return set(connection.execute(question).scalars())
