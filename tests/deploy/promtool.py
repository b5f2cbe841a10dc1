# SPDX-License-Identifier: Apache-2.0
"""`promtool` of Prometheus, and what a test asks of the files in `deploy/`."""

import json
import re
import shutil
import subprocess
from functools import cache
from pathlib import Path
from typing import Any, Final, get_args

import pytest
import yaml
from prometheus_client import Histogram, Metric

from cds_service.metrics import Process, make_metrics
from tests.house.source import ROOT

RULES: Final = ROOT / "deploy" / "prometheus" / "cds-service.rules.yaml"
CASES: Final = tuple(sorted(RULES.parent.glob("*.tests.yaml")))
DASHBOARD: Final = ROOT / "deploy" / "grafana" / "cds-service.json"
JOB: Final = {"job", "instance"}  # what Prometheus itself adds to a series


def promtool(*arguments: str | Path, given: str = "") -> str:
    """What promtool says; a test fails if it finds a fault, and is skipped where there is none."""
    if shutil.which("promtool") is None:
        pytest.skip("no promtool: install the package prometheus")
    done = subprocess.run(
        ["promtool", *arguments], input=given, capture_output=True, text=True, check=False
    )
    said = done.stdout + done.stderr
    assert done.returncode == 0, said
    return said


@cache
def rules() -> list[dict[str, Any]]:
    """Every rule, of alerts and of recordings."""
    groups = yaml.safe_load(RULES.read_text(encoding="utf-8"))["groups"]
    return [rule for group in groups for rule in group["rules"]]


def alerts() -> dict[str, dict[str, Any]]:
    """The rule of each alert."""
    return {rule["alert"]: rule for rule in rules() if "alert" in rule}


def recorded() -> set[str]:
    """The names that recording rules make."""
    return {rule["record"] for rule in rules() if "record" in rule}


def cases() -> list[dict[str, Any]]:
    """Every test of the rules."""
    return [
        case for file in CASES for case in yaml.safe_load(file.read_text(encoding="utf-8"))["tests"]
    ]


def queries() -> list[str]:
    """Every query of the dashboard."""
    board = json.loads(DASHBOARD.read_text(encoding="utf-8"))
    of_panels = [target["expr"] for panel in board["panels"] for target in panel.get("targets", ())]
    return of_panels + [variable["query"] for variable in board["templating"]["list"]]


@cache
def exported() -> dict[str, set[str]]:
    """The labels of each series that the service exports, by its name as Prometheus keeps it."""
    of_all = [make_metrics(process) for process in get_args(Process)]
    of_all[0].decisions.add([("rule", "answer")])
    found: dict[str, set[str]] = {}
    for collector in {name for metrics in of_all for name in metrics.registry._collector_to_names}:
        labels = set(getattr(collector, "_labelnames", ()))
        for family in collector.collect():
            for name in _series_of(family, is_histogram=isinstance(collector, Histogram)):
                more = {"le"} if name.endswith("_bucket") else set()
                found[name] = labels | more | _labels_of(family)
    return found


def _series_of(family: Metric, *, is_histogram: bool) -> list[str]:
    if family.name.endswith("_created"):
        return []
    if is_histogram:
        return [f"{family.name}_{kind}" for kind in ("bucket", "count", "sum")]
    return [f"{family.name}_total" if family.type == "counter" else family.name]


def _labels_of(family: Metric) -> set[str]:
    """The labels of samples that a collector of ours makes."""
    return {label for sample in family.samples for label in sample.labels}


def unknown(query: str) -> list[str]:
    """What a query asks for and nobody exports: series of ours, and labels of theirs."""
    known = exported()
    faults = []
    for name, selector in re.findall(r"\b((?:[a-z_]+:)?cds_[a-z0-9_:]+)(\{[^}]*\})?", query):
        if name in known:
            asked = set(re.findall(r"([a-z_]+)(?:=~|!~|!=|=)", selector))
            faults += [f"{name}: {label}" for label in asked - known[name] - JOB]
        elif name not in recorded():
            faults.append(name)
    return faults
