# SPDX-License-Identifier: Apache-2.0
"""The parts that make the site: pages and what they link to, charts, the reference of HTTP."""

import re
from pathlib import Path, PurePosixPath

import pytest
import yaml

from tests.house.source import ROOT
from website.build import build
from website.charts import line_chart
from website.commonmark import as_html
from website.http_reference import http_page
from website.staging import page_of, stage

CHART = """xychart-beta
    x-axis "rules" [0, 10, 20]
    y-axis "time & more"
    line [100, 200, 300]
"""


def repository(folder: Path, page: str) -> Path:
    """A repository with one page, a file beside it, and how the site is made."""
    (folder / "docs").mkdir(parents=True)
    (folder / "docs" / "README.md").write_text(page, encoding="utf-8")
    (folder / "beside.yaml").write_text("a: ```\n", encoding="utf-8")
    (folder / "mkdocs.yml").write_text(
        "site_name: x\nuse_directory_urls: false\nmarkdown_extensions: [website.commonmark]\n",
        encoding="utf-8",
    )
    return folder


def test_the_page_of_http_is_current() -> None:
    page = ROOT / "docs" / "reference" / "http.md"
    renew = "python -m website.http_reference > docs/reference/http.md"

    assert page.read_text(encoding="utf-8") == http_page(), f"stale; renew with: {renew}"


def test_the_page_of_http_has_all_of_the_description() -> None:
    described = yaml.safe_load((ROOT / "openapi.yaml").read_text(encoding="utf-8"))
    page = http_page()
    operations = {
        f"### {method.upper()} {address}\n": operation
        for address, path in described["paths"].items()
        for method, operation in path.items()
        if method != "parameters"
    }

    assert [title for title in operations if page.count(title) != 1] == []
    for title, operation in operations.items():
        section = page.partition(title)[2].partition("\n### ")[0]
        assert operation["summary"] in section
        assert [
            status for status in operation["responses"] if f"\n| {status} | " not in section
        ] == []
    schemas = described["components"]["schemas"]
    assert [name for name in schemas if page.count(f"\n### {name}\n") != 1] == []
    for name, schema in schemas.items():
        section = page.partition(f"\n### {name}\n")[2].partition("\n### ")[0]
        assert [
            member for member in schema.get("properties", {}) if f"| `{member}` |" not in section
        ] == []


def test_a_file_beside_the_pages_becomes_a_page(tmp_path: Path) -> None:
    root = repository(
        tmp_path / "root", "[it](../beside.yaml)\n\n```md\n[not it](../gone.md)\n```\n"
    )

    taken = stage(root, tmp_path / "out")

    assert taken == {PurePosixPath("beside.yaml")}
    assert "[it](repository/beside.yaml.md)" in (tmp_path / "out" / "README.md").read_text()
    page = (tmp_path / "out" / "repository" / "beside.yaml.md").read_text()
    assert page == "# beside.yaml\n\n````yaml\na: ```\n````\n"


@pytest.mark.parametrize("target", ["../gone.yaml", "../../outside.yaml"])
def test_a_link_to_a_file_that_is_not_there_is_refused(target: str, tmp_path: Path) -> None:
    root = repository(tmp_path / "root", f"[it]({target})\n")
    (tmp_path / "outside.yaml").touch()

    with pytest.raises(FileNotFoundError, match=rf"README\.md links to {re.escape(target)}"):
        stage(root, tmp_path / "out")


@pytest.mark.slow
def test_a_link_to_a_heading_that_is_not_there_stops_the_build(tmp_path: Path) -> None:
    root = repository(tmp_path / "root", "# One\n\n[it](#one), [not it](#two)\n")

    with pytest.raises(ChildProcessError, match=r"\[not it\]\(#two\)"):
        build(tmp_path / "site", root)
    assert not (tmp_path / "site").exists()


def test_a_file_has_one_place_on_the_site() -> None:
    places = {
        "README.md": "README.md",
        "docs/how-to/https.md": "how-to/https.md",
        "CHANGELOG.md": "repository/CHANGELOG.md",
        "LICENSE": "repository/LICENSE.md",
        "deploy": "repository/deploy/README.md",
    }

    assert {place: str(page_of(PurePosixPath(place), ROOT)) for place in places} == places


def test_a_list_keeps_its_depth_and_an_entity_stays_as_it_is_written() -> None:
    deep = "".join(f"{'  ' * level}- {level}\n" for level in range(30))

    assert as_html(deep).count("<ul>") == 30
    assert as_html("`&lt;`") == "<p><code>&amp;lt;</code></p>\n"
    assert as_html("| a |\n| --- |\n| b<br>c |\n").count("<br />") == 1


def test_a_chart_has_its_numbers_in_place() -> None:
    drawn = line_chart(CHART)

    assert drawn.count("<line ") == 2
    assert "time &amp; more by rules" in drawn
    assert 'x1="70" y1="179" x2="340" y2="97"' in drawn  # a third, then two thirds, of the height
    assert ">300</text>" in drawn


@pytest.mark.parametrize(
    "text", ["flowchart LR\n a --> b", CHART.replace("300]", "300, 400]"), "xychart-beta\n"]
)
def test_a_diagram_that_is_no_such_chart_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="chart"):
        line_chart(text)
