# SPDX-License-Identifier: Apache-2.0
"""The service's own signing keys: a file with a private JSON Web Key Set -> `SigningKeys`.

A server that registered the service knows it by these keys (SMART App Launch 2.2, "Client
Authentication: Asymmetric"). It fetches the public ones and keeps them for a while, so a key can
have a member of ours, `signs_from`: it is published from the start and signs from then on.
"""

import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Final, Literal, TypeAlias, get_args

from cds_service.errors import SettingsError
from cds_service.fhir_client.servers import SigningAlgorithm
from cds_service.iso_times import moment_of
from cds_service.log import log_signing_keys
from cds_service.sourcefile.regular_file import read_regular_file
from cds_service.sourcefile.watched import WatchedFile
from cds_service.trust.jwk import MOST_KEYS, Key, UnusableKey, read_key
from cds_service.trust.tokens import parse_jws

ALGORITHMS: Final[tuple[SigningAlgorithm, ...]] = get_args(SigningAlgorithm)
VARIABLE: Final = "CDS_SIGNING_KEYS"
KEPT: Final = timedelta(hours=1)  # how long others may keep the public keys

State: TypeAlias = Literal["signs", "waits", "replaced"]
Entry: TypeAlias = dict[str, object]

_MOST_BYTES: Final = 1024 * 1024
_OTHERS: Final = 0o077  # the rights of everyone but the owner
_PUBLIC: Final = ("kty", "crv", "x", "y", "n", "e", "kid", "alg")
_PRIVATE: Final = ("d", "p", "q", "dp", "dq", "qi")
_ALWAYS: Final = datetime.min.replace(tzinfo=UTC)


@dataclass(frozen=True, slots=True, kw_only=True)
class SigningKey:
    """A key pair. `public` is its JSON Web Key as it is published (RFC 7517)."""

    kid: str
    algorithm: SigningAlgorithm
    signs_from: datetime
    public: Mapping[str, str]
    private: Any = field(repr=False, compare=False)

    def signed(self, claims: Mapping[str, object]) -> str:
        """A JSON Web Token with these claims; its header names the key and the type JWT."""
        import jwt  # which brings cryptography: without keys nothing needs it

        return jwt.encode(
            dict(claims), self.private, self.algorithm, headers={"kid": self.kid, "typ": "JWT"}
        )


@dataclass(frozen=True, slots=True)
class SigningKeys:
    """Every key of the service, in the order of the file."""

    keys: tuple[SigningKey, ...] = ()

    def signing(self, algorithm: SigningAlgorithm, now: datetime) -> SigningKey | None:
        """The key that signs now: the newest of this algorithm whose time has come."""
        begun = [key for key in self.keys if key.algorithm == algorithm and key.signs_from <= now]
        return max(reversed(begun), key=lambda key: key.signs_from, default=None)

    def state(self, key: SigningKey, now: datetime) -> State:
        """What a key is for at this time; a replaced one can be retired."""
        if key.signs_from > now:
            return "waits"
        return "signs" if self.signing(key.algorithm, now) is key else "replaced"

    def published(self) -> dict[str, Any]:
        """The public JSON Web Key Set."""
        return {"keys": [dict(key.public) for key in self.keys]}


class KeyFile(WatchedFile[SigningKeys]):
    """The keys of a file, read again when it changes; a wrong new file leaves the old in force."""

    def __init__(
        self, path: Path, on_reload: Callable[[SigningKeys, int], None] | None = None
    ) -> None:
        """Read the file and watch it, as `WatchedFile` does."""
        super().__init__(path, read_signing_keys, on_reload)


def open_keys(path: Path | None, *, logged: bool = False) -> KeyFile | None:
    """The keys of the file that is set, if one is; raises `SettingsError`."""
    if path is None:
        return None
    return KeyFile(path, _log if logged else None)


def _log(keys: SigningKeys, problems: int) -> None:
    log_signing_keys(keys=len(keys.keys), problems=problems)


def read_signing_keys(path: Path) -> SigningKeys:
    """The keys of the file; raises `SettingsError` with every problem; none shows a key."""
    problems: list[str] = []
    keys: list[SigningKey] = []
    for n, entry in enumerate(read_entries(path), 1):
        try:
            keys.append(_key(entry))
        except UnusableKey as error:
            problems.append(f"{VARIABLE}: key {n}: {error}")
    problems += _twice(keys)
    if problems:
        raise SettingsError(problems)
    return SigningKeys(tuple(keys))


def read_entries(path: Path) -> list[object]:
    """The members of the set as they stand in the file; raises `SettingsError`."""
    try:
        file = read_regular_file(path, _MOST_BYTES)
    except OSError:
        raise _wrong(f"there is no file {path} that can be read; 'keys new' makes one") from None
    if file.mode & _OTHERS:
        raise _wrong(f"others than its owner may use the file; run: chmod 600 {path}")
    if len(file.content) > _MOST_BYTES:
        raise _wrong(f"the file is longer than {_MOST_BYTES} bytes")
    try:
        document = json.loads(file.content)
    except (ValueError, RecursionError):
        raise _wrong("the file is not JSON") from None
    entries = document.get("keys") if isinstance(document, dict) else None
    if not isinstance(entries, list):
        raise _wrong("the file is no JSON Web Key Set: an object with the member keys")
    if len(entries) > MOST_KEYS:
        raise _wrong(f"the file holds more than {MOST_KEYS} keys")
    return entries


def _key(entry: object) -> SigningKey:
    """The key pair; raises `UnusableKey`."""
    if not isinstance(entry, dict):
        raise UnusableKey("it is no object")
    algorithm = next((name for name in ALGORITHMS if entry.get("alg") == name), None)
    if algorithm is None:
        raise UnusableKey(f"alg must be one of {', '.join(ALGORITHMS)}")
    public = read_key({name: entry[name] for name in _PUBLIC if name in entry})
    if not public.fits(algorithm):
        raise UnusableKey(f"it is no key for {algorithm}")
    private = {name: entry[name] for name in _PRIVATE if name in entry}
    if "d" not in private or not all(_is_text(value) for value in private.values()):
        raise UnusableKey("its private members are missing, or are no texts")
    return SigningKey(
        kid=public.kid,
        algorithm=algorithm,
        signs_from=_time(entry.get("signs_from")),
        public={**public.members, "kid": public.kid, "alg": algorithm, "use": "sig"},
        private=_private(public, algorithm, private),
    )


def _private(public: Key, algorithm: SigningAlgorithm, members: Mapping[str, str]) -> Any:
    """The private key, tried: what it signs fits the public one."""
    import jwt
    from cryptography.exceptions import UnsupportedAlgorithm
    from jwt import PyJWK, PyJWTError

    try:
        private = PyJWK({**public.members, **members}, algorithm).key
        trial = parse_jws(jwt.encode({}, private, algorithm))
    except (PyJWTError, ValueError, TypeError, UnsupportedAlgorithm):
        raise UnusableKey("its private members are no key") from None
    if not public.has_signed(trial, algorithm):
        raise UnusableKey("its private members are those of another key")
    return private


def _time(written: object) -> datetime:
    """When a key begins to sign; at once if nothing is written."""
    if written is None:
        return _ALWAYS
    try:
        time = moment_of(written) if isinstance(written, str) else None
    except ValueError:
        time = None
    if time is None or time.tzinfo is None:
        raise UnusableKey("signs_from must be a time with its zone, as 2026-11-25T12:00:00Z")
    return time


def _twice(keys: list[SigningKey]) -> Iterator[str]:
    seen: set[str] = set()
    for key in keys:
        if key.kid in seen:
            yield f"{VARIABLE}: two keys have the same kid"
        seen.add(key.kid)


def _is_text(value: object) -> bool:
    return isinstance(value, str) and value.isascii()


def _wrong(problem: str) -> SettingsError:
    return SettingsError([f"{VARIABLE}: {problem}"])
