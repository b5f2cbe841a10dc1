# SPDX-License-Identifier: Apache-2.0
"""A tutorial or guide as steps that a test can take: its commands, what they show, changes.

A comment before a block of commands says what is not plain: `not run: WHY`, `ends with 1`, or
`in the second terminal` for a program that goes on.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

_BLOCK = re.compile(
    r"(?:^<!-- (?P<comment>[^>]+) -->\n\n)?^```(?P<language>sh|text|diff)\n(?P<text>.*?)^```$",
    re.MULTILINE | re.DOTALL,
)
_FILE = re.compile(r"`(cards/[\w/.-]+\.(?:yaml|md))`")


@dataclass(frozen=True, slots=True)
class Step:
    """One block of a tutorial; of a change, in the rule or text that was named last."""

    kind: Literal["run", "left", "program", "shown", "change"]
    text: str
    exit_code: int = 0
    file: str = ""


def steps_of(page: Path) -> Iterator[Step]:
    """The blocks in their order; what a page shows as YAML is to be read, and is none."""
    text = page.read_text(encoding="utf-8")
    rule = ""
    for block in _BLOCK.finditer(text):
        comment = block["comment"] or ""
        match block["language"]:
            case "sh" if comment.startswith("not run: "):
                yield Step("left", block["text"])
            case "sh" if comment == "in the second terminal":
                yield Step("program", block["text"])
            case "sh":
                yield Step("run", block["text"], exit_code=1 if comment == "ends with 1" else 0)
            case "text":
                yield Step("shown", block["text"])
            case _:
                paragraph = text[: block.start()].rstrip().rpartition("\n\n")[2]
                named = _FILE.findall(paragraph)
                rule = rule or _FILE.findall(text)[0]
                yield Step("change", block["text"], file=named[-1] if named else rule)


def changed(text: str, change: str) -> str:
    """The text with the lines of a change in place of those that it takes away.

    Raises ValueError unless those are in it once, in this order.
    """
    old = "".join(line[1:] + "\n" for line in change.splitlines() if line[0] == "-")
    new = "".join(line[1:] + "\n" for line in change.splitlines() if line[0] == "+")
    if not old or text.count(old) != 1:
        raise ValueError(f"what the change takes away is there {text.count(old)} times: {old}")
    return text.replace(old, new)
