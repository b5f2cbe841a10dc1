# SPDX-License-Identifier: Apache-2.0
"""Every metric, in one place.

Labels are names that the packs and the code know (services, hooks, rules, markers, outcomes),
never text of a request: a label is kept for ever, and must not name a patient.
"""

from collections import Counter as Counter_
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from threading import Lock
from typing import Any, Generic, TypeVar

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest
from prometheus_client.core import CounterMetricFamily, Metric
from prometheus_client.registry import Collector

_M = TypeVar("_M", Counter, Histogram)

# Seconds. A hook should answer in tens of milliseconds; clients give up after about half a second.
BUCKETS = (0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0, 5.0)


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


def make_metrics() -> Metrics:
    """New metrics, all at zero, in a registry of their own."""
    registry = CollectorRegistry()

    def counter(name: str, meaning: str, *labels: str) -> Counter:
        return Counter(name, meaning, labels, registry=registry)

    def of_calls(name: str, meaning: str, *labels: str) -> Children[Counter]:
        return Children(counter(name, meaning, *labels))

    def gauge(name: str, meaning: str) -> Gauge:
        return Gauge(name, meaning, registry=registry)

    return Metrics(
        registry=registry,
        requests=of_calls("cds_requests_total", "Requests answered.", "service", "hook", "outcome"),
        request_seconds=_request_seconds(registry),
        cards=of_calls("cds_cards_total", "Cards returned.", "rule", "indicator"),
        cards_held_back=of_calls(
            "cds_cards_held_back_total",
            "Cards of rules that fired which were not shown.",
            "rule",
            "reason",
        ),
        decisions=_rule_answers(registry),
        results_set_aside=Children(
            counter(
                "cds_results_set_aside_total", "Results that were not used.", "marker", "reason"
            )
        ),
        feedback=counter("cds_feedback_total", "New events in feedback.", "rule", "outcome"),
        results_used=counter("cds_results_used_total", "Results that could be used."),
        errors=of_calls(
            "cds_error_responses_total", "Answers of status 400 or more.", "service", "status"
        ),
        **_of_operations(registry),
        clients=gauge("cds_clients", "Registered clients in force."),
        clients_current=gauge(
            "cds_clients_current",
            "1 if the file of clients is in force as it is, 0 if it has problems.",
        ),
        refused=counter(
            "cds_calls_refused_total", "Calls without a valid token.", "client", "reason"
        ),
        replay_unchecked=counter(
            "cds_replay_unchecked_total",
            "Calls let in before it was known whether their token was used on another machine.",
        ),
        replay_late=counter(
            "cds_replay_late_total", "Calls among those whose token proved to have been used."
        ),
        quiet_unsure=counter(
            "cds_quiet_unsure_total",
            "Cards shown while it was not known whether another process had shown them lately.",
        ),
        **_of_inbox(registry),
        fhir_queries=counter(
            "cds_fhir_queries_total", "Queries to FHIR servers for calls.", "outcome"
        ),
    )


def _request_seconds(registry: CollectorRegistry) -> Children[Histogram]:
    return Children(
        Histogram(
            "cds_request_seconds",
            "Time to answer a request.",
            ("service",),
            buckets=BUCKETS,
            registry=registry,
        )
    )


def _rule_answers(registry: CollectorRegistry) -> RuleAnswers:
    answers = RuleAnswers()
    registry.register(answers)
    return answers


def _of_operations(registry: CollectorRegistry) -> dict[str, Any]:
    """The metrics of what the service stands on: approval, database, certificate, keys."""

    def gauge(name: str, meaning: str, *labels: str) -> Gauge:
        return Gauge(name, meaning, labels, registry=registry)

    return {
        "info": gauge("cds_info", "1, with the version and the profile.", "version", "profile"),
        "pack_info": gauge("cds_pack_info", "1 for each pack in use.", "pack", "version"),
        "pack_signed": gauge(
            "cds_pack_signed",
            "1 if a clinician signed the rules of the pack as they are, else 0.",
            "pack",
            "version",
        ),
        "database_up": gauge("cds_database_up", "1 if the database answered lately, else 0."),
        "certificate_end": gauge(
            "cds_certificate_end_timestamp_seconds",
            "When the certificate at this place of the chain in use ends; none behind a proxy.",
            "place",
        ),
        "signing_key_begun": gauge(
            "cds_signing_key_begun_timestamp_seconds",
            "Since when the key that signs has signed; 0 if its file does not say.",
            "algorithm",
        ),
        "signing_keys_current": gauge(
            "cds_signing_keys_current",
            "1 if the file of signing keys is in force as it is, or there is none; 0 if it has "
            "problems.",
        ),
    }


def _of_inbox(registry: CollectorRegistry) -> dict[str, Any]:
    """The metrics of results that arrive."""

    def gauge(name: str, meaning: str) -> Gauge:
        return Gauge(name, meaning, registry=registry)

    return {
        "notifications": Counter(
            "cds_notifications_total",
            "Notifications of Subscriptions taken in.",
            ("kind",),
            registry=registry,
        ),
        "messages": Counter(
            "cds_hl7_messages_total",
            "Messages of HL7 v2 by what became of them.",
            ("outcome",),
            registry=registry,
        ),
        "message_connections": gauge(
            "cds_hl7_connections", "Senders of messages of HL7 v2 that are connected."
        ),
        "inbox_waiting": gauge("cds_inbox_waiting", "Results that arrived and wait for a worker."),
        "inbox_oldest": gauge(
            "cds_inbox_oldest_seconds", "How long the first of those that wait has waited."
        ),
        "inbox_dead": gauge(
            "cds_inbox_dead", "Results, and refused advice, that failed too often: dead letters."
        ),
        "advice_refused": gauge(
            "cds_advice_refused",
            "Decisions whose advice a FHIR server refused and which is not written yet.",
        ),
        "subscriptions_failing": gauge(
            "cds_subscriptions_failing",
            "Subscriptions that their server set off, reports an error of, or no longer has.",
        ),
        "searches_failing": gauge(
            "cds_searches_failing",
            "Searches for results that no notification named which fail again and again.",
        ),
        "subscription_revivals": gauge(
            "cds_subscription_revivals",
            "How often Subscriptions that are not well yet were written again.",
        ),
    }


def exposition(metrics: Metrics) -> bytes:
    """The metrics in the Prometheus text format."""
    return generate_latest(metrics.registry)
