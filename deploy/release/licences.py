# SPDX-License-Identifier: Apache-2.0
"""The licences of everything that is locked, held against `licences.yaml`.

A licence is what a package declares of itself. What a compiled wheel carries of other projects is
in its licence files, and is not read here.
"""

import json
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from functools import cache
from hashlib import sha256
from importlib.metadata import Distribution, distributions
from pathlib import Path
from typing import Any

import yaml
from boolean import Expression
from license_expression import ExpressionError, Licensing, get_spdx_licensing

from deploy.release import locks
from deploy.release.refusal import Refused

LIST = Path(__file__).with_name("licences.yaml")
DEVELOPMENT = "development"


@dataclass(frozen=True)
class Policy:
    """What `licences.yaml` says."""

    allowed: frozenset[str]
    for_packages: Mapping[str, frozenset[str]]
    for_development: Mapping[str, frozenset[str]]
    classifiers: Mapping[str, str]
    read: Mapping[str, Mapping[str, str]]


@dataclass(frozen=True)
class Licensed:
    """A package with its licence, and where that was found."""

    name: str
    versions: tuple[str, ...]
    used_by: str
    licence: str
    found_in: str


def policy(text: str | None = None) -> Policy:
    """The policy of this project, or of another text."""
    # Every value is a text: 1.10 is a version, and a hash can have digits alone.
    text = text or LIST.read_text(encoding="utf-8")
    data: dict[str, Any] = yaml.load(text, Loader=yaml.BaseLoader)  # noqa: S506 - makes no objects

    def packages(key: str) -> dict[str, frozenset[str]]:
        return {licence: frozenset(reasons) for licence, reasons in data.get(key, {}).items()}

    return Policy(
        allowed=frozenset(data["allowed"]),
        for_packages=packages("allowed for"),
        for_development=packages("allowed for development"),
        classifiers=data.get("classifiers", {}),
        read=data.get("read", {}),
    )


def licensed(tree: Path, places: Iterable[Path], rules: Policy) -> tuple[list[Licensed], list[str]]:
    """Every locked package with its licence, and a sentence for each that must not be there.

    `places` are folders of installed packages whose metadata are read. A package that is in none,
    such as one for Windows alone, has to be among those of `licences.yaml` that somebody read.
    """
    installed = _installed(places)
    pinned = {lock: locks.pins(tree, lock) for lock in ("runtime.lock", "extras.lock", "dev.lock")}
    found, problems = [], []
    for name, use in sorted(locks.uses(tree).items(), key=lambda item: (item[1], item[0])):
        versions = frozenset[str]().union(*(held.get(name, ()) for held in pinned.values()))
        package = next((one for one in installed.get(name, ()) if one.version in versions), None)
        try:
            licence, found_in = _licence(name, versions, package, rules)
        except Refused as unknown:
            problems.append(f"{name} ({use}): {unknown}")
            continue
        found.append(Licensed(name, tuple(sorted(versions)), use, licence, found_in))
        if wrong := refusal(name, use, licence, rules):
            problems.append(wrong)
    return found, problems


def refusal(name: str, use: str, licence: str, rules: Policy) -> str:
    """Why a package must not be used under its licence, or ""."""
    may = {one for one, packages in rules.for_packages.items() if name in packages}
    if use == DEVELOPMENT:
        may |= {one for one, packages in rules.for_development.items() if name in packages}
    if _fulfilled(_parsed(licence), rules.allowed | may):
        return ""
    return f"{name} ({use}) is under {licence}, which deploy/release/licences.yaml does not allow"


def table(found: Iterable[Licensed]) -> str:
    """The list as Markdown: what comes with the service and with its extras, and the rest."""
    headings = {"service": "The service", "extra": "Its extras", DEVELOPMENT: "Development alone"}
    lines = ["# Licences of dependencies", ""]
    every = list(found)
    for use, heading in headings.items():
        lines += [f"## {heading}", "", "| package | version | licence | found in |"]
        lines += ["| --- | --- | --- | --- |"]
        lines += [
            f"| {one.name} | {', '.join(one.versions)} | {one.licence} | {one.found_in} |"
            for one in every
            if one.used_by == use
        ]
        lines.append("")
    return "\n".join(lines)


def as_json(found: Iterable[Licensed]) -> str:
    """The list for programs."""
    return json.dumps([asdict(one) for one in found], indent=2) + "\n"


def _installed(places: Iterable[Path]) -> dict[str, list[Distribution]]:
    found: dict[str, list[Distribution]] = {}
    for package in distributions(path=[str(place) for place in places]):
        found.setdefault(locks.normal(package.name), []).append(package)
    return found


def _licence(
    name: str, versions: frozenset[str], package: Distribution | None, rules: Policy
) -> tuple[str, str]:
    """A licence and where it was found; raises `Refused` where that cannot be told."""
    if package is not None and (declared := _declared(package, rules)) is not None:
        return declared
    if (entry := rules.read.get(name)) is None:
        why = "is not installed here" if package is None else "does not name one licence by SPDX"
        raise Refused(f"it {why}: read it and enter it in deploy/release/licences.yaml")
    if "sha256" not in entry:
        if versions != {entry["version"]}:
            raise Refused(f"its licence was read in {entry['version']}: read it again")
        return entry["is"], entry["at"]
    if package is None:
        raise Refused("its licence file was read, and it is not installed here")
    if not any(digest.startswith(entry["sha256"]) for digest in _digests(package, entry["file"])):
        raise Refused(f"its {entry['file']} is not the one that was read: read it again")
    return entry["is"], entry["file"]


def _declared(package: Distribution, rules: Policy) -> tuple[str, str] | None:
    """What the metadata say in SPDX's words, or by a classifier that means one licence."""
    for field in ("License-Expression", "License"):
        value = (package.metadata.get_all(field) or [""])[0].strip()
        if value and "\n" not in value and _known(value):
            return str(_parsed(value)), field
    named = [
        value
        for value in package.metadata.get_all("Classifier") or []
        if value.startswith("License ::")
    ]
    if len(named) == 1 and named[0] in rules.classifiers:
        return rules.classifiers[named[0]], "classifier"
    return None


def _digests(package: Distribution, name: str) -> list[str]:
    files = [file for file in package.files or [] if file.name == name]
    within = [file for file in files if ".dist-info" in str(file)]
    return [sha256(file.read_binary()).hexdigest() for file in within]


@cache
def _spdx() -> Licensing:
    return get_spdx_licensing()


def _known(expression: str) -> bool:
    try:
        _parsed(expression)
    except Refused:
        return False
    return True


def _parsed(expression: str) -> Expression:
    try:
        parsed = _spdx().parse(expression, validate=True, strict=True)
    except ExpressionError as error:
        raise Refused(f"{expression!r} is no SPDX expression") from error
    if parsed is None:
        raise Refused("it names no licence")
    return parsed


def _fulfilled(expression: Expression, allowed: frozenset[str] | set[str]) -> bool:
    """Of `OR` one has to be allowed, of `AND` all; an exception makes it another licence."""
    licensing = _spdx()
    if isinstance(expression, licensing.OR):
        return any(_fulfilled(one, allowed) for one in expression.args)
    if isinstance(expression, licensing.AND):
        return all(_fulfilled(one, allowed) for one in expression.args)
    return str(expression) in allowed
