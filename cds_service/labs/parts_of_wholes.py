# SPDX-License-Identifier: Apache-2.0
"""Results that cannot be: more of a part than of the whole that was measured in the same draw.

Such a result is named with what could not be used and stands beside no other result. Rules about
its own marker still read it: what cannot be is no comfort.
"""

from collections.abc import Iterable
from datetime import timedelta

from cds_service.amounts import compare
from cds_service.copying import replace
from cds_service.knowledge.model.pack import Pack, Whole
from cds_service.labs.patient_record import LabResult, PatientRecord, set_aside


def with_impossible_parts(record: PatientRecord, pack: Pack) -> PatientRecord:
    """The record, each such result marked and listed as set aside."""
    wholes = {name: marker.whole for name, marker in pack.markers.items() if marker.whole}
    found = {
        id(result)
        for result in record.results
        if (whole := wholes.get(result.marker)) and _exceeds(result, whole, record.results, pack)
    }
    if not found:
        return record
    return replace(
        record,
        results=tuple(
            replace(result, impossible=True) if id(result) in found else result
            for result in record.results
        ),
        set_aside=(
            *record.set_aside,
            *(set_aside(result, "implausible") for result in record.results if id(result) in found),
        ),
    )


def _exceeds(part: LabResult, whole: Whole, results: Iterable[LabResult], pack: Pack) -> bool:
    draw = timedelta(minutes=pack.scope.draw_minutes)
    return any(
        compare(part.value, "above", whole_result.value.plus(whole.plus)) is True
        and compare(part.value, "above", whole_result.value.times(1 + whole.share)) is True
        for whole_result in results
        if whole_result.marker == whole.marker and abs(whole_result.time - part.time) <= draw
    )
