# SPDX-License-Identifier: Apache-2.0
"""Writing advice to a server that misbehaves: what is repeated, what is given up, what is found."""

import json
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from cds_service.clock import Deadline
from cds_service.fhir_client.client import Access, FhirClient, NoToken
from cds_service.fhir_client.servers import ANYWHERE, Server
from cds_service.fhir_client.writer import FhirWriter
from cds_service.store.advice import WrittenAdvice
from cds_service.subscriptions.advice import AdvicePlace
from cds_service.subscriptions.advice_parts import identifier_of
from cds_service.subscriptions.open_advice import Absence, OpenAdvice, as_found
from cds_service.subscriptions.work import Retry
from cds_service.subscriptions.write_back import AdviceServer, WriteRefused, adopted, with_digests
from tests.fhir_client.faulty import Asked, Faulty, Reply, faulty, in_turn
from tests.subscriptions.test_advice import PLACE, bundle_of, judged
from tests.web.http_fixtures import ALT, NOW, observation

Json = dict[str, Any]
ROOT = "/fhir"  # what a transaction is sent to


@pytest.fixture(name="server")
def _server() -> Iterator[Faulty]:
    with faulty() as state:
        yield state


def advice_server(server: Faulty) -> AdviceServer:
    return AdviceServer(
        reader=FhirClient(most_bytes=1_000_000, most_pages=5),
        writer=FhirWriter(most_bytes=1_000_000),
        access=Access(Server(base=server.base, policy=ANYWHERE), NoToken()),
        deadline=Deadline(10),
        owner=PLACE.owner,
    )


def bundle() -> Json:
    return bundle_of(judged(observation(ALT, 1)))


def row(place: AdvicePlace = PLACE, **more: Any) -> WrittenAdvice:
    (task,) = (
        entry["resource"] for entry in bundle()["entry"] if entry["request"]["url"] == "Task"
    )
    usual: dict[str, Any] = {
        "server": place.server,
        "patient": place.patient,
        "pack": "liver",
        "rule": "alt-very-low",
        "rule_version": "1.0.0",
        "marker": "alt",
        "result": "Observation/o1",
        "identifier": identifier_of(task),
        "indicator": "info",
        "written": NOW,
    }
    return WrittenAdvice(**usual | more)


def response(*statuses: str) -> Reply:
    """The answer to a transaction: the status of each entry, or one for all of them."""
    kinds = [entry["request"]["url"] for entry in bundle()["entry"]]
    every = statuses if len(statuses) > 1 else statuses * len(kinds)
    entries = [
        {"response": {"status": status, "location": f"{kind}/{n}/_history/1", "etag": 'W/"1"'}}
        for n, (kind, status) in enumerate(zip(kinds, every, strict=True))
    ]
    body = {"resourceType": "Bundle", "type": "transaction-response", "entry": entries}
    return Reply(body)


CREATED = response("201 Created")
ONE_LATE = response(*["201 Created"] * 6, "429 Too Many Requests")


def write(server: Faulty) -> WrittenAdvice:
    (written,) = advice_server(server).write(bundle(), [row()])
    return written


def test_what_was_written_is_known_by_its_reference_and_version(server: Faulty) -> None:
    server.answers[ROOT] = CREATED

    written = write(server)

    assert (written.state, written.task, written.task_version) == ("open", "Task/5", "1")
    assert written.proposals == tuple((f"ServiceRequest/{n}", "1") for n in range(4))


@pytest.mark.parametrize(
    "first",
    [ONE_LATE, *(Reply(status=status) for status in (409, 412, 429, 503))],
)
def test_what_was_put_off_is_sent_again_as_it_was(server: Faulty, first: Reply) -> None:
    server.answers[ROOT] = in_turn(first, CREATED)

    assert write(server).state == "open"
    bodies = [asked.body for asked in server.asked]
    assert bodies[0] == bodies[1]


@pytest.mark.parametrize(
    ("reply", "code"),
    [(ONE_LATE, "busy"), (Reply(status=409), "conflict"), (Reply(status=500), "broken")],
)
def test_what_is_put_off_again_and_again_is_for_another_time(
    server: Faulty, reply: Reply, code: str
) -> None:
    server.answers[ROOT] = reply

    with pytest.raises(Retry) as caught:
        write(server)
    assert caught.value.code == code


@pytest.mark.parametrize(
    "reply",
    [Reply(status=400), Reply(status=422), response(*["201 Created"] * 6, "400 Bad Request")],
)
def test_what_a_server_does_not_take_is_not_repeated(server: Faulty, reply: Reply) -> None:
    server.answers[ROOT] = reply

    with pytest.raises(WriteRefused) as caught:
        write(server)
    assert (caught.value.code, len(server.asked)) == ("refused", 1)


def test_an_answer_that_is_no_such_bundle_is_refused(server: Faulty) -> None:
    server.answers[ROOT] = Reply({"resourceType": "Bundle", "type": "transaction-response"})

    with pytest.raises(WriteRefused):
        write(server)


def task(**more: Any) -> Json:
    return {
        "resourceType": "Task",
        "id": "5",
        "meta": {"versionId": "1"},
        "status": "requested",
        "owner": {"reference": PLACE.owner},
        **more,
    }


@pytest.mark.parametrize(
    ("status", "state"), [("requested", "open"), ("in-progress", "left-alone")]
)
def test_a_task_that_was_there_is_looked_at(server: Faulty, status: str, state: str) -> None:
    server.answers |= {ROOT: response("200 OK"), "Task/5": Reply(task(status=status))}

    assert write(server).state == state


STANDING: dict[str, Any] = {"task": "Task/5", "task_version": "1", "state": "open"}


def withdraw(server: Faulty) -> WrittenAdvice:
    standing = OpenAdvice(row(**STANDING, proposals=(("ServiceRequest/1", "1"),)), task())
    return advice_server(server).withdraw(standing, "no-longer-advised", "2026-06-15T09:00:00Z")


def order(version: str = "1", status: str = "draft") -> Reply:
    meta = {"versionId": version}
    body = {"resourceType": "ServiceRequest", "id": "1", "meta": meta, "status": status}
    return Reply(body)


DONE = Reply(
    {
        "resourceType": "Bundle",
        "type": "transaction-response",
        "entry": [{"response": {"status": "200"}}, {"response": {"status": "200"}}],
    }
)


def test_a_task_is_withdrawn_with_its_proposals_in_the_version_that_was_read(
    server: Faulty,
) -> None:
    server.answers |= {"ServiceRequest/1": order(), ROOT: DONE}

    assert withdraw(server).state == "cancelled"

    sent = json.loads(server.asked[-1].body)["entry"]
    assert [entry["resource"]["status"] for entry in sent] == ["cancelled", "revoked"]
    assert [entry["request"]["ifMatch"] for entry in sent] == ['W/"1"', 'W/"1"']


@pytest.mark.parametrize("reply", [order(version="2"), order(status="active")])
def test_a_proposal_that_somebody_changed_is_left_alone(server: Faulty, reply: Reply) -> None:
    server.answers |= {"ServiceRequest/1": reply, ROOT: DONE}

    assert withdraw(server).state == "cancelled"
    assert len(json.loads(server.asked[-1].body)["entry"]) == 1


@pytest.mark.parametrize(
    ("now", "state"),
    [
        (task(meta={"versionId": "2"}, status="accepted"), "left-alone"),
        (task(meta={"versionId": "2"}), "left-alone"),
    ],
)
def test_a_task_that_is_touched_meanwhile_is_left_alone(
    server: Faulty, now: Json, state: str
) -> None:
    server.answers |= {"ServiceRequest/1": order(), ROOT: Reply(status=412), "Task/5": Reply(now)}

    assert withdraw(server).state == state


def test_a_withdrawal_whose_answer_was_lost_is_seen(server: Faulty) -> None:
    done: list[Json] = []

    def take(asked: Asked) -> Reply:
        done.extend(entry["resource"] for entry in json.loads(asked.body)["entry"])
        return Reply(status=412)

    def show(_: Asked) -> Reply:
        return Reply({**done[0], "meta": {"versionId": "2"}})

    answers: dict[str, Callable[[Asked], Reply] | Reply] = {ROOT: take, "Task/5": show}
    server.answers |= {"ServiceRequest/1": order(), **answers}

    assert withdraw(server).state == "cancelled"


@pytest.mark.parametrize(
    ("found", "state"),
    [
        (Absence.GONE, "rejected"),
        (Absence.NOT_FOUND, "not-found"),
        (task(status="rejected"), "rejected"),
        (task(status="cancelled"), "rejected"),
        (task(status="completed"), "open"),
    ],
)
def test_what_became_of_a_task(found: Json | Absence, state: str) -> None:
    assert as_found(row(**STANDING), found).state == state


def carrying() -> Json:
    """The Task that is sent."""
    return next(
        entry["resource"] for entry in bundle()["entry"] if entry["request"]["url"] == "Task"
    )


def as_stored(version: str, **more: Any) -> Json:
    """The same as a server has it, with references of its own."""
    text = json.dumps(carrying())
    for entry in bundle()["entry"]:
        there = f"http://fhir.example.org/{entry['request']['url']}/x"
        text = text.replace(entry["fullUrl"], there)
    meta = {"versionId": version, "lastUpdated": "2026-06-15T09:00:01Z"}
    return {**json.loads(text), "id": "5", "meta": meta, "lastModified": "2026-06-15", **more}


NOTE = [{"text": "somebody has looked at it"}]
OTHERS_TASK = {"owner": {"reference": "Organization/other"}}


@pytest.mark.parametrize(
    ("version", "more", "state", "kept"),
    [
        ("1", {}, "writing", "1"),
        ("2", {}, "writing", "2"),  # a server that counts all of its transactions
        ("8f1c", {}, "writing", "8f1c"),
        ("2", {"note": NOTE}, "left-alone", ""),
        ("8f1c", {"note": NOTE}, "left-alone", ""),
        ("8f1c", OTHERS_TASK, "left-alone", ""),
    ],
)
def test_a_task_whose_version_was_never_learned_is_known_by_what_it_says(
    version: str, more: Json, state: str, kept: str
) -> None:
    (begun,) = with_digests([row()], bundle())

    found = adopted(begun, as_stored(version, **more))

    assert (found.state, found.task_version, found.task) == (state, kept, "Task/5")


@pytest.mark.parametrize(("more", "state"), [({}, "open"), ({"note": NOTE}, "left-alone")])
def test_a_task_that_was_there_is_compared_with_what_was_sent(
    server: Faulty, more: Json, state: str
) -> None:
    server.answers |= {ROOT: response("200 OK"), "Task/5": Reply(as_stored("8f1c", **more))}

    (written,) = advice_server(server).write(bundle(), with_digests([row()], bundle()))

    assert written.state == state
