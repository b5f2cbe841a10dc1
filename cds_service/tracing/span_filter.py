# SPDX-License-Identifier: Apache-2.0
"""The only place that decides what of a span leaves the process.

The libraries that make spans put addresses, statements, headers and messages of errors into them,
and these hold patients: `Patient?identifier=...`, a name in a search, a value in an error. So this
is a list of what may pass, as in `log.py`. A name of a span is made anew; events, links, the words
of a status and the state that a caller sent along are left out.
"""

import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final

from opentelemetry.sdk.trace import ReadableSpan
from opentelemetry.sdk.trace.export import SpanExporter, SpanExportResult
from opentelemetry.trace import SpanContext, SpanKind, Status

from cds_service.log import NAME, may_be_logged

SCOPE: Final = "cds_service"
OURS: Final = "cds."  # what begins like this is a field of the log
WORK: Final = f"{OURS}work"

_METHODS: Final = frozenset(["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"])
_ROUTE: Final = re.compile(r"(?!.*\d{4})/[a-z0-9_./<>:{}-]{0,80}")
_HOST: Final = re.compile(r"[a-z0-9.:-]{1,253}")
_OPERATION: Final = re.compile(r"[A-Z]{3,10}")


def _shaped(shape: re.Pattern[str]) -> Callable[[object], bool]:
    return lambda value: isinstance(value, str) and shape.fullmatch(value) is not None


def _is_status(value: object) -> bool:
    return isinstance(value, int) and 100 <= value <= 599


def _is_method(value: object) -> bool:
    return value in _METHODS


ATTRIBUTES: Final[Mapping[str, Callable[[object], bool]]] = {
    "http.method": _is_method,
    "http.request.method": _is_method,
    "http.status_code": _is_status,
    "http.response.status_code": _is_status,
    "http.route": _shaped(_ROUTE),
    "db.system": _shaped(NAME),
    "db.system.name": _shaped(NAME),
}
"""What may pass of a span of any kind, under its old and its new name."""

_OF_REQUESTS_SENT: Final = {"server.address": _shaped(_HOST)}
"""The server that was asked: one of the file of servers, never what a caller named as its own."""


class FilteringExporter(SpanExporter):
    """Exports through another exporter, after removing what may not leave the process."""

    def __init__(self, to: SpanExporter) -> None:
        self._to = to

    def export(self, spans: Sequence[ReadableSpan]) -> SpanExportResult:
        """Send what may leave of the spans."""
        return self._to.export([kept(span) for span in spans])

    def shutdown(self) -> None:
        """Send no more."""
        self._to.shutdown()

    def force_flush(self, timeout_millis: int = 30_000) -> bool:
        """Send what waits."""
        return self._to.force_flush(timeout_millis)


def kept(span: ReadableSpan) -> ReadableSpan:
    """What may leave of a span."""
    attributes = {
        name: value
        for name, value in (span.attributes or {}).items()
        if _may_pass(name, value, span.kind)
    }
    return ReadableSpan(
        name=_name(span, attributes),
        context=_numbers(span.context),
        parent=_numbers(span.parent),
        resource=span.resource,
        attributes=attributes,
        kind=span.kind,
        status=Status(span.status.status_code),
        start_time=span.start_time,
        end_time=span.end_time,
        instrumentation_scope=span.instrumentation_scope,
    )


def _may_pass(name: str, value: Any, kind: SpanKind) -> bool:
    if name.startswith(OURS):
        return may_be_logged(name.removeprefix(OURS), value)
    check = ATTRIBUTES.get(name)
    if check is None and kind is SpanKind.CLIENT:
        check = _OF_REQUESTS_SENT.get(name)
    return check is not None and check(value)


def _name(span: ReadableSpan, attributes: Mapping[str, Any]) -> str:
    if "db.system" in attributes or "db.system.name" in attributes:
        first = span.name.partition(" ")[0]
        return first if _OPERATION.fullmatch(first) else "query"
    if WORK in attributes:
        return f"work {attributes[WORK]}"
    method = attributes.get("http.request.method") or attributes.get("http.method") or "request"
    route = attributes.get("http.route")
    return f"{method} {route}" if route else str(method)


def _numbers(context: SpanContext | None) -> SpanContext | None:
    """The numbers of a span without the state that its caller sent along."""
    if context is None:
        return None
    return SpanContext(
        context.trace_id, context.span_id, context.is_remote, trace_flags=context.trace_flags
    )
