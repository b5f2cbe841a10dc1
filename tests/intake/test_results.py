# SPDX-License-Identifier: Apache-2.0
"""Which Observations are results, and of which marker."""

import json
from fractions import Fraction

import pytest

from cds_service.amounts import exactly
from tests.intake.intake_fixtures import (
    DAY,
    LOCAL,
    LOINC,
    Json,
    aside_of,
    coded,
    observation,
    quantity,
    reasons_of,
    record_of,
    result_of,
)


@pytest.mark.parametrize(
    "system",
    [
        "http://loinc.org",
        "http://loinc.org/",
        "https://loinc.org",
        "urn:oid:2.16.840.1.113883.6.1",
        "HTTP://LOINC.ORG",
        None,
    ],
)
def test_loinc_is_known_by_all_its_names(system: str | None) -> None:
    assert result_of(observation(code=coded("1742-6", system=system))).marker == "enzyme"


def test_a_local_code_of_the_pack_counts() -> None:
    result = result_of(observation(code=coded("ENZ", system=LOCAL)))

    assert (result.marker, result.code) == ("enzyme", "ENZ")


def test_a_code_of_another_system_is_another_code() -> None:
    made = observation(code=coded("1742-6", system="https://other.example"))

    assert aside_of(made).reason == "system-unknown"
    assert aside_of(made).marker == "enzyme"


def test_a_known_code_among_unknown_ones_counts() -> None:
    code = {"coding": [{"system": "urn:x", "code": "9"}, {"system": LOINC, "code": "1742-6"}]}

    assert result_of(observation(code=code)).code == "1742-6"


def test_a_single_coding_object_is_read_as_an_array() -> None:
    assert result_of(observation(code={"coding": {"system": LOINC, "code": "1742-6"}})).marker


def test_codes_of_two_markers_conflict() -> None:
    assert aside_of(observation(code=coded("1742-6", "1975-2"))).reason == "code-conflict"


def test_the_code_that_names_a_method_is_kept() -> None:
    result = result_of(observation(code=coded("1742-6", "1743-4")))

    assert (result.code, result.method) == ("1743-4", "with P5P")


def test_methods_that_contradict_each_other_are_none() -> None:
    assert result_of(observation(code=coded("1744-2", "1743-4"))).method is None


@pytest.mark.parametrize("code", [None, {}, {"coding": []}, {"coding": [{"system": LOINC}]}])
def test_without_a_code_there_is_no_marker(code: Json | None) -> None:
    assert aside_of(observation(code=code)).reason == "no-code"


def test_a_name_does_not_count_unless_it_is_asked_for() -> None:
    assert aside_of(observation(code={"text": "ENZYME"})).reason == "code-not-in-pack"


@pytest.mark.parametrize(
    "code",
    [
        {"text": "Enzyme"},
        {"text": " en  ZYME "},
        {"coding": [{"display": "ENZYME"}]},
        {"coding": [{"system": "urn:site", "code": "77", "display": "enzyme"}]},
        {"coding": [{"code": "77"}], "text": "enzyme"},
    ],
)
def test_a_name_counts_where_the_fallback_is_on(code: Json) -> None:
    result = result_of(observation(code=code), names=True)

    assert (result.marker, result.code) == ("enzyme", "")


@pytest.mark.parametrize(
    "code",
    [
        {"text": "enzymes"},
        coded("16324-6", text="enzyme"),
        coded("16324-6", system=None, text="enzyme"),
    ],
)
def test_a_name_never_overrules_a_code_and_is_never_a_part(code: Json) -> None:
    assert aside_of(observation(code=code), names=True).reason == "code-not-in-pack"


def test_two_names_of_different_markers_conflict() -> None:
    code = {"text": "enzyme", "coding": [{"display": "pigment"}]}

    assert aside_of(observation(code=code), names=True).reason == "code-conflict"


def test_a_name_needs_a_unit_of_the_marker() -> None:
    made = observation(code={"text": "enzyme"}, valueQuantity={"value": 5})

    assert aside_of(made, names=True).reason == "unit-missing"


@pytest.mark.parametrize("status", ["preliminary", "final", "amended", "corrected"])
def test_a_usable_status_is_kept(status: str) -> None:
    assert result_of(observation(status=status)).status == status


@pytest.mark.parametrize(
    ("status", "reason"),
    [
        ("registered", "status:registered"),
        ("cancelled", "status:cancelled"),
        ("entered-in-error", "status:entered-in-error"),
        ("unknown", "status:unknown"),
        ("finished", "status:invalid"),
        (None, "status:missing"),
        ("", "status:missing"),
    ],
)
def test_another_status_sets_the_result_aside(status: str | None, reason: str) -> None:
    assert aside_of(observation(status=status)).reason == reason


def test_a_status_that_is_only_an_extension_is_missing() -> None:
    made = observation(status=None, _status={"extension": [{"url": "https://x.example"}]})

    assert aside_of(made).reason == "status:missing"


def test_a_modifier_extension_sets_the_result_aside() -> None:
    made = observation(modifierExtension=[{"url": "https://x.example", "valueBoolean": True}])

    assert aside_of(made).reason == "modifier-extension"


def test_an_empty_modifier_extension_does_nothing() -> None:
    assert result_of(observation(modifierExtension=[])).marker == "enzyme"


def test_each_component_is_a_result() -> None:
    panel = observation(
        code=coded("24325-3"),
        valueQuantity=None,
        component=[
            {"code": coded("1742-6"), "valueQuantity": quantity(5)},
            {"code": coded("1975-2"), "valueQuantity": {"value": 1, "unit": "mg/dL"}},
            {"code": coded("1742-6"), "valueQuantity": quantity(5), "modifierExtension": [{}]},
            {"code": coded("2345-7"), "valueQuantity": quantity(5)},
        ],
    )
    record = record_of(panel)

    assert [(result.marker, result.reference) for result in record.results] == [
        ("enzyme", "Observation/r1"),
        ("pigment", "Observation/r1"),
    ]
    assert [result.reason for result in record.set_aside] == [
        "code-not-in-pack",
        "modifier-extension",
        "code-not-in-pack",
    ]


def test_a_panel_that_has_a_marker_code_need_not_have_a_value() -> None:
    made = observation(valueQuantity=None, hasMember=[{"reference": "Observation/x"}])
    record = record_of(made)

    assert (record.results, record.set_aside) == ((), ())


def test_a_contained_result_belongs_to_its_report() -> None:
    inner = observation(id="i", subject=None, effectiveDateTime=None)
    report: Json = {
        "resourceType": "DiagnosticReport",
        "id": "d",
        "subject": {"reference": "Patient/p1"},
        "effectiveDateTime": DAY,
        "contained": [inner],
        "result": [{"reference": "#i"}],
    }
    (result,) = record_of(report).results

    assert result.reference == "DiagnosticReport/d#i"


def test_a_contained_result_belongs_to_its_panel() -> None:
    inner = observation(id="i", status=None, effectiveDateTime=None)
    panel = observation(code=coded("24325-3"), valueQuantity=None, contained=[inner])
    (result,) = record_of(panel).results

    assert (result.reference, result.status) == ("Observation/r1#i", "final")


def test_the_same_entry_twice_counts_once() -> None:
    record = record_of(observation(), observation())

    assert (len(record.results), record.set_aside) == (1, ())


def test_results_without_id_are_each_their_own() -> None:
    first, second = observation(id=None), observation(id=None, effectiveDateTime="2026-06-13")

    assert len(record_of(first, second).results) == 2


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ({"versionId": "9"}, {"versionId": "10"}),
        ({"lastUpdated": "2026-06-14T09:00:00Z"}, {"lastUpdated": "2026-06-14T12:00:00+02:00"}),
        (
            {"versionId": "2", "lastUpdated": "2026-06-14T09:00:00Z"},
            {"versionId": "1", "lastUpdated": "2026-06-14T10:00:00Z"},
        ),
    ],
)
def test_the_newest_version_wins_in_any_order(old: Json, new: Json) -> None:
    before = observation(meta=old, valueQuantity=quantity(1))
    after = observation(meta=new, valueQuantity=quantity(2))

    for order in ((before, after), (after, before)):
        (result,) = record_of(*order).results
        assert result.value == exactly(2)


@pytest.mark.parametrize("status", ["entered-in-error", "cancelled"])
def test_a_withdrawn_version_removes_the_result(status: str) -> None:
    before = observation(meta={"versionId": "1"})
    after = observation(meta={"versionId": "2"}, status=status)

    assert record_of(after, before).results == ()
    assert reasons_of(before, after) == [f"status:{status}"]


def test_without_versions_what_was_withdrawn_stays_withdrawn() -> None:
    good, bad = observation(), observation(status="entered-in-error")

    assert record_of(good, bad).results == record_of(bad, good).results == ()


@pytest.mark.parametrize("status", ["corrected", "amended"])
def test_a_corrected_result_replaces_a_higher_final_one(status: str) -> None:
    record = record_of(
        observation(id="a", valueQuantity=quantity(90)),
        observation(id="b", valueQuantity=quantity(9), status=status),
    )

    assert [result.value for result in record.results] == [exactly(9)]
    assert [(result.reason, result.reference) for result in record.set_aside] == [
        ("superseded", "Observation/a")
    ]


def test_a_final_result_replaces_a_preliminary_one() -> None:
    record = record_of(
        observation(id="a", valueQuantity=quantity(90), status="preliminary"),
        observation(id="b", valueQuantity=quantity(9)),
    )

    assert [result.status for result in record.results] == ["final"]


def test_of_two_different_finals_the_higher_counts() -> None:
    record = record_of(
        observation(id="a", valueQuantity=quantity(9)),
        observation(id="b", valueQuantity=quantity(90)),
        observation(id="c", valueQuantity=quantity(1.5, unit="ukat/L")),  # also 90
    )

    assert [result.value for result in record.results] == [exactly(90)]
    assert [(result.reason, result.number) for result in record.set_aside] == [
        ("conflicting-duplicates", "9")
    ]


@pytest.mark.parametrize(
    ("wider", "narrower"),
    [
        (quantity(200, comparator=">"), quantity(900)),
        (quantity(30, comparator=">="), quantity(900)),
        (quantity(30, comparator=">="), quantity(30)),
        (quantity(30, comparator=">="), quantity(30, comparator=">")),
        (quantity(200, comparator=">"), quantity(500, comparator=">")),
        (quantity(5, comparator="<"), quantity(3)),
        (quantity(5, comparator="<"), quantity(4, comparator="<=")),
        (quantity(3, comparator=">", unit="ukat/L"), quantity(900)),
    ],
)
def test_a_result_within_a_wider_one_is_used_without_a_conflict(
    wider: Json, narrower: Json
) -> None:
    results = [
        observation(id="w", valueQuantity=wider),
        observation(id="n", valueQuantity=narrower),
    ]

    for order in (results, results[::-1]):
        record = record_of(*order)

        assert [result.reference for result in record.results] == ["Observation/n"]
        assert [(result.reason, result.reference) for result in record.set_aside] == [
            ("superseded", "Observation/w")
        ]


@pytest.mark.parametrize(
    ("higher", "lower"),
    [
        (quantity(200, comparator=">"), quantity(150)),
        (quantity(200, comparator=">"), quantity(200)),
        (quantity(9), quantity(5, comparator="<")),
        (quantity(100, comparator=">"), quantity(120, comparator="<")),
    ],
)
def test_of_two_that_do_not_lie_within_each_other_the_higher_counts(
    higher: Json, lower: Json
) -> None:
    results = [observation(id="h", valueQuantity=higher), observation(id="l", valueQuantity=lower)]

    for order in (results, results[::-1]):
        record = record_of(*order)

        assert [result.reference for result in record.results] == ["Observation/h"]
        assert [(result.reason, result.reference) for result in record.set_aside] == [
            ("conflicting-duplicates", "Observation/l")
        ]


def test_of_three_what_contradicts_the_result_in_use_is_a_conflict() -> None:
    record = record_of(
        observation(id="a", valueQuantity=quantity(150)),
        observation(id="b", valueQuantity=quantity(200, comparator=">")),
        observation(id="c", valueQuantity=quantity(900)),
    )

    assert [result.value for result in record.results] == [exactly(900)]
    assert [(result.reason, result.reference) for result in record.set_aside] == [
        ("conflicting-duplicates", "Observation/a"),
        ("superseded", "Observation/b"),
    ]


def in_units(*values: tuple[str, str]) -> list[Json]:
    return [
        observation(id=f"r{n}", valueQuantity={"value": json.loads(number), "unit": unit})
        for n, (number, unit) in enumerate(values)
    ]


@pytest.mark.parametrize(
    ("values", "counts"),
    [
        ((("41", "U/L"), ("0.68", "ukat/L")), 41),
        ((("0.69", "ukat/L"), ("41", "U/L")), Fraction("41.4")),
        ((("0.67", "ukat/L"), ("40.5", "IU/l")), Fraction("40.5")),
        ((("0.7", "ukat/L"), ("39", "U/L"), ("700", "nkat/L")), 42),
    ],
)
def test_one_measurement_in_two_units_counts_once(
    values: tuple[tuple[str, str], ...], counts: Fraction
) -> None:
    record = record_of(*in_units(*values))

    assert [result.value for result in record.results] == [exactly(counts)]
    assert record.set_aside == ()


@pytest.mark.parametrize(
    "values",
    [
        (("41", "U/L"), ("0.71", "ukat/L")),
        (("41", "U/L"), ("41.4", "IU/L")),
        (("0.041", "kU/L"), ("0.042", "kIU/l")),
        (("900", "U/L"), ("0.68", "ukat/L")),
    ],
)
def test_what_rounding_does_not_explain_is_two_results(
    values: tuple[tuple[str, str], ...],
) -> None:
    record = record_of(*in_units(*values))

    assert [result.reason for result in record.set_aside] == ["conflicting-duplicates"]


def test_equal_duplicates_count_once() -> None:
    record = record_of(observation(id="a"), observation(id="b"))

    assert (len(record.results), record.set_aside) == (1, ())


def test_two_specimens_are_two_results() -> None:
    record = record_of(
        observation(id="a", specimen={"reference": "Specimen/1"}),
        observation(id="b", specimen={"reference": "Specimen/2"}, valueQuantity=quantity(9)),
    )

    assert (len(record.results), record.set_aside) == (2, ())


def test_a_result_without_specimen_competes_with_the_first() -> None:
    record = record_of(
        observation(id="a", specimen={"reference": "Specimen/1"}),
        observation(id="b", valueQuantity=quantity(9)),
    )

    assert [result.reason for result in record.set_aside] == ["conflicting-duplicates"]


def test_the_interpretation_is_kept_for_display() -> None:
    made = observation(interpretation={"coding": [{"code": "H"}]})  # an object, as STU3 had it

    assert result_of(made).interpretation == "H"
    assert result_of(observation(interpretation=[{"text": "high"}])).interpretation == "high"


def test_the_reference_names_the_resource() -> None:
    assert result_of(observation()).reference == "Observation/r1"
    assert result_of(observation(id=None)).reference == ""
    assert result_of(observation(id="x" * 200)).reference == f"Observation/{'x' * 200}"
