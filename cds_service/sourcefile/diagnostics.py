# SPDX-License-Identifier: Apache-2.0
"""What is wrong with a knowledge file, for the person who wrote it.

A problem has a place, the line itself, what is wrong, what to write instead and a stable code.
`CODES` is the list of all codes; each has a wrong example in `tests/knowledge/bad/`. `WARNINGS`
are those of what may be meant.
"""

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from typing import Literal, TypeAlias

Format: TypeAlias = Literal["text", "json", "sarif", "github"]

CODES: dict[str, str] = {
    "K101": "the file is not readable YAML",
    "K102": "a key stands twice in one mapping",
    "K103": "anchors, aliases, merge keys and tags are not part of the language",
    "K104": "a key is not known here",
    "K105": "a key is missing",
    "K106": "a value has the wrong form",
    "K107": "the file's name and the id inside differ",
    "K108": "a file or folder that a pack needs is missing, or is too large or not UTF-8",
    "K109": "a file lies where no file of this kind belongs",
    "K201": "a subject is not known",
    "K202": "a phrase cannot be read",
    "K203": "a unit is not one of the marker's",
    "K204": "a number cannot be read",
    "K205": "a condition can never be true",
    "K206": "a formula cannot be read",
    "K207": "a factor is not the one that follows from the definition of the units",
    "K301": "a name refers to nothing in the pack",
    "K302": "two things claim the same code, name or id",
    "K303": "a code's check digit is wrong",
    "K304": "facts refer to each other in a circle",
    "K305": "a text belongs to no rule, or a rule has no text",
    "K401": "no evidence backs a part of the rule",
    "K402": "evidence backs something that is not there",
    "K501": "a placeholder is not known or not sure to be there",
    "K502": "a summary can reach 140 characters",
    "K503": "a text holds HTML or a link that is not https",
    "K504": "a text claims more than the wording rules allow",
    "K505": "a text repeats a number that the pack holds",
    "K601": "a case fails",
    "K602": "a rule's cases never show its card, or never its silence",
    "K603": "no case notices when this is changed",
    "K604": "a case cannot be read",
    "K701": "the rule's meaning changed but its version did not",
    "K702": "the lock does not match the rules",
    "K703": "a version has no line in the history",
    "K704": "the versions of a history are not in order, newest first",
    "K705": "a date of a history is no date, or not in order",
    "K801": "a site file is for a pack that is not here",
    "K802": "a site file speaks of a file, place, rule or order that the pack does not have",
    "K803": "a site file changes what the pack does not leave to a site",
    "K804": "the pack's value is no longer the one that a site changed",
    "K805": "a site file changes one thing twice, or changes nothing",
    "K806": "no case of the site notices when its value is changed",
    "K807": "a day has more cards than the budget of the site, or nobody knows how many",
}
# What may be meant, and ends no command.
WARNINGS: dict[str, str] = {
    "K208": "a rule is about fewer markers than it asks for",
}
_MEANINGS = CODES | WARNINGS


@dataclass(frozen=True, slots=True)
class Mark:
    """A place in a file: path as given by the user, line and column from 1, length of the text."""

    file: str
    line: int
    column: int
    text: str = ""  # the whole line
    length: int = 1


@dataclass(frozen=True, slots=True)
class Problem:
    """One fault in a file, its location, and the remedy."""

    code: str
    mark: Mark
    message: str
    remedy: str = ""

    @property
    def order(self) -> tuple[str, int, int, str, str]:
        """The key that sorts problems by file, line, column and code."""
        return (self.mark.file, self.mark.line, self.mark.column, self.code, self.message)

    @property
    def level(self) -> Literal["error", "warning"]:
        """Whether it is wrong, or may be meant."""
        return "warning" if self.code in WARNINGS else "error"

    def __str__(self) -> str:
        return _as_text(self)


def nearest(word: str, known: Iterable[str]) -> str:
    """`; did you mean 'x'?` for the nearest known word, or nothing."""
    close = get_close_matches(word, list(known), n=1, cutoff=0.6)
    return f"did you mean '{close[0]}'?" if close else ""


def print_problems(problems: Sequence[Problem], style: Format) -> str:
    """All problems in one of the four formats, without a final newline."""
    ordered = sorted(set(problems), key=lambda problem: problem.order)
    match style:
        case "text":
            return "\n\n".join(_as_text(problem) for problem in ordered)
        case "json":
            return json.dumps([_as_json(problem) for problem in ordered], indent=2)
        case "sarif":
            return json.dumps(_as_sarif(ordered), indent=2)
        case "github":
            return "\n".join(_as_github(problem) for problem in ordered)


def _as_text(problem: Problem) -> str:
    mark = problem.mark
    level = "warning: " if problem.level == "warning" else ""
    lines = [f"{mark.file}:{mark.line}:{mark.column}: {level}{problem.code} {problem.message}"]
    if mark.text.strip():
        number = f"{mark.line:>6} | "
        lines.append(number + mark.text)
        lines.append(" " * 7 + "| " + " " * (mark.column - 1) + "^" * max(mark.length, 1))
    if problem.remedy:
        lines.append(f"  help: {problem.remedy}")
    return "\n".join(lines)


def _as_json(problem: Problem) -> dict[str, object]:
    mark = problem.mark
    return {
        "code": problem.code,
        "level": problem.level,
        "file": mark.file,
        "line": mark.line,
        "column": mark.column,
        "text": mark.text,
        "message": problem.message,
        "remedy": problem.remedy,
    }


def _as_github(problem: Problem) -> str:
    # https://docs.github.com/actions: workflow commands escape %, CR and LF in the message,
    # and also : and , in properties.
    def escaped(text: str) -> str:
        return text.replace("%", "%25").replace("\r", "%0D").replace("\n", "%0A")

    mark = problem.mark
    file = escaped(mark.file).replace(":", "%3A").replace(",", "%2C")
    message = escaped(" ".join(filter(None, (problem.message, problem.remedy))))
    place = f"file={file},line={mark.line},col={mark.column}"
    return f"::{problem.level} {place},title={problem.code}::{message}"


def _as_sarif(problems: Sequence[Problem]) -> dict[str, object]:
    # SARIF 2.1.0 (OASIS): the least that code-scanning services accept.
    used = sorted({problem.code for problem in problems})
    return {
        "$schema": "https://json.schemastore.org/sarif-2.1.0.json",
        "version": "2.1.0",
        "runs": [
            {
                "tool": {
                    "driver": {
                        "name": "cds-service check",
                        "rules": [
                            {"id": code, "shortDescription": {"text": _MEANINGS[code]}}
                            for code in used
                        ],
                    }
                },
                "results": [_sarif_result(problem) for problem in problems],
            }
        ],
    }


def _sarif_result(problem: Problem) -> dict[str, object]:
    mark = problem.mark
    return {
        "ruleId": problem.code,
        "level": problem.level,
        "message": {"text": " ".join(filter(None, (problem.message, problem.remedy)))},
        "locations": [
            {
                "physicalLocation": {
                    "artifactLocation": {"uri": mark.file},
                    "region": {"startLine": mark.line, "startColumn": mark.column},
                }
            }
        ],
    }


def in_words(problems: Iterable[Problem]) -> list[str]:
    """Each problem as text, in the order of the file."""
    ordered = sorted(set(problems), key=lambda problem: problem.order)
    return [print_problems([problem], "text") for problem in ordered]
