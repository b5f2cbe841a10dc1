# SPDX-License-Identifier: Apache-2.0
"""The FHIR client against a server that misbehaves: each fault has its word, none hangs."""

import json
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from pathlib import Path
from threading import Event

import pytest

from cds_service.clock import Deadline
from cds_service.fhir_client.client import Access, FhirClient, GivenToken, NoToken, QueryResult
from cds_service.fhir_client.failures import (
    QUERY_FAILURES,
    QueryError,
    QueryFailure,
    error_of,
)
from cds_service.fhir_client.servers import ANYWHERE, Server
from cds_service.outgoing.address_policy import AddressPolicy
from cds_service.outgoing.messages import HttpRequest, HttpResponse
from tests.fhir_client.faulty import Asked, Faulty, Json, Reply, faulty, in_turn, searchset

QUERY = "Observation?patient=1&code=http://loinc.org|1742-6&_sort=-date&_count=200"
TOKEN = "secret-token-of-the-user"
MOST_BYTES = 100_000
OUTCOME = {"resourceType": "OperationOutcome", "issue": [{"severity": "error", "code": "x"}]}


def result(number: int) -> Json:
    return {
        "resourceType": "Observation",
        "id": str(number),
        "subject": {"reference": "Patient/1"},
    }


@pytest.fixture(name="server")
def _server() -> Iterator[Faulty]:
    with faulty() as state:
        yield state


def access(base: str, token: str | None = TOKEN, policy: AddressPolicy = ANYWHERE) -> Access:
    server = Server(base=base, policy=policy)
    return Access(server, NoToken() if token is None else GivenToken(token, Deadline(300)))


def ask(
    server: Faulty,
    query: str = QUERY,
    deadline: Deadline | None = None,
    *,
    most_pages: int = 10,
    to: Access | None = None,
) -> QueryResult:
    client = FhirClient(most_bytes=MOST_BYTES, most_pages=most_pages)
    return client.ask(to or access(server.base), query, deadline or Deadline(20))


def ids(found: QueryResult) -> list[str]:
    return [
        entry["resource"]["id"]
        for page in found.pages
        for entry in json.loads(page.body).get("entry", [])
    ]


def test_a_search_is_asked_with_its_token_and_read(server: Faulty) -> None:
    server.answers["Observation"] = Reply(searchset(result(1), result(2)))

    found = ask(server)

    assert (ids(found), found.failure) == (["1", "2"], None)
    (asked,) = server.asked
    assert asked.authorization == f"Bearer {TOKEN}"
    assert asked.parameters == {
        "patient": "1",
        "code": "http://loinc.org|1742-6",
        "_sort": "-date",
        "_count": "200",
    }


def test_an_answer_may_be_packed(server: Faulty) -> None:
    server.answers["Observation"] = Reply(searchset(result(1)), packed=True)

    assert ids(ask(server)) == ["1"]


def test_what_grows_over_the_limit_when_unpacked_is_not_read(server: Faulty) -> None:
    server.answers["Observation"] = Reply(b" " * (MOST_BYTES + 1), packed=True)

    assert ask(server) == QueryResult(failure="too-long")


@pytest.mark.parametrize("absolute", [True, False])
def test_every_page_is_read(server: Faulty, absolute: bool) -> None:
    def pages(asked: Asked) -> Reply:
        n = int(asked.parameters.get("page", "1"))
        start = server.base + "/" if absolute else ""
        return Reply(
            searchset(result(n), following=f"{start}Observation?page={n + 1}" if n < 4 else None)
        )

    server.answers["Observation"] = pages

    found = ask(server)

    assert (ids(found), found.failure) == (["1", "2", "3", "4"], None)
    assert {request.authorization for request in server.asked} == {f"Bearer {TOKEN}"}


def test_pages_without_end_are_read_to_the_limit(server: Faulty) -> None:
    def pages(asked: Asked) -> Reply:
        n = int(asked.parameters.get("page", "1"))
        return Reply(searchset(result(n), following=f"Observation?page={n + 1}"))

    server.answers["Observation"] = pages

    found = ask(server, most_pages=3)

    assert (ids(found), found.failure) == (["1", "2", "3"], "too-many-pages")
    assert len(server.asked) == 3


def test_pages_in_a_ring_end(server: Faulty) -> None:
    server.answers["Observation"] = Reply(searchset(result(1), following="Observation?page=1"))

    found = ask(server)

    assert (ids(found), found.failure) == (["1", "1"], "too-many-pages")


def test_all_pages_together_are_not_longer_than_the_limit(server: Faulty) -> None:
    padded = {**result(1), "note": [{"text": "x" * (MOST_BYTES // 2)}]}

    def pages(asked: Asked) -> Reply:
        n = int(asked.parameters.get("page", "1"))
        return Reply(searchset(padded, following=f"Observation?page={n + 1}"))

    server.answers["Observation"] = pages

    found = ask(server)

    assert (ids(found), found.failure) == (["1"], "too-long")


def test_a_failure_on_a_later_page_keeps_the_first(server: Faulty) -> None:
    server.answers["Observation"] = in_turn(
        Reply(searchset(result(1), following="Observation?page=2")), Reply(status=403)
    )

    found = ask(server)

    assert (ids(found), found.failure) == (["1"], "forbidden")


@pytest.mark.parametrize("scheme", ["http", "https"])
@pytest.mark.parametrize("host", ["127.0.0.1", "localhost"])
def test_ch_pf_025_the_token_never_leaves_for_another_server(
    server: Faulty, host: str, scheme: str
) -> None:
    with faulty() as trap:
        away = f"{scheme}://{host}:{trap.port}/fhir/Observation?page=2"
        server.answers["Observation"] = Reply(searchset(result(1), following=away))

        found = ask(server)

        assert (ids(found), found.failure) == (["1"], "foreign-page")
        assert trap.asked == []


@pytest.mark.parametrize(
    "away",
    [
        "/other/Observation?page=2",
        "/fhirx/Observation",
        "../other/Observation",
        "/fhir/../other",
        "/fhir/%2e%2e/other",
        "https://169.254.169.254/latest/meta-data",
        "//evil.example/fhir/Observation",
        "http://user@127.0.0.1/fhir/Observation",
        "http://[::1/fhir",
        "ftp://127.0.0.1/fhir",
        "file:///etc/passwd",
        "/fhir/x\\..\\..\\other",
        "http://127.0.0.1\\@evil.example/fhir",
    ],
)
def test_ch_pf_025_a_next_page_elsewhere_is_never_asked_for(server: Faulty, away: str) -> None:
    server.answers["Observation"] = Reply(searchset(result(1), following=away))

    found = ask(server)

    assert found.failure == "foreign-page"
    assert len(server.asked) == 1


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_a_redirect_is_not_followed(server: Faulty, status: int) -> None:
    with faulty() as trap:
        server.answers["Observation"] = Reply(
            status=status, headers={"Location": f"{trap.base}/Observation"}
        )

        assert ask(server) == QueryResult(failure="redirected")
        assert trap.asked == []


@pytest.mark.parametrize(
    ("status", "word", "times"),
    [
        (400, "refused", 2),
        (401, "unauthorized", 1),
        (403, "forbidden", 1),
        (404, "not-found", 1),
        (410, "not-found", 1),
        (422, "refused", 2),
        (429, "busy", 3),
        (500, "broken", 1),
        (501, "broken", 2),
        (502, "broken", 3),
        (503, "busy", 3),
        (504, "broken", 3),
    ],
)
def test_each_status_has_its_word_and_what_may_pass_is_tried_again(
    server: Faulty, status: int, word: QueryFailure, times: int
) -> None:
    server.answers["Observation"] = Reply(OUTCOME, status=status)

    assert ask(server) == QueryResult(failure=word)
    assert len(server.asked) == times


def test_what_passes_is_an_answer(server: Faulty) -> None:
    server.answers["Observation"] = in_turn(
        Reply(status=503), Reply(cut=True, body=b"{}" * 50), Reply(searchset(result(1)))
    )

    assert ids(ask(server)) == ["1"]


@pytest.mark.parametrize("form", ["seconds", "date"])
def test_a_server_that_asks_for_more_time_than_is_left_is_not_waited_for(
    server: Faulty, form: str
) -> None:
    at = datetime.now(UTC) + timedelta(hours=1)
    wait = "3600" if form == "seconds" else format_datetime(at, usegmt=True)
    server.answers["Observation"] = Reply(status=429, headers={"Retry-After": wait})

    assert ask(server) == QueryResult(failure="busy")
    assert len(server.asked) == 1


@pytest.mark.parametrize("wait", ["0", "soon", "-1", "99999999999999999999", ""])
def test_an_odd_retry_after_does_no_harm(server: Faulty, wait: str) -> None:
    server.answers["Observation"] = Reply(status=429, headers={"Retry-After": wait})

    assert ask(server) == QueryResult(failure="busy")


@pytest.mark.parametrize(
    "reply",
    [Reply(searchset(result(1)), hang=True), Reply(searchset(result(1)), drip=True)],
    ids=["hang", "drip"],
)
def test_a_slow_server_is_cut_off_when_the_time_is_over(server: Faulty, reply: Reply) -> None:
    server.answers["Observation"] = reply

    assert ask(server, deadline=Deadline(0.3)) == QueryResult(failure="late")


def test_without_time_nothing_is_asked(server: Faulty) -> None:
    assert ask(server, deadline=Deadline(0)) == QueryResult(failure="late")
    assert server.asked == []


def test_a_body_that_breaks_off_is_no_answer(server: Faulty) -> None:
    server.answers["Observation"] = Reply(searchset(result(1)), cut=True)

    assert ask(server) == QueryResult(failure="unreachable")
    assert len(server.asked) == 3


def test_nobody_there_is_unreachable() -> None:
    with faulty() as gone:
        pass

    assert ask(gone) == QueryResult(failure="unreachable")


@pytest.mark.parametrize(
    ("body", "word"),
    [
        (b"<html></html>", "not-fhir"),
        (b"", "not-fhir"),
        (b"{", "not-fhir"),
        (b"\xff\xfe", "not-fhir"),
        (b"[" * 5000, "not-fhir"),
        (b"null", "not-fhir"),
        (b"7", "not-fhir"),
        (b"{}", "not-fhir"),
        (b'{"resourceType": "Bundle", "entry": [], "entry": []}', "not-fhir"),
        ({"resourceType": "Hobbit"}, "not-fhir"),
        ({"resourceType": "Patient", "id": "1"}, "not-fhir"),
        (OUTCOME, "outcome"),
    ],
)
def test_what_is_no_bundle_is_no_answer_to_a_search(
    server: Faulty, body: bytes | Json, word: QueryFailure
) -> None:
    server.answers["Observation"] = Reply(body)

    assert ask(server) == QueryResult(failure=word)


def test_a_read_gives_the_resource(server: Faulty) -> None:
    server.answers["Patient/1"] = Reply({"resourceType": "Patient", "id": "1"})

    (page,) = ask(server, "Patient/1").pages

    assert json.loads(page.body)["id"] == "1"


def test_a_mark_before_the_json_is_passed_over(server: Faulty) -> None:
    body = b"\xef\xbb\xbf" + json.dumps(searchset(result(1))).encode()
    server.answers["Observation"] = Reply(body)

    assert ids(ask(server)) == ["1"]


@pytest.mark.parametrize("member", ["note", "referenceRange", "valueString", "language"])
def test_what_is_not_utf_8_is_no_answer_wherever_it_stands(server: Faulty, member: str) -> None:
    body = json.dumps(searchset({**result(1), member: "micro"})).encode()
    server.answers["Observation"] = Reply(body.replace(b"micro", b"\xb5"))

    assert ask(server) == QueryResult(failure="not-fhir")


def test_json_without_end_of_levels_is_no_answer(server: Faulty) -> None:
    deep = b'{"resourceType": "Bundle", "x": ' + b"[" * 90 + b"]" * 90 + b"}"
    server.answers["Observation"] = Reply(deep)

    assert ask(server) == QueryResult(failure="not-fhir")


def test_a_redirect_is_not_read(server: Faulty) -> None:
    huge = Reply(b" " * (MOST_BYTES * 3), status=302, headers={"Location": f"{server.base}/x"})
    server.answers["Observation"] = huge

    assert ask(server).failure in {"redirected", "too-long"}
    assert server.paths() == ["Observation"]


def test_ch_fa_004_a_token_is_not_sent_again_after_its_time(server: Faulty) -> None:
    server.answers["Observation"] = Reply(status=503)
    elapsed = iter([0.0, 1000.0])
    ending = Access(
        Server(base=server.base, policy=ANYWHERE),
        GivenToken(TOKEN, Deadline(1, lambda: next(elapsed))),
    )

    assert ask(server, to=ending) == QueryResult(failure="token-over")
    assert len(server.asked) == 1


def test_one_question_that_never_ends_does_not_keep_the_others(server: Faulty) -> None:
    server.answers["Observation"] = Reply(searchset(result(1)))
    client, never = FhirClient(most_bytes=MOST_BYTES, most_pages=1), Event()

    def stuck() -> QueryResult:
        never.wait(60)
        return QueryResult()

    def broken() -> QueryResult:
        raise ZeroDivisionError

    deadline = Deadline(5)
    found = client.in_parallel(
        {"a": stuck, "b": broken, "c": lambda: client.ask(access(server.base), QUERY, deadline)},
        deadline,
    )
    never.set()

    assert (found["a"].failure, found["b"].failure) == ("late", "not-fhir")
    assert ids(found["c"]) == ["1"]


def test_a_resource_that_cannot_be_read_costs_itself_alone(server: Faulty) -> None:
    server.answers["Observation"] = Reply(searchset({**result(1), "status": 7}, result(2)))

    (page,) = ask(server).pages

    assert [part.where for part in page.unreadable] == ["$.entry[0].resource.status"]


SELF = "http://127.0.0.1/fhir/Observation"


@pytest.mark.parametrize(
    ("used", "failure", "ignored"),
    [
        (f"{SELF}?patient=1&code=x&_sort=-date&_count=200", None, set()),
        (f"{SELF}?subject=Patient/1&code=x&_sort=-date&_count=50", None, set()),
        (f"{SELF}?patient:Patient=1&code=x&_count=50", None, {"_sort"}),
        (f"{SELF}?patient=1", None, {"code", "_sort", "_count"}),
        (f"{SELF}?code=x&_sort=-date", "ignored", set()),
        (SELF, "ignored", set()),
        (f"{SELF}?_getpages=abc", None, set()),
        (None, None, set()),
    ],
)
def test_ch_fa_008_the_self_link_says_what_was_ignored(
    server: Faulty, used: str | None, failure: str | None, ignored: set[str]
) -> None:
    links = [{"relation": "self", "url": used}] if used else []
    server.answers["Observation"] = Reply(searchset(result(1), link=links))

    found = ask(server)

    assert (found.failure, set(found.ignored)) == (failure, ignored)


def test_a_token_is_not_used_after_its_time(server: Faulty) -> None:
    over = Access(Server(base=server.base, policy=ANYWHERE), GivenToken(TOKEN, Deadline(0)))

    assert ask(server, to=over) == QueryResult(failure="token-over")
    assert server.asked == []


def test_a_token_whose_time_ends_between_pages_is_not_used_again(server: Faulty) -> None:
    server.answers["Observation"] = Reply(searchset(result(1), following="Observation?page=2"))
    elapsed = iter([0.0, 1000.0])
    ending = Access(
        Server(base=server.base, policy=ANYWHERE),
        GivenToken(TOKEN, Deadline(1, lambda: next(elapsed))),
    )

    found = ask(server, to=ending)

    assert (ids(found), found.failure) == (["1"], "token-over")
    assert len(server.asked) == 1


def test_ch_req_007_no_token_goes_over_plain_http_to_another_machine(
    server: Faulty, monkeypatch: pytest.MonkeyPatch
) -> None:
    there = [(0, 0, 0, "", ("127.0.0.1", server.port))]
    monkeypatch.setattr("cds_service.outgoing.address_policy.getaddrinfo", lambda *_, **__: there)
    server.answers["Observation"] = Reply(searchset(result(1)))

    found = ask(server, to=access(f"http://fhir.example:{server.port}/fhir"))

    assert ids(found) == ["1"]
    assert [request.authorization for request in server.asked] == [None]


def test_a_server_that_may_not_be_called_is_not(server: Faulty) -> None:
    assert ask(server, to=access(server.base, policy=AddressPolicy())) == QueryResult(
        failure="not-allowed"
    )
    assert server.asked == []


@pytest.mark.parametrize(
    "query", ["Patient/../../admin", "../x", "Patient/..%2f..%2fx", "//x.example/"]
)
def test_a_query_stays_below_the_base(server: Faulty, query: str) -> None:
    assert ask(server, query).failure in {"not-allowed", "not-found"}
    assert not any(".." in path for path in server.paths())


def test_no_cookie_is_kept(server: Faulty) -> None:
    server.answers["Observation"] = Reply(
        searchset(result(1)), headers={"Set-Cookie": "patient=1; Path=/"}
    )
    client = FhirClient(most_bytes=MOST_BYTES, most_pages=1)
    for _ in range(2):
        client.ask(access(server.base), QUERY, Deadline(20))

    assert list(client._transport(ANYWHERE)._session.cookies) == []


def test_nothing_of_the_environment_is_sent(
    server: Faulty, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    netrc = tmp_path / "netrc"
    netrc.write_text("machine 127.0.0.1 login someone password else\n", encoding="utf-8")
    monkeypatch.setenv("NETRC", str(netrc))
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:9")
    server.answers["Observation"] = Reply(searchset(result(1)))

    found = ask(server, to=access(server.base, token=None))

    assert ids(found) == ["1"]
    assert server.asked[0].authorization is None


def test_the_token_shows_nowhere() -> None:
    sent = HttpRequest(url="https://x/Patient/1", headers={"Authorization": TOKEN}, most_bytes=1)

    assert TOKEN not in repr(access("http://127.0.0.1/fhir")) + repr(sent)
    assert "Patient" not in repr(sent)


@pytest.mark.parametrize("status", range(200, 600))
def test_every_status_is_a_success_or_a_word(status: int) -> None:
    failed = error_of(HttpResponse(status=status, headers={}, body=b""))

    assert (failed is None) == (status == 200)
    assert failed is None or failed.code in QUERY_FAILURES


def refusing(*names: str, told: str = "", status: int = 400) -> Callable[[Asked], Reply]:
    """A server that does not know these parameters, and says so by `told`."""

    def answer(asked: Asked) -> Reply:
        if set(names) & set(asked.parameters):
            return Reply({"resourceType": "OperationOutcome", "told": told}, status=status)
        return Reply(searchset(result(1), result(2)))

    return answer


@pytest.mark.parametrize("status", [400, 422, 501])
@pytest.mark.parametrize(
    ("refused", "told", "left_out", "times"),
    [
        (["_sort"], "unknown parameter _sort", {"_sort"}, 2),
        (["_count"], "_count is at most 100", {"_count"}, 2),
        (["_sort"], "", {"_sort", "_count"}, 2),
        (["_count"], "no", {"_sort", "_count"}, 2),
        (["_sort", "_count"], "Observation?_sort=-date&_count=200", {"_sort", "_count"}, 2),
        (["_sort", "_count"], "_sort", {"_sort", "_count"}, 3),
    ],
)
def test_a_search_is_asked_again_without_what_the_server_refuses(
    server: Faulty, refused: list[str], told: str, left_out: set[str], times: int, status: int
) -> None:
    server.answers["Observation"] = refusing(*refused, told=told, status=status)

    found = ask(server)

    assert (ids(found), found.failure) == (["1", "2"], None)
    assert found.left_out == left_out
    assert left_out <= found.ignored
    assert len(server.asked) == times
    assert set(server.asked[-1].parameters) == {"patient", "code", "_sort", "_count"} - left_out
    assert server.asked[-1].parameters["code"] == "http://loinc.org|1742-6"


@pytest.mark.parametrize(
    ("query", "status", "times"),
    [
        ("Observation?patient=1", 400, 1),
        ("Observation/1", 400, 1),
        (QUERY, 400, 2),
        (QUERY, 403, 1),
        (QUERY, 404, 1),
    ],
)
def test_a_refusal_of_something_else_stays_one(
    server: Faulty, query: str, status: int, times: int
) -> None:
    server.answers["Observation"] = server.answers["Observation/1"] = Reply({}, status=status)

    assert ask(server, query).failure in {"refused", "forbidden", "not-found"}
    assert len(server.asked) == times


def test_a_failure_says_its_word_for_people() -> None:
    assert str(QueryError("late")) == QUERY_FAILURES["late"]
