# SPDX-License-Identifier: Apache-2.0
"""What a reading is judged by: its limit of a kind, and whether a boundary is too near."""

from collections.abc import Callable, Mapping
from operator import attrgetter

from cds_service.knowledge.model.bounds import LimitKind
from cds_service.knowledge.model.pack import Marker
from cds_service.labs.limits import Limit
from cds_service.labs.result_selection import Reading

LIMIT_IN: Mapping[LimitKind, Callable[[Reading], Limit | None]] = {
    "upper limit": attrgetter("upper"),
    "lower limit": attrgetter("lower"),
    "screening limit": attrgetter("screening"),
}


def limit_in(reading: Reading, kind: LimitKind) -> Limit | None:
    """The limit of that kind that belongs to a reading."""
    return LIMIT_IN[kind](reading)


def is_doubtful(marker: Marker, reading: Reading) -> bool:
    """Whether a result in a coarse unit lies within half a reporting step of a boundary."""
    near, value = marker.near, reading.result.value.exact
    if near is None or value is None or reading.result.unit != near.unit:
        return False
    boundaries = list(near.amounts)
    if reading.upper is not None and reading.upper.exact is not None:
        boundaries.extend(times * reading.upper.exact for times in near.multiples)
    return any(abs(value - boundary) <= near.distance for boundary in boundaries)
