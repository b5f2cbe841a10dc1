# SPDX-License-Identifier: Apache-2.0
"""What a fact is made of: medicines, entries of the problem list, and what does not count."""

from dataclasses import dataclass

from cds_service.knowledge.model.code_systems import Code
from cds_service.knowledge.model.conditions import Condition


@dataclass(frozen=True, slots=True, kw_only=True)
class CodeMatch:
    """A code of a problem list; `below` takes in every code that begins with it (ICD-10-CM)."""

    code: Code
    below: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Medicine:
    """An ingredient: its codes, the products known to contain it, and its names in text."""

    name: str
    codes: tuple[Code, ...]
    also_named: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class DenyingWords:
    """Words by which a text says that something is not so, or is another's.

    They deny a name that stands after them, or one that stands `anywhere` in the same text.
    """

    before: tuple[str, ...] = ()
    anywhere: tuple[str, ...] = ()


NOTHING_DENIES = DenyingWords()


@dataclass(frozen=True, slots=True, kw_only=True)
class Fact:
    """Yes if an active medicine, an active condition, an encounter or other facts say so.

    `denied` and `not_denied_by` change the denying words of the pack for this fact alone; inside
    of the texts `not_denied_inside` no word denies. `ended_by` names a fact whose entries end the
    earlier ones of this. It is never so for people of whom one of `never_for` is known true.
    """

    id: str
    title: str
    medicines: tuple[Medicine, ...]
    conditions: tuple[CodeMatch, ...]
    condition_names: tuple[str, ...]
    any_of: tuple[str, ...]
    all_of: tuple[str, ...] = ()
    but_not: tuple[CodeMatch, ...] = ()
    denied: DenyingWords = NOTHING_DENIES
    not_denied_by: tuple[str, ...] = ()
    not_denied_inside: tuple[str, ...] = ()
    days: int | None = None  # how old a dated entry may be
    ended_by: str | None = None
    never_for: tuple[Condition, ...] = ()
    encounter_classes: tuple[str, ...] = ()

    @property
    def reads_conditions(self) -> bool:
        """Whether an entry of the problem list can make it so."""
        return bool(self.conditions or self.condition_names)
