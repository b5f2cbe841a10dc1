# SPDX-License-Identifier: Apache-2.0
"""One name for one thing, and plain words for all of them."""

import ast
import re
from collections import defaultdict

from tests.house.source import PACKAGE, ROOT, modules, nodes

# Names that two standards, or a standard and the knowledge, give to two things.
SHARED = {
    "Coding": "CDS Hooks and FHIR each define one, and cards carry theirs",
    "Patient": "FHIR's resource, and the little of it that rules know",
    "ReferenceRange": "FHIR's element, and the range in the unit of its marker",
    "Reading": "of a result in a frame, and of a measure in its file, whose name the lock hashes",
}
MOST_SHARED = 5
HOUSE_WORDS = re.compile(r"\b(whoever|told|said)\b", re.IGNORECASE)
MOST_HOUSE_WORDS = 20


def test_no_two_public_classes_share_a_name() -> None:
    places: dict[str, list[str]] = defaultdict(list)
    for path, tree in modules().items():
        for node in nodes(tree):
            if isinstance(node, ast.ClassDef) and not node.name.startswith("_"):
                places[node.name].append(path)

    assert {name: found for name, found in places.items() if len(found) > 1}.keys() == SHARED.keys()
    assert len(SHARED) <= MOST_SHARED


def test_words_that_hide_who_does_what_stay_rare() -> None:
    uses = [
        f"{path.relative_to(PACKAGE)}:{number}"
        for kind in ("*.py", "*.html", "*.js", "*.md")
        for path in sorted(PACKAGE.rglob(kind))
        for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), start=1)
        if HOUSE_WORDS.search(line)
    ]

    assert len(uses) <= MOST_HOUSE_WORDS, "\n".join(uses)


def test_every_module_that_the_glossary_names_is_there() -> None:
    text = (ROOT / "docs" / "glossary.md").read_text(encoding="utf-8")
    places = re.findall(r"`([a-z_/]+(?:\.py|/))`", text)

    assert places
    assert [p for p in places if not p.startswith("cards/") and not (PACKAGE / p).exists()] == []
