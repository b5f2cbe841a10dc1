# SPDX-License-Identifier: Apache-2.0
"""The file of registrations -> `Registrations`, or everything that is wrong with it.

YAML as strict as the knowledge files; `docs/how-to/register-a-client.md` shows one.
"""

import re
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Annotated

from pydantic import BeforeValidator, Field, StringConstraints

from cds_service.fhir.references import base_url, is_base_url
from cds_service.knowledge.reading.schemas import (
    Shape,
    Text,
    YesNo,
)
from cds_service.outgoing.address_policy import AddressPolicy, url_problem
from cds_service.prefetch_keys import PrefetchKey
from cds_service.settings import OutputProfile, TokenSeconds
from cds_service.sourcefile.diagnostics import Mark, Problem
from cds_service.sourcefile.document import LARGEST_FILE, Document, Where
from cds_service.sourcefile.regular_file import read_regular_file
from cds_service.sourcefile.schema import read_shape_file
from cds_service.trust.clients import (
    DEFAULT_ALGORITHMS,
    URL_CALLED,
    Client,
    Registrations,
)
from cds_service.trust.compromised_keys import COMPROMISED_THUMBPRINTS, is_sandbox
from cds_service.trust.jwk import FITS, Key, UnusableKey, read_key

# Codes of this file, after those of knowledge files (K...).
CODES = {
    "R101": "two clients have the same id or issuer",
    "R102": "a client has no keys, or has them in two ways",
    "R103": "a key cannot be used",
    "R104": "an algorithm is not known or not allowed",
    "R105": "a URL cannot be used",
    "R106": "the client signs with keys that are published",
}

# RFC 6454, section 6.2, as browsers send it: nothing after the port, and no default port.
_ORIGIN = re.compile(r"(https?)://([a-z0-9.-]+|\[[0-9a-f:]+\])(:[0-9]{1,5})?")


def _as_list(value: object) -> object:
    return value if isinstance(value, list) else [value]


Texts = Annotated[list[Text], BeforeValidator(_as_list)]


class KeyShape(Shape, extra="allow"):
    """A JSON Web Key; its members are read by `jwk.read_key`."""


class ClientShape(Shape):
    """One client. Its id goes to the log, so it has the form of names there."""

    id: Annotated[str, StringConstraints(pattern=r"^[a-z][a-z0-9_-]{0,47}$")]
    issuer: Text
    keys: list[KeyShape] = Field(default_factory=list)
    jwks_url: Text | None = None
    jku: Texts = Field(default_factory=list)
    private_network: YesNo = "no"
    algorithms: Texts = Field(default_factory=lambda: list(DEFAULT_ALGORITHMS))
    audiences: Texts = Field(default_factory=lambda: [URL_CALLED])
    tenants: Texts = Field(default_factory=list)
    fhir_servers: Texts = Field(default_factory=list)
    origins: Texts = Field(default_factory=list)
    output_profile: OutputProfile = "default"
    prefetch_keys: dict[Text, PrefetchKey] = Field(default_factory=dict)
    patients_see_cards: YesNo = "no"
    token_max_seconds: TokenSeconds | None = None


class ClientsShape(Shape):
    """The whole file."""

    clients: Annotated[list[ClientShape], Field(min_length=1)]


def shows_its_end(path: Path) -> bool:
    """Whether the file ends with a mark of its end: `...` (YAML), or the brace of its first line.

    What comes before such an end cannot be missing; a file without one may be cut anywhere.
    """
    try:
        text = read_regular_file(path, LARGEST_FILE).content.strip()
    except OSError:
        return True  # reading it says what is wrong
    return text.endswith(b"\n...") or (text.startswith(b"{") and text.endswith(b"}"))


def read_registrations(
    path: Path, *, development: bool
) -> tuple[Registrations | None, list[Problem]]:
    """The clients of the file, or `None`, and every problem in it."""
    read, problems = read_shape_file(path, ClientsShape)
    if read is None:
        return None, problems
    shape, document = read
    reader = _Reader(document, development=development)
    clients = [reader.client(client, ("clients", n)) for n, client in enumerate(shape.clients)]
    problems += [*reader.problems, *_twice(shape, document)]
    return (None if problems else Registrations(clients=tuple(clients))), problems


class _Reader:
    """Turns shapes into clients and collects what is wrong."""

    def __init__(self, document: Document, *, development: bool) -> None:
        self.document = document
        self.development = development
        self.problems: list[Problem] = []

    def client(self, shape: ClientShape, at: Where) -> Client:
        private = shape.private_network == "yes"
        self._sources(shape, at)
        self._urls(shape, AddressPolicy(private=private, loopback=self.development), at)
        self._algorithms(shape.algorithms, (*at, "algorithms"))
        self._servers(shape.fhir_servers, (*at, "fhir servers"))
        self._origins(shape.origins, (*at, "origins"))
        if is_sandbox(shape.issuer) and not self.development:
            self._compromised((*at, "issuer"))
        if re.search(r"\d{4}", shape.id):  # the log drops what could be a number of a patient
            self._problem("K106", (*at, "id"), "an id has no four digits in a row")
        return Client(
            id=shape.id,
            issuer=shape.issuer,
            keys=tuple(self._keys(shape, (*at, "keys"))),
            jwks_url=shape.jwks_url,
            jku=frozenset(shape.jku),
            private_network=private,
            algorithms=tuple(shape.algorithms),
            audiences=tuple(shape.audiences),
            tenants=frozenset(shape.tenants),
            fhir_servers=frozenset(map(base_url, shape.fhir_servers)),
            origins=frozenset(shape.origins),
            output_profile=shape.output_profile,
            prefetch_keys=dict(shape.prefetch_keys),
            patients_see_cards=shape.patients_see_cards == "yes",
            longest_token=_seconds(shape.token_max_seconds),
        )

    def _sources(self, shape: ClientShape, at: Where) -> None:
        if shape.keys and shape.jwks_url is not None:
            message = "the client has keys and a jwks url"
            self._problem("R102", (*at, "jwks url"), message, "keep one of the two")
        if not shape.keys and shape.jwks_url is None and not shape.jku:
            message = f"the client '{shape.id}' has no keys"
            self._problem("R102", at, message, "write keys, a jwks url, or the jku it may name")

    def _urls(self, shape: ClientShape, policy: AddressPolicy, at: Where) -> None:
        places: list[tuple[str, Where]] = [
            (url, (*at, "jku", n)) for n, url in enumerate(shape.jku)
        ]
        if shape.jwks_url is not None:
            places.append((shape.jwks_url, (*at, "jwks url")))
        for url, where in places:
            if reason := url_problem(url, policy):
                self._problem("R105", where, f"keys cannot be fetched from here: {reason}")
            elif is_sandbox(url) and not self.development:
                self._compromised(where)

    def _algorithms(self, names: list[str], at: Where) -> None:
        for n, name in enumerate(names):
            if name not in FITS:
                remedy = f"write one of {', '.join(FITS)}; none and HS* are never accepted"
                self._problem("R104", (*at, n), f"'{name}' is no algorithm for a client", remedy)

    def _servers(self, urls: list[str], at: Where) -> None:
        for n, url in enumerate(urls):
            if not is_base_url(url):
                self._problem("R105", (*at, n), "write the base URL of a FHIR server")
            elif not url.lower().startswith("https://") and not self.development:
                self._problem("R105", (*at, n), "in production a FHIR server has https")

    def _origins(self, origins: list[str], at: Where) -> None:
        for n, origin in enumerate(origins):
            if message := why_no_origin(origin, development=self.development):
                self._problem("R105", (*at, n), message)

    def _keys(self, shape: ClientShape, at: Where) -> Iterator[Key]:
        seen: set[str] = set()
        for n, key_shape in enumerate(shape.keys):
            where = (*at, n)
            try:
                key = read_key(key_shape.model_extra or {})
            except UnusableKey as error:
                self._problem("R103", where, f"this key cannot be used: {error}")
                continue
            if key.kid in seen:
                self._problem("R103", where, "two keys of the client have the same kid")
            if key.thumbprint in COMPROMISED_THUMBPRINTS and not self.development:
                self._compromised(where)
            if not any(key.fits(name) for name in shape.algorithms):
                remedy = "list an algorithm of this key, or leave the key out"
                self._problem("R103", where, "the key is for none of the algorithms", remedy)
            seen.add(key.kid)
            yield key

    def _compromised(self, where: Where) -> None:
        message = "the keys of the public CDS Hooks Sandbox are published, so anyone can use them"
        self._problem("R106", where, message, "only CDS_PROFILE=development takes them")

    def _problem(self, code: str, where: Where, message: str, remedy: str = "") -> None:
        self.problems.append(Problem(code, self.document.mark(where), message, remedy))


def _seconds(number: int | None) -> timedelta | None:
    return None if number is None else timedelta(seconds=number)


def why_no_origin(origin: str, *, development: bool) -> str | None:
    """What is wrong with a web origin of a client, or `None`."""
    if not _ORIGIN.fullmatch(origin):
        return "write an origin as a browser sends it: https://ehr.example.org"
    if origin.startswith("http:") and not development:
        return "in production an origin has https"
    if (origin.startswith("https:") and origin.endswith(":443")) or (
        origin.startswith("http:") and origin.endswith(":80")
    ):
        return "leave the default port out, as browsers do"
    return None


def _twice(shape: ClientsShape, document: Document) -> Iterator[Problem]:
    """Repeated ids and issuers: a token names its client by the issuer alone."""
    for name in ("id", "issuer"):
        seen: dict[str, Mark] = {}
        for n, client in enumerate(shape.clients):
            value = getattr(client, name)
            mark = document.mark(("clients", n, name))
            if value in seen:
                message = f"this {name} is also that of the client in line {seen[value].line}"
                yield Problem("R101", mark, message)
            seen.setdefault(value, mark)
