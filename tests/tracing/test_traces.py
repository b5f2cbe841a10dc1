# SPDX-License-Identifier: Apache-2.0
"""Traces: what a request did and for how long, and nothing in them about a patient.

Everything is looked at twice: as the libraries made it, where the canaries must be found, for
otherwise nothing is proved; and as it leaves, where they must not.
"""

import json
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass

import pytest
from opentelemetry.sdk.trace import ReadableSpan
from opentelemetry.sdk.trace.export import SimpleSpanProcessor, SpanExporter
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from cds_service.errors import SettingsError
from cds_service.settings import Settings
from cds_service.tracing import calls, provider
from cds_service.tracing.calls import check_traces, open_traces, stop_traces
from tests.fhir_client.faulty import Faulty, Reply, faulty, searchset
from tests.house.source import ROOT
from tests.web.broken import broken_call
from tests.web.http_fixtures import (
    ALT,
    NAME,
    PATIENT,
    SERVICE,
    Json,
    app,
    client,
    founding,
    observation,
    patient,
    without,
)
from tests.web.rsgi_client import bridge_of, scope_of, sent

CANARIES = (NAME, PATIENT, NAME.lower())
TRACED = Settings(traces="otlp", profile="development", deadline_ms=20_000)
TRACE, PARENT = "4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7"
HEADERS = {
    "traceparent": f"00-{TRACE}-{PARENT}-01",
    "tracestate": f"ehr={NAME.lower()}",
    "baggage": f"patient={PATIENT}",
    "user-agent": NAME,
}


@dataclass(frozen=True)
class Spans:
    """What the libraries made, and what left."""

    raw: InMemorySpanExporter
    left: InMemorySpanExporter

    def all(self) -> tuple[ReadableSpan, ...]:
        traces = open_traces("otlp", 1.0)
        assert isinstance(traces, provider.Traces)
        assert traces.provider.force_flush()
        return self.left.get_finished_spans()

    def names(self) -> list[str]:
        return sorted(span.name for span in self.all())

    def text(self) -> str:
        return "\n".join(written(self.all()))

    def text_before(self) -> str:
        return "\n".join(written(self.raw.get_finished_spans()))


def written(spans: Sequence[ReadableSpan]) -> list[str]:
    """All that an exporter could send of spans."""
    return [
        span.to_json() + str([span.context, span.parent, span.events, span.links]) for span in spans
    ]


@pytest.fixture(name="spans")
def _spans(monkeypatch: pytest.MonkeyPatch) -> Iterator[Spans]:
    spans = Spans(raw=InMemorySpanExporter(), left=InMemorySpanExporter())

    def exporter_to(_: str) -> SpanExporter:
        return spans.left

    monkeypatch.setattr(provider, "exporter_to", exporter_to)
    traces = open_traces("otlp", 1.0)
    assert isinstance(traces, provider.Traces)
    traces.provider.add_span_processor(SimpleSpanProcessor(spans.raw))
    yield spans
    stop_traces()


@pytest.fixture(name="server")
def _server() -> Iterator[Faulty]:
    """A FHIR server that has the founding patient and nothing else."""
    with faulty() as state:
        for name in ("Condition", "MedicationRequest", "MedicationStatement", "ServiceRequest"):
            state.answers[name] = Reply(searchset())
        state.answers["Observation"] = Reply(searchset(observation(ALT, 1)))
        state.answers[f"Patient/{PATIENT}"] = Reply(patient())
        yield state


def to_fetch(server: Faulty) -> Json:
    """A call that leaves everything to be fetched."""
    token = {
        "access_token": f"token-{NAME}",
        "token_type": "Bearer",
        "expires_in": 300,
        "scope": "patient/*.rs",
        "subject": "cds",
    }
    body = without(founding(), "prefetch")
    return {**body, "fhirServer": server.base, "fhirAuthorization": token}


def test_a_hook_call_leaves_a_span_with_the_fields_of_its_log_line(spans: Spans) -> None:
    body = json.dumps(founding()).encode()

    channel = sent(bridge_of(app(TRACED), TRACED), scope_of(body), body)

    assert channel.status == 200
    (span,) = (span for span in spans.all() if span.name.startswith("POST"))
    attributes = dict(span.attributes or {})
    assert span.name == "POST /cds-services/<service>"
    assert attributes["http.response.status_code"] == 200
    assert attributes["cds.service"] == "liver-patient-view"
    assert (attributes["cds.cards"], attributes["cds.results"]) == (1, 1)
    assert span.parent is None


def test_a_hook_call_through_wsgi_leaves_one_span_too(spans: Spans) -> None:
    assert client(TRACED).post(SERVICE, json=founding()).status_code == 200

    assert spans.names().count("POST /cds-services/<service>") == 1
    assert not [name for name in spans.names() if name == "POST"]


def test_what_is_fetched_for_a_call_is_part_of_it_without_address_and_headers(
    spans: Spans, server: Faulty
) -> None:
    response = client(TRACED).post(SERVICE, json=to_fetch(server), headers=HEADERS)

    assert response.status_code == 200
    (call,) = (span for span in spans.all() if span.name.startswith("POST"))
    fetched = [span for span in spans.all() if span.name == "GET"]
    assert len(fetched) == len(server.asked) == 6
    assert call.context is not None
    assert {span.parent.span_id for span in fetched if span.parent} == {call.context.span_id}
    assert {(span.attributes or {})["server.address"] for span in fetched} == {"127.0.0.1"}
    assert f"patient={PATIENT}" in spans.text_before()
    assert PATIENT not in spans.text()


def test_the_trace_of_the_caller_goes_on_without_the_texts_that_it_sent_along(
    spans: Spans, server: Faulty
) -> None:
    client(TRACED).post(SERVICE, json=to_fetch(server), headers=HEADERS)

    (call,) = (span for span in spans.all() if span.name.startswith("POST"))
    assert call.context is not None
    assert call.parent is not None
    assert f"{call.context.trace_id:032x}-{call.parent.span_id:016x}" == f"{TRACE}-{PARENT}"
    headers = [
        {name.lower(): value for name, value in request.headers.items()} for request in server.asked
    ]
    assert all(header["traceparent"].startswith(f"00-{TRACE}-") for header in headers)
    assert not any({"tracestate", "baggage"} & set(header) for header in headers)


def test_a_header_that_is_no_traceparent_begins_a_trace(spans: Spans) -> None:
    for odd in ("", NAME, f"00-{'0' * 32}-{PARENT}-01", "x" * 10_000, "00-\u00e9"):
        headers = {"traceparent": odd.encode("latin-1").decode("latin-1")}
        assert client(TRACED).post(SERVICE, json=founding(), headers=headers).status_code == 200

    assert {span.parent for span in spans.all() if span.name.startswith("POST")} == {None}


def test_pages_leave_their_route_and_never_the_address(spans: Spans) -> None:
    http = client(TRACED)

    http.get(f"/explain/alt/1?note={NAME}", headers=HEADERS)
    http.get(f"/{NAME}/{PATIENT}")
    http.open("/", method=NAME)
    for quiet in ("/health", "/ready", "/metrics"):
        http.get(quiet)

    assert [name for name in spans.names() if name.startswith("GET /")] == [
        "GET /explain/<marker_id>/<path:value>"
    ]
    assert len(spans.names()) == 3
    assert NAME in spans.text_before()
    assert not any(canary in spans.text() for canary in CANARIES)


def test_statements_leave_what_they_do_and_never_their_words(spans: Spans) -> None:
    response = client(TRACED).post(f"{SERVICE}/feedback", json=feedback_of(NAME))

    assert response.status_code == 200
    (insert,) = (span for span in spans.all() if span.name == "INSERT")
    assert dict(insert.attributes or {}) == {"db.system": "sqlite"}
    assert insert.parent is not None
    assert "INSERT INTO" in spans.text_before()
    assert "INTO" not in spans.text()
    assert ".db" not in spans.text()


def feedback_of(comment: str) -> Json:
    """An override with a comment that names the patient."""
    reason = {"userComment": comment}
    feedback = {
        "card": "4e0a3a1e-3283-4575-ab82-028d55fe2719",
        "outcome": "overridden",
        "overrideReason": reason,
        "outcomeTimestamp": "2026-06-15T09:00:00Z",
    }
    return {"feedback": [feedback]}


def test_a_failure_leaves_that_it_failed_and_never_its_words(spans: Spans) -> None:
    application = app(TRACED)

    @application.get("/fails")
    def fails() -> str:
        with open_traced("inner"):
            raise RuntimeError(f"{NAME} {PATIENT}")

    assert application.test_client().get("/fails").status_code == 500

    failed = [span for span in spans.all() if span.name == "GET /fails"]
    assert [(dict(span.attributes or {}), span.events) for span in failed] == [
        ({"http.method": "GET", "http.route": "/fails", "http.status_code": 500}, ())
    ]
    assert f"{NAME} {PATIENT}" in spans.text_before()
    assert not any(canary in spans.text() for canary in CANARIES)


def open_traced(name: str) -> AbstractContextManager[object]:
    """A span that records what is raised in it, as libraries do."""
    traces = open_traces("otlp", 1.0)
    assert isinstance(traces, provider.Traces)
    return traces.provider.get_tracer("library").start_as_current_span(f"{name} {NAME}")


@pytest.mark.slow
def test_broken_requests_leave_no_patient_in_traces(spans: Spans) -> None:
    http = client(TRACED)
    for seed in range(600):
        call = broken_call(seed)
        http.open(
            call.path, method=call.method, data=call.body, headers=call.headers, buffered=True
        )

    assert len(spans.all()) >= 600
    assert not any(canary in spans.text() for canary in CANARIES)


def test_what_nobody_asked_for_is_not_traced(spans: Spans) -> None:
    application = app(TRACED)
    application.extensions["memory"].flush()

    assert spans.names() == []


def test_a_share_of_nothing_traces_nothing_unless_the_caller_does(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    left = InMemorySpanExporter()
    monkeypatch.setattr(provider, "exporter_to", lambda _: left)
    http = client(TRACED.model_copy(update={"traces_share": 0.0}))
    try:
        http.post(SERVICE, json=founding())
        http.post(SERVICE, json=founding(), headers=HEADERS)
    finally:
        stop_traces()

    assert [span.name for span in left.get_finished_spans() if span.name != "SELECT"] == [
        "POST /cds-services/<service>"
    ]


def test_without_the_libraries_the_start_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delattr("cds_service.tracing.provider")
    monkeypatch.setitem(sys.modules, "cds_service.tracing.provider", None)

    with pytest.raises(SettingsError, match=r"cds-service\[otel\]"):
        check_traces("otlp")
    with pytest.raises(SettingsError, match=r"cds-service\[otel\]"):
        client(TRACED)
    assert open_traces("off", 1.0) is None


def test_a_library_that_another_one_misses_refuses_the_start_too(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """SQLAlchemy's instrumentation imports greenlet, which SQLAlchemy itself does not ask for."""

    def without_greenlet(*_: object) -> provider.Traces:
        raise ImportError("greenlet")

    monkeypatch.setattr(provider, "Traces", without_greenlet)

    with pytest.raises(SettingsError, match=r"cds-service\[otel\]"):
        open_traces("otlp", 1.0)


def test_off_costs_no_import_and_no_span() -> None:
    program = (
        "import sys\n"
        "from tests.web.http_fixtures import SERVICE, client, founding\n"
        "assert client().post(SERVICE, json=founding()).status_code == 200\n"
        "sys.exit(any(name.startswith('opentelemetry') for name in sys.modules))"
    )

    assert subprocess.run([sys.executable, "-c", program], cwd=ROOT, check=False).returncode == 0


def test_off_a_job_for_another_thread_is_the_job_itself() -> None:
    def job() -> None: ...

    assert calls.carried(job) is job
