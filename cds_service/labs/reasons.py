# SPDX-License-Identifier: Apache-2.0
"""Why a result beside the index is not used, and why a measure is not computed, as values."""

from dataclasses import dataclass
from typing import ClassVar, TypeAlias


class CodedReason:
    """A reason: its `kind`, by which its words are found, and its `code` for machines.

    The code is written into explanations, cases and counts, and never read back.
    """

    __slots__ = ()
    kind: ClassVar[str]

    @property
    def code(self) -> str:
        """The reason as explanations carry it, such as `overridden` or `replaced-by:RULE`."""
        return self.kind


@dataclass(frozen=True, slots=True)
class PackReason(CodedReason):
    """The word that the pack gives for a condition, as in `unless: {..., because: WORD}`.

    >>> PackReason("delta-known").code
    'delta-known'
    """

    kind = "pack"
    word: str

    @property
    def code(self) -> str:
        """The word itself."""
        return self.word


@dataclass(frozen=True, slots=True)
class Hemolyzed(CodedReason):
    """The specimen is hemolyzed, and the marker is not read from such a specimen."""

    kind = "hemolyzed-specimen"


@dataclass(frozen=True, slots=True)
class HasComparator(CodedReason):
    """An input of the measure is a range such as `<5`, so there is no single value."""

    kind = "not-applicable:comparator"


MeasureReason: TypeAlias = PackReason | Hemolyzed | HasComparator
