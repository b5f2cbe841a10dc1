# SPDX-License-Identifier: Apache-2.0
"""Which results of a message are written, and as which, by what was written of them before.

A sender repeats and corrects results, and an order number may come again with another sample. What
a result is known by (`message_observations.py`) leaves out its time, so that a correction of the
time finds it; of a result that is final another time is another result, if it is no correction.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from hashlib import sha256
from typing import Any, Final

from msgspec.json import encode

Json = dict[str, Any]

# Observation.status: HL7 v2 lets a final result change by a correction or a withdrawal alone.
_SETTLED: Final = frozenset(("final", "amended", "corrected"))
_OPEN: Final = frozenset(("registered", "preliminary"))
_CHANGES: Final = frozenset(("amended", "corrected", "entered-in-error"))


@dataclass(frozen=True, slots=True, kw_only=True)
class WrittenResult:
    """What was written last of a result: from which item, in which status, and of which time."""

    item: int
    status: str
    collected: str


def identifiers_of(made: Mapping[str, Json]) -> set[str]:
    """All identifiers that these results may have."""
    return {one for name, found in made.items() for one in (name, _of_its_time(name, found))}


def to_write(
    made: Mapping[str, Json], written: Mapping[str, WrittenResult], item: int
) -> dict[str, Json]:
    """Those to write from this item, by their identifier.

    Left out are those that a later item has written, and those that are not final yet where they
    were before.
    """
    found: dict[str, Json] = {}
    for name, result in made.items():
        place = _place(name, result, written)
        last = written.get(place)
        if last is not None and (last.item > item or _is_step_back(last, result)):
            continue
        if place == name:
            found[name] = result
        else:
            found[place] = result | {"identifier": [{**result["identifier"][0], "value": place}]}
    return found


def collected_of(result: Json) -> str:
    """The time of a result, empty if it has none."""
    return str(result.get("effectiveDateTime", ""))


def _place(name: str, result: Json, written: Mapping[str, WrittenResult]) -> str:
    """The identifier of a result: its own, or that of its time where that is another's."""
    of_its_time = _of_its_time(name, result)
    last = written.get(name)
    if of_its_time in written:
        return of_its_time
    if last is None or last.status not in _SETTLED or result["status"] in _CHANGES:
        return name
    return of_its_time if _differ(last.collected, collected_of(result)) else name


def _is_step_back(last: WrittenResult, result: Json) -> bool:
    return last.status in _SETTLED and result["status"] in _OPEN


def _of_its_time(name: str, result: Json) -> str:
    return sha256(encode([name, _minute(collected_of(result))])).hexdigest()[:40]


def _differ(one: str, other: str) -> bool:
    """Whether two times are not the same, as far as both are known; seconds do not count.

    >>> _differ("2026-03-05", "2026-03-05T09:30:00+01:00")
    False
    >>> _differ("2026-03-05T09:30:00+01:00", "2026-03-05T08:30:20+00:00")
    False
    >>> _differ("2026-03-05", "2026-03-06")
    True
    """
    if "T" in one and "T" in other:
        return _minute(one) != _minute(other)
    length = min(len(one.partition("T")[0]), len(other.partition("T")[0]))
    return one[:length] != other[:length]


def _minute(time: str) -> str:
    if "T" not in time:
        return time
    return datetime.fromisoformat(time).astimezone(UTC).strftime("%Y-%m-%dT%H:%M")
