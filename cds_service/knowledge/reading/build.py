# SPDX-License-Identifier: Apache-2.0
"""A folder of knowledge files -> a pack, or all of its problems at once.

`read_files` (in `folders`) reads the folder once; `link_pack` makes the pack of what was read and
`build_pack` checks it besides. They are steps, so that the nudger can change one value in memory
and build again.
"""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any, Protocol, TypeVar, cast

from pydantic import BaseModel

from cds_service.errors import KnowledgeError
from cds_service.knowledge.checking import consistency
from cds_service.knowledge.model.pack import CardText, Pack
from cds_service.knowledge.reading.explainers import by_language
from cds_service.knowledge.reading.facts_orders_measures import read_fact, read_measure, read_order
from cds_service.knowledge.reading.folder import SINGLE, PackFiles, pack_folders, read_files
from cds_service.knowledge.reading.markers import (
    all_units,
    marker_codes,
    read_marker,
    read_units,
    read_words,
)
from cds_service.knowledge.reading.pack_file import PackHead, read_pack_head, read_sources
from cds_service.knowledge.reading.phrases import Phrases
from cds_service.knowledge.reading.rules import read_evidence, read_rule
from cds_service.knowledge.reading.schemas import (
    FactShape,
    MarkerShape,
    MeasureShape,
    OrderShape,
    PackShape,
    RuleShape,
)
from cds_service.knowledge.reading.vocabulary import MarkerWords, Vocabulary
from cds_service.sourcefile.diagnostics import Mark, Problem
from cds_service.sourcefile.document import Document
from cds_service.sourcefile.schema import read_shape

NOBODY_YET = "nobody yet"  # `approved by:` of a pack that no clinician has approved
ModelT = TypeVar("ModelT", bound=BaseModel)
ShapeT = TypeVar("ShapeT", bound=RuleShape | MarkerShape | MeasureShape | FactShape | OrderShape)
ReadT = TypeVar("ReadT")


class Named(Protocol):
    """Anything of a pack that has an id."""

    @property
    def id(self) -> str:
        """The name by which other files speak of it."""


NamedT = TypeVar("NamedT", bound=Named)


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
    packs = [pack for pack, _ in library]
    problems.extend(consistency.services_of_several(packs, shown or str(cards)))
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
        problems = consistency.check_pack(pack, files.documents)
    return pack, problems


def link_pack(
    files: PackFiles, cache: PackCache | None = None
) -> tuple[Pack | None, list[Problem]]:
    """The same without the checks between files, which take the longest."""
    if any(name not in files.documents for name in SINGLE):
        return None, list(files.problems)
    builder = _Builder(files, cache)
    pack = builder.build()
    return pack, [*files.problems, *builder.problems]


class _Builder:
    """Reads every document against the same vocabulary and collects the problems."""

    def __init__(self, files: PackFiles, cache: PackCache | None) -> None:
        self.files = files
        self.cache = cache
        self.problems: list[Problem] = []
        self.unreadable = {one.mark.file for one in files.problems if one.code == "K101"}
        empty = Vocabulary(markers={}, measures=frozenset(), facts=frozenset(), orders=frozenset())
        unit_reader = Phrases(files.documents["units.yaml"], empty)
        self.units = read_units(files.documents["units.yaml"], unit_reader)
        self.problems.extend(unit_reader.problems)
        self.marker_shapes = dict(self._shapes("markers", MarkerShape))
        self.measure_shapes = dict(self._shapes("measures", MeasureShape))
        self.fact_shapes = dict(self._shapes("facts", FactShape))
        self.order_shapes = dict(self._shapes("orders", OrderShape))
        self.rule_shapes = dict(self._shapes("rules", RuleShape))
        self.vocabulary = Vocabulary(
            markers=dict(self._words(empty)),
            measures=self._ids("measures", self.measure_shapes),
            facts=self._ids("facts", self.fact_shapes),
            orders=self._ids("orders", self.order_shapes),
        )
        if cache is not None and cache.vocabulary is None:
            cache.vocabulary = self.vocabulary
        self.same_words = cache is not None and cache.vocabulary == self.vocabulary

    def build(self) -> Pack | None:
        source_reader = self._reader("sources.yaml")
        sources = read_sources(source_reader.document, source_reader)
        self.problems.extend(source_reader.problems)
        cited = tuple(map(str, source_reader.document.data))  # even an entry with a problem
        markers = self._read(self.marker_shapes, lambda s, r: read_marker(s, r, self.units))
        measures = self._read(self.measure_shapes, read_measure)
        facts = self._read(self.fact_shapes, read_fact)
        orders = self._read(self.order_shapes, read_order)
        rules = self._read(
            self.rule_shapes,
            lambda s, r: read_rule(s, r, self._texts(f"rules/{s.id}.yaml"), cited),
        )
        self._orphans()
        document = self.files.documents["pack.yaml"]
        shape = self._read_shape(PackShape, document)
        if shape is None:
            return None
        self._evidence(cited, shape)
        reader = self._reader("pack.yaml")
        every_rule = self._ids("rules", self.rule_shapes)
        head: PackHead = read_pack_head(shape, reader, every_rule)
        self.problems.extend(reader.problems)
        return Pack(
            id=shape.id,
            version=shape.version,
            title=shape.title,
            publisher=shape.publisher,
            url=shape.url,
            usage=shape.usage,
            approved_by=None if shape.approved_by == NOBODY_YET else shape.approved_by,
            history=head.history,
            notices=tuple(shape.notices),
            services=head.services,
            scope=head.scope,
            override_reasons=head.override_reasons,
            precedence=head.precedence,
            examples=head.examples,
            units=all_units(self.units, markers),
            markers=markers,
            measures=measures,
            facts=facts,
            orders=orders,
            rules=rules,
            sources=sources,
            marker_codes=marker_codes(markers),
            marker_names={
                name.casefold(): marker.id for marker in markers.values() for name in marker.names
            },
            explainers=by_language(self.files.explainers),
        )

    def _shapes(self, folder: str, kind: type[ModelT]) -> Iterator[tuple[str, ModelT]]:
        for path, document in self.files.of(folder):
            shape = self._once(path, "shape", partial(self._read_shape, kind, document))
            if shape is None:
                continue
            stem = path.removeprefix(f"{folder}/").removesuffix(".yaml")
            if getattr(shape, "id", stem) != stem:
                message = f"the file is named '{stem}'; its id is another"
                mark = document.mark(("id",))
                self.problems.append(Problem("K107", mark, message, "make the two agree"))
            yield path, shape

    def _ids(self, folder: str, shapes: Mapping[str, ShapeT]) -> frozenset[str]:
        """The ids of a folder; a file that cannot be read is still there to be spoken of."""
        stems = (path.split("/")[1].removesuffix(".yaml") for path, _ in self.files.of(folder))
        return frozenset((*stems, *(shape.id for shape in shapes.values())))

    def _once(self, path: str, step: str, make: Callable[[], ReadT]) -> ReadT:
        """What `make` reads, from the cache if nothing changed that the step reads."""
        cache = self.cache
        if cache is None or not self._unchanged(path, step, cache):
            return make()
        if (path, step) not in cache.read:
            before = len(self.problems)
            made = make()
            cache.read[path, step] = (made, self.problems[before:])
            return made
        value, problems = cache.read[path, step]
        self.problems.extend(problems)
        return cast("ReadT", value)

    def _unchanged(self, path: str, step: str, cache: PackCache) -> bool:
        """Whether the file is the same, and what the step needs besides: units, or all words."""
        documents = self.files.documents
        if not cache.holds(path, documents[path]):
            return False
        if step == "words":
            return cache.holds("units.yaml", documents["units.yaml"])
        return step == "shape" or self.same_words

    def _read_shape(self, kind: type[ModelT], document: Document) -> ModelT | None:
        if document.file in self.unreadable:
            return None
        shape, problems = read_shape(kind, document.data, document)
        self.problems.extend(problems)
        return shape

    def _reader(self, path: str) -> Phrases:
        return Phrases(self.files.documents[path], self.vocabulary)

    def _words(self, empty: Vocabulary) -> Iterator[tuple[str, MarkerWords]]:
        for path, shape in self.marker_shapes.items():
            # problems of units are noted when the marker itself is read
            reader = Phrases(self.files.documents[path], empty)
            yield (
                shape.id,
                self._once(path, "words", partial(read_words, shape, reader, self.units)),
            )

    def _read(
        self, shapes: Mapping[str, ShapeT], read: Callable[[ShapeT, Phrases], NamedT | None]
    ) -> dict[str, NamedT]:
        """Each shape of a folder read against the vocabulary, by id."""
        result: dict[str, NamedT] = {}
        for path, shape in shapes.items():
            made = self._once(path, "read", partial(self._read_one, path, shape, read))
            if made is not None:
                result[made.id] = made
        return result

    def _read_one(
        self, path: str, shape: ShapeT, read: Callable[[ShapeT, Phrases], NamedT | None]
    ) -> NamedT | None:
        reader = self._reader(path)
        made = read(shape, reader)
        self.problems.extend(reader.problems)
        return made

    def _orphans(self) -> None:
        stems = {path.removesuffix(".yaml") for path in self.files.documents}
        for name, text in self.files.texts.items():
            if name.split(".")[0] not in stems:
                mark = Mark(text.file, 1, 1, text.lines[0])
                self.problems.append(Problem("K305", mark, "belongs to no rule"))

    def _texts(self, path: str) -> dict[str, CardText]:
        stem = path.removesuffix(".yaml")
        return {
            text.language: text
            for name, text in self.files.texts.items()
            if name.split(".")[0] == stem
        }

    def _evidence(self, sources: tuple[str, ...], pack: PackShape) -> None:
        """Evidence of the files that are not rules must name real sources too."""
        shapes: list[tuple[str, MarkerShape | MeasureShape | FactShape | OrderShape | PackShape]]
        shapes = [
            *self.marker_shapes.items(),
            *self.measure_shapes.items(),
            *self.fact_shapes.items(),
            *self.order_shapes.items(),
            ("pack.yaml", pack),
        ]
        for path, shape in shapes:
            reader = self._reader(path)
            read_evidence(shape.evidence, reader, sources)
            self.problems.extend(reader.problems)
