# SPDX-License-Identifier: Apache-2.0
"""Change one thing in a pack and see whether a case notices.

Every number is moved one step in its last written place, either way; every comparison word is
swapped for its neighbour; every line that bears meaning is dropped. A change that no case notices
is a place that nobody guards. Titles, texts, sources and the codes themselves are left alone:
codes are names, guarded by their check digits, by the lock and by dropping their lines.
"""

import re
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from decimal import Decimal
from functools import partial
from typing import Any, TypeAlias, cast

from cds_service.decide import Program, compile_pack
from cds_service.errors import RequestError
from cds_service.knowledge.files import Data, Where
from cds_service.knowledge.pack import PackCache, PackFiles, build_pack
from cds_service.knowledge.problems import Problem
from cds_service.trials.run import Trial, failures, read_trials

# Keys whose values say something to people, or name things, and decide nothing.
_FOR_PEOPLE = frozenset(
    ("id", "version", "title", "name", "text", "instruction", "note", "publisher", "url", "usage")
    + ("notices", "description", "evidence", "last review", "cases", "status", "decimals")
    + ("override reasons", "services", "examples", "says", "source", "backs", "time critical")
    + ("approved by", "history")
)
_NAMES = frozenset(
    ("loinc", "code", "system", "rxnorm", "products", "snomed", "icd-10-cm", "counts as ordered")
    + ("condition names", "also named", "method", "names", "hooks")
)
_BOUND = re.compile(r"(?:at least|above) -?[0-9.]+")
_SEVERAL = "any of "
_NUMBER = re.compile(r"(?<![A-Za-z0-9_.*^(-])[0-9]+(?:\.[0-9]+)?(?![0-9A-Za-z_*^])")
_SWAPS = {
    "below": "at most",
    "at most": "below",
    "above": "at least",
    "at least": "above",
    "yes": "no",
    "no": "yes",
    "male": "female",
    "female": "male",
    "routine": "urgent",
    "urgent": "stat",
    "stat": "urgent",
    "info": "warning",
    "warning": "critical",
    "critical": "warning",
    "always": "never",
    "never": "always",
    "joined": "its own",
    "its own": "joined",
    "upper limit": "lower limit",
    "lower limit": "upper limit",
    "screening limit": "upper limit",
    "any": "all",
    "all": "any",
}
_SWAP = re.compile(r"\b(?:" + "|".join(sorted(_SWAPS, key=len, reverse=True)) + r")\b")


@dataclass(frozen=True, slots=True)
class Nudge:
    """One change: where, what it does in words, and the data of the file after it."""

    path: str
    where: Where
    words: str
    data: Data


@dataclass(frozen=True, slots=True)
class NudgeReport:
    """How many changes were tried, and a problem for each that no case noticed."""

    tried: int
    problems: tuple[Problem, ...]


def nudges_of(files: PackFiles) -> Iterator[Nudge]:
    """Every change of every file of the pack."""
    for path in sorted(files.documents):
        if path == "sources.yaml":
            continue
        data = files.documents[path].data
        for where, words, change in _changes(data, ()):
            yield Nudge(path, where, words, _with(data, where, change))


class _Drop:
    """Stands for the new value of a place that is dropped."""


_DROP = _Drop()
_Change: TypeAlias = "Data | _Drop"


def _changes(data: Data, where: Where) -> Iterator[tuple[Where, str, _Change]]:
    """(place, what changes in words, new value or `_DROP`)."""
    if isinstance(data, str):
        yield from ((where, words, text) for words, text in text_changes(data))
        return
    items: list[tuple[str | int, Data]] = (
        list(data.items()) if isinstance(data, dict) else list(enumerate(data))
    )
    for key, value in items:
        if key in _FOR_PEOPLE:
            continue
        if isinstance(data, dict) and isinstance(key, str) and where:
            for words, other in _key_changes(key):
                renamed = {other if one == key else one: kept for one, kept in data.items()}
                yield where, words, renamed
        here = (*where, key)
        if where or not isinstance(key, int):
            yield here, f"without {_shown(key, value)}", _DROP
        if key not in _NAMES:
            yield from _changes(value, here)


def _key_changes(key: str) -> Iterator[tuple[str, str]]:
    """Keys that are phrases: `at least 5: word` of a measure, `any of alt, ast: phrase`."""
    if _BOUND.fullmatch(key):
        yield from text_changes(key)
    elif key.startswith(_SEVERAL):
        names = key.removeprefix(_SEVERAL).split(", ")
        for name in names:
            others = [one for one in names if one != name]
            yield f"'{key}' without {name}", _SEVERAL + ", ".join(others)


def text_changes(text: str) -> Iterator[tuple[str, str]]:
    """Every step and swap of a text: what changes in words, and the text after it."""
    for match in _NUMBER.finditer(text):
        for step in (1, -1):
            moved = _moved(match[0], step)
            yield f"{match[0]} as {moved}", text[: match.start()] + moved + text[match.end() :]
    for match in _SWAP.finditer(text):
        other = _SWAPS[match[0]]
        yield f"'{match[0]}' as '{other}'", text[: match.start()] + other + text[match.end() :]


def _moved(number: str, step: int) -> str:
    """The number one step of its last written place away."""
    places = len(number.partition(".")[2])
    return f"{Decimal(number) + Decimal(step).scaleb(-places):f}"


def _shown(key: str | int, value: Data) -> str:
    if isinstance(key, str):
        return f"'{key}'"
    return f"'{value}'" if isinstance(value, str) else f"entry {key + 1}"


def _with(data: Data, where: Where, change: _Change) -> Data:
    """A copy of the data with one place changed or dropped."""
    key, *rest = where
    copied: Any = data.copy() if isinstance(data, dict | list) else data
    if rest:
        copied[key] = _with(copied[key], tuple(rest), change)
    elif isinstance(change, _Drop):
        del copied[key]
    else:
        copied[key] = change
    return cast("Data", copied)


class _Nudger:
    """Tries nudges against the cases of the unchanged pack."""

    def __init__(self, files: PackFiles) -> None:
        self.files = files
        self.cache = PackCache(files)
        pack, problems = build_pack(files, self.cache)
        if pack is None or problems:  # else every nudge of it would seem to be noticed
            message = "a pack with problems cannot be nudged"
            raise ValueError(message)
        self.pack = pack
        self.trials, _ = read_trials(files, pack)

    def is_noticed(self, nudge: Nudge) -> bool:
        """Whether the pack breaks or a case fails; the cases of the file itself are tried first."""
        files = self.files.having(nudge.path, nudge.data)
        pack, problems = build_pack(files, self.cache)
        if pack is None or problems:
            return True
        program = compile_pack(pack)
        own = [one for one in self.trials if one.case.path == nudge.path]
        others = [one for one in self.trials if one.case.path != nudge.path]
        if self._any_fails(own, program) or self._any_fails(others, program):
            return True
        return pack == self.pack  # the change says what holds anyway, such as a default

    @staticmethod
    def _any_fails(trials: list[Trial], program: Program) -> bool:
        try:
            return next(failures(trials, program), None) is not None
        except (RequestError, LookupError):
            return True  # the pack no longer holds what the case speaks of


_nudger: _Nudger | None = None


def _start(files: PackFiles) -> None:
    global _nudger  # noqa: PLW0603 - one nudger for each worker process
    _nudger = _Nudger(files)


def _try(nudge: Nudge) -> bool:
    if _nudger is None:
        message = "the worker was not started"
        raise RuntimeError(message)
    return _nudger.is_noticed(nudge)


def nudge_pack(
    files: PackFiles, *, processes: int, progress: Callable[[int, int], None]
) -> NudgeReport:
    """Try every nudge; `progress` is told (done, of how many)."""
    nudges = list(nudges_of(files))
    problems: list[Problem] = []
    answers = _answers(files, nudges, processes)
    for done, (nudge, noticed) in enumerate(zip(nudges, answers, strict=True), start=1):
        progress(done, len(nudges))
        if not noticed:
            mark = files.documents[nudge.path].mark(nudge.where)
            message = f"no case notices {nudge.words}"
            problems.append(Problem("K603", mark, message, "add a case that fails then"))
    return NudgeReport(len(nudges), tuple(problems))


def _answers(files: PackFiles, nudges: list[Nudge], processes: int) -> Iterator[bool]:
    """Whether each nudge is noticed, in their order; one process needs no others."""
    if processes == 1:
        yield from map(_Nudger(files).is_noticed, nudges)
        return
    with ProcessPoolExecutor(processes, initializer=partial(_start, files)) as pool:
        yield from pool.map(_try, nudges, chunksize=8)
