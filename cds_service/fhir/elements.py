# SPDX-License-Identifier: Apache-2.0
"""FHIR data types, as far as they are read.

Unknown members are ignored. Where R4 wants an array, a single object is read as an array of one
(`Many`): the public CDS Hooks sandbox and Epic send such. Numbers stay `Raw`, so that 1.10 keeps
its zero and a string is not taken for a number. No structure can hold a cycle, so none of them is
tracked by the garbage collector (`gc=False`).
"""

from collections.abc import Sequence
from typing import TypeAlias, TypeVar

from msgspec import Raw, Struct

Item = TypeVar("Item")
Many: TypeAlias = list[Item] | Item | None

NOTHING = Raw(b"null")


def many(value: Many[Item]) -> Sequence[Item]:
    """The items, whether an array, one object or nothing was sent."""
    if value is None:
        return ()
    return value if isinstance(value, list) else (value,)


def plain_code(text: str | None) -> str:
    """A code of FHIR as it should have been sent: in small letters, without blanks around it."""
    return (text or "").strip().lower()


def was_sent(raw: Raw) -> bool:
    """Whether the element holds anything: not absent, `null`, `[]` or `{}`."""
    return raw is not NOTHING and bytes(raw) not in {b"null", b"[]", b"{}"}


class Element(Struct, frozen=True, gc=False, rename="camel"):
    """The base of every structure here: unknown members are ignored, names are FHIR's."""


class Coding(Element, frozen=True):
    """A code of a system."""

    system: str | None = None
    code: str | None = None
    display: str | None = None


class CodeableConcept(Element, frozen=True):
    """Codes of one meaning, with a text."""

    coding: Many[Coding] = None
    text: str | None = None


class Identifier(Element, frozen=True):
    """A number or name that a system gave; some senders write a number without quotes."""

    system: str | None = None
    value: str | int | None = None


class Reference(Element, frozen=True):
    """A pointer to another resource; its identifier is read by `fhir.deferred`."""

    reference: str | None = None
    display: str | None = None
    identifier: Raw = NOTHING


class Meta(Element, frozen=True):
    """The version of a resource, and its tags."""

    version_id: str | None = None
    last_updated: str | None = None
    tag: Many[Coding] = None


class Quantity(Element, frozen=True):
    """A number with a unit; `value` is the number as it was written."""

    value: Raw = NOTHING
    comparator: str | None = None
    unit: str | None = None
    code: str | None = None


class Period(Element, frozen=True):
    """A stretch of time."""

    start: str | None = None
    end: str | None = None


class Timing(Element, frozen=True):
    """Moments of time; a repeating pattern is not read."""

    event: list[str | None] | str | None = None


class Annotation(Element, frozen=True):
    """A note."""

    text: str | None = None


class Range(Element, frozen=True):
    """Two quantities, ends included."""

    low: Quantity | None = None
    high: Quantity | None = None


class Extension(Element, frozen=True):
    """An extension whose value is a code; other values are not read."""

    url: str | None = None
    value_code: str | None = None


class ReferenceRange(Element, frozen=True):
    """`Observation.referenceRange`."""

    low: Quantity | None = None
    high: Quantity | None = None
    type: CodeableConcept | None = None
    applies_to: Many[CodeableConcept] = None
    age: Range | None = None
    text: str | None = None
    modifier_extension: Raw = NOTHING


class Link(Element, frozen=True):
    """`Bundle.link`."""

    relation: str | None = None
    url: str | None = None
