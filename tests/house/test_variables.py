# SPDX-License-Identifier: Apache-2.0
"""Variables and parameters say what they are."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

from tests.house.source import ROOT

# Names that say nothing of what they name. A pair of numbers may still be `one` and `two`.
VAGUE = frozenset(("one", "it", "them", "what", "thing", "things"))
MAY_BIND = re.compile(
    r"\b(?:for|lambda|as)\b(?: \w+,)* (?:{0})\b|\b(?:{0})(?:, \w+)* :?= |\b(?:{0}): \w".format(
        "|".join(VAGUE)
    )
)
MOST_VAGUE = 45
FOLDERS = ("cds_service", "tests", "benchmarks", "website")


def _vague_names(path: Path) -> Iterator[str]:
    text = path.read_text(encoding="utf-8")
    if not MAY_BIND.search(text):  # to parse all of the tests takes seconds
        return
    for node in ast.walk(ast.parse(text)):
        match node:
            case ast.Name(id=name, ctx=ast.Store()) | ast.arg(arg=name) if name in VAGUE:
                yield f"{path.relative_to(ROOT)}:{node.lineno} {name}"


def test_variables_and_parameters_are_named_after_what_they_are() -> None:
    vague = [
        place
        for folder in FOLDERS
        for path in sorted((ROOT / folder).rglob("*.py"))
        for place in _vague_names(path)
    ]

    assert len(vague) <= MOST_VAGUE, "\n".join(vague)
