# SPDX-License-Identifier: Apache-2.0
"""Words and codes of specimens: what was examined, where that is no blood, serum or plasma."""

import re
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Final
from unicodedata import combining, normalize

_WORD: Final = re.compile(r"[^\W_]+")
_PHRASE: Final = re.compile(r"\*?[^\W_]+\*?(?: [^\W_]+\*?)*")


def plain_text(text: str) -> str:
    """The words of a text in small letters and without accents, a blank between them.

    >>> plain_text("Líquido  ascítico (EDTA)")
    'liquido ascitico edta'
    """
    letters = normalize("NFKD", text.casefold())
    plain = "".join(letter for letter in letters if not combining(letter))
    return " ".join(_WORD.findall(plain))


def is_phrase(text: str) -> bool:
    """Whether a text is words, with a `*` before or behind one for the rest of that word."""
    return _PHRASE.fullmatch(text) is not None


@dataclass(frozen=True, slots=True)
class SpecimenNames:
    """Phrases of specimens that are no blood, of blood, and of parts of a report about blood.

    `neither` are phrases in which a word of a specimen says nothing of one. In a phrase `*` stands
    for the rest of a word. `tables` are code systems of specimens, and `codes` those of blood,
    serum and plasma in these and in other systems.
    """

    others: frozenset[str] = frozenset()
    neither: frozenset[str] = frozenset()
    blood: frozenset[str] = frozenset()
    parts: frozenset[str] = frozenset()
    tables: frozenset[str] = frozenset()
    codes: frozenset[str] = frozenset()
    _others: re.Pattern[str] = field(init=False)
    _neither: re.Pattern[str] = field(init=False)
    _blood: re.Pattern[str] = field(init=False)
    _parts: re.Pattern[str] = field(init=False)

    def __post_init__(self) -> None:
        for name in ("others", "neither", "blood", "parts"):
            object.__setattr__(self, f"_{name}", _pattern(getattr(self, name)))

    def name_another(self, text: str) -> bool:
        """Whether a text names a specimen that is none of blood, serum and plasma.

        Blood beside it changes nothing: `blood-stained ascites`.
        """
        return self._others.search(self._neither.sub(" ", plain_text(text))) is not None

    def name_blood(self, text: str) -> bool:
        """Whether a text names blood, serum or plasma."""
        return self._blood.search(plain_text(text)) is not None

    def name_part(self, text: str) -> bool:
        """Whether a text names a part of a report that is about blood, if no fluid is named."""
        return self._parts.search(plain_text(text)) is not None

    def is_code_of_another(self, system: str, code: str) -> bool:
        """Whether a code is of a table of specimens, and none of blood."""
        return system in self.tables and not self.is_code_of_blood(code)

    def is_code_of_blood(self, code: str) -> bool:
        """Whether a code is one of blood, serum or plasma."""
        return code.strip().upper() in self.codes


def _pattern(phrases: Iterable[str]) -> re.Pattern[str]:
    """Finds any of the phrases; nothing, where there are none."""
    plain = sorted({"*".join(map(_plain_part, phrase.split("*"))) for phrase in phrases})
    words = "|".join(phrase.replace("*", r"\w*") for phrase in plain)
    return re.compile(rf"\b(?:{words})\b" if words else r"(?!)")


def _plain_part(part: str) -> str:
    """A part of a phrase as in a plain text, with the blanks at its ends."""
    before, behind = part[:1].isspace(), part[-1:].isspace()
    return " " * before + plain_text(part) + " " * behind
