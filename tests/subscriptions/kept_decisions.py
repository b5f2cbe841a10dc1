# SPDX-License-Identifier: Apache-2.0
"""Decisions as a worker keeps them, made without a FHIR server.

keep(database, ("Observation/a", very_low()), mode="silent")
"""

import zlib
from collections.abc import Sequence
from datetime import datetime, timedelta
from functools import cache
from typing import Any

from msgspec.json import encode
from sqlalchemy import insert

from cds_service.store import Store
from cds_service.store.tables import decisions
from cds_service.subscriptions.judgement import DecisionInput, findings_of
from cds_service.subscriptions.patient_data import ArrivedVersion
from tests.subscriptions.test_advice import judged
from tests.web.http_fixtures import ALT, BILIRUBIN, NOW, observation

Json = dict[str, Any]

SERVER = "https://fhir.example.org/r4"
PATIENT = "ZZPATIENT"  # a canary
RESULT = "Observation/ZZRESULT"
LIMIT = [{"high": {"value": 40, "unit": "U/L"}}]


@cache
def very_low() -> list[Json]:
    """What is found for ALT 1 U/L, and what of it would have been written."""
    return _findings(observation(ALT, 1))


@cache
def critical() -> list[Json]:
    """The same for a high ALT with a high bilirubin."""
    high = observation(ALT, 400, referenceRange=LIMIT)
    return _findings(high, observation(BILIRUBIN, 4.1, "mg/dL"))


@cache
def nothing() -> list[Json]:
    """The same for an unremarkable ALT."""
    return _findings(observation(ALT, 25, referenceRange=LIMIT))


def unknown_rule() -> list[Json]:
    """What an older pack found by a rule that today's does not have."""
    orders = [{"order": "gone-order", "code": "1-1", "withinDays": [0, 3], "priority": "routine"}]
    finding = {
        "pack": "liver",
        "rule": "<b>gone</b>",
        "version": "0.1.0",
        "answer": "card",
        "indicator": "warning",
        "orders": orders,
        "unknown": ["gone-fact"],
    }
    return [finding, {"advice": "not-written", "rule": "<b>gone</b>", "indicator": "warning"}]


def keep(
    store: Store,
    *findings: list[Json],
    server: str = SERVER,
    now: datetime = NOW,
    **more: Any,
) -> Sequence[int]:
    """The ids of decisions with these findings, each a second later than the one before."""
    given = DecisionInput(
        server=server, patient=PATIENT, at=now, arrived=(ArrivedVersion(reference=RESULT),)
    )
    kept = zlib.compress(encode(given))
    rows = [
        {
            "server": server,
            "patient": PATIENT,
            "decided": now + timedelta(seconds=n - len(findings)),
            "trigger": "result-arrived",
            "packs": {"liver": {"version": "2.0.0", "lock": "0" * 32}},
            "input": kept,
            "findings": finding,
            "mode": "silent",
            "written": "no",
            "problem": "",
            **more,
        }
        for n, finding in enumerate(findings)
    ]
    with store.database.writing() as connection:
        returned = insert(decisions).returning(decisions.c.id, sort_by_parameter_order=True)
        return connection.execute(returned, rows).scalars().all()


def _findings(*results: Json) -> list[Json]:
    found = findings_of(judged(*results).outcome(frozenset(), frozenset()))
    advice = [
        {"advice": "not-written", "rule": finding["rule"], "indicator": finding["indicator"]}
        for finding in found
        if "indicator" in finding and "because" not in finding
    ]
    return [*found, *advice]
