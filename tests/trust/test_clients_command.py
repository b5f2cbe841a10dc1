# SPDX-License-Identifier: Apache-2.0
"""`cds-service clients check`: the administrator is told what the caller is not."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from cds_service.cli import cli
from cds_service.clock import system_clock
from cds_service.errors import SettingsError
from tests.trust.address_trap import Trap, trap
from tests.trust.signing import BASE, URL, es384, registration, rs384, seconds, write_clients


@pytest.fixture(name="file")
def _file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    path = write_clients(tmp_path / "clients.yaml", registration(tenants=["a"]))
    monkeypatch.setenv("CDS_CLIENTS", str(path))
    monkeypatch.setenv("CDS_PUBLIC_URL", BASE)
    return path


@pytest.fixture(name="server")
def _server() -> Iterator[Trap]:
    with trap() as state:
        yield state


def token(**claims: Any) -> str:
    now = system_clock()
    times = {"exp": int(seconds(300, now)), "iat": int(seconds(0, now))}
    return es384().token(**{**times, "tenant": "a", **claims})


def check(text: str | None, *options: str) -> Result:
    given = [] if text is None else ["--token", "-"]
    return CliRunner().invoke(cli, ["clients", "check", *given, *options], input=text)


def test_it_shows_every_registration(file: Path) -> None:
    result = check(None)

    assert result.exit_code == 0
    for said in ("ehr", "https://ehr.example.org", "key-ec (EC P-384", "key-rsa (RSA", "tenants"):
        assert said in result.output
    assert "FHIR servers     any" in result.output


def test_it_tells_every_problem_of_a_file(file: Path, tmp_path: Path) -> None:
    wrong = write_clients(tmp_path / "wrong.yaml", registration(algorithms=["none"], origins=["*"]))

    result = check(None, str(wrong))

    assert isinstance(result.exception, SettingsError)
    assert {"R104", "R105"} <= set(str(result.exception).split())


def test_a_good_token_is_accepted_and_not_used_up(file: Path) -> None:
    text = token()

    for _ in range(2):
        result = check(text, "--url", URL)
        assert result.exit_code == 0, result.output
        assert "accepted, unless it was used before" in result.output


def test_without_an_address_it_takes_the_one_of_the_token(file: Path) -> None:
    assert check(f"Bearer {token()}\n").exit_code == 0
    assert "aud must hold" in check(token(aud="x")).output


@pytest.mark.parametrize(
    ("text", "reason", "said"),
    [
        ("x", "malformed", "header.claims.signature"),
        (token(iss="https://nobody"), "issuer-unknown", "'https://nobody'"),
        (token(aud="x"), "audience", f"'{BASE}/cds-services'"),
        (token(exp=1), "expired", "seconds ago"),
        (token(tenant="b"), "tenant", "'a'"),
        (replace(es384("forger"), kid="key-ec").token(), "signature", "'key-ec'"),
        (replace(es384(), kid="x\u001b[31m").token(), "key-unknown", "x?[31m"),
        (replace(rs384(), algorithm="RS256").token(), "algorithm", "ES384, RS384"),
        (es384().token({"jku": "https://evil.example"}), "jku", "https://evil.example"),
    ],
    ids=["form", "issuer", "audience", "time", "tenant", "signature", "kid", "alg", "jku"],
)
def test_it_says_which_check_fails(file: Path, text: str, reason: str, said: str) -> None:
    result = check(text)

    assert result.exit_code == 1
    assert f"{reason}: " in result.output.replace("(malformed)", "malformed")
    assert said in result.output
    assert "\u001b" not in result.output


def test_it_says_every_claim_that_fails(file: Path) -> None:
    output = check(token(aud="x", exp=1, iat=1, tenant="b")).output

    for reason in ("audience", "expired", "issued-long-ago", "tenant"):
        assert f"refused  {reason}" in output


def test_it_fetches_only_what_is_registered(
    file: Path, server: Trap, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CDS_PROFILE", "development")
    write_clients(file, registration(keys=..., jku=[server.url()]))
    server.serve(es384())

    assert check(token()).exit_code == 1
    assert server.asked == []
    now = system_clock()
    times = {"exp": int(seconds(300, now)), "iat": int(seconds(0, now))}
    assert check(es384().token({"jku": server.url()}, **times)).exit_code == 0
    assert server.asked == ["/jwks.json"]


def test_a_token_is_never_an_argument(file: Path) -> None:
    """Arguments are seen by every user of the machine and kept in the history of the shell."""
    assert CliRunner().invoke(cli, ["clients", "check", "--token", token()]).exit_code == 2
