# SPDX-License-Identifier: Apache-2.0
"""A folder of knowledge files -> a pack, or all of its problems at once.

`read_files` (in `folders`) reads the folder once; `link_pack` makes the pack of what was read and
`build_pack` checks it besides. They are steps, so that the nudger can change one value in memory
and build again.
"""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Any, Protocol, TypeVar, cast

from pydantic import BaseModel

from cds_service.errors import KnowledgeError
from cds_service.knowledge.checking import consistency
from cds_service.knowledge.checking.shared_ids import check_shared_ids
from cds_service.knowledge.checking.signature import with_signature_checked
from cds_service.knowledge.model.messages import Titles
from cds_service.knowledge.model.pack import CardText, Pack
from cds_service.knowledge.model.remarks import Remarks
from cds_service.knowledge.reading.explainers import by_language
from cds_service.knowledge.reading.facts import read_fact
from cds_service.knowledge.reading.facts_orders_measures import (
    read_measure,
    read_order,
    read_pattern,
)
from cds_service.knowledge.reading.folder import SINGLE, PackFiles, pack_folders, read_files
from cds_service.knowledge.reading.markers import (
    all_units,
    marker_codes,
    name_index,
    read_marker,
    read_units,
    read_words,
)
from cds_service.knowledge.reading.pack_file import PackHead, read_pack_head, read_sources
from cds_service.knowledge.reading.phrases import Phrases
from cds_service.knowledge.reading.remarks import REMARKS_FILE, read_remarks
from cds_service.knowledge.reading.rules import read_evidence, read_rule
from cds_service.knowledge.reading.schemas import (
    FactShape,
    MarkerShape,
    MeasureShape,
    OrderShape,
    PackShape,
    PatternShape,
    RemarksShape,
    RuleShape,
)
from cds_service.knowledge.reading.titles import check_titles, read_titles
from cds_service.knowledge.reading.vocabulary import MarkerWords, Vocabulary
from cds_service.sourcefile.diagnostics import Mark, Problem
from cds_service.sourcefile.document import Document
from cds_service.sourcefile.schema import read_shape

_NO_WORDS = Vocabulary(markers={}, measures=frozenset(), facts=frozenset(), orders=frozenset())
ModelT = TypeVar("ModelT", bound=BaseModel)
ShapeT = TypeVar(
    "ShapeT",
    bound=RuleShape | MarkerShape | MeasureShape | FactShape | PatternShape | OrderShape,
)
ReadT = TypeVar("ReadT")


class HasId(Protocol):
    """Anything of a pack that has an id."""

    @property
    def id(self) -> str:
        """The name by which other files speak of it."""


NamedT = TypeVar("NamedT", bound=HasId)


def load_pack(folder: Path, shown: str | None = None) -> Pack:
    """The pack in `folder`; raises `KnowledgeError` with every problem of every file."""
    pack, problems = build_pack(read_files(folder, shown or str(folder)))
    if pack is None or problems:
        raise KnowledgeError(tuple(problems))
    return pack


def load_packs(cards: Path, shown: str | None = None) -> tuple[Pack, ...]:
    """Every pack below `cards`, one folder each; raises `KnowledgeError` with all problems."""
    return tuple(pack for pack, _ in load_library(cards, shown))


def load_library(cards: Path, shown: str | None = None) -> tuple[tuple[Pack, PackFiles], ...]:
    """Every pack with the files it was made of; raises `KnowledgeError` with all problems."""
    library: list[tuple[Pack, PackFiles]] = []
    problems: list[Problem] = []
    for folder in pack_folders(cards):
        where = f"{shown or cards}/{folder.name}" if folder != cards else (shown or str(cards))
        files = read_files(folder, where)
        pack, found = build_pack(files)
        problems.extend(found)
        if pack is not None:
            library.append((pack, files))
    if not library and not problems:
        place = Mark(shown or str(cards), 1, 1)
        problems.append(Problem("K108", place, "holds no pack", "a pack has a pack.yaml"))
    problems.extend(check_shared_ids(library))
    if problems:
        raise KnowledgeError(tuple(problems))
    return tuple(library)


@dataclass(slots=True)
class PackCache:
    """What was read of unchanged documents, for building again with one of them changed."""

    files: PackFiles
    vocabulary: Vocabulary | None = None
    read: dict[tuple[str, str], tuple[Any, list[Problem]]] = field(default_factory=dict)

    def holds(self, path: str, document: Document) -> bool:
        """Whether the document is still the one that this cache was made for."""
        return self.files.documents.get(path) is document


def build_pack(
    files: PackFiles, cache: PackCache | None = None
) -> tuple[Pack | None, list[Problem]]:
    """The pack of these files with every problem found; no pack if one could not be made."""
    pack, problems = link_pack(files, cache)
    if pack is not None and not problems:
        problems = [
            *consistency.check_pack(pack, files.documents),
            *check_titles(pack, files.titles),
        ]
    return (pack if pack is None else with_signature_checked(pack)), problems


def link_pack(
    files: PackFiles, cache: PackCache | None = None
) -> tuple[Pack | None, list[Problem]]:
    """The same without the checks between files, which take the longest."""
    if any(name not in files.documents for name in SINGLE):
        return None, list(files.problems)
    reader = _FileReader(files, cache)
    units = reader.units()
    shapes = reader.shapes()
    vocabulary = reader.vocabulary(shapes, units)
    pack = _Linker(reader, units, shapes, vocabulary).pack()
    return pack, [*files.problems, *reader.problems]


@dataclass(frozen=True, slots=True, kw_only=True)
class _Shapes:
    """What the files of each folder hold, by path; the phrases in them are not read yet."""

    markers: Mapping[str, MarkerShape]
    measures: Mapping[str, MeasureShape]
    facts: Mapping[str, FactShape]
    patterns: Mapping[str, PatternShape]
    orders: Mapping[str, OrderShape]
    rules: Mapping[str, RuleShape]


@dataclass(frozen=True, slots=True)
class _FileReader:
    """Reads the files of a pack one by one, or takes from the cache what was read of them."""

    files: PackFiles
    cache: PackCache | None
    problems: list[Problem] = field(default_factory=list)

    def units(self) -> dict[str, str]:
        """Every spelling of a unit with the unit that it stands for."""
        reader = self.phrases("units.yaml", _NO_WORDS)
        units = read_units(reader.document, reader)
        self.problems.extend(reader.problems)
        return units

    def shapes(self) -> _Shapes:
        """Every file of the folders that has the form of its kind."""
        return _Shapes(
            markers=dict(self._shapes("markers", MarkerShape)),
            measures=dict(self._shapes("measures", MeasureShape)),
            facts=dict(self._shapes("facts", FactShape)),
            patterns=dict(self._shapes("patterns", PatternShape)),
            orders=dict(self._shapes("orders", OrderShape)),
            rules=dict(self._shapes("rules", RuleShape)),
        )

    def vocabulary(self, shapes: _Shapes, units: Mapping[str, str]) -> Vocabulary:
        """The names that phrases may use."""
        vocabulary = self._with_patterns(
            Vocabulary(
                markers=dict(self._words(shapes.markers, units)),
                measures=self.ids("measures", shapes.measures),
                facts=self.ids("facts", shapes.facts),
                orders=self.ids("orders", shapes.orders),
            ),
            shapes.patterns,
        )
        if self.cache is not None and self.cache.vocabulary is None:
            self.cache.vocabulary = vocabulary
        return vocabulary

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
            found = {waiting.pop(path).id: when for path, when in read.items()}
            words = replace(words, patterns={**words.patterns, **found})

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
        self, path: str, step: str, make: Callable[[], ReadT], words: Vocabulary = _NO_WORDS
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
            read = partial(read_words, shape, self.phrases(path, _NO_WORDS), units)
            yield shape.id, self.once(path, "words", read)

    def _unchanged(self, path: str, step: str, cache: PackCache, words: Vocabulary) -> bool:
        """Whether the file is the same, and what the step needs besides: units, or all words."""
        documents = self.files.documents
        if not cache.holds(path, documents[path]):
            return False
        if step == "words":
            return cache.holds("units.yaml", documents["units.yaml"])
        return step == "shape" or cache.vocabulary == words


@dataclass(frozen=True, slots=True)
class _Linker:
    """Makes a pack of the shapes: reads every phrase against one vocabulary."""

    reader: _FileReader
    units: Mapping[str, str]
    shapes: _Shapes
    words: Vocabulary

    def pack(self) -> Pack | None:
        """The pack, or `None` if `pack.yaml` could not be read; problems are the reader's."""
        reader, shapes = self.reader, self.shapes
        source_reader = reader.phrases("sources.yaml", self.words)
        sources = read_sources(source_reader.document, source_reader)
        reader.problems.extend(source_reader.problems)
        cited = tuple(map(str, source_reader.document.data))  # even an entry with a problem
        spellings = reader.files.spellings
        markers = self._read(shapes.markers, lambda s, r: read_marker(s, r, self.units, spellings))
        measures = self._read(shapes.measures, read_measure)
        facts = self._read(shapes.facts, read_fact)
        patterns = self._read(shapes.patterns, read_pattern)
        orders = self._read(shapes.orders, read_order)
        rules = self._read(
            shapes.rules,
            lambda s, r: read_rule(s, r, self._texts(f"rules/{s.id}.yaml"), cited),
        )
        self._check_texts_have_rules()
        shape = reader.shape(PackShape, reader.files.documents["pack.yaml"])
        if shape is None:
            return None
        self._check_evidence(cited, shape)
        head = self._head(shape)
        return Pack(
            id=shape.id,
            version=shape.version,
            title=shape.title,
            publisher=shape.publisher,
            url=shape.url,
            usage=shape.usage,
            signature=head.signature,
            history=head.history,
            notices=tuple(shape.notices),
            services=head.services,
            scope=head.scope,
            override_reasons=head.override_reasons,
            precedence=head.precedence,
            cards=head.cards,
            examples=head.examples,
            order_groups=shape.order_groups,
            units=all_units(self.units, markers),
            unit_pieces=spellings.units,
            markers=markers,
            measures=measures,
            facts=facts,
            orders=orders,
            rules=rules,
            patterns=patterns,
            remarks=self._remarks(cited),
            sources=sources,
            marker_codes=marker_codes(markers),
            names=name_index(markers),
            explainers=by_language(reader.files.explainers),
            messages=reader.files.messages,
            titles=self._titles(),
        )

    def _head(self, shape: PackShape) -> PackHead:
        phrases = self.reader.phrases("pack.yaml", self.words)
        head = read_pack_head(shape, phrases, self.reader.ids("rules", self.shapes.rules))
        self.reader.problems.extend(phrases.problems)
        return head

    def _remarks(self, cited: tuple[str, ...]) -> Remarks:
        document = self.reader.files.documents.get(REMARKS_FILE)
        shape = None if document is None else self.reader.shape(RemarksShape, document)
        if shape is None:
            return Remarks()
        phrases = self.reader.phrases(REMARKS_FILE, self.words)
        remarks = read_remarks(shape, phrases, self.reader.ids("rules", self.shapes.rules))
        read_evidence(shape.evidence, phrases, cited)
        self.reader.problems.extend(phrases.problems)
        return remarks

    def _read(
        self, shapes: Mapping[str, ShapeT], read: Callable[[ShapeT, Phrases], NamedT | None]
    ) -> dict[str, NamedT]:
        """Each shape of a folder read against the vocabulary, by id."""
        result: dict[str, NamedT] = {}
        for path, shape in shapes.items():
            made = self.reader.once(
                path, "read", partial(self._read_one, path, shape, read), self.words
            )
            if made is not None:
                result[made.id] = made
        return result

    def _read_one(
        self, path: str, shape: ShapeT, read: Callable[[ShapeT, Phrases], NamedT | None]
    ) -> NamedT | None:
        phrases = self.reader.phrases(path, self.words)
        made = read(shape, phrases)
        self.reader.problems.extend(phrases.problems)
        return made

    def _check_texts_have_rules(self) -> None:
        stems = {path.removesuffix(".yaml") for path in self.reader.files.documents}
        for name, text in self.reader.files.texts.items():
            if name.split(".")[0] not in stems:
                mark = Mark(text.file, 1, 1, text.lines[0])
                self.reader.problems.append(Problem("K305", mark, "belongs to no rule"))

    def _titles(self) -> dict[str, Titles]:
        titles: dict[str, Titles] = {}
        for language, document in self.reader.files.titles.items():
            titles[language], problems = read_titles(document)
            self.reader.problems.extend(problems)
        return titles

    def _texts(self, path: str) -> dict[str, CardText]:
        stem = path.removesuffix(".yaml")
        return {
            text.language: text
            for name, text in self.reader.files.texts.items()
            if name.split(".")[0] == stem
        }

    def _check_evidence(self, sources: tuple[str, ...], pack: PackShape) -> None:
        """Evidence of the files that are not rules must name real sources too."""
        shapes: list[
            tuple[
                str,
                MarkerShape | MeasureShape | FactShape | PatternShape | OrderShape | PackShape,
            ]
        ]
        shapes = [
            *self.shapes.markers.items(),
            *self.shapes.measures.items(),
            *self.shapes.facts.items(),
            *self.shapes.patterns.items(),
            *self.shapes.orders.items(),
            ("pack.yaml", pack),
        ]
        for path, shape in shapes:
            phrases = self.reader.phrases(path, self.words)
            read_evidence(shape.evidence, phrases, sources)
            self.reader.problems.extend(phrases.problems)
