# SPDX-License-Identifier: Apache-2.0
"""Results measured in one specimen: if it is hemolysed, all of them are marked so."""

from collections.abc import Collection, Iterable
from datetime import datetime
from typing import NamedTuple

from cds_service.copying import replace
from cds_service.labs.patient_record import LabResult


class Draw(NamedTuple):
    """A specimen: its name, empty if none was sent, and its time, `None` if none can be read."""

    specimen: str
    time: datetime | None


def mark_hemolysed(
    results: Iterable[LabResult], hemolysed: Collection[Draw]
) -> tuple[LabResult, ...]:
    """The results, those of a hemolysed specimen marked so.

    Two names are two specimens. Where one of the two has no name, one time is one specimen.
    """
    every = tuple(results)
    if not hemolysed:
        return every
    names = {draw.specimen for draw in hemolysed if draw.specimen}
    times = {draw.time for draw in hemolysed}
    unnamed = {draw.time for draw in hemolysed if not draw.specimen}

    def is_hemolysed(result: LabResult) -> bool:
        if result.specimen in names or result.time in unnamed:
            return True
        return not result.specimen and result.time in times

    return tuple(
        replace(result, hemolysed=True) if is_hemolysed(result) else result for result in every
    )
