# SPDX-License-Identifier: Apache-2.0
"""What stands beside labels: who a report is about, and when the specimen was collected."""

import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Final

from cds_service.copying import replace
from cds_service.errors import RequestError
from cds_service.plain_words import plain_words
from cds_service.reports.dates import DayOrder, begins_with_date, birth_date_in
from cds_service.reports.pdf.pages import PageLine, PageWord
from cds_service.reports.people import is_one_name, is_one_number
from cds_service.reports.report import ReportPatient
from cds_service.reports.report_headings import is_of_patient, may_be_of_order
from cds_service.reports.vocabulary import LABELS, SEXES, Label, Words, longest_match, meaning_of

_NEAR: Final = 3.0  # times the size of the letters: a wider gap ends what a label labels
_NEXT: Final = 1.5  # times the size of the letters, from a line of a cell to the next
_ALIGNED: Final = 2.0  # points
_REST: Final = 3  # words of a name
_PART: Final = re.compile(r"[^\W\d_][^\d:;]*")
_GAP: Final = 0.75  # times the size of the letters
_REACH: Final = 180.0  # points from a label to what it labels


@dataclass(frozen=True, slots=True)
class Labelled:
    """A label and the text beside or below it; `line` is the number of its line.

    What a scan does not surely say, or what is struck out, is not sure. `printed` are the words of
    the label, if a colon or a gap shows where it ends.
    """

    label: Label
    text: str
    line: int
    is_sure: bool = True
    printed: Words = ()


def labelled_texts(lines: Sequence[PageLine]) -> list[Labelled]:
    """The labels of the lines with their texts, in the order of the page."""
    lines = _unwrapped(lines)
    found: list[Labelled] = []
    for number, line in enumerate(lines):
        if not line.words:
            continue
        below = lines[number + 1] if number + 1 < len(lines) else None
        below = below if below and below.words else None
        for label, words, rest in _labels(line):
            text = " ".join(word.text for word in rest).strip(" :.")
            is_sure = all(word.is_sure for word in (*words, *rest))
            if not text and below is not None and below.page == line.page:
                text = _below(words, below, line)
                is_sure = all(word.is_sure for word in below.words)
            printed = plain_words(" ".join(word.text for word in words))
            ends = not rest or words[-1].text.endswith(":") or _is_apart(words[-1], rest[0])
            found.append(
                Labelled(label, text.lstrip(" :"), number, is_sure, printed if ends else ())
            )
    return found


def _unwrapped(lines: Sequence[PageLine]) -> list[PageLine]:
    """The lines, each label and name that goes on below in a narrow cell on its first line.

    The lines keep their numbers; one of which all has gone has no words left.
    """
    found = list(lines)
    for number in range(len(found) - 1):
        line, below = found[number], found[number + 1]
        if not line.words or not below.words or line.page != below.page:
            continue
        if below.top - line.top > _NEXT * line.size:
            continue
        chunks, rest = [list(chunk) for chunk in line.chunks()], list(below.chunks())
        for place, chunk in enumerate(chunks):
            under = next((c for c in rest if _is_aligned(chunk, c)), None)
            before = chunks[place - 1] if place else []
            if under is None:
                continue
            is_of_name = _is_name(before, chunk, under) and not _is_labelled(under, before, rest)
            if _is_label(chunk, under) or is_of_name:
                # Their words take no place, so that what stands beside is as near as before.
                end = chunk[-1].x1
                chunk.extend(replace(word, x0=end, x1=end) for word in under)
                rest.remove(under)
        found[number] = replace(line, words=tuple(word for chunk in chunks for word in chunk))
        found[number + 1] = replace(below, words=tuple(word for c in rest for word in c))
    return found


def _is_aligned(first: Sequence[PageWord], second: Sequence[PageWord]) -> bool:
    """Whether two lines of a cell begin, end or have their middle at one place."""
    left, right = second[0].x0 - first[0].x0, second[-1].x1 - first[-1].x1
    return min(abs(left), abs(right), abs(left + right) / 2) < _ALIGNED


def _is_labelled(
    under: Sequence[PageWord], label: Sequence[PageWord], rest: Sequence[Sequence[PageWord]]
) -> bool:
    """Whether what stands below a name has a label of its own, below that of the name."""
    start = label[0].x0 - _ALIGNED
    return any(start < chunk[0].x0 < under[0].x0 for chunk in rest)


def _is_label(first: Sequence[PageWord], second: Sequence[PageWord]) -> bool:
    """Whether both lines together are a label, and the first is not by itself with a colon."""
    if first[-1].text.endswith(":") or not second[-1].text.endswith(":"):
        return False
    return meaning_of([word.text for word in (*first, *second)], LABELS) is not None


def _is_name(
    label: Sequence[PageWord], first: Sequence[PageWord], second: Sequence[PageWord]
) -> bool:
    """Whether the second line is the rest of a name."""
    is_labelled = meaning_of([word.text for word in label], LABELS) == "name"
    texts = [word.text for word in second]
    is_rest = all(
        len(part) <= _REST and all(_PART.fullmatch(word.text) for word in part)
        for part in (first, second)
    )
    return is_labelled and is_rest and meaning_of(texts, LABELS) is None


def _labels(line: PageLine) -> Iterator[tuple[Label, list[PageWord], list[PageWord]]]:
    """Each label of a line with its own words and those up to the next label or a wide gap."""
    pieces = [(piece, n) for n, word in enumerate(line.words) for piece in plain_words(word.text)]
    texts = [piece for piece, _ in pieces]
    starts = {chunk[0] for chunk in line.chunks()}
    hits: list[tuple[int, int, Label]] = []  # first word, word after, label
    place = 0
    while place < len(pieces):
        first = pieces[place][1]
        hit = longest_match(texts, place, LABELS)
        begins = place == 0 or pieces[place - 1][1] != first
        if hit is None or not begins:
            place += 1
            continue
        end, label = hit
        last = pieces[end - 1][1]
        colon = line.words[last].text.endswith(":") or (
            last + 1 < len(line.words) and line.words[last + 1].text.startswith(":")
        )
        follows = " ".join(word.text for word in line.words[last + 1 : last + 5])
        is_dated = label in {"birth", "collected"} and begins_with_date(follows)
        if line.words[first] in starts or colon or is_dated:
            hits.append((first, last + 1, label))
            place = end
        else:
            place += 1
    for number, (first, after, label) in enumerate(hits):
        until = hits[number + 1][0] if number + 1 < len(hits) else len(line.words)
        yield label, list(line.words[first:after]), _beside(line.words, after, until)


def _beside(words: Sequence[PageWord], start: int, end: int) -> list[PageWord]:
    found: list[PageWord] = []
    for number in range(start, end):
        word, last = words[number], words[number - 1]
        gap = word.x0 - last.x1
        is_first = not any(before.text.strip(":") for before in found)
        if gap > (_REACH if is_first else _NEAR * word.size):
            break
        found.append(word)
    return found


def _is_apart(label: PageWord, first: PageWord) -> bool:
    """Whether a colon or a gap stands before what is labelled."""
    return first.text.startswith(":") or first.x0 - label.x1 > _GAP * label.size


def _below(label: Sequence[PageWord], below: PageLine, line: PageLine) -> str:
    """The text under a label that has nothing beside it."""
    if below.top - line.top > 3 * line.size:
        return ""
    for chunk in below.chunks():
        if abs(chunk[0].x0 - label[0].x0) < 5:
            text = " ".join(word.text for word in chunk)
            return "" if meaning_of([text], LABELS) else text
    return ""


def patient_of(found: Sequence[Labelled], order: DayOrder | None) -> ReportPatient:
    """Who the report is about; raises `RequestError` if it is about several people."""
    ids = _own(found, "id", lambda label: not may_be_of_order(label))
    born = list(
        dict.fromkeys(filter(None, (birth_date_in(t, order) for t in _texts(found, "birth"))))
    )
    several = "dates of birth" if len(born) > 1 else _several(found)
    if several:
        raise RequestError(
            f"Expected a report about one patient. This one has several {several}: read the pages "
            "of each patient as a file of its own."
        )
    sexes = [sex for text in _texts(found, "sex") if (sex := _sex(text))]
    names = [name for text in _own(found, "name", is_of_patient) if (name := _name(text))]
    return ReportPatient(
        id=ids[0] if ids and all(is_one_number(ids[0], text) for text in ids) else "",
        name=names[0] if names and all(is_one_name(names[0], text) for text in names) else "",
        birth_date=born[0] if len(born) == 1 else None,
        sex=sexes[0] if len(set(sexes)) == 1 else None,
    )


def _several(found: Sequence[Labelled]) -> str:
    """What one label stands before two of: different names, or numbers of patients.

    Other labels may be those of others: `Name` of a physician, or the number of a sample.
    """
    for label, is_one, words_for in (
        ("name", is_one_name, "names of patients"),
        ("id", is_one_number, "numbers of patients"),
    ):
        by_words: dict[Words, list[str]] = {}
        for labelled in found:
            printed = labelled.printed
            if labelled.label == label and labelled.is_sure and labelled.text and printed:
                is_patients = is_of_patient(printed)
                if label == "name" or is_patients or not may_be_of_order(printed):
                    words = () if is_patients else tuple(sorted(set(printed)))
                    by_words.setdefault(words, []).append(labelled.text)
        if any(not is_one(texts[0], text) for texts in by_words.values() for text in texts[1:]):
            return words_for
    return ""


def _own(
    found: Sequence[Labelled], label: Label, is_patients: Callable[[Words], bool]
) -> list[str]:
    """What stands behind labels that are the patient's, or else behind any that may be."""
    own = [
        labelled
        for labelled in found
        if labelled.label == label and labelled.printed and is_patients(labelled.printed)
    ]
    return _texts(own, label) or _texts(found, label)


def _texts(found: Sequence[Labelled], label: Label) -> list[str]:
    own = (
        labelled.text
        for labelled in found
        if labelled.label == label and labelled.text and labelled.is_sure
    )
    return list(dict.fromkeys(own))


def _sex(text: str) -> str | None:
    words = plain_words(text)
    hit = longest_match(words, 0, SEXES)
    return hit[1] if hit else None


def _name(text: str) -> str:
    """A name, without what may stand behind it in brackets or after a date."""
    bare = text.split("(", maxsplit=1)[0].split("*", maxsplit=1)[0].strip(" ,;:")
    return bare if bare and not any(character.isdigit() for character in bare) else ""
