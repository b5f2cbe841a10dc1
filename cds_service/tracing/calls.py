# SPDX-License-Identifier: Apache-2.0
"""What the service asks of traces; nothing here imports OpenTelemetry until they are on."""

import os
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from contextvars import copy_context
from typing import Any, Final, Protocol, TypeAlias, TypeVar

from flask import Flask

from cds_service.errors import SettingsError
from cds_service.trace_settings import TracesTo

T = TypeVar("T")

Span: TypeAlias = Any  # of OpenTelemetry, which need not be installed

_MISSING: Final = "CDS_TRACES: the libraries of traces are missing; install cds-service[otel]"


class CallTraces(Protocol):
    """The traces of one process."""

    def instrument(self, app: Flask) -> None:
        """Have every request to the application leave a span."""

    def begin(self, headers: Mapping[str, str]) -> Span:
        """The span of a hook call, which does not go through the application."""

    def during(self, span: Span) -> AbstractContextManager[Any]:
        """While this lasts, queries and requests are parts of the span."""

    def end(self, span: Span, status: int, fields: Mapping[str, object]) -> None:
        """End the span with the fields of the line in the log."""

    def work(self, kind: str, do: Callable[[], T]) -> T:
        """What is done, as a span of work that no request asked for; raises what it raises."""

    def stop(self) -> None:
        """Send what is left, and take everything back."""


_of_process: dict[int, CallTraces] = {}


def open_traces(where: TracesTo, share: float) -> CallTraces | None:
    """The traces of this process, begun if they were not; `None` where they are off.

    Raises `SettingsError` if the libraries are missing.
    """
    if where == "off":
        return None
    process = os.getpid()
    if process not in _of_process:
        _of_process[process] = _begun(where, share)
    return _of_process[process]


def check_traces(where: TracesTo) -> None:
    """Raise `SettingsError` if traces are on and their libraries are missing."""
    if where != "off":
        _provider()


def stop_traces() -> None:
    """End the traces of this process."""
    traces = _of_process.pop(os.getpid(), None)
    if traces is not None:
        traces.stop()


def carried(job: Callable[[], T]) -> Callable[[], T]:
    """The job as a part of the span at hand, for another thread; as it is where traces are off."""
    if not _of_process:
        return job
    context = copy_context()
    return lambda: context.run(job)


def _begun(where: TracesTo, share: float) -> CallTraces:
    try:
        traces: CallTraces = _provider().Traces(where, share)
    except ImportError:  # of what the libraries themselves import when they begin
        raise SettingsError([_MISSING]) from None
    return traces


def _provider() -> Any:
    try:
        from cds_service.tracing import provider
    except ImportError:
        raise SettingsError([_MISSING]) from None
    return provider
