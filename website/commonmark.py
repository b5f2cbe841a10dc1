# SPDX-License-Identifier: Apache-2.0
"""Pages of the site are read as CommonMark with tables, as repositories show them.

Zensical reads pages with Python-Markdown, to which a list that is indented by two blanks is one
flat list: the conditions of a rule would lose what belongs to "all of these". Here markdown-it
makes the tree of elements; Zensical goes on with it, as with its own.
"""

import re
from collections import Counter
from collections.abc import Iterable, Sequence
from functools import cache
from typing import Any
from xml.etree import ElementTree as ET

from markdown import Extension, Markdown
from markdown.blockparser import BlockParser
from markdown.preprocessors import Preprocessor
from markdown_it import MarkdownIt
from markdown_it.token import Token
from pygments import highlight
from pygments.formatters import HtmlFormatter
from pygments.lexers import get_lexer_by_name
from pygments.util import ClassNotFound

from website.charts import line_chart

_DEPTH = 100  # markdown-it stops at 20 levels, and conditions of rules go deeper


def makeExtension(**options: Any) -> Extension:  # noqa: N802  # Python-Markdown asks for this name
    """The extension, as the name of this module in `mkdocs.yml` asks for it."""
    return _CommonMark(**options)


def as_html(text: str) -> str:
    """A page as HTML that is XML as well, so that it can be read as a tree."""
    return str(_reader().render(text))


class _CommonMark(Extension):
    def extendMarkdown(self, md: Markdown) -> None:  # noqa: N802  # the name is Python-Markdown's
        page = _Page(md)
        md.preprocessors.register(page, "page", 1000)  # before the other extensions of Zensical
        md.parser = _TreeOfCommonMark(md, page)
        for name in ("inline", "prettify", "unescape"):  # they would read Markdown once more
            md.treeprocessors.deregister(name)
        # That of Python-Markdown takes `&lt;` in a text for an entity of its own.
        md.serializer = _serialized


class _Page(Preprocessor):
    """Keeps a page as it is in its file."""

    def __init__(self, md: Markdown) -> None:
        super().__init__(md)
        self.text = ""

    def run(self, lines: list[str]) -> list[str]:
        self.text = "\n".join(lines)
        return lines


class _TreeOfCommonMark(BlockParser):
    def __init__(self, md: Markdown, page: _Page) -> None:
        super().__init__(md)
        self.page = page

    def parseDocument(self, _lines: Iterable[str]) -> "ET.ElementTree[ET.Element | None]":  # noqa: N802
        self.root = ET.fromstring(f"<div>{as_html(self.page.text)}</div>")  # noqa: S314  # made just now
        _name_headings(self.root)
        return ET.ElementTree(self.root)


def _name_headings(root: ET.Element) -> None:
    """Give headings the ids that repositories give them, so that a link to one works in both."""
    seen: Counter[str] = Counter()
    for heading in root.iter():
        if heading.tag in {"h1", "h2", "h3", "h4", "h5", "h6"}:
            text = "".join(heading.itertext()).strip().lower()
            name = re.sub(r"[^\w -]", "", text).replace(" ", "-")
            heading.set("id", f"{name}-{seen[name]}" if seen[name] else name)
            seen[name] += 1


def _serialized(element: ET.Element) -> str:
    return ET.tostring(element, encoding="unicode", method="html")


@cache
def _reader() -> MarkdownIt:
    options = {"maxNesting": _DEPTH, "xhtmlOut": True}
    reader = MarkdownIt("commonmark", options).enable(["table", "strikethrough"])
    reader.add_render_rule("fence", _code)
    reader.add_render_rule("html_inline", _line_break)
    return reader


def _line_break(_renderer: Any, tokens: Sequence[Token], index: int, *_more: Any) -> str:
    return tokens[index].content.replace("<br>", "<br />")


def _code(_renderer: Any, tokens: Sequence[Token], index: int, *_more: Any) -> str:
    text, language = tokens[index].content, tokens[index].info.strip()
    if language == "mermaid":
        return line_chart(text)
    try:
        lexer = get_lexer_by_name(language or "text")
    except ClassNotFound:
        lexer = get_lexer_by_name("text")
    return str(highlight(text, lexer, HtmlFormatter(cssclass="highlight", wrapcode=True)))
