# SPDX-License-Identifier: Apache-2.0
"""The cases of a rule as a truth table, with the answer that the rule gives right now.

A case runs the same path as in `cds-service check`, so the table cannot show an answer that the
rule does not give.
"""

from collections.abc import Iterator, Mapping
from dataclasses import replace
from itertools import groupby

from cds_service.decide import Program
from cds_service.explanation.clauses import title_of
from cds_service.explanation.view import View
from cds_service.knowledge.model.pack import Pack
from cds_service.knowledge.reading.folder import PackFiles
from cds_service.rules.answer import Decision
from cds_service.sourcefile.document import Data
from cds_service.trials.cases import CaseChange
from cds_service.trials.expectations import complaints, decision_on
from cds_service.trials.rule_expectations import proposal_text
from cds_service.trials.run import Trial, answers_in, read_trials, settled


class Given(View, frozen=True, kw_only=True):
    """One line of a case's `given`."""

    subject: str
    words: str


class Row(View, frozen=True, kw_only=True):
    """One patient of a table: what differs, what is expected and what the rule answers."""

    change: Given | None = None  # none: the patient as given
    expected: tuple[str, ...]
    answer: str  # card, no card, not enough data
    indicator: str = ""
    because: str = ""
    orders: tuple[str, ...] = ()
    as_expected: bool


class Table(View, frozen=True, kw_only=True):
    """One case: a patient and the same patient with one thing changed at a time."""

    title: str
    given: tuple[Given, ...]
    rows: tuple[Row, ...]


def truth_tables(rule: str, files: PackFiles, program: Program) -> tuple[Table, ...]:
    """A table for each case in the file of the rule."""
    path = f"rules/{rule}.yaml"
    own = replace(files, documents={path: files.documents[path]})
    trials, _ = read_trials(own, program.pack)
    return tuple(
        Table(
            title=base.title,
            given=tuple(_given(base.given, program.pack)),
            rows=tuple(_row(trial, program) for trial in group),
        )
        for base, group in groupby(trials, key=lambda trial: trial.case.base)
    )


def _row(trial: Trial, program: Program) -> Row:
    answers = answers_in(trial, program)
    outcome = settled(trial, program, answers)
    decision = decision_on(outcome, trial.case.about)
    change = trial.case.change
    return Row(
        change=None if change is None else _changed(change, program.pack),
        expected=tuple(_expected(trial.case.expect)),
        answer=decision.answer,
        indicator=decision.indicator if decision.shown else "",
        because=_because(decision),
        orders=tuple(proposal_text(proposal) for proposal in decision.orders),
        as_expected=not list(complaints(trial.case, program, answers, outcome)),
    )


def _because(decision: Decision) -> str:
    """Why there is no card: the word of the rule, or what would have to be known."""
    if decision.because:
        return decision.because.code
    missing = "; ".join(leaf.in_words() for leaf in decision.missing)
    return f"missing: {missing}" if missing else ""


def _changed(change: CaseChange, pack: Pack) -> Given:
    if change.base.given.get(change.subject) == change.value:
        return Given(subject="", words="nothing changed")
    return next(_given({change.subject: change.value}, pack))


def _given(given: Mapping[str, Data], pack: Pack) -> Iterator[Given]:
    for subject, words in given.items():
        listed = words if isinstance(words, list) else [words]
        title = title_of(subject, pack)
        text = "; ".join(str(item) for item in listed)
        yield Given(subject=title[:1].upper() + title[1:], words=text)


def _expected(expect: tuple[tuple[str, Data], ...]) -> Iterator[str]:
    for word, value in expect:
        if isinstance(value, dict):
            yield from (f"{word}: {name} because {why}" for name, why in value.items())
        elif isinstance(value, list):
            yield from (f"{word}: {name}" for name in value or ["none"])
        else:
            yield from (f"{word}: {value}" if value else word).split("; ")
