# SPDX-License-Identifier: Apache-2.0
"""The guards that `docs/safety.md` names exist, and who it says gets no card gets none."""

import re

import msgspec
import pytest

from cds_service.trials.run import NOW
from cds_service.trials.synthetic_request import request_of
from tests.house.source import ROOT, functions_of
from tests.service.patients import cards, liver

PAGE = (ROOT / "docs" / "safety.md").read_text(encoding="utf-8")
HAZARDS = re.findall(
    r"^\| (?!hazard |---)([^|]+) \| [^|]+ \| ([^|]+) \|$",
    PAGE.partition("## Hazards")[2],
    re.MULTILINE,
)
PLACE = re.compile(r"`((?:tests|cards)/[^`:]+)(?:::(\w+))?`")
SILENT = re.findall(r"^\| [^|`]+ \| `([^`]+)` \|$", PAGE, re.MULTILINE)
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


def test_the_page_says_who_gets_no_card() -> None:
    assert len(SILENT) > 10


@pytest.mark.parametrize("given", SILENT)
def test_there_is_no_card_where_the_page_says_so(given: str) -> None:
    words = dict(part.split(": ", maxsplit=1) for part in given.split("; "))
    patient = {"sex": "male", "age": "50 years", **words}
    request = request_of(patient, liver().packs[0], NOW, "patient-view")

    assert cards(msgspec.json.Encoder(decimal_format="number").encode(request)) == {}
