# SPDX-License-Identifier: Apache-2.0
"""What a report says of its specimen, of itself and of a result: hemolysis, and statuses."""

import re
from typing import Final

from cds_service.intake.hemolysis import text_says_so
from cds_service.plain_words import plain_text

_HEMOLYZED: Final = re.compile(
    r"\b(?:ha?emoly\w*|hamoly\w*|haemoly\w*|hemoliz\w*|hemolis\w*|emoliz\w*|emolis\w*)\b"
)
# `Hämolyse-`, whose `Index` is on the next line. Nothing but a word before it may stand before
# these letters, so that each word is read once.
_INDEX: Final = re.compile(r"(?<!\w)(?:(?!mol[iy])\w)*+mol[iy]\w*+[-‐‑]")
_DENIED: Final = re.compile(
    r"\b(?:kein\w*|nicht|ohne|pas|sans|absence|aucune?|non|no|sin|ausencia|senza|assenza|sem|nao|"
    r"not|without|free|index|indice|indizes|kann|konnen|peut|puede\w*|puo|possono|pode\w*|may|can|"
    r"bei|wenn|falls|si|se|if|en cas|in caso|em caso|en caso|anamie|anemi\w*|anemia)\b"
)
_NAMES_INDEX: Final = re.compile(r"(?:h )?(?:index|indice|indizes)(?: (?:d|de|di|da))?")
_NOUN = r"(?:ha?emolys(?:is|e)|hamolyse|hemolisis|emolisi|hemolise)"
_NAMES_HEMOLYSIS: Final = re.compile(rf"(?:(?:d|de|di|da) )?{_NOUN}")
_ABSENT: Final = re.compile(
    rf"\b{_NOUN} (?:negati(?:ve?|f|vo|va)|neg|none|nil|nein|0(?! \d)|fehlt|fehlend|"
    r"absente?|ausente|assente)\b"
)
_PRESENT: Final = re.compile(r"\+|\b(?:positi[vf]\w*|present\w*|vorhanden)\b")
_PRELIMINARY: Final = re.compile(
    r"\b(?:preliminary|vorlaufig\w*|teilbefund|provisorisch\w*|zwischenbefund|provisoires?|"
    r"resultats? partiels?|preliminar(?:es)?|provisional(?:es)?|preliminar[ei]|provvisori[oa]?|"
    r"provisori[oa]s?|interim report|partial report|referto parziale|informe parcial|"
    r"laudo parcial)\b"
)
_CORRECTED: Final = re.compile(
    r"\b(?:corrected report|amended report|korrigierter befund|korrekturbefund|"
    r"compte rendu (?:corrige|rectifie)|informe (?:corregido|rectificado)|referto corretto|"
    r"laudo (?:corrigido|retificado)|relatorio corrigido)\b"
)
# What stands in a column of statuses, with the letters of HL7's table 0085.
_OF_RESULTS: Final = {
    **dict.fromkeys(("final", "f", "endbefund", "definitif", "definitivo"), "final"),
    **dict.fromkeys(
        ("preliminary", "prelim", "p", "vorlaufig", "provisoire", "provisional"), "preliminary"
    ),
    **dict.fromkeys(("corrected", "c", "korrigiert", "corrige", "corregido"), "corrected"),
    **dict.fromkeys(("amended", "a"), "amended"),
    **dict.fromkeys(("cancelled", "canceled", "x", "storniert", "annule", "anulado"), "cancelled"),
    **dict.fromkeys(("entered in error", "d", "w"), "entered-in-error"),
    **dict.fromkeys(("registered", "pending", "i", "o"), "registered"),
}


def says_hemolyzed(text: str) -> bool:
    """Whether a line or note says that the specimen is hemolysed, in any of the languages."""
    if "mol" not in text.casefold() or _INDEX.search(text.casefold()):
        return False  # as of most
    if text_says_so(text):
        return True
    words = _ABSENT.sub("", plain_text(text))
    return _HEMOLYZED.search(words) is not None and _DENIED.search(words) is None


def names_index(text: str) -> bool:
    """Whether a text is the part of `Hemolysis index` that does not speak of hemolysis."""
    return _NAMES_INDEX.fullmatch(plain_text(text)) is not None


def names_hemolysis(text: str) -> bool:
    """Whether a text is the other part of `Hemolysis index`: the noun, and nothing beside it."""
    return _NAMES_HEMOLYSIS.fullmatch(plain_text(text)) is not None


def says_present(text: str) -> bool:
    """Whether a text says of what it names that it is there, by a sign or in words: `+++`."""
    return _PRESENT.search(plain_text(text)) is not None


def status_of_report(text: str) -> str:
    """FHIR's code for what a report says of itself; one that says nothing is final."""
    words = plain_text(text)
    if _PRELIMINARY.search(words):
        return "preliminary"
    return "corrected" if _CORRECTED.search(words) else "final"


def status_of_result(text: str) -> str:
    """FHIR's code for what stands beside a result; `unknown` for what is not understood."""
    return _OF_RESULTS.get(plain_text(text), "unknown")
