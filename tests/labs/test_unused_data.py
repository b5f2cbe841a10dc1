# SPDX-License-Identifier: Apache-2.0
"""What has to be told of the data that could not be used."""

from datetime import UTC, datetime, timedelta
from typing import get_args

import pytest

from cds_service.labs.patient_record import (
    Incomplete,
    IncompletePart,
    Lack,
    Patient,
    PatientRecord,
    SetAside,
)
from cds_service.labs.set_aside_reasons import LOSSES, SetAsideReason
from cds_service.labs.unused_data import UnusedData, unused_data

NOW = datetime(2026, 6, 15, 9, tzinfo=UTC)
REACH = {"alpha": 100, "beta": 10}


def lost(marker: str, reason: SetAsideReason = "unit-unknown", days: float | None = 1) -> SetAside:
    time = None if days is None else NOW - timedelta(days=days)
    return SetAside(reason=reason, marker=marker, code="", reference="", time=time)


def told(*items: SetAside, incomplete: tuple[Incomplete, ...] = ()) -> UnusedData:
    record = PatientRecord(
        patient=Patient(reference="Patient/p"), set_aside=items, incomplete=incomplete
    )
    return unused_data(record, REACH, NOW)


def test_nothing_to_tell_is_false() -> None:
    assert not told()
    assert not told(lost("alpha", "superseded"), lost("", "code-not-in-pack"))


@pytest.mark.parametrize(
    "reason",
    ["code-not-in-pack", "superseded", "status:registered", "status:preliminary"]
    + ["status:cancelled", "status:entered-in-error"],
)
def test_what_states_no_result_is_no_loss(reason: SetAsideReason) -> None:
    assert reason not in LOSSES


def test_every_reason_is_a_loss_or_states_no_result() -> None:
    assert len(get_args(SetAsideReason)) == len(LOSSES) + 6


def test_the_gravest_reason_comes_first_and_of_one_reason_the_newest() -> None:
    first, second, third = (
        lost("alpha", "unparseable", days=5),
        lost("alpha", "unit-unknown", days=1),
        lost("alpha", "unit-unknown", days=2),
    )

    assert told(third, second, first).results == (first, second, third)


def test_the_same_result_sent_twice_is_told_once() -> None:
    assert len(told(lost("alpha"), lost("alpha")).results) == 1


@pytest.mark.parametrize(
    ("item", "is_told"),
    [
        (lost("alpha", days=100), True),
        (lost("alpha", days=101), False),
        (lost("beta", days=10), True),
        (lost("beta", days=11), False),
        (lost("", "invalid-resource", days=100), True),
        (lost("", "invalid-resource", days=101), False),
        (lost("beta", days=None), True),
        (lost("beta", "future-dated", days=-400), True),
    ],
)
def test_what_is_too_old_to_change_an_answer_is_left_out(item: SetAside, is_told: bool) -> None:
    assert bool(told(item)) is is_told


def test_a_medicine_that_is_set_aside_is_no_result() -> None:
    medicine = SetAside(
        reason="other-patient", marker="", code="", reference="MedicationRequest/1", is_result=False
    )

    assert not told(medicine)


NOT_TOLD: set[tuple[IncompletePart, Lack]] = {("laboratory results", "only a part")}
NOT_TOLD |= {(part, "only those being made") for part in get_args(IncompletePart)[1:]}
NOT_TOLD |= {("some data", lack) for lack in get_args(Lack) if lack != "unreadable"}


@pytest.mark.parametrize("part", get_args(IncompletePart))
@pytest.mark.parametrize("lack", get_args(Lack))
def test_a_part_that_did_not_come_whole_is_told(part: IncompletePart, lack: Lack) -> None:
    assert bool(told(incomplete=(Incomplete(part, lack),))) is ((part, lack) not in NOT_TOLD)
