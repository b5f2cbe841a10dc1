# SPDX-License-Identifier: Apache-2.0
"""`lock.json`: the version of each rule and a hash of what it means, checked in CI.

A rule whose meaning changed needs a new version. The meaning is the parsed tree: conditions,
indicator, windows, orders and texts. Evidence, cases, comments and the way a number is written
(`5` or `5.0`) are not part of it. What rules share (markers, measures, facts, orders, precedence
and scope) is locked under the version of the pack.
"""

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, fields, is_dataclass
from fractions import Fraction
from hashlib import sha256
from pathlib import Path
from typing import Any, TypeAlias

from cds_service.errors import KnowledgeError
from cds_service.knowledge.files import read_text
from cds_service.knowledge.model import Pack, Rule
from cds_service.knowledge.pack import PackFiles
from cds_service.knowledge.problems import Mark, Problem

LOCK_FILE = "lock.json"
RAISE = "raise the version, then run `cds-service lock`"
RENEW = "run `cds-service lock`"
_PARTS = ("facts", "markers", "measures", "orders", "precedence", "scope")
# Names, places, labels for people and the author's spelling of a number decide nothing.
_NOT_MEANT = frozenset(
    ("version", "evidence", "last_review", "file", "lines", "written", "time_critical")
)
_Json: TypeAlias = "bool | int | str | list[_Json] | dict[str, _Json] | None"


@dataclass(frozen=True, slots=True)
class Locked:
    """A version and the hash of what is meant by it."""

    version: str
    meaning: str


@dataclass(frozen=True, slots=True)
class Lock:
    """What `lock.json` holds: the pack's version, its shared parts by name, its rules by id."""

    version: str
    parts: Mapping[str, str]
    rules: Mapping[str, Locked]


def meaning_hash(meant: object) -> str:
    """A hash that changes with the meaning of a rule or of a part of a pack, and only with it."""
    text = json.dumps(_plain(meant), sort_keys=True, separators=(",", ":"), ensure_ascii=True)
    return sha256(text.encode("ascii")).hexdigest()[:32]


def lock_of(pack: Pack) -> Lock:
    """The lock that is right for this pack."""
    return Lock(
        version=pack.version,
        parts={part: meaning_hash(getattr(pack, part)) for part in _PARTS},
        rules={
            rule.id: Locked(rule.version, meaning_hash(rule))
            for rule in sorted(pack.rules.values(), key=lambda rule: rule.id)
        },
    )


def write_lock(folder: Path, pack: Pack) -> None:
    """Write the lock of the pack: sorted, one line an entry, so that changes read well."""
    lock = lock_of(pack)
    rules = {
        name: {"version": entry.version, "meaning": entry.meaning}
        for name, entry in lock.rules.items()
    }
    sections = (
        f'  "version": {json.dumps(lock.version)}',
        _section("parts", lock.parts),
        _section("rules", rules),
    )
    text = "{\n" + ",\n".join(sections) + "\n}\n"
    (folder / LOCK_FILE).write_text(text, encoding="utf-8", newline="\n")


def read_lock(folder: Path, shown: str | None = None) -> Lock | None:
    """The lock in the folder, `None` if there is none; raises `KnowledgeError` if it is broken."""
    path = folder / LOCK_FILE
    if not path.is_file():
        return None
    where = f"{shown or folder}/{LOCK_FILE}"
    text = read_text(path, where)
    if isinstance(text, Problem):
        raise KnowledgeError((text,))
    try:
        return _lock(json.loads(text))
    except (ValueError, LookupError, TypeError, AttributeError, RecursionError) as error:
        problem = Problem("K702", Mark(where, 1, 1), "the lock cannot be read", RENEW)
        raise KnowledgeError((problem,)) from error


def check_lock(files: PackFiles, pack: Pack, lock: Lock | None) -> list[Problem]:
    """Everything in which the pack and its lock differ; a draft may change freely."""
    here = Mark(f"{files.shown}/{LOCK_FILE}", 1, 1)
    if lock is None:
        return [Problem("K702", here, "there is no lock", RENEW)]
    right = lock_of(pack)
    problems: list[Problem] = []
    problems.extend(_of_pack(right, lock, files.documents["pack.yaml"].mark(("version",))))
    for rule in pack.rules.values():
        mark = files.documents[f"rules/{rule.id}.yaml"].mark(("version",))
        locked = lock.rules.get(rule.id)
        if not _may_change(rule, locked):
            name = f"the rule '{rule.id}'"
            problems.extend(_difference(name, right.rules[rule.id], locked, mark))
    for vanished in sorted(lock.rules.keys() - pack.rules.keys()):
        message = f"the rule '{vanished}' is gone; its id may never mean something else"
        remedy = "keep it with 'status: retired'; " + RENEW
        problems.append(Problem("K702", here, message, remedy))
    return problems


def _of_pack(right: Lock, lock: Lock, mark: Mark) -> Iterator[Problem]:
    changed = [part for part, meaning in right.parts.items() if lock.parts.get(part) != meaning]
    name = f"the pack ({', '.join(changed)})" if changed else "the pack"
    now = Locked(right.version, ", ".join(changed))
    return _difference(name, now, Locked(lock.version, ""), mark)


def _may_change(rule: Rule, locked: Locked | None) -> bool:
    return rule.status == "draft" and locked is not None and locked.version == rule.version


def _difference(name: str, now: Locked, locked: Locked | None, mark: Mark) -> Iterator[Problem]:
    if locked is None:
        yield Problem("K702", mark, f"{name} is not in the lock", RENEW)
    elif _ordered(now.version) < _ordered(locked.version):
        message = f"the version of {name} went down from {locked.version}"
        yield Problem("K702", mark, message, "versions only go up")
    elif now.version != locked.version:
        yield Problem("K702", mark, f"{name} has a new version, the lock does not", RENEW)
    elif now.meaning != locked.meaning:
        yield Problem("K701", mark, f"{name} means something else than before", RAISE)


def _ordered(version: str) -> tuple[int, ...]:
    return tuple(int(part) for part in version.split("."))


def _section(name: str, entries: Mapping[str, object]) -> str:
    lines = [f"    {json.dumps(key)}: {json.dumps(entries[key])}" for key in sorted(entries)]
    return f'  "{name}": {{\n' + ",\n".join(lines) + "\n  }"


def _lock(data: Any) -> Lock:
    rules = {
        str(name): Locked(str(entry["version"]), str(entry["meaning"]))
        for name, entry in data["rules"].items()
    }
    parts = {str(name): str(meaning) for name, meaning in data["parts"].items()}
    lock = Lock(str(data["version"]), parts, rules)
    for version in (lock.version, *(entry.version for entry in rules.values())):
        _ordered(version)
    return lock


def _plain(value: object) -> _Json:
    """A value of the model as JSON: each dataclass with its name, each fraction in lowest terms."""
    if is_dataclass(value):
        # A field that says nothing is left out: a field added to the model later changes no hash.
        named = {
            field.name: _plain(one)
            for field in fields(value)
            if field.name not in _NOT_MEANT
            and (one := getattr(value, field.name)) not in _NOTHING
            and one != field.default
        }
        return {type(value).__name__: named}
    if isinstance(value, Mapping):
        return {str(key): _plain(one) for key, one in value.items()}
    if isinstance(value, frozenset):
        return sorted((_plain(one) for one in value), key=json.dumps)
    if isinstance(value, tuple):
        return [_plain(one) for one in value]
    if isinstance(value, Fraction):
        return f"{value.numerator}/{value.denominator}"
    if value is None or isinstance(value, bool | int | str):
        return value
    message = f"a lock cannot hold {type(value).__name__}"
    raise TypeError(message)


_NOTHING: tuple[object, ...] = (None, (), frozenset(), {})
