# SPDX-License-Identifier: Apache-2.0
"""What `pack.yaml` and `sources.yaml` say to people: sources, reasons, examples, who signed."""

from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True, kw_only=True)
class Source:
    """A guideline, paper or page that the pack cites."""

    id: str
    title: str
    url: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class OverrideReason:
    """A reason that a card offers for not following it."""

    code: str
    display: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Example:
    """A synthetic patient to try the pack with; `given` is written as in a case.

    `corrected` is what a laboratory later makes of some of it, for a demonstration.
    """

    id: str
    title: str
    given: Mapping[str, object]
    corrected: Mapping[str, object] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Signature:
    """The line `signed` of a pack; it `holds` while the rules mean what they meant then."""

    by: str
    on: str
    lock: str  # the hash of what was signed
    holds: bool = False
