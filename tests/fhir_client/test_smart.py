# SPDX-License-Identifier: Apache-2.0
"""SMART Backend Services against a token server that misbehaves as it is told."""

import json
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from threading import Barrier, Thread
from typing import Any

import jwt
import pytest
from click.testing import CliRunner, Result

from cds_service.cli import cli
from cds_service.clock import Deadline
from cds_service.fhir_client.client import Access, FhirClient, GivenToken, NoToken
from cds_service.fhir_client.failures import QueryError
from cds_service.fhir_client.servers import ANYWHERE, Server
from cds_service.hooks.request import Authorization
from cds_service.outgoing.address_policy import AddressPolicy
from cds_service.smart.access import authorize_background, authorize_call
from cds_service.smart.failures import TOKEN_FAILURES, TokenError
from cds_service.smart.key_rotation import add_key
from cds_service.smart.scopes import missing, scopes_for, to_write, types_of
from cds_service.smart.signing_keys import KeyFile
from cds_service.smart.token_cache import BackendToken, TokenCache, open_token_cache
from tests.fhir_client.faulty import Asked, Faulty, Reply, faulty, in_turn, searchset

NOW = datetime(2026, 6, 15, 9, 0, tzinfo=UTC)
CONFIGURATION = ".well-known/smart-configuration"
QUERIES = ("Patient/1", "Observation?patient=1&code=x")
SCOPES = "system/Observation.rs system/Patient.rs"
Json = dict[str, Any]


class Time:
    """A clock that moves when it is told."""

    now = NOW

    def __call__(self) -> datetime:
        return self.now


@pytest.fixture(name="server")
def _server() -> Iterator[Faulty]:
    """A FHIR server with a token endpoint that gives `token-1`, `token-2` and so on."""
    with faulty() as state:
        given = iter(range(1, 100))

        def token(_: Asked) -> Reply:
            return Reply(granted(f"token-{next(given)}"))

        state.answers[CONFIGURATION] = Reply({"token_endpoint": f"{state.base}/token"})
        state.answers["token"] = token
        state.answers["Observation"] = Reply(searchset())
        yield state


def granted(token: str, **more: object) -> Json:
    said = {"access_token": token, "token_type": "bearer", "expires_in": 300, "scope": SCOPES}
    return {**said, **more}


@pytest.fixture(name="keys", scope="module")
def _keys(tmp_path_factory: pytest.TempPathFactory) -> KeyFile:
    path = tmp_path_factory.mktemp("keys") / "keys.json"
    add_key(path, "ES384", NOW)
    add_key(path, "RS384", NOW)
    return KeyFile(path)


def tokens_of(keys: KeyFile, clock: Callable[[], datetime] = lambda: NOW) -> TokenCache:
    return open_token_cache(keys, clock)


def described(server: Faulty, **more: Any) -> Server:
    return Server(base=server.base, policy=ANYWHERE, client_id="lab-cds", **more)


def bearer(server: Faulty, keys: KeyFile, **more: Any) -> BackendToken:
    return tokens_of(keys).bearer(described(server, **more), QUERIES)


def reason(call: Callable[[], object]) -> tuple[str, str]:
    with pytest.raises(TokenError) as caught:
        call()
    return caught.value.reason, caught.value.code


@pytest.mark.parametrize("algorithm", ["ES384", "RS384"])
def test_bs_006_bs_007_the_request_proves_who_asks(
    server: Faulty, keys: KeyFile, algorithm: Any
) -> None:
    assert bearer(server, keys, algorithm=algorithm).token(Deadline(20)) == "token-1"

    (form,) = (request.parameters for request in server.asked if request.path == "token")
    assertion = form["client_assertion"]
    header, claims = (
        jwt.get_unverified_header(assertion),
        jwt.decode(assertion, options={"verify_signature": False}),
    )
    assert {name: form[name] for name in form if name != "client_assertion"} == {
        "grant_type": "client_credentials",
        "scope": SCOPES,
        "client_assertion_type": "urn:ietf:params:oauth:client-assertion-type:jwt-bearer",
    }
    public = {key["kid"]: key for key in keys.current().published()["keys"]}
    jwt.api_jws.decode(assertion, jwt.PyJWK(public[header["kid"]]), [algorithm])
    assert (header["typ"], header["alg"]) == ("JWT", algorithm)
    assert claims["iss"] == claims["sub"] == "lab-cds"
    assert claims["aud"] == f"{server.base}/token"
    assert NOW.timestamp() < claims["exp"] <= NOW.timestamp() + 300


def test_bs_006_no_assertion_is_used_twice(server: Faulty, keys: KeyFile) -> None:
    own = bearer(server, keys)
    own.renewed(own.token(Deadline(20)), Deadline(20))

    ids = [
        jwt.decode(request.parameters["client_assertion"], options={"verify_signature": False})[
            "jti"
        ]
        for request in server.asked
        if request.path == "token"
    ]
    assert len(set(ids)) == len(ids) == 2


def test_bs_009_a_token_serves_until_shortly_before_its_end(server: Faulty, keys: KeyFile) -> None:
    time = Time()
    own = tokens_of(keys, time).bearer(described(server), QUERIES)

    seen = []
    for seconds in (0, 200, 280, 281, 900):
        time.now = NOW + timedelta(seconds=seconds)
        seen.append(own.token(Deadline(20)))

    assert seen == ["token-1", "token-1", "token-2", "token-2", "token-3"]


@pytest.mark.parametrize("life", [None, "soon", True, -5, "300", 1e300])
def test_bs_009_an_odd_life_does_no_harm(server: Faulty, keys: KeyFile, life: object) -> None:
    server.answers["token"] = Reply(granted("token", expires_in=life))

    assert bearer(server, keys).token(Deadline(20)) == "token"


def test_bs_009_many_threads_ask_once(server: Faulty, keys: KeyFile) -> None:
    own = bearer(server, keys)
    together = Barrier(8)
    seen: list[str] = []

    def ask() -> None:
        together.wait()
        seen.append(own.token(Deadline(20)))

    threads = [Thread(target=ask) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert seen == ["token-1"] * 8
    assert server.paths().count("token") == 1


def test_bs_009_a_refused_token_is_renewed_once(server: Faulty, keys: KeyFile) -> None:
    def data(asked: Asked) -> Reply:
        return Reply(searchset()) if asked.authorization == "Bearer token-2" else Reply(status=401)

    server.answers["Observation"] = data
    client = FhirClient(most_bytes=100_000, most_pages=5)
    access = Access(described(server), bearer(server, keys))

    found = client.ask(access, QUERIES[1], Deadline(20))

    assert found.failure is None
    server.answers["Observation"] = Reply(status=401)
    assert client.ask(access, QUERIES[1], Deadline(20)).failure == "unauthorized"
    assert server.paths().count("token") == 3


def test_bs_008_scopes_are_the_least_and_in_the_words_of_version_2() -> None:
    assert types_of(QUERIES) == {"Patient", "Observation"}
    assert " ".join(scopes_for({"Patient", "Observation"}, "v2")) == SCOPES
    assert scopes_for({"Patient"}, "v1") == ("system/Patient.read",)


@pytest.mark.parametrize(
    ("asked", "given", "without"),
    [
        ("system/Patient.rs", "system/Patient.rs", False),
        ("system/Patient.rs", "system/Patient.cruds", False),
        ("system/Patient.rs", "system/*.rs", False),
        ("system/Patient.rs", "system/Patient.read", False),
        ("system/Patient.rs", "system/*.*", False),
        ("system/Patient.read", "system/Patient.rs", False),
        ("system/Patient.rs", "system/Patient.r", True),
        ("system/Patient.rs", "system/Observation.rs", True),
        ("system/Patient.rs", "user/Patient.rs", True),
        ("system/Patient.rs", "system/Patient.write", True),
        ("system/Observation.rs", "system/Observation.rs?category=laboratory", True),
        ("something else", "something else", False),
        ("something else", "", True),
    ],
)
def test_bs_008_what_was_granted_is_compared(asked: str, given: str, without: bool) -> None:
    assert missing([asked], given.split(" ") if " " not in asked else [given]) == (
        {asked} if without else set()
    )


def test_bs_008_a_server_of_version_1_is_asked_in_its_words(server: Faulty, keys: KeyFile) -> None:
    server.answers["token"] = in_turn(
        Reply({"error": "invalid_scope"}, status=400),
        Reply(granted("token", scope="system/Observation.read system/Patient.read")),
    )

    assert bearer(server, keys).token(Deadline(20)) == "token"
    assert [request.parameters["scope"] for request in server.asked if request.path == "token"] == [
        SCOPES,
        "system/Observation.read system/Patient.read",
    ]


def test_bs_008_a_server_that_says_so_is_asked_in_version_1_at_once(
    server: Faulty, keys: KeyFile
) -> None:
    server.answers[CONFIGURATION] = Reply(
        {"token_endpoint": f"{server.base}/token", "capabilities": ["permission-v1"]}
    )
    bearer(server, keys).token(Deadline(20))

    (scope,) = [request.parameters["scope"] for request in server.asked if request.path == "token"]
    assert scope == "system/Observation.read system/Patient.read"


def test_bs_008_fewer_scopes_are_used_and_none_are_of_no_use(server: Faulty, keys: KeyFile) -> None:
    server.answers["token"] = Reply(granted("token", scope="system/Patient.rs"))
    assert bearer(server, keys).token(Deadline(20)) == "token"

    server.answers["token"] = Reply(granted("token", scope="system/Device.rs"))
    assert reason(lambda: bearer(server, keys).token(Deadline(20)))[0] == "fewer-scopes"


def test_bs_008_what_was_not_granted_is_not_asked_for_and_not_taken_for_nothing(
    server: Faulty, keys: KeyFile
) -> None:
    server.answers["token"] = Reply(granted("token", scope="system/Patient.rs"))
    server.answers["Patient/1"] = Reply({"resourceType": "Patient", "id": "1"})
    client = FhirClient(most_bytes=100_000, most_pages=5)
    access = Access(described(server), bearer(server, keys))

    failures = [client.ask(access, query, Deadline(20)).failure for query in QUERIES]

    assert failures == [None, "forbidden"]
    assert "Observation" not in server.paths()


def test_scopes_of_the_servers_file_are_asked_for_as_they_are(
    server: Faulty, keys: KeyFile
) -> None:
    server.answers["token"] = Reply(granted("token", scope="a b"))

    assert bearer(server, keys, scopes=("a", "b")).token(Deadline(20)) == "token"
    assert server.asked[-1].parameters["scope"] == "a b"


def endpoint(server: Faulty, **more: object) -> Reply:
    return Reply({"token_endpoint": f"{server.base}/token", **more})


DISCOVERY: dict[str, tuple[Callable[[Faulty], Reply], str]] = {
    "absent": (lambda _: Reply(status=404), "no-discovery"),
    "html": (lambda _: Reply(b"<html></html>"), "no-discovery"),
    "a list": (lambda _: Reply(b"[]"), "no-discovery"),
    "elsewhere": (
        lambda _: Reply(status=302, headers={"Location": "https://x.example/"}),
        "no-discovery",
    ),
    "without an endpoint": (lambda _: Reply(b"{}"), "no-endpoint"),
    "no URL": (lambda _: Reply({"token_endpoint": "somewhere"}), "endpoint-closed"),
    "in the clear": (
        lambda _: Reply({"token_endpoint": "http://auth.example/token"}),
        "endpoint-closed",
    ),
    "no method": (
        lambda server: endpoint(
            server, token_endpoint_auth_methods_supported=["client_secret_basic"]
        ),
        "no-method",
    ),
    "no algorithm": (
        lambda server: endpoint(server, token_endpoint_auth_signing_alg_values_supported=["RS384"]),
        "no-algorithm",
    ),
}


@pytest.mark.parametrize("name", DISCOVERY)
def test_bs_004_what_a_server_says_of_its_tokens_is_checked(
    server: Faulty, keys: KeyFile, name: str
) -> None:
    answer, said = DISCOVERY[name]
    server.answers[CONFIGURATION] = answer(server)

    assert reason(lambda: bearer(server, keys).token(Deadline(20)))[0] == said
    assert "token" not in server.paths()


def oauth(error: str) -> Reply:
    return Reply({"error": error, "error_description": "canary of the server"}, status=400)


TOKENS: dict[str, tuple[Reply, str]] = {
    "invalid_client": (oauth("invalid_client"), "invalid_client"),
    "invalid_scope": (oauth("invalid_scope"), "invalid_scope"),
    "something else": (oauth("canary"), "refused"),
    "html": (Reply(b"<html></html>"), "no-token"),
    "broken": (Reply(status=500), "failed"),
    "elsewhere": (Reply(status=307, headers={"Location": "https://x.example/"}), "redirected"),
    "huge": (Reply(b" " * 300_000), "unanswered"),
    "cut": (Reply(granted("token"), cut=True), "unanswered"),
    "no token": (Reply({"token_type": "bearer"}), "no-token"),
    "a token with a line": (Reply(granted("a\r\nb")), "no-token"),
    "another type": (Reply(granted("token", token_type="mac")), "not-bearer"),
}


@pytest.mark.parametrize("name", TOKENS)
def test_bs_011_what_is_no_token_has_its_reason_and_shows_nothing(
    server: Faulty, keys: KeyFile, name: str
) -> None:
    reply, said = TOKENS[name]
    server.answers["token"] = reply

    with pytest.raises(TokenError) as caught:
        bearer(server, keys).token(Deadline(20))

    assert (caught.value.reason, caught.value.code) == (said, "no-own-token")
    assert "canary" not in str(caught.value) + caught.value.text


@pytest.mark.parametrize("kind", ["Bearer", "BEARER", "bearer"])
def test_bs_011_the_type_of_a_token_ignores_case(server: Faulty, keys: KeyFile, kind: str) -> None:
    server.answers["token"] = Reply(granted("token", token_type=kind))

    assert bearer(server, keys).token(Deadline(20)) == "token"


def test_a_token_server_that_hangs_is_late(server: Faulty, keys: KeyFile) -> None:
    server.answers["token"] = Reply(granted("token"), hang=True)

    with pytest.raises(QueryError) as caught:
        bearer(server, keys).token(Deadline(0.3))
    assert caught.value.code == "late"


def test_a_server_that_refused_is_not_asked_again_at_once(server: Faulty, keys: KeyFile) -> None:
    time = Time()
    own = tokens_of(keys, time).bearer(described(server), QUERIES)
    server.answers["token"] = oauth("invalid_client")

    for seconds in (0, 1, 6):
        time.now = NOW + timedelta(seconds=seconds)
        assert reason(lambda: own.token(Deadline(20)))[0] == "invalid_client"

    assert server.paths().count("token") == 2


def test_a_token_server_that_hangs_does_not_cost_every_call_its_time(
    server: Faulty, keys: KeyFile
) -> None:
    own = bearer(server, keys)
    server.answers["token"] = Reply(granted("token"), hang=True)
    elapsed = iter([0.0] * 3)  # the first steps have time; then there is hardly any

    with pytest.raises(QueryError) as caught:
        own.token(Deadline(20, lambda: next(elapsed, 19_700.0)))
    assert caught.value.code == "late"

    with pytest.raises(TokenError) as caught_again:
        own.token(Deadline(20))
    assert caught_again.value.code == "late"
    assert server.paths().count("token") == 1


def test_without_a_key_that_signs_nothing_is_asked(server: Faulty, tmp_path: Path) -> None:
    path = tmp_path / "keys.json"
    add_key(path, "ES384", NOW, NOW + timedelta(days=1))

    assert reason(lambda: bearer(server, KeyFile(path)).token(Deadline(20)))[0] == "no-key"
    assert "token" not in server.paths()


def test_the_token_shows_nowhere(server: Faulty, keys: KeyFile) -> None:
    tokens = tokens_of(keys)
    token = tokens.token(described(server), types_of(QUERIES), Deadline(20))

    assert token.value not in repr(token)


# BS-012: whose token a call is answered with

AUTHORIZATION = Authorization(
    access_token="of the user", expires_in=300, scope="patient/*.rs", subject="cds"
)
OPEN = Server(base="https://fhir.example/r4", client_id="lab-cds")


def access(
    server: Server, authorization: Authorization | None, tokens: TokenCache | None
) -> Access | None:
    return authorize_call(server, authorization, Deadline(20), tokens, QUERIES)


def test_bs_012_a_call_with_a_token_is_answered_with_that_token(keys: KeyFile) -> None:
    server = replace(OPEN, own_access_for_hooks=True, anonymous=True)

    found = access(server, AUTHORIZATION, tokens_of(keys))

    assert found is not None
    assert isinstance(found.bearer, GivenToken)


def test_bs_012_our_own_token_serves_hooks_only_where_the_file_says_so(keys: KeyFile) -> None:
    assert access(OPEN, None, tokens_of(keys)) is None
    found = access(replace(OPEN, own_access_for_hooks=True), None, tokens_of(keys))

    assert found is not None
    assert isinstance(found.bearer, BackendToken)


@pytest.mark.parametrize(
    "server",
    [
        replace(OPEN, own_access_for_hooks=True, client_id=None),
        replace(OPEN, own_access_for_hooks=True, base="http://fhir.example/r4"),
    ],
)
def test_bs_012_our_own_token_is_never_sent_where_it_may_not(server: Server, keys: KeyFile) -> None:
    assert access(server, None, tokens_of(keys)) is None
    found = access(replace(server, anonymous=True), None, tokens_of(keys))
    assert found is not None
    assert isinstance(found.bearer, NoToken)


def test_a_token_in_the_clear_is_refused_even_if_it_is_asked_for(keys: KeyFile) -> None:
    server = replace(OPEN, base="http://fhir.example/r4", policy=AddressPolicy(http=True))

    own = tokens_of(keys).bearer(server, QUERIES)

    assert reason(lambda: own.token(Deadline(20)))[0] == "in-the-clear"


# The command


def check(server: Faulty, keys: Path | None, tmp_path: Path, *options: str) -> Result:
    path = tmp_path / "servers.yaml"
    path.write_text(
        f"servers:\n  - base: {server.base}\n    this machine: yes\n    client id: lab-cds\n"
        "  - base: https://open.example/r4\n    anonymous: yes\n",
        encoding="utf-8",
    )
    environ = {"CDS_SIGNING_KEYS": None if keys is None else str(keys), "CDS_FHIR_SERVERS": None}
    return CliRunner().invoke(cli, ["servers", "check", str(path), *options], env=environ)


@pytest.fixture(name="own_keys")
def _own_keys(tmp_path: Path) -> Path:
    path = tmp_path / "keys.json"
    add_key(path, "ES384", NOW)
    return path


def test_the_command_says_what_was_granted(server: Faulty, own_keys: Path, tmp_path: Path) -> None:
    result = check(server, own_keys, tmp_path, "--json")

    first, second = json.loads(result.output)
    assert result.exit_code == 0
    assert first["granted"] == SCOPES.split()
    assert "system/Condition.rs" in first["notGranted"]
    assert second == {
        "base": "https://open.example/r4",
        "anonymous": True,
        "privateNetwork": False,
    }


def test_the_command_says_why_there_is_no_token(
    server: Faulty, own_keys: Path, tmp_path: Path
) -> None:
    server.answers["token"] = oauth("invalid_client")

    result = check(server, own_keys, tmp_path)

    assert result.exit_code == 1
    assert TOKEN_FAILURES["invalid_client"] in result.output
    assert "canary" not in result.output


def test_the_command_says_that_keys_are_missing(server: Faulty, tmp_path: Path) -> None:
    result = check(server, None, tmp_path, "--server", server.base)

    assert (result.exit_code, TOKEN_FAILURES["no-keys"] in result.output) == (1, True)
    assert server.asked == []


def test_bs_008_what_is_written_is_asked_for_apart() -> None:
    needs = {"Observation", *to_write(["Task"])}

    assert scopes_for(needs, "v2") == ("system/Observation.rs", "system/Task.cu")
    assert scopes_for(needs, "v1") == ("system/Observation.read", "system/Task.write")
    assert missing(scopes_for(needs, "v2"), ["system/*.read", "system/Task.write"]) == frozenset()


@pytest.mark.parametrize(
    ("server", "kind"),
    [
        (Server(base="https://x", client_id="a"), BackendToken),
        (Server(base="https://x", client_id="a", anonymous=True), BackendToken),
        (Server(base="https://x", anonymous=True), NoToken),
        (Server(base="http://x.example", client_id="a"), type(None)),
        (Server(base="https://x"), type(None)),
    ],
)
def test_work_of_its_own_carries_the_service_s_token(
    keys: KeyFile, server: Server, kind: type[object]
) -> None:
    tokens = tokens_of(keys)

    found = authorize_background(server, tokens, ["Observation?_id=1"], ["Task"])

    assert isinstance(None if found is None else found.bearer, kind)
