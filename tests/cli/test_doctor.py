# SPDX-License-Identifier: Apache-2.0
"""`cds-service doctor`: each thing that can be missing or wrong is named, and no secret is."""

import json
import shutil
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from pathlib import Path

import pytest
from click.testing import CliRunner, Result
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import NameOID

from cds_service.cli import cli
from cds_service.clock import system_clock
from cds_service.settings import Settings
from cds_service.setup_checks.database import database_findings, inbox_findings
from cds_service.setup_checks.finding import Finding
from cds_service.setup_checks.keys import certificate_findings, signing_findings
from cds_service.setup_checks.servers import clock_finding, server_findings
from cds_service.smart.key_rotation import add_key
from cds_service.store import open_store
from cds_service.subscriptions.inbox_list import InboxState
from tests.cli.answering import answering
from tests.house.source import ROOT
from tests.trust.address_trap import trap
from tests.trust.signing import registration, write_clients

NOW = datetime(2026, 6, 15, 9, 0, tzinfo=UTC)
SECRET = "zz-secret-zz-secret-zz-secret-zz-secret"


def doctor(*words: str) -> Result:
    return CliRunner().invoke(cli, ["doctor", *words])


def found(result: Result) -> dict[tuple[str, str], str]:
    rows = json.loads(result.output)
    return {(row["area"], row["severity"]): row["text"] + row["remedy"] for row in rows}


def only(findings: Iterator[Finding]) -> tuple[str, str]:
    (finding,) = findings
    return finding.severity, finding.text


@pytest.fixture(name="whole")
def _whole(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Settings of a site in production, all of them right."""
    open_store(f"sqlite:///{tmp_path / 'service.db'}").close()
    add_key(tmp_path / "keys.json", "ES384", system_clock())
    for name, value in {
        "CDS_CLIENTS": write_clients(tmp_path / "clients.yaml", registration()),
        "CDS_PUBLIC_URL": "https://cds.example.org",
        "CDS_SITE_TIME_ZONE": "Europe/Vienna",
        "CDS_HASH_KEY": SECRET,
        "CDS_SIGNING_KEYS": tmp_path / "keys.json",
        "CDS_DATABASE_URL": f"sqlite:///{tmp_path / 'service.db'}",
    }.items():
        monkeypatch.setenv(name, str(value))
    return tmp_path


def test_a_site_that_is_whole_has_an_unsigned_pack_to_look_at(whole: Path) -> None:
    result = doctor("--json")

    assert result.exit_code == 0, result.output
    rows = found(result)
    assert [key for key in rows if key[1] != "fine"] == [("pack", "warning")]
    assert "No clinician has approved these rules yet." in rows["pack", "warning"]
    assert {area for area, _ in rows} >= {"settings", "database", "clients", "keys"}
    assert SECRET not in result.output


def test_every_problem_is_named_at_once(whole: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (whole / "clients.yaml").write_text("clients: []", encoding="utf-8")
    (whole / "keys.json").chmod(0o644)
    monkeypatch.setenv("CDS_DATABASE_URL", "sqlite:////nowhere-at-all/x/service.db")
    monkeypatch.setenv("CDS_PUBLIC_URL", "http://cds.example.org")
    monkeypatch.delenv("CDS_SITE_TIME_ZONE")
    monkeypatch.delenv("CDS_HASH_KEY")

    result = doctor()

    assert result.exit_code == 1
    wrong = [line.split()[1] for line in result.output.splitlines() if line.startswith("WRONG")]
    assert {"settings", "clients", "keys"} <= set(wrong)
    assert "in production clients call by https" in result.output
    assert "The time zone of the site is not set" in result.output
    assert "Set CDS_HASH_KEY_FILE" in result.output
    assert "chmod 600" in result.output


def test_settings_that_cannot_be_read_are_said_without_their_values(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("CDS_DATABASE_URL", f"mysql://user:{SECRET}@host/db")
    monkeypatch.setenv("CDS_PROT", "1")

    result = doctor("--json")

    assert result.exit_code == 1
    assert "CDS_PROT: there is no such setting" in result.output
    assert SECRET not in result.output


def test_a_pack_with_a_problem_is_wrong(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    shutil.copytree(ROOT / "cards" / "liver", tmp_path / "liver")
    (tmp_path / "liver" / "pack.yaml").write_text("id: liver\n", encoding="utf-8")
    monkeypatch.setenv("CDS_CARDS", str(tmp_path))

    result = doctor("--json")

    assert result.exit_code == 1
    assert "K" in found(result)["pack", "problem"]


def test_a_database_that_is_away_or_old_is_named_without_its_password(tmp_path: Path) -> None:
    away = f"postgresql+psycopg://user:{SECRET}@127.0.0.1:1/db"
    (finding,) = database_findings(away, NOW)
    assert (finding.severity, finding.text) == ("problem", "The database does not answer.")
    assert "CDS_DATABASE_URL may have another host, user, password" in finding.remedy

    junk = tmp_path / "junk.db"
    junk.write_text("no database " * 100, encoding="utf-8")
    (finding,) = database_findings(f"sqlite:///{junk}", NOW)
    assert (finding.severity, "damaged, locked or no database" in finding.remedy) == (
        "problem",
        True,
    )

    file = tmp_path / "empty.db"
    file.touch()
    severity, text = only(database_findings(f"sqlite:///{file}", NOW))
    assert (severity, text[:33]) == ("warning", "The database has no tables yet; r")

    absent = tmp_path / "absent.db"
    assert only(database_findings(f"sqlite:///{absent}", NOW))[0] == "warning"
    assert not absent.exists()


@pytest.mark.parametrize(
    ("minutes", "areas"), [(None, []), (1, []), (2, ["worker"]), (600, ["worker"])]
)
def test_a_worker_that_does_not_run_is_missed(minutes: int | None, areas: list[str]) -> None:
    due = None if minutes is None else NOW - timedelta(minutes=minutes)
    state = InboxState(waiting=1, dead=0, oldest=None, due=due)

    assert [finding.area for finding in inbox_findings(state, NOW)] == areas


def test_dead_letters_and_failing_subscriptions_are_counted() -> None:
    state = InboxState(waiting=0, dead=3, oldest=None, failing=1, searches_failing=2)

    texts = [finding.text for finding in inbox_findings(state, NOW)]

    assert "3 failed too often" in texts[0]
    assert "do not deliver: 1; searches for missed results that fail: 2" in texts[1]


def test_keys_are_judged_by_their_ages(tmp_path: Path) -> None:
    file = tmp_path / "keys.json"
    old = NOW - timedelta(days=400)
    add_key(file, "ES384", old, old)

    assert only(signing_findings(file, NOW))[1].endswith("has signed for 400 days.")
    add_key(file, "ES384", NOW - timedelta(days=2), NOW - timedelta(days=2))
    severities = {finding.severity: finding.text for finding in signing_findings(file, NOW)}
    assert "was replaced and is still published" in severities["warning"]
    assert "signs since 2026-06-13" in severities["fine"]
    waiting = tmp_path / "waiting.json"
    add_key(waiting, "ES384", NOW, NOW + timedelta(days=1))
    assert [finding.severity for finding in signing_findings(waiting, NOW)] == ["problem", "fine"]


def _certificate(folder: Path, days: int) -> Settings:
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "cds.example.org")])
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(NOW - timedelta(days=100))
        .not_valid_after(NOW + timedelta(days=days))
        .sign(key, hashes.SHA256())
    )
    (folder / "cert.pem").write_bytes(made.public_bytes(Encoding.PEM))
    pem = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    (folder / "key.pem").write_bytes(pem)
    return Settings(tls_certificate=folder / "cert.pem", tls_key=folder / "key.pem")


@pytest.mark.parametrize(
    ("days", "severity", "text"),
    [
        (90, "fine", "ends in 90 days."),
        (29, "warning", "ends in 29 days."),
        (1, "warning", "ends in 1 day."),
        (-1, "problem", "today"),
    ],
)
def test_a_certificate_is_judged_by_its_end(
    tmp_path: Path, days: int, severity: str, text: str
) -> None:
    found_severity, said = only(certificate_findings(_certificate(tmp_path, days), NOW))

    assert (found_severity, text in said) == (severity, True)


def test_a_certificate_of_another_key_is_wrong(tmp_path: Path) -> None:
    settings = _certificate(tmp_path, 90)
    other = tmp_path / "other"
    other.mkdir()
    _certificate(other, 90)
    shutil.copy(other / "key.pem", tmp_path / "key.pem")

    severity, text = only(certificate_findings(settings, NOW))

    assert (severity, "not those of each other" in text) == ("problem", True)


@pytest.mark.parametrize(
    ("theirs", "severity", "said"),
    [
        (0, "fine", "agrees"),
        (-1, "fine", "agrees"),
        (-6, "fine", "agrees"),
        (-7, "warning", "6 seconds ahead of"),
        (7, "warning", "7 seconds behind"),
        (-62, "problem", "61 seconds ahead of"),
        (61, "problem", "61 seconds behind"),
        (3600, "problem", "3600 seconds behind"),
    ],
)
def test_a_clock_is_held_against_that_of_a_server(theirs: int, severity: str, said: str) -> None:
    date = format_datetime(NOW + timedelta(seconds=theirs), usegmt=True)

    finding = clock_finding("fhir", date, NOW, NOW)

    assert (finding.severity, said in finding.text) == (severity, True), finding


def test_time_that_the_request_took_is_held_against_nobody() -> None:
    date = format_datetime(NOW, usegmt=True)

    early, late = NOW - timedelta(seconds=30), NOW + timedelta(seconds=30)
    assert clock_finding("fhir", date, early, late).severity == "fine"
    endless = f"Mon, 15 Jun {'9' * 30} 09:00:00 GMT"
    for nothing in ("", "yesterday", endless, "Mon, 15 Jun 2026 09:00:00 -0000"):
        assert clock_finding("fhir", nothing, early, late).severity == "warning"


def _fhir(path: str) -> tuple[int, object]:
    """What a FHIR server can do, by the first part of the path: well, 404, or another FHIR."""
    kind = path.split("/")[1]
    version = "1.0.2" if kind == "other" else "4.0.1"
    document = {"resourceType": "CapabilityStatement", "fhirVersion": version}
    return (404 if kind == "absent" else 200), document


@pytest.fixture(name="fhir")
def _fhir_server() -> Iterator[str]:
    with answering(_fhir) as base:
        yield base


def test_every_server_is_asked_and_its_answer_is_said(fhir: str, tmp_path: Path) -> None:
    bases = [f"{fhir}/{kind}" for kind in ("well", "absent", "other")]
    bases.append("http://127.0.0.1:1/away")
    file = tmp_path / "servers.yaml"
    entries = [{"base": base, "anonymous": "yes"} for base in bases]
    file.write_text(json.dumps({"servers": entries}), encoding="utf-8")
    settings = Settings(profile="development", fhir_servers=file)

    found = [
        finding for finding in server_findings(settings, system_clock) if finding.area == "servers"
    ]

    assert [finding.severity for finding in found] == ["fine", "warning", "problem", "problem"]
    assert "answers, with FHIR 4.0.1" in found[0].text
    assert "answers 404" in found[1].text
    assert "does not answer" in found[3].text
    clocks = [
        finding for finding in server_findings(settings, system_clock) if finding.area == "clock"
    ]
    assert [finding.severity for finding in clocks] == ["fine"] * 3


def test_keys_that_cannot_be_fetched_or_used_are_a_problem(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CDS_PROFILE", "development")
    monkeypatch.setenv("CDS_PUBLIC_URL", "http://127.0.0.1:8000")
    with trap() as server:
        entry = registration(keys=..., **{"jwks url": server.url()})
        monkeypatch.setenv("CDS_CLIENTS", str(write_clients(tmp_path / "clients.yaml", entry)))
        assert "no key of its set" in found(doctor("--json"))["clients", "problem"]

    assert "its keys cannot be fetched" in found(doctor("--json"))["clients", "problem"]
