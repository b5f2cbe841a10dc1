# SPDX-License-Identifier: Apache-2.0
"""What cards say of data that could not be used."""

from tests.service.patients import (
    ALP,
    ALT,
    BILIRUBIN,
    FAILURE,
    UNUSED,
    Json,
    cards,
    observation,
    request,
)


def furlongs(number: int) -> Json:
    return observation(f"r{number}", "1742-6", number, "furlong")


def test_the_line_on_a_card_names_five_and_counts_the_others() -> None:
    shown = cards(request(*FAILURE, *map(furlongs, range(1, 9))))

    (line,) = [
        line for line in shown["alf-emergency"]["detail"].splitlines() if "**Not used:**" in line
    ]
    assert line.count("its unit is not known") == 5
    assert line.endswith("; and 3 more")


def test_the_card_of_its_own_names_twenty_and_counts_the_others() -> None:
    detail = cards(request(*map(furlongs, range(1, 26))))[UNUSED]["detail"]

    assert detail.count("its unit is not known") == 20
    assert "- **and 5 more**" in detail


def test_a_part_that_did_not_come_whole_is_on_the_card() -> None:
    failed: Json = {"resourceType": "OperationOutcome", "issue": [{"severity": "error"}]}
    normal = {**ALT, "valueQuantity": {"value": 30, "unit": "U/L"}}

    card = cards(request(normal, conditions=failed))[UNUSED]

    assert "could not be used: conditions." in card["summary"]
    assert "**Incomplete data:** conditions: could not be fetched" in card["detail"]


def test_a_result_without_a_time_has_no_date() -> None:
    detail = cards(request({**ALT, "effectiveDateTime": None}))[UNUSED]["detail"]

    assert "ALT 1500 U/L, date not known: its time is missing or cannot be read" in detail


def test_a_pending_result_has_a_card_of_its_own() -> None:
    hook = "encounter-discharge"
    body = request({**ALT, "status": "registered", "valueQuantity": None}, hook=hook)
    body["context"]["encounterId"] = "e1"

    shown = cards(body, hook)

    assert set(shown) == {"pending-at-discharge"}
    assert "ALT" in shown["pending-at-discharge"]["detail"]


def test_a_hemolysed_result_is_marked_or_not_used() -> None:
    note = [{"text": "specimen hemolyzed"}]
    ast = observation("ast", "1920-8", 900, "U/L", note=note)

    detail = cards(request({**ALT, "note": note}, ast, BILIRUBIN, ALP))["alt-over-1000"]["detail"]

    assert "hemolyzed specimen" in detail


def test_a_stranger_of_unknown_age_and_sex_is_said_to_be_so() -> None:
    nobody: Json = {"resourceType": "Patient", "id": "p1", "deceasedDateTime": "2199-01-01"}

    detail = cards(request(*FAILURE, patient=nobody))["alf-emergency"]["detail"]

    assert "age" in detail
    assert "sex" in detail
