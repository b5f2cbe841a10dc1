# SPDX-License-Identifier: Apache-2.0
"""The `expect` of a case, held against what the service did.

Each function returns the complaint if the expectation is not met, or `None`. `WordError` means
that the expectation itself cannot be read.
"""

import re
from collections.abc import Callable, Iterable, Iterator
from fractions import Fraction

from cds_service.amounts import plain, rounded
from cds_service.decide import Answers, Outcome, Program, chooser_of
from cds_service.knowledge.model.bounds import LimitKind
from cds_service.knowledge.model.pack import Grade, Marker
from cds_service.labs.patient_record import LabResult
from cds_service.labs.reading_limits import is_doubtful, limit_in
from cds_service.labs.result_selection import Chooser, Frame, Reading
from cds_service.rules.answer import Decision, is_answered, is_ordered, is_resulted
from cds_service.rules.evaluate import compiled
from cds_service.rules.grades import grade_of
from cds_service.rules.measures import with_measures
from cds_service.sourcefile.document import Data
from cds_service.trials.cases import Case
from cds_service.trials.rule_expectations import (
    WordError,
    complaint_about,
    read_rule_expectation,
)

_AMOUNT = re.compile(r"(-?[0-9]+(?:\.[0-9]+)?)(?: (\S+))?")
_LIMIT = re.compile(r"(upper|lower|screening) limit ([0-9]+(?:\.[0-9]+)?)(?: (\S+))? from (\S+)")
_NO_LIMIT = re.compile(r"no (upper|lower|screening) limit")
_ORDER_WORDS = (
    "already ordered, not ordered, answered, not answered, already resulted, not resulted, "
    "proposed as CODE, category CODE"
)
_KNOWN = {True: "yes", False: "no", None: "not known"}


def complaints(case: Case, program: Program, answers: Answers, outcome: Outcome) -> Iterator[str]:
    """What the case expected of the answers and of what became of them, and did not get."""
    folder = case.path.split("/", maxsplit=1)[0]
    for word, value in case.expect:
        match folder:
            case "rules":
                complaint = _of_rule(case.about, word, value, answers, outcome)
            case "markers":
                complaint = _of_marker(case, word, program, outcome)
            case "measures":
                complaint = _of_measure(case.about, word, program, outcome)
            case "facts":
                complaint = _of_fact(case.about, word, program, outcome)
            case "patterns":
                complaint = _of_pattern(case.about, word, program, outcome)
            case "orders":
                complaint = _of_order(case.about, word, program, outcome)
            case _:
                complaint = _of_pack(word, outcome)
        if complaint is not None:
            yield complaint


def _chooser(program: Program, outcome: Outcome) -> Chooser:
    return chooser_of(program, outcome.record, outcome.now)


def _of_rule(rule: str, word: str, value: Data, answers: Answers, outcome: Outcome) -> str | None:
    """`alone ...` asks for what the rule decided before the cards met."""
    words = word.removeprefix("alone ")
    decisions = outcome.decisions if words == word else answers.decisions
    return complaint_about(_on(decisions, rule), read_rule_expectation(words, value))


def decision_on(outcome: Outcome, rule: str) -> Decision:
    """The decision of a rule; of several about set-aside results the shown one."""
    return _on(outcome.decisions, rule)


def _on(decisions: Iterable[Decision], rule: str) -> Decision:
    of_rule = [decision for decision in decisions if decision.rule.id == rule]
    if not of_rule:
        message = f"no rule '{rule}' was asked"
        raise WordError(message)
    return of_rule[0]


def _of_marker(case: Case, word: str, program: Program, outcome: Outcome) -> str | None:
    marker = program.pack.markers[case.about]
    results = [result for result in outcome.record.results if result.marker == marker.id]
    if match := re.fullmatch(r"set aside because (\S+)", word):
        reasons = {item.reason for item in outcome.record.set_aside}
        return None if match[1] in reasons else f"set aside: {sorted(reasons) or 'nothing'}"
    if word in {"paired", "not paired"}:
        return _paired(case, marker, word, program, outcome)
    if not results:
        return f"no result of {marker.id} was used"
    if match := _AMOUNT.fullmatch(word):
        return _amount(marker, results[-1], match)
    if word == "present":
        return None
    return _of_reading(marker, word, _chooser(program, outcome), results[-1])


def _amount(marker: Marker, result: LabResult, match: re.Match[str]) -> str | None:
    value, wanted = result.value.exact, _in_own_unit(marker, match[1], match[2])
    if match[2] not in {None, marker.unit}:
        return f"expected {match[0]}, but {marker.id} is spoken of in {marker.unit or 'no unit'}"
    if value != wanted:
        return f"expected {match[0]}, got {plain(value) if value is not None else 'a range'}"
    return None


def _in_own_unit(marker: Marker, number: str, unit: str | None) -> Fraction:
    """The amount in the marker's unit; a number alone is in that unit already."""
    factor = Fraction(1) if unit is None else marker.factors.get(unit)
    if factor is None:
        message = f"'{unit}' is no unit of {marker.id}"
        raise WordError(message)
    return Fraction(number) * factor


def _paired(
    case: Case, marker: Marker, word: str, program: Program, outcome: Outcome
) -> str | None:
    """Whether the marker stands in the frame of the other marker that the case gives."""
    others = [name for name in case.given if name in program.pack.markers and name != marker.id]
    if not others:
        message = "a pairing case gives another marker, which is the index"
        raise WordError(message)
    frame = _chooser(program, outcome).frame(others[0], with_preliminary=False)
    paired = frame is not None and marker.id in frame.readings
    return None if paired == (word == "paired") else f"expected {word}"


def _of_reading(marker: Marker, word: str, chooser: Chooser, result: LabResult) -> str | None:
    frame = chooser.frame(marker.id, with_preliminary=True)
    if frame is None:
        return "no frame: the result is too old or not used"
    reading = frame.readings[marker.id]
    if word.startswith("measured ") or word == "method not named":
        method = f"measured {result.method}" if result.method else "method not named"
        return None if method == word else f"expected {word}, got {method}"
    if match := _LIMIT.fullmatch(word):
        return _limit(marker, reading, match)
    if match := _NO_LIMIT.fullmatch(word):
        found = limit_in(reading, _kind(match[1]))
        return f"expected {word}, got {plain(found.amount)}" if found else None
    if word in {"doubtful", "not doubtful"}:
        found_word = "doubtful" if is_doubtful(marker, reading) else "not doubtful"
        return None if found_word == word else f"expected {word}, got {found_word}"
    for kind, grades in (("band", marker.bands), ("grade", marker.grades)):
        if word.startswith(f"{kind} ") or word == f"no {kind}":
            return _grade(kind, grades, word, frame)
    message = f"cannot read the expectation '{word}'"
    raise WordError(message)


def _kind(word: str) -> LimitKind:
    kinds: dict[str, LimitKind] = {
        "upper": "upper limit",
        "lower": "lower limit",
        "screening": "screening limit",
    }
    return kinds[word]


def _limit(marker: Marker, reading: Reading, match: re.Match[str]) -> str | None:
    limit = limit_in(reading, _kind(match[1]))
    if limit is None:
        return f"expected {match[0]}, got none"
    wanted = _in_own_unit(marker, match[2], match[3])
    if limit.amount != wanted or limit.named != match[4]:
        return f"expected {match[0]}, got {plain(limit.amount)} from {limit.named}"
    return None


def _grade(kind: str, grades: tuple[Grade, ...], word: str, frame: Frame) -> str | None:
    graded = grade_of(grades, frame)
    name = f"{kind} {graded.grade.id}" if graded is not None else f"no {kind}"
    return None if name == word else f"expected {word}, got {name}"


def _of_measure(measure_id: str, word: str, program: Program, outcome: Outcome) -> str | None:
    measure = program.pack.measures[measure_id]
    frame = _chooser(program, outcome).frame(measure.about, with_preliminary=False)
    value = None
    if frame is not None:
        value = with_measures(frame, program.measures).measures.get(measure_id)
    because = value.because.code if value and value.because else None
    if match := re.fullmatch(r"not computed(?: because (\S+))?", word):
        if value is not None and value.value is not None:
            return f"expected {word}, got {rounded(value.value, measure.decimals)}"
        return None if because == match[1] else f"expected {word}, got because {because}"
    match = re.fullmatch(r"(-?[0-9.]+)(?: (\S+))?", word)
    if match is None:
        message = f"cannot read the expectation '{word}'"
        raise WordError(message)
    if value is None or value.value is None:
        return f"expected {word}, got nothing ({because if value else 'no index'})"
    number = rounded(value.value, len(match[1].partition(".")[2]))
    called = f" {value.called}" if value.called and match[2] else ""
    return None if f"{number}{called}" == word else f"expected {word}, got {number}{called}"


def _of_fact(fact: str, word: str, program: Program, outcome: Outcome) -> str | None:
    answer = _chooser(program, outcome).facts[fact]
    known = _KNOWN[answer.known]
    if name := word.removeprefix("yes by ") if word.startswith("yes by ") else "":
        return None if name in answer.names else f"expected {word}, got {', '.join(answer.names)}"
    if word not in _KNOWN.values():
        message = f"cannot read the expectation '{word}': write yes, yes by NAME, no or not known"
        raise WordError(message)
    return None if known == word else f"expected {word}, got {known}"


def _of_pattern(pattern_id: str, word: str, program: Program, outcome: Outcome) -> str | None:
    pattern = program.pack.patterns[pattern_id]
    frame = _chooser(program, outcome).frame(pattern.about, with_preliminary=False)
    if frame is None:
        return "no frame: there is no usable result of the marker that it is about"
    known = _KNOWN[compiled(pattern.when)(with_measures(frame, program.measures))]
    if word not in _KNOWN.values():
        message = f"cannot read the expectation '{word}': write yes, no or not known"
        raise WordError(message)
    return None if known == word else f"expected {word}, got {known}"


def _of_order(order_id: str, word: str, program: Program, outcome: Outcome) -> str | None:
    order = program.pack.orders[order_id]
    days = program.pack.scope.order_days
    tests: dict[str, Callable[[], bool]] = {
        "ordered": lambda: is_ordered(order, "routine", None, outcome.record, outcome.now, days),
        "answered": lambda: any(is_answered(order, frame) for frame in outcome.frames),
        "resulted": lambda: is_resulted(order, order.resulted_days, outcome.record, outcome.now),
    }
    if match := re.fullmatch(r"(proposed as|category) (\S+)", word):
        code = order.code if match[1] == "proposed as" else order.category
        found_code = code.code if code is not None else "none"
        return None if found_code == match[2] else f"expected {word}, got {found_code}"
    match = re.fullmatch(r"(already |not )?(ordered|answered|resulted)", word)
    if match is None:
        message = f"cannot read the expectation '{word}': {_ORDER_WORDS}"
        raise WordError(message)
    holds = tests[match[2]]()
    return None if holds == (match[1] != "not ") else f"expected {word}"


def _of_pack(word: str, outcome: Outcome) -> str | None:
    """`RULE card`, `RULE no card because WORD`, `RULE orders A; B`."""
    rule, _, rest = word.partition(" ")
    return complaint_about(decision_on(outcome, rule), read_rule_expectation(rest, ""))
