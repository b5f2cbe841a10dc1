# SPDX-License-Identifier: Apache-2.0
"""Metrics: their names, and that each service has its own."""

from cds_service.metrics import Process, exposition, make_metrics


def test_every_metric_appears_under_its_name() -> None:
    metrics = make_metrics()
    metrics.requests.of("liver", "patient-view", "ok").inc()
    metrics.request_seconds.of("liver").observe(0.003)
    metrics.cards.of("alt-very-low", "info").inc()
    metrics.decisions.add([("alt-very-low", "card")])
    metrics.results_set_aside.of("alt", "no-unit").inc()
    metrics.feedback.labels("alt-very-low", "overridden").inc()
    metrics.pack_info.labels("liver", "1.0.0").set(1)
    metrics.results_used.inc(2)
    metrics.errors.of("liver", "412").inc()
    metrics.info.labels("0.1.0", "production", "serve").set(1)
    metrics.pack_signed.labels("liver", "1.0.0").set(0)
    metrics.database_up.set(1)
    metrics.certificate_end.labels("1").set(3)
    metrics.signing_key_begun.labels("ES384").set(4)
    metrics.signing_keys_current.set(1)
    metrics.clients.set(2)
    metrics.clients_current.set(1)
    metrics.refused.labels("ehr", "audience").inc()
    metrics.replay_unchecked.inc()
    metrics.replay_late.inc()
    metrics.notifications.labels("resource").inc()
    metrics.inbox_waiting.set(3)
    metrics.inbox_oldest.set(4.5)
    metrics.inbox_dead.set(1)
    metrics.advice_refused.set(2)
    metrics.subscriptions_failing.set(1)
    metrics.subscription_revivals.set(3)
    metrics.searches_failing.set(2)

    text = exposition(metrics).decode()

    for sample in (
        'cds_requests_total{hook="patient-view",outcome="ok",service="liver"} 1.0',
        'cds_request_seconds_count{service="liver"} 1.0',
        'cds_cards_total{indicator="info",rule="alt-very-low"} 1.0',
        'cds_decisions_total{answer="card",rule="alt-very-low"} 1.0',
        'cds_results_set_aside_total{marker="alt",reason="no-unit"} 1.0',
        'cds_feedback_total{outcome="overridden",rule="alt-very-low"} 1.0',
        'cds_pack_info{pack="liver",version="1.0.0"} 1.0',
        "cds_results_used_total 2.0",
        'cds_error_responses_total{service="liver",status="412"} 1.0',
        'cds_info{process="serve",profile="production",version="0.1.0"} 1.0',
        'cds_pack_signed{pack="liver",version="1.0.0"} 0.0',
        "cds_database_up 1.0",
        'cds_certificate_end_timestamp_seconds{place="1"} 3.0',
        'cds_signing_key_begun_timestamp_seconds{algorithm="ES384"} 4.0',
        "cds_signing_keys_current 1.0",
        "cds_clients 2.0",
        "cds_clients_current 1.0",
        'cds_calls_refused_total{client="ehr",reason="audience"} 1.0',
        "cds_replay_unchecked_total 1.0",
        "cds_replay_late_total 1.0",
        'cds_notifications_total{kind="resource"} 1.0',
        "cds_inbox_waiting 3.0",
        "cds_inbox_oldest_seconds 4.5",
        "cds_inbox_dead 1.0",
        "cds_advice_refused 2.0",
        "cds_subscriptions_failing 1.0",
        "cds_subscription_revivals 3.0",
        "cds_searches_failing 2.0",
    ):
        assert sample in text.splitlines()


SHARED = {"cds_database_up", "cds_inbox_dead", "cds_inbox_oldest_seconds", "cds_inbox_waiting"}


def exported(process: Process) -> set[str]:
    """What a process exports before anything has happened, by its names in the text."""
    text = exposition(make_metrics(process)).decode()
    return {line.split()[2] for line in text.splitlines() if line.startswith("# TYPE ")}


def test_the_worker_and_the_listener_export_what_they_set_and_nothing_that_stays_zero() -> None:
    """An alert on `cds_clients_current == 0` would fire for a process that reads no clients."""
    worker, listener = exported("worker"), exported("listen")

    assert {"cds_work_total", "cds_worker_looked_timestamp_seconds"} <= worker
    assert {"cds_hl7_messages_total", "cds_hl7_connections"} <= listener
    assert worker & listener >= SHARED
    assert worker & exported("serve") >= {*SHARED, "cds_pack_signed", "cds_signing_keys_current"}
    for name in ("cds_clients_current", "cds_requests_total", "cds_decisions_total"):
        assert name in exported("serve")
        assert name not in worker | listener


def test_two_services_do_not_share_metrics() -> None:
    first, second = make_metrics(), make_metrics()

    first.cards.of("alt-very-low", "info").inc()

    assert b"alt-very-low" not in exposition(second)
