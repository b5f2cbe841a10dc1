# SPDX-License-Identifier: Apache-2.0
"""YAML read strictly: text -> plain data that knows its lines, or problems.

Every scalar stays text, so `no`, `12:30` and `1e3` never change meaning. Keys that stand twice,
anchors, aliases, merge keys and tags are refused. PyYAML's nodes carry the line and column.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
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
_LOADER = getattr(yaml, "CSafeLoader", yaml.SafeLoader)  # the C parser where PyYAML has it


@dataclass(frozen=True, slots=True)
class Document:
    """A file as plain data, with the place of every key and value in it.

    `marks` maps a path of keys and indexes to the place of its value, `key_marks` to that of
    its key.
    """

    file: str
    data: Data
    lines: tuple[str, ...]
    marks: Mapping[Where, Mark] = field(default_factory=dict)
    key_marks: Mapping[Where, Mark] = field(default_factory=dict)

    def mark(self, where: Where) -> Mark:
        """The place of a value, or of the nearest thing around it that is there."""
        while where and where not in self.marks:
            where = where[:-1]
        return self.marks.get(where, Mark(self.file, 1, 1, self.lines[0] if self.lines else ""))

    def key_mark(self, where: Where) -> Mark:
        """The place of a key, or of its value."""
        return self.key_marks.get(where) or self.mark(where)


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
    lines = tuple(text.splitlines())
    builder = _Builder(shown, lines, first_line - 1)
    node = _compose(text, builder)
    data: Data = builder.build(node, ()) if node is not None else {}
    if builder.aliased:
        builder.refuse_aliases(text)
    return (
        Document(shown, data, lines, builder.marks, builder.key_marks),
        builder.problems,
    )


def _compose(text: str, builder: "_Builder") -> yaml.Node | None:
    """The nodes of the text, or `None` after a problem was noted (or if there is nothing)."""
    if control := _CONTROL.search(text):
        builder.not_text(text[: control.start()])
        return None
    if len(_OPENER.findall(text)) > _MOST_OPENERS:
        builder.problem("K101", None, f"holds more than {_MOST_OPENERS} lists and mappings")
        return None
    try:
        return yaml.compose(text, Loader=_LOADER)
    except yaml.YAMLError as error:
        builder.not_yaml(error)
    except RecursionError:
        builder.problem("K101", None, "nests too deeply")
    return None


class _Builder:
    """Walks the nodes once and collects data, places and problems."""

    def __init__(self, file: str, lines: tuple[str, ...], offset: int) -> None:
        self.file = file
        self.lines = lines
        self.offset = offset
        self.marks: dict[Where, Mark] = {}
        self.key_marks: dict[Where, Mark] = {}
        self.problems: list[Problem] = []
        self.aliased = False
        self._seen: set[int] = set()

    def build(self, node: yaml.Node, where: Where) -> Data:
        self.marks[where] = self._mark(node)
        if id(node) in self._seen:
            self.aliased = True
            return ""
        self._seen.add(id(node))
        if len(where) > _DEEPEST:
            self.problem("K101", node, "nests too deeply")
            return ""
        self._refuse_tag_and_anchor(node)
        if isinstance(node, yaml.MappingNode):
            return self._mapping(node, where)
        if isinstance(node, yaml.SequenceNode):
            return [self.build(item, (*where, n)) for n, item in enumerate(node.value)]
        return str(node.value)

    def _mapping(self, node: yaml.MappingNode, where: Where) -> dict[str, Data]:
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
            self.key_marks[(*where, key)] = self._mark(key_node)
            result[key] = self.build(value_node, (*where, key))
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
        for event in yaml.parse(text, Loader=_LOADER):
            start, end = event.start_mark, event.end_mark
            if isinstance(event, yaml.AliasEvent) and start is not None and end is not None:
                mark = self._place(start.line, start.column, end.column - start.column)
                message = "an alias (*name) repeats another place"
                self.problems.append(Problem("K103", mark, message, "write it out"))

    def _refuse_tag_and_anchor(self, node: yaml.Node) -> None:
        start = node.start_mark
        line = self.lines[start.line] if start.line < len(self.lines) else ""
        if line[start.column :].startswith(("&", "!")):  # a node's mark begins at its properties
            self.problem("K103", node, "anchors (&name) and tags (!name) are not used here")

    def not_text(self, before: str) -> None:
        """Note a control character, which no editor shows, after the text `before`."""
        line = before.count("\n")
        column = len(before) - before.rfind("\n") - 1
        message = "holds a character that is not text"
        self.problems.append(Problem("K101", self._place(line, column, 1), message))

    def not_yaml(self, error: yaml.YAMLError) -> None:
        mark = getattr(error, "problem_mark", None)
        what = getattr(error, "problem", None) or "cannot be read as YAML"
        line, column = (mark.line, mark.column) if mark is not None else (0, 0)
        remedy = "put quotes around a value that holds ': ' or begins with one of > [ { * & % @"
        self.problems.append(
            Problem("K101", self._place(line, column, 1), f"not YAML: {what}", remedy)
        )

    def problem(self, code: str, node: yaml.Node | None, message: str, remedy: str = "") -> None:
        mark = self._mark(node) if node is not None else self._place(0, 0, 1)
        self.problems.append(Problem(code, mark, message, remedy))

    def _mark(self, node: yaml.Node) -> Mark:
        start, end = node.start_mark, node.end_mark
        length = end.column - start.column if end.line == start.line else 1
        return self._place(start.line, start.column, max(length, 1))

    def _place(self, line: int, column: int, length: int) -> Mark:
        text = self.lines[line] if line < len(self.lines) else ""
        return Mark(self.file, line + 1 + self.offset, column + 1, text, length)
