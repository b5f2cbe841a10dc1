# SPDX-License-Identifier: Apache-2.0
"""Whether the next step was taken after a card was first shown, as the source knows it."""

import json
from pathlib import Path
from typing import Any

import pytest

from tests.screening.exports import LOINC, Json, ndjson, person, result, run

# A moderately raised ALT proposes an INR within five days.
FROM_TO = ("--every", "1d", "--from", "2026-09-01", "--to", "2026-09-20")
SHOWN = "2026-09-10T08:00:00Z"


def inr(name: str, patient: str, time: str) -> Json:
    code = {"coding": [{"system": LOINC, "code": "6301-6"}]}
    quantity = {"value": 1.0, "unit": "{INR}"}
    return result(name, patient, code=code, valueQuantity=quantity, effectiveDateTime=time)


def order(name: str, patient: str, day: str, **elements: Any) -> Json:
    return {
        "resourceType": "ServiceRequest",
        "id": name,
        "status": "completed",
        "intent": "order",
        "code": {"coding": [{"system": LOINC, "code": "6301-6"}]},
        "authoredOn": day,
        "subject": {"reference": patient},
        **elements,
    }


def step(folder: Path, *resources: Json, last: str = "2026-11-01T08:00:00Z") -> Json:
    """What became of the INR of p, whose card is first shown at the end of 10 September."""
    source = folder / "export"
    source.mkdir()
    everybody = [
        person("p"),
        result("r", "Patient/p", 250, effectiveDateTime=SHOWN),
        person("other"),
        result("last", "Patient/other", 20, effectiveDateTime=last),
    ]
    ndjson(source / "all.ndjson", [*everybody, *resources])
    data = json.loads(run(source, *FROM_TO, "--look-back", "--json").stdout)
    (found,) = (
        step
        for step in data["lookBack"]["steps"]
        if (step["rule"], step["order"]) == ("alt-moderate", "inr")
    )
    return {name: count for name, count in found.items() if count and name not in {"rule", "order"}}


@pytest.mark.parametrize(
    ("time", "outcome"),
    [
        ("2026-09-12T08:00:00Z", "inTime"),
        ("2026-09-15T23:59:59Z", "inTime"),
        ("2026-09-16T00:00:01Z", "late"),
    ],
)
def test_a_result_counts_by_its_day(tmp_path: Path, time: str, outcome: str) -> None:
    assert step(tmp_path, inr("i", "Patient/p", time)) == {
        "windows": [[0, 5]],
        "due": 1,
        outcome: 1,
    }


def test_an_order_counts_unless_it_was_withdrawn(tmp_path: Path) -> None:
    for name, elements, outcome in (
        ("ordered", {}, "inTime"),
        ("withdrawn", {"status": "revoked"}, "never"),
        ("proposed", {"intent": "proposal"}, "never"),
        ("not", {"doNotPerform": True}, "never"),
    ):
        (tmp_path / name).mkdir()
        found = step(tmp_path / name, order("o", "Patient/p", "2026-09-12", **elements))
        assert found == {"windows": [[0, 5]], "due": 1, outcome: 1}, name


def test_what_was_ordered_before_the_card_was_shown_is_counted_apart(tmp_path: Path) -> None:
    for priority, windows in (("urgent", {}), ("routine", {"windows": [[0, 5]]})):
        (tmp_path / priority).mkdir()
        time = {"status": "active", "priority": priority}
        before = order("o", "Patient/p", "2026-09-10T09:00:00Z", **time)

        assert step(tmp_path / priority, before) == {"already": 1, **windows}


def test_a_window_that_is_not_over_with_the_last_result_is_not_due(tmp_path: Path) -> None:
    early = inr("i", "Patient/p", "2026-09-11T08:00:00Z")

    found = step(tmp_path, early, last="2026-09-14T08:00:00Z")

    assert found == {"windows": [[0, 5]], "notOver": 1}


def test_a_result_that_is_to_come_is_not_the_end_of_the_data(tmp_path: Path) -> None:
    assert step(tmp_path, last="9000-01-01T08:00:00Z")["notOver"] == 1


def test_the_table_says_what_it_cannot_know(tmp_path: Path) -> None:
    ndjson(
        tmp_path / "all.ndjson",
        [person("p"), result("r", "Patient/p", 250, effectiveDateTime=SHOWN)],
    )

    shown = run(tmp_path, *FROM_TO, "--look-back").stdout

    assert "in results and orders until 2026-09-10T08:00:00+00:00" in shown
    assert "There are no orders (ServiceRequest): only results count." in shown
    assert "Tests and orders elsewhere" in shown


def test_looking_back_without_a_replay_is_refused(tmp_path: Path) -> None:
    refused = run(tmp_path, "--look-back")

    assert refused.exit_code == 2
    assert "--look-back goes with --every" in refused.stderr
