# SPDX-License-Identifier: Apache-2.0
"""The service's own signing keys: the file, its rotation, the command, and what is published."""

import json
import os
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import jwt
import pytest
from click.testing import CliRunner, Result
from hypothesis import given
from hypothesis import strategies as st

from cds_service.cli import cli
from cds_service.errors import SettingsError
from cds_service.fhir_client.servers import SigningAlgorithm
from cds_service.settings import Settings
from cds_service.smart.key_rotation import PUBLISHED_FIRST, Needed, add_key, retire_key
from cds_service.smart.signing_keys import (
    ALGORITHMS,
    KEPT,
    KeyFile,
    SigningKeys,
    read_signing_keys,
)
from tests.web.http_fixtures import client

NOW = datetime(2026, 6, 15, 9, 0, tzinfo=UTC)
PRIVATE = {"d", "p", "q", "dp", "dq", "qi"}
Json = dict[str, Any]


def kids(path: Path) -> list[str]:
    return [key.kid for key in read_signing_keys(path).keys]


@pytest.fixture(name="path")
def _path(tmp_path: Path) -> Path:
    return tmp_path / "keys.json"


@pytest.mark.parametrize("algorithm", ALGORITHMS)
def test_bs_003_a_key_signs_what_its_public_half_proves(
    path: Path, algorithm: SigningAlgorithm
) -> None:
    add_key(path, algorithm, NOW)
    found = read_signing_keys(path)
    key = found.signing(algorithm, NOW)
    assert key is not None

    token = key.signed({"iss": "lab"})

    public = jwt.PyJWK(dict(found.published()["keys"][0]))
    assert jwt.decode(token, public, [algorithm]) == {"iss": "lab"}
    assert jwt.get_unverified_header(token) == {"alg": algorithm, "kid": key.kid, "typ": "JWT"}


def test_the_file_is_for_its_owner_alone(path: Path) -> None:
    add_key(path, "ES384", NOW)
    assert path.stat().st_mode & 0o777 == 0o600

    path.chmod(0o640)

    with pytest.raises(SettingsError, match="chmod 600"):
        read_signing_keys(path)


def test_a_new_key_is_published_before_it_signs(path: Path) -> None:
    first, second = add_key(path, "ES384", NOW), add_key(path, "ES384", NOW)
    found = read_signing_keys(path)
    later = NOW + PUBLISHED_FIRST

    assert [key["kid"] for key in found.published()["keys"]] == [first.kid, second.kid]
    assert [found.state(key, NOW) for key in found.keys] == ["signs", "waits"]
    assert [found.state(key, later) for key in found.keys] == ["replaced", "signs"]
    assert KEPT < PUBLISHED_FIRST


def test_keys_of_two_algorithms_sign_side_by_side(path: Path) -> None:
    add_key(path, "ES384", NOW)
    add_key(path, "RS384", NOW)

    found = read_signing_keys(path)

    assert [found.state(key, NOW) for key in found.keys] == ["signs", "signs"]


def test_the_only_key_that_signs_is_kept(path: Path) -> None:
    first = add_key(path, "ES384", NOW)
    second = add_key(path, "ES384", NOW)

    with pytest.raises(Needed):
        retire_key(path, first.kid, NOW)
    retire_key(path, first.kid, NOW + PUBLISHED_FIRST)
    assert kids(path) == [second.kid]
    retire_key(path, second.kid, NOW, anyway=True)
    assert kids(path) == []
    with pytest.raises(KeyError):
        retire_key(path, second.kid, NOW)


def test_a_link_to_the_file_stays_a_link(path: Path) -> None:
    link = path.with_name("link.json")
    link.symlink_to(path)

    add_key(link, "ES384", NOW)

    assert link.is_symlink()
    assert len(kids(path)) == 1
    assert sorted(entry.name for entry in path.parent.iterdir()) == ["keys.json", "link.json"]


def test_a_changed_file_counts_without_a_restart_and_a_wrong_one_does_not(path: Path) -> None:
    first = add_key(path, "ES384", NOW)
    file = KeyFile(path)
    second = add_key(path, "ES384", NOW)
    assert [key.kid for key in file.current().keys] == [first.kid, second.kid]

    path.write_text("{", encoding="utf-8")

    assert [key.kid for key in file.current().keys] == [first.kid, second.kid]
    assert not file.is_current


def with_first(change: Callable[[Json], object]) -> Callable[[Json], Json]:
    def changed(whole: Json) -> Json:
        change(whole["keys"][0])
        return whole

    return changed


WRONG: dict[str, tuple[Callable[[Json], Any], str]] = {
    "no list": (lambda _: {}, "no JSON Web Key Set"),
    "a list": (lambda whole: whole["keys"], "no JSON Web Key Set"),
    "no object": (lambda _: {"keys": [7]}, "key 1: it is no object"),
    "too many": (lambda whole: {"keys": whole["keys"] * 1000}, "more than"),
    "twice": (lambda whole: {"keys": whole["keys"] * 2}, "two keys have the same kid"),
    "symmetric": (with_first(lambda key: key.update(alg="HS384")), "alg must be one of"),
    "no alg": (with_first(lambda key: key.pop("alg")), "alg must be one of"),
    "public": (with_first(lambda key: key.pop("d")), "private members are missing"),
    "another's": (with_first(lambda key: key.update(d="AAAA")), "its private members"),
    "a number": (with_first(lambda key: key.update(d=7)), "are no texts"),
    "no time": (with_first(lambda key: key.update(signs_from="soon")), "signs_from must be"),
    "no zone": (
        with_first(lambda key: key.update(signs_from="2026-06-15T09:00:00")),
        "signs_from must be",
    ),
}


@pytest.mark.parametrize("name", WRONG)
def test_what_is_wrong_is_told_and_no_key_shown(path: Path, name: str) -> None:
    change, said = WRONG[name]
    add_key(path, "ES384", NOW)
    whole = json.loads(path.read_text(encoding="utf-8"))
    secret = whole["keys"][0]["d"]
    path.write_text(json.dumps(change(whole)), encoding="utf-8")

    with pytest.raises(SettingsError, match=said) as caught:
        read_signing_keys(path)
    assert secret not in str(caught.value)


@given(data=st.binary() | st.recursive(st.none() | st.text(), st.lists).map(repr).map(str.encode))
def test_any_bytes_are_read_or_refused(
    tmp_path_factory: pytest.TempPathFactory, data: bytes
) -> None:
    path = tmp_path_factory.mktemp("any") / "keys.json"
    path.write_bytes(data)
    path.chmod(0o600)

    with pytest.raises(SettingsError):
        read_signing_keys(path)


def test_a_key_shows_nothing_private(path: Path) -> None:
    key = add_key(path, "ES384", NOW)

    assert json.loads(path.read_text(encoding="utf-8"))["keys"][0]["d"] not in repr(key)


def test_bs_001_bs_002_only_public_members_are_published(path: Path) -> None:
    add_key(path, "ES384", NOW)
    add_key(path, "RS384", NOW)

    response = client(Settings(signing_keys=path)).get("/jwks.json")

    members = [set(key) for key in json.loads(response.text)["keys"]]
    common = {"kty", "kid", "alg", "use"}
    assert members == [common | {"crv", "x", "y"}, common | {"n", "e"}]
    assert response.headers["Cache-Control"] == "public, max-age=3600"
    assert not any(member & PRIVATE for member in members)


def test_without_keys_the_set_is_empty() -> None:
    assert client().get("/jwks.json").json == {"keys": []}


def test_a_wrong_file_stops_the_start(path: Path) -> None:
    with pytest.raises(SettingsError, match="CDS_SIGNING_KEYS"):
        client(Settings(signing_keys=path))


def run(path: Path | None, *arguments: str) -> Result:
    environ = {"CDS_SIGNING_KEYS": None if path is None else str(path)}
    return CliRunner().invoke(cli, ["keys", *arguments], env=environ)


def test_the_command_makes_lists_and_retires(path: Path) -> None:
    assert "signs now" in run(path, "new").output
    second = json.loads(run(path, "new", "--json").output)
    first = read_signing_keys(path).keys[0].kid

    listed = json.loads(run(path, "list", "--json").output)
    assert [key["state"] for key in listed] == ["signs", "waits"]
    assert listed[1]["kid"] == second["kid"]
    assert PRIVATE.isdisjoint(second)
    refused = run(path, "retire", first)
    assert (refused.exit_code, "--anyway" in refused.output) == (1, True)
    assert run(path, "retire", first, "--anyway").exit_code == 0
    assert kids(path) == [second["kid"]]


def test_the_command_shows_no_private_half(path: Path) -> None:
    said = run(path, "new").output + run(path, "list").output + run(path, "list", "--json").output

    assert json.loads(path.read_text(encoding="utf-8"))["keys"][0]["d"] not in said


@pytest.mark.parametrize(
    "arguments",
    [("retire", "nobody"), ("new", "--signs-from", "soon"), ("new", "--algorithm", "HS256")],
)
def test_wrong_use_is_told(path: Path, arguments: tuple[str, ...]) -> None:
    add_key(path, "ES384", NOW)

    assert run(path, *arguments).exit_code == 2
    assert len(kids(path)) == 1


def test_without_a_file_set_nothing_is_done() -> None:
    result = run(None, "list")

    assert (result.exit_code, "CDS_SIGNING_KEYS" in result.output) == (2, True)


def test_a_key_can_sign_from_a_time_that_is_said(path: Path) -> None:
    at = datetime.now(UTC) + timedelta(days=3)
    run(path, "new", "--signs-from", at.isoformat())

    assert read_signing_keys(path).keys[0].signs_from == at.replace(microsecond=0)


@pytest.mark.parametrize(
    ("time", "said"),
    [
        ("2099-11-25T12:00:00+05:00", "signs from 2099-11-25 07:00 UTC"),
        ("2020-01-01T00:00:00Z", "signs nothing: another key began later"),
    ],
)
def test_the_command_says_when_a_key_signs(path: Path, time: str, said: str) -> None:
    run(path, "new")

    assert said in run(path, "new", "--signs-from", time).output


def test_keys_that_root_makes_are_given_to_the_service(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    given: list[tuple[int, int]] = []
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    monkeypatch.setattr(os, "fchown", lambda _, uid, gid: given.append((uid, gid)))

    add_key(path, "ES384", NOW)
    add_key(path, "ES384", NOW)

    folder, file = path.parent.stat(), path.stat()
    assert given == [(folder.st_uid, folder.st_gid), (file.st_uid, file.st_gid)]


def test_no_keys_sign_nothing() -> None:
    assert SigningKeys().signing("ES384", NOW) is None


def test_ready_says_whether_the_file_is_in_force(path: Path) -> None:
    add_key(path, "ES384", NOW)
    http = client(Settings(signing_keys=path))
    assert (http.get("/ready").json or {})["signing_keys"] == "current"

    path.chmod(0o644)

    assert (http.get("/ready").json or {})["signing_keys"] == "outdated"
    assert "signing_keys" not in (client().get("/ready").json or {})
