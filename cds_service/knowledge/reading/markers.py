# SPDX-License-Identifier: Apache-2.0
"""`markers/*.yaml` and `units.yaml` -> markers.

A marker is read in two steps: its words first (unit, factors, methods), because phrases of every
file speak of them, then the marker itself, whose limits and grades are phrases.
"""

import re
from collections.abc import Iterator, Mapping
from fractions import Fraction

from cds_service.amounts import Interval, plain
from cds_service.knowledge.model.bounds import LimitKind
from cds_service.knowledge.model.code_systems import LOINC
from cds_service.knowledge.model.conditions import (
    Condition,
    leaves,
)
from cds_service.knowledge.model.leaves import (
    AgeCompare,
    Compare,
    SexIs,
)
from cds_service.knowledge.model.marker_parts import markers_of
from cds_service.knowledge.model.pack import (
    UNIT_SYSTEMS,
    Grade,
    LimitChoice,
    Marker,
    MarkerCode,
    Near,
    Pairing,
    Whole,
)
from cds_service.knowledge.model.units import Dimension, UnitPieces
from cds_service.knowledge.reading.phrases import Phrases
from cds_service.knowledge.reading.schemas import (
    CodeShape,
    FactorShape,
    LimitShape,
    MarkerShape,
)
from cds_service.knowledge.reading.spellings import Spellings
from cds_service.knowledge.reading.vocabulary import COUNT, NUMBER, MarkerWords
from cds_service.sourcefile.diagnostics import nearest
from cds_service.sourcefile.document import Data, Document, Where

_WHOLE = re.compile(rf"([a-z][a-z0-9-]*) plus ({NUMBER}) (\S+) or ({NUMBER}) %")
_RANGE = re.compile(rf"({NUMBER}) to ({NUMBER})(?: (\S+))?")
_AMOUNT = re.compile(rf"({NUMBER})(?: (\S+))?")
_PAIRS_INDEX = re.compile(rf"within ({COUNT}) (hours|days) of the index")
_PAIRS_NOW = re.compile(rf"within ({COUNT}) (hours|days) before now")
_MULTIPLE = re.compile(rf"({NUMBER}) x upper limit")
NO_UNIT = "none"
ANY_TEST = "any test"  # the list of words that every marker allows


def read_units(document: Document, problems: Phrases) -> dict[str, str]:
    """`units.yaml`: every spelling, without blanks -> the unit that it stands for."""
    spellings: dict[str, str] = {}
    if not isinstance(document.data, dict):
        problems.problem("K106", (), "write 'unit: [spelling, ...]' lines")
        return spellings
    for unit, others in document.data.items():
        for place, spelling in enumerate([unit, *others] if isinstance(others, list) else [unit]):
            if not isinstance(spelling, str):
                problems.problem("K106", (unit,), "a spelling is text")
            elif spelling.split() != [spelling]:
                problems.problem("K106", (unit,), f"write '{spelling}' without blanks")
            elif spellings.setdefault(spelling, unit) != unit:
                where: Where = (unit, max(place - 1, 0))
                problems.problem(
                    "K302", where, f"'{spelling}' already stands for {spellings[spelling]}"
                )
    return spellings


def read_words(shape: MarkerShape, reader: Phrases, units: Mapping[str, str]) -> MarkerWords:
    """What phrases may say of the marker."""
    factors, _ = _factors(shape, reader, units)
    unit = "" if shape.unit == NO_UNIT else shape.unit
    methods = frozenset(code.method for code in shape.codes if code.method)
    limits = frozenset(kind for kind, lines in _policies(shape) if lines)
    return MarkerWords(unit=unit, factors=factors, methods=methods, limits=limits)


def _policies(shape: MarkerShape) -> tuple[tuple[LimitKind, list[LimitShape]], ...]:
    return (
        ("upper limit", shape.upper_limit),
        ("lower limit", shape.lower_limit),
        ("screening limit", shape.screening_limit),
    )


def read_marker(
    shape: MarkerShape, reader: Phrases, units: Mapping[str, str], spellings: Spellings
) -> Marker | None:
    """The marker, or `None` after its problems were noted."""
    before = len(reader.problems)
    factors, spelled = _factors(shape, reader, units)
    unit = "" if shape.unit == NO_UNIT else shape.unit
    if unit and factors.get(unit) != 1:
        reader.problem("K105", ("units",), f"the marker's own unit is missing: '{unit}: 1'")
    codes = tuple(_code(code, ("codes", n), reader) for n, code in enumerate(shape.codes))
    limits = {
        kind: tuple(_limit(line, (kind, n), reader, shape.id) for n, line in enumerate(lines))
        for kind, lines in _policies(shape)
    }
    marker = Marker(
        id=shape.id,
        title=shape.title,
        name=shape.name,
        unit=unit,
        codes=codes,
        names=tuple(shape.names),
        beside_name=tuple(_beside_name(shape, reader, spellings)),
        factors=factors,
        units=spelled,
        unit_may_be_missing=shape.missing_unit is not None,
        plausible=_range(shape.plausible, ("plausible",), reader, shape.id),
        pairing=_pairing(shape.pairs, reader),
        limits=limits,
        used_if_hemolysed=shape.hemolysed_specimen == "used",
        shows_hemolysis=shape.shows_hemolysis is not None,
        bands=_grades(shape, "bands", reader),
        grades=_grades(shape, "grades", reader),
        near=_near(shape, reader),
        whole=_whole(shape, factors, reader),
        shown_in=_shown_in(shape, reader),
        codes_not_read=tuple(
            MarkerCode(system=LOINC, code=code.loinc, name=code.because, is_read=False)
            for code in shape.codes_not_read
        ),
        dimensions=_dimensions(shape, factors, spellings.units, reader)
        if factors.get(unit) == 1
        else {},
    )
    return marker if len(reader.problems) == before else None


def _shown_in(shape: MarkerShape, reader: Phrases) -> Mapping[str, str]:
    if shape.shown_in and len(shape.shown_in) < len(UNIT_SYSTEMS):
        reader.problem("K105", ("shown in",), "write a unit for US and one for SI")
    for system, unit in shape.shown_in.items():
        if unit not in shape.units:
            known = "write one of: " + ", ".join(shape.units)
            reader.problem("K203", ("shown in", system), f"'{unit}' is not a unit here", known)
    return {str(system): unit for system, unit in shape.shown_in.items()}


def _whole(shape: MarkerShape, factors: Mapping[str, Fraction], reader: Phrases) -> Whole | None:
    if shape.never_above is None:
        return None
    match = _WHOLE.fullmatch(shape.never_above)
    if match is None or match[3] not in factors:
        message, remedy = "cannot read this line", "write: MARKER plus NUMBER UNIT or NUMBER %"
        reader.problem("K202", ("never above",), message, remedy)
        return None
    if match[1] not in reader.vocabulary.markers:
        remedy = nearest(match[1], reader.vocabulary.markers)
        reader.problem("K301", ("never above",), f"there is no marker '{match[1]}'", remedy)
    return Whole(
        marker=match[1],
        plus=Fraction(match[2]) * factors[match[3]],
        share=Fraction(match[4]) / 100,
    )


def _factors(
    shape: MarkerShape, reader: Phrases, units: Mapping[str, str]
) -> tuple[dict[str, Fraction], dict[str, str]]:
    """Every spelling -> factor into the marker's unit, and every spelling -> its unit."""
    factors: dict[str, Fraction] = {}
    spelled: dict[str, str] = {}
    for unit, written in shape.units.items():
        factor = _factor(written, ("units", unit), reader)
        if factor is None:
            continue
        own = shape.spellings.get(unit, [])
        for spelling in (unit, *(s for s, u in units.items() if u == unit), *own):
            if spelled.setdefault(spelling, unit) != unit:
                message = f"'{spelling}' already stands for {spelled[spelling]}"
                reader.problem("K302", ("units", unit), message)
            else:
                factors[spelling] = factor
    for unit in shape.spellings:
        if unit not in shape.units:
            reader.problem("K301", ("spellings", unit), f"'{unit}' is not among the units")
    return factors, spelled


def _beside_name(shape: MarkerShape, reader: Phrases, spellings: Spellings) -> Iterator[str]:
    """The words of each list that the marker names, and of the list for any test."""
    yield from spellings.beside_names.get(ANY_TEST, ())
    for n, name in enumerate(shape.beside_the_name):
        words = spellings.beside_names.get(name)
        if words is None:
            remedy = nearest(name, spellings.beside_names)
            message = f"there is no list of words '{name}'"
            reader.problem("K301", ("beside the name", n), message, remedy)
        yield from words or ()


def _dimensions(
    shape: MarkerShape, factors: Mapping[str, Fraction], pieces: UnitPieces, reader: Phrases
) -> dict[Dimension, Fraction]:
    """The factor of the base unit of each dimension; all units of one dimension must agree."""
    base_factors: dict[Dimension, Fraction] = {}
    for unit in shape.units:
        size = pieces.size_of(unit)
        if size is None or unit not in factors:
            continue
        factor = factors[unit] / size.amount
        first = base_factors.setdefault(size.dimension, factor)
        if first != factor:
            message = f"{unit} is {plain(first * size.amount)} {shape.unit} by definition"
            reader.problem("K207", ("units", unit), message)
    return base_factors


def _factor(written: str | FactorShape, where: Where, reader: Phrases) -> Fraction | None:
    if isinstance(written, str):
        return number(written, where, reader)
    if (written.times is None) == (written.divided_by is None):
        reader.problem("K106", where, "write either 'times: NUMBER' or 'divided by: NUMBER'")
        return None
    if written.times is not None:
        return number(written.times, where, reader)
    divisor = number(written.divided_by or "", where, reader)
    return 1 / divisor if divisor else None


def number(text: str, where: Where, reader: Phrases) -> Fraction | None:
    """An exact positive number, or `None` after a problem was noted."""
    if not re.fullmatch(NUMBER, text) or Fraction(text) <= 0:
        reader.problem("K204", where, f"'{text}' is not a positive number", "write 60 or 17.104")
        return None
    return Fraction(text)


def _code(shape: CodeShape, where: Where, reader: Phrases) -> MarkerCode:
    if shape.loinc:
        return MarkerCode(system=LOINC, code=shape.loinc, name=shape.name, method=shape.method)
    if not (shape.system and shape.code):
        reader.problem("K105", where, "write 'loinc: CODE', or 'system: URI' and 'code: CODE'")
    return MarkerCode(
        system=shape.system or "", code=shape.code or "", name=shape.name, method=shape.method
    )


def _limit(shape: LimitShape, where: Where, reader: Phrases, marker: str) -> LimitChoice:
    applies: Condition | None = None
    if shape.when is not None:
        applies = reader.condition(shape.when, (*where, "when"))
        if applies and not all(isinstance(leaf, AgeCompare | SexIs) for leaf in leaves(applies)):
            message = "a limit depends on age and sex only"
            reader.problem("K201", (*where, "when"), message)
    if (shape.use is None) == (shape.lab_limit is None):
        reader.problem("K106", where, "write either 'use: NUMBER UNIT' or 'lab limit: A to B UNIT'")
    amount = believed = None
    if shape.use is not None:
        amount = amount_in(shape.use, (*where, "use"), reader, marker)
    elif shape.lab_limit is not None and shape.lab_limit != "any":
        believed = _range(shape.lab_limit, (*where, "lab limit"), reader, marker)
    return LimitChoice(named=shape.named, applies=applies, amount=amount, believed=believed)


def amount_in(text: str, where: Where, reader: Phrases, marker: str) -> Fraction | None:
    """`40 U/L` in the marker's unit, or `None` after a problem was noted."""
    match = _AMOUNT.fullmatch(text)
    factor = _factor_of(marker, match[2], where, reader) if match else None
    if match is None:
        reader.problem("K204", where, f"cannot read '{text}'", "write NUMBER UNIT")
    return Fraction(match[1]) * factor if match and factor else None


def _factor_of(marker: str, unit: str | None, where: Where, reader: Phrases) -> Fraction | None:
    words = reader.vocabulary.markers[marker]
    if unit is None and not words.unit:
        return Fraction(1)
    factor = words.factors.get(unit) if unit else None
    if factor is None:
        allowed = ", ".join(words.factors) or "no unit"
        reader.problem("K203", where, f"'{unit}' is no unit of {marker}", f"write: {allowed}")
    return factor


def _range(text: str, where: Where, reader: Phrases, marker: str) -> Interval:
    match = _RANGE.fullmatch(text)
    factor = _factor_of(marker, match[3], where, reader) if match else None
    if match is None or factor is None:
        if match is None:
            reader.problem("K204", where, f"cannot read '{text}'", "write: NUMBER to NUMBER UNIT")
        return Interval(None, None)
    low, high = Fraction(match[1]) * factor, Fraction(match[2]) * factor
    if low > high:
        reader.problem("K205", where, "the first number is above the second")
    return Interval(low, high)


def _pairing(text: str, reader: Phrases) -> Pairing:
    for pattern, around in ((_PAIRS_INDEX, "index"), (_PAIRS_NOW, "now")):
        if match := pattern.fullmatch(text):
            hours = int(match[1]) * (24 if match[2] == "days" else 1)
            return Pairing(around="index" if around == "index" else "now", hours=hours)
    help_text = "write: within N hours of the index, or within N days before now"
    reader.problem("K202", ("pairs",), f"cannot read '{text}'", help_text)
    return Pairing(around="index", hours=0)


def _grades(shape: MarkerShape, key: str, reader: Phrases) -> tuple[Grade, ...]:
    result: list[Grade] = []
    lines: list[dict[str, Data]] = shape.bands if key == "bands" else shape.grades
    for n, line in enumerate(lines):
        words = {name: value for name, value in line.items() if name not in {"id", "title"}}
        if not words or "id" not in line or "title" not in line:
            reader.problem("K106", (key, n), "write {id: ..., title: ..., MARKER: PHRASE}")
            continue
        condition = reader.condition(words, (key, n))
        if condition is None:
            continue
        result.append(Grade(id=str(line["id"]), title=str(line["title"]), when=condition))
        if set(_spoken_of(condition, bounds=key == "grades")) - {shape.id}:
            reader.problem("K301", (key, n), "a grade speaks of its own marker only")
    return tuple(result)


def _spoken_of(condition: Condition, *, bounds: bool) -> Iterator[str]:
    """The markers of a condition; those that only serve as a bound, with `bounds`."""
    for leaf in leaves(condition):
        if isinstance(leaf, Compare) and not bounds:
            yield from leaf.markers
        else:
            yield from markers_of(leaf)


def _near(shape: MarkerShape, reader: Phrases) -> Near | None:
    near = shape.doubtful_near_a_boundary
    if near is None:
        return None
    where: Where = ("doubtful near a boundary",)
    if near.sent_in not in shape.units:
        known = "write one of: " + ", ".join(shape.units)
        reader.problem("K203", (*where, "sent in"), f"'{near.sent_in}' is not a unit here", known)
    distance = amount_in(near.within, (*where, "within"), reader, shape.id)
    amounts: list[Fraction] = []
    multiples: list[Fraction] = []
    for n, text in enumerate(near.of):
        if match := _MULTIPLE.fullmatch(text):
            multiples.append(Fraction(match[1]))
        elif (amount := amount_in(text, (*where, "of", n), reader, shape.id)) is not None:
            amounts.append(amount)
    return Near(
        unit=near.sent_in,
        distance=distance or Fraction(0),
        amounts=tuple(amounts),
        multiples=tuple(multiples),
    )


def all_units(units: Mapping[str, str], markers: Mapping[str, Marker]) -> dict[str, str]:
    """Every spelling that the pack knows; a spelling of one marker only does not displace."""
    result = dict(units)
    for marker in markers.values():
        for unit in marker.units.values():
            result.setdefault(unit, unit)
    for marker in markers.values():
        for spelling, unit in marker.units.items():
            result.setdefault(spelling, unit)
    return result


def marker_codes(
    markers: Mapping[str, Marker],
) -> dict[tuple[str, str], tuple[str, MarkerCode]]:
    """Every code of every marker -> the marker that it stands for; one that is read wins."""
    return {
        (code.system, code.code): (marker.id, code)
        for part in ("codes_not_read", "codes")
        for marker in markers.values()
        for code in getattr(marker, part)
    }
