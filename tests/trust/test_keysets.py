# SPDX-License-Identifier: Apache-2.0
"""Keys that are fetched: from where, how long they are kept, and what happens when they change."""

import asyncio
import json
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor, as_completed
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path
from threading import Event
from time import sleep
from typing import Any

import pytest

from cds_service.outgoing import address_policy as reaching
from cds_service.outgoing import transport
from cds_service.outgoing.address_policy import AddressPolicy, url_problem
from cds_service.trust import fetch as fetching
from cds_service.trust.fetch import MOST_BYTES, FetchError, JwksResponse, fetch
from cds_service.trust.jwk import UnusableKey, read_key, read_key_set
from cds_service.trust.keysets import KeySets, KeysUnavailable, life_of
from cds_service.trust.tokens import parse_jws
from tests.trust.address_trap import Trap, key_set, trap
from tests.trust.signing import (
    Signer,
    Site,
    es384,
    refused,
    registration,
    rs384,
    settings_for,
    site,
    write_clients,
)
from tests.web.http_fixtures import NOW, founding
from tests.web.rsgi_client import Channel, bridge_of, scope_of

HERE = AddressPolicy(loopback=True)


PATIENCE = 60.0  # seconds, on a machine that is busy with other things


@pytest.fixture(name="server")
def _server(monkeypatch: pytest.MonkeyPatch) -> Iterator[Trap]:
    monkeypatch.setattr(transport, "PATIENCE", PATIENCE)
    monkeypatch.setattr(fetching, "MOST_SECONDS", PATIENCE)
    with trap() as state:
        yield state


def wait_for(event: Event) -> None:
    assert event.wait(PATIENCE)


def by_url(folder: Path, server: Trap) -> Site:
    client = registration(keys=..., **{"jwks url": server.url()})
    return site(folder, client, profile="development")


# CH-JWT-011, CH-JWT-013 through the whole service


def test_ch_jwt_011_keys_of_a_url_that_was_agreed_on(tmp_path: Path, server: Trap) -> None:
    place = by_url(tmp_path, server)
    server.serve(es384(), rs384())

    for signer in (es384(), rs384(), es384()):
        assert place.call(signer.token()).status_code == 200
    assert server.asked == ["/jwks.json"]


def test_ch_jwt_013_t53_a_new_key_is_found_without_a_restart(tmp_path: Path, server: Trap) -> None:
    place = by_url(tmp_path, server)
    new = replace(es384("new"), kid="new")
    server.serve(es384(), Cache_Control="max-age=86400")
    assert place.call(es384().token()).status_code == 200

    server.serve(es384(), new)
    place.now = NOW + timedelta(seconds=60)
    assert place.call(new.token()).status_code == 200
    assert place.call(es384().token()).status_code == 200
    assert len(server.asked) == 2


def test_ch_jwt_013_a_key_that_was_withdrawn_ends_with_the_life_of_its_set(
    tmp_path: Path, server: Trap
) -> None:
    place = by_url(tmp_path, server)
    server.serve(es384(), Cache_Control="max-age=120")
    assert place.call(es384().token()).status_code == 200

    server.serve(rs384())
    place.now = NOW + timedelta(seconds=119)
    assert place.call(es384().token()).status_code == 200
    place.now = NOW + timedelta(seconds=120)
    refused(place, es384().token(), "key-unknown")


def test_ch_jwt_013_a_flood_of_unknown_kids_asks_once_a_minute(
    tmp_path: Path, server: Trap
) -> None:
    place = by_url(tmp_path, server)
    server.serve(es384())

    for number in range(50):
        refused(place, es384().token({"kid": f"of-nobody-{number}"}), "key-unknown")
    assert len(server.asked) == 1
    assert place.call(es384().token()).status_code == 200

    place.now = NOW + timedelta(seconds=60)
    for number in range(50):
        place.call(es384().token({"kid": f"again-{number}"}))
    assert len(server.asked) == 2


def test_ch_jwt_013_a_server_that_fails_is_not_asked_for_every_call(
    tmp_path: Path, server: Trap
) -> None:
    place = by_url(tmp_path, server)
    server.status = 503

    for _ in range(20):
        refused(place, es384().token(), "keys-unavailable")
    assert len(server.asked) == 1

    server.status = 200
    server.serve(es384())
    place.now = NOW + timedelta(seconds=10)
    assert place.call(es384().token()).status_code == 200


def test_ch_jwt_013_keys_count_a_little_longer_when_they_cannot_be_renewed(
    tmp_path: Path, server: Trap
) -> None:
    place = by_url(tmp_path, server)
    server.serve(es384(), Cache_Control="max-age=600")
    assert place.call(es384().token()).status_code == 200
    server.status = 500

    for seconds, status in ((600, 200), (4199, 200), (4200, 401)):
        place.now = NOW + timedelta(seconds=seconds)
        claims: dict[str, Any] = {
            "exp": int(place.now.timestamp()) + 300,
            "iat": int(place.now.timestamp()),
        }
        assert place.call(es384().token(**claims)).status_code == status, seconds


@pytest.mark.parametrize(
    "change", [{"use": "enc"}, {"key_ops": ["encrypt"]}, {"alg": "RS256"}, {"d": "AAAA"}]
)
def test_ch_jwt_013_keys_for_something_else_are_not_used(
    tmp_path: Path, server: Trap, change: dict[str, Any]
) -> None:
    place = by_url(tmp_path, server)
    server.body = key_set({**es384().jwk, **change}, rs384().jwk)

    assert place.call(es384().token()).status_code == 401
    assert place.call(rs384().token()).status_code == 200


def test_a_key_for_encryption_may_have_the_name_of_one_for_signing(
    tmp_path: Path, server: Trap
) -> None:
    place = by_url(tmp_path, server)
    server.body = key_set({**rs384().jwk, "kid": "key-ec", "use": "enc"}, es384().jwk)

    assert place.call(es384().token()).status_code == 200


# CH-JWT-010: what a fetch never does


def test_ch_jwt_010_a_redirect_is_not_followed(server: Trap) -> None:
    with trap() as inside:
        server.status, server.headers = 302, {"Location": inside.url("/secret")}
        with pytest.raises(FetchError, match="302"):
            fetch(server.url(), HERE)

        assert inside.asked == []


@pytest.mark.parametrize("status", [201, 204, 301, 304, 307, 400, 401, 404, 500])
def test_ch_jwt_010_only_200_is_an_answer(server: Trap, status: int) -> None:
    server.status, server.body = status, b""

    with pytest.raises(FetchError, match=str(status)):
        fetch(server.url(), HERE)


def test_ch_jwt_010_a_long_answer_is_not_read(server: Trap) -> None:
    server.body = b" " * MOST_BYTES
    assert len(fetch(server.url(), HERE).body) == MOST_BYTES
    server.body = b" " * (MOST_BYTES + 1)
    with pytest.raises(FetchError, match="longer"):
        fetch(server.url(), HERE)


def test_ch_jwt_010_a_compressed_answer_is_not_read(server: Trap) -> None:
    server.headers = {"Content-Encoding": "gzip"}

    with pytest.raises(FetchError, match="compressed"):
        fetch(server.url(), HERE)


def test_ch_jwt_010_a_server_that_drips_is_cut_off(
    server: Trap, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(fetching, "MOST_SECONDS", 0.5)
    server.body, server.drip = b"x" * 1000, 0.05

    with pytest.raises(FetchError, match="took too long"):
        fetch(server.url(), HERE)


def test_ch_jwt_010_a_server_that_says_nothing_is_given_up(
    server: Trap, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(fetching, "MOST_SECONDS", 0.2)
    given_up = Event()
    server.before = lambda: wait_for(given_up)

    with pytest.raises(FetchError, match="took too long"):
        fetch(server.url(), HERE)
    given_up.set()


def test_ch_jwt_010_the_certificate_is_checked(server: Trap) -> None:
    with pytest.raises(FetchError, match="SSL"):
        fetch(server.url(scheme="https"), HERE)
    assert server.asked == []


CLOSED = [
    "http://keys.example.org/",
    "ftp://keys.example.org/",
    "file:///etc/passwd",
    "https://",
    "https:///x",
    "https://user@keys.example.org/",
    "https://keys.example.org/#x",
    "https://keys.example.org/a b",
    "https://keys.example.org/\n",
    "https://keys.example.org:port/",
    "https://[::1/",
    "https://kéys.example.org/",
    "https://localhost/",
    "https://127.0.0.1/",
    "https://127.1.2.3/",
    "https://[::1]/",
    "https://[::ffff:127.0.0.1]/",
    "https://[64:ff9b::7f00:1]/",
    "https://[2002:7f00:1::]/",
    "https://0.0.0.0/",
    "https://169.254.169.254/",
    "https://[fe80::1]/",
    "https://[fd00:ec2::254]/",
    "https://[64:ff9b:1::a9fe:a9fe]/",
    "https://[::169.254.169.254]/",
    "https://[::127.0.0.1]/",
    "https://[::ffff:0:10.0.0.1]/",
    "https://[fec0::1]/",
    "https://[5f00::1]/",
    "https://100.100.100.200/",
    "https://168.63.129.16/",
    "https://240.0.0.1/",
    "https://keys.example.org\\@127.0.0.1/",
    "https://10.0.0.1/",
    "https://172.16.0.1/",
    "https://192.168.1.1/",
    "https://100.64.0.1/",
    "https://224.0.0.1/",
    "https://255.255.255.255/",
]


@pytest.mark.parametrize("url", CLOSED)
def test_ch_jwt_010_addresses_that_production_never_asks(url: str) -> None:
    with pytest.raises(FetchError):
        fetch(url, AddressPolicy())
    assert url_problem(url, AddressPolicy()) is not None


@pytest.mark.parametrize(
    "address",
    ["127.0.0.1", "::1", "169.254.169.254", "fe80::1%eth0", "10.0.0.1", "::ffff:10.0.0.1"],
)
def test_ch_jwt_010_a_name_that_leads_inside_is_not_followed(
    monkeypatch: pytest.MonkeyPatch, address: str
) -> None:
    """Also if only one of its addresses does (DNS rebinding)."""
    tried: list[Any] = []
    found = [(0, 0, 0, "", ("93.184.215.14", 443)), (0, 0, 0, "", (address, 443))]
    monkeypatch.setattr(reaching, "getaddrinfo", lambda *_, **__: found)
    monkeypatch.setattr("socket.create_connection", lambda *to, **__: tried.append(to))

    with pytest.raises(FetchError):
        fetch("https://keys.example.org/", AddressPolicy())
    assert tried == []


def test_ch_jwt_010_the_connection_goes_to_the_address_that_was_checked(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    tried: list[Any] = []
    found = [(0, 0, 0, "", ("93.184.215.14", 443))]

    def connect(to: object, **_: object) -> None:
        tried.append(to)
        raise ConnectionRefusedError

    monkeypatch.setattr(reaching, "getaddrinfo", lambda *_, **__: found)
    monkeypatch.setattr("socket.create_connection", connect)

    with pytest.raises(FetchError, match="ConnectionRefusedError"):
        fetch("https://keys.example.org/", AddressPolicy())
    assert tried == [("93.184.215.14", 443)]


def test_a_site_may_have_its_keys_in_its_own_network() -> None:
    assert url_problem("https://10.0.0.1/jwks", AddressPolicy(private=True)) is None
    assert url_problem("https://127.0.0.1/jwks", AddressPolicy(private=True)) is not None
    assert url_problem("https://[fd12::1]/jwks", AddressPolicy(private=True)) is None
    for address in ("169.254.169.254", "100.100.100.200", "192.0.0.192", "240.0.0.1"):
        assert url_problem(f"https://{address}/jwks", AddressPolicy(private=True)) is not None
    assert url_problem("https://[fd00:ec2::254]/jwks", AddressPolicy(private=True)) is not None
    assert url_problem("https://keys.example.org/jwks", AddressPolicy()) is None


def test_plain_http_is_for_this_machine_in_development_only() -> None:
    assert url_problem("http://127.0.0.1:1/jwks", HERE) is None
    assert url_problem("http://localhost:1/jwks", HERE) is None
    assert (
        url_problem("http://10.0.0.1/jwks", AddressPolicy(private=True, loopback=True)) is not None
    )
    assert url_problem("http://keys.example.org/jwks", HERE) is not None


# How long keys are kept


@pytest.mark.parametrize(
    ("header", "seconds"),
    [
        ("", 3600),
        ("public", 3600),
        ("max-age=300", 300),
        ("public, max-age=300, must-revalidate", 300),
        ("MAX-AGE = 300", 300),
        ('max-age="300"', 300),
        ("s-maxage=5, max-age=300", 300),
        ("max-age=0", 60),
        ("max-age=1", 60),
        ("max-age=9999999999", 86400),
        ("max-age=-5", 3600),
        ("max-age=many", 3600),
        ("no-store", 60),
        ("no-cache, max-age=600", 60),
    ],
)
def test_ch_jwt_013_keys_are_kept_as_long_as_was_said_within_bounds(
    header: str, seconds: int
) -> None:
    assert life_of(header) == timedelta(seconds=seconds)


def test_many_threads_fetch_once() -> None:
    asked: list[str] = []

    def slow(url: str, policy: AddressPolicy) -> JwksResponse:
        asked.append(url)
        sleep(0.1)  # so that the others come meanwhile; whoever comes later finds the keys
        return JwksResponse(body=key_set(es384().jwk), cache_control="")

    sets = KeySets(fetch=slow)
    with ThreadPoolExecutor(16) as pool:
        found = list(
            pool.map(lambda _: sets.find("https://k", "key-ec", NOW, private=False), range(64))
        )

    assert len(asked) == 1
    assert {keys[0].kid for keys in found} == {"key-ec"}


def test_a_server_that_hangs_keeps_one_thread_and_is_asked_once() -> None:
    asked, go = list[str](), Event()

    def hanging(url: str, policy: AddressPolicy) -> JwksResponse:
        asked.append(url)
        wait_for(go)
        raise FetchError("no answer")

    sets = KeySets(fetch=hanging)
    with ThreadPoolExecutor(40) as pool:
        jobs = [
            pool.submit(sets.find, "https://k", f"kid-{number}", NOW, private=False)
            for number in range(40)
        ]
        ended = as_completed(jobs, timeout=PATIENCE)
        for _ in range(39):  # all but the one that fetches, while the server says nothing
            assert isinstance(next(ended).exception(), KeysUnavailable)
        go.set()

    assert len(asked) == 1


def test_a_server_that_goes_on_failing_is_asked_less_often() -> None:
    asked: list[datetime] = []
    now = NOW

    def failing(url: str, policy: AddressPolicy) -> JwksResponse:
        asked.append(now)
        raise FetchError("no answer")

    sets = KeySets(fetch=failing)
    for second in range(301):
        now = NOW + timedelta(seconds=second)
        with pytest.raises(KeysUnavailable):
            sets.find("https://k", "key-ec", now, private=False)

    assert [(moment - NOW).total_seconds() for moment in asked] == [0, 10, 30, 70, 130, 190, 250]


def test_a_client_whose_server_hangs_keeps_no_other_waiting(tmp_path: Path, server: Trap) -> None:
    begun, go = Event(), Event()

    def hang() -> None:
        begun.set()
        wait_for(go)

    server.before = hang
    hanging = {"id": "hanging", "issuer": "https://hanging", "jwks url": server.url()}
    file = write_clients(tmp_path / "clients.yaml", registration(), hanging)
    settings = settings_for(file, profile="development")
    bridge = bridge_of(Site(file, settings).http.application, settings)
    body = json.dumps(founding()).encode()

    def asking(token: str) -> tuple[Channel, Any]:
        channel = Channel(body)
        return channel, bridge(scope_of(body, authorization=f"Bearer {token}"), channel)

    async def calls() -> list[int]:
        bad = [asking(es384("forger").token(iss="https://hanging")) for _ in range(12)]
        waiting = [asyncio.ensure_future(task) for _, task in bad]
        await asyncio.to_thread(wait_for, begun)
        good = [asking(es384().token()) for _ in range(12)]
        await asyncio.wait_for(asyncio.gather(*(task for _, task in good)), PATIENCE)
        assert not go.is_set()
        go.set()
        await asyncio.gather(*waiting)
        assert {channel.status for channel, _ in bad} == {401}
        return [channel.status for channel, _ in good]

    assert asyncio.run(calls()) == [200] * 12
    assert len(server.asked) == 1


def test_who_has_keys_does_not_wait_for_a_new_set() -> None:
    begun, go, calls = Event(), Event(), list[str]()

    def slow_the_second_time(url: str, policy: AddressPolicy) -> JwksResponse:
        calls.append(url)
        if len(calls) > 1:
            begun.set()
            wait_for(go)
        return JwksResponse(body=key_set(es384().jwk), cache_control="max-age=60")

    sets = KeySets(fetch=slow_the_second_time)
    sets.find("https://k", "key-ec", NOW, private=False)
    later = NOW + timedelta(seconds=61)
    with ThreadPoolExecutor(2) as pool:
        first = pool.submit(sets.find, "https://k", "key-ec", later, private=False)
        wait_for(begun)
        assert sets.find("https://k", "key-ec", later, private=False)
        assert not first.done()
        go.set()
        assert first.result()


@pytest.mark.parametrize("body", [b"", b"x", b"[]", b"{}", b'{"keys": {}}', b"[" * 100_000])
def test_what_is_no_key_set_gives_no_keys(body: bytes) -> None:
    sets = KeySets(fetch=lambda *_: JwksResponse(body=body, cache_control=""))

    with pytest.raises(KeysUnavailable):
        sets.find("https://k", "key-ec", NOW, private=False)


def test_a_key_that_cannot_be_read_costs_itself_alone() -> None:
    odd: list[Any] = [7, None, {}, {"kty": "oct", "k": "AAAA", "kid": "s"}, {"kty": "EC"}]

    (key,) = read_key_set(json.dumps({"keys": [*odd, es384().jwk]}).encode())

    assert key.kid == "key-ec"


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"kty": "oct", "k": "AAAA"}, "kty"),
        ({"kty": "XX"}, "kty"),
        ({"d": "AAAA"}, "private"),
        ({"kid": ""}, "kid"),
        ({"kid": 7}, "kid"),
        ({"use": "enc"}, "use"),
        ({"key_ops": ["sign"]}, "key_ops"),
        ({"alg": "HS384"}, "alg"),
        ({"x": 7}, "no key"),
        ({"x": "é"}, "no key"),
        ({"x": "AAAA"}, "no key"),
        ({"x": es384().jwk["y"]}, "no key"),
        ({"crv": "secp256k1"}, "no key"),
        ({"crv": "P-256"}, "no key"),
    ],
)
def test_a_key_says_why_it_cannot_be_used(change: dict[str, Any], said: str) -> None:
    with pytest.raises(UnusableKey, match=said):
        read_key({**es384().jwk, **change})


@pytest.mark.parametrize(
    ("signer", "change"),
    [
        (es384(), {"x": es384().jwk["x"] + "="}),
        (es384(), {"y": es384().jwk["y"][:7] + "\n" + es384().jwk["y"][7:]}),
        (rs384(), {"n": "AAAA" + rs384().jwk["n"]}),
        (rs384(), {"e": "AAEAAQ"}),
    ],
    ids=["padded", "newline", "leading zeros", "exponent"],
)
def test_a_key_has_one_thumbprint_however_it_is_spelled(
    signer: Signer, change: dict[str, Any]
) -> None:
    """By thumbprint a compromised key is known: RFC 7638, section 3.3, wants one spelling."""
    as_it_should_be = read_key(signer.jwk)

    assert read_key({**signer.jwk, **change}).thumbprint == as_it_should_be.thumbprint


def test_a_short_rsa_key_is_none() -> None:
    with pytest.raises(UnusableKey, match="2048"):
        read_key(rs384("short", 1024).jwk)


def test_a_signature_counts_for_the_algorithm_that_is_asked_for_alone() -> None:
    token = parse_jws(replace(rs384(), algorithm="PS384").token())
    for_all, for_one = read_key(rs384().jwk), read_key({**rs384().jwk, "alg": "RS384"})

    assert for_all.has_signed(token, "PS384")
    assert not for_all.has_signed(token, "RS384")
    assert not for_one.has_signed(token, "PS384")
    assert not for_one.has_signed(token, "RS384")


def test_a_key_shows_no_key() -> None:
    key = read_key(es384().jwk)

    assert "public" not in repr(key)
    assert es384().jwk["x"] not in repr(key)
