# SPDX-License-Identifier: Apache-2.0
"""`lock.json`: every version of each rule and a hash of what it means, checked in CI.

A rule whose meaning changed needs a new version. The meaning is the parsed tree: conditions,
indicator, windows, orders and texts. Evidence, history, cases, comments and the way a number is
written (`5` or `5.0`) are not part of it. What rules share (markers, measures, facts, orders,
precedence, the limit of cards, the least severe card of each hook, what speaks when a result
arrives, and scope) is locked under the
version of the pack.

Older versions stay: a version that was locked never gets another meaning, and no rule loses its
place. Only a draft may change under its version, and its entry says that it is one.
"""

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, fields, is_dataclass
from fractions import Fraction
from hashlib import sha256
from pathlib import Path
from typing import Any, TypeAlias

from msgspec import Struct, structs

from cds_service.errors import KnowledgeError
from cds_service.knowledge.model.pack import Change, Pack, Rule
from cds_service.knowledge.reading.folder import PackFiles
from cds_service.knowledge.reading.history import missing, ordered
from cds_service.sourcefile.diagnostics import Mark, Problem
from cds_service.sourcefile.document import read_text

LOCK_FILE = "lock.json"
RAISE = "raise the version, add a line to the history, then run `cds-service lock`"
RENEW = "run `cds-service lock`"
_RESTORE = "bring it back from version control; `cds-service lock` makes a new one where none is"
_DRAFT = "draft "  # before the hash of a version that no patient has met
_PARTS_IF_SAID = ("order_groups", "remarks", "cards", "least", "on_arrival")
_PARTS = ("facts", "markers", "measures", "orders", "precedence", "scope", *_PARTS_IF_SAID)
# Names, places, labels for people and the author's spelling of a number decide nothing;
# `dimensions` says what the factors say, `beside_name` how names are written,
# `shown_in` in what unit pages show.
_NOT_MEANT = frozenset(
    ("version", "evidence", "last_review", "file", "lines", "written", "time_critical", "history")
    + ("dimensions", "beside_name", "shown_in")
)
_Json: TypeAlias = "bool | int | str | list[_Json] | dict[str, _Json] | None"
Versions: TypeAlias = Mapping[str, str]  # version -> hash of its meaning, newest first


@dataclass(frozen=True, slots=True)
class Lock:
    """What `lock.json` holds: by version the shared parts of the pack, by id the rules."""

    pack: Mapping[str, Mapping[str, str]]  # version -> part -> hash, newest version first
    rules: Mapping[str, Versions]


def meaning_hash(meant: object) -> str:
    """A hash that changes with the meaning of a rule or of a part of a pack, and only with it."""
    text = json.dumps(_plain(meant), sort_keys=True, separators=(",", ":"), ensure_ascii=True)
    return sha256(text.encode("ascii")).hexdigest()[:32]


def newest(versions: Mapping[str, Any]) -> str:
    """The highest of these versions."""
    return max(versions, key=ordered)


def lock_of(pack: Pack, before: Lock | None = None) -> Lock:
    """The lock that is right for this pack after this one: older versions stay as they are."""
    there = before or Lock({}, {})
    rules: dict[str, Versions] = dict(there.rules)
    for rule in pack.rules.values():
        rules[rule.id] = _with(there.rules.get(rule.id, {}), rule.version, _meaning(rule))
    # A pack that says nothing of a part has the lock that it had before there was any.
    parts = {
        part: meaning_hash(meant)
        for part in _PARTS
        if (meant := getattr(pack, part)) or part not in _PARTS_IF_SAID
    }
    return Lock(_with(there.pack, pack.version, parts), dict(sorted(rules.items())))


def _meaning(rule: Rule) -> str:
    return (_DRAFT if rule.status == "draft" else "") + meaning_hash(rule)


def _with(versions: Mapping[str, Any], version: str, meaning: object) -> dict[str, Any]:
    """The versions and this one; what was locked stays, unless it was a draft."""
    locked = versions.get(version)
    if locked is None or (isinstance(locked, str) and locked.startswith(_DRAFT)):
        versions = {**versions, version: meaning}
    return {version: versions[version] for version in sorted(versions, key=ordered, reverse=True)}


def write_lock(folder: Path, pack: Pack) -> None:
    """Add the versions of the pack to its lock, one line each, so that changes read well."""
    lock = lock_of(pack, read_lock(folder))
    data = {"pack": lock.pack, "rules": lock.rules}
    text = json.dumps(data, indent=2) + "\n"
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
        problem = Problem("K702", Mark(where, 1, 1), "the lock cannot be read", _RESTORE)
        raise KnowledgeError((problem,)) from error


def check_lock(files: PackFiles, pack: Pack, lock: Lock | None) -> list[Problem]:
    """Everything in which the pack and its lock differ; a draft may change freely."""
    here = Mark(f"{files.shown}/{LOCK_FILE}", 1, 1)
    if lock is None:
        return [Problem("K702", here, "there is no lock", RENEW)]
    mark = files.documents["pack.yaml"].mark(("version",))
    problems = [*_of_pack(pack, lock, mark)]
    for rule in pack.rules.values():
        mark = files.documents[f"rules/{rule.id}.yaml"].mark(("version",))
        problems.extend(_of_rule(rule, lock.rules.get(rule.id, {}), mark))
    for vanished in sorted(lock.rules.keys() - pack.rules.keys()):
        message = f"the rule '{vanished}' is gone; its id may never mean something else"
        remedy = "keep it with 'status: retired'; " + RENEW
        problems.append(Problem("K702", here, message, remedy))
    return problems


def _of_pack(pack: Pack, lock: Lock, mark: Mark) -> Iterator[Problem]:
    locked = lock.pack.get(pack.version)
    yield from _check_current_version("the pack", pack.version, lock.pack, mark)
    yield from _untold("the pack", pack.history, lock.pack, mark)
    if locked is not None:
        right = lock_of(pack).pack[pack.version]
        changed = [part for part in _PARTS if locked.get(part) != right.get(part)]
        if changed:
            message = f"the pack ({', '.join(changed)}) means something else than before"
            yield Problem("K701", mark, message, RAISE)


def _of_rule(rule: Rule, versions: Versions, mark: Mark) -> Iterator[Problem]:
    name, locked = f"the rule '{rule.id}'", versions.get(rule.version)
    yield from _check_current_version(name, rule.version, versions, mark)
    yield from _untold(name, rule.history, versions, mark)
    if locked is None or (rule.status == "draft" and locked.startswith(_DRAFT)):
        return
    if locked != _meaning(rule):
        yield Problem("K701", mark, f"{name} means something else than before", RAISE)


def _check_current_version(
    name: str, version: str, versions: Mapping[str, object], mark: Mark
) -> Iterator[Problem]:
    """The version is in the lock, and it is the highest one there."""
    if not versions:
        yield Problem("K702", mark, f"{name} is not in the lock", RENEW)
    elif ordered(version) < ordered(highest := newest(versions)):
        message = f"the version of {name} went down from {highest}"
        yield Problem("K702", mark, message, "versions only go up")
    elif version not in versions:
        yield Problem("K702", mark, f"{name} has a new version, the lock does not", RENEW)


def _untold(
    name: str, history: tuple[Change, ...], versions: Mapping[str, object], mark: Mark
) -> Iterator[Problem]:
    """Versions that were locked, and of which the history no longer tells."""
    described = {line.version for line in history}
    return (missing(name, version, mark) for version in versions if version not in described)


def _lock(data: Any) -> Lock:
    pack = {
        str(version): {str(part): str(meaning) for part, meaning in parts.items()}
        for version, parts in data["pack"].items()
    }
    rules = {
        str(name): {str(version): str(meaning) for version, meaning in versions.items()}
        for name, versions in data["rules"].items()
    }
    for version in (*pack, *(version for versions in rules.values() for version in versions)):
        ordered(version)
    return Lock(pack, rules)


def _plain(value: object) -> _Json:
    """A value of the model as JSON: each class with its name, each fraction in lowest terms."""
    if is_dataclass(value) or isinstance(value, Struct):
        # A field that says nothing is left out: a field added to the model later changes no hash.
        listed = structs.fields(value) if isinstance(value, Struct) else fields(value)
        named = {
            field.name: _plain(part)
            for field in listed
            if field.name not in _NOT_MEANT
            and (part := getattr(value, field.name)) not in _NOTHING
            and part != field.default
        }
        return {type(value).__name__: named}
    if isinstance(value, Mapping):
        return {str(key): _plain(item) for key, item in value.items()}
    if isinstance(value, frozenset):
        return sorted((_plain(item) for item in value), key=json.dumps)
    if isinstance(value, tuple):
        return [_plain(item) for item in value]
    if isinstance(value, Fraction):
        return f"{value.numerator}/{value.denominator}"
    if value is None or isinstance(value, bool | int | str):
        return value
    message = f"a lock cannot hold {type(value).__name__}"
    raise TypeError(message)


_NOTHING: tuple[object, ...] = (None, (), frozenset(), {})
