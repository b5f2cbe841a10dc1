# SPDX-License-Identifier: Apache-2.0
"""Words and codes of specimens: what was examined, where that is no blood, serum or plasma."""

import re
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Final

from cds_service.plain_words import plain_text

_PHRASE: Final = re.compile(r"\*?[^\W_]+\*?(?: [^\W_]+\*?)*")


def is_phrase(text: str) -> bool:
    """Whether a text is words, with a `*` before or behind one for the rest of that word."""
    return _PHRASE.fullmatch(text) is not None


@dataclass(frozen=True, slots=True)
class SpecimenNames:
    """Phrases of specimens that are no blood, of blood, and of parts of a report about blood.

    `neither` are phrases in which a word of a specimen says nothing of one. `organs` name a
    specimen where they stand alone or as a specimen, not beside others in a heading. `about_blood`
    speak of blood, but are no specimen. In a phrase `*` stands for the rest of a word. `tables` are
    code systems of specimens, `codes` those of blood, serum and plasma in these and in other
    systems, `other_codes` those of other specimens in other systems, and `open_codes` those that
    leave open what it is. `letters` stand for blood in a column of a report.
    """

    others: frozenset[str] = frozenset()
    organs: frozenset[str] = frozenset()
    neither: frozenset[str] = frozenset()
    blood: frozenset[str] = frozenset()
    about_blood: frozenset[str] = frozenset()
    parts: frozenset[str] = frozenset()
    tables: frozenset[str] = frozenset()
    codes: frozenset[str] = frozenset()
    other_codes: frozenset[str] = frozenset()
    open_codes: frozenset[str] = frozenset()
    letters: frozenset[str] = frozenset()
    _others: re.Pattern[str] = field(init=False)
    _organs: re.Pattern[str] = field(init=False)
    _neither: re.Pattern[str] = field(init=False)
    _blood: re.Pattern[str] = field(init=False)
    _about_blood: re.Pattern[str] = field(init=False)
    _parts: re.Pattern[str] = field(init=False)

    def __post_init__(self) -> None:
        for name in ("others", "organs", "neither", "blood", "about_blood", "parts"):
            object.__setattr__(self, f"_{name}", _pattern(getattr(self, name)))
        for name in ("codes", "other_codes", "open_codes", "letters"):
            object.__setattr__(self, name, frozenset(map(plain_text, getattr(self, name))))
        object.__setattr__(self, "tables", frozenset(map(str.casefold, self.tables)))

    def name_another(self, text: str) -> bool:
        """Whether a text names a specimen that is none of blood, serum and plasma.

        Blood beside it changes nothing: `blood-stained ascites`.
        """
        return self._is_another(plain_text(text))

    def name_blood(self, text: str) -> bool:
        """Whether a text names blood, serum or plasma, or speaks of them."""
        plain = plain_text(text)
        return bool(self._blood.search(plain) or self._about_blood.search(plain))

    def name_part(self, text: str) -> bool:
        """Whether a text names a part of a report that is about blood, if no fluid is named."""
        return self._parts.search(plain_text(text)) is not None

    def is_blood(self, text: str) -> bool:
        """Whether a text names blood, serum or plasma themselves."""
        return self._blood.search(plain_text(text)) is not None

    def is_code_of_blood(self, code: str) -> bool:
        """Whether a code, or a whole text, is one of blood, serum or plasma."""
        return plain_text(code) in self.codes

    def are_letters_of_blood(self, text: str) -> bool:
        """Whether a text is letters alone that stand for blood: `S`, `S/P`."""
        words = plain_text(text).split()
        return bool(words) and self.letters.issuperset(words)

    def are_of_another(self, texts: Iterable[str], sent: Iterable[tuple[str, str]]) -> bool:
        """Whether the texts and codes of one specimen say that it is, or may be, no blood.

        Each code comes with its system. Another specimen that is named counts before blood, and
        words count before codes. What is not understood counts as blood.
        """
        plain, sent = tuple(map(plain_text, texts)), tuple(sent)  # once: a text may be long
        if any(map(self._is_another, plain)):
            return True
        if any(map(self._blood.search, plain)):
            return False
        if any(map(self._is_organ, plain)):
            return True
        if not self.codes.isdisjoint(plain) or any(self._is_blood_code(*code) for code in sent):
            return False
        return any(self._is_other_code(*code) for code in sent)

    def _is_another(self, plain: str) -> bool:
        if plain in self.codes:
            return False
        left = self._neither.sub(" ", plain).strip()
        return bool(self._others.search(left) or self._organs.fullmatch(left))

    def _is_organ(self, plain: str) -> bool:
        left = self._neither.sub(" ", plain)
        return self._organs.search(left) is not None and self._parts.search(plain) is None

    def _is_blood_code(self, system: str, code: str) -> bool:
        """Whether a code is one of blood; of letters in a known table, as `WB` may be anything."""
        is_known = not system or code.strip().isdigit() or _table(system) in self.tables
        return is_known and self.is_code_of_blood(code)

    def _is_other_code(self, system: str, code: str) -> bool:
        """Whether a code is that of another specimen, or one of a table that is not open."""
        plain = plain_text(code)
        is_in_table = _table(system) in self.tables and plain not in {"", *self.open_codes}
        return is_in_table or plain in self.other_codes


def _table(system: str) -> str:
    """The address of a code system without the version behind it."""
    return system.strip().partition("|")[0].casefold()


def _pattern(phrases: Iterable[str]) -> re.Pattern[str]:
    """Finds any of the phrases; nothing, where there are none."""
    plain = sorted({"*".join(map(_plain_part, phrase.split("*"))) for phrase in phrases})
    words = "|".join(phrase.replace("*", r"\w*") for phrase in plain)
    return re.compile(rf"\b(?:{words})\b" if words else r"(?!)")


def _plain_part(part: str) -> str:
    """A part of a phrase as in a plain text, with the blanks at its ends."""
    before, behind = part[:1].isspace(), part[-1:].isspace()
    return " " * before + plain_text(part) + " " * behind
