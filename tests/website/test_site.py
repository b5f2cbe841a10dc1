# SPDX-License-Identifier: Apache-2.0
"""The built site says what its files say, its links lead somewhere, and it needs no other host.

Whether addresses of others answer is not asked: a test does not leave the machine.
"""

import json
import re
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

import pytest
import yaml
from markdown_it import MarkdownIt

from tests.house.source import ROOT
from tests.website.reading import BuiltPage, read_page
from website.build import build

pytestmark = pytest.mark.slow
SOURCES = sorted(path.relative_to(ROOT / "docs") for path in (ROOT / "docs").rglob("*.md"))
CONFIGURATION = yaml.safe_load((ROOT / "mkdocs.yml").read_text(encoding="utf-8"))


@pytest.fixture(name="site", scope="module")
def _site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("site") / "site"
    build(folder)
    return folder


@cache
def pages_of(site: Path) -> dict[Path, BuiltPage]:
    return {path: read_page(path, "article") for path in sorted(site.rglob("*.html"))}


def in_nav(entries: Any) -> Iterator[str]:
    for entry in entries:
        if isinstance(entry, str):
            yield entry
            continue
        for inner in entry.values():
            yield from [inner] if isinstance(inner, str) else in_nav(inner)


def html_of(source: Path) -> str:
    return (
        source.with_name("index.html")
        if source.name == "README.md"
        else source.with_suffix(".html")
    ).as_posix()


def test_every_link_inside_leads_to_a_page_and_a_heading_of_it(site: Path) -> None:
    pages = pages_of(site)
    dead = []
    for path, page in pages.items():
        if path.name == "404.html":  # its links are from the root, wherever it is shown
            continue
        for link in page.links:
            parts = urlsplit(link)
            if parts.scheme or parts.netloc:
                continue
            target = (path.parent / unquote(parts.path)).resolve() if parts.path else path
            target /= "index.html" if target.is_dir() else ""
            known = pages[target].ids if target in pages else set[str]()
            if not target.exists() or (parts.fragment and parts.fragment not in {*known, "__skip"}):
                dead.append(f"{path.relative_to(site)}: {link}")

    assert dead == []
    assert sum(len(page.links) for page in pages.values()) > 1000


def test_addresses_of_others_are_well_formed(site: Path) -> None:
    outside = {
        link for page in pages_of(site).values() for link in page.links if urlsplit(link).scheme
    }

    assert [
        link
        for link in sorted(outside)
        if not re.fullmatch(r"https?://[\w.-]+(:\d+)?([/?#]\S*)?", link)
    ] == []
    assert len(outside) > 40


def test_no_page_loads_anything_from_another_host(site: Path) -> None:
    loaded = {address for page in pages_of(site).values() for address in page.loaded}
    styles = "\n".join(path.read_text(encoding="utf-8") for path in site.rglob("*.css"))
    in_styles = re.findall(r"url\(\s*['\"]?([^'\")]+)|@import\s+['\"]([^'\"]+)", styles)

    assert [address for address in sorted(loaded) if urlsplit(address).netloc] == []
    assert [
        address for pair in in_styles for address in pair if re.match(r"https?:|//", address)
    ] == []
    assert len(loaded) > 3


@pytest.mark.parametrize("source", SOURCES, ids=str)
def test_a_page_says_what_its_file_says(site: Path, source: Path) -> None:
    markdown = (ROOT / "docs" / source).read_text(encoding="utf-8")
    markdown = re.sub(r"^```mermaid\n.*?^```$", "", markdown, flags=re.MULTILINE | re.DOTALL)
    reader = MarkdownIt("commonmark", {"maxNesting": 1000}).enable("table").enable("strikethrough")

    shown = pages_of(site)[site / html_of(source)].text

    assert read_page(reader.render(markdown)).text in shown


def test_conditions_of_a_rule_keep_what_belongs_together(site: Path) -> None:
    page = (site / "rules" / "alt-very-low-child.html").read_text(encoding="utf-8")

    assert re.search(r"all of these\s*<ul>\s*<li>ALT <strong>below 5 U/L</strong></li>", page)


def test_every_page_is_in_the_navigation_and_on_the_home_page(site: Path) -> None:
    listed = set(in_nav(CONFIGURATION["nav"]))
    home = pages_of(site)[site / "index.html"].links
    found_in_an_index = {"rules", "decisions"}
    expected = {
        source.as_posix() for source in SOURCES
        if source.parts[0] not in found_in_an_index or source.name == "README.md"
    }  # fmt: skip

    assert sorted(expected - listed) == []
    assert [page for page in sorted(listed) if not (site / html_of(Path(page))).exists()] == []
    assert [
        page for page in sorted(listed - {"README.md"}) if html_of(Path(page)) not in home
    ] == []


def test_the_search_knows_every_page(site: Path) -> None:
    index = json.loads((site / "search.json").read_text(encoding="utf-8"))
    locations = {entry["location"].partition("#")[0] for entry in index["items"]}

    assert sorted(html_of(source) for source in SOURCES if html_of(source) not in locations) == []
