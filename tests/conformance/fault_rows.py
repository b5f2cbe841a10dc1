# SPDX-License-Identifier: Apache-2.0
"""What is sent to the real server and must come of it: a row for each fault found from outside.

A row has the number of the fault. Each row stands for a kind, whose other members are tested where
the kind is mended.
"""

from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any

from tests.service.patients import (
    ALP,
    ALT,
    BILIRUBIN,
    FAILURE,
    INR,
    ISONIAZID,
    TODAY,
    UNUSED,
    Json,
    bundle,
    observation,
    request,
)

FAILURE_CARD = "alf-emergency"


@dataclass(frozen=True, kw_only=True)
class Row:
    """One fault: what is sent and what must come of it.

    `cards` must be among the rules that answer, `without` must not; `says` stands in every card.
    A row with `refused` must be answered with that status, and the words of `says` in the reason.
    """

    sent: Json
    cards: frozenset[str] = frozenset()
    without: frozenset[str] = frozenset()
    says: tuple[str, ...] = ()
    refused: int | None = None
    hook: str = "patient-view"
    orders: int = 0  # at least so many are proposed


def alt(value: float = 1500, unit: str | None = "U/L", **more: Any) -> Json:
    quantity = {"value": value} if unit is None else {"value": value, "unit": unit}
    return {**ALT, "valueQuantity": quantity, **more}


def other(given: Json, /, **more: Any) -> Json:
    return {**given, **more}


def failure(**changes: Any) -> Json:
    """The patient in liver failure, with another ALT."""
    return request(other(ALT, **changes), BILIRUBIN, ALP, INR)


def only(rule: str) -> Row:
    """The card of this rule, and nothing unused."""
    return Row(sent={}, cards=frozenset({rule}), without=frozenset({UNUSED}))


def named(*says: str, rule: str = UNUSED, hook: str = "patient-view") -> Row:
    """A loss that every card names in these words."""
    return Row(sent={}, cards=frozenset({rule, UNUSED}), says=says, hook=hook)


def small_l() -> Json:
    units = {"alt": "U/l", "bilirubin": "µmol/l", "alp": "U/l", "inr": "{INR}"}
    return request(
        *(
            other(result, valueQuantity={**result["valueQuantity"], "unit": units[result["id"]]})
            for result in FAILURE
        )
    )


def undated(*more: Json, **prefetch: Any) -> Json:
    results = [{k: v for k, v in result.items() if k != "effectiveDateTime"} for result in FAILURE]
    return request(*results, *more, **prefetch)


REPORT: Json = {
    "resourceType": "DiagnosticReport",
    "id": "report",
    "status": "final",
    "subject": {"reference": "Patient/p1"},
    "effectiveDateTime": TODAY,
    "result": [{"reference": f"Observation/{result['id']}"} for result in FAILURE],
}
NO_RESOURCE: Json = {"resourceType": "Bundle", "type": "searchset", "entry": [None]}
MAN = {"resourceType": "Patient", "id": "p1", "gender": "male"}
MILD = alt(150)
ORDERING = {
    "selections": ["MedicationRequest/isoniazid"],
    "draftOrders": bundle(other(ISONIAZID, status="draft")),
}


def ordering(*results: Json) -> Json:
    body = request(*results, hook="order-select")
    body["context"] |= ORDERING
    return body


LIMITED_ALP = {**ALP, "referenceRange": [{"high": {"value": 120, "unit": "U/L"}}]}
TOTAL = observation("total", "1975-2", 3.0, "mg/dL")
TWO_MINUTES_LATER = TODAY.replace(":00:00", ":02:00")
SAME_DRAW = [
    observation(name, code, value, unit, effectiveDateTime=TWO_MINUTES_LATER)
    for name, code, value, unit in (
        ("ast", "1920-8", 100, "U/L"),
        ("alp", "6768-6", 100, "U/L"),
        ("total", "1975-2", 0.5, "mg/dL"),
        ("albumin", "1751-7", 4.2, "g/dL"),
        ("inr", "6301-6", 1.0, "{INR}"),
    )
]

ROWS: dict[str, Row] = {
    "the patient": replace(only(FAILURE_CARD), sent=request(*FAILURE)),
    "V1 units with a small l": replace(only(FAILURE_CARD), sent=small_l()),
    "V1 in a reference range": Row(
        sent=request(alt(45, referenceRange=[{"high": {"value": 50, "unit": "U/l"}}])),
        without=frozenset({"alt-borderline", UNUSED}),
    ),
    "V2 an entry of null alone": Row(
        sent=request(observations=NO_RESOURCE),
        refused=412,
        says=("$.prefetch.observations.entry[0]",),
    ),
    "V2 an empty entry beside others": replace(
        named("a laboratory result", rule=FAILURE_CARD), sent=request(*FAILURE, {})
    ),
    "V3 a report names what nobody sent": replace(
        named("a report or panel names some that were not sent"),
        sent=request(alt(30), other(REPORT, result=[{"reference": "Observation/gone"}])),
    ),
    "V3 a total in words": Row(
        sent=request(observations=bundle(*FAILURE) | {"total": "many"}),
        cards=frozenset({FAILURE_CARD}),
        says=("only a part was sent",),
    ),
    "V4 a status in capitals": replace(only(FAILURE_CARD), sent=failure(status="Final")),
    "V4 a status of another standard": replace(
        named("its status is none of FHIR"), sent=request(alt(status="F"))
    ),
    "V4 a decimal comma": replace(
        named("total bilirubin 3,0 mg/dL"),
        sent=request(MILD, ALP, other(BILIRUBIN, valueQuantity=None, valueString="3,0 mg/dL")),
    ),
    "V4 a number in quotes": replace(
        named("its value cannot be read"),
        sent=request(other(ALT, valueQuantity={"value": "1500", "unit": "U/L"})),
    ),
    "V5 dates on the report alone": replace(only(FAILURE_CARD), sent=undated(REPORT)),
    "V5 no dates at all": replace(named("its time is missing"), sent=undated()),
    "V6 a blank after the subject": replace(
        only(FAILURE_CARD), sent=failure(subject={"reference": "Patient/p1 "})
    ),
    "V6 a subject that is a search": replace(
        named("whose it is cannot be told"),
        sent=failure(subject={"reference": "Patient?identifier=1"}),
    ),
    "V7 a date of death to come": Row(
        sent=request(*FAILURE, patient={**MAN, "deceasedDateTime": "2199-01-01"}),
        cards=frozenset({FAILURE_CARD}),
    ),
    "V8 a code that LOINC cannot have": Row(
        sent=failure(
            code={"coding": [{"system": "http://loinc.org", "code": "17426"}], "text": "ALT"}
        ),
        cards=frozenset({FAILURE_CARD}),
    ),
    "V8 another spelling of the system": replace(
        only(FAILURE_CARD), sent=failure(code={"coding": [{"system": "LOINC", "code": "1742-6"}]})
    ),
    "V9 a name of a hospital": replace(
        only(FAILURE_CARD), sent=failure(code={"text": "Alanine Aminotransferase (ALT)"})
    ),
    "V9 a name with a word too many": replace(
        named("ALT"), sent=failure(code={"text": "ALT, urine"})
    ),
    "V11 medicines that are no list": replace(
        named("medicines: "), sent=request(alt(30), medicationRequests="none")
    ),
    "W1 over range, then diluted": replace(
        only("alt-over-1000"),
        sent=request(
            alt(2350),
            other(alt(200), id="b", valueQuantity={"value": 200, "unit": "U/L", "comparator": ">"}),
        ),
    ),
    "W2 results of the same draw answer no order": Row(
        sent=request(alt(300), *SAME_DRAW), cards=frozenset({"alt-moderate"}), orders=2
    ),
    "W3 direct bilirubin over the total by rounding": replace(
        only("cholestatic-jaundice"),
        sent=request(alt(30), LIMITED_ALP, TOTAL, observation("direct", "1968-7", 3.05, "mg/dL")),
    ),
    "W5 the specimen is hemolysed": Row(
        sent=request(
            alt(30, note=[{"text": "hemolyzed specimen"}]),
            observation("ast", "1920-8", 1500, "U/L"),
        ),
        without=frozenset({"alt-over-1000"}),
    ),
    "W6 a birth year that may be a child's": replace(
        named("the birth date does not tell the age"),
        sent=request(alt(35), patient={**MAN, "birthDate": str(datetime.now(UTC).year - 18)}),
    ),
    "W7 a limit in the unit of the laboratory": Row(
        sent=request(
            alt(150),
            other(BILIRUBIN, referenceRange=[{"high": {"value": 21, "unit": "umol/L"}}]),
            ALP,
        ),
        cards=frozenset({"hys-law-pattern"}),
        says=("21 umol/L",),
    ),
    "W9 a number of another patient": replace(
        named("it is of another person"),
        sent=request(
            other(
                ALT,
                subject={
                    "reference": "Patient/p1",
                    "identifier": {"system": "https://ehr.example/mrn", "value": "2"},
                },
            ),
            BILIRUBIN,
            patient={**MAN, "identifier": [{"system": "https://ehr.example/mrn", "value": "1"}]},
        ),
    ),
    "P1 text and code contradict": replace(
        named("text and code of its unit disagree"),
        sent=request(other(ALT, valueQuantity={"value": 11.7, "unit": "µkat/l", "code": "U/L"})),
    ),
    "P2 where an order is chosen": replace(
        named("its unit is not known", hook="order-select"), sent=ordering(alt(300, "furlong"))
    ),
    "P3 a comparator of equality": replace(
        only(FAILURE_CARD),
        sent=failure(valueQuantity={"value": 1500, "unit": "U/L", "comparator": "="}),
    ),
    "P3 a blank in the time": replace(
        only(FAILURE_CARD), sent=failure(effectiveDateTime=TODAY.replace("T", " "))
    ),
    "P3 a value in a concept": replace(
        named("its value cannot be read"),
        sent=request(other(ALT, valueQuantity=None, valueCodeableConcept={"text": "5000 U/L"})),
    ),
    "P5 a birth date with a time": Row(
        sent=request(alt(90), patient={**MAN, "birthDate": "2018-02-03T00:00:00"}),
        cards=frozenset({"child-alt-over-80"}),
    ),
    "P6 a subject with the port of its server": replace(
        only(FAILURE_CARD),
        sent={
            **failure(subject={"reference": "https://ehr.example.org:443/fhir/Patient/p1"}),
            "fhirServer": "https://ehr.example.org/fhir",
        },
    ),
    "P8 a range called normal in words": Row(
        sent=request(
            alt(
                45,
                referenceRange=[
                    {"type": {"text": "Normal Range"}, "high": {"value": 50, "unit": "U/L"}}
                ],
            )
        ),
        without=frozenset({"alt-borderline", UNUSED}),
    ),
    "P9 one measurement in two units": Row(
        sent=request(alt(41), other(alt(0.68, "µkat/L"), id="b")),
        without=frozenset({UNUSED}),
    ),
    "P10 a key that is malformed inside": Row(
        sent=request(observations={"resourceType": "Bundle", "entry": "none"}),
        refused=412,
        says=("$.prefetch.observations.entry",),
    ),
}
