# SPDX-License-Identifier: Apache-2.0
"""The chart of Helm, and what it makes of a set of values."""

import json
import subprocess
from functools import cache
from pathlib import Path
from typing import Any, Final

import pytest
import yaml

from tests.house.source import ROOT

Json = dict[str, Any]

CHART: Final = ROOT / "deploy" / "helm" / "cds-service"
VALUES: Final = {
    file.name.removesuffix("-values.yaml"): file for file in (CHART / "ci").glob("*-values.yaml")
}


@cache
def _helm() -> str:
    done = subprocess.run(
        [ROOT / "requirements" / "install-helm"], stdout=subprocess.PIPE, text=True, check=True
    )
    return done.stdout.strip()


def helm(*arguments: str | Path) -> subprocess.CompletedProcess[str]:
    """What helm answers; the test is skipped where there is none."""
    if not _helm():
        pytest.skip("no helm: install Go, then run requirements/install-helm")
    return subprocess.run(
        [_helm(), *arguments], capture_output=True, text=True, check=False, timeout=120
    )


@cache
def made_of(values: str) -> tuple[Json, ...]:
    """The manifests that the chart makes of one of its sets of values."""
    done = helm("template", "cds", CHART, "--namespace", "cds", "--values", VALUES[values])
    assert done.returncode == 0, done.stderr
    return tuple(document for document in yaml.safe_load_all(done.stdout) if document)


def one(values: str, kind: str, name: str = "cds-cds-service") -> Json:
    """The manifest of this kind and name."""
    (found,) = (
        each for each in made_of(values) if (each["kind"], each["metadata"]["name"]) == (kind, name)
    )
    return found


def pods(values: str) -> dict[str, Json]:
    """The spec of every pod, by the name of what makes it."""
    found = {}
    for each in made_of(values):
        if each["kind"] in {"Deployment", "Job"}:
            found[each["metadata"]["name"]] = each["spec"]["template"]["spec"]
        elif each["kind"] == "Pod":
            found[each["metadata"]["name"]] = each["spec"]
    return found


def refusal(tmp_path: Path, values: str, **changed: Json) -> str:
    """Why helm refuses a set of values with these changes."""
    file = tmp_path / "changed.json"
    file.write_text(json.dumps(changed), encoding="utf-8")
    done = helm("template", "cds", CHART, "--values", VALUES[values], "--values", file)
    assert done.returncode != 0, "helm took it"
    return done.stderr
