# SPDX-License-Identifier: Apache-2.0
"""`spellings.yaml`: how laboratories write units and names of tests, for every pack.

It lies in the folder of a pack, or in the folder of all packs; where neither has one, the one that
came with the service counts.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from fractions import Fraction
from functools import cache
from pathlib import Path

from pydantic import Field

from cds_service.knowledge.model.specimen_names import SpecimenNames, is_phrase
from cds_service.knowledge.model.units import NO_PIECES, Size, UnitPieces
from cds_service.knowledge.reading.schemas import (
    Shape,
    Text,
)
from cds_service.settings import Settings, cards_folder
from cds_service.sourcefile.diagnostics import Problem
from cds_service.sourcefile.document import Document, Where, parse, read_text
from cds_service.sourcefile.schema import read_shape

SPELLINGS_FILE = "spellings.yaml"
_DIMENSION = "dimension "
_PLURAL_FROM = 4  # letters: `units`, but not `ks`


class UnitsShape(Shape):
    """The pieces of units."""

    atoms: dict[str, Text]
    takes_prefixes: list[Text]
    prefixes: dict[str, Text]
    also_written: dict[str, list[Text]] = Field(default_factory=dict)
    prefixes_also_written: dict[str, list[Text]] = Field(default_factory=dict)
    in_words: dict[str, list[Text]] = Field(default_factory=dict)
    prefixes_in_words: dict[str, Text] = Field(default_factory=dict)
    counts: dict[str, list[Text]] = Field(default_factory=dict)
    in_capitals: dict[str, Text] = Field(default_factory=dict)


class SpecimensShape(Shape):
    """Words and codes of what results are measured in."""

    others: list[Text]
    organs: list[Text] = Field(default_factory=list)
    neither: list[Text] = Field(default_factory=list)
    blood: list[Text]
    about_blood: list[Text] = Field(default_factory=list)
    parts: list[Text] = Field(default_factory=list)
    tables: list[Text] = Field(default_factory=list)
    blood_codes: list[Text] = Field(default_factory=list)
    other_codes: list[Text] = Field(default_factory=list)
    open_codes: list[Text] = Field(default_factory=list)
    blood_letters: list[Text] = Field(default_factory=list)


class SpellingsShape(Shape):
    """`spellings.yaml`."""

    units: UnitsShape
    beside_names: dict[str, list[Text]] = Field(default_factory=dict)
    specimens: SpecimensShape | None = None


@dataclass(frozen=True, slots=True)
class Spellings:
    """The pieces of units, lists of words that may stand beside the name of a test, specimens."""

    units: UnitPieces = NO_PIECES
    beside_names: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    specimens: SpecimenNames = SpecimenNames()  # noqa: RUF009 - it is frozen


def spellings_for(folder: Path, shown: str) -> tuple[Spellings, list[Problem]]:
    """The spellings that count for the pack in a folder, and the problems of their file.

    `shown` is the path of the folder as the user gave it.
    """
    around = "/".join(shown.split("/")[:-1])
    for place, prefix in ((folder, shown), (folder.parent, around)):
        path = place / SPELLINGS_FILE
        if path.is_file():
            return _read(path, f"{prefix}/{SPELLINGS_FILE}".lstrip("/"))
    return shipped_spellings(), []


@cache
def shipped_spellings() -> Spellings:
    """The spellings that came with the service; a test reads the file without a problem."""
    spellings, _ = _read(cards_folder(Settings()) / SPELLINGS_FILE, SPELLINGS_FILE)
    return spellings


def _read(path: Path, shown: str) -> tuple[Spellings, list[Problem]]:
    text = read_text(path, shown)
    if isinstance(text, Problem):
        return Spellings(), [text]
    document, problems = parse(text, shown)
    if problems:
        return Spellings(), problems
    shape, problems = read_shape(SpellingsShape, document.data, document)
    if shape is None:
        return Spellings(), problems
    reader = _PiecesReader(shape.units, document)
    beside = {name: tuple(words) for name, words in shape.beside_names.items()}
    specimens = SpecimenNames()
    if shape.specimens is not None:
        specimens = _specimens(shape.specimens)
        reader.problems.extend(_bad_phrases(shape.specimens, document))
    return Spellings(reader.pieces(), beside, specimens), reader.problems


def _specimens(shape: SpecimensShape) -> SpecimenNames:
    return SpecimenNames(
        others=frozenset(shape.others),
        organs=frozenset(shape.organs),
        neither=frozenset(shape.neither),
        blood=frozenset(shape.blood),
        about_blood=frozenset(shape.about_blood),
        parts=frozenset(shape.parts),
        tables=frozenset(shape.tables),
        codes=frozenset(shape.blood_codes),
        other_codes=frozenset(shape.other_codes),
        open_codes=frozenset(shape.open_codes),
        letters=frozenset(shape.blood_letters),
    )


def _bad_phrases(shape: SpecimensShape, document: Document) -> Iterator[Problem]:
    for key in ("others", "organs", "neither", "blood", "about_blood", "parts"):
        for n, text in enumerate(getattr(shape, key)):
            if not is_phrase(text):
                at = document.mark(("specimens", key, n))
                yield Problem("K204", at, f"'{text}' is not words")


class _PiecesReader:
    """Makes the table of all pieces, of which each has one meaning."""

    def __init__(self, shape: UnitsShape, document: Document) -> None:
        self.shape = shape
        self.document = document
        self.problems: list[Problem] = []
        self._exact: dict[str, Size] = {}
        self._any_case: dict[str, Size] = {}
        self._prefixes = {
            name: Fraction(text)
            for name, text in shape.prefixes.items()
            if self._is_number(text, ("units", "prefixes", name))
        }

    def pieces(self) -> UnitPieces:
        """Every piece with its size."""
        for name, text in self.shape.atoms.items():
            where: Where = ("units", "atoms", name)
            size = self._defined(text, where)
            if size is not None:
                self._add(self._exact, self._prefixed(name, name, size), where)
        for name, written in self.shape.also_written.items():
            self._also(self._exact, name, written, ("units", "also written", name))
        for name, written in self.shape.in_words.items():
            self._also(self._any_case, name, written, ("units", "in words", name))
        for number, written in self.shape.counts.items():
            where = ("units", "counts", number)
            if self._is_number(number, where):
                size = Size(Fraction(number), ())
                words = (word for text in written for word in _numbers(text))
                self._add(self._any_case, ((word, size) for word in words), where)
        return UnitPieces(self._exact, self._any_case, {**self._exact, **self._capitals()})

    def _defined(self, text: str, where: Where) -> Size | None:
        """The size of an atom: a dimension of its own, or a number of a unit that came before."""
        if text.startswith(_DIMENSION):
            return Size(Fraction(1), ((text.removeprefix(_DIMENSION), 1),))
        number, _, unit = text.partition(" ")
        size = self._sized(unit, where)
        if size is None or not self._is_number(number, where):
            return None
        return Size(Fraction(number) * size.amount, size.dimension)

    def _also(self, table: dict[str, Size], name: str, written: list[str], where: Where) -> None:
        size = self._sized(name, where)
        for n, text in enumerate(written):
            if size is not None and table is self._exact:
                self._add(table, self._prefixed(name, text, size), (*where, n))
            elif size is not None:
                self._add(table, self._in_words(name, text, size), (*where, n))

    def _prefixed(self, name: str, text: str, size: Size) -> Iterator[tuple[str, Size]]:
        yield text, size
        if name in self.shape.takes_prefixes:
            for prefix, factor in self._prefixes.items():
                for before in (prefix, *self.shape.prefixes_also_written.get(prefix, ())):
                    yield before + text, Size(factor * size.amount, size.dimension)

    def _in_words(self, name: str, text: str, size: Size) -> Iterator[tuple[str, Size]]:
        for word in _numbers(text):
            yield word, size
            if name in self.shape.takes_prefixes:
                for prefix, before in self.shape.prefixes_in_words.items():
                    if prefix in self._prefixes:
                        amount = self._prefixes[prefix] * size.amount
                        yield before.lower() + word, Size(amount, size.dimension)

    def _capitals(self) -> Mapping[str, Size]:
        capitals: dict[str, Size] = {}
        for text, unit in self.shape.in_capitals.items():
            where: Where = ("units", "in capitals", text)
            size = self._sized(unit, where)
            if size is not None:
                self._add(capitals, [(text, size)], where)
        return capitals

    def _sized(self, unit: str, where: Where) -> Size | None:
        size = UnitPieces(dict(self._exact), {}, {}).size_of(unit)
        if size is None:
            self._problem("K301", where, f"'{unit}' is no unit that stands above")
        return size

    def _add(
        self, table: dict[str, Size], pieces: "Iterator[tuple[str, Size]] | list[tuple[str, Size]]",
        where: Where,
    ) -> None:  # fmt: skip
        for piece, size in pieces:
            if table.setdefault(piece, size) != size:
                self._problem("K302", where, f"'{piece}' already stands for another unit")

    def _is_number(self, text: str, where: Where) -> bool:
        if text.replace(".", "", 1).isdecimal() and Fraction(text) > 0:
            return True
        self._problem("K204", where, f"'{text}' is not a positive number")
        return False

    def _problem(self, code: str, where: Where, message: str) -> None:
        self.problems.append(Problem(code, self.document.mark(where), message))


def _numbers(text: str) -> tuple[str, ...]:
    """A word in small letters without blanks, in singular and plural."""
    word = "".join(text.lower().split())
    return (word, f"{word}s") if len(word) >= _PLURAL_FROM and word.isalpha() else (word,)
