# SPDX-License-Identifier: Apache-2.0
"""SMART Backend Services and pages on a FHIR server written by others."""

import json
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
import requests

from cds_service.clock import Deadline, system_clock
from cds_service.fhir_client.client import Access, FhirClient, NoToken
from cds_service.fhir_client.servers import ANYWHERE, Server, SigningAlgorithm
from cds_service.settings import Settings
from cds_service.smart.failures import TokenError
from cds_service.smart.key_rotation import add_key
from cds_service.smart.signing_keys import ALGORITHMS, KeyFile
from cds_service.smart.token_cache import open_token_cache
from cds_service.web import create_app
from tests.fhir_server.sekmet import put, running
from tests.web.http_fixtures import (
    ALT,
    PATIENT,
    SERVICE,
    founding,
    knowledge,
    observation,
    patient,
    without,
)

pytestmark = pytest.mark.server

Json = dict[str, Any]
SCOPES = "system/Patient.rs system/Observation.rs"
WRITER = "for-the-test-data"


@pytest.fixture(name="keys", scope="module")
def _keys(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("keys") / "keys.json"
    for algorithm in ALGORITHMS:
        add_key(path, algorithm, system_clock())
    return path


@pytest.fixture(name="protected", scope="module")
def _protected(keys: Path) -> Iterator[str]:
    """A server that lets in who has a token, with the founding patient.

    It tries the keys of a client one after another, whatever their names, and fails on one of
    another kind: so the service is registered once for each algorithm.
    """
    registered = [
        {"client_id": f"lab-{key['alg']}", "jwks": {"keys": [key]}, "scopes": SCOPES}
        for key in KeyFile(keys).current().published()["keys"]
    ]
    auth = {"types": ["smart", "bearer"], "tokens": [WRITER], "smart_clients": registered}
    with running(server_auth=auth) as base:
        yesterday = (system_clock() - timedelta(days=1)).isoformat()
        result = observation(ALT, 1, effectiveDateTime=yesterday)
        put(base, [patient(), result], {"Authorization": f"Bearer {WRITER}"})
        yield base


def fhir_client() -> FhirClient:
    return FhirClient(most_bytes=10_000_000, most_pages=10)


@pytest.mark.parametrize("algorithm", ALGORITHMS)
def test_bs_003_a_token_signed_for_is_given_and_opens_what_it_is_for(
    protected: str, keys: Path, algorithm: Any
) -> None:
    server = Server(
        base=protected, policy=ANYWHERE, client_id=f"lab-{algorithm}", algorithm=algorithm
    )
    http = fhir_client()
    queries = (f"Patient/{PATIENT}", f"Observation?patient={PATIENT}")
    bearer = open_token_cache(KeyFile(keys), system_clock).bearer(server, queries)

    found = [http.ask(Access(server, bearer), query, Deadline(30)) for query in queries]

    assert [answer.failure for answer in found] == [None, None]
    assert f"{ALT}" in found[1].pages[0].body.decode()
    other = http.ask(Access(server, bearer), f"Condition?patient={PATIENT}", Deadline(30))
    assert other.failure == "forbidden"


def test_without_a_token_it_lets_nobody_in(protected: str) -> None:
    server = Server(base=protected, policy=ANYWHERE)

    found = fhir_client().ask(Access(server, NoToken()), f"Patient/{PATIENT}", Deadline(30))

    assert found.failure == "unauthorized"


def test_a_key_that_is_not_registered_gets_no_token(protected: str, tmp_path: Path) -> None:
    path = tmp_path / "keys.json"
    add_key(path, "ES384", system_clock())
    server = Server(base=protected, policy=ANYWHERE, client_id="lab-ES384")
    bearer = open_token_cache(KeyFile(path), system_clock).bearer(server, ("Patient/1",))

    with pytest.raises(TokenError) as caught:
        bearer.token(Deadline(30))
    assert caught.value.reason == "invalid_client"


@pytest.mark.parametrize("algorithm", ALGORITHMS)
def test_bs_006_the_server_refuses_what_is_wrong_and_what_it_has_seen(
    protected: str, keys: Path, algorithm: SigningAlgorithm
) -> None:
    """Proof that it looks at what we sign: the same with one thing wrong gets nothing."""
    now = system_clock()
    key = KeyFile(keys).current().signing(algorithm, now)
    assert key is not None
    root = protected.removesuffix("/fhir")

    def answer(assertion: str) -> requests.Response:
        kind = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"
        form = {"grant_type": "client_credentials", "client_assertion_type": kind}
        form |= {"scope": "system/Patient.rs", "client_assertion": assertion}
        return requests.post(f"{root}/auth/token", data=form, timeout=10)

    def signed(jti: str, audience: str = "/auth/token", minutes: float = 4) -> str:
        name, exp = f"lab-{algorithm}", int((now + timedelta(minutes=minutes)).timestamp())
        claims = {"iss": name, "sub": name, "aud": root + audience, "exp": exp}
        return key.signed({**claims, "jti": f"{algorithm}-{jti}"})

    good = signed("good")
    assert answer(good).json()["token_type"].lower() == "bearer"
    for wrong in (
        good,  # a second time
        signed("audience", audience="/fhir"),
        signed("over", minutes=-1),
        signed("long", minutes=6),
    ):
        refused = answer(wrong)
        assert (refused.status_code, refused.json()["error"]) == (401, "invalid_client")


@pytest.mark.parametrize(("own", "status"), [("yes", 200), ("no", 412)])
def test_bs_012_a_call_without_a_token_is_answered_with_ours_only_by_policy(
    protected: str, keys: Path, tmp_path: Path, own: str, status: int
) -> None:
    servers = tmp_path / "servers.yaml"
    servers.write_text(
        f"servers:\n  - base: {protected}\n    this machine: yes\n    client id: lab-ES384\n"
        f"    own access for hooks: {own}\n",
        encoding="utf-8",
    )
    settings = Settings(
        fhir_servers=servers, signing_keys=keys, explain="always", deadline_ms=30_000
    )
    body = {**without(founding(), "prefetch"), "fhirServer": protected}

    # Under the real time: the server looks at that of the assertion.
    http = create_app(settings, knowledge=knowledge()).test_client()
    response = http.post(SERVICE, json=body)

    assert response.status_code == status, response.text
    if status == 200:
        said = json.loads(response.text)
        fetched = said["extension"]["org.cds-service.explanation"]["fetched"]
        assert (fetched["observations"], fetched["conditions"]) == ("whole", "forbidden")
        assert len(said["cards"]) == 1


def test_hundreds_of_results_come_in_pages() -> None:
    with running() as base:
        many = [
            observation(
                ALT, 30, id=f"o{n}", effectiveDateTime=f"2026-06-14T{n // 60:02}:{n % 60:02}:00Z"
            )
            for n in range(450)
        ]
        put(base, many)
        server = Server(base=base, policy=ANYWHERE)
        query = f"Observation?patient={PATIENT}&_sort=-date&_count=200"

        found = fhir_client().ask(Access(server, NoToken()), query, Deadline(60))

    assert (len(found.pages), found.failure, found.ignored) == (3, None, frozenset())
    ids = {e["resource"]["id"] for page in found.pages for e in json.loads(page.body)["entry"]}
    assert len(ids) == 450
