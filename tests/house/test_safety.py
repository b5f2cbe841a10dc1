# SPDX-License-Identifier: Apache-2.0
"""Every hazard of `docs/safety.md` names what shows that it is guarded against, and that exists."""

import re

import pytest

from tests.house.source import ROOT, functions_of

PAGE = (ROOT / "docs" / "safety.md").read_text(encoding="utf-8")
HAZARDS = re.findall(
    r"^\| (?!hazard |---)([^|]+) \| [^|]+ \| ([^|]+) \|$",
    PAGE.partition("## Hazards")[2],
    re.MULTILINE,
)
PLACE = re.compile(r"`((?:tests|cards)/[^`:]+)(?:::(\w+))?`")
EXAMPLE = re.compile(r"\bLIV-\d{3}\b")
EXAMPLES = "".join(
    path.read_text(encoding="utf-8") for path in (ROOT / "tests" / "data").glob("vignettes-*.json")
)


def test_the_page_has_hazards() -> None:
    assert len(HAZARDS) > 30


@pytest.mark.parametrize(("hazard", "shown_by"), HAZARDS, ids=[name for name, _ in HAZARDS])
def test_what_guards_against_a_hazard_exists(hazard: str, shown_by: str) -> None:
    places, examples = PLACE.findall(shown_by), EXAMPLE.findall(shown_by)

    assert places or examples, hazard
    assert [path for path, _ in places if not (ROOT / path).exists()] == []
    assert [example for example in examples if example not in EXAMPLES] == []
    for path, name in places:
        assert not name or name in functions_of(path), f"{path} has no {name}"
