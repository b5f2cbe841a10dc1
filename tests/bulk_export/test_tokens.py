# SPDX-License-Identifier: Apache-2.0
"""Where the access token of an export goes, and where it does not."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from cds_service.clock import system_clock
from cds_service.errors import CdsServiceError, RequestError
from cds_service.fhir_client.servers import ANYWHERE, Server
from cds_service.outgoing.address_policy import AddressPolicy
from cds_service.smart.key_rotation import add_key
from cds_service.smart.signing_keys import KeyFile
from cds_service.smart.token_cache import BackendToken, open_token_cache
from tests.bulk_export.bulk import (
    KICK_OFF,
    KINDS,
    PEOPLE,
    RESULTS,
    files_in,
    manifest,
    on_get,
    ready,
    run,
    started,
)
from tests.fhir_client.faulty import Asked, Faulty, Reply, faulty

SCOPES = " ".join(f"system/{kind}.rs" for kind in KINDS)


@pytest.fixture(name="server")
def _server() -> Iterator[Faulty]:
    """A server that exports, and gives out `token-1`, `token-2` and so on."""
    with faulty() as state:
        given = iter(range(1, 100))

        def token(_: Asked) -> Reply:
            said = {"token_type": "bearer", "expires_in": 300, "scope": SCOPES}
            return Reply({"access_token": f"token-{next(given)}", **said})

        ready(state)
        state.answers[".well-known/smart-configuration"] = Reply(
            {"token_endpoint": f"{state.base}/token"}
        )
        state.answers["token"] = token
        state.answers["status"] = on_get(
            Reply(manifest(state, "Patient/1", "Observation/1", requiresAccessToken=True))
        )
        yield state


@pytest.fixture(name="other")
def _other() -> Iterator[Faulty]:
    """Another host: the same machine by another port."""
    with faulty() as state:
        state.answers["Patient/1"] = Reply(PEOPLE)
        yield state


@pytest.fixture(name="keys", scope="module")
def _keys(tmp_path_factory: pytest.TempPathFactory) -> KeyFile:
    path = tmp_path_factory.mktemp("keys") / "keys.json"
    add_key(path, "ES384", system_clock())
    return KeyFile(path)


@pytest.fixture(name="bearer")
def _bearer(server: Faulty, keys: KeyFile) -> BackendToken:
    listed = Server(base=server.base, policy=ANYWHERE, client_id="lab-cds")
    return open_token_cache(keys, system_clock).bearer(listed, KINDS)


def sent(server: Faulty) -> dict[str, str | None]:
    """The token that each path saw last."""
    return {request.path: request.authorization for request in server.asked}


def test_every_request_to_the_server_has_the_token(
    server: Faulty, bearer: BackendToken, tmp_path: Path
) -> None:
    run(server, tmp_path / "x", bearer=bearer)

    seen = sent(server)
    assert {seen[path] for path in (KICK_OFF, "status", "Patient/1", "Observation/1")} == {
        "Bearer token-1"
    }
    (deleted,) = (request for request in server.asked if request.method == "DELETE")
    assert deleted.authorization == "Bearer token-1"


def test_a_token_that_is_refused_meanwhile_is_renewed(
    server: Faulty, bearer: BackendToken, tmp_path: Path
) -> None:
    def results(asked: Asked) -> Reply:
        is_new = asked.authorization == "Bearer token-2"
        return Reply(RESULTS) if is_new else Reply(status=401)

    server.answers["Observation/1"] = results

    run(server, tmp_path / "x", bearer=bearer)

    assert files_in(tmp_path / "x")["Observation.000001.ndjson"] == RESULTS


def test_files_that_need_no_token_get_none(
    server: Faulty, bearer: BackendToken, tmp_path: Path
) -> None:
    server.answers["status"] = on_get(Reply(manifest(server, "Patient/1")))

    run(server, tmp_path / "x", bearer=bearer)

    assert sent(server)["Patient/1"] is None


def test_files_on_another_host_get_none(
    server: Faulty, other: Faulty, bearer: BackendToken, tmp_path: Path
) -> None:
    server.answers["status"] = on_get(Reply(manifest(other, "Patient/1")))

    run(server, tmp_path / "x", bearer=bearer)

    assert sent(other) == {"Patient/1": None}


def test_files_on_another_host_that_need_the_token_are_refused(
    server: Faulty, other: Faulty, bearer: BackendToken, tmp_path: Path
) -> None:
    server.answers["status"] = on_get(Reply(manifest(other, "Patient/1", requiresAccessToken=True)))

    with pytest.raises(RequestError, match="on another host"):
        run(server, tmp_path / "x", bearer=bearer)
    assert other.asked == []


def test_the_token_does_not_follow_a_redirect_to_another_host_and_back(
    server: Faulty, other: Faulty, bearer: BackendToken, tmp_path: Path
) -> None:
    away = {"Location": f"{other.base}/away"}
    back = {"Location": f"{server.base}/back"}
    server.answers["Patient/1"] = Reply(status=307, headers=away)
    server.answers["Observation/1"] = Reply(status=302, headers={"Location": "here"})
    server.answers["Observation/here"] = Reply(RESULTS)
    server.answers["back"] = Reply(PEOPLE)
    other.answers["away"] = Reply(status=302, headers=back)

    run(server, tmp_path / "x", bearer=bearer)

    seen = sent(server)
    assert seen["Patient/1"] == seen["Observation/here"] == "Bearer token-1"
    assert (sent(other)["away"], seen["back"]) == (None, None)
    assert files_in(tmp_path / "x")["Patient.000001.ndjson"] == PEOPLE


def test_redirects_come_to_an_end(server: Faulty, bearer: BackendToken, tmp_path: Path) -> None:
    server.answers["Patient/1"] = Reply(status=302, headers={"Location": "1"})

    with pytest.raises(CdsServiceError, match="again and again"):
        run(server, tmp_path / "x", bearer=bearer)


def test_the_state_of_the_export_on_another_host_is_asked_for_without_the_token(
    server: Faulty, other: Faulty, bearer: BackendToken, tmp_path: Path
) -> None:
    server.answers[KICK_OFF] = started(other)
    other.answers["status"] = on_get(Reply(manifest(other, "Patient/1")))

    run(server, tmp_path / "x", bearer=bearer)

    assert set(sent(other).values()) == {None}


@pytest.mark.parametrize(
    "url", ["file:///etc/passwd", "http://192.168.1.1/x", "http://user@127.0.0.1/x", "https://[/x"]
)
def test_no_address_is_called_that_may_not_be(server: Faulty, tmp_path: Path, url: str) -> None:
    found = manifest(server, output=[{"type": "Patient", "url": url}])
    server.answers["status"] = on_get(Reply(found))

    with pytest.raises(CdsServiceError):
        run(server, tmp_path / "x", policy=AddressPolicy(loopback=True))
    assert files_in(tmp_path / "x") == {}


def test_a_redirect_to_an_address_that_may_not_be_called_is_not_followed(
    server: Faulty, tmp_path: Path
) -> None:
    server.answers["Patient/1"] = Reply(status=302, headers={"Location": "http://10.0.0.1/x"})

    with pytest.raises(RequestError, match="may not be called"):
        run(server, tmp_path / "x", policy=AddressPolicy(loopback=True))


def test_what_the_token_does_not_cover_is_left_out_and_named(
    server: Faulty, bearer: BackendToken, tmp_path: Path
) -> None:
    said = {"token_type": "bearer", "scope": "system/Patient.rs system/Observation.rs"}
    server.answers["token"] = Reply({"access_token": "few", **said})

    summary = run(server, tmp_path / "x", bearer=bearer)

    kick_off = next(request for request in server.asked if request.path == KICK_OFF)
    assert kick_off.parameters["_type"] == "Patient,Observation"
    assert set(summary.not_exported) == {"Condition", "Medication"}


def test_without_a_token_nothing_is_asked(
    server: Faulty, bearer: BackendToken, tmp_path: Path
) -> None:
    server.answers["token"] = Reply({"error": "invalid_client"}, status=400)

    with pytest.raises(RequestError, match="invalid_client"):
        run(server, tmp_path / "x", bearer=bearer)
    assert KICK_OFF not in server.paths()
