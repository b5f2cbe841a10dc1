# SPDX-License-Identifier: Apache-2.0
"""Codes as sent -> the marker that claims them."""

from typing import NamedTuple

from cds_service.fhir.elements import CodeableConcept, Coding, many
from cds_service.knowledge.model.code_systems import (
    ICD_10_CM,
    LOINC,
    RXNORM,
    SNOMED,
    loinc_is_well_formed,
)
from cds_service.knowledge.model.pack import MarkerCode, Pack
from cds_service.labs.set_aside_reasons import SetAsideReason

# Other ways in which the four systems are named, in lower case and without a last slash.
_OTHER_NAMES = {
    "http://loinc.org": LOINC,
    "https://loinc.org": LOINC,
    "http://www.loinc.org": LOINC,
    "urn:oid:2.16.840.1.113883.6.1": LOINC,
    "http://snomed.info/sct": SNOMED,
    "https://snomed.info/sct": SNOMED,
    "urn:oid:2.16.840.1.113883.6.96": SNOMED,
    "http://www.nlm.nih.gov/research/umls/rxnorm": RXNORM,
    "https://www.nlm.nih.gov/research/umls/rxnorm": RXNORM,
    "urn:oid:2.16.840.1.113883.6.88": RXNORM,
    "http://hl7.org/fhir/sid/icd-10-cm": ICD_10_CM,
    "https://hl7.org/fhir/sid/icd-10-cm": ICD_10_CM,
    "urn:oid:2.16.840.1.113883.6.90": ICD_10_CM,
}
_STANDARD = {LOINC, SNOMED}
_UNCLAIMED: SetAsideReason = "code-not-in-pack"
_CONFLICT: SetAsideReason = "code-conflict"


class MarkerMatch(NamedTuple):
    """The marker that a result belongs to, and the code and method that say so."""

    marker: str
    code: str
    method: str | None


def system_of(coding: Coding) -> str:
    """The system's own name, however it was written; empty if none was sent."""
    sent = coding.system or ""
    return _OTHER_NAMES.get(sent.strip().rstrip("/").lower(), sent)


def pairs_of(*concepts: CodeableConcept | None) -> tuple[tuple[str, str], ...]:
    """All (system, code) pairs of the concepts, each once."""
    return tuple(
        dict.fromkeys(
            (system_of(coding), coding.code.strip())
            for concept in concepts
            if concept is not None
            for coding in many(concept.coding)
            if coding.code
        )
    )


def texts_of(*concepts: CodeableConcept | None) -> tuple[str, ...]:
    """All texts and displays of the concepts, each once."""
    found: dict[str, None] = {}
    for concept in concepts:
        if concept is not None:
            sent = (concept.text, *(coding.display for coding in many(concept.coding)))
            found.update(dict.fromkeys(text for text in sent if text))
    return tuple(found)


class MarkerLookup:
    """Finds the marker that claims a result, for each code of a request once.

    Names are a fallback: they count only if asked for and if no code of LOINC or SNOMED CT says
    what the result is, for a red cell's ALT is displayed as ALT too.
    """

    def __init__(self, pack: Pack, *, names_fallback: bool) -> None:
        self._pack = pack
        self._names_fallback = names_fallback
        self._known: dict[tuple[str | Coding | None, ...], MarkerMatch | SetAsideReason] = {}

    def of(self, concept: CodeableConcept | None) -> MarkerMatch | SetAsideReason:
        """The claim, or the reason why there is none."""
        if concept is None:
            return _UNCLAIMED
        key = concept.text, *many(concept.coding)
        known = self._known.get(key)
        if known is None:
            known = self._known[key] = self._decided(concept)
        return known

    def _decided(self, concept: CodeableConcept) -> MarkerMatch | SetAsideReason:
        codings = many(concept.coding)
        matches = [hit for coding in codings if (hit := _claim(coding, self._pack))]
        if matches:
            return _one_of(matches)
        if not self._names_fallback or any(_is_standard(coding) for coding in codings):
            return _UNCLAIMED
        names = self._pack.marker_names
        markers = {names[name] for text in texts_of(concept) if (name := _folded(text)) in names}
        if len(markers) > 1:
            return _CONFLICT
        return next((MarkerMatch(marker, "", None) for marker in markers), _UNCLAIMED)


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
    marker, first = matches[0]
    naming = [code for _, code in matches if code.method]
    methods = {code.method for code in naming}
    if len(methods) != 1:  # none named, or two that contradict each other
        return MarkerMatch(marker, first.code, None)
    return MarkerMatch(marker, naming[0].code, naming[0].method)


def _is_standard(coding: Coding) -> bool:
    code, system = coding.code, system_of(coding)
    return bool(code) and (system in _STANDARD or (not system and loinc_is_well_formed(code or "")))


def _folded(text: str) -> str:
    return " ".join(text.casefold().split())
