# SPDX-License-Identifier: Apache-2.0
"""The names that the phrases of a pack may use."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from fractions import Fraction

from cds_service.knowledge.model.bounds import LimitKind
from cds_service.knowledge.model.conditions import Condition

NUMBER = r"-?[0-9]+(?:\.[0-9]+)?"  # how a number is written in every file
COUNT = "[0-9]{1,4}"  # of days, hours or minutes; with more digits a date could overflow
OF_EVERY_PACK = (
    "age",
    "sex",
    "index",
    "ordering",
    "taking",
    "any marker",
    "unused data",
)  # subjects that need no file


@dataclass(frozen=True, slots=True, kw_only=True)
class MarkerWords:
    """What phrases may say of a marker: its units and the methods that its codes name.

    `unit` is the marker's own unit, empty for a pure number; `factors` holds, for each accepted
    spelling of a unit, how many of the marker's own unit it is.
    """

    unit: str
    factors: Mapping[str, Fraction]
    methods: frozenset[str]
    limits: frozenset[LimitKind] = frozenset()


@dataclass(frozen=True, slots=True, kw_only=True)
class Vocabulary:
    """Every name that a phrase may use."""

    markers: Mapping[str, MarkerWords]
    measures: frozenset[str]
    facts: frozenset[str]
    orders: frozenset[str]
    patterns: Mapping[str, Condition] = field(default_factory=dict)

    @property
    def subjects(self) -> tuple[str, ...]:
        """Every subject, for suggestions in messages."""
        return (*self.markers, *self.measures, *self.facts, *self.patterns, *OF_EVERY_PACK)
