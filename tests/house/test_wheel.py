# SPDX-License-Identifier: Apache-2.0
"""The wheel is whole: it runs, with its cards, away from the source tree."""

import subprocess
import sys
import sysconfig
import venv
import zipfile
from pathlib import Path

import pytest

from tests.house.source import ROOT

pytestmark = pytest.mark.slow


def run(*command: str | Path, cwd: Path) -> str:
    done = subprocess.run(command, cwd=cwd, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("dist")
    run(
        sys.executable, "-m", "build", "--wheel", "--no-isolation", "--outdir", folder, ROOT,
        cwd=folder,
    )  # fmt: skip
    (built,) = folder.glob("*.whl")
    return built


@pytest.fixture(scope="module")
def installed(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A new environment with the wheel, which borrows the dependencies of this one."""
    folder = tmp_path_factory.mktemp("venv")
    venv.create(folder, symlinks=True, with_pip=False)
    python = folder / "bin" / "python"
    run(
        sys.executable, "-m", "pip", f"--python={python}",
        "install", "--quiet", "--no-deps", "--no-index", wheel,
        cwd=folder,
    )  # fmt: skip
    here = run(python, "-Ic", "import sysconfig; print(sysconfig.get_path('purelib'))", cwd=folder)
    # A path in a .pth file comes after this environment's own, and its own .pth files are not read.
    borrowed = sysconfig.get_path("purelib")
    Path(here.strip(), "borrowed.pth").write_text(f"{borrowed}\n", encoding="utf-8")
    return folder


def test_the_wheel_holds_the_cards_and_the_type_marker(wheel: Path) -> None:
    held = set(zipfile.ZipFile(wheel).namelist())

    migration = "cds_service/store/migrations/versions/feedback_0001.py"
    assert {"cds_service/_cards/liver/pack.yaml", "cds_service/py.typed", migration} <= held


def test_the_wheel_holds_every_card_file_and_no_test(wheel: Path) -> None:
    held = set(zipfile.ZipFile(wheel).namelist())
    cards = {
        f"cds_service/_cards/{path.relative_to(ROOT / 'cards').as_posix()}"
        for path in (ROOT / "cards").rglob("*")
        if path.is_file()
    }

    assert {name for name in held if name.startswith("cds_service/_cards/")} == cards
    assert not [name for name in held if name.startswith("tests/")]


def test_the_installed_service_is_the_one_of_the_wheel(installed: Path, tmp_path: Path) -> None:
    found = run(
        installed / "bin" / "python", "-Ic", "import cds_service; print(cds_service.__file__)",
        cwd=tmp_path,
    )  # fmt: skip

    assert Path(found.strip()).is_relative_to(installed)


def test_the_installed_command_says_the_version_of_the_wheel(
    installed: Path, wheel: Path, tmp_path: Path
) -> None:
    printed = run(installed / "bin" / "cds-service", "--version", cwd=tmp_path)

    assert printed.strip() == f"cds-service, version {wheel.name.split('-')[1]}"


def test_the_installed_command_checks_the_cards_it_came_with(
    installed: Path, tmp_path: Path
) -> None:
    run(installed / "bin" / "cds-service", "check", cwd=tmp_path)
