# SPDX-License-Identifier: Apache-2.0
"""The changes of a site to a pack, kept with the pack so that pages and cards can name them.

The values themselves stand in the pack as if they had been written there; this is the record.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal


@dataclass(frozen=True, slots=True, kw_only=True)
class SiteValue:
    """One value of the site in place of the pack's; `where` is its place in the document."""

    file: str
    at: str
    where: tuple[str | int, ...]
    was: str
    now: str
    because: str


@dataclass(frozen=True, slots=True, kw_only=True)
class SwitchedOff:
    """A rule that stays silent at the site, and why."""

    rule: str
    because: str


@dataclass(frozen=True, slots=True, kw_only=True)
class SiteSpelling:
    """A spelling of a unit, a name or a code that the site added to a marker, and its meaning."""

    marker: str
    kind: Literal["unit", "name", "code"]
    text: str
    means: str


@dataclass(frozen=True, slots=True, kw_only=True)
class SiteChanges:
    """Everything that a site file says of a pack; `orders` have a code of the site's own.

    `read` holds by rule the values that it reads, `shown` also the upper limits that its card can
    show; both are found once, when the pack is built.
    """

    site: str
    reviewed: str
    values: tuple[SiteValue, ...]
    switched_off: tuple[SwitchedOff, ...]
    orders: tuple[str, ...]
    spellings: tuple[SiteSpelling, ...] = ()
    read: Mapping[str, tuple[SiteValue, ...]] = field(default_factory=dict)
    shown: Mapping[str, tuple[SiteValue, ...]] = field(default_factory=dict)
