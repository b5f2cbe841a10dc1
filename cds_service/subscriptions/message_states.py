# SPDX-License-Identifier: Apache-2.0
"""Which results of a message are written, and as which, by what was written of them before.

A sender repeats and corrects results, and an order number may come again with another sample. What
a result is known by (`message_observations.py`) leaves out its time, so that a correction of the
time finds it; of a result that is final another time is another result, if it is no correction.
Where a result could be one of several, nothing is written.
"""

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from typing import Any, Final

from msgspec.json import encode

from cds_service.iso_times import moment_of
from cds_service.subscriptions.message_observations import MessageResult

RESULT_SYSTEM: Final = "https://cds-service.example/hl7-v2-result"
Json = dict[str, Any]

# Observation.status: HL7 v2 lets a final result change by a correction or a withdrawal alone.
_SETTLED: Final = frozenset(("final", "amended", "corrected"))
_UNSETTLED: Final = frozenset(("registered", "preliminary", "unknown"))
_CHANGES: Final = frozenset(("amended", "corrected", "entered-in-error"))
_ZONES: Final = timedelta(days=1)  # by which a time may be wrong that came without its zone


class UnclearResult(Exception):
    """A result of the message changes one that was written before, and not clearly which."""

    def __init__(self) -> None:
        super().__init__(
            "Expected the time of collection of one of the results of its order number and test: "
            "which of them it is about is not known."
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class WrittenResult:
    """What was written last of a result: from which item, when, in which status, of which time."""

    identifier: str
    item: int
    written: datetime
    status: str
    collected: str


@dataclass(frozen=True, slots=True, kw_only=True)
class PlacedResult:
    """An Observation with the identifier that it has on the server, which is in it too."""

    identifier: str
    series: str
    observation: Json

    @property
    def collected(self) -> str:
        """The time of the result, empty if it has none."""
        return str(self.observation.get("effectiveDateTime", ""))


# By the series of a result: what was written of it, in the order in which it came.
Written = Mapping[str, Sequence[WrittenResult]]


def to_write(
    made: Sequence[MessageResult], written: Written, item: int
) -> tuple[PlacedResult, ...]:
    """Those to write from this item.

    Left out are those that a later item has written, and those that are not final yet, or of no
    known status, where they were final before. One without a time keeps that which it had.
    Raises `UnclearResult`.
    """
    found: list[PlacedResult] = []
    for result, identifier, last in _placed(made, written):
        if last is not None and (last.item > item or _is_step_back(last, result)):
            continue
        observation = {
            **result.observation,
            "identifier": [{"system": RESULT_SYSTEM, "value": identifier}],
        }
        if last is not None and last.collected and not result.collected:
            observation["effectiveDateTime"] = last.collected
        found.append(
            PlacedResult(identifier=identifier, series=result.series, observation=observation)
        )
    return tuple(found)


def check_clear(made: Sequence[MessageResult], written: Written) -> None:
    """Raise `UnclearResult` if it is not clear which of those that were written one changes."""
    for _ in _placed(made, written):
        pass


def identifiers_of(made: Sequence[MessageResult]) -> set[str]:
    """The identifiers that these results may have."""
    return {identifier for result in made for identifier in (result.name, _of_its_time(result))}


_Placed = tuple[MessageResult, str, WrittenResult | None]


def _placed(made: Sequence[MessageResult], written: Written) -> Iterator[_Placed]:
    """Each result with its identifier, and what was written of it."""
    by_series: defaultdict[str, list[MessageResult]] = defaultdict(list)
    for result in made:
        by_series[result.series].append(result)
    for series, results in by_series.items():
        taken = {state.identifier for state in written.get(series, ())}
        for result, last in _matched(results, written.get(series, ())):
            identifier = last.identifier if last is not None else _new(result, taken)
            taken.add(identifier)
            yield result, identifier, last


def _matched(
    results: Sequence[MessageResult], known: Sequence[WrittenResult]
) -> Iterator[tuple[MessageResult, WrittenResult | None]]:
    """Results of one series, each with the one that was written of it; raises `UnclearResult`.

    Several of one time, which are the same test twice, are matched in their order.
    """
    most = len(known) + len(results)
    places = {results[0].numbered(number): number for number in range(1, most + 1)}
    of_one_time: defaultdict[str, list[MessageResult]] = defaultdict(list)
    for result in results:
        of_one_time[_minute(result.collected)].append(result)
    exact: defaultdict[str, list[WrittenResult]] = defaultdict(list)
    free: list[WrittenResult] = []
    for state in sorted(known, key=lambda state: places.get(state.identifier, most + 1)):
        time = _minute(state.collected)
        (exact[time] if time in of_one_time else free).append(state)
    # What has exactly the time of another result of this message is that one.
    for time, alike in of_one_time.items():
        changes = any(result.status in _CHANGES for result in alike)
        found = exact[time] or _those_of(alike[0], free, len(known) == 1, changes=changes)
        if len(found) > len(alike) or (changes and known and not found):
            raise UnclearResult
        if found and not exact[time]:
            free = [state for state in free if state not in found]
        for number, result in enumerate(alike):
            yield result, found[number] if number < len(found) else None


def _those_of(
    result: MessageResult, known: Sequence[WrittenResult], is_only: bool, *, changes: bool
) -> list[WrittenResult]:
    """Those that a result may be, none of which is of its minute."""
    has_minute = "T" in result.collected
    vague = [state for state in known if not (has_minute and "T" in state.collected)]
    if fitting := [
        state for state in vague if _may_be_one(state.collected, result.collected, is_only)
    ]:
        return fitting
    # A correction may be of the time; and until it is final, or once it is taken back, a result
    # may come with another one.
    left = [state for state in known if changes or (is_only and state.status not in _SETTLED)]
    return [] if any(_was_known_before(state, result) for state in left) else left


def _may_be_one(known: str, time: str, is_only: bool) -> bool:
    """Whether two times, one of them without its minute, may be those of one result.

    What was written without a time may be of any, if it is the only one.

    >>> _may_be_one("2026-03-05", "2026-03-05T09:30:00+01:00", False)
    True
    >>> _may_be_one("2026-03-05", "2026-03-06", False)
    False
    """
    if not (known or is_only):
        return False
    length = min(len(known.partition("T")[0]), len(time.partition("T")[0]))
    return known[:length] == time[:length]


def _was_known_before(known: WrittenResult, result: MessageResult) -> bool:
    """Whether it was final before this one was collected: it is none whose time is corrected."""
    if known.status not in _SETTLED or not result.collected:
        return False
    return _earliest(result.collected) > known.written + _ZONES


def _is_step_back(last: WrittenResult, result: MessageResult) -> bool:
    return last.status in _SETTLED and result.status in _UNSETTLED


def _new(result: MessageResult, taken: set[str]) -> str:
    """An identifier that no other result has: by its number, or by its time."""
    identifier, further = result.name, _of_its_time(result)
    while identifier in taken:
        identifier, further = further, sha256(encode([further])).hexdigest()[:40]
    return identifier


def _of_its_time(result: MessageResult) -> str:
    return sha256(encode([result.name, _minute(result.collected)])).hexdigest()[:40]


def _earliest(time: str) -> datetime:
    """The first moment that a time of FHIR may be, of UTC if it names no zone.

    >>> _earliest("2026-03").isoformat()
    '2026-03-01T00:00:00+00:00'
    """
    if "T" in time:
        return moment_of(time)
    year, month, day, *_ = *map(int, time.split("-")), 1, 1
    return datetime(year, month, day, tzinfo=UTC)


def _minute(time: str) -> str:
    if "T" not in time:
        return time
    return moment_of(time).astimezone(UTC).strftime("%Y-%m-%dT%H:%M")
