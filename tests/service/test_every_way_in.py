# SPDX-License-Identifier: Apache-2.0
"""The same resources give the same cards by a call, a file, an export and an arrival."""

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from copy import deepcopy
from typing import Any, Final

import pytest
from msgspec import Raw
from msgspec.json import encode

from cds_service.decide import Outcome, settle
from cds_service.hooks.request import read_request
from cds_service.prefetch_keys import Kind
from cds_service.service import answer_hook, answer_input, asked_on_arrival, evaluated
from cds_service.sources.file import inputs_from_document, read_resources
from cds_service.sources.lines import ResourceText, input_from_lines
from cds_service.subscriptions.judgement import judge
from cds_service.subscriptions.patient_data import ArrivedVersion
from tests.web.http_fixtures import (
    ALP,
    ALT,
    AST,
    BILIRUBIN,
    NOW,
    PATIENT,
    bundle,
    call,
    knowledge,
    observation,
    patient,
)

Json = dict[str, Any]
Shown = list[tuple[str, str, tuple[str, ...]]]
INR, ACETAMINOPHEN = "6301-6", "3298-7"
SERVICE, HOOK = "liver-patient-view", "patient-view"
KNOWN: Final[frozenset[Kind]] = frozenset(("Patient", "Observation"))
UNUSED: Final = "dq-results-set-aside"  # makes no Task when a result arrives

PATIENTS: Mapping[str, Sequence[Json]] = {
    "alf": [
        observation(ALT, 1500),
        observation(BILIRUBIN, 6.2, "mg/dL"),
        observation(ALP, 110),
        observation(INR, 2.1, "{INR}"),
    ],
    "hy": [observation(ALT, 150), observation(BILIRUBIN, 51, "umol/L"), observation(ALP, 90)],
    "no-alt": [observation(AST, 900), observation(INR, 2.5, ""), observation(BILIRUBIN, 8, "mg%")],
    "low": [observation(ALT, 1)],
    "level": [observation(ACETAMINOPHEN, 200, "ug/mL")],
}
FORMS: Mapping[str, Json] = {
    "plain": {},
    "preliminary": {"status": "preliminary"},
    "amended": {"status": "amended"},
    "withdrawn": {"status": "entered-in-error"},
    "no status": {"status": None},
    "no time": {"effectiveDateTime": None},
    "day": {"effectiveDateTime": "2026-06-14"},
    "time zone": {"effectiveDateTime": "2026-06-14T22:00:00+14:00"},
    "issued": {"effectiveDateTime": None, "issued": "2026-06-14T08:00:00Z"},
    "period": {"effectiveDateTime": None, "effectivePeriod": {"start": "2026-06-14"}},
    "future": {"effectiveDateTime": "2027-06-14T08:00:00Z"},
    "text": {"valueQuantity": None, "valueString": ">1500 U/L"},
    "integer": {"valueQuantity": None, "valueInteger": 1500},
    "concept": {"valueQuantity": None, "valueCodeableConcept": {"text": "1500 U/L"}},
    "absent": {"valueQuantity": None, "dataAbsentReason": {"text": "unknown"}},
    "no unit": {"valueQuantity": {"value": 1500}},
    "unknown unit": {"valueQuantity": {"value": 1500, "unit": "parsec"}},
    "range": {"referenceRange": [{"high": {"value": 30}}]},
    "flag": {"interpretation": [{"coding": [{"code": "HH"}]}]},
    "hemolyzed": {"note": [{"text": "hemolyzed specimen"}]},
    "another specimen": {"specimen": {"display": "Ascitic fluid"}},
    "negated": {"modifierExtension": [{"url": "x", "valueBoolean": True}]},
    "no subject": {"subject": None},
    "local code first": {"code": {"coding": [{"code": "X"}, {"system": "http://loinc.org"}]}},
}


def as_called(resources: Sequence[Json]) -> Outcome:
    results = [each for each in resources if each["resourceType"] == "Observation"]
    sent = call(*results)
    sent["prefetch"] = {"patient": resources[0], "observations": bundle(*results)}
    request = read_request(encode(sent), max_depth=64, max_entries=1000)
    return answer_hook(knowledge(), request, SERVICE, NOW).outcome


def as_bundle(resources: Sequence[Json]) -> Outcome:
    return _of_file(encode(bundle(*resources)))


def as_ndjson(resources: Sequence[Json]) -> Outcome:
    return _of_file(b"\n".join(map(encode, resources)))


def _of_file(data: bytes) -> Outcome:
    (given,) = inputs_from_document(read_resources(data))
    return answer_input(knowledge(), given, SERVICE, HOOK, NOW).outcome


def as_exported(resources: Sequence[Json]) -> Outcome:
    lines = [ResourceText(each["resourceType"], json.dumps(each)) for each in resources]
    given = input_from_lines(PATIENT, lines, KNOWN)
    served = knowledge().services[SERVICE][HOOK]
    return settle(evaluated(knowledge(), served, given, HOOK, NOW))


def as_arrived(resources: Sequence[Json]) -> Outcome:
    """All results at once, as those of a panel are."""
    arrived = [
        ArrivedVersion(reference=f"Observation/{each['id']}", body=Raw(encode(each)))
        for each in resources
        if each["resourceType"] == "Observation"
    ]
    sent = call()
    sent["prefetch"] = {"patient": resources[0], "observations": bundle()}
    request = read_request(encode(sent), max_depth=64, max_entries=1000)
    ((service, served),) = asked_on_arrival(knowledge())
    judgement = judge(knowledge(), service, served, request, arrived, NOW)
    return judgement.outcome(frozenset(), frozenset())


WAYS: Sequence[Callable[[Sequence[Json]], Outcome]] = (as_bundle, as_ndjson, as_exported)


def shown(outcome: Outcome, *, without: str = "") -> Shown:
    return sorted(
        (decision.rule.id, decision.indicator, tuple(order.order for order in decision.orders))
        for decision in outcome.decisions
        if decision.shown and decision.rule.id != without
    )


def not_used(outcome: Outcome) -> list[tuple[str, str, str]]:
    return sorted((item.reason, item.marker, item.number) for item in outcome.record.set_aside)


def sent(results: Sequence[Json], form: Json) -> Iterator[Json]:
    """The patient, and the results of which the first has this form."""
    yield patient()
    first, *others = deepcopy(list(results))
    if "code" in form:  # the local code first, then its own
        local, loinc = form["code"]["coding"]
        form = {"code": {"coding": [local, {**loinc, **first["code"]["coding"][0]}]}}
    made = {**first, **form}
    yield {name: value for name, value in made.items() if value is not None}
    yield from others


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("name", PATIENTS)
def test_every_way_in_gives_the_same_cards(name: str, form: str) -> None:
    resources = list(sent(PATIENTS[name], FORMS[form]))
    called = as_called(resources)

    for way in WAYS:
        outcome = way(resources)
        assert shown(outcome) == shown(called), way.__name__
        assert not_used(outcome) == not_used(called), way.__name__
    arrived = as_arrived(resources)
    assert shown(arrived, without=UNUSED) == shown(called, without=UNUSED)
    assert not_used(arrived) == not_used(called)


def test_the_patients_are_ill() -> None:
    assert {name for name in PATIENTS if shown(as_called(list(sent(PATIENTS[name], {}))))} == set(
        PATIENTS
    )
