# SPDX-License-Identifier: Apache-2.0
"""Where a band begins, in the words of its condition: for limits and totals that are not known."""

from cds_service.amounts import plain
from cds_service.explanation.clauses import title_of
from cds_service.knowledge.model.bounds import Bound, Number, TimesLimit, TimesMarker
from cds_service.knowledge.model.conditions import AllOf, AnyOf, Condition, leaves
from cds_service.knowledge.model.leaves import Compare
from cds_service.knowledge.model.pack import Grade, Pack
from cds_service.render.result_units import ResultUnit


def is_fixed(grades: tuple[Grade, ...]) -> bool:
    """Whether every band lies between amounts, whatever the limit."""
    found = [leaf for grade in grades for leaf in leaves(grade.when)]
    return all(isinstance(leaf, Compare) and isinstance(leaf.bound, Number) for leaf in found)


def in_words(condition: Condition, unit: ResultUnit, pack: Pack) -> str:
    """For example `at least 1000 U/L or above 5 × the upper limit`."""
    match condition:
        case AllOf(parts=parts):
            return ", ".join(in_words(part, unit, pack) for part in parts)
        case AnyOf(parts=parts):
            return " or ".join(in_words(part, unit, pack) for part in parts)
        case Compare(relation=relation, bound=bound):
            return f"{relation} {_bound(bound, unit, pack)}"
        case _:
            return f"{condition.subject} {condition.phrase}"


def _bound(bound: Bound, unit: ResultUnit, pack: Pack) -> str:
    match bound:
        case Number(amount=amount):
            return f"{unit.number(amount)} {unit.text}".strip()
        case TimesLimit(times=times, limit=limit):
            return f"the {limit}" if times == 1 else f"{plain(times)} × the {limit}"
        case TimesMarker(times=times, marker=marker):
            return f"{plain(times)} × {title_of(marker, pack)}"
        case _:
            return bound.in_words()
