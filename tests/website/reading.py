# SPDX-License-Identifier: Apache-2.0
"""A page of the site as a reader meets it: its text with its structure, links, what it loads."""

from dataclasses import dataclass, field
from html.parser import HTMLParser
from pathlib import Path

_SHAPES = frozenset({"ul", "ol", "li", "blockquote", "td", "th", "pre", "h1", "h2", "h3", "h4"})


@dataclass(slots=True)
class BuiltPage:
    """What is in the HTML of a page."""

    text: str = ""
    ids: set[str] = field(default_factory=set)
    links: list[str] = field(default_factory=list)
    loaded: list[str] = field(default_factory=list)


class _Reader(HTMLParser):
    def __init__(self, *, within: str | None) -> None:
        super().__init__()
        self.page = BuiltPage()
        self.parts: list[str] = []
        self.within = within
        self.is_text = within is None
        self.skipped = ""

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        named = dict(attrs)
        if name := named.get("id"):
            self.page.ids.add(name)
        if tag == "a" and named.get("href"):
            self.page.links.append(named["href"] or "")
        elif tag in {"link", "script", "img", "iframe", "source"}:
            self.page.loaded += filter(None, (named.get("href"), named.get("src")))
        if tag == self.within:
            self.is_text = True
        elif "headerlink" in (named.get("class") or "") or tag == "figure":
            self.skipped = tag
        elif self.is_text and tag in _SHAPES:
            self.parts.append(f"<{tag}>")

    def handle_endtag(self, tag: str) -> None:
        if tag == self.within:
            self.is_text = False
        elif tag == self.skipped:
            self.skipped = ""
        elif self.is_text and tag in _SHAPES:
            self.parts.append(f"</{tag}>")

    def handle_data(self, data: str) -> None:
        if self.is_text and not self.skipped:
            self.parts.append(data)


def read_page(html: str | Path, within: str | None = None) -> BuiltPage:
    """The page; its text is that of one element, without blanks and without charts."""
    reader = _Reader(within=within)
    reader.feed(html.read_text(encoding="utf-8") if isinstance(html, Path) else html)
    reader.page.text = "".join("".join(reader.parts).split())
    return reader.page
