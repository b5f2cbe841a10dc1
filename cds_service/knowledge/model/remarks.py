# SPDX-License-Identifier: Apache-2.0
"""Remarks: alarming facts on file that the cards of many rules say, whatever they are about."""

from collections.abc import Mapping
from dataclasses import dataclass

from cds_service.knowledge.model.conditions import Condition
from cds_service.knowledge.model.messages import ENGLISH


@dataclass(frozen=True, slots=True, kw_only=True)
class RemarkText:
    """What a remark says: on the card, and in few words for its summary."""

    says: str
    in_short: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Remark:
    """A fact that is said where `when` holds of the newest results, or on the card that replaced.

    `replaced` is the rule in whose place the card stands; it is then about that rule's result.
    """

    id: str
    when: Condition | None
    replaced: str | None
    texts: Mapping[str, RemarkText]  # by language

    def text_in(self, language: str) -> RemarkText:
        """What it says in the language, else in English."""
        return self.texts.get(language) or self.texts[ENGLISH]


@dataclass(frozen=True, slots=True, kw_only=True)
class Remarks:
    """The remarks of a pack, in the order in which they are said, and the rules that say them."""

    rules: frozenset[str] = frozenset()
    each: tuple[Remark, ...] = ()

    def __bool__(self) -> bool:
        """Whether there are any."""
        return bool(self.each)
