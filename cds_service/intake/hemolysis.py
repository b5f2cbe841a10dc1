# SPDX-License-Identifier: Apache-2.0
"""Whether the specimen of a result is reported as hemolysed.

Read from the specimen's condition, and from the interpretation and the notes of any result, for
what they say of the specimen holds for all that was measured in it. A text that denies it, or that
only warns what hemolysis may do, does not say it.
"""

import re

from msgspec import Raw

from cds_service.fhir.deferred import FREE_TEXT, concepts_in, notes_in
from cds_service.fhir.elements import NOTHING, CodeableConcept
from cds_service.fhir.resources import Observation, Specimen, parts_of
from cds_service.intake.marker_lookup import pairs_of, texts_of
from cds_service.intake.resource_index import ResourceIndex
from cds_service.intake.subjects import Subjects
from cds_service.remembering import remember_short

_CODE = "HEM"  # HL7 v2 table 0493, specimen condition: hemolyzed
_WORD = re.compile(r"ha?emoly[sz]\w*")
_CLAUSE_END = re.compile(r"[.;\n]")
_LOOK_BACK = 80
_DENIED_BEFORE = re.compile(
    r"\b(no|not|non|nil|without|negative for|absence of|free of|free from|denies|may|might|can|"
    r"could|if|when|should|index|un)\b[\s-]*(\w+[\s-]+){0,3}$"
)
_DENIED_JOINED = re.compile(r"(non|un)$")
# `*+` never gives blanks back: two stretches of blanks that meet could share them in as many ways
# as there are blanks, and a note of many would take minutes.
_DENIED_AFTER = re.compile(
    r"\s*+(index|interference|is|was|[:=-])*\s*+"
    r"(\b(no|not|none|nil|negative|absent|may|might|can|could|index|interference)\b|[0-9](?!\+))"
)


def is_hemolysed(result: Observation, index: ResourceIndex, subjects: Subjects) -> bool:
    """Whether anything sent with the result, or with one of its components, says so.

    What is said of the specimen of another patient is not.
    """
    if _any_says_so(result.interpretation):
        return True
    if result.component is None and result.specimen is None and result.note is NOTHING:
        return False  # as of most
    if any(_any_says_so(component.interpretation) for component in parts_of(result)):
        return True
    specimen = index.referred(result.specimen, result.contained)
    if (
        isinstance(specimen, Specimen)
        and subjects.owner(specimen.subject) != "another"
        and _any_says_so(specimen.condition)
    ):
        return True
    return any(text_says_so(note.text or "") for note in notes_in(result.note))


def text_says_so(text: str) -> bool:
    """Whether the text says that the specimen is hemolysed, and does not deny it."""
    folded = text.casefold()
    if "emoly" not in folded:
        return False
    for match in _WORD.finditer(folded):
        before = folded[max(0, match.start() - _LOOK_BACK) : match.start()]
        clause = _CLAUSE_END.split(before)[-1]
        denied = _DENIED_BEFORE.search(clause) or _DENIED_JOINED.search(clause)
        if not denied and not _DENIED_AFTER.match(folded, match.end()):
            return True
    return False


def _any_says_so(raw: Raw) -> bool:
    return raw is not NOTHING and _read(bytes(raw))


@remember_short(longest=512, most=1024, without=FREE_TEXT)
def _read(concepts: bytes) -> bool:
    return any(_says_so(concept) for concept in concepts_in(Raw(concepts)))


def _says_so(concept: CodeableConcept) -> bool:
    if any(code.upper() == _CODE for _, code in pairs_of(concept)):
        return True
    return any(text_says_so(text) for text in texts_of(concept))
