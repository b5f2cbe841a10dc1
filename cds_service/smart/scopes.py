# SPDX-License-Identifier: Apache-2.0
"""Queries -> the scopes that they need, and whether those that were granted cover them.

SMART App Launch 2.2, "Scopes and Launch Context": `system/Observation.rs` in version 2, where r is
to read and s to search, and `system/Observation.read` in version 1.
"""

import re
from collections.abc import Iterable
from typing import Final, Literal, TypeAlias

Style: TypeAlias = Literal["v1", "v2"]

_SCOPE: Final = re.compile(r"system/(\*|[A-Za-z]+)\.(read|write|\*|c?r?u?d?s?)")
_WRITTEN: Final = ":write"  # no name of a type ends so
_LETTERS: Final = {"read": "rs", "write": "cud", "*": "cruds"}


def types_of(queries: Iterable[str]) -> frozenset[str]:
    """The types of resources that relative queries ask for: of `Patient/1` it is Patient."""
    return frozenset(re.split(r"[/?]", query, maxsplit=1)[0] for query in queries)


def to_write(types: Iterable[str]) -> frozenset[str]:
    """What `scopes_for` needs to ask for the right to create and update these types."""
    return frozenset(f"{kind}{_WRITTEN}" for kind in types)


def scopes_for(types: Iterable[str], style: Style) -> tuple[str, ...]:
    """The scopes to read and search these types, or to write them (`to_write`); nothing more.

    >>> scopes_for(["Patient", *to_write(["Task"])], "v2")
    ('system/Patient.rs', 'system/Task.cu')
    """
    reads, writes = ("read", "write") if style == "v1" else ("rs", "cu")
    return tuple(
        f"system/{kind.removesuffix(_WRITTEN)}.{writes if kind.endswith(_WRITTEN) else reads}"
        for kind in sorted(types)
    )


def missing(asked: Iterable[str], granted: Iterable[str]) -> frozenset[str]:
    """The scopes that were asked for and are not covered by those that were granted.

    One of version 1 covers its like of version 2 and the other way round. One that is granted for
    some resources of a type only (`?category=laboratory`) covers nothing but itself.
    """
    granted = frozenset(granted)
    may: dict[str, set[str]] = {}
    for scope in granted:
        if match := _SCOPE.fullmatch(scope):
            may.setdefault(match[1], set()).update(_LETTERS.get(match[2], match[2]))
    return frozenset(
        scope for scope in asked if scope not in granted and not _is_covered(scope, may)
    )


def _is_covered(scope: str, may: dict[str, set[str]]) -> bool:
    match = _SCOPE.fullmatch(scope.partition("?")[0])
    if match is None:
        return False
    letters = may.get(match[1], set()) | may.get("*", set())
    return letters >= set(_LETTERS.get(match[2], match[2]))
