# SPDX-License-Identifier: Apache-2.0
"""In CI nothing is skipped quietly."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.house.source import ROOT

pytestmark = pytest.mark.slow

TEST = "import pytest\ndef test_a(): pytest.skip('not today')\ndef test_b(): pass\n"
OPTIONS = ("-p", "no:cacheprovider", "-p", "no:schemathesis")  # which takes seconds to import
MODULE = "import pytest\npytest.skip('not here', allow_module_level=True)\n"


def run(folder: Path, test: str, ci: str, workers: str) -> subprocess.CompletedProcess[str]:
    (folder / "conftest.py").write_bytes((ROOT / "tests" / "conftest.py").read_bytes())
    (folder / "test_one.py").write_text(test, encoding="utf-8")
    (folder / "test_two.py").write_text("def test_c(): pass\n", encoding="utf-8")
    return subprocess.run(
        [sys.executable, "-m", "pytest", *OPTIONS, "-n", workers, folder],
        cwd=folder,
        env={**os.environ, "CI": ci, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.mark.parametrize("workers", ["0", "1"])
@pytest.mark.parametrize("test", [TEST, MODULE], ids=["test", "module"])
def test_a_skipped_test_fails_the_run_in_ci(tmp_path: Path, test: str, workers: str) -> None:
    done = run(tmp_path, test, "true", workers)

    assert done.returncode == 1
    assert "CI allows no skipped tests." in done.stdout


def test_a_skipped_test_is_fine_elsewhere(tmp_path: Path) -> None:
    assert run(tmp_path, TEST, "", "0").returncode == 0
