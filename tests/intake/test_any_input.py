# SPDX-License-Identifier: Apache-2.0
"""Whatever is sent, a record comes back or the request is refused; and what FHIR says is read."""

import json
from datetime import datetime
from decimal import Decimal

from fhir.resources.R4B.observation import Observation
from hypothesis import given
from hypothesis import strategies as st

from cds_service.errors import RequestError
from cds_service.labs.patient_record import PatientRecord
from cds_service.labs.set_aside_reasons import MEANINGS
from cds_service.sources.file import input_from_document, read_resources
from tests.intake.intake_fixtures import NOW, Json, bundle, coded, observation, read, result_of

ODD = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(max_size=6)
    | st.sampled_from(["final", "U/L", "<", "Patient/p1", "#x", "enzyme", "2026", "2026-06-14"]),
    lambda inner: st.lists(inner, max_size=3)
    | st.dictionaries(
        st.sampled_from(
            ["coding", "code", "system", "text", "value", "unit", "low", "high", "age", "start",
             "reference", "event", "appliesTo", "valueQuantity", "id", "resourceType", "display"]
        ),
        inner,
        max_size=4,
    ),
    max_leaves=12,
)  # fmt: skip
TIMES = st.one_of(
    st.text("0123456789-T:Z+.", max_size=30),
    st.datetimes().map(lambda moment: moment.isoformat() + "Z"),
    st.dates().map(lambda day: day.isoformat()),
    st.sampled_from(["0001-01-01T00:00:00+14:00", "9999-12-31T23:59:59-14:00", "9998", "9999"]),
)
NUMBERS = st.integers() | st.floats(allow_nan=False, allow_infinity=False) | ODD
UNITS = st.sampled_from(["U/L", "ukat/L", "mg/dL", "", "x"]) | ODD
QUANTITY = st.fixed_dictionaries(
    {}, optional={"value": NUMBERS, "unit": UNITS, "code": UNITS, "comparator": ODD}
)
JUNK = st.fixed_dictionaries(
    {"resourceType": st.sampled_from(["Observation", "MedicationRequest", "Condition", "Patient"])},
    optional={
        "id": st.sampled_from(["a", "b"]) | ODD,
        "meta": ODD,
        "status": st.sampled_from(["final", "active", "entered-in-error"]) | ODD,
        "code": st.sampled_from([coded("1742-6"), coded("1975-2"), {"text": "enzyme"}]) | ODD,
        "subject": st.just({"reference": "Patient/p1"}) | ODD,
        "effectiveDateTime": TIMES | ODD,
        "effectivePeriod": ODD,
        "effectiveTiming": ODD,
        "issued": TIMES | ODD,
        "valueQuantity": QUANTITY | ODD,
        "valueString": st.text("0123456789<>=. U/L", max_size=12) | ODD,
        "valueInteger": ODD,
        "interpretation": ODD,
        "note": ODD,
        "specimen": ODD,
        "referenceRange": st.lists(
            st.fixed_dictionaries({}, optional={"low": QUANTITY, "age": ODD, "text": ODD})
        )
        | ODD,
        "component": ODD,
        "hasMember": ODD,
        "contained": ODD,
        "birthDate": TIMES | ODD,
        "clinicalStatus": ODD,
        "medicationReference": ODD,
        "modifierExtension": ODD,
    },
)


@given(st.lists(JUNK, max_size=4), st.booleans())
def test_junk_never_breaks_the_reader(resources: list[Json], names: bool) -> None:
    data = json.dumps({"resourceType": "Bundle", "entry": [{"resource": r} for r in resources]})
    try:
        given = input_from_document(read_resources(data.encode()))
        record = read(given, names=names)
    except RequestError:
        return

    assert isinstance(record, PatientRecord)
    assert {result.reason for result in record.set_aside} <= set(MEANINGS)
    assert all(result.time.tzinfo for result in record.results)


@given(
    st.decimals(min_value=0, max_value=1000, places=3),
    st.sampled_from([None, "<", "<=", ">", ">="]),
    st.datetimes(min_value=NOW.replace(year=2000, tzinfo=None), max_value=NOW.replace(tzinfo=None)),
)
def test_a_valid_observation_is_read_as_fhir_resources_wrote_it(
    value: Decimal, comparator: str | None, moment: datetime
) -> None:
    quantity: Json = {"value": value, "unit": "U/L", "comparator": comparator or "<"}
    if comparator is None:
        del quantity["comparator"]
    elif value in {0, 1000}:
        return  # may be implausible
    model = Observation(
        **observation(valueQuantity=quantity, effectiveDateTime=f"{moment:%Y-%m-%dT%H:%M:%S}Z")
    )
    written = json.loads(model.model_dump_json(), parse_float=Decimal)

    result = result_of(_plain(written))

    assert result.sent.comparator == comparator
    assert value in {result.value.low, result.value.high}


def _plain(made: Json) -> Json:
    """The same, with numbers that `json` can write without loss of value."""
    quantity = made["valueQuantity"]
    assert isinstance(quantity, dict)
    return {**made, "valueQuantity": {**quantity, "value": float(quantity["value"])}}


def test_the_number_is_shown_as_it_was_sent() -> None:
    data = json.dumps(bundle(observation())).replace('"value": 42', '"value": 1.10')
    given = input_from_document(read_resources(data.encode()))
    record = read(given)

    assert [result.sent.number for result in record.results] == ["1.10"]


def test_a_power_of_ten_is_shown_written_out() -> None:
    for sent, shown in (("1e2", "100"), ("1.10E1", "11.0"), ("5e-1", "0.5")):
        data = json.dumps(bundle(observation())).replace('"value": 42', f'"value": {sent}')
        given = input_from_document(read_resources(data.encode()))
        record = read(given)

        assert [result.sent.number for result in record.results] == [shown]


def test_an_absurd_number_is_unparseable() -> None:
    for sent in (
        "1e400",
        "1e-400",
        "1e999999999",
        "-1e99999999999999999999",
        "1" * 5000,
        "0." + "1" * 90,
    ):
        data = json.dumps(bundle(observation())).replace('"value": 42', f'"value": {sent}')
        given = input_from_document(read_resources(data.encode()))
        record = read(given)

        assert [result.reason for result in record.set_aside] == ["unparseable"]
