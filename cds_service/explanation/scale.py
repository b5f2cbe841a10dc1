# SPDX-License-Identifier: Apache-2.0
"""The stretches of a marker's bands or grades, found by asking the bands themselves.

Every boundary that a condition names, and a point between each two, is graded as a result would
be; neighbours of one band are one stretch. So the drawing cannot differ from the decision.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from fractions import Fraction

from cds_service.amounts import Interval, exactly, shortened
from cds_service.copying import replace
from cds_service.explanation.view import View
from cds_service.knowledge.model.bounds import Number, TimesLimit, TimesMarker
from cds_service.knowledge.model.conditions import AnyOf, leaves
from cds_service.knowledge.model.leaves import Compare
from cds_service.knowledge.model.pack import Grade, Marker, Pack
from cds_service.labs.limits import Limit, limit_of
from cds_service.labs.patient import Person
from cds_service.labs.patient_record import LabResult, Sent
from cds_service.labs.reading_limits import limit_in
from cds_service.labs.result_selection import Frame, Reading
from cds_service.render.result_units import ResultUnit, limit_amount, unit_of_scale
from cds_service.render.values import limit_source
from cds_service.rules.grades import grade_of

_NOBODY = Person(months=None, sex="unknown")
_NO_GRADE = Grade(id="", title="", when=AnyOf(()))  # between edges, where none is known


@dataclass(frozen=True, slots=True)
class Stretch:
    """Neighbouring values of one band, or of none that is known; an end of `None` is open."""

    grade: Grade
    low: Fraction | None
    high: Fraction | None
    low_open: bool
    high_open: bool

    def words(self, unit: ResultUnit) -> str:
        """For example `below 5 U/L`, `5 to 40 U/L` or `above 40, up to 80 U/L`."""
        return f"{self._numbers(unit)} {unit.text}".strip() if self.is_bounded else "any value"

    @property
    def is_bounded(self) -> bool:
        """Whether it has an end at all."""
        return self.low is not None or self.high is not None

    def _numbers(self, unit: ResultUnit) -> str:
        low = "" if self.low is None else unit.number(self.low)
        high = "" if self.high is None else unit.number(self.high)
        if self.low is None:
            return f"{'below' if self.high_open else 'up to'} {high}"
        if self.high is None:
            return f"{'above' if self.low_open else 'at least'} {low}"
        if self.low == self.high:
            return f"exactly {low}"
        if not self.low_open and not self.high_open:
            return f"{low} to {high}"
        first = f"above {low}" if self.low_open else f"from {low}"
        last = f"below {high}" if self.high_open else f"up to {high}"
        return f"{first}, {last}"


class Band(View, frozen=True, kw_only=True):
    """One row of a table of bands or grades; without a title it is a stretch of no known band."""

    id: str
    title: str
    range: str
    of_limit: str = ""  # as a multiple of the upper limit
    current: bool = False


class ScaleView(View, frozen=True, kw_only=True):
    """The bands from low to high, and where the value lies on them, from 0 to 1."""

    bands: tuple[Band, ...]
    edges: tuple[str, ...]
    unit: str = ""
    place: float | None = None
    open_below: bool = False
    open_above: bool = False


class LimitView(View, frozen=True, kw_only=True):
    """The upper limit that the value is judged by."""

    amount: str
    named: str


def stretches(grades: tuple[Grade, ...], marker: Marker, frame: Frame) -> tuple[Stretch, ...]:
    """The stretches from low to high; none if no band is known anywhere."""
    neighbours: list[Stretch] = []
    for probe, low, high in _probes(_boundaries(grades, marker, frame)):
        graded = grade_of(grades, _with_value(frame, marker, probe))
        grade, is_point = graded.grade if graded else _NO_GRADE, low == high
        last = neighbours[-1] if neighbours else None
        if last is not None and last.grade.title == grade.title and last.high == low:
            neighbours[-1] = replace(last, high=high, high_open=not is_point)
        else:
            neighbours.append(Stretch(grade, low, high, not is_point, not is_point))
    return tuple(neighbours) if any(stretch.grade.id for stretch in neighbours) else ()


def blank_frame(marker: Marker, person: Person = _NOBODY) -> Frame:
    """A frame with a result of the marker that says nothing, for its limits."""
    result = LabResult(
        marker=marker.id,
        code="",
        method=None,
        value=exactly(0),
        sent=Sent(number="0", unit=marker.unit),
        unit=marker.unit,
        time=datetime(2000, 1, 1, tzinfo=UTC),
        precision="day",
        status="final",
        reference="",
    )
    reading = Reading(
        result=result,
        upper=limit_of(marker, "upper limit", result, person),
        lower=limit_of(marker, "lower limit", result, person),
        screening=limit_of(marker, "screening limit", result, person),
    )
    return Frame(
        index=marker.id,
        now=result.time,
        person=person,
        facts={},
        ordering=frozenset(),
        readings={marker.id: reading},
    )


def limit_in_words(
    limit: Limit | None,
    marker: Marker,
    result: LabResult,
    pack: Pack,
    unit: ResultUnit | None = None,
) -> LimitView | None:
    """The limit of a result as a page says it, in this unit or in that of the result."""
    messages = pack.messages_in()
    amount = limit_amount(limit, marker, result, messages, unit)
    if limit is None or amount is None:
        return None
    return LimitView(amount=amount, named=limit_source(limit.named, messages))


def scale_of(
    marker: Marker, frame: Frame, *, asked: bool, unit: ResultUnit | None = None
) -> ScaleView | None:
    """The bands of the marker, if it has any, with the value of the frame if it was asked for.

    In this unit, or in that of the result.
    """
    row = stretches(marker.bands, marker, frame)
    if not row:
        return None
    reading = frame.readings[marker.id]
    place = where_is(reading.result.value, row) if asked else None
    unit = unit or unit_of_scale(reading, marker)
    return ScaleView(
        bands=tuple(grade_rows(marker.bands, marker, frame, asked=asked, unit=unit)),
        edges=tuple(unit.number(stretch.high) for stretch in row if stretch.high is not None),
        unit=unit.text,
        place=float(place[0]) if place else None,
        open_below=bool(place and place[1]),
        open_above=bool(place and place[2]),
    )


def grade_rows(
    grades: tuple[Grade, ...],
    marker: Marker,
    frame: Frame,
    *,
    asked: bool,
    unit: ResultUnit | None = None,
) -> Iterator[Band]:
    """A row for each stretch of the grades; with `asked` the one of the value is current."""
    found = grade_of(grades, frame) if asked else None
    unit = unit or unit_of_scale(frame.readings[marker.id], marker)
    for stretch in stretches(grades, marker, frame):
        yield Band(
            id=stretch.grade.id,
            title=stretch.grade.title,
            range=stretch.words(unit),
            of_limit=_of_limit(stretch, marker, frame),
            current=found is not None and found.grade.title == stretch.grade.title,
        )


def _of_limit(stretch: Stretch, marker: Marker, frame: Frame) -> str:
    """The stretch in multiples of the upper limit, if that is how its grade is worded."""
    upper = frame.readings[marker.id].upper
    bounds = [leaf.bound for leaf in leaves(stretch.grade.when) if isinstance(leaf, Compare)]
    if (
        upper is None
        or upper.exact is None
        or upper.exact <= 0
        or not any(isinstance(b, TimesLimit) and b.limit == "upper limit" for b in bounds)
    ):
        return ""
    if stretch.high is not None:
        return f"{'below' if stretch.high_open else 'up to'} {_times(stretch.high, upper.exact)} ×"
    if stretch.low is None:
        return ""
    return f"{'above' if stretch.low_open else 'at least'} {_times(stretch.low, upper.exact)} ×"


def _times(amount: Fraction, limit: Fraction) -> str:
    """The amount as a multiple of the limit, to two decimals."""
    return shortened(amount / limit, 2)


def where_is(value: Interval, row: tuple[Stretch, ...]) -> tuple[Fraction, bool, bool] | None:
    """(place from 0 to 1, open to the left, open to the right) of a value on the drawn scale.

    Every stretch is drawn equally wide, so that a small one can be read; within it the place is
    in proportion. Of a range the end that is known is marked, with an arrow.
    """
    at = value.low if value.low is not None else value.high
    if at is None or not row:
        return None
    beyond = value.low is not None and value.low_open
    place = _place(at, row, beyond=beyond)
    return None if place is None else (place, value.low is None, value.high is None)


def _place(at: Fraction, row: tuple[Stretch, ...], *, beyond: bool) -> Fraction | None:
    share = Fraction(1, len(row))
    for n, stretch in enumerate(row):
        past = stretch.high_open or beyond
        if stretch.high is not None and (at > stretch.high or (at == stretch.high and past)):
            continue
        low = max(stretch.low or Fraction(0), Fraction(0))
        if at < low:
            return n * share
        if stretch.high is None:
            inside = 1 - low / at if low else Fraction(1, 2)  # from its edge towards no end
        else:
            inside = (at - low) / (stretch.high - low) if stretch.high > low else Fraction(1, 2)
        return (n + min(max(inside, Fraction(1, 50)), Fraction(49, 50))) * share
    return None


def _boundaries(grades: Iterable[Grade], marker: Marker, frame: Frame) -> tuple[Fraction, ...]:
    reading = frame.readings[marker.id]
    amounts: set[Fraction] = set()
    for leaf in (leaf for grade in grades for leaf in leaves(grade.when)):
        if not isinstance(leaf, Compare):
            continue
        match leaf.bound:
            case Number(amount=amount):
                amounts.add(amount)
            case TimesLimit(times=times, limit=kind):
                limit = limit_in(reading, kind)
                amounts.update(_ends(limit.interval, times) if limit is not None else ())
            case TimesMarker(times=times, marker=name, plus=None) if name in frame.readings:
                amounts.update(_ends(frame.readings[name].result.value, times))
            case _:
                pass
    return tuple(sorted(amounts))


def _ends(interval: Interval, times: Fraction) -> Iterator[Fraction]:
    scaled = interval.times(times)
    yield from (end for end in (scaled.low, scaled.high) if end is not None)


def _probes(
    boundaries: tuple[Fraction, ...],
) -> Iterator[tuple[Fraction, Fraction | None, Fraction | None]]:
    """(a value, and the ends of the stretch that it stands for), from low to high."""
    if not boundaries:
        yield Fraction(1), None, None
        return
    yield boundaries[0] - 1, None, boundaries[0]
    for n, boundary in enumerate(boundaries):
        yield boundary, boundary, boundary
        after = boundaries[n + 1] if n + 1 < len(boundaries) else None
        yield (boundary + after) / 2 if after is not None else boundary + 1, boundary, after


def _with_value(frame: Frame, marker: Marker, value: Fraction) -> Frame:
    reading = frame.readings[marker.id]
    changed = replace(reading, result=replace(reading.result, value=exactly(value)))
    return replace(frame, readings={**frame.readings, marker.id: changed})
