# SPDX-License-Identifier: Apache-2.0
"""Which facts a medicine or an entry of the problem list speaks of: by code, by tree, by words.

A code says what it says whatever the text. Words count in every text and display, as whole words,
unless a denying word of the pack or of the fact stands in the same text; the display of a code
that the fact leaves out (`but not`) is not read.
"""

import re
from bisect import bisect_right
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TypeAlias, TypeVar

from cds_service.knowledge.model.code_systems import ICD_10_CM
from cds_service.knowledge.model.facts import CodeMatch, DenyingWords, Fact
from cds_service.knowledge.model.pack import Pack
from cds_service.labs.patient_record import Recorded

_Code: TypeAlias = tuple[str, str]
_Named: TypeAlias = tuple[tuple[str, str], ...]  # (fact, name)
_Key = TypeVar("_Key", str, tuple[str, str])

_HYPHENS = dict.fromkeys(map(ord, "-_\u00ad\u2010\u2011\u2012\u2013\u2014\u2212"), " ")
_APOSTROPHES = dict.fromkeys(map(ord, "\u2019\u02bc\u00b4`"), "'")
_SIGNS = _HYPHENS | _APOSTROPHES
_STRENGTH = re.compile(r"(?<=[^\W\d_]{4})(?=\d)")  # where `300mg` follows a name at once


@dataclass(frozen=True, slots=True)
class FactMatch:
    """A fact that a record mentions, with the record's name and the code or word that matched.

    `text` is the first text in which the word stands, as it was sent; empty for a code.
    """

    fact: str
    name: str
    by: str
    text: str = field(default="", compare=False)


@dataclass(frozen=True, slots=True)
class _Codes:
    """Codes, alone or with every code that begins with them, and the facts they belong to."""

    alone: Mapping[_Code, _Named]
    trees: Mapping[str, _Named]  # ICD-10-CM
    longest: int  # characters of a code of `trees`; what is sent may be longer by far

    def of(self, code: _Code) -> Iterator[tuple[str, str]]:
        """The (fact, name) pairs of the code."""
        yield from self.alone.get(code, ())
        if self.trees and code[0] == ICD_10_CM:
            for length in range(1, min(len(code[1]), self.longest) + 1):
                yield from self.trees.get(code[1][:length], ())


@dataclass(frozen=True, slots=True)
class MedicineFinder:
    """The facts that a medicine makes so; its names count in any text."""

    codes: _Codes
    words: re.Pattern[str] | None
    named: Mapping[str, _Named]  # by name as the words are read

    def found(self, record: Recorded) -> set[FactMatch]:
        """What the medicine says."""
        pairs = {
            FactMatch(fact, name, code[1])
            for code in record.codes
            for fact, name in self.codes.of(code)
        }
        if self.words is not None:
            for text in record.texts:
                for match in self.words.finditer(as_read(text)):
                    pairs.update(
                        FactMatch(fact, name, match[0], text) for fact, name in self.named[match[0]]
                    )
        return pairs


@dataclass(frozen=True, slots=True)
class _Words:
    """The names of one fact in texts, and what denies them."""

    fact: str
    names: re.Pattern[str]
    spelled: Mapping[str, str]  # as read -> as its file writes it
    before: re.Pattern[str] | None
    anywhere: re.Pattern[str] | None
    inside: re.Pattern[str] | None

    def found(self, text: str, sent: str) -> Iterator[FactMatch]:
        """What a text says, that is written as words are read; `sent` is the same as sent."""
        allowed = [match.span() for match in self.inside.finditer(text)] if self.inside else []
        if _is_denied(self.anywhere, text, allowed):
            return
        names: set[str] = set()  # the same name again adds nothing, and a text may be long
        for match in self.names.finditer(text):
            if match[0] in names:
                continue
            if _is_denied(self.before, text[: match.start()], allowed):
                return  # and so is every later one
            names.add(match[0])
            yield FactMatch(self.fact, self.spelled[match[0]], match[0], sent)


@dataclass(frozen=True, slots=True)
class ConditionFinder:
    """The facts that an entry of the problem list makes so."""

    codes: _Codes
    left_out: _Codes  # by the fact that leaves them out
    any_name: re.Pattern[str] | None
    words: tuple[_Words, ...]

    def found(self, record: Recorded) -> set[FactMatch]:
        """What the entry says."""
        left_out = {code: {fact for fact, _ in self.left_out.of(code)} for code in record.codes}
        pairs = {
            FactMatch(fact, name, code[1])
            for code in record.codes
            for fact, name in self.codes.of(code)
            if fact not in left_out[code]
        }
        for text in record.texts:
            pairs.update(self._in_text(text, record, left_out))
        return pairs

    def _in_text(
        self, text: str, record: Recorded, left_out: Mapping[_Code, set[str]]
    ) -> Iterator[FactMatch]:
        read = as_read(text)
        if self.any_name is None or not self.any_name.search(read):
            return
        unread = {
            fact
            for code, display in record.displays
            if display == text
            for fact in left_out.get(code, ())
        }
        for words in self.words:
            if words.fact not in unread:
                yield from words.found(read, text)


@dataclass(frozen=True, slots=True)
class FactFinders:
    """The finders of a pack, made once."""

    medicines: MedicineFinder
    conditions: ConditionFinder


def fact_finders(pack: Pack) -> FactFinders:
    """Make the look-up tables of every fact of the pack."""
    facts = tuple(pack.facts.values())
    return FactFinders(_medicine_finder(facts), _condition_finder(facts, pack.scope.denying))


def _medicine_finder(facts: Iterable[Fact]) -> MedicineFinder:
    codes: dict[_Code, _Named] = {}
    named: dict[str, _Named] = {}
    for fact in facts:
        for medicine in fact.medicines:
            for code in medicine.codes:
                _add(codes, (code.system, code.code), fact.id, medicine.name)
            for name in (medicine.name, *medicine.also_named):
                _add(named, as_read(name), fact.id, medicine.name)
    return MedicineFinder(_Codes(codes, {}, longest=0), _any_of(named), named)


def _condition_finder(facts: Iterable[Fact], general: DenyingWords) -> ConditionFinder:
    every = tuple(facts)
    words = tuple(_words_of(fact, general) for fact in every if fact.condition_names)
    return ConditionFinder(
        codes=_codes((fact.id, match) for fact in every for match in fact.conditions),
        left_out=_codes((fact.id, match) for fact in every for match in fact.but_not),
        any_name=_any_of({name for word in words for name in word.spelled}),
        words=words,
    )


def _codes(matches: Iterable[tuple[str, CodeMatch]]) -> _Codes:
    alone: dict[_Code, _Named] = {}
    trees: dict[str, _Named] = {}
    for fact, match in matches:
        code = match.code
        if match.below:
            _add(trees, code.code, fact, code.name)
        else:
            _add(alone, (code.system, code.code), fact, code.name)
    return _Codes(alone, trees, longest=max(map(len, trees), default=0))


def _words_of(fact: Fact, general: DenyingWords) -> _Words:
    lifted = set(fact.not_denied_by)
    spelled = {as_read(name): name for name in fact.condition_names}
    names = _any_of(spelled)
    if names is None:
        message = f"{fact.id} has no names"
        raise ValueError(message)
    return _Words(
        fact=fact.id,
        names=names,
        spelled=spelled,
        before=_any_of({*general.before, *fact.denied.before} - lifted),
        anywhere=_any_of({*general.anywhere, *fact.denied.anywhere} - lifted),
        inside=_any_of(fact.not_denied_inside),
    )


def _is_denied(
    words: re.Pattern[str] | None, text: str, allowed: Sequence[tuple[int, int]]
) -> bool:
    """Whether one of the words stands in the text and in none of the allowed places.

    These are in order and do not overlap: only the last that begins before a word can hold it.
    """
    if words is None:
        return False
    begins = [begin for begin, _ in allowed]
    for match in words.finditer(text):
        last = bisect_right(begins, match.start()) - 1
        if last < 0 or match.end() > allowed[last][1]:
            return True
    return False


def as_read(text: str) -> str:
    """The text as words are compared: small letters, hyphens as blanks, one blank at a time.

    A blank stands between a word and a number behind it, too.
    """
    return " ".join(_STRENGTH.sub(" ", text.casefold().translate(_SIGNS)).split())


def _any_of(words: Iterable[str]) -> re.Pattern[str] | None:
    """Any of these as whole words, the longest that fits; `None` if there are none."""
    # the longest first, so that "alphazine/betazine" is not read as "alphazine" alone
    ordered = sorted({as_read(word) for word in words}, key=lambda word: (-len(word), word))
    alternatives = "|".join(re.escape(word) for word in ordered)
    return re.compile(rf"(?<!\w)(?:{alternatives})(?!\w)") if ordered else None


def _add(table: dict[_Key, _Named], key: _Key, fact: str, name: str) -> None:
    table[key] = (*table.get(key, ()), (fact, name))
