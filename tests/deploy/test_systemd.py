# SPDX-License-Identifier: Apache-2.0
"""The units are understood by systemd, may do little, and start commands that exist."""

import re
import shlex
import shutil
import subprocess
from pathlib import Path

import pytest
from click.testing import CliRunner

from cds_service.cli import cli
from cds_service.settings import PREFIX, Settings
from tests.house.source import ROOT

UNITS = ROOT / "deploy" / "systemd"
NAMES = sorted(path.name for path in UNITS.glob("*.service"))
PROGRAM = "/opt/cds-service/bin/cds-service"
MOST_EXPOSED = 15  # tenths of what systemd-analyze calls exposure, of 100

needs_systemd = pytest.mark.skipif(
    shutil.which("systemd-analyze") is None, reason="install the package systemd"
)


@pytest.fixture(name="machine")
def _machine(tmp_path: Path) -> Path:
    """The root of a machine on which the units are installed as the guide says."""
    installed = tmp_path / "etc" / "systemd" / "system"
    shutil.copytree(UNITS, installed)
    (installed / "cds-service-listen.service.d").mkdir()
    for name, unit in (("postgresql", ""), ("mllp-tls", "listen")):
        (installed / f"{name}.conf").rename(
            installed / f"cds-service-{unit}.service.d" / f"{name}.conf"
        )
    program = tmp_path / PROGRAM.lstrip("/")
    program.parent.mkdir(parents=True)
    program.touch(mode=0o755)
    for target in ("multi-user", "network-online", "sysinit", "basic", "shutdown"):
        (installed / f"{target}.target").write_text("[Unit]\nDescription=of systemd\n")
    return tmp_path


def analyze(machine: Path, *arguments: str) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(
        ["systemd-analyze", f"--root={machine}", *arguments],
        capture_output=True,
        text=True,
        check=False,
    )


@needs_systemd
@pytest.mark.parametrize("name", NAMES)
def test_systemd_understands_every_line(machine: Path, name: str) -> None:
    done = analyze(machine, "verify", "--recursive-errors=no", name)

    assert (done.returncode, done.stdout + done.stderr) == (0, "")


@needs_systemd
@pytest.mark.parametrize("name", NAMES)
def test_a_unit_may_do_little(machine: Path, name: str) -> None:
    done = analyze(machine, "security", "--offline=yes", f"--threshold={MOST_EXPOSED}", name)

    assert done.returncode == 0, done.stdout[-500:]


@needs_systemd
def test_a_line_that_systemd_does_not_know_is_found(machine: Path) -> None:
    file = machine / "etc" / "systemd" / "system" / NAMES[0]
    file.write_text(file.read_text().replace("Type=", "Tpye="))

    assert "Tpye" in analyze(machine, "verify", "--recursive-errors=no", NAMES[0]).stderr


@pytest.mark.parametrize("name", NAMES)
def test_the_command_of_a_unit_exists(name: str) -> None:
    (line,) = re.findall(r"^ExecStart=(.*)$", (UNITS / name).read_text(), flags=re.MULTILINE)
    program, *arguments = shlex.split(line)

    shown = CliRunner().invoke(cli, [*arguments, "--help"])

    assert program == PROGRAM
    assert shown.exit_code == 0, shown.output


def test_one_process_answers_so_that_its_counters_are_those_of_every_scrape() -> None:
    assert "--workers" not in (UNITS / "cds-service-serve.service").read_text(encoding="utf-8")


def test_every_setting_that_a_unit_makes_exists() -> None:
    text = "".join(path.read_text() for path in UNITS.rglob("*.*") if path.is_file())
    named = {name.lower() for name in re.findall(rf"\b{PREFIX}(\w+?)(?:_FILE)?=", text)}

    assert named == {
        "hash_key",
        "database_url",
        "mllp_tls_certificate",
        "mllp_tls_key",
        "status_port",
    }
    assert named <= set(Settings.model_fields)
