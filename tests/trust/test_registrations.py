# SPDX-License-Identifier: Apache-2.0
"""The file of registered clients: what it says, all that is wrong with it, and reading it again."""

import json
import os
import re
from collections.abc import Callable
from datetime import timedelta
from io import StringIO
from pathlib import Path
from time import monotonic, sleep
from typing import Any

import pytest
import structlog
import yaml

from cds_service.errors import SettingsError
from cds_service.log import configure_log
from cds_service.sourcefile.document import LARGEST_FILE
from cds_service.sourcefile.watched import MOMENT
from cds_service.trust.clients_file import CODES, read_registrations
from cds_service.trust.registry import Registry
from tests.house.source import ROOT
from tests.trust.signing import es384, registration, rs384, site, write_clients

GUIDE = ROOT / "docs" / "how-to" / "register-a-client.md"
SANDBOX_KEY = {
    "kty": "EC",
    "crv": "P-256",
    "kid": "d9cd3c4f-eb08-4304-b973-44f352fd2ca2",
    "x": "QWI9fI8TcNtdikhVs_M1N_Szb7BOj19etvIKfrQMa9k",
    "y": "jDkhk_Z2RZZ5L5rN4vd1_i-RJLn3EfEhDcy7iFBg--I",
}
SANDBOX_KEY_SPELLED_OTHERWISE = {**SANDBOX_KEY, "x": SANDBOX_KEY["x"] + "="}  # the same point


def written(folder: Path, text: str) -> Path:
    path = folder / "clients.yaml"
    path.write_text(text, encoding="utf-8")
    return path


def problems(path: Path, *, development: bool = False) -> list[tuple[str, int]]:
    """Code and line of every problem."""
    found, listed = read_registrations(path, development=development)
    assert (found is None) == bool(listed)
    return sorted((problem.code, problem.mark.line) for problem in listed)


def test_a_client_is_read_whole(tmp_path: Path) -> None:
    path = write_clients(
        tmp_path / "clients.yaml",
        registration(
            algorithms=["ES384", "RS384", "PS512"],
            audiences=["url called", "typed"],
            tenants=["a", "b"],
            origins=["https://ehr.example.org", "https://ehr.example.org:8443"],
            **{
                "fhir servers": ["https://FHIR.example.org:443/r4/"],
                "output profile": "epic",
                "patients see cards": "yes",
                "token max seconds": 900,
            },
        ),
    )

    found, listed = read_registrations(path, development=False)

    assert listed == []
    assert found is not None
    (client,) = found.clients
    assert [key.kid for key in client.keys] == ["key-ec", "key-rsa"]
    assert client.fhir_servers == {"https://fhir.example.org/r4"}
    assert client.output_profile == "epic"
    assert client.patients_see_cards
    assert client.longest_token == timedelta(seconds=900)
    assert found.origins == {"https://ehr.example.org", "https://ehr.example.org:8443"}


def test_defaults_are_the_strict_ones(tmp_path: Path) -> None:
    path = written(
        tmp_path, "clients:\n  - id: ehr\n    issuer: https://ehr\n    jwks url: https://ehr/jwks\n"
    )

    found, _ = read_registrations(path, development=False)

    assert found is not None
    (client,) = found.clients
    assert client.algorithms == ("ES384", "RS384")
    assert client.audiences == ("url called",)
    assert (client.origins, client.patients_see_cards) == (frozenset(), False)
    assert client.longest_token is None
    assert not client.private_network


def test_the_example_of_the_guide_is_read_as_it_stands(tmp_path: Path) -> None:
    (example,) = re.findall(r"```yaml\n(.*?)```", GUIDE.read_text(encoding="utf-8"), re.DOTALL)

    found, listed = read_registrations(written(tmp_path, example), development=False)

    assert listed == []
    assert found is not None
    assert [client.id for client in found.clients] == ["general-hospital", "clinic"]


def test_all_problems_are_told_at_once_with_their_lines(tmp_path: Path) -> None:
    path = written(
        tmp_path,
        """clients:
  - id: ehr
    issuer: https://ehr
    jwks url: http://ehr/jwks
    algorithms: [HS256]
  - id: ehr
    issuer: https://ehr
  - id: third
    issuer: https://sandbox.cds-hooks.org/
    jku: [https://sandbox.cds-hooks.org/.well-known/jwks.json, https://10.0.0.1/]
    origins: ["*"]
    fhir servers: [http://fhir]
""",
    )

    assert problems(path) == [
        ("R101", 6), ("R101", 7), ("R102", 6), ("R104", 5), ("R105", 4), ("R105", 10),
        ("R105", 11), ("R105", 12), ("R106", 9), ("R106", 10),
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("", "K105"),
        ("clients: []", "K106"),
        ("clients: {}", "K106"),
        ("client: []", "K104"),
        ("clients:\n  - id: a\n    id: b\n", "K102"),
        ("clients:\n  - &x {id: a}\n", "K103"),
        ("clients:\n  - {id: a, issuer: b, keyz: []}\n", "K104"),
        ("clients:\n  - {issuer: b, jwks url: https://b/c}\n", "K105"),
        ("clients:\n  - {id: A B, issuer: b, jwks url: https://b/c}\n", "K106"),
        ("clients:\n  - {id: a1234, issuer: b, jwks url: https://b/c}\n", "K106"),
        ("clients:\n  - {id: a, issuer: b, jku: https://b/c, patients see cards: maybe}", "K106"),
        ("clients:\n  - {id: a, issuer: b, jku: https://b/c, token max seconds: 0}", "K106"),
        ("clients:\n  - {id: a, issuer: b, jku: https://b/c, token max seconds: 3601}", "K106"),
        ("clients:\n  - {id: a, issuer: b, jwks url: https://b/c, output profile: x}", "K106"),
        ("clients: [", "K101"),
    ],
)  # fmt: skip
def test_the_file_is_read_strictly(tmp_path: Path, text: str, code: str) -> None:
    assert code in {found for found, _ in problems(written(tmp_path, text))}


def test_a_file_that_is_not_there_is_a_problem(tmp_path: Path) -> None:
    assert [code for code, _ in problems(tmp_path / "none.yaml")] == ["K108"]


@pytest.mark.parametrize(
    ("change", "code"),
    [
        ({"keys": ...}, "R102"),
        ({"keys": []}, "R102"),
        ({"jwks url": "https://ehr/jwks"}, "R102"),
        ({"keys": [es384().jwk, es384().jwk]}, "R103"),
        ({"keys": [{**es384().jwk, "d": "AAAA"}]}, "R103"),
        ({"keys": [{"kty": "oct", "k": "AAAA", "kid": "a"}]}, "R103"),
        ({"keys": [rs384("short", 1024).jwk]}, "R103"),
        ({"keys": [{**es384().jwk, "crv": "P-256"}]}, "R103"),
        ({"keys": [{**rs384().jwk, "alg": "RS256"}]}, "R103"),
        ({"algorithms": ["none"]}, "R104"),
        ({"algorithms": ["ES384", "HS384"]}, "R104"),
        ({"algorithms": ["ES256K"]}, "R104"),
        ({"jku": ["https://127.0.0.1/"]}, "R105"),
        ({"jku": ["https://localhost/"]}, "R105"),
        ({"origins": ["null"]}, "R105"),
        ({"origins": ["https://ehr.example.org/"]}, "R105"),
        ({"origins": ["https://EHR.example.org"]}, "R105"),
        ({"origins": ["https://*.example.org"]}, "R105"),
        ({"origins": ["http://ehr.example.org"]}, "R105"),
        ({"origins": ["https://ehr.example.org:443"]}, "R105"),
        ({"fhir servers": ["fhir.example.org"]}, "R105"),
        ({"fhir servers": ["https://u@fhir.example.org"]}, "R105"),
        ({"issuer": "https://sandbox.cds-hooks.org"}, "R106"),
        ({"issuer": "http://SANDBOX.cds-hooks.org./"}, "R106"),
        ({"issuer": "sandbox.cds-hooks.org"}, "R106"),
        ({"jku": ["https://sandbox.cds-hooks.org/.well-known/jwks.json"]}, "R106"),
        ({"keys": [SANDBOX_KEY], "algorithms": ["ES256"]}, "R106"),
        ({"keys": [SANDBOX_KEY_SPELLED_OTHERWISE], "algorithms": ["ES256"]}, "R106"),
    ],
)
def test_what_a_registration_must_not_say(
    tmp_path: Path, change: dict[str, Any], code: str
) -> None:
    path = write_clients(tmp_path / "clients.yaml", registration(**change))

    assert code in {found for found, _ in problems(path)}


def test_every_code_has_an_example_above() -> None:
    text = Path(__file__).read_text(encoding="utf-8")

    assert [code for code in CODES if f'"{code}"' not in text] == []


def test_development_takes_what_production_must_not(tmp_path: Path) -> None:
    path = write_clients(
        tmp_path / "clients.yaml",
        registration(
            issuer="https://sandbox.cds-hooks.org",
            keys=...,
            jku=["http://127.0.0.1:1/jwks", "https://sandbox.cds-hooks.org/.well-known/jwks.json"],
            origins=["http://localhost:3000"],
            **{"fhir servers": ["http://localhost/r4"]},
        ),
        registration(id="two", issuer="two", keys=[SANDBOX_KEY], algorithms=["ES256"]),
    )

    assert problems(path, development=True) == []
    assert {code for code, _ in problems(path)} == {"R105", "R106"}


def test_a_problem_stops_the_start_and_tells_the_line(tmp_path: Path) -> None:
    with pytest.raises(SettingsError) as caught:
        site(tmp_path, registration(algorithms=["none"]))

    assert "clients.yaml:1:" in str(caught.value)
    assert "R104" in str(caught.value)


# Reading it again


def test_a_new_client_is_let_in_without_a_restart(tmp_path: Path) -> None:
    place = site(tmp_path)
    assert place.call(es384().token(iss="https://two")).status_code == 401

    write_clients(place.file, registration(), registration(id="two", issuer="https://two"))
    assert place.call(es384().token(iss="https://two")).status_code == 200

    write_clients(place.file, registration())
    assert place.call(es384().token(iss="https://two")).status_code == 401
    assert place.call(es384().token()).status_code == 200


def test_a_wrong_new_file_keeps_the_old_clients_and_says_so(tmp_path: Path) -> None:
    place = site(tmp_path)
    stream = StringIO()
    configure_log("info", stream=stream)
    try:
        place.file.write_text("clients: [", encoding="utf-8")
        assert place.call(es384().token()).status_code == 200
        assert json.loads(place.http.get("/ready").text)["clients"] == "outdated"
        assert "cds_clients_current 0.0" in place.http.get("/metrics").text

        write_clients(place.file, registration(), registration(id="two", issuer="https://two"))
        assert json.loads(place.http.get("/ready").text)["clients"] == "current"
        metrics = place.http.get("/metrics").text
    finally:
        structlog.reset_defaults()
    assert "cds_clients_current 1.0" in metrics
    assert "cds_clients 2.0" in metrics
    told = [json.loads(line) for line in stream.getvalue().splitlines() if '"clients"' in line]
    events = [(line["level"], line["clients"], line["problems"]) for line in told if "at" in line]
    assert events == [("error", 1, 1), ("info", 2, 0)]


def test_a_file_that_went_away_keeps_the_old_clients(tmp_path: Path) -> None:
    place = site(tmp_path)
    place.file.unlink()

    assert place.call(es384().token()).status_code == 200
    assert json.loads(place.http.get("/ready").text)["clients"] == "outdated"


def test_a_file_that_did_not_change_is_not_read_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    registry = Registry(write_clients(tmp_path / "clients.yaml", registration()), development=False)
    before = registry.current()
    monkeypatch.setattr("cds_service.trust.registry.read_registrations", None)

    assert registry.current() is before


def test_a_change_through_a_link_is_seen(tmp_path: Path) -> None:
    """As Kubernetes changes a mounted file."""
    old = write_clients(tmp_path / "a.yaml", registration())
    new = write_clients(tmp_path / "b.yaml", registration(issuer="https://new"))
    link = tmp_path / "clients.yaml"
    link.symlink_to(old)
    registry = Registry(link, development=False)

    (tmp_path / "next").symlink_to(new)
    (tmp_path / "next").rename(link)

    assert set(registry.current().by_issuer) == {"https://new"}


def yaml_of(*clients: dict[str, Any], end: str = "") -> str:
    """A file of registrations as people write it; `tenants`, the last line, narrows the access."""
    return yaml.safe_dump({"clients": list(clients)}, sort_keys=False) + end


NARROW = registration(tenants=["north"])


def put(file: Path, text: str) -> None:
    """Put a new file in the place of the old one."""
    beside = file.with_suffix(".new")
    beside.write_text(text, encoding="utf-8")
    beside.replace(file)


def until(condition: Callable[[], bool]) -> None:
    end = monotonic() + 60
    while not condition():
        assert monotonic() < end
        sleep(0.05)


def north_only(registry: Registry) -> bool:
    return [client.tenants for client in registry.current().clients] == [{"north"}]


@pytest.mark.parametrize("end", ["...", "...\n", "...  \n\n"])
def test_a_half_written_file_widens_nothing(tmp_path: Path, end: str) -> None:
    file = tmp_path / "clients.yaml"
    file.write_text(yaml_of(NARROW), encoding="utf-8")
    told: list[int] = []
    registry = Registry(file, development=False, on_reload=lambda _, found: told.append(found))

    file.write_text(yaml_of(registration()), encoding="utf-8")
    sleep(MOMENT + 0.1)
    for _ in range(3):
        assert north_only(registry)
    assert (told, registry.is_current) == ([0, 1], False)

    file.write_text(yaml_of(registration(id="new"), end=end), encoding="utf-8")
    assert [client.id for client in registry.current().clients] == ["new"]
    assert (told, registry.is_current) == ([0, 1, 0], True)


def test_a_file_that_takes_the_place_of_the_old_counts_when_it_is_still(tmp_path: Path) -> None:
    file = tmp_path / "clients.yaml"
    file.write_text(yaml_of(registration()), encoding="utf-8")
    registry = Registry(file, development=False)

    put(file, yaml_of(NARROW))
    until(lambda: north_only(registry))

    put(file, yaml_of(registration()))
    put(file, yaml_of(registration(id="last")))
    until(lambda: [client.id for client in registry.current().clients] == ["last"])


def test_a_file_that_was_away_for_a_while_counts_again(tmp_path: Path) -> None:
    file = tmp_path / "clients.yaml"
    file.write_text(yaml_of(registration()), encoding="utf-8")
    registry = Registry(file, development=False)
    (tmp_path / "next.yaml").write_text(yaml_of(NARROW), encoding="utf-8")

    file.rename(tmp_path / "old.yaml")
    assert not north_only(registry)
    assert not registry.is_current

    (tmp_path / "next.yaml").rename(file)
    until(lambda: north_only(registry))


def test_a_mounted_file_without_a_mark_of_its_end_counts_when_it_is_still(tmp_path: Path) -> None:
    """As Kubernetes does: a link to a link to a folder, which is changed in one step."""
    for name, client in (("one", registration()), ("two", NARROW)):
        (tmp_path / name).mkdir()
        (tmp_path / name / "clients.yaml").write_text(yaml_of(client), encoding="utf-8")
    (tmp_path / "data").symlink_to("one")
    (tmp_path / "clients.yaml").symlink_to("data/clients.yaml")
    registry = Registry(tmp_path / "clients.yaml", development=False)

    (tmp_path / "next").symlink_to("two")
    (tmp_path / "next").replace(tmp_path / "data")

    until(lambda: north_only(registry))


def test_a_pipe_a_folder_a_device_and_a_file_without_end_are_refused(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "folder").mkdir()
    (tmp_path / "device").symlink_to("/dev/zero")
    (tmp_path / "long").write_bytes(b"# " * LARGEST_FILE)

    for name in ("pipe", "folder", "device", "long"):
        assert [code for code, _ in problems(tmp_path / name)] == ["K108"], name


@pytest.mark.parametrize(
    ("before", "after", "by"),
    [
        ({}, {}, []),
        ({"tenants": ["a"]}, {}, ["tenants"]),
        ({"tenants": ["a"]}, {"tenants": ["a", "b"]}, ["tenants"]),
        ({"tenants": ["a", "b"]}, {"tenants": ["a"]}, []),
        ({}, {"tenants": ["a"]}, []),
        ({"fhir servers": ["https://a/r4"]}, {}, ["fhir_servers"]),
        ({"fhir servers": ["https://a/r4"]}, {"fhir servers": ["https://b/r4"]}, ["fhir_servers"]),
        ({}, {"origins": ["https://a.example"]}, ["origins"]),
        ({"origins": ["https://a.example"]}, {}, []),
        ({}, {"audiences": ["url called", "x"]}, ["audiences"]),
        ({}, {"algorithms": ["ES384", "RS384", "RS256"]}, ["algorithms"]),
        ({"algorithms": ["ES384", "RS384", "RS256"]}, {"algorithms": ["ES384", "RS384"]}, []),
        ({}, {"keys": [es384().jwk, rs384().jwk, es384("more").jwk]}, ["keys"]),
        ({}, {"keys": [rs384().jwk]}, []),
        ({}, {"keys": ..., "jwks url": "https://a/jwks"}, ["jwks_url"]),
        ({}, {"jku": ["https://a/jwks"]}, ["jku"]),
        ({}, {"issuer": "https://other"}, ["issuer"]),
        ({}, {"private network": "yes", "patients see cards": "yes"},
         ["private_network", "patients_see_cards"]),
        ({"private network": "yes", "patients see cards": "yes"}, {}, []),
        ({}, {"token max seconds": 900}, ["token_max_seconds"]),
        ({"token max seconds": 900}, {"token max seconds": 60}, []),
        ({"token max seconds": 60}, {"token max seconds": 61}, ["token_max_seconds"]),
        ({"output profile": "epic"}, {}, []),
    ],
)  # fmt: skip
def test_what_a_client_may_do_more_than_before_is_logged_by_its_name(
    tmp_path: Path, before: dict[str, Any], after: dict[str, Any], by: list[str]
) -> None:
    place = site(tmp_path, registration(**before), registration(id="two", issuer="two"))
    place.http.get("/ready")
    stream = StringIO()
    configure_log("warning", stream=stream)
    try:
        write_clients(place.file, registration(**after), registration(id="new", issuer="three"))
        place.call(es384().token())
    finally:
        structlog.reset_defaults()

    told = [json.loads(line) for line in stream.getvalue().splitlines()]
    named = [(line["client"], line["by"]) for line in told if line["event"] == "client-widened"]
    assert named == [*([("ehr", by)] if by else []), ("new", ["client"])]
