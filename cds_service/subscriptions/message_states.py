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

from cds_service.copying import replace
from cds_service.iso_times import moment_of
from cds_service.subscriptions.message_observations import MessageResult
from cds_service.subscriptions.message_order import (
    CHANGES,
    SETTLED,
    WITHDRAWN,
    Statement,
    UnclearResult,
    continued,
    first_statement,
    replacement,
    sent_by_right_clock,
)

RESULT_SYSTEM: Final = "https://cds-service.example/hl7-v2-result"
Json = dict[str, Any]

_LENGTHS: Final = (len(""), len("2026"), len("2026-03"), len("2026-03-05"))
_ZONES: Final = timedelta(days=1)  # by which a time may be wrong that came without its zone


@dataclass(frozen=True, slots=True, kw_only=True)
class WrittenResult:
    """What was written last of a result: from which item, when, of which time."""

    identifier: str
    item: int
    written: datetime
    collected: str
    statement: Statement


@dataclass(frozen=True, slots=True, kw_only=True)
class PlacedResult:
    """An Observation with the identifier that it has on the server, which is in it too."""

    identifier: str
    series: str
    observation: Json
    statement: Statement

    @property
    def collected(self) -> str:
        """The time of the result, empty if it has none."""
        return str(self.observation.get("effectiveDateTime", ""))


# By the series of a result: what was written of it, in the order in which it came.
Written = Mapping[str, Sequence[WrittenResult]]


def to_write(
    made: Sequence[MessageResult], written: Written, item: int, received: datetime
) -> tuple[PlacedResult, ...]:
    """Those to write from this item, which was received then.

    Left out are those that a later item has written, and those that do not replace what is there
    (`message_order.py`). One without a time keeps that which it had. Raises `UnclearResult`.
    """
    found: list[PlacedResult] = []
    for result, identifier, last in _placed(made, written):
        statement = _statement_to_write(result, last, item, received)
        if statement is None:
            continue
        observation = {
            **result.observation,
            "identifier": [{"system": RESULT_SYSTEM, "value": identifier}],
            "status": statement.status,
        }
        if last is not None and last.collected and not result.collected:
            observation["effectiveDateTime"] = last.collected
        found.append(
            PlacedResult(
                identifier=identifier,
                series=result.series,
                observation=observation,
                statement=statement,
            )
        )
    return tuple(found)


def _statement_to_write(
    result: MessageResult, last: WrittenResult | None, item: int, received: datetime
) -> Statement | None:
    """What is to be written of a result from this item, `None` if it is nothing."""
    sent = sent_by_right_clock(result.sent, received)
    new = Statement(status=result.status, sent=sent, content=result.content)
    if last is None:
        return first_statement(new)
    if last.item > item:
        return None
    # Earlier versions of the service kept the times of clocks that were ahead, too.
    before = replace(last.statement, sent=sent_by_right_clock(last.statement.sent, last.written))
    if last.item == item:  # it was written, and that this item is done was not
        return continued(before, new)
    return replacement(before, new)


def check_clear(made: Sequence[MessageResult], written: Written, received: datetime) -> None:
    """Raise `UnclearResult` if it is not clear which written result one changes, or how."""
    for result, _, last in _placed(made, written):
        if last is not None:
            _statement_to_write(result, last, last.item + 1, received)


def identifiers_of(made: Sequence[MessageResult]) -> set[str]:
    """The identifiers that these results may have."""
    return {identifier for result in made for identifier in (result.name, _of_its_time(result))}


_Index = Mapping[str, dict[str, WrittenResult]]
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
    results: Sequence[MessageResult], written: Sequence[WrittenResult]
) -> Iterator[tuple[MessageResult, WrittenResult | None]]:
    """Results of one series, each with the one that was written of it; raises `UnclearResult`.

    Several of one time, which are the same test twice, are matched in their order.
    """
    most = len(written) + len(results)
    places = {results[0].numbered(number): number for number in range(1, most + 1)}
    of_one_time: defaultdict[str, list[MessageResult]] = defaultdict(list)
    for result in results:
        of_one_time[_minute(result.collected)].append(result)
    exact: defaultdict[str, list[WrittenResult]] = defaultdict(list)
    free = _Free(len(written) == 1)
    for state in sorted(written, key=lambda state: places.get(state.identifier, most + 1)):
        time = _minute(state.collected)
        if time in of_one_time:
            exact[time].append(state)
        else:
            free.add(state)
    # What was written with exactly the time of a result of this message is that result.
    for time, alike in of_one_time.items():
        changes = any(result.status in CHANGES for result in alike)
        found = exact[time] or _those_of(alike[0], free, changes=changes)
        if len(found) > len(alike) or (changes and written and not found):
            raise UnclearResult("which")
        if not exact[time]:
            free.remove(found)
        for number, result in enumerate(alike):
            yield result, found[number] if number < len(found) else None


class _Free:
    """Results that were written, and of whose minute the message has none, found by their day."""

    def __init__(self, is_only: bool) -> None:
        self.is_only = is_only  # whether the series has no other
        self._all: dict[str, WrittenResult] = {}
        self._order: dict[str, int] = {}
        # By year, month or day: those of that very time, and those that are within it.
        self._at: defaultdict[str, dict[str, WrittenResult]] = defaultdict(dict)
        self._within: defaultdict[str, dict[str, WrittenResult]] = defaultdict(dict)

    def add(self, state: WrittenResult) -> None:
        """Add a result that is not in this group yet."""
        self._all[state.identifier] = state
        self._order[state.identifier] = len(self._order)
        for index, time in self._places(state):
            index[time][state.identifier] = state

    def remove(self, found: Sequence[WrittenResult]) -> None:
        """Take these out, which another result of the message is."""
        for state in found:
            del self._all[state.identifier]
            for index, time in self._places(state):
                del index[time][state.identifier]

    def left(self) -> list[WrittenResult]:
        """All that are here."""
        return list(self._all.values())

    def fitting(self, time: str) -> list[WrittenResult]:
        """Those of which one can be the result of this time, where one of both has no minute.

        They come in the order in which they were added. What was written without a time may be
        of any, if it is the only one.
        """
        day = _day(time)
        found = dict(self._within[day]) if "T" not in time else {}
        for length in _LENGTHS:
            if length < len(day) or (length == len(day) and "T" in time):
                found |= self._at[day[:length]]
        ordered = sorted(found.values(), key=lambda state: self._order[state.identifier])
        return [state for state in ordered if state.collected or self.is_only]

    def _places(self, state: WrittenResult) -> Iterator[tuple[_Index, str]]:
        day = _day(state.collected)
        if "T" not in state.collected:
            yield self._at, day
        for length in _LENGTHS:
            if length <= len(day):
                yield self._within, day[:length]


def _those_of(result: MessageResult, free: _Free, *, changes: bool) -> list[WrittenResult]:
    """Those that a result may be, none of which is of its minute."""
    fitting = free.fitting(result.collected)
    if not changes:
        fitting = [state for state in fitting if not _was_withdrawn_before(state, result)]
    if fitting:
        return fitting
    # A correction may be of the time; and until it is final, or once it is taken back, a result
    # may come with another time.
    if not (changes or free.is_only):
        return []
    left = [
        state
        for state in free.left()
        if changes
        or not (state.statement.status in SETTLED or _was_withdrawn_before(state, result))
    ]
    return [] if any(_is_of_another_day(state, result) for state in left) else left


def _was_withdrawn_before(written: WrittenResult, result: MessageResult) -> bool:
    """Whether a result is none that was withdrawn, because it was collected after that."""
    is_withdrawn = written.statement.status == WITHDRAWN
    return is_withdrawn and _is_collected_after(written, result)


def _is_collected_after(written: WrittenResult, result: MessageResult) -> bool:
    """Whether a result was collected after the other was written, in any zone."""
    return bool(result.collected) and _earliest(result.collected) > written.written + _ZONES


def _is_of_another_day(written: WrittenResult, result: MessageResult) -> bool:
    """Whether a result is none whose time is corrected, because its sample is another.

    It is one that was collected after the other was final, or on an earlier day, unless it says
    the same but for the time, which is then at most a day wrong.
    """
    if written.statement.status not in SETTLED or not result.collected:
        return False
    if _is_collected_after(written, result):
        return True
    if not written.collected or _day(result.collected) >= _day(written.collected):
        return False
    is_near = _earliest(result.collected) >= _earliest(written.collected) - _ZONES
    return not (is_near and result.content == written.statement.content)


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


def _day(time: str) -> str:
    return time.partition("T")[0]


def _minute(time: str) -> str:
    if "T" not in time:
        return time
    return moment_of(time).astimezone(UTC).strftime("%Y-%m-%dT%H:%M")
