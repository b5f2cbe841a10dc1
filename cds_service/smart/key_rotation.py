# SPDX-License-Identifier: Apache-2.0
"""New signing keys, and old ones retired: the file changes as a whole or not at all.

A server that asked for the public keys may keep them for a while, so a new key is published first
and signs later, and an old one stays published until it is retired (SMART App Launch 2.2, "Client
Authentication: Asymmetric", on the rotation of keys).
"""

import json
import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import datetime, timedelta
from pathlib import Path
from secrets import token_hex
from typing import Any, Final

from cryptography.hazmat.primitives.asymmetric import ec, rsa
from jwt import get_algorithm_by_name

from cds_service.errors import SettingsError
from cds_service.fhir_client.servers import SigningAlgorithm
from cds_service.smart.signing_keys import (
    VARIABLE,
    SigningKey,
    SigningKeys,
    read_entries,
    read_signing_keys,
)

# Many times as long as a server may keep the public keys (`KEPT`).
PUBLISHED_FIRST: Final = timedelta(hours=24)
_RSA_BITS: Final = 3072


class Needed(Exception):
    """The key cannot be spared; says why."""


def add_key(
    path: Path, algorithm: SigningAlgorithm, now: datetime, signs_from: datetime | None = None
) -> SigningKey:
    """A new key, which is in the file when this returns; the file is made if there is none.

    By default the key signs from a day on, or at once if no other key of its algorithm
    signs now. Raises `SettingsError` if the file is there and wrong.
    """
    with _alone(path):
        before = read_signing_keys(path) if path.exists() else SigningKeys()
        if signs_from is None:
            is_first = before.signing(algorithm, now) is None
            signs_from = now if is_first else now + PUBLISHED_FIRST
        kid = f"{algorithm.lower()}-{now:%Y-%m-%d}-{token_hex(4)}"
        entry = {**_made(algorithm), "kid": kid, "alg": algorithm, "use": "sig"}
        entry["signs_from"] = signs_from.isoformat(timespec="seconds")
        _write(path, [*(read_entries(path) if path.exists() else []), entry])
        return next(key for key in read_signing_keys(path).keys if key.kid == kid)


def retire_key(path: Path, kid: str, now: datetime, *, anyway: bool = False) -> SigningKey:
    """Take a key out of the file: it signs nothing more, and is published no more.

    Raises `KeyError` if there is none of this name, and `Needed` if no other could sign in its
    place now, unless it is to go `anyway`.
    """
    with _alone(path):
        before = read_signing_keys(path)
        key = next((entry for entry in before.keys if entry.kid == kid), None)
        if key is None:
            raise KeyError(kid)
        after = SigningKeys(tuple(entry for entry in before.keys if entry is not key))
        if key.signs_from <= now and after.signing(key.algorithm, now) is None and not anyway:
            raise Needed(f"no other key signs with {key.algorithm} now")
        kept = [
            entry for entry in read_entries(path) if isinstance(entry, dict) and entry["kid"] != kid
        ]
        _write(path, kept)
        return key


def _made(algorithm: SigningAlgorithm) -> dict[str, Any]:
    """The members of a new key pair."""
    private = (
        ec.generate_private_key(ec.SECP384R1())
        if algorithm == "ES384"
        else rsa.generate_private_key(65537, _RSA_BITS)
    )
    members: dict[str, Any] = get_algorithm_by_name(algorithm).to_jwk(private, as_dict=True)
    members.pop("key_ops", None)
    return members


def _write(path: Path, entries: list[Any]) -> None:
    """The file with these keys: for its owner alone, and on the disk before the old one goes."""
    target = path.resolve()  # a link stays a link
    made = target.with_name(f".{target.name}.{token_hex(4)}")
    try:
        with os.fdopen(os.open(made, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
            _give_to_owner(file.fileno(), target)
            json.dump({"keys": entries}, file, indent=2)
            file.write("\n")
            file.flush()
            os.fsync(file.fileno())
        made.replace(target)
    except OSError as error:
        raise _unwritable(path) from error
    finally:
        with suppress(OSError):
            made.unlink()


def _give_to_owner(file: int, target: Path) -> None:
    """Keep the owner of the old file (or its directory) when running as root.

    Otherwise the service could no longer read it.
    """
    if os.geteuid() == 0:
        owner = (target if target.exists() else target.parent).stat()
        os.fchown(file, owner.st_uid, owner.st_gid)


@contextmanager
def _alone(path: Path) -> Iterator[None]:
    """No other command changes the file meanwhile."""
    from fcntl import LOCK_EX, flock  # not on every system, and only here

    try:
        folder = os.open(path.resolve().parent, os.O_RDONLY)
    except OSError as error:
        raise _unwritable(path) from error
    try:
        flock(folder, LOCK_EX)
        yield
    finally:
        os.close(folder)


def _unwritable(path: Path) -> SettingsError:
    return SettingsError([f"{VARIABLE}: nothing can be written to the folder of {path}"])
