# SPDX-License-Identifier: Apache-2.0
"""The patients of the cases, as the unchanged pack answers them, and what a change can reach.

Most changes of a pack touch one rule or one marker. A case is run again under the changed pack only
where its patient can meet the change, and only as far as the change goes: where no decision of a
rule is another, the cards are not either.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, fields

from cds_service.copying import replace
from cds_service.decide import Answers, Program, chooser_of
from cds_service.errors import RequestError
from cds_service.knowledge.model.dependencies import resulted_codes
from cds_service.knowledge.model.pack import Pack
from cds_service.rules.about_results import about_results
from cds_service.rules.answer import Decision
from cds_service.trials.expectations import complaints
from cds_service.trials.rule_expectations import WordError
from cds_service.trials.run import Trial, answers_in, failures, settled

# What decides how cards meet, after every rule has been answered.
_CONTEST = frozenset(("precedence", "cards", "remarks", "services"))
_RULES = frozenset(("rules", "patterns"))
# What follows from the files of markers.
_MARKERS = frozenset(("markers", "marker_codes", "names", "units"))


@dataclass(slots=True)
class CasePatients:
    """Each case with the answers of the unchanged pack, made when first asked for."""

    program: Program
    _answers: dict[int, Answers | None] = field(default_factory=dict)

    def answers(self, trial: Trial) -> Answers | None:
        """What each rule says of the patient; `None` if intake refuses the request."""
        key = id(trial)
        if key not in self._answers:
            try:
                self._answers[key] = answers_in(trial, self.program)
            except RequestError:
                self._answers[key] = None
        return self._answers[key]


@dataclass(frozen=True, slots=True)
class PackDifference:
    """What differs between a pack and the changed one: parts by name, rules and markers by id."""

    program: Program  # of the changed pack
    parts: frozenset[str]
    same_rules: frozenset[str]
    markers: frozenset[str]
    orders: frozenset[str]
    same_results: bool  # whether the same results of orders are read

    def fails(self, trial: Trial, patients: CasePatients) -> bool:
        """Whether the case, which the unchanged pack meets, is not met any more."""
        answers = patients.answers(trial)
        if answers is None or (answers.record.resulted and not self.same_results):
            return _is_broken(trial, self.program)
        if trial.arrived is not None and self.program.pack.on_arrival != (answers.trigger,):
            return _is_broken(trial, self.program)
        if not self.parts <= _CONTEST | _RULES:
            is_reached = self._asked(trial) or self._reaches(answers)
            return is_reached and _is_broken(trial, self.program)
        again = self._again(answers)
        if again is answers and not self._asked(trial) and not self.parts & _CONTEST:
            return False
        try:
            outcome = settled(trial, self.program, again)
            return next(complaints(trial.case, self.program, again, outcome), None) is not None
        except (WordError, LookupError):
            return True  # the pack no longer holds what the case speaks of

    def _asked(self, trial: Trial) -> bool:
        """Whether the case asks for what changed itself, beside what the rules decide."""
        part = trial.case.path.partition("/")[0]
        return part in ("orders", "patterns") and part in self.parts

    def _again(self, answers: Answers) -> Answers:
        """The answers with those of changed rules made anew; the same object if none differs."""
        silent = {decision.rule.id for decision in answers.silent}
        known: Mapping[str, Decision] = {
            decision.rule.id: decision for decision in answers.decisions
        }
        decisions = tuple(
            known[rule.rule.id]
            if rule.rule.id in self.same_rules and rule.rule.id in known
            else about_results(rule, answers.frames, answers.record, answers.now)
            for rule in self.program.rules.get(answers.trigger, ())
            if rule.rests_on_results and rule.rule.id not in silent
        )
        unchanged = len(decisions) == len(answers.decisions) and all(
            map(_alike, decisions, answers.decisions)
        )
        same_others = all(
            rule.id in self.same_rules
            for rule in self.program.pack.rules.values()
            if not rule.rests_on_results
        )
        if unchanged and same_others:
            return answers
        return replace(answers, decisions=decisions)

    def _reaches(self, answers: Answers) -> bool:
        """Whether the patient can meet the change at all."""
        record = answers.record
        if self.parts == {"facts"}:
            chooser = chooser_of(self.program, record, answers.now)
            return any(
                getattr(chooser, part) != getattr(answers.chooser, part)
                for part in ("facts", "taking", "ordering")
            )
        if self.parts <= _MARKERS:
            sent = {result.marker for result in record.results}
            sent.update(result.marker for result in record.set_aside)
            return "" in sent or not sent.isdisjoint(self.markers)
        if self.parts == {"orders"}:
            offered = {order for decision in answers.decisions for order in _orders(decision)}
            listed = record.orders or record.ordering or record.resulted
            return bool(listed) or not offered.isdisjoint(self.orders)
        return True


def difference_of(before: Pack, after: Program) -> PackDifference:
    """The difference between two packs."""
    pack = after.pack
    parts = (field.name for field in fields(pack))
    return PackDifference(
        program=after,
        parts=frozenset(name for name in parts if getattr(pack, name) != getattr(before, name)),
        same_rules=frozenset(
            name for name, rule in pack.rules.items() if before.rules.get(name) == rule
        ),
        markers=frozenset(
            name for name, marker in pack.markers.items() if before.markers.get(name) != marker
        ),
        orders=frozenset(
            name for name, order in pack.orders.items() if before.orders.get(name) != order
        ),
        same_results=resulted_codes(pack.rules.values(), pack)
        == resulted_codes(before.rules.values(), before),
    )


def _orders(decision: Decision) -> Iterator[str]:
    """The orders that the card offers, and those that the rule knows and does not offer."""
    yield from (proposal.order for proposal in decision.orders)
    yield from (withheld.order for withheld in decision.withheld)


def _alike(decision: Decision, other: Decision) -> bool:
    """Whether two decisions of a rule and of the changed rule come to the same."""
    same_quiet = decision.rule.quiet_days == other.rule.quiet_days or not decision.shown
    if decision is other:
        return True
    same = replace(decision, rule=other.rule, undecided=other.undecided) == other
    return same_quiet and same and decision.missing == other.missing


def _is_broken(trial: Trial, program: Program) -> bool:
    try:
        return next(failures((trial,), program), None) is not None
    except (RequestError, LookupError):
        return True  # the pack no longer holds what the case speaks of
