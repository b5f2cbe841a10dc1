# SPDX-License-Identifier: Apache-2.0
"""Places of a document in words, and which of them a site may change.

`suggest / liver-panel / between` is read step by step: a key; in a list the entry whose order,
id, name or reason is the word, or that has the word as a key (`when / alt`), or `line 2`. A site
may change the numbers of a place that an evidence line with `decision: yes` backs, and nothing
else: what a source says is not the site's to change.
"""

import re
from collections.abc import Iterator

from cds_service.knowledge.reading.vocabulary import NUMBER
from cds_service.sourcefile.document import Data, Document, Where

SLASH = " / "
_LINE = re.compile(r"line ([1-9][0-9]*)")
_NAMED_BY = ("order", "id", "named", "because")
_AMOUNT = re.compile(rf"(?<![A-Za-z0-9.]){NUMBER}(?: \S+)?")  # not the 5 of P5P
_SEVERAL = "any of "
_PRIORITY, _RESULTED = "priority", "resulted within"
# Keys of each kind of file under which there are numbers that a site may have views on.
_TOP = {
    "rules": (
        "when",
        "on order hooks",
        "unless",
        "more urgent",
        "suggest",
        "also say",
        "quiet for",
    ),
    "markers": ("plausible", "pairs", "upper limit", "lower limit", "screening limit", "bands")
    + ("grades", "doubtful near a boundary"),
    "measures": ("not computed",),
    "patterns": ("when",),
    "orders": (_RESULTED,),
    "pack.yaml": ("scope", "cards"),
}
# Keys whose values are names or words, though there may be a number in them.
_WORDS = frozenset((*_NAMED_BY, "title", "sent in", "indicator", "group"))


def find(data: Data, at: str) -> list[Where]:
    """Every place that the words can mean; none or several is a problem of the words."""
    found: list[Where] = [()]
    for word in at.split(SLASH):
        found = [(*where, *step) for where in found for step in _steps(inside(data, where), word)]
    return found


def inside(data: Data, where: Where) -> Data:
    """What stands at a place that is there."""
    for key in where:
        data = data[key]  # type: ignore[index]
    return data


def changeable(path: str, document: Document) -> dict[str, Where]:
    """Each place of a file that a site may change, by its words."""
    return {
        in_words(document.data, where): where
        for where, text in _texts(document.data, ())
        if has_number(where, text) and is_decision(path, document, where)
    }


def is_decision(path: str, document: Document, where: Where) -> bool:
    """Whether the pack marks what stands at the place as a decision of its own."""
    folder = path.split("/", maxsplit=1)[0]
    if where[0] not in _TOP.get(folder, ()) or where[-1] in _WORDS:
        return False
    backed = _decided(document.data)
    return all(subject in backed for subject in _subjects(folder, document.data, where))


def has_number(where: Where, text: str) -> bool:
    """Whether there is something to change: a number, or the priority of an order."""
    return where[-1] == _PRIORITY or _AMOUNT.search(text) is not None


def same_words(where: Where, was: str, now: str) -> bool:
    """Whether two texts differ in nothing but numbers and their units."""
    return where[-1] == _PRIORITY or _AMOUNT.sub("#", was) == _AMOUNT.sub("#", now)


def in_words(data: Data, where: Where) -> str:
    """The words of a place, which `find` reads back as this place alone.

    A key stands for itself and an entry of a list for its name, for the key that follows, or for
    its line: `suggest / liver-panel / between`, `when / alt`, `bands / line 2 / alt`.
    """
    words: list[str] = []
    for n, key in enumerate(where):
        if isinstance(key, str):
            words.append(key)
        else:
            following = where[n + 1] if n + 1 < len(where) else None
            words.extend(_words_of_entry(inside(data, where[:n]), key, following))
    return SLASH.join(words)


def _words_of_entry(entries: Data, index: int, following: str | int | None) -> Iterator[str]:
    """The word for an entry of a list; nothing if the key that follows means no other entry."""
    for name in _names(inside(entries, (index,))):
        if list(_steps(entries, name)) == [(index,)]:
            yield name
            return
    if not isinstance(following, str) or list(_steps(entries, following)) != [(index, following)]:
        yield f"line {index + 1}"


def _names(entry: Data) -> list[str]:
    """What an entry can be called, best first; a name that reads as two steps is none."""
    values = [entry.get(by) for by in _NAMED_BY] if isinstance(entry, dict) else []
    return [value for value in values if isinstance(value, str) and SLASH not in value]


def _steps(data: Data, word: str) -> Iterator[Where]:
    if isinstance(data, dict):
        if word in data:
            yield (word,)
        return
    if not isinstance(data, list):
        return
    if match := _LINE.fullmatch(word):
        number = int(match[1])
        if number <= len(data):
            yield (number - 1,)
        return
    for n, entry in enumerate(data):
        if isinstance(entry, dict):
            if any(entry.get(by) == word for by in _NAMED_BY):
                yield (n,)
            elif word in entry:
                yield (n, word)


def _texts(data: Data, where: Where) -> Iterator[tuple[Where, str]]:
    if isinstance(data, str):
        yield where, data
    elif isinstance(data, dict):
        for key, value in data.items():
            yield from _texts(value, (*where, key))
    else:
        for n, value in enumerate(data):
            yield from _texts(value, (*where, n))


def _subjects(folder: str, data: Data, where: Where) -> tuple[str, ...]:
    """What a decision has to back: an order, the subject of a phrase, or a whole key."""
    if folder not in ("rules", "patterns"):
        return (str(where[0]),)
    if where[-1] in ("between", _PRIORITY, _RESULTED):
        suggestion = inside(data, where[:-1])
        return (str(suggestion["order"]),) if isinstance(suggestion, dict) else ()
    subject = next((key for key in reversed(where) if isinstance(key, str)), "")
    if subject.startswith(_SEVERAL):
        return tuple(name.strip() for name in subject.removeprefix(_SEVERAL).split(","))
    return (subject,)


def _decided(data: Data) -> set[str]:
    lines = data.get("evidence", []) if isinstance(data, dict) else []
    return {
        str(subject)
        for line in (lines if isinstance(lines, list) else [])
        if isinstance(line, dict) and line.get("decision") == "yes"
        for subject in line.get("backs", [])
    }
