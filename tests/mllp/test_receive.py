# SPDX-License-Identifier: Apache-2.0
"""What becomes of a message: stored once, or refused with a reason that names nobody."""

import re
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from ipaddress import ip_network
from zoneinfo import ZoneInfo

import pytest

from cds_service.fhir_client.servers import MessageSender, MessageSettings, Server, Servers
from cds_service.mllp.receive import MessageReceiver
from cds_service.store import Store
from cds_service.store.tables import inbox_items, inbox_queue
from tests.call_counts import with_calls
from tests.mllp.listener_process import SYSTEM, code_of
from tests.reports.messages import HEADER, ORDER, PATIENT, message, obx
from tests.subscriptions.inbox_fixtures import NOW, SERVER, rows

HERE = "127.0.0.1"
SENDER = MessageSender(
    application="LAB", facility="HOSPITAL", networks=(ip_network("127.0.0.0/8"),)
)
SETTINGS = MessageSettings(
    patients={"HOSPITAL": SYSTEM, "2.999.7": "urn:oid:2.999.7"}, senders=(SENDER,)
)
ORU = message(obx("1"))


def joined(*segments: str) -> bytes:
    return "\r".join(segments).encode()


@pytest.fixture
def receiver(store: Store) -> MessageReceiver:
    servers = Servers(listed={SERVER: Server(base=SERVER, anonymous=True, messages=SETTINGS)})
    return MessageReceiver(
        servers=servers, database=store.database, clock=lambda: NOW, zone=ZoneInfo("UTC")
    )


def header(**fields: str) -> str:
    """The usual header with other fields, such as `f11="T"`."""
    parts = HEADER.split("|")
    for name, text in fields.items():
        number = int(name[1:]) - 1
        parts += [""] * (number + 1 - len(parts))
        parts[number] = text
    return "|".join(parts)


def reason_of(answer: bytes) -> tuple[str, str, str]:
    """MSA-1, ERR-3.1 and ERR-8."""
    error = next(line for line in answer.split(b"\r") if line.startswith(b"ERR"))
    parts = error.decode().split("|")
    return code_of(answer), parts[3].partition("^")[0], parts[8]


def test_what_is_stored_is_acknowledged_with_its_own_id(
    receiver: MessageReceiver, store: Store
) -> None:
    answer = receiver.receive(ORU, HERE)

    msh, msa, end = answer.message.split(b"\r")
    assert end == b""
    fields = msh.split(b"|")
    assert fields[:6] == [b"MSH", rb"^~\&", b"EHR", b"HOSPITAL", b"LAB", b"HOSPITAL"]
    assert fields[8] == b"ACK^R01^ACK"
    assert fields[10:12] == [b"P", b"2.5.1"]
    assert msa == b"MSA|AA|1"
    assert answer.outcome == "stored"
    (item,) = rows(store, inbox_items)
    assert (item.state, item.type, item.server) == ("waiting", "hl7-v2", SERVER)
    assert [row.patient for row in rows(store, inbox_queue)] == [item.patient]
    assert "4711" not in item.patient


def test_a_repeat_is_acknowledged_and_not_stored_again(
    receiver: MessageReceiver, store: Store
) -> None:
    answers = [receiver.receive(ORU, HERE) for _ in range(3)]

    assert [code_of(answer.message) for answer in answers] == ["AA"] * 3
    assert [answer.outcome for answer in answers] == ["stored", "repeated", "repeated"]
    assert len(rows(store, inbox_items)) == 1


def test_repeats_at_the_same_time_are_stored_once(receiver: MessageReceiver, store: Store) -> None:
    with ThreadPoolExecutor(8) as pool:
        outcomes = Counter(
            answer.outcome for answer in pool.map(lambda _: receiver.receive(ORU, HERE), range(24))
        )

    assert outcomes == {"stored": 1, "repeated": 23}
    assert len(rows(store, inbox_items)) == 1


def test_a_control_id_of_another_message_is_stored_and_said(
    receiver: MessageReceiver, store: Store
) -> None:
    receiver.receive(ORU, HERE)

    answer = receiver.receive(message(obx("2")), HERE)

    assert reason_of(answer.message)[:2] == ("AA", "205")
    assert answer.outcome == "control-id-reused"
    assert len(rows(store, inbox_items)) == 2


@pytest.mark.parametrize(
    ("sent", "code", "condition"),
    [
        (b"", "AE", "100"),
        (b"hello", "AE", "100"),
        (b"PID|1||4711", "AE", "100"),
        (message(obx(), header=header(f9="ADT^A01")), "AR", "200"),
        (message(obx(), header=header(f9="ORU^R30")), "AR", "201"),
        (message(obx(), header=header(f12="3.0")), "AR", "203"),
        (message(obx(), header=header(f11="T")), "AR", "202"),
        (message(obx(), header=header(f3="OTHER")), "AR", "204"),
        (message(obx(), header=header(f10="")), "AE", "101"),
        (message(obx(), header=header(f10="1\0")), "AE", "101"),
        (message(obx(f3="")), "AE", "101"),
        (message(), "AE", "100"),
        (ORU + ORU, "AE", "100"),
        (b"BHS|^~\\&\r" + ORU, "AE", "100"),
        (message(obx("12\n(repeated)")), "AE", "100"),
        (message(obx("12"), "NTE|1||the sample was\nhemolyzed"), "AE", "100"),
        (message("OBX|1|NM|1742-6^ALT^LN||4", "ADD|1|U/L|||||F"), "AE", "100"),
        (message(obx(), header=HEADER.replace("~", "\\M\\~")), "AE", "100"),
        (joined(HEADER, ORDER, obx()), "AE", "204"),
        (joined(HEADER, ORDER, obx(), PATIENT, obx()), "AE", "100"),
        (joined(HEADER, "PID|1||4711^^^OTHER", ORDER, obx()), "AE", "204"),
    ],
)
def test_what_is_not_taken_is_refused_with_its_reason(
    receiver: MessageReceiver, store: Store, sent: bytes, code: str, condition: str
) -> None:
    answer = receiver.receive(sent, HERE)

    assert reason_of(answer.message)[:2] == (code, condition)
    assert re.fullmatch(r"Expected [^|]+\.|This sender [^|]+\.", reason_of(answer.message)[2])
    assert b"4711" not in answer.message
    assert rows(store, inbox_items) == []


def test_a_sender_has_its_addresses(receiver: MessageReceiver) -> None:
    assert reason_of(receiver.receive(ORU, "10.0.0.1").message)[:2] == ("AR", "204")
    assert receiver.may_connect(HERE)
    assert receiver.may_connect("::ffff:127.0.0.1")
    assert not receiver.may_connect("10.0.0.1")
    assert not receiver.may_connect("::1")


@pytest.mark.parametrize(
    ("accept", "application", "good", "bad"),
    [
        ("AL", "NE", "CA", "CR"),
        ("ER", "NE", "", "CR"),
        ("SU", "", "CA", ""),
        ("NE", "AL", "AA", "AR"),
        ("NE", "NE", "", ""),
        ("", "", "AA", "AR"),
    ],
)
def test_a_sender_says_which_answers_it_wants(
    receiver: MessageReceiver, accept: str, application: str, good: str, bad: str
) -> None:
    def answered(**fields: str) -> str:
        sent = message(obx(), header=header(f15=accept, f16=application, **fields))
        found = receiver.receive(sent, HERE).message
        return code_of(found) if found else ""

    assert (answered(), answered(f11="T")) == (good, bad)


def test_separators_and_charset_of_the_sender_are_kept(receiver: MessageReceiver) -> None:
    odd = (
        "MSH#*~\\&#LAB#HOSPITAL*1*L#EHR#SPITAL M\xfc#20260305##ORU*R01#7#P#2.3######8859/1\r"
        "PID###4711***HOSPITAL\rOBR#1\rOBX#1#NM#1742-6*ALT*LN##1#U/L#####F"
    ).encode("latin-1")

    answer = receiver.receive(odd, HERE)

    assert answer.message.startswith(
        "MSH#*~\\&#EHR#SPITAL M\xfc#LAB#HOSPITAL*1*L#".encode("latin-1")
    )
    assert b"\rMSA#AA#7\r" in answer.message
    assert b"#8859/1\r" in answer.message


def test_each_patient_of_a_message_waits_by_itself(receiver: MessageReceiver, store: Store) -> None:
    other = "PID|2||4712^^^&2.999.7&ISO"
    sent = joined(HEADER, PATIENT, ORDER, obx("1"), other, ORDER, obx("2"))

    assert receiver.receive(sent, HERE).outcome == "stored"
    assert receiver.receive(sent, HERE).outcome == "repeated"

    first, second = rows(store, inbox_items)
    assert first.patient != second.patient
    assert len(rows(store, inbox_queue)) == 2


@pytest.mark.parametrize("before", [" ", "\t", "\n ", "\N{NO-BREAK SPACE}", "\0"])
def test_a_patient_behind_a_blank_is_not_the_one_before(
    receiver: MessageReceiver, store: Store, before: str
) -> None:
    other = f"{before}PID|2||4712^^^HOSPITAL"
    sent = joined(HEADER, PATIENT, ORDER, obx("1"), other, ORDER, obx("2"))

    receiver.receive(sent, HERE)

    found = rows(store, inbox_items)
    assert len({item.patient for item in found}) == len(found) != 1


@pytest.mark.parametrize(
    "time",
    ["00010101000000+1400", "99991231235959-1200", "00000101"]
    + ["20260305100000+9999", "20260305100000+2400", "202603051000+0160"],
)
def test_times_of_no_year_or_zone_that_there_is_are_none(
    receiver: MessageReceiver, time: str
) -> None:
    for count in range(2):
        sent = message(obx(f14=time), header=header(f7=time, f10=str(count)))
        assert receiver.receive(sent, HERE).outcome == "stored"


def test_too_many_patients_are_refused(receiver: MessageReceiver) -> None:
    sent = message(obx(), *(f"PID|1||{n}^^^HOSPITAL\r{obx()}" for n in range(100)))

    assert reason_of(receiver.receive(sent, HERE).message)[0] == "AR"


@pytest.mark.parametrize(
    "sent",
    [
        message(*[obx()] * 20_000),
        message(*["OBX|1"] * 200_000),
        message(obx("^" * 1_000_000)),
        message("OBX|" + "&~^|" * 200_000),
        message(obx("\\" * 500_000)),
    ],
    ids=["results", "segments", "components", "parts", "escapes"],
)
def test_what_would_take_long_to_read_is_refused_at_once(
    receiver: MessageReceiver, sent: bytes
) -> None:
    answer, calls = with_calls(lambda: receiver.receive(sent, HERE))

    assert (reason_of(answer.message)[:2], answer.outcome) == (("AR", "207"), "too-long")
    assert calls < 1_000
