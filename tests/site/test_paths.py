# SPDX-License-Identifier: Apache-2.0
"""The words of a place mean that place alone."""

import pytest

from cds_service.knowledge.site.paths import find, in_words
from cds_service.sourcefile.document import Data, Where, places_of
from tests.knowledge.fixture_pack import letters_files

DOCUMENTS = letters_files().documents


@pytest.mark.parametrize("path", DOCUMENTS)
def test_the_words_of_every_place_find_it_again(path: str) -> None:
    data, places = DOCUMENTS[path].data, places_of(DOCUMENTS[path].text).values

    assert places
    assert [where for where in places if find_all(data, where) != [where]] == []


def find_all(data: Data, where: Where) -> list[Where]:
    return find(data, in_words(data, where)) if where else [where]


@pytest.mark.parametrize(
    ("where", "words"),
    [
        (("suggest", 0, "between"), "suggest / panel / between"),
        (("suggest", 1, "between"), "suggest / line 2 / between"),
        (("when", 0, "alpha"), "when / alpha"),
        (("when", 1, "beta"), "when / line 2 / beta"),
        (("names", 1), "names / line 2"),
        (("limits", 0, "use"), "limits / line 1 / use"),
    ],
)
def test_an_entry_is_called_by_what_means_it_alone(where: Where, words: str) -> None:
    data: Data = {
        "suggest": [
            {"order": "panel", "between": "0 and 1 days"},
            {"order": "repeat", "between": "0 and 2 days"},
            {"order": "repeat", "between": "7 and 9 days"},
        ],
        "when": [{"alpha": "present"}, {"beta": "present"}, {"beta": "above 5"}],
        "names": ["A", "B"],
        "limits": [{"named": "a / b", "use": "1"}, {"named": "c", "use": "2"}],
    }

    assert in_words(data, where) == words
    assert find(data, words) == [where]
