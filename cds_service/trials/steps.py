# SPDX-License-Identifier: Apache-2.0
"""The smallest steps by which a text of a pack can come to mean something else.

A number moves one step in its last written place, a word becomes its neighbour, a unit another
one, and what narrows a phrase is left out.
"""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import Literal, TypeAlias

Kind: TypeAlias = Literal["number", "word", "unit", "name", "entry", "line"]
Units: TypeAlias = Mapping[str, object]  # what one of each unit is, as the marker's file writes it
NO_UNITS: Units = {}

_NUMBER = re.compile(
    r"(?<![A-Za-z0-9_.*^-])(?<![A-Za-z0-9]\()[0-9]+(?:\.[0-9]+)?(?![0-9A-Za-z_*^])"
)
_SWAPS = {
    "below": "at most",
    "at most": "below",
    "above": "at least",
    "at least": "above",
    "yes": "no",
    "no": "yes",
    "male": "female",
    "female": "male",
    "routine": "urgent",
    "urgent": "stat",
    "stat": "urgent",
    "info": "warning",
    "warning": "critical",
    "critical": "warning",
    "always": "never",
    "never": "always",
    "joined": "its own",
    "its own": "joined",
    "upper limit": "lower limit",
    "lower limit": "upper limit",
    "screening limit": "upper limit",
    "any": "all",
    "all": "any",
    "with": "without",
    "without": "with",
    "of the index": "before now",
    "before now": "of the index",
    "not used": "used",
    "used": "not used",
    "active": "draft",
}
_SWAP = re.compile(r"\b(?:" + "|".join(sorted(_SWAPS, key=len, reverse=True)) + r")\b")
_NARROWER = re.compile(
    r" or unknown| or not known| unlike the previous test .*| since the index"
    r"| at the previous test .*| without [a-z0-9-]+"
)
_TIME = re.compile(r"(?<=[0-9] )(minute|hour|day|week|month|year)(s?)\b")
_TIMES = {
    "minute": ("hour",),
    "hour": ("day",),
    "day": ("hour", "week", "month"),
    "week": ("day",),
    "month": ("day", "year"),
    "year": ("month",),
}
_OPERATORS = {"+": "-", "-": "+", "*": "/", "/": "*"}
_OPERATOR = re.compile(r"(?<= )[-+*/](?= )")
_PART = re.compile(r"\.(?:limit|previous)\b|sqrt(?=\()")


@dataclass(frozen=True, slots=True)
class Step:
    """What changes, in words, and the text after it."""

    kind: Kind
    words: str
    text: str


def text_steps(text: str, units: Units = NO_UNITS) -> Iterator[Step]:
    """Every step of a text; `units` are those that the markers it speaks of accept.

    A unit of the same size is no step: 100 mg/L says what 100 ug/mL says.
    """
    for match in _NUMBER.finditer(text):
        for step in (1, -1):
            moved = _moved(match[0], step)
            yield _put("number", match, moved, f"{match[0]} as {moved}")
    for match in _SWAP.finditer(text):
        yield _swapped("word", match, _SWAPS[match[0]])
    for match in _NARROWER.finditer(text):
        yield _put("word", match, "", f"without '{match[0].strip()}'")
    for match in _TIME.finditer(text):
        for other in _TIMES[match[1]]:
            yield _swapped("unit", match, other + match[2])
    for unit in units:
        for match in re.finditer(rf"(?<=[0-9] ){re.escape(unit)}(?![^ ,])", text):
            others = (other for other, size in units.items() if size != units[unit])
            yield from (_swapped("unit", match, other) for other in others)


def formula_steps(text: str) -> Iterator[Step]:
    """Every step of a formula: its operators, roots and parts as well as its numbers."""
    yield from text_steps(text)
    for match in _OPERATOR.finditer(text):
        yield _swapped("word", match, _OPERATORS[match[0]])
    for match in _PART.finditer(text):
        yield _put("word", match, "", f"without '{match[0]}'")


def _swapped(kind: Kind, match: re.Match[str], other: str) -> Step:
    return _put(kind, match, other, f"'{match[0]}' as '{other}'")


def _put(kind: Kind, match: re.Match[str], other: str, words: str) -> Step:
    text = match.string
    return Step(kind, words, text[: match.start()] + other + text[match.end() :])


def _moved(number: str, step: int) -> str:
    """The number one step of its last written place away."""
    places = len(number.partition(".")[2])
    return f"{Decimal(number) + Decimal(step).scaleb(-places):f}"
