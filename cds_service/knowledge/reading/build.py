# SPDX-License-Identifier: Apache-2.0
"""A folder of knowledge files -> a pack, or all of its problems at once.

`read_files` (in `folder`) reads the folder once; `link_pack` makes the pack of what was read and
`build_pack` checks it besides. They are steps, so that the nudger can change one value in memory
and build again.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Protocol, TypeVar

from cds_service.errors import KnowledgeError
from cds_service.knowledge.checking import consistency
from cds_service.knowledge.checking.shared_ids import check_shared_ids
from cds_service.knowledge.checking.signature import with_signature_checked
from cds_service.knowledge.model.messages import Titles
from cds_service.knowledge.model.pack import CardText, Pack
from cds_service.knowledge.model.remarks import Remarks
from cds_service.knowledge.reading.explainers import by_language
from cds_service.knowledge.reading.facts import read_fact
from cds_service.knowledge.reading.file_reader import (
    FileReader,
    PackCache,
    Shapes,
    ShapeT,
)
from cds_service.knowledge.reading.folder import SINGLE, PackFiles, pack_folders, read_files
from cds_service.knowledge.reading.markers import (
    all_units,
    marker_codes,
    read_marker,
)
from cds_service.knowledge.reading.name_index import name_index
from cds_service.knowledge.reading.orders_measures_patterns import (
    read_measure,
    read_order,
    read_pattern,
)
from cds_service.knowledge.reading.pack_file import PackHead, read_pack_head, read_sources
from cds_service.knowledge.reading.pack_shapes import (
    PackShape,
    RemarksShape,
)
from cds_service.knowledge.reading.phrases import Phrases
from cds_service.knowledge.reading.remarks import REMARKS_FILE, read_remarks
from cds_service.knowledge.reading.rules import read_evidence, read_rule
from cds_service.knowledge.reading.schemas import (
    FactShape,
    MarkerShape,
    MeasureShape,
    OrderShape,
    PatternShape,
)
from cds_service.knowledge.reading.titles import check_titles, read_titles
from cds_service.knowledge.reading.vocabulary import Vocabulary
from cds_service.sourcefile.diagnostics import Mark, Problem


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
        pack, its_problems = build_pack(files)
        problems.extend(its_problems)
        if pack is not None:
            library.append((pack, files))
    if not library and not problems:
        place = Mark(shown or str(cards), 1, 1)
        problems.append(Problem("K108", place, "holds no pack", "a pack has a pack.yaml"))
    problems.extend(check_shared_ids(library))
    if problems:
        raise KnowledgeError(tuple(problems))
    return tuple(library)


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
    reader = FileReader(files, cache)
    units = reader.units()
    shapes = reader.shapes()
    vocabulary = reader.vocabulary(shapes, units)
    pack = _Linker(reader, units, shapes, vocabulary).pack()
    return pack, [*files.problems, *reader.problems]


@dataclass(frozen=True, slots=True)
class _Linker:
    """Makes a pack of the shapes: reads every phrase against one vocabulary."""

    reader: FileReader
    units: Mapping[str, str]
    shapes: Shapes
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
            names=name_index(markers, spellings.specimens),
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
