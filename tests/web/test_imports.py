# SPDX-License-Identifier: Apache-2.0
"""What a request costs in libraries: nothing that was not there before it."""

import json
import subprocess
import sys

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
