# SPDX-License-Identifier: Apache-2.0
"""A client to register, its keys and its tokens, and a service that knows it."""

import json
from base64 import urlsafe_b64encode
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from functools import cache
from itertools import count
from pathlib import Path
from typing import Any

from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from flask.testing import FlaskClient
from jwt.algorithms import Algorithm, get_default_algorithms
from pydantic import SecretStr
from werkzeug.test import TestResponse

from cds_service.settings import Settings
from cds_service.trust.used_tokens import ReplayStore
from cds_service.web import create_app
from tests.web.http_fixtures import NOW, founding, knowledge

Json = dict[str, Any]

BASE = "https://cds.example.org"
SERVICE = "/cds-services/liver-patient-view"
URL = BASE + SERVICE
ISSUER = "https://ehr.example.org"
NUMBERS = count()


@dataclass(frozen=True)
class Signer:
    """A private key and its algorithm."""

    kid: str
    algorithm: str
    private: Any = field(repr=False)

    @property
    def jwk(self) -> Json:
        """The public key."""
        method: Algorithm = get_default_algorithms()[self.algorithm]
        public: Json = method.to_jwk(self.private.public_key(), as_dict=True)
        public.pop("key_ops", None)
        return {**public, "kid": self.kid, "use": "sig"}

    def token(self, header: Mapping[str, Any] = {}, **claims: Any) -> str:
        """A token of this key; a member that is given as `...` is left out."""
        said = {"alg": self.algorithm, "typ": "JWT", "kid": self.kid, **header}
        return signed(whole(said), whole(claims_of(**claims)), self.algorithm, self.private)


@cache
def es384(kid: str = "key-ec") -> Signer:
    return Signer(kid, "ES384", ec.generate_private_key(ec.SECP384R1()))


@cache
def rs384(kid: str = "key-rsa", bits: int = 2048) -> Signer:
    return Signer(kid, "RS384", rsa.generate_private_key(65537, bits))


def private_key_for(algorithm: str) -> Any:
    """A new private key of the type and curve of the algorithm."""
    if algorithm == "EdDSA":
        return ed25519.Ed25519PrivateKey.generate()
    curves = {"ES256": ec.SECP256R1(), "ES384": ec.SECP384R1(), "ES512": ec.SECP521R1()}
    if algorithm in curves:
        return ec.generate_private_key(curves[algorithm])
    return rsa.generate_private_key(65537, 2048)


def seconds(offset: float = 0, now: datetime = NOW) -> int | float:
    """A time relative to the service's."""
    moment = (now + timedelta(seconds=offset)).timestamp()
    return int(moment) if moment == int(moment) else moment


def claims_of(**changes: Any) -> Json:
    """The claims of a good token, each with a name of its own, changed."""
    return {
        "iss": ISSUER,
        "aud": URL,
        "exp": seconds(300),
        "iat": seconds(),
        "jti": f"token-{next(NUMBERS)}",
        **changes,
    }


def whole(members: Mapping[str, Any]) -> Json:
    return {name: value for name, value in members.items() if value is not ...}


def encoded(data: bytes) -> str:
    return urlsafe_b64encode(data).rstrip(b"=").decode()


def part(members: object) -> str:
    return encoded(json.dumps(members).encode())


def signed(header: Json, claims: Json, algorithm: str, private: Any) -> str:
    """A token with exactly this header and these claims, whatever they say."""
    return signed_text(f"{part(header)}.{part(claims)}", algorithm, private)


def signed_text(text: str, algorithm: str, private: Any) -> str:
    method: Algorithm = get_default_algorithms()[algorithm]
    return f"{text}.{encoded(method.sign(text.encode(), private))}"


def registration(**members: Any) -> Json:
    """The client of these tests: both keys, nothing restricted; `...` leaves a member out."""
    usual = {"id": "ehr", "issuer": ISSUER, "keys": [es384().jwk, rs384().jwk]}
    return whole({**usual, **members})


def write_clients(path: Path, *clients: Json) -> Path:
    """A file of registrations: JSON is YAML too."""
    path.write_text(json.dumps({"clients": clients}), encoding="utf-8")
    return path


def settings_for(file: Path, **more: Any) -> Settings:
    own = SecretStr("sqlite://")  # a database of this application alone
    return Settings(**{"clients": file, "public_url": BASE, "database_url": own, **more})


@dataclass
class Site:
    """A service with registered clients, whose clock can be moved."""

    file: Path
    settings: Settings
    now: datetime = NOW
    replay: ReplayStore | None = None
    http: FlaskClient = field(init=False)

    def __post_init__(self) -> None:
        self.http = create_app(
            self.settings, clock=lambda: self.now, knowledge=knowledge(), replay=self.replay
        ).test_client()

    def call(self, token: str | None, path: str = SERVICE, **more: Any) -> TestResponse:
        """The answer to a call with this token."""
        headers = {} if token is None else {"Authorization": f"Bearer {token}"}
        return self.http.post(path, json=founding(), headers=headers, **more)

    def refusals(self) -> Counter[str]:
        """How many tokens were refused for which reason."""
        found: Counter[str] = Counter()
        for line in self.http.get("/metrics").text.splitlines():
            if line.startswith("cds_calls_refused_total{"):
                labels, number = line.rsplit(" ", 1)
                found[labels.split('reason="')[1].split('"')[0]] += int(float(number))
        return found


def site(folder: Path, *clients: Json, **more: Any) -> Site:
    """A service that knows these clients, by default the one of `registration`."""
    file = write_clients(folder / "clients.yaml", *(clients or (registration(),)))
    return Site(file, settings_for(file, **more))


def refused(place: Site, token: str | None, reason: str, path: str = SERVICE) -> None:
    """Assert that the token gets the bare 401, and that it is for this reason."""
    before = place.refusals()
    response = place.call(token, path)
    assert response.status_code == 401, response.text
    assert place.refusals() - before == Counter([reason])
    assert (response.data, sorted(response.headers)) == bare(place)


def bare(place: Site) -> tuple[bytes, list[tuple[str, str]]]:
    """The 401 of a call without a token: every other one is the same to the byte."""
    response = place.call(None)
    assert response.status_code == 401
    return response.data, sorted(response.headers)
