# SPDX-License-Identifier: Apache-2.0
"""Codes as sent -> the marker that claims them."""

import re
from collections.abc import Iterable
from typing import Final, NamedTuple

from cds_service.fhir.elements import CodeableConcept, Coding, many
from cds_service.knowledge.model.code_systems import (
    ICD_10_CM,
    LOINC,
    RXNORM,
    SNOMED,
    in_usual_form,
    is_well_formed,
)
from cds_service.knowledge.model.dependencies import resulted_codes
from cds_service.knowledge.model.names import Named, NotUnderstood
from cds_service.knowledge.model.pack import MarkerCode, Pack
from cds_service.labs.patient_record import ReadingNote
from cds_service.labs.set_aside_reasons import SetAsideReason
from cds_service.remembering import BoundedMemory

# Other ways in which the four systems are named, in lower case and without a last slash.
_OTHER_NAMES = {
    **dict.fromkeys(
        ("http://loinc.org", "https://loinc.org", "http://www.loinc.org", "https://www.loinc.org")
        + ("loinc.org", "loinc", "ln", "urn:oid:2.16.840.1.113883.6.1", "2.16.840.1.113883.6.1"),
        LOINC,
    ),
    **dict.fromkeys(
        ("http://snomed.info/sct", "https://snomed.info/sct", "urn:oid:2.16.840.1.113883.6.96")
        + ("snomed", "snomed ct", "snomed-ct"),
        SNOMED,
    ),
    **dict.fromkeys(
        (RXNORM, RXNORM.replace("http:", "https:"), "urn:oid:2.16.840.1.113883.6.88", "rxnorm"),
        RXNORM,
    ),
    **dict.fromkeys(
        (ICD_10_CM, ICD_10_CM.replace("http:", "https:"), "urn:oid:2.16.840.1.113883.6.90")
        + ("icd-10-cm", "icd10cm"),
        ICD_10_CM,
    ),
}
_STANDARD = {LOINC, SNOMED}
# A part, an answer, a list or a group of LOINC: no test, but no mistyped code either.
_LOINC_OF_ANOTHER_KIND = re.compile(r"(?:LP|LA|LL|LG)[0-9]+-[0-9]")
UNCLAIMED: Final[SetAsideReason] = "code-not-in-pack"
_LONGEST = 1024  # characters of a concept that is remembered
_CONFLICT: SetAsideReason = "code-conflict"


class MarkerMatch(NamedTuple):
    """The marker that a result belongs to, and the code and method that say so.

    If the marker does not read its code the result is not used, but named as one of the marker.
    """

    marker: str
    code: str
    method: str | None
    note: ReadingNote | None = None
    is_read: bool = True


def system_of(coding: Coding) -> str:
    """The system's own name, however it was written; empty if none was sent."""
    sent = coding.system or ""
    name, _, _version = sent.partition("|")
    return _OTHER_NAMES.get(name.strip().rstrip("/").lower(), sent)


def pairs_of(*concepts: CodeableConcept | None) -> tuple[tuple[str, str], ...]:
    """All (system, code) pairs of the concepts, each once."""
    return tuple(
        dict.fromkeys(
            _pair_of(coding, coding.code)
            for concept in concepts
            if concept is not None
            for coding in many(concept.coding)
            if coding.code
        )
    )


def displays_of(concept: CodeableConcept | None) -> tuple[tuple[tuple[str, str], str], ...]:
    """Each (system, code) pair of the concept that has a display, with it."""
    codings = many(concept.coding) if concept is not None else ()
    return tuple(
        (_pair_of(coding, coding.code), coding.display)
        for coding in codings
        if coding.code and coding.display
    )


def _pair_of(coding: Coding, code: str) -> tuple[str, str]:
    system = system_of(coding)
    return system, in_usual_form(system, code.strip())


def texts_of(*concepts: CodeableConcept | None) -> tuple[str, ...]:
    """All texts and displays of the concepts, each once."""
    found: dict[str, None] = {}
    for concept in concepts:
        if concept is not None:
            sent = (concept.text, *(coding.display for coding in many(concept.coding)))
            found.update(dict.fromkeys(text for text in sent if text))
    return tuple(found)


class MarkerLookup:
    """Finds the marker that claims a result; what a code means is remembered.

    Names are a fallback: they count only if asked for and if no code of LOINC or SNOMED CT says
    what the result is, for a test of another specimen is displayed by the same name. Beside a code
    of SNOMED CT alone the result is set aside as one of the marker that they mean. A code that
    these systems cannot have says nothing.
    """

    def __init__(self, pack: Pack, *, names_fallback: bool) -> None:
        self._pack = pack
        self._names_fallback = names_fallback
        self._panels = {
            code
            for order in pack.orders.values()
            if len(order.answered_by) > 1
            for code in order.equivalents
        }
        self._resulted = {
            *resulted_codes(pack.rules.values(), pack),
            *(
                pair
                for order in pack.orders.values()
                if order.resulted_days is not None
                for pair in order.equivalents
            ),
        }
        self._known: BoundedMemory[tuple[str | Coding | None, ...], Identified] = BoundedMemory()

    def of(self, concept: CodeableConcept | None) -> MarkerMatch | SetAsideReason:
        """The claim, or the reason why there is none."""
        return self.identified(concept).claim

    def identified(self, concept: CodeableConcept | None) -> "Identified":
        """Everything that the pack knows of a result by its code."""
        if concept is None:
            return _NO_CODE
        key = concept.text, *many(concept.coding)
        known = self._known.get(key)
        if known is None:
            pairs = pairs_of(concept)
            known = self._decided(concept)._replace(
                code=first_code(concept),
                resulted=tuple(pair for pair in pairs if pair in self._resulted),
                is_panel=not self._panels.isdisjoint(pairs),
            )
            if _length(concept) <= _LONGEST:
                self._known.keep(key, known)
        return known

    def _decided(self, concept: CodeableConcept) -> "Identified":
        codings = many(concept.coding)
        matches = [hit for coding in codings if (hit := _claim(coding, self._pack))]
        if matches:
            return Identified(_one_of(matches))
        standard = {_system(coding) for coding in codings if _is_standard(coding)}
        if LOINC in standard:
            return Identified(UNCLAIMED)
        if standard:
            return _of_another_code(self._by_names(texts_of(concept), None))
        texts = texts_of(concept)
        if not texts and not any(_may_mean_something(coding) for coding in codings):
            return Identified("no-code")
        note: ReadingNote | None = "code-malformed" if any(map(_is_malformed, codings)) else None
        found = self._by_names(texts, note)
        if found != Identified(UNCLAIMED):
            return found
        # Of another system by its name, but a code that only LOINC forms so.
        known = (
            self._pack.marker_codes.get((LOINC, (coding.code or "").strip())) for coding in codings
        )
        markers = dict.fromkeys(hit[0] for hit in known if hit)
        return Identified("system-unknown", tuple(markers)) if markers else found

    def _by_names(self, texts: Iterable[str], note: ReadingNote | None) -> "Identified":
        return _by_name(
            [self._pack.names.of(text) for text in texts] if self._names_fallback else [], note
        )


class Identified(NamedTuple):
    """What a result is of, or why that is not known.

    `spoken_of` are the markers that the names of an unclaimed result hold, and `doubt` is why it is
    not read as one of them. `code` is any code that was sent, `resulted` are those by which the
    result makes an order of the pack needless. `is_panel` says that the code is one of a panel that
    the pack orders and that markers answer.
    """

    claim: MarkerMatch | SetAsideReason
    spoken_of: tuple[str, ...] = ()
    doubt: SetAsideReason = "name-not-understood"
    code: str = ""
    resulted: tuple[tuple[str, str], ...] = ()
    is_panel: bool = False


_NO_CODE = Identified("no-code")


def _length(concept: CodeableConcept) -> int:
    """How much it takes to remember a concept; a coding takes room even if nothing is in it."""
    codings = many(concept.coding)
    texts = (text for coding in codings for text in (coding.system, coding.code, coding.display))
    return len(concept.text or "") + sum(len(text or "") for text in texts) + 64 * len(codings)


def _by_name(
    read: list[tuple[Named, ...] | NotUnderstood | None], note: ReadingNote | None
) -> Identified:
    """What all names together say; one that is not understood makes the others doubtful."""
    doubtful = [reading for reading in read if isinstance(reading, NotUnderstood)]
    if doubtful:
        spoken_of = dict.fromkeys(marker for reading in doubtful for marker in reading.markers)
        return Identified(UNCLAIMED, tuple(spoken_of))
    named = {name for reading in read if isinstance(reading, tuple) for name in reading}
    markers = {name.marker for name in named}
    if len(markers) > 1:
        return Identified(_CONFLICT)
    methods = {name.method for name in named if name.method}
    method = methods.pop() if len(methods) == 1 else None
    return Identified(
        next((MarkerMatch(marker, "", method, note) for marker in markers), UNCLAIMED)
    )


def _of_another_code(named: Identified) -> Identified:
    """What names mean beside a code of SNOMED CT that the pack does not know.

    They are not believed, for the code may say more than they do (ALT in ascites), nor is the
    result passed over: some laboratories send no other codes.
    """
    if isinstance(named.claim, MarkerMatch):
        return Identified(UNCLAIMED, (named.claim.marker,), "another-code")
    return named if named.claim == UNCLAIMED else Identified(UNCLAIMED)


def first_code(concept: CodeableConcept | None) -> str:
    """Any code, to tell what was set aside; empty if there is none."""
    if concept is None:
        return ""
    return next((coding.code for coding in many(concept.coding) if coding.code), "")


def _claim(coding: Coding, pack: Pack) -> tuple[str, MarkerCode] | None:
    if coding.code is None:
        return None
    hit = pack.marker_codes.get((coding.system or LOINC, coding.code))
    # A code without system can only be recognised by its form, and no local code has LOINC's.
    return hit or pack.marker_codes.get((system_of(coding) or LOINC, coding.code.strip()))


def _one_of(matches: list[tuple[str, MarkerCode]]) -> MarkerMatch | SetAsideReason:
    if len({marker for marker, _ in matches}) > 1:
        return _CONFLICT
    marker, any_code = matches[0]
    read = [code for _, code in matches if code.is_read]
    if not read:
        return MarkerMatch(marker, any_code.code, None, is_read=False)
    naming = [code for code in read if code.method]
    methods = {code.method for code in naming}
    if len(methods) != 1:  # none named, or two that contradict each other
        return MarkerMatch(marker, read[0].code, None)
    return MarkerMatch(marker, naming[0].code, naming[0].method)


def _is_standard(coding: Coding) -> bool:
    """Whether the code is one that LOINC or SNOMED CT can have."""
    return _system(coding) in _STANDARD and _can_be(_system(coding), coding.code)


def _system(coding: Coding) -> str:
    """The system of a code; one without is taken for LOINC, whose form no other code has."""
    return system_of(coding) or LOINC


def _may_mean_something(coding: Coding) -> bool:
    """Whether it is a code of a system that others may know; one without a system is of nobody."""
    has_both = bool((coding.code or "").strip() and (coding.system or "").strip())
    return has_both and not _is_malformed(coding)


def _is_malformed(coding: Coding) -> bool:
    """Whether the code names LOINC or SNOMED CT as its system and cannot be one of it."""
    system, code = system_of(coding), (coding.code or "").strip()
    return bool(code) and system in _STANDARD and not _can_be(system, code)


def _can_be(system: str, code: str | None) -> bool:
    bare = (code or "").strip()
    of_another_kind = system == LOINC and _LOINC_OF_ANOTHER_KIND.fullmatch(bare) is not None
    return of_another_kind or is_well_formed(system, bare)
