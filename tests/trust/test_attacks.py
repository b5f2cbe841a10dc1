# SPDX-License-Identifier: Apache-2.0
"""Attacks on the authentication: each is refused, and for the reason that was meant to stop it."""

import hmac
import json
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from cds_service.outgoing import address_policy as reaching
from cds_service.trust.jwk import Key
from cds_service.trust.tokens import LONGEST, Token
from tests.trust.address_trap import Trap, trap
from tests.trust.signing import (
    ISSUER,
    SERVICE,
    Signer,
    Site,
    claims_of,
    encoded,
    es384,
    part,
    refused,
    registration,
    rs384,
    signed_text,
    site,
)
from tests.web.http_fixtures import founding


@pytest.fixture(name="place", scope="module")
def _place(tmp_path_factory: pytest.TempPathFactory) -> Site:
    return site(tmp_path_factory.mktemp("site"))


@pytest.fixture(name="snare")
def _snare() -> Iterator[Trap]:
    with trap() as state:
        yield state


@pytest.fixture(name="outside")
def _outside(monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """Every attempt to leave: names that were looked up and connections that were tried."""
    tried: list[Any] = []

    def lookup(host: object, *rest: object, **more: object) -> list[Any]:
        tried.append(host)
        raise OSError

    monkeypatch.setattr(reaching, "getaddrinfo", lookup)
    monkeypatch.setattr("socket.create_connection", lookup)
    return tried


# The public key as a shared secret (CVE-2015-9235), in every form it is written in


@pytest.mark.parametrize("name", ["HS256", "HS384", "HS512"])
@pytest.mark.parametrize("form", ["pkcs1", "spki", "der", "jwk", "n"])
def test_a_public_key_is_no_shared_secret(place: Site, name: str, form: str) -> None:
    public = rs384().private.public_key()
    secret = {
        "pkcs1": public.public_bytes(Encoding.PEM, PublicFormat.PKCS1),
        "spki": public.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo),
        "der": public.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo),
        "jwk": json.dumps(rs384().jwk).encode(),
        "n": rs384().jwk["n"].encode(),
    }[form]
    text = f"{part({'alg': name, 'typ': 'JWT', 'kid': 'key-rsa'})}.{part(claims_of())}"

    digest = hmac.new(secret, text.encode(), f"sha{name[2:]}").digest()
    refused(place, f"{text}.{encoded(digest)}", "algorithm")


@pytest.mark.parametrize(
    "algorithm", ["none", "HS384", "ES256K", "es384", "ES384 ", "RS1", "RSA-OAEP", "dir", "ES385"]
)
def test_an_algorithm_that_is_not_listed_is_refused_whatever_the_signature(
    place: Site, algorithm: str
) -> None:
    refused(place, es384().token({"alg": algorithm}), "algorithm")


# CVE-2022-21449, and signatures of the wrong form


@pytest.mark.parametrize(
    "signature",
    [b"\x00" * 96, b"\xff" * 96, b"\x00" * 95, b"\x00" * 97, b"0", b"\x00" * 64, b"0" * 256],
)
def test_a_signature_that_nobody_made_is_refused(place: Site, signature: bytes) -> None:
    text = es384().token().rpartition(".")[0]

    refused(place, f"{text}.{encoded(signature)}", "signature")


def test_a_signature_in_der_is_refused(place: Site) -> None:
    from cryptography.hazmat.primitives.hashes import SHA384

    text = es384().token().rpartition(".")[0]
    der = es384().private.sign(text.encode(), ec.ECDSA(SHA384()))

    refused(place, f"{text}.{encoded(der)}", "signature")


def test_claims_or_header_of_another_token_are_refused(place: Site) -> None:
    first, second = es384().token(), es384().token()
    a, b = first.split("."), second.split(".")

    refused(place, ".".join([a[0], a[1], b[2]]), "signature")
    refused(place, ".".join([a[0], b[1], a[2]]), "signature")
    changed = part({"alg": "ES384", "typ": "jwt", "kid": "key-ec"})
    refused(place, ".".join([changed, a[1], a[2]]), "signature")


# The form of a token

ALPHABET = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"

FORMS: dict[str, Callable[[str], str]] = {
    "padded": lambda token: token + "=",
    "longer": lambda token: token + "A",
    "two dots": lambda token: token.replace(".", "..", 1),
    "four parts": lambda token: token + ".x",
    "five parts": lambda token: token + ".a.b",
    "claims alone": lambda token: token.split(".")[1],
    "no signature": lambda token: ".".join(token.split(".")[:2]),
    "empty header": lambda token: "." + token,
    "last sign": lambda token: token[:-1] + chr(ord(token[-1]) + 1),
    "list": lambda token: part([]) + "." + token.split(".", 1)[1],
    "text": lambda token: part("x") + "." + token.split(".", 1)[1],
    "not utf-8": lambda token: encoded(b"\xff{}") + "." + token.split(".", 1)[1],
    "deep list": lambda token: encoded(b"[" * 3000) + "." + token.split(".", 1)[1],
    "deep object": lambda token: encoded(b'{"a":' * 1000) + "." + token.split(".", 1)[1],
    "huge number": lambda _: "e30." + encoded(b'{"iss":1e999999}') + ".AAAA",
    "no dots": lambda _: "A" * 9000,
    "long": lambda token: token + "A" * 8200,
    "not json": lambda _: "AAAA.AAAA.AAAA",
}


@pytest.mark.parametrize("form", FORMS)
def test_what_is_no_token_is_refused(place: Site, form: str) -> None:
    token = FORMS[form](es384().token())

    response = place.call(token)

    assert response.status_code == 401
    assert response.data == place.call(None).data


@pytest.mark.parametrize(
    ("header", "claims"),
    [
        ('"alg": "none", "alg": "ES384", "typ": "JWT", "kid": "key-ec"', ""),
        ('"alg": "ES384", "typ": "JWT", "kid": "other", "kid": "key-ec"', ""),
        ('"alg": "ES384", "typ": "JWT", "kid": "key-ec"', f', "iss": "{ISSUER}"'),
        ('"alg": "ES384", "typ": "JWT", "kid": "key-ec"', ', "exp": 99999999999'),
    ],
)
def test_a_member_that_stands_twice_is_refused(place: Site, header: str, claims: str) -> None:
    said = json.dumps(claims_of())[:-1] + claims + "}"
    text = f"{encoded(f'{{{header}}}'.encode())}.{encoded(said.encode())}"

    refused(place, signed_text(text, "ES384", es384().private), "malformed")


def test_a_huge_header_is_refused(place: Site) -> None:
    for size in (8_193, 100_000, 2_000_000):
        refused(place, "A" * size, "malformed")


def test_a_good_token_that_is_too_long_is_refused(place: Site) -> None:
    at_most = next(
        token
        for size in range(5_000, 6_200)
        if len(token := es384().token(sub="x" * size)) > LONGEST - 3
    )

    assert len(at_most) <= LONGEST
    assert place.call(at_most).status_code == 200
    refused(place, es384().token(sub="x" * 6_200), "malformed")


@pytest.mark.parametrize("segment", [0, 1, 2])
def test_base64url_with_padding_is_refused(place: Site, segment: int) -> None:
    """PyJWT takes it off: a token would have two spellings."""
    text, header = "", {"x": ""}
    while len((text := rs384().token(header, sub=header["x"])).split(".")[segment]) % 4 == 0:
        header = {"x": header["x"] + "x"}
    segments = text.split(".")
    segments[segment] += "=" * (-len(segments[segment]) % 4)

    refused(place, ".".join(segments), "malformed")


@pytest.mark.parametrize("segment", [0, 1, 2])
def test_base64url_whose_unused_bits_are_set_is_refused(place: Site, segment: int) -> None:
    text, header = "", {"x": ""}
    while len((text := rs384().token(header, sub=header["x"])).split(".")[segment]) % 4 == 0:
        header = {"x": header["x"] + "x"}
    segments = text.split(".")
    last = ALPHABET.index(segments[segment][-1])
    segments[segment] = segments[segment][:-1] + ALPHABET[last + 1]

    refused(place, ".".join(segments), "malformed")


@pytest.mark.parametrize("encoding", ["utf-16", "utf-32-le", "utf-8-sig"])
@pytest.mark.parametrize("part_of_it", ["header", "claims"])
def test_json_that_is_not_utf_8_is_refused(place: Site, encoding: str, part_of_it: str) -> None:
    """PyJWT reads every encoding of JSON; RFC 7515, section 5.2, wants UTF-8."""
    header = json.dumps({"alg": "ES384", "typ": "JWT", "kid": "key-ec"})
    claims = json.dumps(claims_of())
    octets = [
        encoded(text.encode(encoding if name == part_of_it else "utf-8"))
        for name, text in (("header", header), ("claims", claims))
    ]

    refused(place, signed_text(".".join(octets), "ES384", es384().private), "malformed")


@pytest.mark.parametrize("header", [["alg"], "alg", 7, None, [["alg", "ES384"]]])
def test_a_signed_header_that_is_no_object_is_refused(place: Site, header: Any) -> None:
    text = f"{part(header)}.{part(claims_of())}"

    refused(place, signed_text(text, "ES384", es384().private), "malformed")


def test_a_detached_payload_is_refused(place: Site) -> None:
    """RFC 7797: `b64` counts only where `crit` names it, and `crit` is refused."""
    refused(place, es384().token({"b64": False, "crit": ["b64"]}), "header")
    refused(place, es384().token({"b64": True, "crit": ["b64"]}), "header")
    refused(place, es384().token({"b64": False}), "header")
    header = part({"alg": "ES384", "typ": "JWT", "kid": "key-ec", "b64": False})
    refused(place, signed_text(f"{header}.", "ES384", es384().private), "malformed")


@pytest.mark.parametrize("name", ["ES512", "EdDSA", "RS384", "PS384"])
def test_a_key_verifies_only_its_own_algorithm(tmp_path: Path, name: str) -> None:
    """A listed algorithm of another family, curve or padding, signed with the key itself."""
    signer = rs384() if name in {"ES512", "EdDSA"} else es384()
    place = site(tmp_path, registration(algorithms=["ES384", "RS384", name]))

    refused(place, signer.token({"alg": name}), "key-unfit")
    refused(place, rs384().token({"alg": "PS384"}), "signature" if name == "PS384" else "algorithm")


# Keys


def test_the_key_of_one_client_never_speaks_for_another(tmp_path: Path) -> None:
    theirs = replace(es384("theirs"), kid="theirs")
    place = site(
        tmp_path,
        registration(),
        registration(id="two", issuer="https://two", keys=[theirs.jwk]),
    )

    refused(place, theirs.token(), "key-unknown")
    refused(place, es384().token(iss="https://two"), "key-unknown")
    refused(place, replace(theirs, kid="key-ec").token(), "signature")


def test_two_keys_of_one_name_are_none(tmp_path: Path, snare: Trap) -> None:
    """CH-JWT-012: a set that was fetched; in a file it is a problem (test_registrations.py)."""
    twin = replace(es384("twin"), kid="key-ec")
    place = site(
        tmp_path,
        registration(keys=..., **{"jwks url": snare.url()}),
        profile="development",
    )
    snare.serve(es384(), twin)

    refused(place, es384().token(), "key-ambiguous")
    refused(place, twin.token(), "key-ambiguous")


def test_a_key_of_another_curve_is_none(tmp_path: Path) -> None:
    small = Signer("key-256", "ES384", ec.generate_private_key(ec.SECP256R1()))
    place = site(
        tmp_path, registration(keys=[small.jwk, es384().jwk], algorithms=["ES256", "ES384"])
    )

    refused(place, small.token(), "key-unfit")


# jku


JKUS = [
    "{trap}",
    "{trap}/../jwks.json",
    "{trap}#https://ehr.example.org/jwks.json",
    "https://ehr.example.org/jwks.json#",
    "https://ehr.example.org/jwks.json?",
    "https://ehr.example.org/jwks.json/",
    "https://EHR.example.org/jwks.json",
    "https://ehr.example.org:443/jwks.json",
    "https://ehr.example.org@127.0.0.1:{port}/jwks.json",
    "https://ehr.example.org.evil.example/jwks.json",
    "https://evil.example/https://ehr.example.org/jwks.json",
    "http://ehr.example.org/jwks.json",
    "http://169.254.169.254/latest/meta-data/",
    "http://[::1]:{port}/jwks.json",
    "http://localhost:{port}/jwks.json",
    "http://0.0.0.0:{port}/jwks.json",
    "http://2130706433:{port}/jwks.json",
    "http://10.0.0.1/",
    "file:///etc/passwd",
    "gopher://127.0.0.1:{port}/",
    "data:application/json,{{}}",
    "//127.0.0.1:{port}/jwks.json",
    "https://two.example.org/jwks.json",
    "",
]


@pytest.mark.parametrize("jku", JKUS)
@pytest.mark.parametrize("profile", ["production", "development"])
def test_a_jku_that_is_not_registered_is_never_asked(
    tmp_path: Path, snare: Trap, outside: list[Any], jku: str, profile: str
) -> None:
    """CH-JWT-009, CH-JWT-010: that of another client neither, and not even a name is looked up."""
    snare.serve(es384("forger"))
    place = site(
        tmp_path,
        registration(keys=..., jku=["https://ehr.example.org/jwks.json"]),
        registration(
            id="two", issuer="https://two", keys=..., jku=["https://two.example.org/jwks.json"]
        ),
        profile=profile,
    )
    named = jku.format(trap=snare.url(), port=snare.port)
    forger = replace(es384("forger"), kid="key-ec")

    refused(place, forger.token({"jku": named}), "jku")
    assert snare.asked == []
    assert outside == []


@pytest.mark.parametrize("jku", [7, ["https://ehr.example.org/jwks.json"], {}, True])
def test_a_jku_is_a_text(place: Site, jku: Any) -> None:
    refused(place, es384().token({"jku": jku}), "jku")


def test_no_address_is_asked_for_a_token_of_nobody(
    tmp_path: Path, snare: Trap, outside: list[Any]
) -> None:
    place = site(
        tmp_path,
        registration(keys=..., jku=[snare.url()], **{"jwks url": snare.url()}),
        profile="development",
    )
    header = {"jku": snare.url()}

    refused(place, es384().token(header, iss="https://nobody"), "issuer-unknown")
    refused(place, es384().token({**header, "alg": "HS384"}), "algorithm")
    refused(place, es384().token({**header, "crit": ["x"]}), "header")
    refused(place, es384().token({**header, "typ": "x"}), "header")
    refused(place, es384().token({**header, "kid": ...}), "header")
    assert snare.asked == []
    assert outside == []


def test_static_keys_are_used_even_if_a_registered_jku_is_named(
    tmp_path: Path, snare: Trap
) -> None:
    place = site(tmp_path, registration(jku=[snare.url()]), profile="development")

    assert place.call(es384().token({"jku": snare.url()})).status_code == 200
    assert snare.asked == []


def test_without_jku_a_client_whose_keys_are_found_by_it_is_refused(
    tmp_path: Path, snare: Trap
) -> None:
    place = site(tmp_path, registration(keys=..., jku=[snare.url()]), profile="development")
    snare.serve(es384())

    refused(place, es384().token(), "jku")
    assert place.call(es384().token({"jku": snare.url()})).status_code == 200


# Two headers, through a real server: test_server.py


def test_two_authorization_headers_are_none(place: Site) -> None:
    """WSGI joins them by a comma (PEP 3333; RFC 9110, section 5.3)."""
    headers = [("Authorization", f"Bearer {es384().token()}") for _ in range(2)]

    assert place.http.post(SERVICE, json=founding(), headers=headers).status_code == 401


# What an attacker could measure


def test_ch_jwt_016_every_refusal_costs_one_signature(
    place: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    """So that time does not tell which issuers and keys are registered."""
    checked: list[str] = []
    has_signed = Key.has_signed

    def counted(key: Key, token: Token, algorithm: str) -> bool:
        checked.append(key.kid)
        return has_signed(key, token, algorithm)

    monkeypatch.setattr(Key, "has_signed", counted)
    tokens = [
        es384().token(iss="https://nobody"),
        es384().token({"kid": "of-nobody"}),
        es384().token({"alg": "RS256"}),
        es384().token({"jku": "https://nobody"}),
        replace(es384("forger"), kid="key-ec").token(),
        es384().token(aud="x"),
    ]
    for token in tokens:
        place.call(token)

    assert checked == ["nobody"] * 4 + ["key-ec"] * 2
