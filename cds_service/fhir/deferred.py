# SPDX-License-Identifier: Apache-2.0
"""Elements that are decoded only when somebody asks: ranges, interpretations, notes, identifiers.

One that cannot be read counts as not sent, for none of them carries the value itself.
"""

from collections.abc import Sequence
from typing import Final

from msgspec import Raw, ValidationError
from msgspec.json import Decoder

from cds_service.fhir.elements import (
    NOTHING,
    Annotation,
    CodeableConcept,
    Coding,
    Extension,
    Identifier,
    Item,
    Many,
    Period,
    ReferenceRange,
    many,
)

_RANGES: Decoder[Many[ReferenceRange]] = Decoder(list[ReferenceRange] | ReferenceRange | None)
_CONCEPTS: Decoder[Many[CodeableConcept]] = Decoder(list[CodeableConcept] | CodeableConcept | None)
_IDENTIFIERS: Decoder[Many[Identifier]] = Decoder(list[Identifier] | Identifier | None)
_EXTENSIONS: Decoder[list[Extension]] = Decoder(list[Extension])
_CODINGS: Decoder[Many[Coding]] = Decoder(list[Coding] | Coding | None)
_PERIOD: Decoder[Period | None] = Decoder(Period | None)
_TEXT: Decoder[str | None] = Decoder(str | None)
_NOTES: Decoder[Many[Annotation]] = Decoder(list[Annotation] | Annotation | None)

FREE_TEXT: Final = (b'"text"', b"\\")
"""What the bytes of a concept hold if there is free text in it; a key may be written in escapes."""


def ranges_in(raw: Raw) -> Sequence[ReferenceRange]:
    """The reference ranges of a result."""
    return _read(_RANGES, raw)


def concepts_in(raw: Raw) -> Sequence[CodeableConcept]:
    """The interpretations of a result."""
    return _read(_CONCEPTS, raw)


def notes_in(raw: Raw) -> Sequence[Annotation]:
    """The notes on a result."""
    return _read(_NOTES, raw)


def identifiers_in(raw: Raw) -> Sequence[Identifier]:
    """The identifiers of a Patient, or the one of a reference."""
    return _read(_IDENTIFIERS, raw)


def extensions_in(raw: Raw) -> Sequence[Extension] | None:
    """The extensions, or `None` if they cannot be read: a modifier must not be passed over."""
    try:
        return _EXTENSIONS.decode(raw)
    except ValidationError:
        return None


def text_in(raw: Raw) -> str | None:
    """A text, or `None` for anything else."""
    try:
        return _TEXT.decode(raw)
    except ValidationError:
        return None


def period_in(raw: Raw) -> Period | None:
    """A period, or `None` for anything else."""
    try:
        return _PERIOD.decode(raw)
    except ValidationError:
        return None


def codes_in(raw: Raw) -> frozenset[str]:
    """The codes of a Coding, or of the concepts of a list; none of anything else."""
    codings = [coding for concept in _read(_CONCEPTS, raw) for coding in many(concept.coding)]
    return frozenset(coding.code for coding in (*_read(_CODINGS, raw), *codings) if coding.code)


def _read(decoder: Decoder[Many[Item]], raw: Raw) -> Sequence[Item]:
    if raw is NOTHING:
        return ()
    try:
        return many(decoder.decode(raw))
    except ValidationError:
        return ()
