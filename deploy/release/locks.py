# SPDX-License-Identifier: Apache-2.0
"""What the lock files hold."""

import re
from collections import defaultdict
from pathlib import Path

_PIN = re.compile(r"^([A-Za-z0-9._-]+)==([^\s;\\]+)", re.MULTILINE)


def normal(name: str) -> str:
    """The name of a package as the index compares it."""
    return re.sub(r"[-_.]+", "-", name).lower()


def pins(tree: Path, lock: str) -> dict[str, frozenset[str]]:
    """The versions of every package of a lock file: several where Pythons or platforms differ."""
    found: dict[str, set[str]] = defaultdict(set)
    text = (tree / "requirements" / lock).read_text(encoding="utf-8")
    for name, version in _PIN.findall(text):
        found[normal(name)].add(version)
    return {name: frozenset(versions) for name, versions in found.items()}


def uses(tree: Path) -> dict[str, str]:
    """Every locked package, with what brings it: the service, one of its extras, or development."""
    found = dict.fromkeys(pins(tree, "dev.lock"), "development")
    found |= dict.fromkeys(pins(tree, "extras.lock"), "extra")
    return found | dict.fromkeys(pins(tree, "runtime.lock"), "service")
