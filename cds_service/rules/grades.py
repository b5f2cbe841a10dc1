# SPDX-License-Identifier: Apache-2.0
"""The word for a result: its band or grade."""

from collections.abc import Iterable
from dataclasses import dataclass

from cds_service.knowledge.model.conditions import leaves
from cds_service.knowledge.model.leaves import AgeCompare
from cds_service.knowledge.model.pack import Grade
from cds_service.labs.result_selection import Frame
from cds_service.rules.evaluate import compiled


@dataclass(frozen=True, slots=True)
class Graded:
    """A grade; `at_least` when a more severe one above it in the list is not known to be wrong."""

    grade: Grade
    at_least: bool


def grade_of(grades: Iterable[Grade], frame: Frame) -> Graded | None:
    """The first grade whose condition is true, or `None`: indeterminate.

    As with limits, a grade of an age applies only where the age is known.
    """
    at_least = False
    for grade in grades:
        if frame.person.months is None and _is_of_an_age(grade):
            continue
        known = compiled(grade.when)(frame)
        if known is True:
            return Graded(grade, at_least)
        at_least = at_least or known is None
    return None


def _is_of_an_age(grade: Grade) -> bool:
    return any(isinstance(leaf, AgeCompare) for leaf in leaves(grade.when))
