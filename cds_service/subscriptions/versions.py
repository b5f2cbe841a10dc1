# SPDX-License-Identifier: Apache-2.0
"""Which of several states of a resource is its newest: by what its server says, and by that alone.

Versions that are numbers say it, and so do the times of the server. Its clock and ours are never
compared. Where the server does not say it, or the resource was gone at some time, after which a
server may count its versions anew, the resource has to be read before it is decided on.
"""

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime
from typing import Protocol

from cds_service.subscriptions.work import Item


class StoredVersion(Protocol):
    """What a state is known by."""

    @property
    def version(self) -> str: ...  # noqa: D102

    @property
    def updated(self) -> datetime | None: ...  # noqa: D102


def is_newer(version: StoredVersion, other: StoredVersion) -> bool | None:
    """Whether the one is newer than the other; `None`: the server does not say."""
    if _is_number(version.version) and _is_number(other.version):
        first, second = _number(version.version), _number(other.version)
        return first > second if first != second else None
    if version.updated is None or other.updated is None or version.updated == other.updated:
        return None
    return version.updated > other.updated


def is_older_number(found: str, named: str) -> bool:
    """Whether a version is known to come before another."""
    return _is_number(found) and _is_number(named) and _number(found) < _number(named)


def _is_number(version: str) -> bool:
    return version.isascii() and version.isdigit()


def _number(version: str) -> tuple[int, str]:
    """What orders numbers of any length; to convert a long one is slow, and may be refused."""
    digits = version.lstrip("0")
    return len(digits), digits


def current_of(chosen: Sequence[Item], known: Sequence[Item]) -> tuple[Item, ...]:
    """Of each resource among the chosen its newest state, unless a newer one is known already.

    One that has to be read first is marked as `unsure`.
    """
    states: dict[tuple[str, str], list[Item]] = {}
    for item in sorted((*known, *chosen), key=lambda item: item.id):
        states.setdefault((item.type, item.resource_id), []).append(item)
    ids = {item.id for item in chosen}
    current = {state.id: state for group in states.values() for state in _current(group, ids)}
    return tuple(current[item.id] for item in chosen if item.id in current)


def _current(states: Sequence[Item], chosen: set[int]) -> tuple[Item, ...]:
    """The state to decide on, of those that are chosen; none if another one is the newest."""
    newest = states[0]
    is_sure = not any(state.gone for state in states)
    for state in states[1:]:
        newer = is_newer(state, newest)
        is_sure = is_sure and newer is not None
        newest = state if newer or newer is None else newest
    if is_sure:
        return (newest,) if newest.id in chosen else ()
    return tuple(replace(state, unsure=True) for state in states if state.id in chosen)[-1:]
