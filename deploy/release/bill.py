# SPDX-License-Identifier: Apache-2.0
"""The bill of materials: what is in a deployment of the wheel, in CycloneDX.

It names what `requirements/runtime.lock` installs on this Python and platform, and nothing else.
"""

import json
import re
import sys
from hashlib import sha256
from pathlib import Path
from typing import Any

from deploy.release import environments, locks
from deploy.release.commands import run
from deploy.release.refusal import Refused

SPECIFICATION = "1.6"


def make(tree: Path, wheel: Path, version: str, work: Path) -> str:
    """The bill as JSON; raises `Refused` where it does not fit its schema or the lock file."""
    python = environments.create(work / "runtime", sys.executable)
    lock = tree / "requirements" / "runtime.lock"
    environments.install_lock(python, lock)
    made = work / "bill.json"
    run(
        Path(sys.executable).with_name("cyclonedx-py"), "environment", python,
        "--pyproject", tree / "pyproject.toml", "--mc-type", "application",
        "--spec-version", SPECIFICATION, "--output-reproducible", "--output-format", "JSON",
        "--output-file", made, cwd=work,
    )  # fmt: skip
    text = completed(json.loads(made.read_text(encoding="utf-8")), wheel, version)
    validate(text)
    agree(text, lock.read_text(encoding="utf-8"))
    return text


def completed(bill: dict[str, Any], wheel: Path, version: str) -> str:
    """The bill with the version, the address and the hash of the wheel that it is of."""
    bill["metadata"]["component"] |= {
        "version": version,
        "purl": f"pkg:pypi/cds-service@{version}",
        "hashes": [{"alg": "SHA-256", "content": sha256(wheel.read_bytes()).hexdigest()}],
    }
    return json.dumps(bill, indent=2, sort_keys=True) + "\n"


def validate(text: str) -> None:
    """Raises `Refused` where the text is no bill by the schema of its specification."""
    from cyclonedx.schema import SchemaVersion
    from cyclonedx.validation.json import JsonStrictValidator

    if error := JsonStrictValidator(SchemaVersion.V1_6).validate_str(text):
        raise Refused(f"the bill does not fit the schema of CycloneDX: {error.data.message}")


def agree(text: str, lock: str) -> None:
    """Raises `Refused` where the bill has what the lock has not, or lacks what it must have."""
    named = {
        (locks.normal(component["name"]), component["version"])
        for component in json.loads(text)["components"]
    }
    pins = re.findall(r"^([A-Za-z0-9._-]+)==(\S+)( ;)?", lock, re.MULTILINE)
    locked = {(locks.normal(name), version) for name, version, _ in pins}
    everywhere = {(locks.normal(name), version) for name, version, marker in pins if not marker}
    if wrong := sorted(named - locked) or sorted(everywhere - named):
        raise Refused(f"the bill and requirements/runtime.lock differ in {' '.join(wrong[0])}")
