# SPDX-License-Identifier: Apache-2.0
"""Every single change of a pack that a case has to notice.

Each line that bears meaning is dropped, and so is each entry of a list: codes, names, spellings,
products, hooks. Each text takes its steps (`steps`). What speaks to people only is left alone:
titles, card texts, sources, histories, override reasons.
"""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, TypeAlias, cast

from cds_service.knowledge.reading.folder import PackFiles
from cds_service.sourcefile.document import Data, Where
from cds_service.trials.steps import NO_UNITS, Kind, Units, formula_steps, text_steps

# Keys whose values say something to people, or name things, and decide nothing.
_FOR_PEOPLE = frozenset(
    ("id", "version", "title", "name", "text", "instruction", "note", "publisher", "url", "usage")
    + ("notices", "description", "evidence", "last review", "cases", "decimals", "history")
    + (
        "override reasons",
        "order groups",
        "examples",
        "says",
        "source",
        "backs",
        "time critical",
        "signed",
        "in short",
        "shown in",
    )
)
# Keys whose values are names: each can be dropped, none has a neighbour.
_NAMES = frozenset(
    ("loinc", "code", "system", "rxnorm", "products", "snomed", "icd-10-cm", "counts as ordered")
    + ("condition names", "also named", "method", "names", "hooks", "hook", "encounter classes")
    + ("denied before", "denied anywhere", "not denied by", "not denied inside", "ended by")
    + ("before", "anywhere", "group")
)
_BOUND = re.compile(r"(?:at least|above) -?[0-9.]+")
_SEVERAL = "any of "
_UNIT_KEYS = frozenset(("unit", "sent in"))
_NOBODY = "nobody's name"
_ANOTHER_REASON = "another-reason"


@dataclass(frozen=True, slots=True)
class Nudge:
    """One change: its kind, its place, its description, and the file's data after it.

    `piece` is the text that changes or goes; a case that speaks of it may notice first.
    """

    kind: Kind
    path: str
    where: Where
    words: str
    data: Data
    piece: str = ""


class _Drop:
    """Stands for the new value of a place that is dropped."""


_DROP = _Drop()


@dataclass(frozen=True, slots=True)
class _Change:
    kind: Kind
    where: Where
    words: str
    to: "Data | _Drop"
    piece: str = ""


_Changes: TypeAlias = Iterator[_Change]


def nudges_of(files: PackFiles) -> Iterator[Nudge]:
    """Every change of every file of the pack."""
    units = {
        path.split("/")[1].removesuffix(".yaml"): listed
        for path, document in files.of("markers")
        if isinstance(document.data, dict)
        and isinstance(listed := document.data.get("units"), dict)
    }
    for path in sorted(files.documents):
        if path == "sources.yaml" or _is_retired(files.documents[path].data):
            continue
        data = files.documents[path].data
        changes = [*_Walk(path, units).changes(data, ()), *_other_codes(path, files)]
        for change in changes:
            changed = _with(data, change.where, change.to)
            yield Nudge(change.kind, path, change.where, change.words, changed, change.piece)


def _is_retired(data: Data) -> bool:
    """Whether it is a rule that decides nothing any more; only its id stays taken."""
    return isinstance(data, dict) and data.get("status") == "retired"


@dataclass(frozen=True, slots=True)
class _Walk:
    """Walks the data of one file; `units` are those of each marker of the pack."""

    path: str
    units: Mapping[str, Units]

    def changes(self, data: Data, where: Where, spoken_of: Units = NO_UNITS) -> _Changes:
        """Every change below a place; `spoken_of` are the units of what it speaks of."""
        if isinstance(data, str):
            yield from self._of_text(data, where, spoken_of)
            return
        items: list[tuple[str | int, Data]] = (
            list(data.items()) if isinstance(data, dict) else list(enumerate(data))
        )
        for key, value in items:
            here = (*where, key)
            if key in _FOR_PEOPLE:
                yield from self._of_name(value, here)
                continue
            if isinstance(data, dict) and isinstance(key, str) and where:
                yield from _of_key(key, data, where)
            if where or not isinstance(key, int):
                yield _dropped(key, value, here)
            if key in _NAMES:
                yield from _entries(value, here)
            else:
                yield from self.changes(value, here, self._units_of(key) or spoken_of)

    def _of_text(self, text: str, where: Where, spoken_of: Units) -> _Changes:
        key = next((key_part for key_part in reversed(where) if isinstance(key_part, str)), "")
        if key == "because":
            if " " in text:  # why a code is not read: for people
                return
            yield _Change("word", where, f"'{text}' as another reason", _ANOTHER_REASON)
        elif key in _UNIT_KEYS:
            others = (unit for unit in spoken_of if unit != text)
            yield from (_Change("unit", where, f"'{text}' as '{other}'", other) for other in others)
        else:
            steps = formula_steps(text) if key == "formula" else text_steps(text, spoken_of)
            yield from (_Change(step.kind, where, step.words, step.text) for step in steps)

    def _of_name(self, value: Data, where: Where) -> _Changes:
        """A medicine counts by its name too; elsewhere names are for people."""
        if self.path.startswith("facts/") and where[0] == "medicines" and where[-1] == "name":
            yield _Change("name", where, f"'{value}' as another name", _NOBODY, str(value))

    def _units_of(self, key: str | int) -> Units:
        """The units of the marker that a key names, or of the marker whose file it is."""
        names = [str(key)]
        if self.path.startswith("markers/"):
            names.append(self.path.split("/")[1].removesuffix(".yaml"))
        return next((self.units[name] for name in names if name in self.units), NO_UNITS)


def _dropped(key: str | int, value: Data, where: Where) -> _Change:
    kind: Kind = "entry" if isinstance(key, int) and isinstance(value, str) else "line"
    piece = value if isinstance(value, str) else ""
    return _Change(kind, where, f"without {_shown(key, value)}", _DROP, piece)


def _entries(value: Data, where: Where) -> _Changes:
    """The entries of a list of names, each by itself."""
    if isinstance(value, list):
        yield from (_dropped(n, entry, (*where, n)) for n, entry in enumerate(value))


def _of_key(key: str, data: dict[str, Data], where: Where) -> _Changes:
    """Keys that are phrases: `at least 5: word` of a measure, `any of alt, ast: phrase`."""
    if _BOUND.fullmatch(key):
        changed = [(step.kind, step.words, step.text) for step in text_steps(key)]
    elif key.startswith(_SEVERAL):
        names = key.removeprefix(_SEVERAL).split(", ")
        changed = [
            (
                "entry",
                f"'{key}' without {name}",
                _SEVERAL + ", ".join(n for n in names if n != name),
            )
            for name in names
        ]
    else:
        return
    for kind, words, other in changed:
        renamed = {other if name == key else name: kept for name, kept in data.items()}
        yield _Change(kind, where, words, renamed)


def _other_codes(path: str, files: PackFiles) -> _Changes:
    """The code of an order as that of another order of the pack."""
    codes = [_code_in(document.data) for _, document in files.of("orders")]
    own = _code_in(files.documents[path].data) if path.startswith("orders/") else ""
    other = next((code for code in codes if code and code != own), "")
    if own and other:
        yield _Change("name", ("code", "loinc"), f"'{own}' as '{other}'", other, own)


def _code_in(data: Data) -> str:
    code = data.get("code", {}) if isinstance(data, dict) else {}
    return str(code.get("loinc", "")) if isinstance(code, dict) else ""


def _shown(key: str | int, value: Data) -> str:
    if isinstance(key, str):
        return f"'{key}'"
    return f"'{value}'" if isinstance(value, str) else f"entry {key + 1}"


def _with(data: Data, where: Where, change: "Data | _Drop") -> Data:
    """A copy of the data with one place changed or dropped."""
    if not where:
        return cast("Data", change)
    key, *rest = where
    copied: Any = data.copy() if isinstance(data, dict | list) else data
    if rest:
        copied[key] = _with(copied[key], tuple(rest), change)
    elif isinstance(change, _Drop):
        del copied[key]
    else:
        copied[key] = change
    return cast("Data", copied)
