# SPDX-License-Identifier: Apache-2.0
"""Every worked example, sent through HTTP as a hook request, is answered exactly as it expects.

Those that are not yet are listed with what differs, and a list that says too much fails as well.
"""

from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest

from tests.vignettes.ask import Clinic
from tests.vignettes.compare import EXAMPLES, VIGNETTES, Json, orders_differ, says
from tests.vignettes.convert import days_before, now_of, request_of
from tests.vignettes.not_yet import aspects_of, read_not_yet, write_not_yet

KNOWN = read_not_yet()


@pytest.fixture(name="clinic", scope="module")
def _clinic() -> Iterator[Clinic]:
    clinic = Clinic()
    yield clinic
    clinic.close()


@pytest.mark.parametrize("vignette", EXAMPLES, ids=lambda vignette: str(vignette["id"]))
def test_a_worked_example_is_answered_as_expected(vignette: Json, clinic: Clinic) -> None:
    known = KNOWN.get(str(vignette["id"]), frozenset())

    found = clinic.differences(vignette)

    unknown = [difference for difference in found if difference.aspect not in known]
    assert unknown == []
    assert known == aspects_of(found), "run: python -m tests.vignettes.report --update"


def test_the_list_names_worked_examples_only() -> None:
    assert KNOWN.keys() <= {vignette["id"] for vignette in EXAMPLES}


def test_the_list_is_read_as_it_is_written(tmp_path: Path) -> None:
    listed = {"LIV-1": frozenset({"missing card", "reasons"}), "LIV-2": frozenset({"orders"})}

    write_not_yet(listed, tmp_path / "list")

    assert read_not_yet(tmp_path / "list") == listed


def test_an_example_some_days_earlier_has_all_its_times_earlier() -> None:
    vignette = next(candidate for candidate in VIGNETTES if candidate["id"] == "LIV-001")

    before = days_before(vignette, 84)

    assert now_of(before) == now_of(vignette) - timedelta(days=84)
    entries = request_of(before)["prefetch"]["observations"]["entry"]
    assert [entry["resource"]["effectiveDateTime"] for entry in entries] == ["2026-03-22T08:00:00Z"]


ORDERS = [
    {"loinc": "1", "withinDays": [0, 1], "priority": "stat", "group": "bloods"},
    {"loinc": "2", "withinDays": [0, 1], "priority": "stat", "group": "bloods"},
    {"loinc": "3", "withinDays": [0, 1], "priority": "stat"},
]


def _card(*groups: tuple[str, ...]) -> Json:
    def action(code: str) -> Json:
        period = {"start": "2026-06-15", "end": "2026-06-16"}
        coding = [{"system": "http://loinc.org", "code": code}]
        resource = {"code": {"coding": coding}, "occurrencePeriod": period, "priority": "stat"}
        return {"resource": resource}

    return {"suggestions": [{"actions": [action(code) for code in group]} for group in groups]}


@pytest.mark.parametrize(
    ("groups", "differs"),
    [
        ((("1", "2"), ("3",)), ""),
        ((("3",), ("2", "1")), ""),
        ((("1",), ("2",), ("3",)), "expected the suggestions 1+2 | 3, found 1 | 2 | 3"),
        ((("1", "2", "3"),), "expected the suggestions 1+2 | 3, found 1+2+3"),
        ((("1", "2"),), "- 3 0-1 stat"),
        ((("1", "2"), ("3",), ("4",)), "+ 4 0-1 stat"),
    ],
)
def test_the_orders_of_one_group_lie_in_one_suggestion(
    groups: tuple[tuple[str, ...], ...], differs: str
) -> None:
    today = now_of(VIGNETTES[0]).date()

    assert orders_differ({"suggestions": ORDERS}, _card(*groups), today) == differs


@pytest.mark.parametrize(
    ("text", "fact", "said"),
    [
        ("INR 1.8 on 2026-06-14", "inr", True),
        ("INR 1.80", "inr", True),
        ("INR 11.8", "inr", False),
        ("the minr is 1.8", "inr", False),
        ("Bilirubin 1.8", "inr", False),
        ("after birth", "pregnancy", True),
        ("8 days ago", "age-of-result", True),
        ("on 2026-06-14", "age-of-result", True),
        ("on 2026-06-13", "age-of-result", False),
        ("takes Marcumar", "anticoagulant", True),
        ("takes warfarin", "anticoagulant", False),
        ("was it followed up?", "not-followed-up", True),
    ],
)
def test_what_a_card_says_is_found_in_its_text(text: str, fact: str, said: bool) -> None:
    inr = {"loinc": "6301-6", "value": 1.8, "effective": "2026-06-14T08:00:00Z"}
    older = {**inr, "value": 11.8, "effective": "2026-06-12T08:00:00Z"}
    inputs = {"observations": [inr, older], "medications": [{"name": "Marcumar"}]}
    if fact == "age-of-result":
        inputs["observations"] = [inr]

    assert says(text, fact, inputs) is said
