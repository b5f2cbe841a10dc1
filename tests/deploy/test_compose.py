# SPDX-License-Identifier: Apache-2.0
"""The Compose file holds to the schema of such files, to the image and to the settings."""

import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml
from click.testing import CliRunner

from cds_service.cli import cli
from cds_service.settings import PREFIX, Settings
from tests.house.source import ROOT

FILE = ROOT / "deploy" / "compose" / "compose.yaml"
COMPOSE: dict[str, Any] = yaml.safe_load(FILE.read_text(encoding="utf-8"))
OURS = {
    name: service
    for name, service in COMPOSE["services"].items()
    if "cds-service" in service["image"]
}


def check(file: Path) -> "subprocess.CompletedProcess[str]":
    program = Path(sys.executable).with_name("check-jsonschema")
    return subprocess.run(
        [program, "--builtin-schema", "vendor.compose-spec", file],
        capture_output=True,
        text=True,
        check=False,
    )


def test_it_is_a_compose_file(tmp_path: Path) -> None:
    wrong = tmp_path / "compose.yaml"
    wrong.write_text(FILE.read_text().replace("read_only:", "readonly:"), encoding="utf-8")

    done = check(FILE)

    assert done.returncode == 0, done.stdout + done.stderr
    assert check(wrong).returncode == 1


def test_the_service_may_do_as_little_as_the_guide_says() -> None:
    assert set(OURS) == {"upgrade", "serve", "worker", "listen"}
    for name, service in OURS.items():
        assert service["read_only"] is True
        assert service["cap_drop"] == ["ALL"]
        assert service["user"] == "65532:65532"
        assert ("ports" in service) == (name == "listen")


@pytest.mark.parametrize("name", OURS)
def test_its_commands_and_settings_exist(name: str) -> None:
    shown = CliRunner().invoke(cli, [*OURS[name]["command"], "--help"])
    settings = {
        key.removeprefix(PREFIX).removesuffix("_FILE").lower() for key in OURS[name]["environment"]
    }

    assert shown.exit_code == 0, shown.output
    assert settings <= set(Settings.model_fields)


def test_one_process_answers_so_that_its_counters_are_those_of_every_scrape() -> None:
    assert OURS["serve"]["command"] == ["serve"]


def test_the_listener_is_reached_where_it_listens_and_encrypted() -> None:
    service = OURS["listen"]
    port = Settings.model_fields["mllp_port"].default

    assert service["ports"] == [f"{port}:{port}"]
    assert {"CDS_MLLP_HOST", "CDS_MLLP_TLS_CERTIFICATE", "CDS_MLLP_TLS_KEY"} <= set(
        service["environment"]
    )
    assert "CDS_MLLP_CLEAR" not in service["environment"]
    assert set(service["profiles"]) <= set(OURS["worker"]["profiles"])  # which writes the results


def test_what_runs_on_is_asked_for_its_health_where_it_answers() -> None:
    unasked = {
        name for name, service in OURS.items() if service.get("healthcheck") == {"disable": True}
    }
    by_status = {
        name for name, service in OURS.items() if "CDS_STATUS_PORT" in service["environment"]
    }

    assert unasked == {"upgrade"}
    assert by_status == {"worker", "listen"}
    for name in by_status:
        assert OURS[name]["healthcheck"]["test"] == ["CMD", "cds-healthy", "status"]
    assert "healthcheck" not in OURS["serve"]  # that of the image


def test_whatever_is_used_is_declared() -> None:
    for name, service in COMPOSE["services"].items():
        assert set(service.get("secrets", [])) <= set(COMPOSE["secrets"]), name
        named = {each.partition(":")[0] for each in service["volumes"]}
        mounted = {each.split(":")[1] for each in service["volumes"]}
        for key, path in service.get("environment", {}).items():
            if str(path).startswith("/etc/"):
                assert any(str(path).startswith(at) for at in mounted), (name, key)
        assert {each for each in named if not each.startswith(".")} <= set(COMPOSE["volumes"]), name
        assert set(service.get("depends_on", {})) <= set(COMPOSE["services"]), name


def test_the_database_counts_as_ready_only_where_the_service_reaches_it() -> None:
    """The image of PostgreSQL makes the first database with a server that has no TCP."""
    asked = COMPOSE["services"]["database"]["healthcheck"]["test"]

    assert "--host=127.0.0.1" in asked


def test_the_proxy_starts_again_with_the_service_whose_address_it_looked_up() -> None:
    assert COMPOSE["services"]["proxy"]["depends_on"]["serve"]["restart"] is True
