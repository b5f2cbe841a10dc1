# SPDX-License-Identifier: Apache-2.0
"""A private key of a client -> what signs its tokens, for tests of a call.

Two kinds: the client's own key in a file that a person names, and a test key of this machine, in
development only. Neither is ever shown.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any, Final

import click
import jwt
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.hazmat.primitives.serialization import load_pem_private_key
from jwt import PyJWK, PyJWTError
from jwt.algorithms import ECAlgorithm, OKPAlgorithm, RSAAlgorithm

from cds_service.settings import Settings, state_folder
from cds_service.smart.key_rotation import add_key
from cds_service.smart.signing_keys import read_signing_keys
from cds_service.sourcefile.regular_file import read_regular_file
from cds_service.trust.clients import Client
from cds_service.trust.jwk import FITS, Key, UnusableKey, read_key
from cds_service.trust.tokens import parse_jws

_MOST_BYTES: Final = 64 * 1024
_OTHERS: Final = 0o077  # the rights of everyone but the owner
_PRIVATE: Final = ("d", "p", "q", "dp", "dq", "qi", "oth")


@dataclass(frozen=True, slots=True, kw_only=True)
class ClientKey:
    """A private key with its public half; `public` has the name by which tokens name it."""

    public: Key
    private: Any = field(repr=False)


def client_key(
    client: Client, file: Path | None, settings: Settings, kid: str | None = None
) -> ClientKey:
    """The key that signs for a client: that of the file, else in development its test key.

    Where the client's keys stand in its registration the key is one of them, and has its `kid`
    from there. Raises `click.ClickException` with what to do.
    """
    if file is not None:
        return _registered(key_of_file(file, kid), client)
    if settings.profile != "development":
        raise click.UsageError(
            f"in production only a key of its own signs for '{client.id}': name the file of that "
            "private key with --key; a test key is for CDS_PROFILE=development"
        )
    path = test_key_file(client.id)
    if not path.exists():
        raise click.UsageError(
            f"'{client.id}' has no test key on this machine: name its private key with --key, or "
            f"register a client of your own: cds-service clients test-key {client.id}"
        )
    return _registered(_of_machine(path), client)


def test_key_file(client: str) -> Path:
    """Where the test key of a client is kept, for its owner alone."""
    return state_folder() / "test-keys" / f"{client}.json"


def made_test_key(client: str, now: datetime) -> Key:
    """The public half of the test key of a client, which is made if there is none.

    Raises `SettingsError` if its file cannot be written or read.
    """
    path = test_key_file(client)
    if not path.exists():
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        add_key(path, "ES384", now, now)
    return _of_machine(path).public


def key_of_file(file: Path, kid: str | None = None) -> ClientKey:
    """The private key of a file: a JSON Web Key, a set with one, or PEM.

    Raises `click.ClickException`; no message holds anything of the file.
    """
    try:
        read = read_regular_file(file, _MOST_BYTES)
    except OSError:
        raise click.UsageError("--key: there is no such file that can be read") from None
    if read.mode & _OTHERS:
        raise click.UsageError(f"--key: others than its owner may use it; run: chmod 600 {file}")
    is_pem = read.content.lstrip().startswith(b"-----BEGIN")
    try:
        members = _of_pem(read.content) if is_pem else _of_json(read.content, kid)
        return _key({**members, **({} if kid is None else {"kid": kid})})
    except UnusableKey as error:
        raise click.UsageError(f"--key: {error}") from None


def _of_machine(path: Path) -> ClientKey:
    keys = read_signing_keys(path).keys
    if not keys:
        raise click.UsageError(f"{path} holds no key; remove it, and a new one can be made")
    return ClientKey(public=read_key(keys[-1].public), private=keys[-1].private)


def _registered(key: ClientKey, client: Client) -> ClientKey:
    """The key by the name under which it is registered; keys that are fetched are not looked at."""
    if not client.keys:
        return key
    for known in client.keys:
        if known.thumbprint == key.public.thumbprint:
            return ClientKey(public=known, private=key.private)
    names = ", ".join(known.kid for known in client.keys)
    raise click.UsageError(
        f"the key is none of those registered for '{client.id}' ({names}): its thumbprint is "
        f"{key.public.thumbprint}"
    )


def _of_pem(content: bytes) -> dict[str, Any]:
    """The members of the key, as `to_jwk` of the algorithm of its type has them."""
    try:
        private = load_pem_private_key(content, password=None)
    except (ValueError, TypeError, UnsupportedAlgorithm):
        raise UnusableKey("it is no private key in PEM without a password") from None
    if isinstance(private, ec.EllipticCurvePrivateKey):
        return ECAlgorithm.to_jwk(private, as_dict=True)
    if isinstance(private, rsa.RSAPrivateKey):
        return RSAAlgorithm.to_jwk(private, as_dict=True)
    if isinstance(private, ed25519.Ed25519PrivateKey):
        return OKPAlgorithm.to_jwk(private, as_dict=True)
    raise UnusableKey("it is a key of a type that no client signs with")


def _of_json(content: bytes, kid: str | None) -> dict[str, Any]:
    try:
        document = json.loads(content)
    except (ValueError, RecursionError):
        raise UnusableKey("it is neither JSON nor PEM") from None
    held = document.get("keys", [document]) if isinstance(document, dict) else None
    entries = [entry for entry in held or () if isinstance(entry, dict) and "d" in entry]
    if kid is not None and len(entries) > 1:
        entries = [entry for entry in entries if entry.get("kid") == kid]
    if not entries:
        raise UnusableKey("it holds no private key (a JSON Web Key with the member d)")
    if len(entries) > 1:
        raise UnusableKey("it holds several private keys; name one with --kid")
    return entries[0]


def _key(members: Mapping[str, Any]) -> ClientKey:
    """The key pair; what the private half signs, the public half verifies."""
    public_members = {
        name: value
        for name, value in members.items()
        if name not in {*_PRIVATE, "use", "key_ops", "alg"}
    }
    public = read_key({"kid": "unnamed", **public_members})
    algorithm = next(name for name in FITS if public.fits(name))
    try:
        private = PyJWK(
            {**public.members, **{n: members[n] for n in _PRIVATE if n in members}}, algorithm
        ).key
        trial = parse_jws(jwt.encode({}, private, algorithm))
    except (PyJWTError, ValueError, TypeError, UnsupportedAlgorithm):
        raise UnusableKey("its private members are no key") from None
    if not public.has_signed(trial, algorithm):
        raise UnusableKey("its private half is that of another key")
    return ClientKey(public=public, private=private)
