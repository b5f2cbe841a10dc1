# SPDX-License-Identifier: Apache-2.0
"""Which marker a card is about: the one that meets an alternative of its rule's condition."""

from collections.abc import Callable, Collection
from typing import TypeAlias

from cds_service.copying import replace
from cds_service.knowledge.model.conditions import AllOf, AnyOf, Condition, PatternIs
from cds_service.knowledge.model.leaves import Compare
from cds_service.labs.result_selection import Frame
from cds_service.rules.evaluate import compiled

Trigger: TypeAlias = Callable[[Frame], str | None]


def compile_trigger(condition: Condition, among: Collection[str]) -> Trigger:
    """A function that names the marker that meets an alternative of the condition, the first.

    It is one of an `any of` comparison, or the first of `among` that a true part of `any:` reads.
    """
    return _trigger(condition, among, is_alternative=False) or _nothing


def _nothing(_frame: Frame) -> None:
    """The answer of a condition without alternatives."""


def _trigger(
    condition: Condition, among: Collection[str], *, is_alternative: bool
) -> Trigger | None:
    match condition:
        case AllOf(parts=parts):
            found = (_trigger(part, among, is_alternative=is_alternative) for part in parts)
            return _first_named(tuple(trigger for trigger in found if trigger is not None))
        case AnyOf(parts=parts):
            alternatives = tuple(
                _if_true(part, named)
                for part in parts
                if (named := _trigger(part, among, is_alternative=True)) is not None
            )
            return _first_named(alternatives)
        case PatternIs(when=when, answer=True):
            return _trigger(when, among, is_alternative=is_alternative)
        case Compare(markers=markers) if len(markers) > 1:
            each = (replace(condition, markers=(marker,)) for marker in markers)
            return _first_named(
                tuple(_if_true(comparison, _always(comparison.markers[0])) for comparison in each)
            )
        case Compare(markers=(marker,)) if is_alternative and marker in among:
            return _always(marker)
        case _:
            return None


def _first_named(triggers: tuple[Trigger, ...]) -> Trigger | None:
    """The first name that one of these gives; `None` if there are none."""
    if not triggers:
        return None

    def name(frame: Frame) -> str | None:
        for trigger in triggers:
            found = trigger(frame)
            if found:
                return found
        return None

    return name


def _if_true(condition: Condition, named: Trigger) -> Trigger:
    holds = compiled(condition)
    return lambda frame: named(frame) if holds(frame) is True else None


def _always(marker: str) -> Trigger:
    return lambda _frame: marker
