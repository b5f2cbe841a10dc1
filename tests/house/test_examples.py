# SPDX-License-Identifier: Apache-2.0
"""The examples in docstrings are run."""

import doctest
from importlib import import_module

from tests.house.source import PACKAGE

MARK = ">>> "


def test_every_example_in_a_docstring_holds() -> None:
    names = [
        f"cds_service.{path.relative_to(PACKAGE).with_suffix('').as_posix().replace('/', '.')}"
        for path in sorted(PACKAGE.rglob("*.py"))
        if MARK in path.read_text(encoding="utf-8")
    ]

    outcomes = {name: doctest.testmod(import_module(name)) for name in names}

    assert {name: outcome.failed for name, outcome in outcomes.items() if outcome.failed} == {}
    assert sum(outcome.attempted for outcome in outcomes.values()) > 0
