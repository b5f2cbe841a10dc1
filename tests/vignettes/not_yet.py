# SPDX-License-Identifier: Apache-2.0
"""The worked examples that are known not to pass yet, in `tests/data/vignettes-not-yet.txt`.

One line per example, `LIV-301: missing card, reasons`: the aspects in which it differs.
"""

from collections.abc import Iterable, Mapping
from pathlib import Path

from tests.vignettes.compare import Difference

PATH = Path(__file__).parents[1] / "data" / "vignettes-not-yet.txt"
_HEAD = """\
# Worked examples that do not pass yet, and in which aspects. The list only gets shorter:
# `python -m tests.vignettes.report --update` takes out what passes now.
"""


def aspects_of(differences: Iterable[Difference]) -> frozenset[str]:
    """The aspects in which an answer differs."""
    return frozenset(difference.aspect for difference in differences)


def read_not_yet(path: Path = PATH) -> dict[str, frozenset[str]]:
    """The aspects in which each example is known to differ, by id."""
    lines = path.read_text(encoding="utf-8").splitlines() if path.exists() else []
    # A file that git could not merge is read past its marks, to be rewritten.
    pairs = (line.split(": ", 1) for line in lines if ": " in line and line[0].isalpha())
    return {name: frozenset(aspects.split(", ")) for name, aspects in pairs}


def write_not_yet(known: Mapping[str, frozenset[str]], path: Path = PATH) -> None:
    """Write the list."""
    lines = (f"{name}: {', '.join(sorted(aspects))}\n" for name, aspects in sorted(known.items()))
    path.write_text(_HEAD + "".join(lines), encoding="utf-8")
