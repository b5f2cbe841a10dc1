# SPDX-License-Identifier: Apache-2.0
"""The tree that a rule's phrases become.

`knowledge.reading.phrases` builds it from text, `rules.evaluate` compiles it for one patient at a
time, and `in_words` turns it back into a sentence that a clinician can check.
A condition is true, false or not known (`None`); missing data never reads as "no".
"""

from dataclasses import dataclass
from typing import TypeAlias

from cds_service.knowledge.model.leaves import Leaf, answer_word


@dataclass(frozen=True, slots=True)
class AllOf:
    """Every part is true."""

    parts: tuple["Condition", ...]

    def in_words(self) -> str:
        """Return the parts joined by `and`."""
        return _joined(self.parts, " and ")


@dataclass(frozen=True, slots=True)
class AnyOf:
    """At least one part is true."""

    parts: tuple["Condition", ...]

    def in_words(self) -> str:
        """Return the parts joined by `or`."""
        return _joined(self.parts, " or ")


@dataclass(frozen=True, slots=True)
class PatternIs:
    """A named condition that several rules share is known to hold (`yes`) or known not to."""

    pattern: str
    when: "Condition"
    answer: bool
    or_unknown: bool = False

    @property
    def subject(self) -> str:
        """The id of the pattern."""
        return self.pattern

    @property
    def phrase(self) -> str:
        """For example `yes` or `no or not known`."""
        return answer_word(self.answer, or_unknown=self.or_unknown)

    def in_words(self) -> str:
        """Return for example `falling: yes`."""
        return f"{self.subject}: {self.phrase}"


Condition: TypeAlias = Leaf | AllOf | AnyOf | PatternIs


def leaves(condition: Condition) -> tuple[Leaf, ...]:
    """Every leaf of the tree, from left to right, those of its patterns among them."""
    if isinstance(condition, AllOf | AnyOf):
        return tuple(leaf for part in condition.parts for leaf in leaves(part))
    return leaves(condition.when) if isinstance(condition, PatternIs) else (condition,)


def expanded(condition: Condition) -> Condition:
    """The condition with what its patterns stand for in place of their names, where they hold."""
    match condition:
        case AllOf(parts=parts):
            return AllOf(tuple(map(expanded, parts)))
        case AnyOf(parts=parts):
            return AnyOf(tuple(map(expanded, parts)))
        case PatternIs(when=when, answer=True):
            return expanded(when)
        case _:
            return condition


def named_leaves(condition: Condition) -> tuple["Leaf | PatternIs", ...]:
    """Every leaf of the tree as its author wrote it, a pattern as one of them."""
    if isinstance(condition, AllOf | AnyOf):
        return tuple(leaf for part in condition.parts for leaf in named_leaves(part))
    return (condition,)


def _joined(parts: tuple[Condition, ...], word: str) -> str:
    return word.join(
        f"({part.in_words()})" if isinstance(part, AllOf | AnyOf) else part.in_words()
        for part in parts
    )
