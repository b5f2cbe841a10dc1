# SPDX-License-Identifier: Apache-2.0
"""The name of a test as a laboratory writes it -> the marker, if every word of it is understood.

A name is understood if it consists of names of one marker and, beside them, of words that the
marker's file allows there ("Bilirubin, total [Mass/volume] in Serum"). Any other word may say that
something else was measured: bone, MB, urine, mean, ratio.
"""

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import NamedTuple, TypeAlias
from unicodedata import normalize

from cds_service.knowledge.model.specimen_names import SpecimenNames

Words: TypeAlias = tuple[str, ...]

_LONGEST = 200  # characters; LOINC's longest names have 250, those of laboratory tests 120
_WORD = re.compile(r"[^\W_]+|[#/%]")


def words_of(text: str) -> Words:
    """The words of a name in small letters; `#`, `/` and `%` are words, other signs are not.

    >>> words_of("Alpha (A1), Serum/Plasma")
    ('alpha', 'a1', 'serum', '/', 'plasma')
    """
    return tuple(_WORD.findall(normalize("NFKC", text[: _LONGEST + 1]).casefold()))


@dataclass(frozen=True, slots=True)
class MarkerName:
    """The names of one marker, and what may stand beside them."""

    names: frozenset[Words]
    beside: frozenset[Words]
    longest: int = field(init=False)  # words of the longest of them

    def __post_init__(self) -> None:
        object.__setattr__(self, "longest", max(map(len, self.names | self.beside), default=0))

    def covers(self, words: Words) -> bool:
        """Whether the words are names of the marker and what may stand beside them, all of them."""
        named: set[int] = set()  # places up to which all is understood and a name was among it
        plain = {0}  # the same without a name
        for start in range(len(words)):
            if start in named or start in plain:
                plain.update(self._ends(words, start, self.beside) if start in plain else ())
                named.update(self._ends(words, start, self.names))
                named.update(self._ends(words, start, self.beside) if start in named else ())
        return len(words) in named

    def is_held_by(self, words: Words) -> bool:
        """Whether a name of the marker stands anywhere among the words."""
        return any(
            True for start in range(len(words)) for _ in self._ends(words, start, self.names)
        )

    def _ends(self, words: Words, start: int, known: frozenset[Words]) -> Iterator[int]:
        for end in range(start + 1, min(len(words), start + self.longest) + 1):
            if words[start:end] in known:
                yield end


class Named(NamedTuple):
    """What a name says: the marker, and the method if the name of a code says that too."""

    marker: str
    method: str | None = None


@dataclass(frozen=True, slots=True)
class NotUnderstood:
    """A name that speaks of markers and holds more than is understood."""

    markers: tuple[str, ...]


_NO_SPECIMENS = SpecimenNames()


@dataclass(frozen=True, slots=True)
class NameIndex:
    """The names of all markers of a pack, and whole names such as those of their codes."""

    markers: Mapping[str, MarkerName] = field(default_factory=dict)
    whole: Mapping[Words, Named] = field(default_factory=dict)
    specimens: SpecimenNames = _NO_SPECIMENS
    # The first word of each name -> its markers: most names of a chart begin no other test's.
    _by_first: Mapping[str, tuple[str, ...]] = field(init=False, default_factory=dict)

    def __post_init__(self) -> None:
        by_first: dict[str, dict[str, None]] = {}
        for marker, known in self.markers.items():
            for name in known.names:
                by_first.setdefault(name[0], {})[marker] = None
        object.__setattr__(self, "_by_first", {word: tuple(by_first[word]) for word in by_first})

    def of(self, text: str) -> tuple[Named, ...] | NotUnderstood | None:
        """The markers whose name the text is (one, if the pack is sound).

        `NotUnderstood` if the text only holds a name, `None` if it holds none.
        """
        words = words_of(text)
        if words in self.whole:
            return (self.whole[words],)
        near = dict.fromkeys(marker for word in words for marker in self._by_first.get(word, ()))
        spoken = tuple(marker for marker in near if self.markers[marker].is_held_by(words))
        if not spoken:
            return None
        if len(text) > _LONGEST:
            return NotUnderstood(spoken)
        covered = tuple(Named(marker) for marker in spoken if self.markers[marker].covers(words))
        return covered or NotUnderstood(spoken)


def phrases(texts: Iterable[str]) -> frozenset[Words]:
    """The words of each text that has any."""
    return frozenset(words for text in texts if (words := words_of(text)))
