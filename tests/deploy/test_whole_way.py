# SPDX-License-Identifier: Apache-2.0
"""The way of docs/how-to/first-installation.md: from the image to an alert that fires.

A hardened container with PostgreSQL, nginx with TLS before it, a registered client, and Prometheus,
all of them real. Other than in the guide are ports, the name of the service (127.0.0.1), and how
long an alert waits.
"""

import json
import os
import re
import subprocess
import sys
import urllib.request
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from time import monotonic, sleep
from typing import Any

import pytest

from cds_service.settings import PREFIX, Settings
from tests.conformance.server import free_port
from tests.deploy import image as images
from tests.deploy import prometheus as watchers
from tests.deploy import proxies
from tests.deploy.image import Container, Image, container
from tests.deploy.prometheus import Prometheus, prometheus
from tests.deploy.proxies import Proxy, proxy
from tests.house.source import ROOT
from tests.store.postgres import Postgres, running

MISSING = images.missing() or proxies.missing() or watchers.missing()
pytestmark = [
    pytest.mark.database,
    pytest.mark.server,
    pytest.mark.slow,
]

PAGE = (ROOT / "docs" / "how-to" / "first-installation.md").read_text(encoding="utf-8")
GIVEN = "/etc/cds-service"
PASSWORD = "invented-for-this-test"
AWAY = "The database does not answer: no feedback is taken, and no card is kept quiet."


def environment_of_the_guide() -> dict[str, str]:
    """The settings of step 3, by their names in lower case."""
    (lines,) = re.findall(r"environment <<'END'\n(.*?)\nEND\n", PAGE, re.DOTALL)
    pairs = (line.partition("=") for line in lines.splitlines())
    return {name.removeprefix(PREFIX).lower(): value for name, _, value in pairs}


@dataclass(frozen=True)
class Site:
    """All that runs, and the person who set it up."""

    folder: Path
    image: Image
    settings: dict[str, str]
    postgres: Postgres
    proxy: Proxy
    prometheus: Prometheus
    service: Container
    worker: Container
    ports: tuple[int, int]

    def cds_service(self, *words: str) -> "subprocess.CompletedProcess[str]":
        """What a command on the person's own machine says."""
        return own_command(self.folder, *words)

    def call(self, patient: str) -> "subprocess.CompletedProcess[str]":
        """The call of step 6 for a patient."""
        request = self.folder / "request.json"
        text = (self.folder / "demo.json").read_text(encoding="utf-8")
        request.write_text(text.replace("case", patient), encoding="utf-8")
        return self.cds_service(
            "call", "--client", "first-call", "--url", f"https://127.0.0.1:{self.proxy.port}",
            "--ca-file", str(self.proxy.certificate), str(request),
        )  # fmt: skip

    def ready(self) -> tuple[int, Any]:
        with urllib.request.urlopen(
            f"http://127.0.0.1:{self.ports[0]}/ready", timeout=10
        ) as answer:
            return answer.status, json.loads(answer.read())

    def in_the_image(self, name: str, *command: str) -> tuple[int, str]:
        """The exit code and the words of a command in a container of its own."""
        return in_the_image(self.image, self.folder, name, self.settings, *command)

    def targets(self) -> tuple[str, str]:
        service, worker = self.ports
        return f"127.0.0.1:{service}", f"127.0.0.1:{worker}"


def own_command(folder: Path, *words: str) -> "subprocess.CompletedProcess[str]":
    environ = {name: value for name, value in os.environ.items() if not name.startswith(PREFIX)}
    environ |= {"CDS_PROFILE": "development", "XDG_STATE_HOME": str(folder / "own")}
    if (folder / "given" / "clients.yaml").exists():
        environ["CDS_CLIENTS"] = str(folder / "given" / "clients.yaml")
    return subprocess.run(
        [sys.executable, "-m", "cds_service", *words],
        env=environ, cwd=ROOT, capture_output=True, text=True, check=False, timeout=120,
    )  # fmt: skip


def in_the_image(
    image: Image, folder: Path, name: str, settings: dict[str, str], *command: str
) -> tuple[int, str]:
    own = folder / name
    own.mkdir()
    mounts = {folder / "given": GIVEN}
    with container(
        image, own, *command, mounts=mounts, host_network=True, **settings
    ) as running_one:
        code = running_one.process.wait(120)
    return code, (own / "log").read_text(encoding="utf-8")


@pytest.fixture(name="site", scope="module")
def _site(image: Image, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    folder = tmp_path_factory.mktemp("way")
    folder.chmod(0o755)
    with ExitStack() as stack:
        postgres = stack.enter_context(running("127.0.0.1"))
        postgres.run(f"CREATE ROLE cds LOGIN PASSWORD '{PASSWORD}'")
        postgres.run("CREATE DATABASE cds OWNER cds")
        ports = free_port(), free_port()
        upstream = proxy("nginx", folder, ports[0])
        front = stack.enter_context(upstream)
        settings = {
            **environment_of_the_guide(),
            "port": str(ports[0]),
            "public_url": f"https://127.0.0.1:{front.port}",
        }
        _write_given(folder, f"127.0.0.1:{postgres.port}")
        code, said = in_the_image(image, folder, "upgrade", settings, "database", "upgrade")
        assert code == 0, said

        def started(name: str, *command: str, **more: str) -> Container:
            own = folder / name
            own.mkdir()
            made = container(
                image, own, *command,
                mounts={folder / "given": GIVEN}, host_network=True, **settings, **more,
            )  # fmt: skip
            return stack.enter_context(made)

        service = started("serve")
        worker = started("worker", "worker", status_port=str(ports[1]))
        service.wait_until("cds-healthy")
        worker.wait_until("cds-healthy", "status")
        targets = (f"127.0.0.1:{port}" for port in ports)
        watcher = stack.enter_context(prometheus(folder, *targets))
        yield Site(folder, image, settings, postgres, front, watcher, service, worker, ports)


def _write_given(folder: Path, database: str) -> None:
    """The files of step 3."""
    secrets = folder / "given" / "secrets"
    secrets.mkdir(parents=True)
    url = f"postgresql+psycopg://cds:{PASSWORD}@{database}/cds\n"
    (secrets / "database-url").write_text(url, encoding="utf-8")
    (secrets / "hash-key").write_text("0123456789abcdef" * 4, encoding="utf-8")
    for file in (secrets, *secrets.iterdir()):
        os.chown(file, 65532, 65532)
        file.chmod(0o500 if file.is_dir() else 0o400)
    clients = own_command(folder, "clients", "test-key", "first-call")
    assert clients.returncode == 0, clients.stderr
    (folder / "given" / "clients.yaml").write_text(clients.stdout, encoding="utf-8")
    request = own_command(folder, "demo", "--request")
    (folder / "demo.json").write_text(request.stdout, encoding="utf-8")


@pytest.mark.skipif(MISSING is not None, reason=f"{MISSING}")
def test_an_alert_fires_when_the_database_stops_and_cards_go_on(site: Site) -> None:
    alerts = [("CdsDatabaseUnreachable", target) for target in site.targets()]
    assert "Very low ALT (1 U/L)" in site.call("first").stdout
    again = site.call("first")
    assert "No card." in again.stdout  # it is quiet for this patient, and that is said
    assert "send another patient" in again.stdout
    code, said = site.in_the_image("doctor-before", "doctor")
    assert (code, "WRONG" in said) == (0, False), said
    site.prometheus.wait_until_firing(("CdsPackUnsigned", site.targets()[0]))  # it is looked at
    site.prometheus.wait_until_firing(*alerts, is_firing=False)
    assert site.ready()[1]["worker"] == "working"

    site.postgres.stop()

    site.prometheus.wait_until_firing(*alerts)
    called = site.call("second")
    assert called.returncode == 0, (called.stdout, called.stderr)
    assert "Very low ALT (1 U/L)" in called.stdout
    status, body = site.ready()
    assert (status, body["status"]) == (200, "ready")
    assert AWAY in body["problems"]
    assert AWAY in PAGE
    assert site.worker.do("cds-healthy", "status").returncode == 1
    assert site.service.do("cds-healthy").returncode == 0
    code, said = site.in_the_image("doctor-during", "doctor")
    assert (code, "WRONG database" in said) == (1, True), said

    site.postgres.start()

    site.prometheus.wait_until_firing(*alerts, is_firing=False)
    assert AWAY not in _until_known(site)["problems"]
    assert "Very low ALT (1 U/L)" in site.call("third").stdout
    logs = "".join(file.read_text(encoding="utf-8") for file in site.folder.glob("*/log"))
    assert PASSWORD not in logs


def _until_known(site: Site) -> Any:
    end = monotonic() + 60
    while AWAY in (body := site.ready()[1])["problems"]:
        assert monotonic() < end
        sleep(0.5)
    return body


@pytest.mark.skipif(MISSING is not None, reason=f"{MISSING}")
def test_what_prometheus_knows_of_the_container_is_what_the_guide_says(site: Site) -> None:
    up = {
        sample["metric"]["instance"]: sample["value"][1] for sample in site.prometheus.value("up")
    }
    processes = {sample["metric"]["process"] for sample in site.prometheus.value("cds_info")}

    assert up == dict.fromkeys(site.targets(), "1")
    assert processes == {"serve", "worker"}


def test_the_container_of_the_guide_may_do_as_little_as_the_tests_let_it() -> None:
    (hardened,) = re.findall(r'^hardened="(.*)"$', PAGE, re.MULTILINE)
    runs = re.findall(r"^podman run (.*)$", PAGE, re.MULTILINE)

    assert {"--read-only", "--cap-drop all", "--security-opt no-new-privileges"} <= set(
        re.findall(r"--[a-z-]+(?: (?!--)\S+)?", hardened)
    )
    assert len(runs) == 3
    assert all("$hardened $given cds-service" in run for run in runs)
    for name in environment_of_the_guide():
        assert name.removesuffix("_file") in Settings.model_fields
