# SPDX-License-Identifier: Apache-2.0
"""The command starts quickly: it imports only what it needs."""

import subprocess
import sys

PROGRAM = """
import atexit, sys
heavy = ("fhir.resources", "flask", "requests")
atexit.register(lambda: print("loaded:", *(name for name in heavy if name in sys.modules)))
from cds_service.cli import main
sys.argv = ["cds-service", "--help"]
main()
"""


def test_help_imports_no_heavy_library() -> None:
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM], capture_output=True, text=True, check=True
    )

    assert "Usage:" in done.stdout
    assert done.stdout.splitlines()[-1] == "loaded:"
