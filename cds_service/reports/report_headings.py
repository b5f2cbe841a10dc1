# SPDX-License-Identifier: Apache-2.0
"""Whose results stand below a heading of a report, and whether a heading gives them a day.

The words are in `cards/report-headings.yaml`. The file that came with the service counts.
"""

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from itertools import dropwhile
from typing import Final, Literal, TypeAlias

from cds_service.knowledge.reading.schemas import Shape
from cds_service.plain_words import plain_words
from cds_service.reports.dates import has_date, without_dates
from cds_service.reports.vocabulary import Words
from cds_service.settings import Settings, cards_folder
from cds_service.sourcefile.diagnostics import Problem
from cds_service.sourcefile.document import parse, read_text
from cds_service.sourcefile.schema import read_shape

HEADINGS_FILE: Final = "report-headings.yaml"
_LONGEST: Final = 6  # words of a heading that names another person
_LONGEST_ALONE: Final = 10
_COLON: Final = re.compile(r"(?<!\d):|:(?!\d)")  # and none within a time
_MARK: Final = re.compile(r"\d+|[ivx]+|[a-d]")  # beside a name: `Control 2`, `Donor B`

Subject: TypeAlias = Literal["other", "patient"]
ByLanguage: TypeAlias = dict[str, list[str]]


class HeadingsShape(Shape):
    """`report-headings.yaml`."""

    people: ByLanguage
    leads: ByLanguage
    relatives: ByLanguage
    no_people: ByLanguage
    alone: ByLanguage
    places: ByLanguage
    checks: ByLanguage
    states: ByLanguage
    visits: ByLanguage
    patient: ByLanguage
    labels_of_the_patient: ByLanguage
    numbers_that_may_be_others: ByLanguage
    beside: ByLanguage


@dataclass(frozen=True, slots=True)
class HeadingWords:
    """The phrases and words of all languages."""

    people: frozenset[Words]
    leads: frozenset[Words]
    relatives: frozenset[Words]
    no_people: frozenset[Words]
    alone: frozenset[Words]
    places: frozenset[Words]
    checks: frozenset[Words]
    states: frozenset[Words]
    visits: frozenset[Words]
    patient: frozenset[Words]
    of_patient: frozenset[str]
    vague: frozenset[str]
    beside: frozenset[str]
    leading: frozenset[str]  # words of `leads` and of `beside`
    longest: int  # words of the longest phrase


def subject_of(text: str, *, is_cell: bool = False) -> Subject | None:
    """Whose results a heading announces; `None` if it does not say so.

    A cell of a table may be a remark: it has to begin or end with the other person.

    >>> subject_of("Results of the living donor candidate")
    'other'
    >>> subject_of("Liver panel") is None
    True
    >>> subject_of("Mother and Child Hospital") is None
    True
    """
    known = _known()
    before, behind = split_label(text)
    words = _without(plain_words(without_dates(before)), known.no_people)
    if _is_among(words, known.patient, known.beside):
        return None if behind.strip() else "patient"
    if _is_among(words, known.alone, known.beside):
        is_passed = words in known.checks and plain_words(behind) in known.states
        return None if is_passed or _is_visit(before) else "other"
    core = words if is_cell else _behind(words, known.leading)
    if text.rstrip().endswith(".") or not 0 < len(core) <= _LONGEST:
        return None
    beside = {*_beside_people(words), *_beside_people(core)}
    if not behind.strip() and not beside.isdisjoint(known.places):
        return None
    is_of_people = next(_beside_people(words), None) is not None or _is_of_results(words, core)
    return "other" if is_of_people else None


def speaks_of_results(text: str) -> bool:
    """Whether a heading says no more than that results of a day stand below it."""
    beside = _known().beside
    return _is_visit(text) or all(word in beside for word in plain_words(without_dates(text)))


def split_label(text: str) -> tuple[str, str]:
    """What stands before a colon, and what behind it.

    >>> split_label("Control of 12 Mar 2026 08:30: 2")
    ('Control of 12 Mar 2026 08:30', ' 2')
    >>> split_label("Donor")
    ('Donor', '')
    """
    before, *behind = _COLON.split(text, maxsplit=1)
    return before, "".join(behind)


def is_of_patient(label: Words) -> bool:
    """Whether a label says that what stands behind it is the patient's.

    >>> is_of_patient(("patient", "name")), is_of_patient(("name",))
    (True, False)
    """
    return not _known().of_patient.isdisjoint(label)


def may_be_of_order(label: Words) -> bool:
    """Whether the number behind a label may be that of an order or a sample.

    >>> may_be_of_order(("id",)), may_be_of_order(("patient", "id"))
    (True, False)
    """
    return _known().vague.issuperset(label)


def _behind(words: Words, lead: frozenset[str]) -> Words:
    """The words behind those of a lead, such as `Results of the`."""
    return tuple(dropwhile(lead.__contains__, words))


def _beside_people(words: Words) -> Iterator[Words]:
    """What else is in a heading that begins or ends with a word of people."""
    known, count = _known(), len(words)
    within = range(1, min(count, known.longest) + 1)
    yield from (words[length:] for length in within if words[:length] in known.people)
    yield from (words[:-length] for length in within if words[count - length :] in known.people)


def _is_of_results(words: Words, core: Words) -> bool:
    """Whether a word of people stands anywhere behind `Results of the`.

    What begins with a laboratory or a sample may have such words in a name: `Labor Partner Berlin`.
    """
    known = _known()
    lead = words[: len(words) - len(core)]
    is_of_people = _has(core, known.people) or _has(words, known.relatives)
    return is_of_people and _has(lead, known.leads)


def _has(words: Words, phrases: frozenset[Words]) -> bool:
    """Whether one of the phrases is in a text."""
    return any(words[start:end] in phrases for start, end in _spans(words))


def _without(words: Words, phrases: frozenset[Words]) -> Words:
    """The words of a text that are in none of the phrases."""
    found = {
        place
        for start, end in _spans(words)
        if words[start:end] in phrases
        for place in range(start, end)
    }
    return tuple(word for place, word in enumerate(words) if place not in found)


def _spans(words: Words) -> Iterator[tuple[int, int]]:
    """Where a phrase may begin and end in a text: a text may be long, a phrase is not."""
    count, longest = len(words), _known().longest
    for start in range(count):
        yield from ((start, end) for end in range(start + 1, min(start + longest, count) + 1))


def _is_visit(text: str) -> bool:
    """Whether a text names a follow-up of a patient with its day, and nothing else."""
    known = _known()
    words = _behind(plain_words(without_dates(text)), known.beside)
    return has_date(text) and words in known.visits


def _is_among(words: Words, phrases: frozenset[Words], beside: frozenset[str]) -> bool:
    """Whether one of the phrases, with what may stand beside it, is all there is."""
    if len(words) > _LONGEST_ALONE:
        return False
    return any(
        words[start:end] in phrases
        and all(word in beside or _MARK.fullmatch(word) for word in words[:start] + words[end:])
        for start, end in _spans(words)
    )


@cache
def _known() -> HeadingWords:
    found, problems = read_heading_words()
    if found is None:
        raise ValueError("\n".join(map(str, problems)))
    return found


def read_heading_words() -> tuple[HeadingWords | None, list[Problem]]:
    """The words of the file that came with the service, or its problems."""
    text = read_text(cards_folder(Settings()) / HEADINGS_FILE, HEADINGS_FILE)
    if isinstance(text, Problem):
        return None, [text]
    document, problems = parse(text, HEADINGS_FILE)
    if problems:
        return None, problems
    shape, problems = read_shape(HeadingsShape, document.data, document)
    if shape is None:
        return None, problems
    leads, beside = _phrases(shape.leads), _words(shape.beside)
    return HeadingWords(
        people=_phrases(shape.people),
        leads=leads,
        relatives=_phrases(shape.relatives),
        no_people=_phrases(shape.no_people),
        alone=_phrases(shape.alone),
        places=_phrases(shape.places),
        checks=_phrases(shape.checks),
        states=_phrases(shape.states),
        visits=_phrases(shape.visits),
        patient=_phrases(shape.patient),
        of_patient=_words(shape.labels_of_the_patient),
        vague=_words(shape.numbers_that_may_be_others),
        beside=beside,
        leading=beside.union(*leads),
        longest=max(
            len(phrase) for texts in shape.model_dump().values() for phrase in _phrases(texts)
        ),
    ), []


def _phrases(by_language: Mapping[str, Iterable[str]]) -> frozenset[Words]:
    return frozenset(plain_words(text) for texts in by_language.values() for text in texts)


def _words(by_language: Mapping[str, Iterable[str]]) -> frozenset[str]:
    return frozenset(word for phrase in _phrases(by_language) for word in phrase)
