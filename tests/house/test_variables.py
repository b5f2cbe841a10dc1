# SPDX-License-Identifier: Apache-2.0
"""Variables and parameters say what they are."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

from tests.house.source import ROOT

# Names that say nothing of what they name. A pair of numbers may still be `one` and `two`.
VAGUE = frozenset(("one", "it", "them", "what", "thing", "things"))
_ANY = "|".join(VAGUE)
MAY_BIND = re.compile(
    rf"\b(?:for|lambda|as)\b(?: \w+,)* (?:{_ANY})\b"
    rf"|\b(?:{_ANY})(?:, \w+)*,?[])]* :?= |\b(?:{_ANY}): \w"
)
MOST_VAGUE = 25
FOLDERS = ("cds_service", "tests", "benchmarks", "website")


def _vague_names(path: Path) -> Iterator[str]:
    text = path.read_text(encoding="utf-8")
    # To look at all that is in the tests takes seconds.
    lines = {text.count("\n", 0, found.start()) + 1 for found in MAY_BIND.finditer(text)}
    if not lines:
        return
    end = 0
    for statement in ast.parse(text).body:
        begin, end = end + 1, statement.end_lineno or 0  # decorators stand before the first line
        if lines.isdisjoint(range(begin, end + 1)):
            continue
        for node in ast.walk(statement):
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
