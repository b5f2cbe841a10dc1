# SPDX-License-Identifier: Apache-2.0
"""Spark for the tests, which has an environment of its own: `requirements/install-spark`.

Starting Spark takes longer than all else. So one program (`tests.screening.on_spark`) does what
several tests look at.
"""

import json
import shutil
import subprocess
from pathlib import Path

import pytest

from tests.screening.exports import Json

ROOT = Path(__file__).parents[2]
PYTHON = ROOT / ".venv-spark" / "bin" / "python"


def on_spark(job: Json) -> Json:
    """What `tests.screening.on_spark` makes of a job; skips the test where there is no Spark."""
    if shutil.which("java") is None or not PYTHON.exists():
        pytest.skip("no Spark: it needs Java 17 and requirements/install-spark")
    done = subprocess.run(
        [PYTHON, "-m", "tests.screening.on_spark"],
        cwd=ROOT,
        input=json.dumps(job),
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-3000:]
    found: Json = {"said": done.stderr, **json.loads(done.stdout)}
    return found
