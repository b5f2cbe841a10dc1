# SPDX-License-Identifier: Apache-2.0
"""More inputs of the faults found from outside: each that the list of faults names by itself."""

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

from tests.conformance.fault_rows import (
    FAILURE_CARD,
    MAN,
    REPORT,
    Row,
    alt,
    failure,
    named,
    only,
    other,
    undated,
)
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

READ = only(FAILURE_CARD)
NAMED = Row(sent={}, cards=frozenset({UNUSED}))
NOT_AN_ENTRY: dict[str, Any] = {
    "of null": None,
    "without anything": {},
    "with a resource of null": {"resource": None},
    "that is a list": [ALT],
    "that is a text": "ALT 1500 U/L",
    "without a type": {"resource": {"status": "final", "code": ALT["code"]}},
    "of a misspelt type": {"resource": other(ALT, resourceType="Observaton")},
}
# Changes of the ALT of the patient in liver failure, which is read all the same.
HARMLESS: dict[str, Json] = {
    "V4 blanks around the status": {"status": " final "},
    "V4 a blank after the time": {"effectiveDateTime": f"{TODAY} "},
    "V4 small letters in the time": {"effectiveDateTime": TODAY.lower()},
    "V6 a slash after the subject": {"subject": {"reference": "Patient/p1/"}},
    "V6 a subject in small letters": {"subject": {"reference": "patient/p1"}},
    "V8 the system by https": {
        "code": {"coding": [{"system": "https://loinc.org/", "code": "1742-6"}]}
    },
    "V8 the system by its OID": {
        "code": {"coding": [{"system": "urn:oid:2.16.840.1.113883.6.1", "code": "1742-6"}]}
    },
    "V9 a name and another": {"code": {"text": "ALT(SGPT)"}},
    "V9 the long name of LOINC": {
        "code": {"text": "Alanine aminotransferase [Enzymatic activity/volume] in Serum or Plasma"}
    },
    "P3 a comparator as an entity": {
        "valueQuantity": {"value": 1500, "unit": "U/L", "comparator": "&gt;"}
    },
}
# Changes of an ALT of 1500 U/L that is alone, and is not used.
HARMFUL: dict[str, Json] = {
    "V4 no status": {"status": None},
    "V4 no date": {"effectiveDateTime": None},
    "V4 a date to come": {"effectiveDateTime": "2199-01-01T00:00:00Z"},
    "V4 a number of 400 digits": {"valueQuantity": {"value": "@1e400", "unit": "U/L"}},
    "V4 a comma for thousands": {"valueQuantity": None, "valueString": "1,500 U/L"},
    "V4 a comparator before it": {"valueQuantity": None, "valueString": ">1,500 U/L"},
    "V4 a star behind the number": {"valueQuantity": None, "valueString": "1500*"},
    "V4 a flag before the number": {"valueQuantity": None, "valueString": "H 1200"},
    "V4 a comparator of R5": {"valueQuantity": {"value": 1500, "unit": "U/L", "comparator": "ad"}},
    "V4 a value that is absent": {"dataAbsentReason": {"text": "not done"}},
    "V4 two values": {"valueString": "1500 U/L"},
    "V4 a modifier": {"modifierExtension": [{"url": "https://example.org/not"}]},
    "V8 a code that the name cannot save": {
        "code": {"coding": [{"system": "http://loinc.org", "code": "17426"}]}
    },
    "P1 an unknown text beside a code": {
        "valueQuantity": {"value": 1500, "unit": "furlong", "code": "U/L"}
    },
}
UNREADABLE: dict[str, Any] = {
    "an entry of null": {"resourceType": "Bundle", "entry": [None]},
    "no type": {"resourceType": "Bundle", "entry": [{"resource": {"status": "active"}}]},
    "a text": "isoniazid 300 mg",
    "a part": {"resourceType": "Bundle", "total": 3, "entry": []},
}


def _rows() -> Iterator[tuple[str, Row]]:
    for name, entry in NOT_AN_ENTRY.items():
        observations = {"resourceType": "Bundle", "type": "searchset", "entry": [entry]}
        path = ("$.prefetch.observations.entry[0]",)
        alone = request(observations=observations)
        yield f"V2 an entry {name} alone", Row(sent=alone, refused=412, says=path)
        beside = {**bundle(*FAILURE), "total": None}
        beside["entry"] = [*beside["entry"], entry]
        sent = request(observations=beside)
        yield f"V2 an entry {name} beside others", replace(NAMED, sent=sent)
    for name, change in HARMLESS.items():
        yield name, replace(READ, sent=failure(**change))
    for name, change in HARMFUL.items():
        yield name, replace(NAMED, sent=request(other(ALT, **change)))
    for name, medicines in UNREADABLE.items():
        sent = request(alt(30), medicationRequests=medicines)
        yield f"V11 medicines that are {name}", replace(NAMED, sent=sent)


def _twice(key: str) -> str:
    """A key that comes twice once the text is written: a `dict` cannot hold one."""
    return f"{key}@twice"


MORE_ROWS: dict[str, Row] = {
    **dict(_rows()),
    "V3 a panel names what nobody sent": replace(
        named("a report or panel names some that were not sent"),
        sent=request(alt(30, hasMember=[{"reference": "Observation/gone"}])),
    ),
    "V3 a next page without an address": Row(
        sent=request(observations=bundle(*FAILURE) | {"link": [{"relation": "next"}]}),
        cards=frozenset({FAILURE_CARD}),
        says=("only a part was sent",),
    ),
    "V3 an outcome without a severity": Row(
        sent=request(observations=bundle({"resourceType": "OperationOutcome"})), refused=412
    ),
    "V4 the time of issue alone": Row(
        sent=failure(effectiveDateTime=None, issued=TODAY),
        cards=frozenset({FAILURE_CARD}),
        without=frozenset({UNUSED}),
        says=("when it was issued",),
    ),
    "V5 dates on a report under its own key": replace(READ, sent=undated(reports=bundle(REPORT))),
    "V7 a date of death that is none": Row(
        sent=request(*FAILURE, patient={**MAN, "deceasedDateTime": "unknown"}),
        cards=frozenset({FAILURE_CARD}),
    ),
    "V8 a good code of another test": Row(
        sent=failure(
            code={"coding": [{"system": "http://loinc.org", "code": "48134-1"}], "text": "ALT"}
        ),
        without=frozenset({FAILURE_CARD}),
    ),
    "V10 no ALT at all": Row(
        sent=request(observation("ast", "1920-8", 1500, "U/L"), BILIRUBIN, ALP, INR),
        cards=frozenset({FAILURE_CARD}),
    ),
    "W1 an open interval, then a number": replace(
        only("alt-over-1000"),
        sent=request(
            alt(2350),
            other(ALT, id="b", valueQuantity={"value": 30, "unit": "U/L", "comparator": ">="}),
        ),
    ),
    "W4 an old ALT beside a younger AST": Row(
        sent=request(
            alt(1500, effectiveDateTime="@-92d"),
            observation("ast", "1920-8", 60, "U/L", effectiveDateTime="@-89.5d"),
        ),
        without=frozenset({"alt-over-1000", FAILURE_CARD}),
    ),
    "W6 born in the future": Row(
        sent=request(*FAILURE, patient={**MAN, "birthDate": "2199-01-01"}),
        cards=frozenset({FAILURE_CARD}),
    ),
    "P13 a limit that is not included": Row(
        sent=request(
            alt(
                45,
                referenceRange=[
                    {
                        "high": {"value": 50, "unit": "U/L"},
                        "modifierExtension": [
                            {
                                "url": "http://hl7.org/fhir/StructureDefinition/"
                                "observation-reference-range-high-comparator",
                                "valueCode": "<",
                            }
                        ],
                    }
                ],
            )
        ),
        without=frozenset({"alt-borderline", UNUSED}),
    ),
    # Found later.
    "S1 a key that comes twice": Row(
        sent=failure(**{_twice("status"): "cancelled"}),
        refused=400,
        says=("$.prefetch.observations.entry[0].resource.status",),
    ),
    "S2 Patients that contradict each other": replace(
        named("several were sent that contradict each other"),
        sent=request(alt(30), other(MAN, gender="female"), patient=MAN),
    ),
    "S3 a component inside another": replace(
        only("alt-over-1000"),
        sent=request(
            other(
                ALT,
                code={"text": "enzymes"},
                valueQuantity=None,
                component={"component": other(ALT, component=None)},
            )
        ),
    ),
    "S3 a result where none is read": replace(
        named("ALT"),
        sent=request(alt(30, id="b"), {"resourceType": "List", "contained": [ALT]}),
    ),
    "S4 the time of another patient": replace(
        named("its time is missing"),
        sent=undated(other(REPORT, subject={"reference": "Patient/p2"}), alt(30, id="b")),
    ),
    "S5 INR under a code that is not read": replace(
        named("its code is not one of those that are read"),
        sent=request(
            alt(30),
            other(INR, code={"coding": [{"system": "http://loinc.org", "code": "46418-0"}]}),
        ),
    ),
    "S6 isoniazid where no medicine is read": replace(
        named("medicines: some could not be read"),
        sent=request(
            alt(30),
            medicationRequests=bundle(
                other(ISONIAZID, id="b", medicationCodeableConcept={"text": "vitamin C"}),
                {"resourceType": "Parameters", "parameter": [{"resource": ISONIAZID}]},
            ),
        ),
    ),
    "S6 isoniazid beside a report": Row(
        sent=request(
            alt(230), medicationRequests={**REPORT, "result": None, "contained": [ISONIAZID]}
        ),
        says=("medic",),
    ),
}
