# SPDX-License-Identifier: Apache-2.0
"""Cases of the invented pack, written as in its files and run one at a time."""

from cds_service.sourcefile.diagnostics import Problem
from cds_service.sourcefile.document import parse
from cds_service.trials.cases import Case, cases_of
from cds_service.trials.run import failures, trials_of
from tests.knowledge.fixture_pack import letters, letters_program

RULE, ALPHA, BETA = "rules/alpha-high.yaml", "markers/alpha.yaml", "markers/beta.yaml"


def read(path: str, text: str) -> tuple[list[Case], list[Problem]]:
    """The cases of one entry of the list in the file at `path`."""
    document, problems = parse(text, path)
    assert problems == []
    return cases_of(document, path, document.data, ())


def run(path: str, given: str, expect: str) -> list[Problem]:
    """The problems of a case with these words."""
    cases, problems = read(path, f"given: {given}\nexpect: {expect}\n")
    trials, unreadable = trials_of(cases, letters())
    return [*problems, *unreadable, *failures(trials, letters_program())]


def codes(path: str, given: str, expect: str) -> list[str]:
    return [problem.code for problem in run(path, given, expect)]
