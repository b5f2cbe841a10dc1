# SPDX-License-Identifier: Apache-2.0
"""What a worker shows of itself: pieces of work, their outcomes and traces, and that it works."""

import json
import os
import subprocess
import sys
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import timedelta
from time import monotonic, sleep
from urllib.error import HTTPError

import pytest
from opentelemetry.sdk.trace import ReadableSpan
from opentelemetry.sdk.trace.export import SpanExporter
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from cds_service.errors import StoreError
from cds_service.settings import Settings
from cds_service.store import open_store
from cds_service.subscriptions.inbox_insert import Arrival
from cds_service.subscriptions.notified_resource import NotifiedResource
from cds_service.subscriptions.work import ArrivalDecision, Lease, Retry, Work
from cds_service.subscriptions.work_watch import STUCK, WorkOutcome, WorkWatch
from cds_service.subscriptions.worker_setup import make_worker, open_tools
from cds_service.tracing import provider
from cds_service.tracing.calls import CallTraces, open_traces, stop_traces
from tests.conformance.server import free_port, stop
from tests.fhir_client.faulty import Faulty, Reply, faulty
from tests.house.source import ROOT
from tests.store.postgres import Postgres
from tests.subscriptions.inbox_fixtures import NOW, SECOND, decided, result

SECRET = "mrs-secret-4711"


@pytest.fixture(name="server")
def _server() -> Iterator[Faulty]:
    with faulty() as made:
        yield made


def worked(
    server: Faulty,
    decide: Callable[[Work], ArrivalDecision],
    *found: NotifiedResource,
    attempts: int = 5,
    traces: CallTraces | None = None,
) -> WorkWatch:
    """The watch of a worker after it has done what these arrivals ask for."""
    settings = Settings(profile="development", inbox_attempts=attempts)
    store = open_store("sqlite://")
    now = NOW
    watch = WorkWatch(clock=lambda: now, traces=traces)
    tools = open_tools(settings, store, lambda: now)
    worker = make_worker(tools, lambda _: decide, watch)
    worker._reconciled = NOW
    arrivals = [
        Arrival(server=server.base, subscription="path", resource=resource, numbered=True)
        for resource in found
    ]
    worker.inbox.add(arrivals, now)
    for _ in range(5):
        while worker.step():
            pass
        now += SECOND
    store.close()
    return watch


def counted(watch: WorkWatch, kind: str, outcome: str) -> float | None:
    labels = {"kind": kind, "outcome": outcome}
    return watch.metrics.registry.get_sample_value("cds_work_total", labels)


def test_each_piece_of_work_is_counted_by_its_outcome(server: Faulty) -> None:
    def away(_: Work) -> ArrivalDecision:
        raise Retry("busy")

    def crash(_: Work) -> ArrivalDecision:
        raise LookupError(SECRET)

    done = worked(server, decided, result("o1", patient="p1"), result("o2", patient="p2"))
    retried = worked(server, away, result("o1", patient="p1"))
    dead = worked(server, crash, result("o1", patient="p1"), attempts=1)

    assert (counted(done, "patient", "done"), counted(done, "patient", "dead")) == (2, 0)
    assert (counted(retried, "patient", "retried") or 0) > 0
    assert counted(dead, "patient", "dead") == 1
    assert (
        done.metrics.registry.get_sample_value("cds_work_seconds_count", {"kind": "patient"}) == 2
    )


def test_a_database_that_is_away_is_an_outcome_and_not_the_end_of_the_work() -> None:
    watch = WorkWatch(clock=lambda: NOW)
    lease = Lease(server="s", key="p1", fence=1, wanted=1, attempts=0, until=NOW)

    def away() -> WorkOutcome:
        raise StoreError("The database does not answer.")

    with pytest.raises(StoreError):
        watch.doing(lease, away)
    assert counted(watch, "patient", "database-away") == 1


def test_a_worker_that_does_not_look_any_more_is_stuck() -> None:
    now = NOW
    watch = WorkWatch(clock=lambda: now)

    now += STUCK
    before = watch.stuck()
    now += timedelta(seconds=1)

    assert before == ""
    assert "start it again" in watch.stuck()
    watch.looked()
    assert watch.stuck() == ""


@pytest.fixture(name="left")
def _left(monkeypatch: pytest.MonkeyPatch) -> Iterator[InMemorySpanExporter]:
    """What leaves of the traces of this process."""
    left = InMemorySpanExporter()

    def exporter_to(_: str) -> SpanExporter:
        return left

    monkeypatch.setattr(provider, "exporter_to", exporter_to)
    open_traces("otlp", 1.0)
    yield left
    stop_traces()


def test_a_piece_of_work_is_a_trace_with_what_was_asked_for_it_and_nothing_of_a_patient(
    server: Faulty, left: InMemorySpanExporter
) -> None:
    identity = "secret-4711"
    body = {
        "resourceType": "Observation",
        "id": identity,
        "meta": {"versionId": "1", "lastUpdated": "2026-06-15T08:59:00Z"},
        "subject": {"reference": f"Patient/{SECRET}"},
    }
    server.answers[f"Observation/{identity}"] = Reply(body)
    traces = open_traces("otlp", 1.0)
    assert isinstance(traces, provider.Traces)
    found = NotifiedResource(type="Observation", id=identity)
    worked(server, decided, found, traces=traces)

    assert traces.provider.force_flush()
    spans = left.get_finished_spans()
    (read,) = (span for span in spans if span.name == "work resource")
    assert dict(read.attributes or {}) == {"cds.work": "resource", "cds.outcome": "done"}
    (asked,) = (span for span in spans if span.name == "GET")
    assert read.context is not None
    assert asked.parent is not None
    assert asked.parent.span_id == read.context.span_id
    assert all(is_of_work(span) for span in spans)  # looks for work are none
    assert not any("4711" in span.to_json() for span in spans)


def is_of_work(span: ReadableSpan) -> bool:
    return span.parent is not None or span.name.startswith("work ")


@contextmanager
def working(url: str, port: int, **settings: str) -> Iterator[None]:
    ours = {f"CDS_{name.upper()}": value for name, value in settings.items()}
    environ = {name: value for name, value in os.environ.items() if not name.startswith("CDS_")}
    environ |= {"CDS_DATABASE_URL": url, "CDS_STATUS_PORT": str(port), **ours}
    process = subprocess.Popen(
        [sys.executable, "-m", "cds_service", "worker"],
        cwd=ROOT, env=environ, stderr=subprocess.DEVNULL, start_new_session=True,
    )  # fmt: skip
    try:
        yield
    finally:
        stop(process)


def asked(port: int, path: str) -> tuple[int, str]:
    """What the page of the worker answers; 0 while nobody does."""
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/{path}", timeout=10) as answer:
            return answer.status, answer.read().decode()
    except HTTPError as error:
        return error.code, error.read().decode()
    except OSError:
        return 0, ""


def until(port: int, path: str, status: int) -> str:
    end = monotonic() + 60
    while (found := asked(port, path))[0] != status:
        assert monotonic() < end, found
        sleep(0.2)
    return found[1]


@pytest.mark.server
def test_a_worker_of_its_own_can_be_probed_and_scraped(
    postgres: Postgres, postgres_url: str
) -> None:
    port = free_port()
    with working(postgres_url, port):
        ready = json.loads(until(port, "ready", 200))
        before = asked(port, "metrics")[1]
        with postgres.stopped():
            sleep(3)  # what is known is fresh for two seconds
            away = until(port, "ready", 503)
            alive = asked(port, "health")[0]
            during = asked(port, "metrics")[1]
        until(port, "ready", 200)
        nothing = asked(port, "settings")
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/health", timeout=10) as answer:
            server = answer.headers["Server"].strip()

    assert ready == {"status": "ready", "problems": []}
    assert json.loads(away)["problems"] == ["The database does not answer."]
    assert alive == 200  # to start it again would not help
    assert "cds_database_up 1.0" in before
    assert 'cds_info{process="worker",profile="production",' in before
    assert 'cds_pack_signed{pack="liver",' in before
    assert "cds_database_up 0.0" in during
    assert nothing == (404, "")
    assert server == "cds-service"
