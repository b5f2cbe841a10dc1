# SPDX-License-Identifier: Apache-2.0
"""Feedback over HTTP (conformance.md, 2.10), on SQLite and on PostgreSQL."""

import json
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from io import StringIO
from pathlib import Path
from threading import current_thread
from typing import Any

import pytest
import structlog
from fhir.resources.R4B.operationoutcome import OperationOutcome
from sqlalchemy import Engine
from structlog.testing import capture_logs
from werkzeug.test import TestResponse

from cds_service.errors import StoreError
from cds_service.log import configure_log
from cds_service.store.engine import Database
from tests.feedback.service import FEEDBACK, Clinic, clinic, item
from tests.web.http_fixtures import ALT, NAME, NOW, PATIENT, call, knowledge, observation

CARD = "4e0a3a1e-3283-4575-ab82-028d55fe2719"


@pytest.fixture(name="place")
def _place(database: str) -> Iterator[Clinic]:
    place = clinic(database)
    yield place
    place.close()


@pytest.fixture(name="small")
def _small() -> Iterator[Clinic]:
    """A service whose database does not matter."""
    place = clinic("sqlite://", max_feedback_items=3, max_comment_length=20)
    yield place
    place.close()


def said(response: TestResponse, status: int) -> str:
    assert response.status_code == status, response.text
    assert response.json is not None
    OperationOutcome.model_validate(response.json)
    assert NAME not in response.text
    diagnostics: str = response.json["issue"][0]["diagnostics"]
    return diagnostics


@pytest.mark.parametrize("service", sorted(knowledge().services))
def test_every_service_takes_feedback(small: Clinic, service: str) -> None:
    address = f"/cds-services/{service}/feedback"

    response = small.send(item(CARD), service=address)

    assert (response.status_code, response.json) == (200, {"received": 1})
    assert response.content_type == "application/json; charset=utf-8"
    assert response.headers["Cache-Control"] == "no-store"


def test_feedback_on_a_card_finds_its_rule(place: Clinic) -> None:
    (card,) = place.call()["cards"]
    taken = [{"id": suggestion["uuid"]} for suggestion in card["suggestions"][:2]]

    place.send(item(card["uuid"], "accepted", acceptedSuggestions=taken))

    counts = place.http.get("/metrics").text.splitlines()
    assert 'cds_feedback_total{outcome="accepted",rule="alt-very-low"} 1.0' in counts
    (rule,) = (place.http.get("/feedback?format=json").json or {})["rules"]
    assert (rule["rule"], rule["shown"], rule["accepted"]) == ("alt-very-low", 1, 1)


def test_t83_feedback_on_a_card_that_nobody_knows_is_taken(place: Clinic) -> None:
    assert place.send(item("123456")).status_code == 200
    assert place.count() == 1
    counts = place.http.get("/metrics").text.splitlines()
    assert 'cds_feedback_total{outcome="overridden",rule="unknown"} 1.0' in counts


def test_t83_a_duplicate_is_taken_and_kept_once(place: Clinic) -> None:
    answers = [place.send(item(CARD), item(CARD)).json for _ in range(3)]

    assert answers == [{"received": 2}] * 3
    assert place.count() == 1
    counts = place.http.get("/metrics").text.splitlines()
    assert 'cds_feedback_total{outcome="overridden",rule="unknown"} 1.0' in counts


def test_t83_of_a_batch_with_one_invalid_item_nothing_is_kept(place: Clinic) -> None:
    items = [item(str(n)) for n in range(100)]
    items[41]["outcome"] = NAME

    assert said(place.send(*items), 400).startswith("$.feedback[41].outcome: ")
    assert place.count() == 0


def test_t83_an_unknown_service_is_404_before_the_body_is_read(small: Clinic) -> None:
    address = f"/cds-services/{NAME}/feedback"

    said(small.http.post(address, data=b"{", content_type="text/xml"), 404)


def test_a_batch_of_100_with_mixed_outcomes_is_kept(place: Clinic) -> None:
    items = [
        item(f"{n % 40}", "accepted", acceptedSuggestions=[{"id": "s"}], at=at)
        if n % 2
        else item(f"{n % 40}", at=at)
        for n in range(100)
        for at in [f"2026-06-15T09:00:{n % 60:02}Z"]
    ]

    assert place.send(*items).json == {"received": 100}
    assert place.count() == 100


def test_an_address_for_feedback_takes_no_other_method(small: Clinic) -> None:
    for method in ("GET", "PUT", "DELETE", "PATCH"):
        response = small.http.open(FEEDBACK, method=method)

        assert said(response, 405)
        assert response.headers["Allow"] == "OPTIONS, POST"


@pytest.mark.parametrize(
    ("body", "kind", "status"),
    [
        (b"{", "application/json", 400),
        (b"[]", "application/json", 400),
        (b"{}", "application/json", 400),
        (b"{}", "text/plain", 415),
        (b"{}", "", 415),
        (b" " * (1024 * 1024 + 1), "application/json", 413),
        (json.dumps({"feedback": [item("a")] * 4}).encode(), "application/json", 413),
    ],
    ids=["cut", "list", "empty", "text", "no type", "long", "many"],
)
def test_bodies_that_are_not_taken(small: Clinic, body: bytes, kind: str, status: int) -> None:
    said(small.http.post(FEEDBACK, data=body, content_type=kind), status)
    assert small.count() == 0


def test_a_comment_over_the_limit_is_refused_and_one_at_it_is_kept(small: Clinic) -> None:
    long, fits = ({"userComment": "x" * length} for length in (21, 20))

    assert "userComment" in said(small.send(item("a", overrideReason=long)), 413)
    assert small.send(item("a", overrideReason=fits)).status_code == 200


def test_a_database_that_is_away_is_503_and_tells_nothing(
    small: Clinic, monkeypatch: pytest.MonkeyPatch
) -> None:
    def away(*_: object, **__: object) -> None:
        raise StoreError(f"postgresql://{NAME}")

    monkeypatch.setattr(small.store, "add_feedback", away)

    response = small.send(item(CARD))

    assert said(response, 503).startswith("The database does not answer;")
    assert response.headers["Retry-After"] == "30"


def test_r1_a_call_neither_reads_nor_writes_the_database(
    small: Clinic, monkeypatch: pytest.MonkeyPatch
) -> None:
    callers = list[str]()
    engine = Database.engine

    def noted(database: Database) -> Engine:
        callers.append(current_thread().name)
        return engine(database)

    monkeypatch.setattr(Database, "engine", noted)

    small.override(small.call()["cards"])
    assert small.rules() == []
    small.flush()

    assert set(callers) == {"feedback"}


def test_a_database_that_is_away_costs_no_card_and_is_logged_once(
    small: Clinic, monkeypatch: pytest.MonkeyPatch
) -> None:
    def away(*_: object, **__: object) -> None:
        raise StoreError("away")

    small.override(small.call()["cards"])
    with monkeypatch.context() as broken, capture_logs() as logged:
        for name in ("add_counts", "newest_feedback", "overrides"):
            broken.setattr(small.store, name, away)
        assert small.rules() == []  # what is in memory still holds
        assert small.rules(call(observation(ALT, 2))) == ["alt-very-low"]
        small.flush()
        small.flush()
        assert [line["problem"] for line in logged if line["event"] == "crash"] == ["StoreError"]

    (rule,) = (small.http.get("/feedback?format=json").json or {})["rules"]
    assert rule["shown"] == 2  # what could not be written was kept


def test_what_a_clinician_wrote_is_kept_and_never_logged(place: Clinic) -> None:
    stream = StringIO()
    configure_log("debug", stream=stream, clock=lambda: NOW)
    try:
        reason = {
            "reason": {"code": NAME, "system": NAME, "display": NAME},
            "userComment": f"{NAME} {PATIENT}",
        }
        (card,) = place.call()["cards"]
        texts = [
            place.send(item(card["uuid"], overrideReason=reason)).text,
            place.send(item(NAME, overrideReason=reason)).text,
            place.send(item("a"), item("b", outcome=NAME, overrideReason=reason)).text,
            place.http.get("/metrics").text,
        ]
    finally:
        structlog.reset_defaults()

    for text in (stream.getvalue(), *texts):
        assert NAME not in text
        assert PATIENT not in text
    lines = [json.loads(line) for line in stream.getvalue().splitlines()]
    assert [line.get("feedback") for line in lines if line["outcome"] == "feedback"] == [1, 1]
    assert place.count() == 2


def test_no_patient_is_kept_with_a_card(place: Clinic) -> None:
    place.override(place.call()["cards"])
    place.flush()

    text = ""
    with place.store.database.reading() as connection:
        for table in ("card_counts", "feedback"):
            rows = connection.exec_driver_sql(f"SELECT * FROM {table}").all()  # noqa: S608
            assert len(rows) == 1
            text += repr(
                [[bytes(v) if isinstance(v, memoryview) else v for v in row] for row in rows]
            )
    assert PATIENT not in text
    assert NAME not in text
    assert "Observation" not in text


def test_many_clients_at_once_lose_and_double_nothing(place: Clinic) -> None:
    app = place.http.application

    def send(worker: int) -> list[int]:
        http = app.test_client()
        items = [[item(f"{worker}-{n}"), item(f"shared-{n}")] for n in range(10)]
        return [http.post(FEEDBACK, json={"feedback": two}).status_code for two in items]

    with ThreadPoolExecutor(6) as pool:
        statuses = [status for found in pool.map(send, range(6)) for status in found]

    assert set(statuses) == {200}
    assert place.count() == 6 * 10 + 10


def test_a_preflight_for_feedback_is_answered(small: Clinic) -> None:
    headers = {"Origin": "https://sandbox.example", "Access-Control-Request-Method": "POST"}

    assert small.http.options(FEEDBACK, headers=headers).status_code == 200


def test_an_ignored_card_is_neither_accepted_nor_overridden(place: Clinic) -> None:
    place.call()
    place.call()

    (rule,) = (place.http.get("/feedback?format=json").json or {})["rules"]

    counted: Any = [rule[name] for name in ("shown", "accepted", "overridden", "unanswered")]
    assert counted == [2, 0, 0, 2]


def test_r5_a_file_that_is_removed_is_noticed_before_anything_is_acknowledged(
    tmp_path: Path,
) -> None:
    file = tmp_path / "a.db"
    place = clinic(f"sqlite:///{file}")
    assert place.send(item(CARD)).status_code == 200
    assert place.http.get("/ready").status_code == 200

    file.unlink()

    said(place.send(item("new")), 503)
    assert not file.exists()
    ready = place.http.get("/ready")
    assert (ready.status_code, ready.json["status"]) == (503, "not ready")  # type: ignore[index]
    assert place.rules() == ["alt-very-low"]  # cards never wait for the database
    place.close()
