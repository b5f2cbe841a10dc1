# SPDX-License-Identifier: Apache-2.0
"""`clients token` and `call`: an integrator signs a call and learns what came of it."""

import json
import socket
import stat
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from jwt.algorithms import ECAlgorithm

from cds_service.cli import cli
from cds_service.cli.demo import wait_until_ready
from cds_service.errors import CdsServiceError
from cds_service.settings import environment_of
from tests.cli.answering import answering
from tests.conformance.server import free_port
from tests.trust.signing import es384, registration, write_clients

SERVICE = "/cds-services/liver-patient-view"


@dataclass(frozen=True)
class Desk:
    """An integrator's machine: its settings, and a service that runs with them."""

    base: str
    folder: Path
    log: Path

    def run(self, *words: str, stdin: str | None = None, **changes: str) -> Result:
        with pytest.MonkeyPatch.context() as patch:
            for name, value in {**self.variables(), **changes}.items():
                patch.setenv(name, value)
            return CliRunner().invoke(cli, list(words), input=stdin)

    def variables(self) -> dict[str, str]:
        return {
            "CDS_PROFILE": "development",
            "CDS_CLIENTS": str(self.folder / "clients.yaml"),
            "CDS_PUBLIC_URL": self.base,
            "CDS_DATABASE_URL": "sqlite://",
            "XDG_STATE_HOME": str(self.folder / "state"),
        }

    @property
    def request(self) -> str:
        return str(self.folder / "request.json")


@pytest.fixture(name="desk", scope="module")
def _desk(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Desk]:
    folder = tmp_path_factory.mktemp("desk")
    port = free_port()
    desk = Desk(f"http://127.0.0.1:{port}", folder, folder / "log")
    made = desk.run("clients", "test-key", "first-ehr", CDS_CLIENTS="", CDS_PUBLIC_URL="")
    assert made.exit_code == 0, made.output
    clients = json.loads(made.stdout)["clients"]
    write_clients(folder / "clients.yaml", *clients, registration(tenants=["north"]))
    asked = desk.run("demo", "--request")
    Path(desk.request).write_text(asked.stdout, encoding="utf-8")
    command = [sys.executable, "-m", "cds_service", "serve", "--port", str(port)]
    environment = environment_of((), desk.variables())
    with (
        desk.log.open("wb") as log,
        subprocess.Popen(command, env=environment, stderr=log) as process,
    ):
        try:
            wait_until_ready(desk.base, process)
            yield desk
        finally:
            process.terminate()


@pytest.mark.server
def test_a_signed_call_shows_the_card_and_what_it_took(desk: Desk) -> None:
    for _ in range(2):  # each call has a token of its own
        done = desk.run("call", "--client", "first-ehr", desk.request)
        assert done.exit_code == 0, done.output
        assert "signed as first-ehr" in done.output
        assert "200 in " in done.output
        assert "Very low ALT" in done.output


@pytest.mark.server
def test_json_has_the_answer_as_it_came(desk: Desk) -> None:
    url = desk.base + SERVICE
    done = desk.run("call", "--client", "first-ehr", "--url", url, "--json", desk.request)

    answer = json.loads(done.output)
    assert (answer["status"], answer["url"]) == (200, url)
    assert answer["answer"]["cards"][0]["indicator"] == "info"
    assert 0 < answer["milliseconds"] < 30_000


@pytest.mark.server
def test_a_call_without_a_token_is_refused_in_words(desk: Desk) -> None:
    done = desk.run("call", "--service", "liver-patient-view", desk.request)

    assert done.exit_code == 1
    assert "Refused: A valid token of a registered client is needed." in done.output
    assert "WWW-Authenticate: Bearer" in done.output
    assert "name a registered client with --client" in done.output


@pytest.mark.server
def test_what_the_service_keeps_to_itself_is_found_by_the_registration_here(desk: Desk) -> None:
    key = _file(desk.folder / "ehr.json", json.dumps(_private(es384())))
    done = desk.run("call", "--client", "ehr", "--key", key, "--tenant", "south", desk.request,
                    "--service", "liver-patient-view")  # fmt: skip

    assert done.exit_code == 1
    assert "by the registration here: tenant: tenant must be one of 'north'" in done.output
    assert desk.run("call", "--client", "ehr", "--key", key, desk.request).exit_code == 0


@pytest.mark.server
def test_a_request_that_is_wrong_names_the_place_here_and_in_the_log(desk: Desk) -> None:
    body = {"hook": "patient-view", "hookInstance": "zz-secret", "context": {"patientId": "p1",
            "userId": "Practitioner/1"}}  # fmt: skip
    done = desk.run("call", "--client", "first-ehr", "-", stdin=json.dumps(body))

    assert done.exit_code == 1
    assert "$.hookInstance: Expected a UUID." in done.output
    assert "the path before the colon says where" in done.output
    lines = [json.loads(line) for line in desk.log.read_text().splitlines() if "{" in line]
    assert [line["where"] for line in lines if line.get("status") == 400][-1] == "$.hookInstance"
    assert "zz-secret" not in desk.log.read_text()


@pytest.mark.server
def test_data_that_are_needed_and_not_sent_are_explained(desk: Desk) -> None:
    body = json.loads(Path(desk.request).read_text(encoding="utf-8"))
    body["prefetch"] = {"observations": {"resourceType": "Bundle", "type": "searchset",
                                         "entry": [{"resource": {"resourceType": "Observation",
                                                    "status": 1}}]}}  # fmt: skip
    done = desk.run("call", "--client", "first-ehr", "-", stdin=json.dumps(body))

    assert done.exit_code == 1, done.output
    assert "412 in" in done.output
    assert "Send every prefetch key of discovery" in done.output


@pytest.mark.server
def test_a_hook_that_no_service_takes_is_wrong_use(desk: Desk) -> None:
    done = desk.run("call", "--client", "first-ehr", "-", stdin='{"hook": "order-dispatch"}')

    assert done.exit_code == 2
    assert "not exactly one service takes the hook of the request: none" in done.output


@pytest.mark.server
@pytest.mark.parametrize("body", ["{", "[]", "{}", '{"hook": 1}'])
def test_a_request_that_names_no_hook_is_wrong_use(desk: Desk, body: str) -> None:
    done = desk.run("call", "--client", "first-ehr", "-", stdin=body)

    assert done.exit_code == 2
    assert "REQUEST is no JSON object that names its hook" in done.output
    words = ("call", "--client", "first-ehr", "--service", "liver-patient-view", "-")
    sent = desk.run(*words, stdin=body)
    assert (sent.exit_code, "400 in" in sent.output) == (1, True), sent.output


@pytest.mark.server
def test_another_name_of_the_service_is_not_the_one_that_tokens_are_for(desk: Desk) -> None:
    other = desk.base.replace("127.0.0.1", "localhost")
    done = desk.run("call", "--client", "first-ehr", "--url", other, desk.request)

    assert done.exit_code == 1
    assert f"CDS_PUBLIC_URL is {desk.base} here" in done.output
    assert "the token is right" not in done.output


@pytest.mark.server
def test_every_call_of_a_client_leaves_no_token_in_what_is_shown(desk: Desk) -> None:
    token = desk.run("clients", "token", "first-ehr", "--url", desk.base + SERVICE)
    assert desk.run("clients", "check", "--token", "-", stdin=token.stdout).exit_code == 0

    for words in (["--json"], [], ["--tenant", "x"]):
        shown = desk.run("call", "--client", "first-ehr", *words, desk.request).output
        assert "eyJ" not in shown


def test_nobody_there_is_no_refusal(tmp_path: Path) -> None:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        address = f"http://127.0.0.1:{probe.getsockname()[1]}/cds-services/x"
        done = CliRunner().invoke(cli, ["call", "--url", address, "-"], input="{}")

    assert isinstance(done.exception, CdsServiceError)
    assert "gave no answer" in str(done.exception)


def _hostile(path: str) -> tuple[int, object]:
    """A 400 with a text that would steer a terminal, or 200 with no cards at all."""
    if path.endswith("steers"):
        return 400, {"issue": [{"diagnostics": "\x1b[2Jgone"}]}
    return 200, {"cards": [{"x": 1}]}


def test_another_server_steers_no_terminal_and_is_no_service() -> None:
    with answering(_hostile) as hostile:
        words = ["call", "-", "--url"]
        steers, other = (
            CliRunner().invoke(cli, [*words, f"{hostile}/cds-services/{path}"], input="{}")
            for path in ("steers", "other")
        )

    assert (steers.exit_code, "\x1b" in steers.output) == (1, False)
    assert "?[2Jgone" in steers.output
    assert "it is no CDS Service" in str(other.exception)


def _file(path: Path, text: str | bytes, mode: int = 0o600) -> str:
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    path.chmod(mode)
    return str(path)


def _private(signer: Any) -> dict[str, Any]:
    members: dict[str, Any] = ECAlgorithm.to_jwk(signer.private, as_dict=True)
    return {**members, "kid": signer.kid}


@pytest.fixture(name="alone")
def _alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A registration, in production, on a machine without a test key."""
    monkeypatch.setenv("CDS_CLIENTS", str(write_clients(tmp_path / "clients.yaml", registration())))
    monkeypatch.setenv("CDS_PUBLIC_URL", "https://cds.example.org")
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    return tmp_path


def signed(*words: str) -> Result:
    return CliRunner().invoke(cli, ["clients", "token", "ehr", *words])


def test_in_production_only_a_key_of_ones_own_signs(alone: Path) -> None:
    refused = signed()

    assert refused.exit_code == 2
    assert "in production only a key of its own signs for 'ehr'" in refused.output
    assert CliRunner().invoke(cli, ["clients", "test-key", "ehr"]).exit_code == 2
    assert not (alone / "state").exists()


@pytest.mark.parametrize("form", ["jwk", "set", "pem"])
def test_a_private_key_is_taken_in_each_form(alone: Path, form: str) -> None:
    pem = es384().private.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    jwk = json.dumps(_private(es384()))
    key = _file(alone / "key", {"jwk": jwk, "set": f'{{"keys": [{jwk}]}}', "pem": pem}[form])

    made = signed("--key", key)

    assert made.exit_code == 0, made.output
    checked = CliRunner().invoke(cli, ["clients", "check", "--token", "-"], input=made.stdout)
    assert "accepted" in checked.output
    assert "For one call of https://cds.example.org/cds-services/liver-patient-view" in made.stderr


@pytest.mark.parametrize(
    ("content", "mode", "why"),
    [
        (json.dumps(_private(es384())), 0o644, "chmod 600"),
        ("no key", 0o600, "neither JSON nor PEM"),
        ("-----BEGIN PRIVATE KEY-----\nzz-secret", 0o600, "no private key in PEM"),
        (json.dumps(es384().jwk), 0o600, "no private key"),
        (json.dumps({**_private(es384()), "d": "AAAA"}), 0o600, "private"),
        (json.dumps({"keys": [_private(es384()), _private(es384("b"))]}), 0o600, "--kid"),
        (json.dumps(_private(es384("forger"))), 0o600, "none of those registered"),
        (json.dumps([1]), 0o600, "no private key"),
    ],
    ids=["readable", "text", "pem", "public", "other half", "several", "stranger", "array"],
)
def test_a_key_that_cannot_sign_is_named_and_never_shown(
    alone: Path, content: str, mode: int, why: str
) -> None:
    refused = signed("--key", _file(alone / "key", content, mode))

    assert refused.exit_code == 2, refused.output
    assert why in refused.output
    assert "zz-secret" not in refused.output
    assert _private(es384())["d"] not in refused.output


def test_the_algorithm_is_one_that_is_registered(alone: Path) -> None:
    fetched = {"keys": ..., "jwks url": "https://ehr.example.org/jwks.json"}
    only_rsa = registration(algorithms=["RS384"], **fetched)
    write_clients(alone / "clients.yaml", only_rsa)

    refused = signed("--key", _file(alone / "key", json.dumps(_private(es384()))))

    assert refused.exit_code == 2
    assert "the key is EC P-384, and 'ehr' is registered with RS384" in refused.output


def test_a_token_crosses_no_network_in_the_clear(alone: Path) -> None:
    key = _file(alone / "key", json.dumps(_private(es384())))
    words = ["call", "--client", "ehr", "--key", key, "--url", "http://cds.example.org", "-"]

    refused = CliRunner().invoke(cli, words, input="{}")

    assert refused.exit_code == 2
    assert "by https, or to this machine" in refused.output


def test_a_test_key_is_its_owners_and_stays_the_same(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))
    monkeypatch.setenv("CDS_PROFILE", "development")

    first, second = (
        CliRunner().invoke(cli, ["clients", "test-key", "mine"]).stdout for _ in range(2)
    )

    assert first == second
    file = tmp_path / "cds-service" / "test-keys" / "mine.json"
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert json.loads(file.read_text())["keys"][0]["d"] not in first
    assert CliRunner().invoke(cli, ["clients", "test-key", "1234"]).exit_code == 2


def test_a_key_on_another_curve_is_taken_by_its_own_algorithm(alone: Path) -> None:
    private = ec.generate_private_key(ec.SECP256R1())
    members: dict[str, Any] = ECAlgorithm.to_jwk(private, as_dict=True)
    public = {name: value for name, value in members.items() if name != "d"}
    entry = registration(keys=[{**public, "kid": "k", "use": "sig"}], algorithms=["ES256"])
    write_clients(alone / "clients.yaml", entry)

    assert signed("--key", _file(alone / "key", json.dumps(members))).exit_code == 0
