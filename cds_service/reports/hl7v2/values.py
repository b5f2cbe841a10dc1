# SPDX-License-Identifier: Apache-2.0
"""OBX-5 and OBX-6 -> a value, or why there is none."""

import re
from collections.abc import Sequence
from typing import Final, NamedTuple

from cds_service.reports.cells import beside_unit, read_cell
from cds_service.reports.hl7v2.messages import Segment
from cds_service.reports.numbers import DecimalMark, PrintedValue
from cds_service.reports.report import Doubt

_DECIMAL: Final = re.compile(r"[+-]?\d+(?:\.\d+)?")
_TENS: Final = frozenset(("10", "x10", "X10"))
_NULL: Final = '""'
_NUMERIC: Final = frozenset(("NM", "SI"))
_CODED: Final = frozenset(("CE", "CWE", "CNE", "CF"))
_UNIT_SYSTEMS: Final = frozenset(("UCUM", "2.16.840.1.113883.6.8"))


class ObservationValue(NamedTuple):
    """A value as printed, and as read; `unit` is one that stood in the text."""

    text: str
    value: PrintedValue | None = None
    doubt: Doubt | None = None
    unit: str = ""


def read_observation_value(result: Segment, mark: DecimalMark | None) -> ObservationValue:
    """The value of an OBX, by its type (OBX-2); a unit in it must be that of OBX-6."""
    kind = result.component(2, 1).upper()
    repetitions = [parts for parts in result.repetitions(5) if any(part.strip() for part in parts)]
    if not repetitions or repetitions == [(_NULL,)]:
        return ObservationValue("", doubt="no-value")
    if kind in {"ED", "RP"}:
        return ObservationValue("", doubt="embedded-document")
    unit, _ = read_unit(result)
    if kind == "SN":
        return _structured(repetitions, mark, unit)
    if kind in _CODED:
        parts = repetitions[0]
        return _of_text(
            next((text for text in (*parts[1:2], *parts[:1]) if text.strip()), ""), mark, unit
        )
    text = "\n".join("^".join(parts).strip() for parts in repetitions)
    if len(repetitions) > 1:
        is_number = any(_DECIMAL.fullmatch(parts[0].strip()) for parts in repetitions)
        return ObservationValue(text, doubt="several-values" if is_number else "not-a-number")
    # The standard has a point before decimals in a number (NM), and nothing else.
    if kind in _NUMERIC and _DECIMAL.fullmatch(text):
        return ObservationValue(text, PrintedValue(number=text.removeprefix("+")))
    return _of_text(text, mark, unit)


def _structured(
    repetitions: Sequence[tuple[str, ...]], mark: DecimalMark | None, unit: str
) -> ObservationValue:
    """A structured number: comparator, number, separator, number."""
    parts = [part.strip() for part in repetitions[0]] + [""] * 4
    comparator, first, separator, second = parts[:4]
    text = f"{comparator}{first}{separator}{second}"
    if len(repetitions) > 1:
        return ObservationValue(text, doubt="several-values")
    if not first and comparator:  # the number stands with its sign, in the wrong component
        return _of_text(text, mark, unit)
    if separator or second or not first:
        return ObservationValue(text, doubt="not-one-number")
    return _of_text(text.removeprefix("="), mark, unit)


def _of_text(text: str, mark: DecimalMark | None, unit: str) -> ObservationValue:
    cell = beside_unit(read_cell(text, mark), unit)
    return ObservationValue(text.strip(), cell.value, cell.doubt, cell.unit)


def read_unit(result: Segment) -> tuple[str, str]:
    """The unit as printed, and its code of UCUM if the message says it is one."""
    repetitions = result.repetitions(6)
    parts = [part.strip() for part in repetitions[0]] if repetitions else []
    parts = ["" if part == _NULL else part for part in parts]
    if len(parts) > 1 and parts[0] in _TENS and parts[1][:1].isdigit():
        # `10^9/L` whose sign of power is the separator of components, and was not escaped.
        parts = [result.component_separator.join(parts[:2]), *parts[2:]]
    parts += [""] * 6
    code, text, system = parts[:3]
    ucum = code if system.upper() in _UNIT_SYSTEMS else ""
    if not ucum and parts[5].upper() in _UNIT_SYSTEMS:
        ucum = parts[3]
    return (text or code) if not ucum else (code or text), ucum
