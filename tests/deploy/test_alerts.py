# SPDX-License-Identifier: Apache-2.0
"""Alert rules: each fires when it must and only then, on metrics that the service exports."""

import http.client
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from time import monotonic, sleep
from typing import Any, get_args

import pytest
import yaml

from cds_service.labs.set_aside_reasons import LOSSES, SetAsideReason
from tests.conformance.certificate import make_certificate
from tests.conformance.server import post, say, serving, status
from tests.deploy.promtool import CASES, RULES, alerts, cases, promtool, rules, unknown
from tests.house.source import ROOT
from tests.store.postgres import Postgres

RUNBOOKS = "docs/how-to/runbooks.md"
SECTIONS = re.findall(r"^## (\S+)$", (ROOT / RUNBOOKS).read_text(encoding="utf-8"), re.MULTILINE)
ALERTS = sorted(alerts())


def test_the_rules_are_rules() -> None:
    promtool("check", "rules", RULES)


@pytest.mark.slow
@pytest.mark.parametrize("file", CASES, ids=lambda file: file.name)
def test_every_alert_fires_and_stays_silent_as_its_cases_say(file: Path) -> None:
    promtool("test", "rules", file)


@pytest.mark.parametrize("alert", ALERTS)
def test_each_alert_has_a_case_in_which_it_fires_and_one_in_which_it_is_silent(alert: str) -> None:
    expected = [
        bool(look["exp_alerts"])
        for case in cases()
        for look in case["alert_rule_test"]
        if look["alertname"] == alert
    ]

    assert set(expected) == {True, False}


def test_a_case_of_silence_has_a_series_that_the_alert_looks_at() -> None:
    """A case without one is silent whatever the rule says."""
    for case in cases():
        given = {series["series"].partition("{")[0] for series in case["input_series"]}
        for look in case["alert_rule_test"]:
            if look["exp_alerts"] == []:
                assert series_of(alerts()[look["alertname"]]["expr"]) & given, case["name"]


def series_of(expression: str) -> set[str]:
    """The series from which an expression is computed, through recording rules."""
    for rule in reversed(rules()):
        if "record" in rule:
            expression = expression.replace(rule["record"], rule["expr"])
    return set(re.findall(r"\bcds_[a-z_]+|\bup\b", expression))


@pytest.mark.parametrize("rule", rules(), ids=lambda rule: rule.get("alert") or rule["record"])
def test_each_rule_asks_for_what_is_exported(rule: Mapping[str, Any]) -> None:
    assert unknown(rule["expr"]) == []


def test_what_is_not_exported_is_found() -> None:
    assert unknown('sum(cds_cards_total{rule="x",color="red"}) / cds_cards') == [
        "cds_cards_total: color",
        "cds_cards",
    ]


def test_each_alert_has_its_section_in_the_runbooks_and_each_section_its_alert() -> None:
    links = {name: rule["annotations"]["runbook_url"] for name, rule in alerts().items()}

    assert links == {name: f"{RUNBOOKS}#{name.lower()}" for name in SECTIONS}
    assert len(SECTIONS) == len(set(SECTIONS))


def test_lost_results_are_those_that_state_a_value_of_the_patient() -> None:
    for rule in rules():
        if "job:cds_results_lost:increase" in rule.get("record", ""):
            (pattern,) = re.findall(r'reason!~"([^"]+)"', rule["expr"])
            lost = {
                reason for reason in get_args(SetAsideReason) if not re.fullmatch(pattern, reason)
            }
            assert lost == set(LOSSES)


def metrics_of(port: int) -> str:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
    try:
        connection.request("GET", "/metrics")
        return connection.getresponse().read().decode()
    finally:
        connection.close()


def value(text: str, name: str) -> str:
    (line,) = re.findall(rf"^{name} (\S+)$", text, re.MULTILINE)
    return str(float(line))


@pytest.fixture(name="called", scope="module")
def _called() -> Iterator[str]:
    """What /metrics of a real service says after a call that it takes and one it refuses."""
    with serving() as port:
        for body in (b"{}", b"[]"):
            said, _ = say(port, post(body))
            assert status(said) == 400
        yield metrics_of(port)


@pytest.mark.server
def test_promtool_takes_the_metrics_of_a_running_service(called: str) -> None:
    promtool("check", "metrics", given=called)


@pytest.mark.server
def test_what_alerts_count_is_there_before_it_happens(called: str) -> None:
    for sample in (
        'cds_requests_total{hook="patient-view",outcome="cards",service="liver-patient-view"}',
        'cds_requests_total{hook="none",outcome="crash",service="liver-patient-view"}',
        'cds_error_responses_total{service="liver-patient-view",status="412"}',
        'cds_results_set_aside_total{marker="alt",reason="unit-unknown"}',
    ):
        assert value(called, re.escape(sample)) == "0.0"
    refused = 'cds_error_responses_total{service="liver-patient-view",status="400"}'
    assert value(called, re.escape(refused)) == "2.0"


@pytest.mark.server
def test_the_end_of_the_certificate_in_use_is_exported(tmp_path: Path) -> None:
    import ssl

    certificate, key = make_certificate(tmp_path)
    with serving(tls_certificate=certificate, tls_key=key) as port:
        context = ssl.create_default_context(cafile=str(certificate))
        connection = http.client.HTTPSConnection("127.0.0.1", port, context=context, timeout=60)
        connection.request("GET", "/metrics")
        text = connection.getresponse().read().decode()
        peer = connection.sock.getpeercert()
        connection.close()

    assert peer
    end = ssl.cert_time_to_seconds(str(peer["notAfter"]))
    name = re.escape('cds_certificate_end_timestamp_seconds{place="1"}')
    assert value(text, name) == str(float(end))


@pytest.mark.server
@pytest.mark.database
def test_an_alert_fires_when_the_database_stops_and_ends_when_it_is_back(
    postgres: Postgres, postgres_url: str, tmp_path: Path
) -> None:
    with serving(database_url=postgres_url) as port:
        before = value(metrics_of(port), "cds_database_up")
        with postgres.stopped():
            sleep(3)  # what is known is fresh for two seconds
            during = value(metrics_of(port), "cds_database_up")
        end = monotonic() + 60
        while value(metrics_of(port), "cds_database_up") != "1.0":
            assert monotonic() < end, "the database came back and nobody saw it"
            sleep(0.5)

    # A minute between two scrapes; what they would have read.
    case = {
        "rule_files": [str(RULES)],
        "evaluation_interval": "1m",
        "tests": [
            {
                "interval": "1m",
                "input_series": [
                    {
                        "series": 'cds_database_up{job="cds-service",instance="a:8000"}',
                        "values": f"{before}x4 {during}x4 1x4",
                    }
                ],
                "alert_rule_test": [
                    looked("4m", fires=False),
                    looked("8m", fires=True),
                    looked("12m", fires=False),
                ],
            }
        ],
    }
    file = tmp_path / "case.yaml"
    file.write_text(yaml.safe_dump(case), encoding="utf-8")
    promtool("test", "rules", file)


def looked(at: str, *, fires: bool) -> dict[str, Any]:
    """What is expected of the alert at this time."""
    firing = {
        "exp_labels": {"job": "cds-service", "instance": "a:8000", "severity": "critical"},
        "exp_annotations": {
            "summary": "The database of a:8000 does not answer.",
            "runbook_url": f"{RUNBOOKS}#cdsdatabaseunreachable",
        },
    }
    return {
        "eval_time": at,
        "alertname": "CdsDatabaseUnreachable",
        "exp_alerts": [firing] if fires else [],
    }
