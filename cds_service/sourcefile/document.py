# SPDX-License-Identifier: Apache-2.0
"""YAML read strictly: text -> plain data that knows its lines, or problems.

Every scalar stays text, so `no`, `12:30` and `1e3` never change meaning. Keys that stand twice,
anchors, aliases, merge keys and tags are refused. PyYAML's nodes carry the line and column; they
are looked up again when a place is asked for, which hardly any document is.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from typing import TypeAlias

import yaml

from cds_service.sourcefile.diagnostics import Mark, Problem
from cds_service.sourcefile.regular_file import read_regular_file

Data: TypeAlias = "str | list[Data] | dict[str, Data]"
Where: TypeAlias = tuple[str | int, ...]

LARGEST_FILE = 1_000_000  # bytes; a knowledge file is a page or two
_DEEPEST = 40
_MOST_OPENERS = 10_000  # lists and mappings of a file; the C parser would overflow on far more
_CONTROL = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\u2028\u2029\ufeff\ufffe\uffff]")
_OPENER = re.compile(r"[\[{]|[-?](?=\s)")


class _Loader(getattr(yaml, "CSafeLoader", yaml.SafeLoader)):  # type: ignore[misc]
    """The C parser where PyYAML has it. What the form of a scalar could mean is not asked."""

    def resolve(self, *_: object) -> str:
        return ""

    def descend_resolver(self, *_: object) -> None:
        pass

    def ascend_resolver(self) -> None:
        pass


@dataclass(frozen=True, slots=True)
class Span:
    """A piece of one line of a text; lines and columns from 0."""

    line: int
    column: int
    length: int


@dataclass(frozen=True, slots=True)
class Places:
    """The lines of a text, and where its values and keys stand by their path."""

    lines: tuple[str, ...]
    values: Mapping[Where, Span]
    keys: Mapping[Where, Span]


@dataclass(frozen=True, slots=True)
class Document:
    """A file as plain data, which knows the place of every key and value in it.

    `text` begins at `first_line` of the file. `elsewhere` holds the places of values that another
    file gives.
    """

    file: str
    data: Data
    text: str = ""
    first_line: int = 1
    elsewhere: Mapping[Where, Mark] = field(default_factory=dict)

    @property
    def lines(self) -> tuple[str, ...]:
        """The lines of the text."""
        return tuple(self.text.splitlines())

    def mark(self, where: Where) -> Mark:
        """The place of a value, or of the nearest thing around it that is there."""
        values = places_of(self.text).values
        while where and where not in values and where not in self.elsewhere:
            where = where[:-1]
        if where in self.elsewhere:
            return self.elsewhere[where]
        if where in values:
            return self._mark(values[where])
        return Mark(self.file, 1, 1, next(iter(self.lines), ""))

    def key_mark(self, where: Where) -> Mark:
        """The place of a key, or of its value."""
        keys = places_of(self.text).keys
        return self._mark(keys[where]) if where in keys else self.mark(where)

    def _mark(self, span: Span) -> Mark:
        return _mark(self.file, places_of(self.text).lines, self.first_line, span)


def read_text(path: Path, shown: str) -> str | Problem:
    """The text of a file, or the problem that kept it from being read."""
    try:
        raw = read_regular_file(path, LARGEST_FILE).content
    except OSError as error:
        return Problem("K108", Mark(shown, 1, 1), f"cannot be opened: {error.strerror}")
    if len(raw) > LARGEST_FILE:
        return Problem("K108", Mark(shown, 1, 1), "is larger than a knowledge file may be (1 MB)")
    try:
        return raw.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = raw[: error.start].count(b"\n") + 1
        return Problem("K108", Mark(shown, line, 1), "is not UTF-8 text", "save it as UTF-8")


def parse(text: str, shown: str, first_line: int = 1) -> tuple[Document, list[Problem]]:
    """The document written in `text` and the problems of its form.

    `first_line` is the line at which the text begins in its file (for front matter).
    """
    builder = _Builder(shown, tuple(text.splitlines()), first_line)
    node = _compose(text, builder)
    data: Data = builder.build(node, 0) if node is not None else {}
    if builder.aliased:
        builder.refuse_aliases(text)
    return Document(shown, data, text, first_line), builder.problems


@lru_cache(maxsize=256)  # the files of a pack: a check goes through them several times
def places_of(text: str) -> Places:
    """The places of all values and keys; none if it is no YAML. Of keys alike the first counts."""
    lines = tuple(text.splitlines())
    values: dict[Where, Span] = {}
    keys: dict[Where, Span] = {}
    seen: set[int] = set()

    def note(node: yaml.Node, where: Where) -> None:
        values[where] = _span(node)
        if id(node) in seen or len(where) > _DEEPEST:
            return
        seen.add(id(node))
        if isinstance(node, yaml.SequenceNode):
            for number, item in enumerate(node.value):
                note(item, (*where, number))
        elif isinstance(node, yaml.MappingNode):
            for key, value in node.value:
                inner = (*where, str(key.value))
                if isinstance(key, yaml.ScalarNode) and inner not in keys:
                    keys[inner] = _span(key)
                    note(value, inner)

    if (root := _compose(text, _Builder("", lines, 1))) is not None:
        note(root, ())
    return Places(lines, values, keys)


def _span(node: yaml.Node) -> Span:
    start, end = node.start_mark, node.end_mark
    length = end.column - start.column if end.line == start.line else 1
    return Span(start.line, start.column, max(length, 1))


def _mark(file: str, lines: tuple[str, ...], first_line: int, span: Span) -> Mark:
    text = lines[span.line] if span.line < len(lines) else ""
    return Mark(file, span.line + first_line, span.column + 1, text, span.length)


def _compose(text: str, builder: "_Builder") -> yaml.Node | None:
    """The nodes of the text, or `None` after a problem was noted (or if there is nothing)."""
    if control := _CONTROL.search(text):
        builder.not_text(text[: control.start()])
        return None
    if len(_OPENER.findall(text)) > _MOST_OPENERS:
        builder.problem("K101", None, f"holds more than {_MOST_OPENERS} lists and mappings")
        return None
    try:
        return yaml.compose(text, Loader=_Loader)
    except yaml.YAMLError as error:
        builder.not_yaml(error)
    except RecursionError:
        builder.problem("K101", None, "nests too deeply")
    return None


class _Builder:
    """Walks the nodes once and collects data and problems."""

    def __init__(self, file: str, lines: tuple[str, ...], first_line: int) -> None:
        self.file = file
        self.lines = lines
        self.first_line = first_line
        self.problems: list[Problem] = []
        self.aliased = False
        self._seen: set[int] = set()

    def build(self, node: yaml.Node, depth: int) -> Data:
        if id(node) in self._seen:
            self.aliased = True
            return ""
        self._seen.add(id(node))
        if depth > _DEEPEST:
            self.problem("K101", node, "nests too deeply")
            return ""
        self._refuse_tag_and_anchor(node)
        if isinstance(node, yaml.MappingNode):
            return self._mapping(node, depth + 1)
        if isinstance(node, yaml.SequenceNode):
            return [self.build(item, depth + 1) for item in node.value]
        return str(node.value)

    def _mapping(self, node: yaml.MappingNode, depth: int) -> dict[str, Data]:
        result: dict[str, Data] = {}
        for key_node, value_node in node.value:
            if not isinstance(key_node, yaml.ScalarNode):
                self.problem("K106", key_node, "a key must be plain text")
                continue
            if not self._is_own_key(key_node, node):
                continue
            key = str(key_node.value)
            if key == "<<":
                self.problem("K103", key_node, "a merge key (<<) hides what is written elsewhere")
                continue
            if key in result:
                remedy = "keep one of the two"
                self.problem("K102", key_node, f"'{key}' stands twice in this mapping", remedy)
                continue
            result[key] = self.build(value_node, depth)
        return result

    def _is_own_key(self, key_node: yaml.Node, node: yaml.Node) -> bool:
        if id(key_node) in self._seen:
            self.aliased = True
            return False
        self._seen.add(id(key_node))
        if key_node.start_mark.index != node.start_mark.index:  # else it is checked already
            self._refuse_tag_and_anchor(key_node)
        return True

    def refuse_aliases(self, text: str) -> None:
        """Note every alias; a node knows only the place of the anchor that it repeats."""
        for event in yaml.parse(text, Loader=_Loader):
            start, end = event.start_mark, event.end_mark
            if isinstance(event, yaml.AliasEvent) and start is not None and end is not None:
                mark = self._mark(Span(start.line, start.column, end.column - start.column))
                message = "an alias (*name) repeats another place"
                self.problems.append(Problem("K103", mark, message, "write it out"))

    def _refuse_tag_and_anchor(self, node: yaml.Node) -> None:
        start = node.start_mark
        line = self.lines[start.line] if start.line < len(self.lines) else ""
        if line.startswith(("&", "!"), start.column):  # a node's mark begins at its properties
            self.problem("K103", node, "anchors (&name) and tags (!name) are not used here")

    def not_text(self, before: str) -> None:
        """Note a control character, which no editor shows, after the text `before`."""
        line = before.count("\n")
        column = len(before) - before.rfind("\n") - 1
        message = "holds a character that is not text"
        self.problems.append(Problem("K101", self._mark(Span(line, column, 1)), message))

    def not_yaml(self, error: yaml.YAMLError) -> None:
        mark = getattr(error, "problem_mark", None)
        problem = getattr(error, "problem", None) or "cannot be read as YAML"
        line, column = (mark.line, mark.column) if mark is not None else (0, 0)
        remedy = "put quotes around a value that holds ': ' or begins with one of > [ { * & % @"
        self.problems.append(
            Problem("K101", self._mark(Span(line, column, 1)), f"not YAML: {problem}", remedy)
        )

    def problem(self, code: str, node: yaml.Node | None, message: str, remedy: str = "") -> None:
        span = _span(node) if node is not None else Span(0, 0, 1)
        self.problems.append(Problem(code, self._mark(span), message, remedy))

    def _mark(self, span: Span) -> Mark:
        return _mark(self.file, self.lines, self.first_line, span)
