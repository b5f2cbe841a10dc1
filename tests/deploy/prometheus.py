# SPDX-License-Identifier: Apache-2.0
"""A Prometheus with the alert rules of this repository, in seconds instead of minutes."""

import json
import re
import shutil
import subprocess
import urllib.request
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from time import monotonic, sleep
from typing import Any
from urllib.parse import quote

import yaml

from tests.conformance.server import free_port, wait_for
from tests.deploy.promtool import RULES
from tests.house.source import ROOT

Json = dict[str, Any]

_PAGE = ROOT / "docs" / "how-to" / "watch.md"
_PATIENCE = 60  # seconds


def missing() -> str | None:
    """What keeps this machine from starting it, or None."""
    return None if shutil.which("prometheus") else "install the package prometheus"


@dataclass(frozen=True)
class Prometheus:
    """A running Prometheus."""

    port: int

    def ask(self, path: str) -> Any:
        """The data that its API answers with."""
        address = f"http://127.0.0.1:{self.port}/api/v1/{path}"
        with urllib.request.urlopen(address, timeout=10) as answer:
            return json.loads(answer.read())["data"]

    def alerts(self, state: str) -> set[tuple[str, str]]:
        """The alerts in this state, by name and instance."""
        return {
            (alert["labels"]["alertname"], alert["labels"].get("instance", ""))
            for alert in self.ask("alerts")["alerts"]
            if alert["state"] == state
        }

    def value(self, query: str) -> list[Json]:
        """What a query gives now."""
        found: list[Json] = self.ask(f"query?query={quote(query)}")["result"]
        return found

    def wait_until_firing(self, *alerts: tuple[str, str], is_firing: bool = True) -> None:
        """Wait until all of these alerts fire, or none of them."""
        end = monotonic() + _PATIENCE
        while True:
            found = set(alerts) & self.alerts("firing")
            if found == (set(alerts) if is_firing else set()):
                return
            assert monotonic() < end, (found, self.ask("targets")["activeTargets"])
            sleep(0.5)


@contextmanager
def prometheus(folder: Path, *targets: str) -> Iterator[Prometheus]:
    """One that is set up as the guide says, asks these targets, and does not wait for long."""
    rules = yaml.safe_load(RULES.read_text(encoding="utf-8"))
    for group in rules["groups"]:
        for rule in group["rules"]:
            if "for" in rule:
                rule["for"] = "1s"
    (folder / RULES.name).write_text(yaml.safe_dump(rules), encoding="utf-8")
    (folder / "prometheus.yml").write_text(yaml.safe_dump(_set_up(targets)), encoding="utf-8")
    port = free_port()
    with (folder / "prometheus.log").open("wb") as log:
        process = subprocess.Popen(
            [
                "prometheus", f"--config.file={folder / 'prometheus.yml'}",
                f"--storage.tsdb.path={folder / 'tsdb'}", f"--web.listen-address=127.0.0.1:{port}",
            ],
            stdout=log, stderr=log,
        )  # fmt: skip
        try:
            wait_for(process, port)
            yield Prometheus(port)
        finally:
            process.terminate()
            process.wait(_PATIENCE)


def _set_up(targets: tuple[str, ...]) -> Mapping[str, Any]:
    """The file of the guide, with these targets and short times."""
    page = _PAGE.read_text(encoding="utf-8")
    (written,) = re.findall(r"```yaml\n# prometheus.yml\n(.*?)```", page, re.DOTALL)
    made: Json = yaml.safe_load(written)
    (job,) = made["scrape_configs"]
    job["scrape_interval"] = job["scrape_timeout"] = "1s"
    job["static_configs"] = [{"targets": list(targets)}]
    return {"global": {"evaluation_interval": "1s"}, **made}
