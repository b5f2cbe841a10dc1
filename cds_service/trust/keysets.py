# SPDX-License-Identifier: Apache-2.0
"""The keys behind a URL, kept as long as they may be and fetched again when a new one turns up.

A key that is not in a set that is still fresh causes one fetch a minute at most, whoever asks: a
client can change its keys at any time, and a stranger cannot make the service call out at will.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from threading import Lock
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
AFTER_FAILURE: Final = timedelta(seconds=10)

_MAX_AGE = re.compile(r"(?:^|,)\s*max-age\s*=\s*\"?(\d{1,10})\"?\s*(?:,|$)", re.IGNORECASE)
_NOT_KEPT = re.compile(r"(?:^|,)\s*(?:no-store|no-cache)\s*(?:,|=|$)", re.IGNORECASE)


class KeysUnavailable(Exception):
    """There are no keys, and none can be had at present; says why, for the administrator."""


@dataclass(frozen=True, slots=True)
class _Known:
    """A set as it was fetched, or the want of it."""

    by_kid: Mapping[str, tuple[Key, ...]] = field(default_factory=dict)
    fresh_until: datetime | None = None
    next_try: datetime | None = None
    why: str = ""


@dataclass(slots=True)
class _Place:
    """What is known of one URL; `lock` is held by whoever fetches."""

    known: _Known = field(default_factory=_Known)
    lock: Lock = field(default_factory=Lock)


class KeySets:
    """Every key set that is fetched; for all threads of a process."""

    def __init__(self, *, development: bool = False, fetch: Fetch = fetch) -> None:
        self._development = development
        self._fetch = fetch
        self._places: dict[tuple[str, bool], _Place] = {}
        self._lock = Lock()

    def find(self, url: str, kid: str, now: datetime, *, private: bool) -> tuple[Key, ...]:
        """The keys of this name in the set at the URL, which the caller found to be allowed.

        Raises `KeysUnavailable`.
        """
        with self._lock:
            place = self._places.setdefault((url, private), _Place())
        known = place.known
        if kid in known.by_kid and _is_fresh(known, now):
            return known.by_kid[kid]
        if _may_try(known, now):
            known = self._renewed(place, url, now, private=private)
        if not _is_usable(known, now):
            raise KeysUnavailable(known.why or "the keys were not fetched yet")
        return known.by_kid.get(kid, ())

    def _renewed(self, place: _Place, url: str, now: datetime, *, private: bool) -> _Known:
        """The set after one fetch by one thread; the others wait and see what it brought."""
        before = place.known
        # Who still has keys that count does not wait for those of another.
        if not place.lock.acquire(blocking=not _is_usable(before, now)):
            return place.known
        try:
            if place.known is before:
                policy = AddressPolicy(private=private, loopback=self._development)
                place.known = self._fetched(before, url, policy, now)
            return place.known
        finally:
            place.lock.release()

    def _fetched(self, before: _Known, url: str, policy: AddressPolicy, now: datetime) -> _Known:
        try:
            found = self._fetch(url, policy)
            keys = read_key_set(found.body)
        except (FetchError, UnusableKey) as error:
            return _Known(before.by_kid, before.fresh_until, now + AFTER_FAILURE, str(error))
        by_kid: dict[str, tuple[Key, ...]] = {}
        for key in keys:
            by_kid[key.kid] = (*by_kid.get(key.kid, ()), key)
        return _Known(by_kid, now + life_of(found.cache_control), now + BETWEEN_REFRESHES)


def life_of(cache_control: str) -> timedelta:
    """How long a key set is fresh by its header, within the bounds above."""
    if _NOT_KEPT.search(cache_control):
        return LEAST_LIFE
    found = _MAX_AGE.search(cache_control)
    said = timedelta(seconds=int(found[1])) if found else USUAL_LIFE
    return min(max(said, LEAST_LIFE), LONGEST_LIFE)


def _is_fresh(known: _Known, now: datetime) -> bool:
    return known.fresh_until is not None and now < known.fresh_until


def _is_usable(known: _Known, now: datetime) -> bool:
    return known.fresh_until is not None and now < known.fresh_until + AFTER_LIFE


def _may_try(known: _Known, now: datetime) -> bool:
    return known.next_try is None or now >= known.next_try
