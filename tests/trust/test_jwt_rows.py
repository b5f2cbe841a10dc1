# SPDX-License-Identifier: Apache-2.0
"""Every row of the checklist about JSON Web Tokens (CDS Hooks 2.0.1, "Trusting CDS Clients")."""

import json
from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from io import StringIO
from pathlib import Path
from typing import Any

import pytest
import structlog
from fhir.resources.R4B.operationoutcome import OperationOutcome

from cds_service.errors import SettingsError
from cds_service.log import configure_log
from cds_service.settings import Settings
from cds_service.trust.jwk import FITS
from cds_service.web import create_app
from tests.trust.signing import (
    BASE,
    ISSUER,
    SERVICE,
    URL,
    Signer,
    Site,
    claims_of,
    encoded,
    es384,
    part,
    private_key_for,
    refused,
    registration,
    rs384,
    seconds,
    settings_for,
    signed,
    signed_text,
    site,
)
from tests.web.http_fixtures import NAME, NOW, founding

OTHER_SERVICE = BASE + "/cds-services/another"


@pytest.fixture(name="place", scope="module")
def _place(tmp_path_factory: pytest.TempPathFactory) -> Site:
    return site(tmp_path_factory.mktemp("site"))


def good() -> str:
    return es384().token()


# CH-JWT-001


def test_ch_jwt_001_a_call_with_a_token_is_answered(place: Site) -> None:
    response = place.call(good())

    assert response.status_code == 200
    assert len(json.loads(response.text)["cards"]) == 1


@pytest.mark.parametrize(
    "header",
    [
        None,
        "",
        "Bearer",
        "Bearer ",
        "Basic dXNlcjpwYXNz",
        "bearer-token x",
        "{token}",
        "Token {token}",
        "Bearer {token},Bearer {token}",
        "Bearer {token}, Bearer {token}",
        "Bearer {token} {token}",
        "Bearer\t{token}",
        "Basic dXNlcjpwYXNz, Bearer {token}",
        "Bearer {token}, Basic dXNlcjpwYXNz",
    ],
)
def test_ch_jwt_001_without_one_bearer_token_it_is_401(place: Site, header: str | None) -> None:
    headers = {} if header is None else {"Authorization": header.format(token=good())}

    response = place.http.post(SERVICE, json=founding(), headers=headers)

    assert response.status_code == 401
    assert response.headers["WWW-Authenticate"] == "Bearer"


@pytest.mark.parametrize("scheme", ["Bearer", "bearer", "BEARER", "Bearer "])
def test_ch_jwt_001_the_scheme_ignores_case(place: Site, scheme: str) -> None:
    headers = {"Authorization": f"{scheme} {good()}"}

    assert place.http.post(SERVICE, json=founding(), headers=headers).status_code == 200


def test_ch_jwt_001_a_token_anywhere_else_is_no_token(place: Site) -> None:
    place.http.set_cookie("Authorization", good(), domain="localhost")
    address = f"{SERVICE}?access_token={good()}&Authorization=Bearer%20{good()}"
    response = place.http.post(address, json=founding(), headers={"X-Authorization": good()})
    place.http.delete_cookie("Authorization", domain="localhost")

    assert response.status_code == 401


@pytest.mark.parametrize(("discovery", "status"), [("open", 200), ("protected", 401)])
def test_ch_jwt_001_discovery_is_protected_where_the_site_says_so(
    tmp_path: Path, discovery: str, status: int
) -> None:
    place = site(tmp_path, discovery=discovery)

    assert place.http.get("/cds-services").status_code == status
    assert place.http.get("/cds-services/").status_code == status
    assert place.http.head("/cds-services").status_code == status


def test_ch_disc_015_the_audience_of_discovery_is_its_own_url(tmp_path: Path) -> None:
    place = site(tmp_path, discovery="protected")

    def status(audience: str) -> int:
        headers = {"Authorization": f"Bearer {es384().token(aud=audience)}"}
        return place.http.get("/cds-services", headers=headers).status_code

    assert status(f"{BASE}/cds-services") == 200
    assert status(f"{BASE}/cds-services/") == 401
    assert status(URL) == 401
    assert status(BASE) == 401


def test_ch_disc_015_open_discovery_names_no_client_and_no_tenant(tmp_path: Path) -> None:
    place = site(tmp_path, registration(tenants=["tenant-a"], origins=["https://ehr.example.org"]))

    text = place.http.get("/cds-services").text

    for secret in ("ehr", "tenant-a", "ehr.example.org", "key-ec"):
        assert f'"{secret}"' not in text
        assert f"{secret}/" not in text


@pytest.mark.parametrize("address", ["/", "/health", "/ready", "/rules/alt-very-low"])
def test_pages_that_know_of_no_patient_need_no_token(place: Site, address: str) -> None:
    assert place.http.get(address).status_code == 200


# CH-JWT-002


@pytest.mark.parametrize("name", ["alg", "kid", "typ"])
@pytest.mark.parametrize("value", [..., "", None, 7, ["JWT"], NAME])
def test_ch_jwt_002_the_header_has_alg_kid_and_typ(place: Site, name: str, value: Any) -> None:
    reason = "algorithm" if name == "alg" else "header"
    if (name, value) == ("kid", NAME):
        reason = "key-unknown"

    refused(place, es384().token({name: value}), reason)


@pytest.mark.parametrize("kind", ["JWT", "jwt", "Jwt"])
def test_ch_jwt_002_typ_ignores_case(place: Site, kind: str) -> None:
    assert place.call(es384().token({"typ": kind})).status_code == 200


@pytest.mark.parametrize("kind", ["JOSE", "at+jwt", "application/jwt", "JWT "])
def test_ch_jwt_002_another_typ_is_refused(place: Site, kind: str) -> None:
    refused(place, es384().token({"typ": kind}), "header")


# CH-JWT-003 and 004: see also test_attacks.py


@pytest.mark.parametrize("name", ["none", "None", "NONE", "nOnE"])
def test_ch_jwt_003_none_is_no_algorithm(place: Site, name: str) -> None:
    unsigned = f"{part({'alg': name, 'typ': 'JWT', 'kid': 'key-ec'})}.{part(claims_of())}."

    refused(place, unsigned, "algorithm")


def test_ch_jwt_003_an_empty_signature_is_none(place: Site) -> None:
    refused(place, good().rpartition(".")[0] + ".", "signature")


@pytest.mark.parametrize("name", ["HS256", "HS384", "HS512"])
def test_ch_jwt_004_symmetric_algorithms_are_refused(place: Site, name: str) -> None:
    header = {"alg": name, "typ": "JWT", "kid": "key-rsa"}

    refused(place, signed(header, claims_of(), name, b"secret" * 16), "algorithm")


# CH-JWT-005


@pytest.mark.parametrize("signer", [es384(), rs384()], ids=["ES384", "RS384"])
def test_ch_jwt_005_es384_and_rs384_are_accepted(place: Site, signer: Signer) -> None:
    assert place.call(signer.token()).status_code == 200


@pytest.mark.parametrize("name", ["RS256", "RS512", "PS384"])
def test_ch_jwt_005_other_algorithms_only_where_they_are_listed(
    tmp_path: Path, place: Site, name: str
) -> None:
    signer = replace(rs384(), algorithm=name)
    lists = site(tmp_path, registration(algorithms=["ES384", name]))

    refused(place, signer.token(), "algorithm")
    assert lists.call(signer.token()).status_code == 200
    refused(lists, rs384().token(), "algorithm")


@pytest.mark.parametrize("name", FITS)
def test_ch_jwt_005_every_algorithm_verifies_its_own_signatures_alone(
    tmp_path: Path, name: str
) -> None:
    signer, forger = (Signer("key", name, private_key_for(name)) for _ in range(2))
    place = site(tmp_path, registration(keys=[signer.jwk], algorithms=[name]))

    assert place.call(signer.token()).status_code == 200
    refused(place, forger.token(), "signature")
    for other in set(FITS) - {name}:
        refused(place, signer.token({"alg": other}), "algorithm")


# CH-JWT-006


WRONG: dict[str, list[Any]] = {
    "iss": [..., None, "", 7, [ISSUER]],
    "jti": [..., None, "", 7, ["x"]],
    "aud": [..., None, 7, {"a": URL}, [7, URL], [[URL]]],
    "exp": [..., None, "", str(seconds(200)), True, -1, [], 10**30, {}],
    "iat": [..., None, "", str(seconds()), True, -1, [], 10**30, {}],
    "nbf": ["soon", None, True],
    "tenant": [7, None, ["a"]],
}


@pytest.mark.parametrize(
    ("name", "value"), [(name, value) for name, values in WRONG.items() for value in values]
)
def test_ch_jwt_006_the_claims_are_complete(place: Site, name: str, value: Any) -> None:
    refused(place, es384().token(**{name: value}), "claim-missing")


@pytest.mark.parametrize("number", ["1e400", "NaN", "Infinity", "-Infinity", "9" * 5000])
def test_ch_jwt_006_a_time_is_a_number_that_there_is(place: Site, number: str) -> None:
    claims = json.dumps(claims_of(exp=123)).replace("123", number)
    header = part({"alg": "ES384", "typ": "JWT", "kid": "key-ec"})
    token = signed_text(f"{header}.{encoded(claims.encode())}", "ES384", es384().private)

    reason = "claim-missing" if number == "1e400" else "malformed"
    refused(place, token, reason)


@pytest.mark.parametrize("issuer", [ISSUER + "/", ISSUER.upper(), "http://ehr.example.org", NAME])
def test_ch_jwt_006_the_issuer_is_a_registered_one_to_the_letter(place: Site, issuer: str) -> None:
    refused(place, es384().token(iss=issuer), "issuer-unknown")


# CH-JWT-007


@pytest.mark.parametrize(
    "audience",
    [
        OTHER_SERVICE,
        f"{BASE}/cds-services",
        BASE,
        URL + "/",
        URL + "?",
        URL + "#",
        URL + "/feedback",
        URL.replace("https", "http"),
        URL.replace(".org", ".org:443"),
        URL.upper(),
        f"http://localhost{SERVICE}",
        SERVICE,
        "*",
        "",
        [],
        [OTHER_SERVICE, BASE],
    ],
)
def test_ch_jwt_007_the_audience_is_the_exact_url(place: Site, audience: Any) -> None:
    refused(place, es384().token(aud=audience), "audience")


def test_ch_jwt_007_the_audience_can_be_one_of_several(place: Site) -> None:
    assert place.call(es384().token(aud=[OTHER_SERVICE, URL, "x"])).status_code == 200


def test_ch_jwt_007_the_audience_of_the_address_with_a_slash_has_one(place: Site) -> None:
    assert place.call(es384().token(aud=URL + "/"), SERVICE + "/").status_code == 200
    refused(place, good(), "audience", SERVICE + "/")


def test_ch_jwt_007_the_audience_follows_the_public_url_with_its_path(tmp_path: Path) -> None:
    place = site(tmp_path, public_url="https://gate.example.org/lab/")
    inside = {"Host": "10.0.0.7:8000", "X-Forwarded-Host": "evil.example"}
    token = es384().token(aud=f"https://gate.example.org/lab{SERVICE}")

    headers = {"Authorization": f"Bearer {token}", **inside}
    assert place.http.post(SERVICE, json=founding(), headers=headers).status_code == 200
    for host in ("10.0.0.7:8000", "evil.example"):
        refused(place, es384().token(aud=f"https://{host}{SERVICE}"), "audience")


def test_ch_jwt_007_links_follow_the_public_url(place: Site) -> None:
    headers = {"Authorization": f"Bearer {good()}", "Host": "evil.example"}

    text = place.http.post(SERVICE, json=founding(), headers=headers).text

    assert f'"{BASE}/' in text
    assert "evil.example" not in text


def test_q_me_01_a_client_with_an_audience_of_its_own(tmp_path: Path) -> None:
    place = site(tmp_path, registration(audiences=["sand_man"]))

    assert place.call(es384().token(aud="sand_man")).status_code == 200
    refused(place, good(), "audience")


def test_q_ep_04_an_audience_beside_the_url(tmp_path: Path) -> None:
    place = site(tmp_path, registration(audiences=["url called", "epic-typed"]))

    assert place.call(es384().token(aud="epic-typed")).status_code == 200
    assert place.call(good()).status_code == 200
    refused(place, es384().token(aud="url called"), "audience")


def test_t51_a_token_for_one_service_does_not_open_another(place: Site) -> None:
    refused(place, good(), "audience", "/cds-services/liver-order-select")
    refused(place, good(), "audience", "/cds-services/of-nobody")


def test_an_unknown_service_is_404_only_for_who_may_ask(place: Site) -> None:
    token = es384().token(aud=f"{BASE}/cds-services/of-nobody")

    assert place.call(token, "/cds-services/of-nobody").status_code == 404


# CH-JWT-008: the service's clock says NOW; skew 60 s, longest 300 s

BOUNDARIES: list[tuple[dict[str, Any], str | None]] = [
    ({"exp": seconds(-59)}, None),
    ({"exp": seconds(-59.5)}, None),
    ({"exp": seconds(-60)}, "expired"),
    ({"exp": seconds(-61)}, "expired"),
    ({"exp": 0}, "expired"),
    ({"exp": seconds(360)}, None),
    ({"exp": seconds(360.5)}, "too-long"),
    ({"exp": seconds(361)}, "too-long"),
    ({"exp": seconds(86400)}, "too-long"),
    ({"iat": seconds(60)}, None),
    ({"iat": seconds(61)}, "issued-in-future"),
    ({"iat": seconds(-360)}, None),
    ({"iat": seconds(-361)}, "issued-long-ago"),
    ({"iat": 0}, "issued-long-ago"),
    ({"nbf": seconds(60)}, None),
    ({"nbf": seconds(61)}, "not-yet"),
    ({"nbf": seconds(-300)}, None),
    ({"nbf": 0}, None),
]


@pytest.mark.parametrize(("claims", "reason"), BOUNDARIES)
def test_ch_jwt_008_times_to_the_second(
    place: Site, claims: dict[str, Any], reason: str | None
) -> None:
    token = es384().token(**claims)

    if reason is None:
        assert place.call(token).status_code == 200
    else:
        refused(place, token, reason)


def test_ch_jwt_008_how_long_a_token_may_be_is_a_setting(tmp_path: Path) -> None:
    place = site(tmp_path, token_max_seconds=30)

    assert place.call(es384().token(exp=seconds(90))).status_code == 200
    refused(place, es384().token(exp=seconds(91)), "too-long")


def test_ch_jwt_008_a_client_may_have_a_limit_of_its_own(tmp_path: Path) -> None:
    own = site(tmp_path, registration(**{"token max seconds": 900}))

    assert own.call(es384().token(exp=seconds(900), iat=seconds(-900))).status_code == 200
    refused(own, es384().token(exp=seconds(961)), "too-long")
    refused(own, es384().token(iat=seconds(-961)), "issued-long-ago")


def test_ch_jwt_008_a_limit_of_its_own_may_be_shorter(tmp_path: Path) -> None:
    own = site(tmp_path, registration(**{"token max seconds": 60}))

    assert own.call(es384().token(exp=seconds(120))).status_code == 200
    refused(own, es384().token(exp=seconds(121)), "too-long")


# CH-JWT-009 and 010: test_attacks.py and test_keysets.py; CH-JWT-011: both modes


def test_ch_jwt_011_static_keys_need_no_network(place: Site) -> None:
    assert place.call(good()).status_code == 200  # pytest-socket would refuse any other host


# CH-JWT-012


@pytest.mark.parametrize(
    "kid", ["a+b/c=", "../../etc/passwd", "key-ec\u0000", "k' OR '1'='1", "Ünï", "x" * 2000]
)
def test_ch_jwt_012_a_kid_is_an_exact_text_and_nothing_else(
    tmp_path: Path, place: Site, kid: str
) -> None:
    signer = replace(es384(), kid=kid)

    refused(place, signer.token(), "key-unknown")
    if kid.isprintable():
        assert (
            site(tmp_path, registration(keys=[signer.jwk])).call(signer.token()).status_code == 200
        )


@pytest.mark.parametrize("kid", ["KEY-EC", "key-ec ", " key-ec", "key%2Dec", "key"])
def test_ch_jwt_012_almost_the_kid_is_not_the_kid(place: Site, kid: str) -> None:
    refused(place, es384().token({"kid": kid}), "key-unknown")


def test_ch_jwt_012_the_key_has_to_be_one_for_the_algorithm(tmp_path: Path, place: Site) -> None:
    refused(place, es384().token({"kid": "key-rsa"}), "key-unfit")
    refused(place, rs384().token({"kid": "key-ec"}), "key-unfit")
    bound = site(
        tmp_path,
        registration(keys=[{**rs384().jwk, "alg": "RS512"}], algorithms=["RS384", "RS512"]),
    )
    refused(bound, rs384().token(), "key-unfit")


# CH-JWT-013: test_keysets.py; CH-JWT-014: see also test_replay.py


def test_ch_jwt_014_a_token_is_used_once(place: Site) -> None:
    token = good()

    assert place.call(token).status_code == 200
    refused(place, token, "replayed")
    refused(place, token, "replayed")


def test_ch_jwt_014_a_jti_counts_for_its_issuer_alone(tmp_path: Path) -> None:
    other = replace(es384("other"), kid="other")
    place = site(
        tmp_path, registration(), registration(id="two", issuer="https://two", keys=[other.jwk])
    )

    assert place.call(es384().token(jti="same")).status_code == 200
    assert place.call(other.token(jti="same", iss="https://two")).status_code == 200
    refused(place, es384().token(jti="same", exp=seconds(200)), "replayed")


def test_ch_jwt_014_a_refused_token_does_not_use_up_the_jti(place: Site) -> None:
    refused(place, es384().token(jti="kept", aud="x"), "audience")
    forged = Signer("key-ec", "ES384", es384("forger").private)
    refused(place, forged.token(jti="kept"), "signature")

    assert place.call(es384().token(jti="kept")).status_code == 200


def test_ch_jwt_014_a_jti_is_remembered_while_its_token_could_be_used(tmp_path: Path) -> None:
    place = site(tmp_path)
    token = es384().token(exp=seconds(300))
    assert place.call(token).status_code == 200

    place.now = NOW + timedelta(seconds=359.9)
    refused(place, token, "replayed")
    place.now = NOW + timedelta(seconds=360)
    refused(place, token, "expired")


# CH-JWT-015


@pytest.mark.parametrize("tenant", [..., "tenant-c", "", "TENANT-A"])
def test_ch_jwt_015_a_tenant_is_one_of_those_registered(tmp_path: Path, tenant: Any) -> None:
    place = site(tmp_path, registration(tenants=["tenant-a", "tenant-b"]))

    assert place.call(es384().token(tenant="tenant-b")).status_code == 200
    refused(place, es384().token(tenant=tenant), "tenant")


def test_ch_jwt_015_without_registered_tenants_any_is_taken(place: Site) -> None:
    assert place.call(es384().token(tenant="anything")).status_code == 200


# CH-JWT-016: every `refused` compares body and headers to the byte


def test_ch_jwt_016_the_401_is_an_operation_outcome_that_tells_nothing(place: Site) -> None:
    response = place.call(None)

    OperationOutcome.model_validate(response.json)
    assert response.json == {
        "resourceType": "OperationOutcome",
        "issue": [
            {
                "severity": "error",
                "code": "login",
                "diagnostics": "A valid token of a registered client is needed.",
            }
        ],
    }
    assert response.headers["WWW-Authenticate"] == "Bearer"
    assert response.headers["Cache-Control"] == "no-store"


@pytest.fixture(name="log")
def _log() -> Iterator[StringIO]:
    stream = StringIO()
    configure_log("debug", stream=stream)
    yield stream
    structlog.reset_defaults()


def test_ch_jwt_016_a_token_is_never_logged(place: Site, log: StringIO) -> None:
    tokens = [
        good(),
        es384().token(jti=NAME, sub=NAME, tenant=NAME),
        es384().token(aud=NAME),
        es384().token({"kid": NAME}),
        es384().token({"jku": f"https://{NAME}.example/jwks"}),
        es384().token(iss=NAME),
        NAME,
    ]
    for token in tokens:
        place.call(token)

    text = log.getvalue() + place.http.get("/metrics").text
    pieces = {piece for token in tokens for piece in token.split(".") if len(piece) > 9}
    assert [piece for piece in pieces if piece in text] == []
    assert NAME not in text
    lines = [json.loads(line) for line in log.getvalue().splitlines()]
    calls = [line for line in lines if line.get("status") in {200, 401}][: len(tokens)]
    assert [line.get("refused") for line in calls] == [
        None, None, "audience", "key-unknown", "jku", "issuer-unknown", "malformed",
    ]  # fmt: skip
    assert [line.get("client") for line in calls] == ["ehr"] * 5 + [None] * 2


# CH-JWT-017


@pytest.mark.parametrize("crit", [["exp"], ["b64"], [NAME], [], "exp", None, {}])
def test_ch_jwt_017_crit_is_refused_whatever_it_says(place: Site, crit: Any) -> None:
    refused(place, es384().token({"crit": crit, "b64": False}), "header")


def test_ch_jwt_017_keys_in_the_header_are_not_read(place: Site) -> None:
    forger = es384("forger")
    brought = {
        "jwk": forger.jwk,
        "x5u": "https://127.0.0.1/cert.pem",
        "x5c": ["AAAA"],
        "x5t": "AAAA",
    }

    refused(place, replace(forger, kid="key-ec").token(brought), "signature")
    refused(place, forger.token(brought), "key-unknown")
    assert place.call(es384().token(brought)).status_code == 200


# CH-JWT-018


def test_ch_jwt_018_a_token_is_looked_at_before_a_byte_of_the_body(place: Site) -> None:
    class Unread:
        def read(self, size: int = -1) -> bytes:
            raise AssertionError(size)

    environ = {"wsgi.input": Unread(), "CONTENT_LENGTH": str(10**12)}
    headers = {"Authorization": f"Bearer {es384().token(aud='x')}"}
    for kind in ("application/json", "text/xml"):
        response = place.http.post(
            SERVICE, headers=headers, content_type=kind, environ_overrides=environ
        )
        assert response.status_code == 401


def test_ch_jwt_018_the_token_for_fhir_is_another_thing(place: Site) -> None:
    body = {
        **founding(),
        "fhirServer": "https://fhir.example.org/r4",
        "fhirAuthorization": {
            "access_token": good(),
            "token_type": "Bearer",
            "expires_in": 300,
            "scope": "patient/*.read",
            "subject": "x",
        },
    }

    assert place.http.post(SERVICE, json=body).status_code == 401
    body["fhirAuthorization"]["access_token"] = "no token of ours"
    headers = {"Authorization": f"Bearer {good()}"}
    assert place.http.post(SERVICE, json=body, headers=headers).status_code == 200


# CH-JWT-019: see also test_registrations.py


def test_ch_jwt_019_the_public_sandbox_calls_in_development_only(tmp_path: Path) -> None:
    sandbox = registration(id="sandbox", issuer="https://sandbox.cds-hooks.org")
    place = site(tmp_path, sandbox, profile="development")

    assert place.call(es384().token(iss="https://sandbox.cds-hooks.org")).status_code == 200
    with pytest.raises(Exception, match="R106"):
        site(tmp_path, sandbox)


# T56, T57


def test_t56_the_token_of_epic(tmp_path: Path) -> None:
    signer = replace(rs384(), kid="vFx6+4/K3sM0b1Q==")
    place = site(tmp_path, registration(keys=[signer.jwk], algorithms=["RS384"]))

    claims: dict[str, Any] = {"nbf": seconds(-300), "sub": "a-client-id"}
    assert place.call(signer.token(**claims)).status_code == 200


SERVERS = ["https://fhir.example.org/r4", "https://fhir.example.org/other/"]


@pytest.mark.parametrize(
    ("server", "status"),
    [
        ("https://fhir.example.org/r4", 200),
        ("https://fhir.example.org/r4/", 200),
        ("HTTPS://FHIR.example.org:443/r4", 200),
        ("https://fhir.example.org/other", 200),
        ("https://fhir.example.org/R4", 403),
        ("https://fhir.example.org/r4/x", 403),
        ("https://fhir.example.org/r", 403),
        ("https://fhir.example.org:444/r4", 403),
        ("http://fhir.example.org/r4", 403),
        ("https://fhir.example.org.evil.example/r4", 403),
        ("https://169.254.169.254/r4", 403),
        (None, 200),
    ],
)
def test_t57_a_call_about_a_fhir_server_that_is_not_the_clients_is_403(
    tmp_path: Path, server: str | None, status: int
) -> None:
    place = site(tmp_path, registration(**{"fhir servers": SERVERS}))
    body = founding() if server is None else {**founding(), "fhirServer": server}

    headers = {"Authorization": f"Bearer {good()}"}
    response = place.http.post(SERVICE, json=body, headers=headers)

    assert response.status_code == status
    if status == 403:
        OperationOutcome.model_validate(response.json)
        assert "evil" not in response.text
        assert "$.fhirServer" in response.text


def test_q_ep_05_a_call_that_was_stripped_of_its_data_is_412(place: Site) -> None:
    body = {name: value for name, value in founding().items() if name != "prefetch"}

    headers = {"Authorization": f"Bearer {good()}"}
    assert place.http.post(SERVICE, json=body, headers=headers).status_code == 412


@pytest.mark.parametrize("path", ["", "/x"])
def test_a_public_url_is_needed_and_has_https_in_production(tmp_path: Path, path: str) -> None:
    file = site(tmp_path).file
    for url in (None, f"http://cds.example.org{path}"):
        with pytest.raises(Exception, match="CDS_PUBLIC_URL"):
            Site(file, settings_for(file, public_url=url))


def test_a_trusted_proxy_changes_who_calls_and_never_the_audience(tmp_path: Path) -> None:
    place = site(tmp_path, trusted_proxies=1)
    forwarded = {
        "X-Forwarded-For": "192.0.2.1",
        "X-Forwarded-Proto": "http",
        "X-Forwarded-Host": "evil.example",
        "X-Forwarded-Prefix": "/evil",
        "X-Original-Url": "/evil",
    }

    def status(audience: str) -> int:
        headers = {**forwarded, "Authorization": f"Bearer {es384().token(aud=audience)}"}
        return place.http.post(SERVICE, json=founding(), headers=headers).status_code

    assert status(URL) == 200
    assert status(f"http://evil.example/evil{SERVICE}") == 401
    assert status(f"{BASE}/evil{SERVICE}") == 401


@pytest.mark.parametrize(
    ("setting", "variable"),
    [
        ({"trusted_proxies": 1}, "CDS_TRUSTED_PROXIES"),
        ({"discovery": "protected"}, "CDS_DISCOVERY"),
        ({"host": "192.0.2.1"}, "CDS_HOST"),
        ({"public_url": BASE}, "CDS_PUBLIC_URL"),
    ],
)
def test_what_needs_registered_clients_does_not_start_without(
    setting: dict[str, Any], variable: str
) -> None:
    with pytest.raises(SettingsError, match=variable):
        create_app(Settings(**setting))


@pytest.mark.parametrize("audience", [f"{URL}/feedback", URL])
def test_ch_fb_010_feedback_has_its_own_audience_and_its_services_where_registered(
    tmp_path: Path, audience: str
) -> None:
    strict, both = tmp_path / "strict", tmp_path / "both"
    strict.mkdir()
    both.mkdir()
    places = [site(strict), site(both, registration(audiences=["url called", "service url"]))]

    statuses = []
    for place in places:
        headers = {"Authorization": f"Bearer {es384().token(aud=audience)}"}
        answer = place.http.post(f"{SERVICE}/feedback", json={"feedback": []}, headers=headers)
        statuses.append(answer.status_code)

    assert statuses == ([200, 200] if audience.endswith("feedback") else [401, 200])
