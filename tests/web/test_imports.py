# SPDX-License-Identifier: Apache-2.0
"""What a request costs in libraries: nothing that was not there before it."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from tests.house.source import ROOT
from tests.web.http_fixtures import SERVICE, founding

PROGRAM = """
import json, sys
from cds_service.settings import Settings
from cds_service.web import create_app
http = create_app(Settings()).test_client()
before = set(sys.modules)
validated = []
from pydantic import BaseModel
from pydantic_core import SchemaValidator
kept = BaseModel.model_validate.__func__
BaseModel.model_validate = classmethod(lambda c, *a, **k: validated.append(c) or kept(c, *a, **k))
init = BaseModel.__init__
BaseModel.__init__ = lambda self, *a, **k: validated.append(type(self)) or init(self, *a, **k)
status = http.post(sys.argv[1], json=json.load(sys.stdin)).status_code
print(json.dumps({
    "status": status,
    "new": sorted(set(sys.modules) - before),
    "models": [str(one) for one in validated],
}))
"""


def test_a_call_imports_nothing_and_builds_no_model() -> None:
    command = [sys.executable, "-c", PROGRAM, SERVICE]

    done = subprocess.run(
        command, input=json.dumps(founding()), cwd=ROOT, capture_output=True, text=True, check=False
    )

    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout.splitlines()[-1])
    ours = [name for name in found.pop("new") if name.startswith(("cds_service", "fhir", "pyd"))]
    assert found == {"status": 200, "models": []}
    assert ours == []


SERVED = """
import sys
from cds_service.settings import Settings
from cds_service.web import create_app
create_app(Settings())
print(*sys.modules)
"""


@pytest.fixture(name="imported", scope="module")
def _imported() -> set[str]:
    """The names of what a start imports."""
    command = [sys.executable, "-c", SERVED]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    return set(done.stdout.splitlines()[-1].split())


@pytest.mark.parametrize(
    "module",
    ["cds_service.catalogue", "cds_service.explainers", "cds_service.trials", "cryptography"],
)
def test_a_start_imports_nothing_that_only_pages_or_senders_of_messages_need(
    imported: set[str], module: str
) -> None:
    assert "cds_service.web" in imported
    assert module not in imported


STARTED = """
import sys
from cds_service.settings import Settings
from cds_service.web import create_app
create_app(Settings(fhir_servers=sys.argv[1] or None))
print("requests" in sys.modules)
"""


@pytest.mark.parametrize("are_listed", [True, False])
def test_a_start_imports_requests_exactly_if_servers_may_be_asked(
    tmp_path: Path, *, are_listed: bool
) -> None:
    servers = tmp_path / "servers.yaml"
    servers.write_text("servers:\n  - base: https://fhir.example.org/r4\n    anonymous: yes\n")
    command = [sys.executable, "-c", STARTED, str(servers) if are_listed else ""]

    done = subprocess.run(command, capture_output=True, text=True, check=True)

    assert done.stdout.splitlines()[-1] == str(are_listed)
