# SPDX-License-Identifier: Apache-2.0
"""What a table of phrases is made of: forms, and the words in capitals that they hold.

In a form a word in capitals is one of `WORDS`, and a part in square brackets may be left out:
`measured METHOD`, `[FACTOR x] LIMIT`.
"""

import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Final, Generic, TypeVar

from cds_service.knowledge.model.conditions import Condition
from cds_service.knowledge.reading.vocabulary import COUNT, NUMBER, Vocabulary

ResultT = TypeVar("ResultT")
_RELATIONS = "below|at most|above|at least"
_SEX = "(?:male|female|unknown)"


@dataclass(slots=True)
class Phrase:
    """A phrase that is being read.

    `subject` holds the ids of what it is about, several for `any of`; `problems` collects the
    code, message and remedy of each problem.
    """

    subject: tuple[str, ...]
    text: str
    words: Vocabulary
    problems: list[tuple[str, str, str]] = field(default_factory=list)

    def problem(self, code: str, message: str, remedy: str = "") -> None:
        """Note a problem of the phrase."""
        self.problems.append((code, message, remedy))


@dataclass(frozen=True, slots=True)
class Word:
    """A word in capitals: the texts that it stands for, as a pattern and in a sentence."""

    pattern: str
    meaning: str


WORDS: Final[Mapping[str, Word]] = {
    "RELATION": Word(f"({_RELATIONS})", "`below`, `at most`, `above` or `at least`"),
    "BOUND": Word(
        rf"((?:(?! and (?:{_RELATIONS}) ).)+?)",
        "what a result is compared with: the next table",
    ),
    "NUMBER": Word(rf"({NUMBER})", "an exact number: `5`, `0.20`, `1000`; never `1e3` or `1,000`"),
    "FACTOR": Word(r"((?=[0.]*[1-9])[0-9]+(?:\.[0-9]+)?)", "a number above 0"),
    "UNIT": Word(r"(\S+)", "a unit that the marker's file lists, in any of its spellings"),
    "LIMIT": Word(
        "((?:upper|lower|screening) limit)", "`upper limit`, `lower limit` or `screening limit`"
    ),
    "MARKER": Word("([a-z][a-z0-9-]*)", "the id of a marker"),
    "METHOD": Word("(.+)", "a method that a code of the marker names"),
    "DAYS": Word(rf"({COUNT}) days?", "`1 day`, `180 days`; at most 9999"),
    "N": Word(f"({COUNT})", "a whole number, at most 9999"),
    "AGE": Word(f"({COUNT} (?:years?|months?))", "`18 years`, `1 year`, `6 months`"),
    "SEXES": Word(
        f"({_SEX}(?: or {_SEX})*)", "`male`, `female`, `unknown`, or several joined by `or`"
    ),
    "REASON": Word("([a-z:-]+)", "the word for which a result is set aside, as cases write it"),
    "NAME": Word("([a-z][a-z0-9-]*)", "the id of a fact or an order"),
    "FACT": Word("([a-z][a-z0-9-]*)", "the id of a fact"),
}


@dataclass(frozen=True, slots=True)
class PhraseForm(Generic[ResultT]):
    """One way to write a phrase or a bound.

    `build` makes what it stands for out of the phrase and the texts of the words in capitals. It
    returns `None` if it noted a problem in the phrase, or if the phrase has another form.
    """

    form: str
    meaning: str
    build: Callable[..., ResultT | None]
    pattern: re.Pattern[str] = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "pattern", _pattern(self.form))


@dataclass(frozen=True, slots=True)
class Kind:
    """A kind of subject: its phrases, and the help for a phrase that is none of them."""

    about: str
    forms: tuple[PhraseForm[Condition], ...]
    remedy: str

    def first_words(self) -> list[str]:
        """The words that a phrase can begin with, for suggestions."""
        first = {form.form.partition(" ")[0] for form in self.forms}
        relations = _RELATIONS.split("|") if "RELATION" in first else []
        return [*(first - set(WORDS)), *(words.partition(" ")[0] for words in relations)]


def read_form(
    forms: Iterable[PhraseForm[ResultT]], text: str, phrase: Phrase, *more: object
) -> ResultT | None:
    """What the first form that fits makes of the text; `None` if none fits or one noted a problem.

    `more` is handed to the builder before the texts of the words.
    """
    before = len(phrase.problems)
    for form in forms:
        if match := form.pattern.fullmatch(text):
            result = form.build(phrase, *more, *match.groups())
            if result is not None or len(phrase.problems) > before:
                return result
    return None


def _pattern(form: str) -> re.Pattern[str]:
    """The form as a pattern with a group for each word in capitals."""
    text = re.sub(r"^\[(.+?)\] ", r"(?:\1 )?", form)
    text = re.sub(r" \[(.+?)\]", r"(?: \1)?", text)
    return re.compile(re.sub(r"[A-Z]+", lambda word: WORDS[word[0]].pattern, text))
