# SPDX-License-Identifier: Apache-2.0
"""Code systems by their FHIR names, and the check digits that catch a mistyped code.

A check digit catches a wrong digit, never a wrong meaning.
"""

import re
from dataclasses import dataclass

LOINC = "http://loinc.org"
SNOMED = "http://snomed.info/sct"
RXNORM = "http://www.nlm.nih.gov/research/umls/rxnorm"
ICD_10_CM = "http://hl7.org/fhir/sid/icd-10-cm"

# A category and what stands behind its dot, which claims leave out.
_ICD_10_CM_FORM = re.compile(r"([A-Z][0-9][0-9A-Z])\.?([0-9A-Z]{1,4})?")
_SHORTEST_SNOMED = 6
_TEN = range(10)
# Verhoeff's multiplication table is that of the dihedral group of order ten.
_TIMES = [
    [(a + b) % 5 + 5 * (b // 5) if a < 5 else (a - b) % 5 + 5 * (1 - b // 5) for b in _TEN]
    for a in _TEN
]
_SHIFT = [1, 5, 7, 6, 2, 8, 3, 0, 9, 4]


@dataclass(frozen=True, slots=True, kw_only=True)
class Code:
    """One code of a code system; `name` is the system's own name or our own words for it."""

    system: str  # FHIR system URI
    code: str
    name: str


def loinc_is_well_formed(code: str) -> bool:
    """Whether the digit after the hyphen is the mod 10 check digit (LOINC users' guide)."""
    number, hyphen, digit = code.partition("-")
    if not (hyphen and _is_number(number) and digit.isdigit()):
        return False
    odd = [int(figure) for figure in number[::-1][0::2]]
    even = [int(figure) for figure in number[::-1][1::2]]
    doubled = sum(sum(divmod(2 * figure, 10)) for figure in odd)
    return digit == str(-(doubled + sum(even)) % 10)


def snomed_is_well_formed(code: str) -> bool:
    """Whether the last digit is the Verhoeff check digit (SNOMED CT release file specification)."""
    if not (_is_number(code) and len(code) >= _SHORTEST_SNOMED):
        return False
    state = 0
    for place, figure in enumerate(reversed(code)):
        permuted = int(figure)
        for _ in range(place % 8):
            permuted = _SHIFT[permuted]
        state = _TIMES[state][permuted]
    return state == 0


def in_usual_form(system: str, code: str) -> str:
    """A code as its system writes it: those of ICD-10-CM in capitals and with their dot.

    >>> in_usual_form(ICD_10_CM, "k7460"), in_usual_form(ICD_10_CM, "liver")
    ('K74.60', 'liver')
    """
    match = _ICD_10_CM_FORM.fullmatch(code.upper()) if system == ICD_10_CM else None
    return code if match is None else ".".join(filter(None, match.groups()))


def is_well_formed(system: str, code: str) -> bool:
    """Whether the code can be one of its system: its form, and its check digit if it has one."""
    if system == LOINC:
        return loinc_is_well_formed(code)
    if system == SNOMED:
        return snomed_is_well_formed(code)
    if system == RXNORM:
        return _is_number(code)
    return bool(code)


def _is_number(code: str) -> bool:
    """Whether a code is a number as LOINC, SNOMED CT and RxNorm have them.

    A field of fixed length puts zeros before it, which no check digit notices.
    """
    return code.isascii() and code.isdigit() and not code.startswith("0")
