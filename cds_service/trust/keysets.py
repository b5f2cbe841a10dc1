# SPDX-License-Identifier: Apache-2.0
"""Key sets by URL: cached within bounds, and fetched again when a token names an unknown key.

An unknown key causes at most one fetch per minute and URL. So a client can change its keys at any
time, and no flood of forged tokens makes the service send requests at will. A server that fails is
asked less and less often. While one thread waits for a server, the others answer from what is
known; if that is nothing, a few of them wait for a moment, as in the first calls of a client.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from threading import Lock, Semaphore
from typing import Final

from cds_service.outgoing.address_policy import AddressPolicy
from cds_service.trust.fetch import Fetch, FetchError, fetch
from cds_service.trust.jwk import Key, UnusableKey, read_key_set

# RFC 9111, section 5.2.2, within bounds: no server makes us ask for every call, none for never.
LEAST_LIFE: Final = timedelta(minutes=1)
USUAL_LIFE: Final = timedelta(hours=1)
LONGEST_LIFE: Final = timedelta(days=1)
AFTER_LIFE: Final = timedelta(hours=1)  # how long keys still count when they cannot be renewed
BETWEEN_REFRESHES: Final = timedelta(minutes=1)
AFTER_FAILURE: Final = timedelta(seconds=10)  # doubled with each further failure in a row
LONGEST_AFTER_FAILURES: Final = timedelta(minutes=1)
_A_MOMENT: Final = 1.0  # seconds in which a server that is well has answered
_MOST_WAITING: Final = 16  # threads that wait for one set for a moment

_MAX_AGE = re.compile(r"(?:^|,)\s*max-age\s*=\s*\"?(\d{1,10})\"?\s*(?:,|$)", re.IGNORECASE)
_NOT_KEPT = re.compile(r"(?:^|,)\s*(?:no-store|no-cache)\s*(?:,|=|$)", re.IGNORECASE)


class KeysUnavailable(Exception):
    """No keys are cached and none could be fetched; the text says why, for the administrator."""


@dataclass(frozen=True, slots=True)
class _State:
    """The result of the last fetch, successful or not."""

    by_kid: Mapping[str, tuple[Key, ...]] = field(default_factory=dict)
    fresh_until: datetime | None = None
    next_try: datetime | None = None
    why: str = ""
    failures: int = 0  # since the last fetch that succeeded


@dataclass(slots=True)
class _Slot:
    """The cached set of one URL; a thread holds `lock` while it fetches."""

    state: _State = field(default_factory=_State)
    lock: Lock = field(default_factory=Lock)
    seats: Semaphore = field(default_factory=lambda: Semaphore(_MOST_WAITING))


class KeySets:
    """Every key set that is fetched, for all threads of a process."""

    def __init__(self, *, development: bool = False, fetch: Fetch = fetch) -> None:
        self._development = development
        self._fetch = fetch
        self._slots: dict[tuple[str, bool], _Slot] = {}
        self._lock = Lock()

    def find(self, url: str, kid: str, now: datetime, *, private: bool) -> tuple[Key, ...]:
        """The keys named `kid` in the set at the URL, which must be a registered one.

        Empty if the set has none of this name; raises `KeysUnavailable` if there is no set.
        """
        with self._lock:
            slot = self._slots.setdefault((url, private), _Slot())
        state = slot.state
        if kid in state.by_kid and _is_fresh(state, now):
            return state.by_kid[kid]
        if _may_try(state, now):
            state = self._renewed(slot, url, now, private=private)
        if not _is_usable(state, now):
            raise KeysUnavailable(state.why or "the keys were not fetched yet")
        return state.by_kid.get(kid, ())

    def _renewed(self, slot: _Slot, url: str, now: datetime, *, private: bool) -> _State:
        """The state after this thread has fetched the set, or what another's fetch leaves known."""
        before = slot.state
        if not slot.lock.acquire(blocking=False):
            if not _is_usable(before, now):
                _wait_a_moment(slot)
            return slot.state
        try:
            if slot.state is before:
                policy = AddressPolicy(private=private, loopback=self._development)
                slot.state = self._fetched(before, url, policy, now)
            return slot.state
        finally:
            slot.lock.release()

    def _fetched(self, before: _State, url: str, policy: AddressPolicy, now: datetime) -> _State:
        try:
            document = self._fetch(url, policy)
            keys = read_key_set(document.body)
        except (FetchError, UnusableKey) as error:
            pause = min(AFTER_FAILURE * 2**before.failures, LONGEST_AFTER_FAILURES)
            failures = min(before.failures + 1, 8)
            return _State(before.by_kid, before.fresh_until, now + pause, str(error), failures)
        by_kid: dict[str, tuple[Key, ...]] = {}
        for key in keys:
            by_kid[key.kid] = (*by_kid.get(key.kid, ()), key)
        return _State(by_kid, now + life_of(document.cache_control), now + BETWEEN_REFRESHES)


def life_of(cache_control: str) -> timedelta:
    """How long a key set is fresh by its Cache-Control header, within the bounds above.

    >>> life_of("public, max-age=300")
    datetime.timedelta(seconds=300)
    """
    if _NOT_KEPT.search(cache_control):
        return LEAST_LIFE
    match = _MAX_AGE.search(cache_control)
    life = timedelta(seconds=int(match[1])) if match else USUAL_LIFE
    return min(max(life, LEAST_LIFE), LONGEST_LIFE)


def _wait_a_moment(slot: _Slot) -> None:
    """Wait for the thread that fetches the set, but not long, and not with many others."""
    if slot.seats.acquire(blocking=False):
        try:
            if slot.lock.acquire(timeout=_A_MOMENT):
                slot.lock.release()
        finally:
            slot.seats.release()


def _is_fresh(state: _State, now: datetime) -> bool:
    return state.fresh_until is not None and now < state.fresh_until


def _is_usable(state: _State, now: datetime) -> bool:
    return state.fresh_until is not None and now < state.fresh_until + AFTER_LIFE


def _may_try(state: _State, now: datetime) -> bool:
    return state.next_try is None or now >= state.next_try
