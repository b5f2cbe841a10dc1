# SPDX-License-Identifier: Apache-2.0
"""Traces with OpenTelemetry. Imported only where they are on."""

from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from typing import Any, Final, TypeVar
from urllib.parse import urlsplit

from flask import Flask
from opentelemetry import propagate, trace
from opentelemetry.context import Context
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.instrumentation.flask import FlaskInstrumentor
from opentelemetry.instrumentation.requests import RequestsInstrumentor
from opentelemetry.instrumentation.sqlalchemy import SQLAlchemyInstrumentor
from opentelemetry.propagators.textmap import (
    CarrierT,
    Getter,
    Setter,
    TextMapPropagator,
    default_getter,
    default_setter,
)
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import (
    BatchSpanProcessor,
    ConsoleSpanExporter,
    SpanExporter,
)
from opentelemetry.sdk.trace.sampling import (
    ALWAYS_OFF,
    ParentBased,
    Sampler,
    SamplingResult,
    TraceIdRatioBased,
)
from opentelemetry.trace import Span, SpanContext, SpanKind, StatusCode
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

from cds_service import __version__
from cds_service.trace_settings import TracesTo
from cds_service.tracing.span_filter import OURS, SCOPE, WORK, FilteringExporter

T = TypeVar("T")

ROUTE: Final = "/cds-services/<service>"
_BEGINS: Final = (SpanKind.SERVER, SpanKind.CONSUMER)
_NOT_TRACED: Final = "/health,/ready,/metrics"  # asked several times a minute


def exporter_to(where: TracesTo) -> SpanExporter:
    """What sends spans; its own settings are those of OpenTelemetry (OTEL_EXPORTER_OTLP_...)."""
    return ConsoleSpanExporter() if where == "console" else OTLPSpanExporter()


class Traces:
    """The traces of one process, which patches requests and SQLAlchemy until it is stopped."""

    def __init__(self, where: TracesTo, share: float) -> None:
        named = Resource.create({"service.name": "cds-service", "service.version": __version__})
        self.provider = TracerProvider(sampler=RequestSampler(share), resource=named)
        self.provider.add_span_processor(BatchSpanProcessor(FilteringExporter(exporter_to(where))))
        self._tracer = self.provider.get_tracer(SCOPE, __version__)
        self._propagator_before = propagate.get_global_textmap()
        propagate.set_global_textmap(TraceparentPropagator())
        # The versions that they were tried with are in the lock file.
        RequestsInstrumentor().instrument(
            tracer_provider=self.provider, request_hook=_name_server, skip_dep_check=True
        )
        SQLAlchemyInstrumentor().instrument(tracer_provider=self.provider, skip_dep_check=True)

    def instrument(self, app: Flask) -> None:
        """Have every request to the application leave a span."""
        FlaskInstrumentor.instrument_app(  # type: ignore[no-untyped-call]
            app, tracer_provider=self.provider, excluded_urls=_NOT_TRACED
        )

    def begin(self, headers: Mapping[str, str]) -> Span:
        """The span of a hook call, a part of what its caller traces if that says so."""
        carrier = {"traceparent": headers.get("traceparent", "")}
        return self._tracer.start_span(
            f"POST {ROUTE}",
            context=propagate.extract(carrier),
            kind=SpanKind.SERVER,
            attributes={"http.request.method": "POST", "http.route": ROUTE},
        )

    def during(self, span: Span) -> AbstractContextManager[Any]:
        """While this lasts, queries and requests are parts of the span."""
        return trace.use_span(span, record_exception=False, set_status_on_exception=False)

    def end(self, span: Span, status: int, fields: Mapping[str, object]) -> None:
        """End the span with the fields of the line in the log."""
        span.set_attribute("http.response.status_code", status)
        for name, value in fields.items():
            if isinstance(value, str | int | float):
                span.set_attribute(f"{OURS}{name}", value)
        if status >= 500:
            span.set_status(StatusCode.ERROR)
        span.end()

    def work(self, kind: str, do: Callable[[], T]) -> T:
        """What is done, as a span of work that no request asked for; raises what it raises."""
        span = self._tracer.start_span(
            "work", context=Context(), kind=SpanKind.CONSUMER, attributes={WORK: kind}
        )
        try:
            with self.during(span):
                outcome = do()
            if isinstance(outcome, str):
                span.set_attribute(f"{OURS}outcome", outcome)
        except BaseException:
            span.set_status(StatusCode.ERROR)
            raise
        else:
            return outcome
        finally:
            span.end()

    def stop(self) -> None:
        """Send what is left, and take everything back."""
        RequestsInstrumentor().uninstrument()
        SQLAlchemyInstrumentor().uninstrument()
        propagate.set_global_textmap(self._propagator_before)
        self.provider.shutdown()


def _name_server(span: Span, request: Any) -> None:
    span.set_attribute("server.address", urlsplit(str(request.url)).hostname or "")


class RequestSampler(Sampler):
    """This share of requests and pieces of work, and what is done for them.

    Not what the service does by itself: it asks the database twice a second.
    """

    def __init__(self, share: float) -> None:
        self._share = share
        self._sampler = ParentBased(TraceIdRatioBased(share))

    def should_sample(
        self,
        parent_context: Context | None,
        trace_id: int,
        name: str,
        kind: SpanKind | None = None,
        *more: Any,
        **named: Any,
    ) -> SamplingResult:
        """Whether a span that begins is kept."""
        parent = trace.get_current_span(parent_context).get_span_context()
        sampler = self._sampler if parent.is_valid or kind in _BEGINS else ALWAYS_OFF
        return sampler.should_sample(parent_context, trace_id, name, kind, *more, **named)

    def get_description(self) -> str:
        """What this is, for OpenTelemetry."""
        return f"RequestSampler({self._share})"


class TraceparentPropagator(TextMapPropagator):
    """The header traceparent (W3C Trace Context), which holds numbers.

    `tracestate` and `baggage` are texts of the caller's, which would go on to FHIR servers.
    """

    def __init__(self) -> None:
        self._w3c = TraceContextTextMapPropagator()

    def extract(
        self,
        carrier: CarrierT,
        context: Context | None = None,
        getter: Getter[CarrierT] = default_getter,
    ) -> Context:
        """The context with the span of the caller, if the header is one."""
        found = self._w3c.extract(carrier, Context(), getter)
        caller = trace.get_current_span(found).get_span_context()
        before = Context() if context is None else context
        if not caller.is_valid:
            return before
        numbers = SpanContext(
            caller.trace_id, caller.span_id, is_remote=True, trace_flags=caller.trace_flags
        )
        return trace.set_span_in_context(trace.NonRecordingSpan(numbers), before)

    def inject(
        self,
        carrier: CarrierT,
        context: Context | None = None,
        setter: Setter[CarrierT] = default_setter,
    ) -> None:
        """Write the header for a server that is asked."""
        self._w3c.inject(carrier, context, setter)

    @property
    def fields(self) -> set[str]:
        """The names of the headers that are written."""
        return {"traceparent"}
