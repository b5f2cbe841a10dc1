# SPDX-License-Identifier: Apache-2.0
"""What intake reads although it was not sent as it should be, and what it names instead."""

import pytest

from tests.service.patients import (
    ALP,
    ALT,
    BILIRUBIN,
    FAILURE,
    INR,
    UNUSED,
    Json,
    cards,
    observation,
    request,
)

REST = (BILIRUBIN, ALP, INR)
LOW = {"value": 20, "unit": "U/L"}


def alt(**more: object) -> Json:
    return {**ALT, **more}


@pytest.mark.parametrize(
    "change",
    [
        {"status": "Final "},
        {"effectiveDateTime": "20260615T060000Z"},
        {"effectiveDateTime": "2026-06-15 06:00:00Z"},
        {"effectiveDateTime": "20260615"},
        {"subject": {"reference": "Patient/p1/"}},
        {"subject": {"reference": " "}},
    ],
    ids=str,
)
def test_what_can_mean_one_thing_only_is_read(change: Json) -> None:
    assert set(cards(request(alt(**change), *REST))) == {"alf-emergency"}


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"subject": {"reference": "Patient?identifier=1"}}, "whose it is cannot be told"),
        ({"subject": {"reference": "Patient/p2"}}, "ALT, 2026-06-15: it is of another person"),
        ({"status": "F"}, "its status is none of FHIR"),
        ({"effectiveDateTime": "x"}, "its time is missing"),
        (
            {"effectiveInstant": "2020-01-01T00:00:00Z"},
            "ALT 1500 U/L, date not known: its time is missing or cannot be read",
        ),
        (
            {
                "effectiveDateTime": None,
                "effectivePeriod": {"start": "2026-06-15T06:00:00Z", "end": "2020-01-01"},
            },
            "its time is missing or cannot be read",
        ),
        ({"code": None}, "a laboratory result, date not known: it came without a code"),
    ],
    ids=str,
)
def test_what_cannot_be_used_is_named(change: Json, words: str) -> None:
    assert words in cards(request(alt(**change), *REST))[UNUSED]["detail"]


def test_a_resource_of_another_test_and_patient_is_not_named() -> None:
    glucose = observation("g", "2345-7", 90, "mg/dL", subject={"reference": "Patient/p2"})

    assert set(cards(request(*FAILURE, glucose))) == {"alf-emergency"}


def test_a_panel_without_anything_inside_is_named_unless_it_was_not_done() -> None:
    panel = observation("panel", "24325-3", 0, "1", valueQuantity=None)

    assert "it came without a value" in cards(request(panel))[UNUSED]["detail"]
    assert cards(request({**panel, "status": "cancelled"})) == {}


def test_a_component_may_hold_the_value_of_the_whole() -> None:
    component = [{"code": ALT["code"], "valueQuantity": ALT["valueQuantity"]}]

    whole = alt(valueQuantity=None, component=component)

    assert set(cards(request(whole, *REST))) == {"alf-emergency"}


def test_two_that_nothing_orders_and_two_of_two_servers_are_both_read() -> None:
    assert "alf-emergency" in cards(request(alt(valueQuantity=LOW), alt(), *REST))
    assert "alf-emergency" in cards(request({**BILIRUBIN, "id": "alt"}, alt(), ALP, INR))
    body = request(alt(valueQuantity=LOW), alt(), *REST)
    for entry, server in zip(body["prefetch"]["observations"]["entry"], "ab", strict=False):
        entry["fullUrl"] = f"https://{server}.example/Observation/alt"
    assert "alf-emergency" in cards(body)


@pytest.mark.parametrize("end", [{"low": "<"}, {"high": ">"}], ids=str)
def test_a_limit_that_says_the_contrary_is_none(end: dict[str, str]) -> None:
    ((name, comparator),) = end.items()
    limit = [{name: {"value": 100, "unit": "U/L", "comparator": comparator}}]

    shown = cards(request(alt(valueQuantity={"value": 300, "unit": "U/L"}, referenceRange=limit)))

    assert "40 U/L" in shown["alt-moderate"]["detail"]


def test_a_withdrawn_report_supplies_no_time() -> None:
    report: Json = {
        "resourceType": "DiagnosticReport",
        "id": "report",
        "status": "entered-in-error",
        "effectiveDateTime": "2026-06-15T06:00:00Z",
        "result": [{"reference": "Observation/alt"}],
    }

    shown = cards(request(alt(effectiveDateTime=None), report))

    assert "its time is missing" in shown[UNUSED]["detail"]


@pytest.mark.parametrize("status", ["entered-in-error", "Entered-In-Error "])
def test_a_withdrawn_note_on_hemolysis_speaks_for_no_specimen(status: str) -> None:
    withdrawn = observation(
        "k", "2823-3", 5, "mmol/L", status=status, note=[{"text": "specimen hemolyzed"}]
    )
    ast = observation("ast", "1920-8", 1500, "U/L")

    assert "alt-over-1000" in cards(request(alt(valueQuantity=LOW), ast, withdrawn))
