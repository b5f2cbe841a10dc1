# SPDX-License-Identifier: Apache-2.0
"""An export by SMART Backend Services from a FHIR server written by others."""

import json
from pathlib import Path

import pytest
from click.testing import CliRunner

from cds_service.cli.screen import screen
from cds_service.clock import system_clock
from cds_service.smart.key_rotation import add_key
from cds_service.smart.signing_keys import KeyFile
from tests.fhir_server.sekmet import put, running
from tests.screening.exports import person, result

pytestmark = pytest.mark.server

SCOPES = "system/*.cruds"  # it wants to see one for the state of an export, which is of no type
WRITER = "for-the-test-data"


def test_a_group_of_a_real_server_is_exported_with_our_token_and_screened(tmp_path: Path) -> None:
    keys = tmp_path / "keys.json"
    add_key(keys, "ES384", system_clock())
    client = {
        "client_id": "lab",
        "jwks": KeyFile(keys).current().published(),
        "scopes": SCOPES,
    }
    members = [{"entity": {"reference": "Patient/anna"}}]
    group = {"resourceType": "Group", "id": "ward", "type": "person", "actual": True}
    auth = {"types": ["smart", "bearer"], "tokens": [WRITER], "smart_clients": [client]}
    with running(server_auth=auth) as base:
        resources = [person("anna"), person("bert"), result("1", "Patient/anna")]
        put(
            base,
            [*resources, {**group, "member": members}],
            {"Authorization": f"Bearer {WRITER}"},
        )
        servers = tmp_path / "servers.yaml"
        servers.write_text(
            f"servers:\n  - base: {base}\n    this machine: yes\n    client id: lab\n"
            f"    scopes: {SCOPES}\n",
            encoding="utf-8",
        )
        made = CliRunner(
            env={"CDS_FHIR_SERVERS": str(servers), "CDS_SIGNING_KEYS": str(keys)}
        ).invoke(
            screen, [base, "--group", "ward", "--out", str(tmp_path / "out"), "--ids", "--json"]
        )

    assert made.exit_code == 0, made.output
    counts = json.loads(made.stdout)
    assert (counts["patients"], counts["patientsWithCard"]) == (1, 1)
    row = json.loads((tmp_path / "out" / "decisions.ndjson").read_text())
    assert row["patient"] == "anna"
    state = json.loads((tmp_path / "out" / "export" / ".export" / "state.json").read_text())
    assert state["summary"]["resources"] == {"Observation": 1, "Patient": 1}
    assert state["status_url"] is None
