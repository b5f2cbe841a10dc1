# SPDX-License-Identifier: Apache-2.0
"""Texts of a pack: Markdown with `{{ marker }}` placeholders and nothing else.

Texts are parsed with Jinja2 and refused unless they hold plain text and placeholders: no loops,
calls, filters or arithmetic, so a text has no logic. A text is compiled once, when its pack is
read, and filled for each card (`render/texts.py`). What is left of it is a row of words and paths,
which is joined: a rendering by Jinja2 costs ten times as much, for what it could do and a text may
not.
"""

import re
from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from jinja2 import Environment, TemplateSyntaxError, nodes

from cds_service.remembering import remember_short

SUMMARY_BELOW = 140  # CDS Hooks 2.0.1, "Card Attributes": summary under 140 characters

_PARSER = Environment(autoescape=False)  # noqa: S701 - it parses and fills nothing
_LOGIC = re.compile(r"{[%#]|{{[-+]|[-+]}}")
# What can become markup inside a line: GitHub's dialect also links bare addresses. Parentheses
# need a bracket before them, and a hyphen or plus sign the beginning of a line.
_MARKDOWN_SPECIAL = re.compile(
    r"[\\`*_\[\]<>#|~&$@]|:(?=[A-Za-z/])|(?<=\bwww)\.|^[+-]", re.IGNORECASE
)


@dataclass(frozen=True, slots=True)
class Placeholder:
    """`{{ name.part.more }}`: names with hyphens again, and the line inside the template."""

    path: tuple[str, ...]
    line: int

    def __str__(self) -> str:
        """Return the placeholder as it is written."""
        return ".".join(part.replace("-", "_") for part in self.path)


def escape_markdown(value: object) -> str:
    """The value as Markdown text: what came from outside can never become markup."""
    return _escaped(str(value))


@remember_short(longest=80, most=2048)
def _escaped(text: str) -> str:
    return _MARKDOWN_SPECIAL.sub(r"\\\g<0>", " ".join(text.split()))


def plain_text(value: object) -> str:
    """The value on one line, for summaries, which are not Markdown."""
    return " ".join(str(value).split())


@dataclass(frozen=True, slots=True)
class CompiledText:
    """A text as a row of words and the paths of placeholders, and how a value is shown in it."""

    parts: tuple[str | tuple[str, ...], ...]
    shown: Callable[[object], str]

    def render(self, values: dict[str, Any], *, glue: str = " ") -> str:
        r"""The text with every placeholder filled; a value that is not there is a `KeyError`.

        `glue` stands for a blank inside of a value.

        >>> compile_detail("ALT **{{ alt }}**").render({"alt": "1 [U/L]"})
        'ALT **1 \\[U/L\\]**'
        """
        shown = self.shown
        filled = [
            part if isinstance(part, str) else shown(_value(values, part)).replace(" ", glue)
            for part in self.parts
        ]
        return "".join(filled)


def _value(values: dict[str, Any], path: tuple[str, ...]) -> object:
    found: Any = values[path[0]]
    for name in path[1:]:
        found = found[name] if isinstance(found, dict) else getattr(found, name)
    return found


def compile_summary(text: str) -> CompiledText:
    """The template of a summary; values are put in as plain text."""
    return CompiledText(_parts(text), plain_text)


def compile_detail(text: str) -> CompiledText:
    """The template of a Markdown text; values are escaped."""
    return CompiledText(_parts(text), escape_markdown)


@lru_cache(maxsize=4096)
def _parts(text: str) -> tuple[str | tuple[str, ...], ...]:
    return tuple(
        node.data if isinstance(node, nodes.TemplateData) else _names(node)
        for output in _PARSER.parse(text).body
        for node in output.iter_child_nodes()
    )


def _names(node: nodes.Node) -> tuple[str, ...]:
    """The names of a placeholder as they are written."""
    if isinstance(node, nodes.Name):
        return (node.name,)
    if isinstance(node, nodes.Getattr):
        return (*_names(node.node), node.attr)
    raise TextError("only names such as {{ alt.multiple }} are allowed", node.lineno)


class TextError(ValueError):
    """A text that is more than placeholders; `line` is counted inside the text."""

    def __init__(self, message: str, line: int) -> None:
        super().__init__(message)
        self.line = line


@lru_cache(maxsize=4096)  # a pack is checked again for each change that is tried on it
def placeholders(text: str) -> tuple[Placeholder, ...]:
    """Every placeholder of a template; raises `TextError` for anything that is more than that."""
    if logic := _LOGIC.search(text):  # Jinja2 drops a comment and a raw block without a trace
        line = text.count("\n", 0, logic.start()) + 1
        raise TextError("only {{ placeholders }} are allowed, no logic", line)
    try:
        tree = _PARSER.parse(text)
    except TemplateSyntaxError as error:
        raise TextError("cannot read the placeholder", error.lineno) from error
    return tuple(
        Placeholder(_path(child), child.lineno)
        for node in tree.body
        for child in node.iter_child_nodes()
        if not isinstance(child, nodes.TemplateData)
    )


def _path(node: nodes.Node) -> tuple[str, ...]:
    first, *others = _names(node)
    return (first.replace("_", "-"), *others)
