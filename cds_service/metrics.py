# SPDX-License-Identifier: Apache-2.0
"""Every metric, in one place.

Labels are names that the packs and the code know (services, hooks, rules, markers, outcomes),
never text of a request: a label is kept for ever, and must not name a patient.
"""

from collections import Counter as Counter_
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from threading import Lock
from typing import Any, Final, Generic, Literal, TypeAlias, TypeVar

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest
from prometheus_client.core import CounterMetricFamily, Metric
from prometheus_client.registry import Collector

_M = TypeVar("_M", Counter, Histogram)

# Seconds. A hook should answer in tens of milliseconds; clients give up after about half a second.
BUCKETS: Final = (0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0, 5.0)
# A piece of work waits for FHIR servers, and a search may take many pages.
WORK_BUCKETS: Final = (0.01, 0.05, 0.1, 0.5, 1.0, 5.0, 15.0, 60.0, 300.0, 1800.0)

Process: TypeAlias = Literal["serve", "worker", "listen"]

# What each process exports: one that stays 0 because another process sets it would fire alerts.
_OF_ALL: Final = frozenset(
    [
        "cds_info",
        "cds_database_up",
        "cds_inbox_waiting",
        "cds_inbox_oldest_seconds",
        "cds_inbox_dead",
        "cds_advice_refused",
        "cds_subscriptions_failing",
        "cds_searches_failing",
        "cds_subscription_revivals",
    ]
)
_OF_PACKS_AND_KEYS: Final = frozenset(
    [
        "cds_pack_info",
        "cds_pack_signed",
        "cds_signing_key_begun_timestamp_seconds",
        "cds_signing_keys_current",
    ]
)
_OF_WORK: Final = frozenset(
    ["cds_work_total", "cds_work_seconds", "cds_worker_looked_timestamp_seconds"]
)
_OF_MESSAGES: Final = frozenset(["cds_hl7_messages_total", "cds_hl7_connections"])


class RuleAnswers(Collector):
    """How often each rule gave each answer.

    A call counts as many answers as there are rules; they are added under one lock, and made
    samples when somebody asks.
    """

    def __init__(self) -> None:
        self._lock = Lock()
        self._counts: Counter_[tuple[str, str]] = Counter_()

    def add(self, answers: Iterable[tuple[str, str]]) -> None:
        """Count one more of each (rule, answer)."""
        with self._lock:
            self._counts.update(answers)

    def collect(self) -> Iterator[Metric]:
        """The samples for Prometheus."""
        family = CounterMetricFamily(
            "cds_decisions", "Answers of rules.", labels=("rule", "answer")
        )
        with self._lock:
            counts = self._counts.copy()
        for labels, count in counts.items():
            family.add_metric(labels, count)
        yield family


class Children(Generic[_M]):
    """The children of a metric by their labels, each looked up once.

    It is as bounded as the metric itself, which keeps them all.
    """

    def __init__(self, metric: _M) -> None:
        self._metric: _M = metric
        self._known: dict[tuple[str, ...], _M] = {}

    def of(self, *labels: str) -> _M:
        """The child with these labels."""
        child = self._known.get(labels)
        if child is None:
            child = self._known.setdefault(labels, self._metric.labels(*labels))
        return child


@dataclass(frozen=True, slots=True, kw_only=True)
class Metrics:
    """The metrics of one running service and the registry they live in."""

    registry: CollectorRegistry
    requests: Children[Counter]
    request_seconds: Children[Histogram]
    cards: Children[Counter]
    cards_held_back: Children[Counter]
    decisions: RuleAnswers
    results_set_aside: Children[Counter]
    results_used: Counter
    errors: Children[Counter]
    feedback: Counter
    info: Gauge
    pack_info: Gauge
    pack_signed: Gauge
    database_up: Gauge
    certificate_end: Gauge
    signing_key_begun: Gauge
    signing_keys_current: Gauge
    clients: Gauge
    clients_current: Gauge
    refused: Counter
    replay_unchecked: Counter
    replay_late: Counter
    quiet_unsure: Counter
    fhir_queries: Counter
    notifications: Counter
    messages: Counter
    message_connections: Gauge
    inbox_waiting: Gauge
    inbox_oldest: Gauge
    inbox_dead: Gauge
    advice_refused: Gauge
    subscriptions_failing: Gauge
    subscription_revivals: Gauge
    searches_failing: Gauge
    work: Children[Counter]
    work_seconds: Children[Histogram]
    worker_looked: Gauge


def make_metrics(process: Process = "serve") -> Metrics:
    """New metrics, all at zero, in a registry of their own, which exports those of this process."""
    made = _Maker(process)
    return Metrics(
        registry=made.registry,
        **_of_calls(made),
        **_of_trust(made),
        **_of_operations(made),
        **_of_inbox(made),
        **_of_work(made),
        **_of_messages(made),
    )


class _Maker:
    """Makes metrics. One that the process does not export counts all the same, for nobody."""

    def __init__(self, process: Process) -> None:
        self.registry = CollectorRegistry()
        self.is_serving = process == "serve"
        self._process: Process = process

    def counter(self, name: str, meaning: str, *labels: str) -> Counter:
        return Counter(name, meaning, labels, registry=self._where(name))

    def counters(self, name: str, meaning: str, *labels: str) -> Children[Counter]:
        return Children(self.counter(name, meaning, *labels))

    def gauge(self, name: str, meaning: str, *labels: str) -> Gauge:
        return Gauge(name, meaning, labels, registry=self._where(name))

    def seconds(
        self, name: str, meaning: str, label: str, buckets: tuple[float, ...]
    ) -> Children[Histogram]:
        registry = self._where(name)
        return Children(Histogram(name, meaning, (label,), buckets=buckets, registry=registry))

    def _where(self, name: str) -> CollectorRegistry | None:
        match self._process:
            case "worker":
                is_ours = name in _OF_ALL | _OF_PACKS_AND_KEYS | _OF_WORK
            case "listen":
                is_ours = name in _OF_ALL | _OF_MESSAGES
            case _:
                is_ours = name not in _OF_WORK | _OF_MESSAGES
        return self.registry if is_ours else None


def _of_calls(made: _Maker) -> dict[str, Any]:
    """The metrics of requests, results and rules."""
    answers = RuleAnswers()
    if made.is_serving:
        made.registry.register(answers)
    return {
        "requests": made.counters(
            "cds_requests_total", "Requests answered.", "service", "hook", "outcome"
        ),
        "request_seconds": made.seconds(
            "cds_request_seconds", "Time to answer a request.", "service", BUCKETS
        ),
        "cards": made.counters("cds_cards_total", "Cards returned.", "rule", "indicator"),
        "cards_held_back": made.counters(
            "cds_cards_held_back_total",
            "Cards of rules that fired which were not shown.",
            "rule",
            "reason",
        ),
        "decisions": answers,
        "results_set_aside": made.counters(
            "cds_results_set_aside_total", "Results that were not used.", "marker", "reason"
        ),
        "results_used": made.counter("cds_results_used_total", "Results that could be used."),
        "errors": made.counters(
            "cds_error_responses_total", "Answers of status 400 or more.", "service", "status"
        ),
        "feedback": made.counter(
            "cds_feedback_total", "New events in feedback.", "rule", "outcome"
        ),
        "fhir_queries": made.counter(
            "cds_fhir_queries_total", "Queries to FHIR servers for calls.", "outcome"
        ),
        "quiet_unsure": made.counter(
            "cds_quiet_unsure_total",
            "Cards shown while it was not known whether another process had shown them lately.",
        ),
    }


def _of_trust(made: _Maker) -> dict[str, Any]:
    """The metrics of who calls."""
    return {
        "clients": made.gauge("cds_clients", "Registered clients in force."),
        "clients_current": made.gauge(
            "cds_clients_current",
            "1 if the file of clients is in force as it is, 0 if it has problems.",
        ),
        "refused": made.counter(
            "cds_calls_refused_total", "Calls without a valid token.", "client", "reason"
        ),
        "replay_unchecked": made.counter(
            "cds_replay_unchecked_total",
            "Calls let in before it was known whether their token was used on another machine.",
        ),
        "replay_late": made.counter(
            "cds_replay_late_total", "Calls among those whose token proved to have been used."
        ),
    }


def _of_operations(made: _Maker) -> dict[str, Any]:
    """The metrics of what the service stands on: approval, database, certificate, keys."""
    return {
        "info": made.gauge(
            "cds_info",
            "1, with the version, the profile and the command.",
            "version",
            "profile",
            "process",
        ),
        "pack_info": made.gauge("cds_pack_info", "1 for each pack in use.", "pack", "version"),
        "pack_signed": made.gauge(
            "cds_pack_signed",
            "1 if a clinician signed the rules of the pack as they are, else 0.",
            "pack",
            "version",
        ),
        "database_up": made.gauge("cds_database_up", "1 if the database answered lately, else 0."),
        "certificate_end": made.gauge(
            "cds_certificate_end_timestamp_seconds",
            "When the certificate at this place of the chain in use ends; none behind a proxy.",
            "place",
        ),
        "signing_key_begun": made.gauge(
            "cds_signing_key_begun_timestamp_seconds",
            "Since when the key that signs has signed; 0 if its file does not say.",
            "algorithm",
        ),
        "signing_keys_current": made.gauge(
            "cds_signing_keys_current",
            "1 if the file of signing keys is in force as it is, or there is none; 0 if it has "
            "problems.",
        ),
    }


def _of_inbox(made: _Maker) -> dict[str, Any]:
    """The metrics of results that arrive, which every process reads in the database."""
    return {
        "inbox_waiting": made.gauge(
            "cds_inbox_waiting", "Results that arrived and wait for a worker."
        ),
        "inbox_oldest": made.gauge(
            "cds_inbox_oldest_seconds", "How long the first of those that wait has waited."
        ),
        "inbox_dead": made.gauge(
            "cds_inbox_dead", "Results, and refused advice, that failed too often: dead letters."
        ),
        "advice_refused": made.gauge(
            "cds_advice_refused",
            "Decisions whose advice a FHIR server refused and which is not written yet.",
        ),
        "subscriptions_failing": made.gauge(
            "cds_subscriptions_failing",
            "Subscriptions that their server set off, reports an error of, or no longer has.",
        ),
        "searches_failing": made.gauge(
            "cds_searches_failing",
            "Searches for results that no notification named which fail again and again.",
        ),
        "subscription_revivals": made.gauge(
            "cds_subscription_revivals",
            "How often Subscriptions that are not well yet were written again.",
        ),
    }


def _of_work(made: _Maker) -> dict[str, Any]:
    """The metrics of a worker."""
    return {
        "work": made.counters(
            "cds_work_total", "Pieces of work on what arrived.", "kind", "outcome"
        ),
        "work_seconds": made.seconds(
            "cds_work_seconds", "Time for a piece of work.", "kind", WORK_BUCKETS
        ),
        "worker_looked": made.gauge(
            "cds_worker_looked_timestamp_seconds", "When the worker last looked for work."
        ),
    }


def _of_messages(made: _Maker) -> dict[str, Any]:
    """The metrics of incoming requests: notifications of Subscriptions, and messages of HL7 v2."""
    return {
        "notifications": made.counter(
            "cds_notifications_total", "Notifications of Subscriptions taken in.", "kind"
        ),
        "messages": made.counter(
            "cds_hl7_messages_total", "Messages of HL7 v2 by what became of them.", "outcome"
        ),
        "message_connections": made.gauge(
            "cds_hl7_connections", "Senders of messages of HL7 v2 that are connected."
        ),
    }


def exposition(metrics: Metrics) -> bytes:
    """The metrics in the Prometheus text format."""
    return generate_latest(metrics.registry)
