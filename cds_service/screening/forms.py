# SPDX-License-Identifier: Apache-2.0
"""What the form of a resource means: everything in it but the number, the times and the names.

Millions of resources have some hundred forms. The ordinary intake reads one specimen of each, with
the real code, unit, status and reference range and an invented number, so that the engine need
know nothing of codes and units. A form that is not plain in every respect is "maybe", and who
has such a resource is decided about.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from fractions import Fraction
from math import ceil, floor
from typing import Final, TypeAlias

from msgspec.json import Decoder, Encoder

from cds_service.amounts import exactly
from cds_service.decide import settle
from cds_service.errors import CdsServiceError
from cds_service.intake.patient_input import PatientInput
from cds_service.intake.read_record import read_record
from cds_service.knowledge.model.bounds import LimitKind
from cds_service.knowledge.model.pack import LimitChoice, Marker
from cds_service.labs.patient_record import LabResult, PatientRecord, ReferenceRange
from cds_service.labs.set_aside_reasons import LOSSES
from cds_service.prefetch_keys import Kind
from cds_service.screening.decisions import TRIGGER, asked_of
from cds_service.screening.necessary import LIMIT_COLUMNS, SCALE, name_of, rules_of
from cds_service.service import Knowledge, Served, evaluated
from cds_service.sources.lines import ResourceText, input_from_lines

RESULT: Final = "Observation"
UsesForm: TypeAlias = Callable[[str], bool]
"""Whether a result of a form, as the engine has it, says anything that a rule may read."""
_PATIENT: Final = "p"
_MOST: Final = 10**9  # of a factor's two numbers, so that products stay whole numbers of 64 bits
_MOST_LIMIT: Final = 10**15
_MOST_NUMBER: Final = 10**15  # in millionths
_MOST_AMOUNT: Final = 10**17  # so that its multiples stay whole numbers of 64 bits
_NUMBERS: Final = (20, 1, 100, 1000, 5, 250, "0.5", "0.1", 10000, 100000, "0.01", 1000000)
_ENCODER = Encoder()
_ANY: Decoder[object] = Decoder()


@dataclass(frozen=True, slots=True)
class FormRow:
    """What a form says in the terms of one pack: a result, or facts, or that it may be anything.

    `up` and `down` are the factor to the unit of the marker. `limits` are in the order of
    `LIMIT_COLUMNS`, least and greatest of each.
    """

    maybe: bool = False
    marker: str | None = None
    fact: str | None = None
    method: str | None = None
    up: int = 1
    down: int = 1
    has_low: bool = True
    has_high: bool = True
    least: int = 0  # what the marker can be; a number outside is a notice
    most: int = 0
    limits: tuple[int | None, ...] = (None,) * 6

    @property
    def reach(self) -> int:
        """The greatest number of which the amount is still a whole number of 64 bits."""
        return min(_MOST_AMOUNT * self.down // self.up, _MOST_NUMBER) - 1


_MAYBE = FormRow(maybe=True)


class FormReader:
    """Reads forms by the packs that answer where a chart is opened."""

    def __init__(self, knowledge: Knowledge, known: frozenset[Kind], moment: datetime) -> None:
        self._knowledge = knowledge
        self._known = known
        self._moment = moment
        self._served = asked_of(knowledge)
        self._asks_about_set_aside = any(
            not rule.about
            for served in self._served
            for rule in rules_of(served.program.pack, TRIGGER)
        )

    def is_silent_about(self, *resources: Mapping[str, object]) -> bool:
        """Whether a patient of whom no more is there has neither a card nor a notice."""
        given = self._input(*resources)
        for served in self._served:
            outcome = settle(evaluated(self._knowledge, served, given, TRIGGER, self._moment))
            if outcome.unused or any(decision.shown for decision in outcome.decisions):
                return False
        return True

    def read(self, kind: str, resource: Mapping[str, object]) -> list[FormRow]:
        """What a specimen of a form says; it lacks its number, its times and its subject."""
        try:
            if kind == "Patient":
                return [] if self.is_silent_about({**resource, "id": _PATIENT}) else [_MAYBE]
            about = {**resource, "subject": {"reference": f"Patient/{_PATIENT}"}}
            rows: list[FormRow] = []
            for served in self._served:
                found = (
                    self._result(served, about) if kind == RESULT else self._facts(served, about)
                )
                rows.extend(found)
        except CdsServiceError:
            return [_MAYBE]
        return rows

    def _input(self, *resources: Mapping[str, object]) -> PatientInput:
        lines = [
            ResourceText(str(resource["resourceType"]), _ENCODER.encode(resource).decode())
            for resource in resources
        ]
        return input_from_lines(_PATIENT, lines, self._known)

    def _record(self, served: Served, *resources: Mapping[str, object]) -> PatientRecord:
        zone = self._knowledge.zone
        return read_record(served.reader, self._input(*resources), now=self._moment, zone=zone)

    def _result(self, served: Served, resource: Mapping[str, object]) -> list[FormRow]:
        day_before = (self._moment - timedelta(days=1)).isoformat()
        dated = {**resource, "effectiveDateTime": day_before}
        quantity = resource.get("valueQuantity")
        tried: Sequence[object] = _NUMBERS if isinstance(quantity, dict) else (None,)
        for number in tried:
            specimen = dated
            if isinstance(quantity, dict):
                value = _ANY.decode(str(number).encode())
                specimen = {**dated, "valueQuantity": {**quantity, "value": value}}
            record = self._record(served, specimen)
            if record.incomplete or self._is_lossy(record):
                continue
            if "component" in resource:  # the numbers of which are not known
                is_any_read = record.results or any(item.marker for item in record.set_aside)
                return [_MAYBE] if is_any_read else []
            if not record.results:
                return []
            if len(record.results) == 1 and not record.set_aside:
                return [_row(record.results[0], served)]
        return [_MAYBE]

    def _is_lossy(self, record: PatientRecord) -> bool:
        """Whether something of it has to be named, or is asked about by a rule."""
        if self._asks_about_set_aside and (
            any(item.marker for item in record.set_aside)
            or any(result.status == "preliminary" for result in record.results)
        ):
            return True
        return any(item.reason in LOSSES for item in record.set_aside)

    def _facts(self, served: Served, resource: Mapping[str, object]) -> list[FormRow]:
        bare, record = self._record(served), self._record(served, resource)
        if record.incomplete != bare.incomplete or record.set_aside:
            return [_MAYBE]
        finders = served.program.facts.finders
        found = [
            *(match for each in record.medicines or () for match in finders.medicines.found(each)),
            *(
                match
                for each in record.conditions or ()
                for match in finders.conditions.found(each)
            ),
        ]
        names = dict.fromkeys(match.fact for match in found)
        return [FormRow(fact=name_of(served.program.pack, name)) for name in names]


def _row(result: LabResult, served: Served) -> FormRow:
    pack = served.program.pack
    marker = pack.markers[result.marker]
    factor, plausible = result.factor, marker.plausible
    limits = tuple(limit for kind in LIMIT_COLUMNS for limit in _limits(kind, marker, result))
    numbers = (factor.numerator, factor.denominator)
    if max(numbers) > _MOST or any(
        abs(limit) > _MOST_LIMIT for limit in limits if limit is not None
    ):
        return _MAYBE
    if plausible.low is None or plausible.high is None:
        return _MAYBE
    return FormRow(
        marker=name_of(pack, marker.id),
        method=result.method,
        up=factor.numerator,
        down=factor.denominator,
        has_low=result.value.low is not None,
        has_high=result.value.high is not None,
        least=ceil(plausible.low * SCALE),
        most=floor(plausible.high * SCALE),
        limits=limits,
    )


def _limits(kind: LimitKind, marker: Marker, result: LabResult) -> tuple[int | None, int | None]:
    """The least and the greatest limit that the result can be judged by, for any patient."""
    found = list(_amounts(kind, marker, result))
    if not found:
        return None, None
    # The engine handed the range on as floating point: a millionth either way.
    return floor(min(found) * SCALE) - 1, ceil(max(found) * SCALE) + 1


def _amounts(kind: LimitKind, marker: Marker, result: LabResult) -> Iterator[Fraction]:
    """The limits of the marker's policy, up to the first line that applies to everybody."""
    for choice in marker.limits.get(kind, ()):
        if choice.amount is not None:
            yield choice.amount
            if choice.applies is None:
                return
            continue
        ends = [
            end
            for reference_range in result.ranges
            if (end := _end(reference_range, kind)) is not None
        ]
        yield from ends
        if choice.applies is None and _is_for_all(choice, result, ends):
            return


def _end(reference_range: ReferenceRange, kind: LimitKind) -> Fraction | None:
    return reference_range.low if kind == "lower limit" else reference_range.high


def _is_for_all(choice: LimitChoice, result: LabResult, ends: list[Fraction]) -> bool:
    """Whether the laboratory sent one limit, for everybody, that is believed beyond any doubt."""
    (first_range, *others) = result.ranges or (None,)
    if first_range is None or others or not ends or ends[0] <= 0:
        return False
    if (
        first_range.sex is not None
        or first_range.age_from is not None
        or first_range.age_below is not None
    ):
        return False
    hair = Fraction(2, SCALE)
    return choice.believed is None or all(
        choice.believed.contains(exactly(end)) for end in (ends[0] - hair, ends[0] + hair)
    )
