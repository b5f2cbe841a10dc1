# SPDX-License-Identifier: Apache-2.0
"""What a worker makes of stored messages on a real FHIR server."""

from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from threading import Event
from typing import Any
from zoneinfo import ZoneInfo

import pytest
import requests
from sqlalchemy import update

from cds_service.fhir_client.servers import ANYWHERE, MessageSettings, Server, Servers
from cds_service.mllp.receive import MessageReceiver
from cds_service.settings import Settings
from cds_service.store import Store, open_store
from cds_service.store.tables import inbox_items, message_results
from cds_service.subscriptions.inbox_list import InboxList
from cds_service.subscriptions.worker import Worker
from cds_service.subscriptions.worker_setup import make_worker, open_tools
from tests.fhir_client.faulty import Faulty, Reply, faulty, searchset
from tests.fhir_server.sekmet import put, running
from tests.mllp.listener_process import SYSTEM, code_of
from tests.mllp.test_receive import HERE, SENDER
from tests.reports.messages import HEADER, obx
from tests.subscriptions.inbox_fixtures import rows
from tests.web.http_fixtures import patient

pytestmark = pytest.mark.server

Json = dict[str, Any]
ROOT = "/fhir"  # as the server of the tests calls its base
NOW = datetime.now(UTC)


class Laboratory:
    """A sender, a worker, and the server that it writes to."""

    def __init__(self, base: str, store: Store) -> None:
        self.base, self.store, self.now = base, store, NOW
        self.worker: Worker = self.made(base)
        self.count = 0

    def made(self, base: str) -> Worker:
        known = {"HOSPITAL": SYSTEM, "OTHER": "urn:oid:2.999.3"}
        messages = MessageSettings(patients=known, senders=(SENDER,))
        server = Server(base=base, policy=ANYWHERE, anonymous=True, messages=messages)
        servers = Servers(listed={base: server})
        self.receiver = MessageReceiver(
            servers=servers,
            database=self.store.database,
            clock=lambda: self.now,
            zone=ZoneInfo("Europe/Vienna"),
        )
        settings = Settings(profile="development", site_time_zone="Europe/Vienna")
        tools = open_tools(settings, self.store, lambda: self.now)
        return make_worker(replace(tools, servers=servers), lambda _: lambda _: None)

    def send(
        self,
        *results: str,
        who: str = "4711",
        order: str = "A1",
        born: str = "",
        drawn: str = "202603050930",
        answer: str = "AA",
        sent: str = "20260305100000",
    ) -> None:
        self.count += 1
        header = HEADER.replace("|1|P|", f"|{self.count}|P|").replace(
            "|20260305100000|", f"|{sent}|"
        )
        named = f"PID|1||{who}^^^HOSPITAL^MR||Muster^Anna||{born}"
        asked = f"OBR|1||{order}|24325-3^Hepatic panel^LN|||{drawn}"
        payload = "\r".join([header, named, asked, *results]).encode()
        assert code_of(self.receiver.receive(payload, HERE).message) == answer

    def work(self) -> None:
        self.worker.run(Event(), until_empty=True)

    def later(self, **time: float) -> None:
        self.now += timedelta(**time)
        self.work()

    def stored(self, identity: str = "4711") -> list[Json]:
        found = requests.get(f"{self.base}/Observation?patient=p{identity}", timeout=20).json()
        return [entry["resource"] for entry in found.get("entry", [])]

    def states(self) -> list[tuple[str, str]]:
        return [(row.state, row.problem) for row in rows(self.store, inbox_items)]


@pytest.fixture(scope="module")
def server() -> Iterator[str]:
    with running() as base:
        yield base


@pytest.fixture
def laboratory(server: str) -> Iterator[Laboratory]:
    """One for a server that has two patients without results."""
    store = open_store("sqlite://")
    for kind in ("Observation", "Patient"):
        left = requests.get(f"{server}/{kind}?_count=1000", timeout=20).json().get("entry", [])
        for entry in left:
            identity = entry["resource"]["id"]
            requests.delete(f"{server}/{kind}/{identity}", timeout=20).raise_for_status()
    people = [
        patient(id=f"p{n}") | {"identifier": [{"system": SYSTEM, "value": n}]}
        for n in ("4711", "4712")
    ]
    put(server, people)
    yield Laboratory(server, store)
    store.close()


def values(found: list[Json]) -> list[tuple[Any, str]]:
    return sorted(
        (resource.get("valueQuantity", {}).get("value"), resource["status"]) for resource in found
    )


def test_results_become_observations_that_are_valid(laboratory: Laboratory) -> None:
    laboratory.send(obx("1.0", f7="7-40", f8="L"), obx("<5", kind="ST", f3="1920-8^AST^LN"))
    laboratory.work()

    assert laboratory.states() == [("done", "")]
    alt, ast = sorted(
        laboratory.stored(), key=lambda resource: str(resource["code"]["coding"][0]["code"])
    )
    assert alt["subject"] == {"reference": "Patient/p4711"}
    assert alt["effectiveDateTime"] == "2026-03-05T09:30:00+01:00"
    assert alt["category"][0]["coding"][0]["code"] == "laboratory"
    assert alt["referenceRange"] == [{"text": "7-40"}]
    assert (ast["valueQuantity"]["comparator"], ast["valueQuantity"]["value"]) == ("<", 5)


def test_what_is_sent_again_corrected_or_taken_back_changes_the_one_that_is_there(
    laboratory: Laboratory,
) -> None:
    for result, expected in (
        (obx("1", f11="P"), (1, "preliminary")),
        (obx("1"), (1, "final")),
        (obx("1"), (1, "final")),
        (obx("30", f11="C"), (30, "corrected")),
        (obx("30", f11="W"), (30, "entered-in-error")),
    ):
        laboratory.send(result)
        laboratory.work()
        assert values(laboratory.stored()) == [expected]
    laboratory.send(obx("2"), order="A2")  # of another order
    laboratory.work()
    assert values(laboratory.stored()) == [(2, "final"), (30, "entered-in-error")]


def test_without_an_order_the_time_tells_results_apart(laboratory: Laboratory) -> None:
    laboratory.send(obx("1"), order="")
    laboratory.send(obx("2", f11="C"), order="")
    laboratory.send(obx("3", f14="202603060800"), order="")
    laboratory.work()

    assert values(laboratory.stored()) == [(2, "corrected"), (3, "final")]


def test_the_same_test_twice_in_one_order_is_two_results(laboratory: Laboratory) -> None:
    laboratory.send(obx("1"), obx("2"), obx("3", f4="b"))
    laboratory.send(obx("1"), obx("2"), obx("4", f4="b", f11="C"))
    laboratory.work()

    assert values(laboratory.stored()) == [(1, "final"), (2, "final"), (4, "corrected")]


def test_a_patient_who_is_not_there_yet_is_waited_for_an_hour(laboratory: Laboratory) -> None:
    laboratory.send(obx("1"), who="4713")
    laboratory.send(obx("2"), who="4712")
    laboratory.work()
    assert laboratory.states() == [("waiting", "patient-unknown"), ("done", "")]

    for _ in range(8):
        laboratory.later(minutes=20)
    assert laboratory.states()[0] == ("dead", "patient-unknown")

    born = patient(id="p4713") | {"identifier": [{"system": SYSTEM, "value": "4713"}]}
    put(laboratory.base, [born])
    assert InboxList(laboratory.store.database).retry(None, laboratory.now) == 1
    laboratory.work()
    assert laboratory.states() == [("done", ""), ("done", "")]
    assert values(laboratory.stored("4713")) == [(1, "final")]


def test_a_patient_born_on_another_day_gets_nothing(laboratory: Laboratory) -> None:
    laboratory.send(obx("1"), born="19010101")
    laboratory.work()
    for _ in range(8):
        laboratory.later(hours=1)

    assert laboratory.states() == [("dead", "patient-differs")]
    assert laboratory.stored() == []


def test_an_older_message_that_is_tried_again_changes_nothing(laboratory: Laboratory) -> None:
    laboratory.send(obx("1"), obx("9", f3="1920-8^AST^LN"), born="19010101")
    laboratory.work()
    for _ in range(8):
        laboratory.later(hours=1)
    laboratory.send(obx("30", f11="C"))
    laboratory.work()
    assert [state for state, _ in laboratory.states()] == ["dead", "done"]

    there = requests.get(f"{laboratory.base}/Patient/p4711", timeout=10).json()
    put(laboratory.base, [there | {"birthDate": "1901-01-01"}])
    InboxList(laboratory.store.database).retry(None, laboratory.now)
    laboratory.work()

    assert [state for state, _ in laboratory.states()] == ["done", "done"]
    assert values(laboratory.stored()) == [(9, "final"), (30, "corrected")]


def test_an_order_number_of_two_patients_is_two_results(laboratory: Laboratory) -> None:
    laboratory.send(obx("1"), who="4711")
    laboratory.send(obx("2"), who="4712")
    laboratory.work()

    assert values(laboratory.stored("4711")) == [(1, "final")]
    assert values(laboratory.stored("4712")) == [(2, "final")]


@pytest.fixture
def elsewhere() -> Iterator[tuple[Faulty, Laboratory]]:
    """A server that answers as a test says, and knows the patient."""
    store = open_store("sqlite://")
    known = patient(id="p4711") | {"identifier": [{"system": SYSTEM, "value": "4711"}]}
    with faulty() as server:
        server.answers["Patient"] = Reply(searchset(known))
        yield server, Laboratory(server.base, store)
    store.close()


@pytest.mark.parametrize(
    ("reply", "state"),
    [
        (Reply(status=503), ("waiting", "busy")),
        (Reply(status=500), ("waiting", "broken")),
        (Reply(status=401), ("waiting", "unauthorized")),
        (Reply(status=412), ("waiting", "conflict")),
        (Reply(status=422), ("dead", "refused")),
        (Reply({"resourceType": "Bundle", "type": "transaction-response"}), ("dead", "not-fhir")),
        (
            Reply({"resourceType": "Bundle", "entry": [{"response": {"status": "400"}}]}),
            ("dead", "refused"),
        ),
        (
            Reply({"resourceType": "Bundle", "entry": [{"response": {"status": "409"}}]}),
            ("waiting", "conflict"),
        ),
    ],
    ids=lambda case: getattr(case, "status", None) and str(case.status),
)
def test_what_the_server_does_not_take_is_kept(
    elsewhere: tuple[Faulty, Laboratory], reply: Reply, state: tuple[str, str]
) -> None:
    server, laboratory = elsewhere
    server.answers[ROOT] = reply
    laboratory.send(obx("1"))
    laboratory.work()
    for _ in range(8):
        laboratory.later(hours=1)

    assert laboratory.states() == [state]

    server.answers[ROOT] = Reply(
        {"resourceType": "Bundle", "entry": [{"response": {"status": "201 Created"}}]}
    )
    InboxList(laboratory.store.database).retry(None, laboratory.now)
    laboratory.later(hours=1)
    assert laboratory.states() == [("done", "")]


def test_a_server_that_ignores_who_was_asked_for_gets_no_result(
    elsewhere: tuple[Faulty, Laboratory],
) -> None:
    server, laboratory = elsewhere
    server.answers["Patient"] = Reply(searchset(patient(id="p1")))
    laboratory.send(obx("1"))
    laboratory.work()

    assert laboratory.states() == [("waiting", "patient-unknown")]
    assert ROOT not in server.paths()


@pytest.mark.parametrize(
    ("status", "problem"),
    [(500, "broken"), (503, "busy"), (403, "forbidden"), (400, "refused")],
)
def test_a_server_that_does_not_find_patients_is_no_patient_who_is_unknown(
    elsewhere: tuple[Faulty, Laboratory], status: int, problem: str
) -> None:
    server, laboratory = elsewhere
    server.answers["Patient"] = Reply(status=status)
    laboratory.send(obx("1"))
    laboratory.work()
    for _ in range(8):
        laboratory.later(hours=1)

    assert laboratory.states() == [("waiting", problem)]


def test_the_order_of_identifiers_does_not_count(laboratory: Laboratory) -> None:
    laboratory.send(obx("1"), who="4711^^^HOSPITAL~77^^^OTHER")
    laboratory.send(obx("30", f11="C"), who="77^^^OTHER~4711^^^HOSPITAL")
    laboratory.work()

    assert values(laboratory.stored()) == [(30, "corrected")]


def test_what_is_final_is_not_made_preliminary(laboratory: Laboratory) -> None:
    for result, expected in (
        (obx("1"), (1, "final")),
        (obx("2", f11="P"), (1, "final")),
        (obx("3", f11="I"), (1, "final")),
        (obx("4", f11="C"), (4, "corrected")),
        (obx("5", f11="P"), (4, "corrected")),
        (obx("4", f11="W"), (4, "entered-in-error")),
        (obx("6", f11="P"), (6, "preliminary")),  # measured anew
    ):
        laboratory.send(result)
        laboratory.work()
        assert values(laboratory.stored()) == [expected]
    assert {state for state, _ in laboratory.states()} == {"done"}


def test_an_order_number_that_is_used_again_is_another_result(laboratory: Laboratory) -> None:
    laboratory.send(obx("1"))
    laboratory.send(obx("2", f11="P"), drawn="202604020800")
    laboratory.send(obx("3"), drawn="202604020800")
    laboratory.work()
    assert values(laboratory.stored()) == [(1, "final"), (3, "final")]

    laboratory.send(obx("30", f11="C"), drawn="202604020800")
    laboratory.send(obx("10", f11="C"), drawn="20260305093010")  # seconds do not count
    laboratory.work()
    assert values(laboratory.stored()) == [(10, "corrected"), (30, "corrected")]


def test_a_time_that_is_corrected_is_no_other_result(laboratory: Laboratory) -> None:
    laboratory.send(obx("1", f11="P"), drawn="20260305")
    laboratory.send(obx("1"), drawn="202603050930")
    laboratory.send(obx("1", f11="C"), drawn="202603051000")
    laboratory.work()

    (resource,) = laboratory.stored()
    assert resource["effectiveDateTime"] == "2026-03-05T10:00:00+01:00"
    assert resource["status"] == "corrected"


@pytest.mark.parametrize("status", ["", "?"])
def test_what_has_no_known_status_does_not_change_what_is_final(
    laboratory: Laboratory, status: str
) -> None:
    laboratory.send(obx("1"))
    laboratory.send(obx("30", f11=status))
    laboratory.work()
    assert values(laboratory.stored()) == [(1, "final")]

    laboratory.send(obx("2", f11=status), order="A2")  # alone it is kept, and counts as not known
    laboratory.send(obx("4", f11="C"))
    laboratory.send(obx("5", f11=status))
    laboratory.work()
    assert values(laboratory.stored()) == [(2, "unknown"), (4, "corrected")]


LATER = "202604020800"


@pytest.mark.parametrize("status", ["C", "A", "D", "W"])
@pytest.mark.parametrize("drawn", [LATER, "20260402"])
def test_what_was_collected_after_a_result_was_known_is_no_correction_of_it(
    laboratory: Laboratory, status: str, drawn: str
) -> None:
    """The order number was used again, and of the second time only the correction came."""
    laboratory.now = datetime(2026, 3, 5, 10, 30, tzinfo=UTC)
    laboratory.send(obx("1"))
    laboratory.work()
    laboratory.now = datetime(2026, 4, 2, 10, 30, tzinfo=UTC)
    laboratory.send(obx("30", f11=status), drawn=drawn, answer="AE")
    laboratory.work()
    assert values(laboratory.stored()) == [(1, "final")]

    laboratory.send(obx("3"), drawn=LATER)  # what did not come
    laboratory.work()
    laboratory.send(obx("30", f11="C"), drawn=LATER)
    laboratory.work()
    assert values(laboratory.stored()) == [(1, "final"), (30, "corrected")]


def test_a_time_is_corrected_however_late_and_where_its_zone_is_not_known(
    laboratory: Laboratory,
) -> None:
    laboratory.now = datetime(2026, 3, 5, 9, 0, tzinfo=UTC)
    laboratory.send(obx("1"), drawn="202603050930")
    laboratory.work()
    # The first is in the zone of another place, and so may be what the others correct.
    for drawn in ("202603051830", "202603042000", "202603050700"):
        laboratory.now += timedelta(days=30)
        laboratory.send(obx("1", f11="C"), drawn=drawn)
        laboratory.work()
        (resource,) = laboratory.stored()
        assert f"{resource['effectiveDateTime']:.13}".translate({45: None, 84: None}) == drawn[:10]


@pytest.mark.parametrize("status", ["C", "A", "D", "W"])
@pytest.mark.parametrize("drawn", ["202603050930", "20260305", "202604012300"])
def test_what_was_collected_on_a_day_before_is_no_correction_of_it(
    laboratory: Laboratory, status: str, drawn: str
) -> None:
    """The order number was used again, and of the first time only the correction comes, late."""
    laboratory.send(obx("3"), drawn=LATER)
    laboratory.work()
    laboratory.send(obx("30", f11=status), drawn=drawn, answer="AE")
    laboratory.work()

    (one,) = laboratory.stored()
    assert (one["status"], one["effectiveDateTime"]) == ("final", "2026-04-02T08:00:00+02:00")


AT_NINE, AT_TEN, AT_ELEVEN = (f"20260305{hour}0000+0100" for hour in ("09", "10", "11"))


@pytest.mark.parametrize("status", ["C", "W"])
@pytest.mark.parametrize(
    ("sent", "answer"),
    [
        (AT_NINE, "AA"),  # is older, and changes nothing
        (AT_TEN, "AE"),
        ("20260305110000", "AE"),  # a time of any zone
        ("", "AE"),
        (AT_ELEVEN, "AE"),  # sent anew, but it says what was corrected
    ],
)
def test_a_final_result_that_is_repeated_undoes_no_correction(
    laboratory: Laboratory, status: str, sent: str, answer: str
) -> None:
    laboratory.send(obx("1"), sent=AT_NINE)
    laboratory.send(obx("30", f11=status), sent=AT_TEN)
    laboratory.work()
    expected = {"C": (30, "corrected"), "W": (30, "entered-in-error")}[status]
    assert values(laboratory.stored()) == [expected]

    laboratory.send(obx("1"), sent=sent, answer=answer)
    laboratory.work()

    assert values(laboratory.stored()) == [expected]


def test_a_final_result_after_a_correction_is_taken_where_it_is_newer(
    laboratory: Laboratory,
) -> None:
    for value, status, sent, expected in (
        ("1", "F", AT_NINE, (1, "final")),
        ("30", "C", AT_TEN, (30, "corrected")),
        ("30", "F", "", (30, "corrected")),  # the same again
        ("30", "F", AT_ELEVEN, (30, "corrected")),
        ("2", "F", "20260305103000+0100", (30, "corrected")),  # older than the last
        ("3", "F", "20260305120000+0100", (3, "final")),
    ):
        laboratory.send(obx(value, f11=status), sent=sent)
        laboratory.work()
        assert values(laboratory.stored()) == [expected]


def test_a_correction_that_comes_after_what_is_newer_is_refused(laboratory: Laboratory) -> None:
    laboratory.send(obx("3"), sent=AT_ELEVEN)
    laboratory.work()
    laboratory.send(obx("2"), sent=AT_NINE)
    laboratory.send(obx("30", f11="C"), sent=AT_TEN, answer="AE")
    laboratory.work()

    assert values(laboratory.stored()) == [(3, "final")]


@pytest.mark.parametrize(
    ("value", "status", "answer"),
    [("1", "F", "AE"), ("2", "F", "AE"), ("1", "P", "AE"), ("2", "C", "AA")],
)
def test_what_was_withdrawn_before_version_0010_comes_back_by_a_correction_alone(
    laboratory: Laboratory, value: str, status: str, answer: str
) -> None:
    """What it was, and when that was sent, was not kept then."""
    laboratory.send(obx("1"))
    laboratory.send(obx("1", f11="W"))
    laboratory.work()
    with laboratory.store.database.writing() as connection:
        connection.execute(update(message_results).values(sent="", content="", replaced=""))

    laboratory.send(obx(value, f11=status), sent=AT_ELEVEN, answer=answer)
    laboratory.work()

    expected = (2, "corrected") if answer == "AA" else (1, "entered-in-error")
    assert values(laboratory.stored()) == [expected]


@pytest.mark.parametrize("status", ["F", "C"])
def test_a_clock_that_was_ahead_and_is_set_right_makes_nothing_older(
    laboratory: Laboratory, status: str
) -> None:
    ahead = (laboratory.now + timedelta(days=400)).strftime("%Y%m%d%H%M%S+0000")
    right = laboratory.now.strftime("%Y%m%d%H%M%S+0000")
    laboratory.send(obx("1"), sent=ahead)
    laboratory.work()
    laboratory.send(obx("2", f11=status), sent=right)
    laboratory.work()

    assert values(laboratory.stored()) == [(2, {"F": "final", "C": "corrected"}[status])]


def test_a_repeat_that_was_acknowledged_before_is_a_dead_letter(laboratory: Laboratory) -> None:
    for value, status in (("1", "F"), ("30", "C"), ("1", "F")):  # none is written before the last
        laboratory.send(obx(value, f11=status))
    laboratory.work()
    for _ in range(8):
        laboratory.later(hours=1)

    assert laboratory.states()[-1] == ("dead", "result-unclear")
    assert values(laboratory.stored()) == [(30, "corrected")]


@pytest.mark.parametrize("status", ["X", "N", "U", "F"])
def test_what_is_final_does_not_vanish_without_a_correction(
    laboratory: Laboratory, status: str
) -> None:
    laboratory.send(obx("1", f11="P"))
    laboratory.send(obx("1"))
    laboratory.work()
    laboratory.send(obx("", f11=status), answer="AE")
    laboratory.work()
    assert values(laboratory.stored()) == [(1, "final")]

    laboratory.send(obx("30", f11="C"))
    laboratory.work()
    laboratory.send(obx("", f11=status), answer="AE", sent="20260306100000+0100")
    laboratory.work()
    assert values(laboratory.stored()) == [(30, "corrected")]


@pytest.mark.parametrize("status", ["X", "N"])
def test_what_is_not_final_yet_can_be_cancelled(laboratory: Laboratory, status: str) -> None:
    laboratory.send(obx("1", f11="P"))
    laboratory.send(obx("", f11=status))
    laboratory.work()
    assert [one["status"] for one in laboratory.stored()] == ["cancelled"]

    laboratory.send(obx("1"))  # it was obtained after all
    laboratory.work()
    assert values(laboratory.stored()) == [(1, "final")]


@pytest.mark.parametrize("status", ["C", "A", "D", "W", "F", "P", ""])
@pytest.mark.parametrize("drawn", ["", "2026", "202605010000"], ids=["none", "vague", "another"])
def test_of_several_results_of_an_order_the_wrong_one_is_never_changed(
    laboratory: Laboratory, status: str, drawn: str
) -> None:
    """A time of its own is refused for what changes a result alone; others are results then."""
    laboratory.send(obx("1"))
    laboratory.send(obx("3"), drawn=LATER)
    laboratory.work()

    is_another = drawn == "202605010000" and status in {"F", "P", ""}
    laboratory.send(obx("30", f11=status), drawn=drawn, answer="AA" if is_another else "AE")
    laboratory.work()

    assert {(1, "final"), (3, "final")} <= set(values(laboratory.stored()))
    assert len(laboratory.stored()) == (3 if is_another else 2)


def test_what_becomes_unclear_after_its_answer_is_a_dead_letter(laboratory: Laboratory) -> None:
    laboratory.send(obx("1"))
    laboratory.work()
    laboratory.send(obx("3"), drawn=LATER)
    laboratory.send(obx("30", f11="C"), drawn="")  # the other is not written yet
    laboratory.work()
    for _ in range(8):
        laboratory.later(hours=1)

    assert laboratory.states()[-1] == ("dead", "result-unclear")
    assert values(laboratory.stored()) == [(1, "final"), (3, "final")]


def test_a_correction_that_was_taken_is_taken_when_it_is_repeated(laboratory: Laboratory) -> None:
    laboratory.send(obx("1"))
    laboratory.work()
    laboratory.send(obx("30", f11="C"), drawn="")
    laboratory.work()
    laboratory.send(obx("3"), drawn=LATER)
    laboratory.work()
    laboratory.count = 1
    laboratory.send(obx("30", f11="C"), drawn="")  # the same bytes

    assert values(laboratory.stored()) == [(3, "final"), (30, "corrected")]


def test_a_correction_without_a_time_leaves_that_of_the_only_result(
    laboratory: Laboratory,
) -> None:
    for status, expected in (("F", "final"), ("C", "corrected"), ("W", "entered-in-error")):
        laboratory.send(obx("1", f11=status), drawn="202603050930" if status == "F" else "")
        laboratory.work()
        (resource,) = laboratory.stored()
        assert resource["status"] == expected
        assert resource["effectiveDateTime"] == "2026-03-05T09:30:00+01:00"


def test_one_of_several_times_of_a_test_in_one_order_is_corrected(laboratory: Laboratory) -> None:
    times = {"1": "202603050800", "2": "202603050900", "3": "202603051000"}
    laboratory.send(*(obx(value, f14=time) for value, time in times.items()))
    laboratory.work()
    laboratory.send(obx("20", f14=times["2"], f11="C"))
    laboratory.work()

    assert values(laboratory.stored()) == [(1, "final"), (3, "final"), (20, "corrected")]
    laboratory.send(obx("9", f14="20260305", f11="C"), answer="AE")  # one of three


def test_the_same_test_twice_is_corrected_by_both_or_not_at_all(laboratory: Laboratory) -> None:
    laboratory.send(obx("1"), obx("2"))
    laboratory.work()
    laboratory.send(obx("20", f11="C"), answer="AE")
    laboratory.send(obx("1"), obx("20", f11="C"), drawn="202603051100")
    laboratory.work()

    assert values(laboratory.stored()) == [(1, "final"), (20, "corrected")]


HERE_AND_THERE = "4711^^^HOSPITAL^MR~77^^^OTHER"


@pytest.mark.parametrize("who", [HERE_AND_THERE, "4711^^^HOSPITAL^MR~4712"])
def test_identifiers_of_different_patients_give_nobody_a_result(
    laboratory: Laboratory, who: str
) -> None:
    other = patient(id="p4713") | {"identifier": [{"system": "urn:oid:2.999.3", "value": "77"}]}
    put(laboratory.base, [other])
    laboratory.send(obx("1"), who=who)
    for _ in range(9):
        laboratory.later(hours=1)

    assert laboratory.states() == [("dead", "patients-differ")]
    assert [laboratory.stored(patient_id) for patient_id in ("4711", "4712", "4713")] == [
        [],
        [],
        [],
    ]

    # Two records of one person that were merged since.
    requests.delete(f"{laboratory.base}/Patient/p4713", timeout=10).raise_for_status()
    requests.delete(f"{laboratory.base}/Patient/p4712", timeout=10).raise_for_status()
    InboxList(laboratory.store.database).retry(None, laboratory.now)
    laboratory.work()
    assert values(laboratory.stored()) == [(1, "final")]


def test_identifiers_that_the_server_does_not_know_do_not_count(laboratory: Laboratory) -> None:
    laboratory.send(obx("1"), who=f"1^^^HOSPITAL^AN~2^^^HOSPITAL^VN~{HERE_AND_THERE}")
    laboratory.send(obx("30", f11="C"), who=f"{HERE_AND_THERE}~3^^^HOSPITAL^AN~5^^^ELSEWHERE")
    laboratory.work()

    assert values(laboratory.stored()) == [(30, "corrected")]
