# SPDX-License-Identifier: Apache-2.0
"""What an explainer of a marker is once it is read."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal, TypeAlias

SectionKind: TypeAlias = Literal["what it is", "the scale", "band", "with", "topic"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Section:
    """A section of an explainer: its subject, its sources and its Markdown.

    `parts` holds the text under each `###` heading; the text before any of them is under "".
    """

    kind: SectionKind
    name: str  # a band, a marker or measure, or a heading; empty for the kinds that stand once
    sources: tuple[str, ...]
    decision: bool  # whether it also rests on a decision of the pack's authors
    parts: Mapping[str, str]


@dataclass(frozen=True, slots=True, kw_only=True)
class Explainer:
    """What a marker is and how its values read, for people, in one language."""

    marker: str
    language: str
    file: str
    lines: tuple[str, ...]
    title: str
    last_review: str
    covers: Mapping[str, tuple[str, ...]]  # a statement of an older page -> headings of sections
    sections: tuple[Section, ...]
