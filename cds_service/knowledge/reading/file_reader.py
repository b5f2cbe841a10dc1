# SPDX-License-Identifier: Apache-2.0
"""Reads the files of a pack one by one, or takes from a cache what was read of them.

What each file holds is plain data with its form checked; the phrases in it are read against a
vocabulary, which is made of all files first.
"""

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from functools import lru_cache, partial
from typing import Any, TypeVar, cast

from pydantic import BaseModel

from cds_service.knowledge.reading.folder import PackFiles
from cds_service.knowledge.reading.markers import (
    read_units,
    read_words,
)
from cds_service.knowledge.reading.phrases import Phrases
from cds_service.knowledge.reading.schemas import (
    FactShape,
    MarkerShape,
    MeasureShape,
    OrderShape,
    PatternShape,
    RuleShape,
)
from cds_service.knowledge.reading.vocabulary import MarkerWords, Vocabulary
from cds_service.sourcefile.diagnostics import Problem
from cds_service.sourcefile.document import Document
from cds_service.sourcefile.schema import read_shape

_NAME = re.compile(r"[a-z][a-z0-9-]*")
NO_WORDS = Vocabulary(markers={}, measures=frozenset(), facts=frozenset(), orders=frozenset())
ModelT = TypeVar("ModelT", bound=BaseModel)
ShapeT = TypeVar(
    "ShapeT",
    bound=RuleShape | MarkerShape | MeasureShape | FactShape | PatternShape | OrderShape,
)
ReadT = TypeVar("ReadT")


@dataclass(slots=True)
class PackCache:
    """What was read of unchanged documents, for building again with one of them changed."""

    files: PackFiles
    vocabulary: Vocabulary | None = None
    read: dict[tuple[str, str], tuple[Any, list[Problem]]] = field(default_factory=dict)

    def holds(self, path: str, document: Document) -> bool:
        """Whether the document is still the one that this cache was made for."""
        return self.files.documents.get(path) is document


@dataclass(frozen=True, slots=True, kw_only=True)
class Shapes:
    """What the files of each folder hold, by path; the phrases in them are not read yet."""

    markers: Mapping[str, MarkerShape]
    measures: Mapping[str, MeasureShape]
    facts: Mapping[str, FactShape]
    patterns: Mapping[str, PatternShape]
    orders: Mapping[str, OrderShape]
    rules: Mapping[str, RuleShape]


@dataclass(frozen=True, slots=True)
class FileReader:
    """Reads the files of a pack one by one, or takes from the cache what was read of them."""

    files: PackFiles
    cache: PackCache | None
    problems: list[Problem] = field(default_factory=list)
    _other_words: dict[int, frozenset[str] | None] = field(default_factory=dict)

    def units(self) -> dict[str, str]:
        """Every spelling of a unit with the unit that it stands for."""
        reader = self.phrases("units.yaml", NO_WORDS)
        units = read_units(reader.document, reader)
        self.problems.extend(reader.problems)
        return units

    def shapes(self) -> Shapes:
        """Every file of the folders that has the form of its kind."""
        return Shapes(
            markers=dict(self._shapes("markers", MarkerShape)),
            measures=dict(self._shapes("measures", MeasureShape)),
            facts=dict(self._shapes("facts", FactShape)),
            patterns=dict(self._shapes("patterns", PatternShape)),
            orders=dict(self._shapes("orders", OrderShape)),
            rules=dict(self._shapes("rules", RuleShape)),
        )

    def vocabulary(self, shapes: Shapes, units: Mapping[str, str]) -> Vocabulary:
        """The names that phrases may use."""
        bare = Vocabulary(
            markers=dict(self._words(shapes.markers, units)),
            measures=self.ids("measures", shapes.measures),
            facts=self.ids("facts", shapes.facts),
            orders=self.ids("orders", shapes.orders),
        )
        if (known := self._known_vocabulary(bare)) is not None:
            return known
        vocabulary = self._with_patterns(bare, shapes.patterns)
        if self.cache is not None and self.cache.vocabulary is None:
            self.cache.vocabulary = vocabulary
        return vocabulary

    def _known_vocabulary(self, bare: Vocabulary) -> Vocabulary | None:
        """The vocabulary of the cache, if nothing changed that it is made of."""
        cache, documents = self.cache, self.files.documents
        known = None if cache is None else cache.vocabulary
        if cache is None or known is None or replace(known, patterns={}) != bare:
            return None
        same = all(cache.holds(path, documents[path]) for path, _ in self.files.of("patterns"))
        return known if same else None

    def _with_patterns(self, words: Vocabulary, shapes: Mapping[str, PatternShape]) -> Vocabulary:
        """The names with the patterns, each after those that it is made of.

        One that cannot be read is left out; its problems are noted when the file itself is read.
        """
        waiting = dict(shapes)
        while True:
            read = {
                path: when
                for path, shape in waiting.items()
                if (when := self.phrases(path, words).condition(shape.when, ("when",))) is not None
            }
            if not read:
                return words
            conditions = {waiting.pop(path).id: when for path, when in read.items()}
            words = replace(words, patterns={**words.patterns, **conditions})

    def ids(self, folder: str, shapes: Mapping[str, ShapeT]) -> frozenset[str]:
        """The ids of a folder; a file that cannot be read is still there to be spoken of."""
        stems = (path.split("/")[1].removesuffix(".yaml") for path, _ in self.files.of(folder))
        return frozenset((*stems, *(shape.id for shape in shapes.values())))

    def shape(self, kind: type[ModelT], document: Document) -> ModelT | None:
        """The document as a shape; `None` after its problems were noted."""
        if any(
            problem.code == "K101" and problem.mark.file == document.file
            for problem in self.files.problems
        ):
            return None  # it is no YAML, and that was noted
        shape, problems = read_shape(kind, document.data, document)
        self.problems.extend(problems)
        return shape

    def phrases(self, path: str, words: Vocabulary) -> Phrases:
        """A reader of the phrases of a file."""
        return Phrases(self.files.documents[path], words)

    def once(
        self, path: str, step: str, make: Callable[[], ReadT], words: Vocabulary = NO_WORDS
    ) -> ReadT:
        """What `make` reads, from the cache if nothing changed that the step reads."""
        cache = self.cache
        if cache is None or not self._unchanged(path, step, cache, words):
            return make()
        if (path, step) not in cache.read:
            before = len(self.problems)
            made = make()
            cache.read[path, step] = (made, self.problems[before:])
            return made
        value, problems = cache.read[path, step]
        self.problems.extend(problems)
        return cast("ReadT", value)

    def _shapes(self, folder: str, kind: type[ModelT]) -> Iterator[tuple[str, ModelT]]:
        for path, document in self.files.of(folder):
            shape = self.once(path, "shape", partial(self.shape, kind, document))
            if shape is None:
                continue
            stem = path.removeprefix(f"{folder}/").removesuffix(".yaml")
            if getattr(shape, "id", stem) != stem:
                message = f"the file is named '{stem}'; its id is another"
                mark = document.mark(("id",))
                self.problems.append(Problem("K107", mark, message, "make the two agree"))
            yield path, shape

    def _words(
        self, shapes: Mapping[str, MarkerShape], units: Mapping[str, str]
    ) -> Iterator[tuple[str, MarkerWords]]:
        for path, shape in shapes.items():
            # problems of units are noted when the marker itself is read
            read = partial(read_words, shape, self.phrases(path, NO_WORDS), units)
            yield shape.id, self.once(path, "words", read)

    def _unchanged(self, path: str, step: str, cache: PackCache, words: Vocabulary) -> bool:
        """Whether the file is the same, and what the step needs besides: units, or all words."""
        documents = self.files.documents
        if not cache.holds(path, documents[path]):
            return False
        if step == "words":
            return cache.holds("units.yaml", documents["units.yaml"])
        if step == "shape":
            return True
        other = self._other_patterns(cache, words)
        return other is not None and other.isdisjoint(_words_in(documents[path]))

    def _other_patterns(self, cache: PackCache, words: Vocabulary) -> frozenset[str] | None:
        """The patterns that stand for something else than in the cache; `None` if more differs."""
        known, key = cache.vocabulary, id(words)
        if known is words:
            return frozenset()
        if key not in self._other_words:
            self._other_words[key] = None
            if known is not None and replace(known, patterns={}) == replace(words, patterns={}):
                names = {*known.patterns, *words.patterns}
                self._other_words[key] = frozenset(
                    name for name in names if known.patterns.get(name) != words.patterns.get(name)
                )
        return self._other_words[key]


@lru_cache(maxsize=1024)
def _words_in_lines(lines: tuple[str, ...]) -> frozenset[str]:
    return frozenset(word for line in lines for word in _NAME.findall(line))


def _words_in(document: Document) -> frozenset[str]:
    """Every word of the file that can be the name of a pattern."""
    return _words_in_lines(document.lines)
