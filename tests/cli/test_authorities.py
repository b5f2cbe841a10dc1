# SPDX-License-Identifier: Apache-2.0
"""Servers with a certificate of a hospital's own authority: `CDS_AUTHORITIES` and `--ca-file`."""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from cds_service.cli import cli
from cds_service.errors import SettingsError
from cds_service.outgoing.authorities import trust_also
from cds_service.settings import load_settings
from tests.conformance.certificate import make_certificate
from tests.conformance.server import serving


@dataclass(frozen=True)
class Encrypted:
    """A service that speaks TLS, with the certificate of whom nobody knows."""

    base: str
    certificate: Path
    key: Path


@pytest.fixture(name="encrypted", scope="module")
def _encrypted(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Encrypted]:
    certificate, key = make_certificate(tmp_path_factory.mktemp("tls"))
    with serving(tls_certificate=certificate, tls_key=key) as port:
        yield Encrypted(f"https://127.0.0.1:{port}", certificate, key)
    trust_also()


def run(*words: str | Path, stdin: str | None = None) -> Result:
    return CliRunner().invoke(cli, [str(word) for word in words], input=stdin)


@pytest.mark.server
def test_a_service_with_a_certificate_of_the_hospital_can_be_called(
    encrypted: Encrypted, monkeypatch: pytest.MonkeyPatch
) -> None:
    request = run("demo", "--request").stdout
    called = ("call", "--url", encrypted.base, "-")

    refused = run(*called, stdin=request)
    trusted = run(*called, "--ca-file", encrypted.certificate, stdin=request)
    again = run(*called, stdin=request)
    monkeypatch.setenv("CDS_AUTHORITIES", str(encrypted.certificate))
    by_setting = run(*called, stdin=request)

    assert "--ca-file or CDS_AUTHORITIES" in str(refused.exception)
    assert trusted.exit_code == by_setting.exit_code == 0, trusted.output
    assert "Very low ALT" in trusted.output
    assert again.exit_code == 1  # the option held for its own command


@pytest.mark.server
def test_doctor_names_the_remedy_and_finds_the_server_with_it(
    encrypted: Encrypted, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "servers.yaml"
    entry = {"base": f"{encrypted.base}/r4", "name": "here", "anonymous": "yes"}
    file.write_text(json.dumps({"servers": [entry]}), encoding="utf-8")
    monkeypatch.setenv("CDS_FHIR_SERVERS", str(file))
    monkeypatch.setenv("CDS_PROFILE", "development")  # a server on this machine

    def said(*options: str | Path) -> str:
        rows = json.loads(run("doctor", "--json", *options).stdout)
        (row,) = (row for row in rows if row["area"] == "servers")
        return f"{row['text']} {row['remedy']}"

    assert "self-signed certificate" in said()
    assert "CDS_AUTHORITIES" in said()
    assert "here answers 404" in said("--ca-file", encrypted.certificate)


@pytest.mark.server
def test_a_file_that_holds_no_certificate_or_a_key_is_refused(
    encrypted: Encrypted, tmp_path: Path
) -> None:
    both = tmp_path / "both.pem"
    both.write_bytes(encrypted.certificate.read_bytes() + encrypted.key.read_bytes())
    empty = tmp_path / "empty.pem"
    empty.write_text("no certificate", encoding="utf-8")

    for file, why in ((empty, r"certificates \(PEM\)"), (both, "a private key")):
        with pytest.raises(SettingsError, match=rf"CDS_AUTHORITIES: .*{why}"):
            load_settings({"CDS_AUTHORITIES": str(file)})
        refused = run("doctor", "--ca-file", file)
        assert refused.exit_code == 2
        assert "--ca-file" in refused.output
