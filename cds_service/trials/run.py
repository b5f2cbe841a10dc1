# SPDX-License-Identifier: Apache-2.0
"""Run the cases of a pack through the whole path: request, intake, decisions.

The time is fixed, so that a case means the same on every day.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime

import msgspec

from cds_service.decide import (
    Answers,
    Outcome,
    Program,
    answers_of,
    compile_pack,
    contest,
    on_arrival,
    settle,
)
from cds_service.errors import RequestError
from cds_service.hooks.request import read_request
from cds_service.intake.pack_reader import PackReader
from cds_service.intake.read_record import read_record
from cds_service.knowledge.model.pack import Pack
from cds_service.knowledge.reading.folder import PackFiles
from cds_service.rules.shown_cards import quiet_keys
from cds_service.sourcefile.diagnostics import Problem
from cds_service.sources.hook_request import input_from_request
from cds_service.trials.cases import Case, read_cases
from cds_service.trials.expectations import complaints, decision_on
from cds_service.trials.rule_expectations import WordError
from cds_service.trials.shown_before import ShownBefore, last_shown, read_shown
from cds_service.trials.synthetic_chart import GivenError
from cds_service.trials.synthetic_request import (
    ARRIVED,
    HOOK,
    SHOWN,
    arrival_of,
    request_of,
)

NOW = datetime(2026, 6, 15, 9, 0, tzinfo=UTC)
_LIMITS = {"max_depth": 64, "max_entries": 1000}
_encoder = msgspec.json.Encoder(decimal_format="number")


@dataclass(frozen=True, slots=True)
class Trial:
    """A case with its encoded request, so that it can be run again under a changed pack."""

    case: Case
    body: bytes
    hook: str
    shown: tuple[ShownBefore, ...] = ()
    arrived: datetime | None = None  # of a result that arrived; `None`: the hook was called


def read_trials(files: PackFiles, pack: Pack) -> tuple[list[Trial], list[Problem]]:
    """Every case of the files as a request, and the problems of those that cannot be read."""
    cases, problems = read_cases(files)
    trials, more = trials_of(cases, pack)
    return trials, [*problems, *more]


def trials_of(cases: Iterable[Case], pack: Pack) -> tuple[list[Trial], list[Problem]]:
    """The cases as requests, and the problems of those that cannot be read."""
    trials: list[Trial] = []
    problems: list[Problem] = []
    for case in cases:
        hook = _hook_of(case, pack)
        try:
            request = request_of(case.given, pack, NOW, hook)
            shown = read_shown(case.given.get(SHOWN, []), pack)
            arrived = arrival_of(case.given, NOW)
        except GivenError as error:
            problems.append(Problem("K604", case.mark, str(error)))
            continue
        trials.append(Trial(case, _encoder.encode(request), hook, shown, arrived))
    return trials, problems


def _hook_of(case: Case, pack: Pack) -> str:
    """The hook that the case names, else the hook of arriving results, else its rule's first."""
    if ARRIVED in case.given:
        return _asked_on_arrival(pack)
    if isinstance(named := case.given.get(HOOK), str):
        return named
    if case.path.startswith("rules/") and case.about in pack.rules:
        return pack.rules[case.about].hooks[0]
    return pack.services[0].hook if pack.services else "patient-view"


def _asked_on_arrival(pack: Pack) -> str:
    return next(iter(pack.on_arrival), "")


def answers_in(trial: Trial, program: Program) -> Answers:
    """What each rule of the pack says by itself; raises `RequestError` if intake refuses."""
    request = read_request(trial.body, **_LIMITS)
    reader = PackReader(program.pack, names_fallback=True)
    record = read_record(reader, input_from_request(request), now=NOW, zone=UTC)
    hook = trial.hook if trial.arrived is None else _asked_on_arrival(program.pack)
    return answers_of(program, record, NOW, hook)


def settled(trial: Trial, program: Program, answers: Answers) -> Outcome:
    """What becomes of the answers, given what the case says was shown before."""
    evaluation = contest(program, answers)
    if trial.arrived is not None:
        evaluation = on_arrival(evaluation, trial.arrived)
    quiet = quiet_keys(evaluation.decisions, NOW.date(), last_shown(trial.shown, NOW.date()))
    return settle(evaluation, quiet=quiet)


def outcome_of(trial: Trial, program: Program) -> Outcome:
    """What the pack decides about the patient of a case."""
    return settled(trial, program, answers_in(trial, program))


def failures(trials: Iterable[Trial], program: Program) -> Iterator[Problem]:
    """A problem for each case that is not met."""
    for trial in trials:
        case = trial.case
        try:
            answers = answers_in(trial, program)
            outcome = settled(trial, program, answers)
            for complaint in complaints(case, program, answers, outcome):
                yield Problem("K601", case.mark, f"case '{case.title}' fails: {complaint}")
        except WordError as error:
            yield Problem("K604", case.mark, str(error))
        except RequestError as error:
            message = f"case '{case.title}' is refused by intake: {error}"
            yield Problem("K601", case.mark, message)


def check_cases(files: PackFiles, pack: Pack) -> list[Problem]:
    """Every problem of the cases of a pack: unreadable, failing, or showing one side only."""
    trials, problems = read_trials(files, pack)
    program = compile_pack(pack)
    problems.extend(failures(trials, program))
    if not problems:
        problems.extend(_one_sided(files, pack, trials, program))
    return problems


def _one_sided(
    files: PackFiles, pack: Pack, trials: Iterable[Trial], program: Program
) -> Iterator[Problem]:
    """A rule whose cases never show its card, or never its silence, is not tested."""
    answers: dict[str, set[str]] = {rule: set() for rule in pack.rules}
    for trial in trials:
        if trial.case.path.startswith("rules/"):
            outcome = outcome_of(trial, program)
            answers[trial.case.about].add(decision_on(outcome, trial.case.about).answer)
    for rule, seen in answers.items():
        if pack.rules[rule].status != "active":
            continue
        mark = files.documents[f"rules/{rule}.yaml"].mark(("cases",))
        if "card" not in seen:
            yield Problem("K602", mark, "no case shows the card")
        if seen <= {"card"}:
            yield Problem("K602", mark, "no case shows that the card stays away")
