# SPDX-License-Identifier: Apache-2.0
"""The writing client against a server that misbehaves: what is sent again, and what never is."""

import json
from collections.abc import Iterator
from typing import Any, get_args

import pytest

from cds_service.clock import Deadline
from cds_service.fhir_client.client import Access, GivenToken, NoToken
from cds_service.fhir_client.failures import QueryError
from cds_service.fhir_client.servers import ANYWHERE, Server
from cds_service.fhir_client.writer import WRITE_FAILURES, FhirWriter, WriteFailure, WriteResult
from cds_service.outgoing.address_policy import AddressPolicy
from tests.fhir_client.faulty import Faulty, Reply, faulty, in_turn

TOKEN = "secret-token-of-the-service"
FLAG = {"resourceType": "Flag", "status": "active"}
STORED = {**FLAG, "id": "7"}
BUNDLE = {"resourceType": "Bundle", "type": "transaction", "entry": []}
CREATED = Reply(STORED, 201, {"Location": "Flag/7/_history/1", "ETag": 'W/"1"'})
CUT = Reply(b"x" * 100, cut=True)
LATER = {"Retry-After": "0"}


@pytest.fixture(name="server")
def _server() -> Iterator[Faulty]:
    with faulty() as state:
        yield state


def access(server: Faulty, policy: AddressPolicy = ANYWHERE) -> Access:
    return Access(Server(base=server.base, policy=policy), GivenToken(TOKEN, Deadline(300)))


def writer() -> FhirWriter:
    return FhirWriter(most_bytes=10_000)


def create(server: Faulty, **options: Any) -> WriteResult:
    return writer().create(access(server), FLAG, Deadline(5), **options)


def update(server: Faulty, **options: Any) -> WriteResult:
    return writer().update(access(server), STORED, Deadline(5), **options)


def transaction(server: Faulty, *, repeatable: bool) -> WriteResult:
    return writer().transaction(access(server), BUNDLE, Deadline(5), repeatable=repeatable)


def test_a_resource_is_created_with_the_token(server: Faulty) -> None:
    server.answers["Flag"] = CREATED

    made = create(server)

    (asked,) = server.asked
    assert (asked.method, asked.authorization) == ("POST", f"Bearer {TOKEN}")
    assert (asked.headers["Content-Type"], json.loads(asked.body)) == (
        "application/fhir+json",
        FLAG,
    )
    assert (made.failure, made.status, made.resource) == (None, 201, STORED)
    assert (made.location, made.etag) == ("Flag/7/_history/1", 'W/"1"')


def test_conditions_are_sent(server: Faulty) -> None:
    server.answers |= {"Flag": CREATED, "Flag/7": Reply(STORED)}

    create(server, if_none_exist="identifier=urn:x|1")
    update(server, if_match='W/"1"')

    first, second = server.asked
    assert first.headers["If-None-Exist"] == "identifier=urn:x|1"
    assert (second.method, second.headers["If-Match"]) == ("PUT", 'W/"1"')


def test_a_transaction_goes_to_the_base(server: Faulty) -> None:
    server.answers["/fhir"] = Reply({"resourceType": "Bundle", "type": "transaction-response"})

    assert transaction(server, repeatable=False).failure is None
    assert server.paths() == ["/fhir"]


@pytest.mark.parametrize("status", [429, 503])
def test_what_a_server_put_off_is_sent_again(server: Faulty, status: int) -> None:
    server.answers["Flag"] = in_turn(Reply(status=status, headers=LATER), CREATED)

    assert create(server).failure is None
    assert len(server.asked) == 2


@pytest.mark.parametrize(
    "reply", [CUT, *(Reply(status=s) for s in (429, 503, 502, 504, 500, 409, 412))], ids=str
)
def test_a_plain_write_is_never_sent_twice(server: Faulty, reply: Reply) -> None:
    server.answers |= dict.fromkeys(("Flag", "Flag/7", "/fhir"), reply)

    made = [create(server), update(server), transaction(server, repeatable=False)]

    assert len(server.asked) == 3
    assert all(outcome.failure is not None for outcome in made)


@pytest.mark.parametrize("reply", [CUT, *(Reply(status=s) for s in (429, 503, 502, 504, 409))])
def test_a_conditional_create_is_sent_again(server: Faulty, reply: Reply) -> None:
    server.answers["Flag"] = in_turn(reply, CREATED)

    assert create(server, if_none_exist="identifier=urn:x|1").failure is None


def test_a_condition_that_a_server_may_ignore_is_not_relied_on(server: Faulty) -> None:
    server.answers["Flag"] = in_turn(CUT, CREATED)

    made = create(server, if_none_exist="identifier=urn:x|1", repeatable=False)

    assert (made.failure, len(server.asked)) == ("unreachable", 1)


@pytest.mark.parametrize("reply", [CUT, *(Reply(status=s) for s in (429, 503, 409, 412))])
def test_a_repeatable_transaction_is_sent_again(server: Faulty, reply: Reply) -> None:
    server.answers["/fhir"] = in_turn(reply, Reply(BUNDLE))

    assert transaction(server, repeatable=True).failure is None
    assert len(server.asked) == 2


@pytest.mark.parametrize("status", [409, 412])
def test_another_version_is_a_conflict(server: Faulty, status: int) -> None:
    server.answers["Flag/7"] = Reply(status=status)

    made = update(server, if_match='W/"1"')

    assert (made.failure, made.status, made.may_be_done) == ("conflict", status, False)
    assert len(server.asked) == 1


def test_a_conflict_that_lasts_is_told_in_time(server: Faulty) -> None:
    server.answers["/fhir"] = Reply(status=409)

    assert transaction(server, repeatable=True).failure == "conflict"
    short = writer().transaction(access(server), BUNDLE, Deadline(0.2), repeatable=True)
    assert short.failure in {"conflict", "late"}


@pytest.mark.parametrize(
    ("reply", "failure", "may_be_done"),
    [
        (Reply(status=400), "refused", False),
        (Reply(status=401), "unauthorized", False),
        (Reply(status=403), "forbidden", False),
        (Reply(status=422), "refused", False),
        (Reply(status=500), "broken", True),
        (CUT, "unreachable", True),
        (Reply(b"x" * 20_000), "too-long", True),
    ],
)
def test_a_failure_says_whether_it_may_be_done(
    server: Faulty, reply: Reply, failure: str, may_be_done: bool
) -> None:
    server.answers["Flag"] = reply

    made = create(server)

    assert (made.failure, made.may_be_done) == (failure, may_be_done)


def test_a_server_that_hangs_is_late(server: Faulty) -> None:
    server.answers["Flag"] = Reply(STORED, hang=True)

    made = writer().create(access(server), FLAG, Deadline(0.3))

    assert (made.failure, made.may_be_done) == ("late", True)


def test_a_redirect_is_not_followed(server: Faulty) -> None:
    with faulty() as other:
        other.answers["Flag"] = CREATED
        server.answers["Flag"] = Reply(status=307, headers={"Location": f"{other.base}/Flag"})

        assert create(server).failure == "redirected"
        assert other.asked == []


def test_a_closed_address_is_not_called(server: Faulty) -> None:
    made = writer().create(access(server, AddressPolicy()), FLAG, Deadline(5))

    assert (made.failure, server.asked) == ("not-allowed", [])


class Renewing:
    """A token that is replaced once."""

    def token(self, _: Deadline) -> str:
        return "old"

    def renewed(self, _: str, __: Deadline) -> str:
        return "new"

    def lacks(self, _: str, __: Deadline) -> bool:
        return False


def test_a_refused_token_is_renewed_once(server: Faulty) -> None:
    server.answers["Flag"] = in_turn(Reply(status=401), CREATED)

    made = writer().create(
        Access(Server(base=server.base, policy=ANYWHERE), Renewing()), FLAG, Deadline(5)
    )

    assert made.failure is None
    assert [request.authorization for request in server.asked] == ["Bearer old", "Bearer new"]


class Missing(Renewing):
    """No token to be had."""

    def token(self, _: Deadline) -> str:
        raise QueryError("no-own-token")


def test_without_a_token_nothing_is_sent(server: Faulty) -> None:
    made = writer().create(Access(Server(base=server.base), Missing()), FLAG, Deadline(5))

    assert (made.failure, server.asked) == ("no-own-token", [])


@pytest.mark.parametrize(
    "resource",
    [
        {},
        {"resourceType": "../admin", "id": "1"},
        {"resourceType": "Flag", "id": "../1"},
        {"resourceType": "Flag"},
    ],
)
def test_a_write_stays_below_the_base(server: Faulty, resource: dict[str, str]) -> None:
    with pytest.raises(ValueError, match="needs"):
        writer().update(Access(Server(base=server.base), NoToken()), resource, Deadline(5))


def test_every_failure_has_words_and_shows_no_content(server: Faulty) -> None:
    server.answers["Flag"] = CREATED

    names = {name for part in get_args(WriteFailure) for name in get_args(part) or (part,)}
    assert set(WRITE_FAILURES) == names
    assert "active" not in repr(create(server))
