# SPDX-License-Identifier: Apache-2.0
"""Measures of a frame: values computed from exact results, or the reason to withhold them."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from fractions import Fraction

from cds_service.amounts import compare, exactly
from cds_service.copying import replace
from cds_service.knowledge.model.formulas import Input
from cds_service.knowledge.model.pack import Measure
from cds_service.labs.patient_record import LabResult
from cds_service.labs.reasons import HasComparator, PackReason
from cds_service.labs.result_selection import Frame, MeasureValue
from cds_service.rules.evaluate import Test, compiled_reasons, first_reason

_AGE = "age"


@dataclass(frozen=True, slots=True)
class CompiledMeasure:
    """A measure with its conditions as functions and the markers that it needs."""

    measure: Measure
    needed: frozenset[str]
    not_computed: tuple[tuple[Test, PackReason], ...]


def compile_measure(measure: Measure) -> CompiledMeasure:
    """The measure ready to be computed."""
    return CompiledMeasure(
        measure=measure,
        needed=frozenset(
            input_.marker for input_ in measure.formula.inputs if input_.marker != _AGE
        ),
        not_computed=compiled_reasons(measure.not_computed),
    )


class Measures(Mapping[str, MeasureValue]):
    """The measures of a frame by their ids; each is computed when it is first asked for.

    Most are asked for by rules whose other conditions do not hold.
    """

    __slots__ = ("_compiled", "_frame", "_known")

    def __init__(self, frame: Frame, compiled: Mapping[str, CompiledMeasure]) -> None:
        self._frame = frame
        self._compiled = compiled
        self._known: dict[str, MeasureValue] = {}

    def __getitem__(self, name: str) -> MeasureValue:
        known = self._known.get(name)
        if known is None:
            known = self._known[name] = _value(self._compiled[name], self._frame)
        return known

    def __iter__(self) -> Iterator[str]:
        return iter(self._compiled)

    def __len__(self) -> int:
        return len(self._compiled)


def with_measures(frame: Frame, measures: Iterable[CompiledMeasure]) -> Frame:
    """The frame with every measure that is about its index."""
    about = {
        computed.measure.id: computed
        for computed in measures
        if computed.measure.about == frame.index
    }
    return replace(frame, measures=Measures(frame, about)) if about else frame


def _value(compiled_measure: CompiledMeasure, frame: Frame) -> MeasureValue:
    measure, needed = compiled_measure.measure, compiled_measure.needed
    hemolysed = [reason for marker, reason in frame.not_used.items() if marker in needed]
    if hemolysed:
        return MeasureValue(because=hemolysed[0])
    if not needed <= frame.readings.keys():
        return MeasureValue()
    because = first_reason(compiled_measure.not_computed, frame)
    if because is not None:
        return MeasureValue(because=because)
    if any(
        item.part == "previous" and _before(item, measure, frame) is None
        for item in measure.formula.inputs
    ):
        return MeasureValue()
    if any(_is_range(item, measure, frame) for item in measure.formula.inputs):
        return MeasureValue(because=HasComparator())
    value = measure.formula.value(lambda item: _read(item, measure, frame))
    if value is None:
        return MeasureValue()
    return MeasureValue(value=value, called=_called(measure, value))


def _before(item: Input, measure: Measure, frame: Frame) -> LabResult | None:
    """The earlier test that the formula reads."""
    return frame.previous(item.marker, measure.earlier) if measure.earlier else None


def _is_range(item: Input, measure: Measure, frame: Frame) -> bool:
    """Whether the input came with a comparator, so that no single value can be computed."""
    if item.marker == _AGE or item.part == "limit":
        return False
    value = item.part == "value"
    result = frame.readings[item.marker].result if value else _before(item, measure, frame)
    return result is not None and result.value.exact is None


def _read(item: Input, measure: Measure, frame: Frame) -> Fraction | None:
    if item.marker == _AGE:
        years = frame.person.years
        return None if years is None else Fraction(years)
    reading = frame.readings[item.marker]
    match item.part:
        case "value":
            return reading.result.value.exact
        case "limit":
            return reading.upper.exact if reading.upper else None
        case "previous":
            previous = _before(item, measure, frame)
            return previous.value.exact if previous else None


def _called(measure: Measure, value: Fraction) -> str | None:
    for reading in measure.readings:
        if reading.relation == "otherwise":
            return reading.called
        if compare(exactly(value), reading.relation, exactly(reading.bound)) is True:
            return reading.called
    return None
