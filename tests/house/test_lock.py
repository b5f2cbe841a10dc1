# SPDX-License-Identifier: Apache-2.0
"""The lock files agree with pyproject.toml and with each other, and name no host."""

import re
import tomllib

import pytest

from tests.house.source import ROOT

LOCKS = [
    "build.lock", "dev.lock", "extras.lock", "fhir-server.lock", "image.lock", "peers.lock",
    "runtime.lock", "spark.lock", "trial.lock",
]  # fmt: skip
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))


def pins(lock: str) -> dict[str, str]:
    text = (ROOT / "requirements" / lock).read_text(encoding="utf-8")
    return dict(re.findall(r"^([a-z0-9-]+)==(\S+)", text, flags=re.MULTILINE))


def names(requirements: list[str]) -> set[str]:
    found = (re.match(r"[\w.-]+", each) for each in requirements)
    return {re.sub(r"[._]", "-", each[0]).lower() for each in found if each}


def test_every_dependency_is_locked() -> None:
    runtime = names(PROJECT["project"]["dependencies"])
    extras = PROJECT["project"]["optional-dependencies"]
    server = names([*extras["server"], *extras["postgres"]])
    dev = names(PROJECT["dependency-groups"]["dev"])

    assert runtime | server <= set(pins("runtime.lock"))
    assert runtime | server | dev | names([*extras["population"], *extras["reports"]]) <= set(
        pins("dev.lock")
    )


def test_what_runs_is_what_was_tested() -> None:
    for lock in ("build.lock", "image.lock", "runtime.lock", "trial.lock"):
        assert pins(lock).items() <= pins("dev.lock").items(), lock


def test_the_lock_of_all_extras_has_what_the_others_install() -> None:
    extras = PROJECT["project"]["optional-dependencies"].values()
    held = pins("extras.lock")

    assert names([each for extra in extras for each in extra]) <= set(held)
    for lock in ("image.lock", "runtime.lock", "spark.lock"):
        assert pins(lock).items() <= held.items(), lock


def test_the_image_holds_what_its_extras_need() -> None:
    extras = PROJECT["project"]["optional-dependencies"]
    wanted = [
        each for name in ("otel", "postgres", "reports", "population") for each in extras[name]
    ]

    assert names([*PROJECT["project"]["dependencies"], *wanted]) <= set(pins("image.lock"))
    assert not names(extras["server"]) & set(pins("image.lock"))
    assert names(["hatchling"]) <= set(pins("build.lock"))


def test_the_fhir_server_of_the_tests_is_the_one_that_is_renewed() -> None:
    (name, version), *more = re.findall(
        r"^echo '(\S+)==(\S+)'", (ROOT / "requirements" / "renew").read_text(), flags=re.MULTILINE
    )

    assert more == []
    assert pins("fhir-server.lock")[name] == version


@pytest.mark.parametrize("lock", LOCKS)
def test_every_pin_has_a_hash_and_no_host(lock: str) -> None:
    text = (ROOT / "requirements" / lock).read_text(encoding="utf-8")

    every = re.findall(r"^[a-z0-9-]+==", text, flags=re.MULTILINE)
    assert len(re.findall(r"==\S+.*\\\n +--hash=sha256:", text)) == len(every)
    assert not re.search(r"://|--index|--find-links|@", text)
