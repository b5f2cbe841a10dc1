# SPDX-License-Identifier: Apache-2.0
"""Cards as text for a terminal."""

import re
import textwrap
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, TypeAlias

_WIDTH = 96
_INDENT = "    "
_LINK = re.compile(r"\[([^\]]*)\]\([^)]*\)")
_BOLD = re.compile(r"\*\*(.+?)\*\*")
_ESCAPE = re.compile(r"\\(.)")
_COLOURS = {"info": "blue", "warning": "yellow", "critical": "red"}

Style: TypeAlias = Callable[..., str]
"""Colours a text as `click.style` does."""


def cards_as_text(cards: Sequence[Mapping[str, Any]], style: Style) -> Iterator[str]:
    """The cards for a terminal, line by line."""
    if not cards:
        yield "No card."
    for card in cards:
        indicator = str(card["indicator"])
        label = style(f" {indicator.upper()} ", fg=_COLOURS.get(indicator), reverse=True)
        yield f"{label} {style(str(card['summary']), bold=True)}"
        for block in _blocks(str(card.get("detail", ""))):
            yield from _wrapped(block, style)
        if card.get("suggestions"):
            yield ""
        for suggestion in card.get("suggestions", []):
            mark = "[x]" if suggestion.get("isRecommended") else "[ ]"
            yield f"{_INDENT}{style(mark, bold=True)} {suggestion['label']}"
            actions = suggestion.get("actions", [])
            if len(actions) > 1:
                yield from (f"{_INDENT * 2}{action['description']}" for action in actions)
        yield ""


def _blocks(markdown: str) -> Iterator[str]:
    """Paragraphs and list items, each on one line, with an empty one before a paragraph."""
    block = ""
    for line in [*markdown.splitlines(), ""]:
        begins_item = line.startswith("- ")
        if (begins_item or not line.strip()) and block:
            yield block
            block = ""
        if line.strip():
            if not block and not begins_item:
                yield ""
            block = f"{block} {line.strip()}".strip()


def _wrapped(block: str, style: Style) -> Iterator[str]:
    """The block for a terminal: links as their text, escapes undone, bold as bold."""
    text = _LINK.sub(r"\1", block)
    hang = _INDENT + ("  " if text.startswith("- ") else "")
    lines = textwrap.wrap(
        text, _WIDTH, initial_indent=_INDENT, subsequent_indent=hang, break_long_words=False
    )
    for line in lines or [""]:
        yield _ESCAPE.sub(r"\1", _BOLD.sub(lambda match: style(match[1], bold=True), line))
