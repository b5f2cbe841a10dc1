# SPDX-License-Identifier: Apache-2.0
"""Why something that was sent is not used: a closed list of words, safe to log and to count.

`docs/reference/reasons.md` prints the table of meanings; a test holds the two together.
"""

from collections.abc import Mapping
from typing import Literal, TypeAlias

SetAsideReason: TypeAlias = Literal[
    "code-not-in-pack",
    "no-code",
    "system-unknown",
    "code-conflict",
    "name-not-understood",
    "another-code",
    "other-patient",
    "no-subject",
    "subject-unresolved",
    "invalid-resource",
    "modifier-extension",
    "another-specimen",
    "status:registered",
    "status:preliminary",
    "status:cancelled",
    "status:entered-in-error",
    "status:unknown",
    "status:missing",
    "status:invalid",
    "no-time",
    "future-dated",
    "no-value",
    "unparseable",
    "unit-missing",
    "unit-unknown",
    "unit-conflict",
    "implausible",
    "superseded",
    "conflicting-duplicates",
]

# What could have been a result of the patient and was not used, the gravest first. The others state
# no result: of another test, not done, not there yet, withdrawn, or replaced by one that is used.
_LOST: tuple[SetAsideReason, ...] = (
    "invalid-resource",
    "no-code",
    "system-unknown",
    "code-conflict",
    "no-subject",
    "subject-unresolved",
    "other-patient",
    "modifier-extension",
    "another-specimen",
    "unparseable",
    "unit-unknown",
    "unit-conflict",
    "unit-missing",
    "no-value",
    "status:unknown",
    "status:invalid",
    "status:missing",
    "no-time",
    "future-dated",
    "implausible",
    "name-not-understood",
    "another-code",
    "conflicting-duplicates",
)
LOSSES: Mapping[SetAsideReason, int] = {reason: rank for rank, reason in enumerate(_LOST)}

MEANINGS: Mapping[SetAsideReason, str] = {
    "code-not-in-pack": "No marker of the pack claims its code. Normal: most results of a chart.",
    "no-code": "It carries neither a name nor a code that its system can have.",
    "system-unknown": "Its code is one of a marker, but under a system that is not known.",
    "code-conflict": "Its codes, or its names, belong to different markers.",
    "name-not-understood": (
        "No known code was sent, and its name holds that of a marker beside words that may say "
        "that something else was measured. Its unit would be one of the marker."
    ),
    "another-code": (
        "Its code is one under which results of the marker may be sent, but which the pack does "
        "not read (`codes not read` of the marker), or it has a code of SNOMED CT alone, which the "
        "pack does not know, beside the name and a unit of the marker. A site can read it."
    ),
    "other-patient": "Its subject or its focus is another person. It is never used.",
    "no-subject": "It names no patient, and something else in the request is of another patient.",
    "subject-unresolved": "Its subject is a search (`Patient?identifier=...`), not a reference.",
    "invalid-resource": "It is not what FHIR R4 allows in an element that is read.",
    "modifier-extension": "It carries a modifier extension, which may negate what it says.",
    "another-specimen": (
        "Words, or a code of HL7 v2, name its specimen as urine, ascites or another fluid, alone "
        "or beside blood (`Serum/Urin`), whatever the code of the test says."
    ),
    "status:registered": "Not resulted yet.",
    "status:preliminary": "Not final yet. The result is used; only rules call it set aside.",
    "status:cancelled": "The test was not done.",
    "status:entered-in-error": "Withdrawn.",
    "status:unknown": "The sender does not know whether it is final.",
    "status:missing": "No status was sent.",
    "status:invalid": "The status is not one of FHIR R4.",
    "no-time": "No time was sent, or it cannot be read.",
    "future-dated": "Its time lies further in the future than the pack allows.",
    "no-value": "No value was sent, or a reason for its absence.",
    "unparseable": "The value is no single number: text, a code, a range, a ratio, two values.",
    "unit-missing": "No unit was sent, and the marker has one.",
    "unit-unknown": "The unit is not one of this marker. Units are never guessed from a number.",
    "unit-conflict": "The text and the code of the unit stand for different units.",
    "implausible": "The value lies outside what the marker can be.",
    "superseded": (
        "Another result of the same marker and time replaces it: a corrected, amended or final "
        "one, or one that says the same more narrowly, such as 2350 beside `>200`."
    ),
    "conflicting-duplicates": (
        "A higher result of the same marker, time and specimen is used, which contradicts it."
    ),
}
