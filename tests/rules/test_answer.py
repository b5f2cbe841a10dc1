# SPDX-License-Identifier: Apache-2.0
"""One rule, one patient: its answer, its reasons and its orders."""

from datetime import datetime, timedelta
from fractions import Fraction

import pytest

from cds_service.amounts import Ternary
from cds_service.copying import replace
from cds_service.knowledge.model.bounds import Number
from cds_service.knowledge.model.code_systems import LOINC
from cds_service.knowledge.model.conditions import (
    AllOf,
    Condition,
)
from cds_service.knowledge.model.leaves import (
    Compare,
    FactIs,
    SexIs,
)
from cds_service.knowledge.model.pack import (
    Indicator,
    Priority,
    Reason,
    Rule,
    Suggestion,
    Urgency,
)
from cds_service.labs.facts import FactAnswer
from cds_service.labs.patient_record import OpenOrder, PatientRecord, Resulted
from cds_service.labs.reasons import PackReason
from cds_service.labs.result_selection import Frame
from cds_service.rules.answer import (
    Decision,
    Proposal,
    Withheld,
    answer,
    compile_rule,
    is_answered,
    is_ordered,
    is_resulted,
)
from cds_service.rules.reasons import (
    AlreadyOrdered,
    AlreadyResulted,
    ConditionNotMet,
    ResultSinceIndex,
    WithheldReason,
)
from tests.knowledge.fixture_pack import letters
from tests.labs.patients import NOW, framed, hours, record, result

MALE, FEMALE = SexIs(("male",)), SexIs(("female",))
FACT = FactIs("on-gammazine", answer=True)
BETA_TEST = letters().orders["beta-test"]
PLAIN = replace(
    letters().rules["alpha-high"],
    indicator="info",
    urgencies=(),
    when=MALE,
    unless=(),
    suggestions=(),
    also_say={},
)
INDEX = result(ago=hours(24))
HALF_A_DAY = hours(12)
SEVEN = Compare(("gamma",), "above", Number(Fraction(7), "7 U/L"))


def rule(**more: object) -> Rule:
    return replace(PLAIN, **more)


def suggestion(order: str = "beta-test", /, **more: object) -> Suggestion:
    plain = Suggestion(
        order=order,
        first_day=0,
        last_day=14,
        priority="routine",
        recommended=None,
        when=None,
        unless=(),
    )
    return replace(plain, **more)


def frame(gammazine: Ternary = False) -> Frame:
    found = framed(INDEX)
    return replace(found, facts={**found.facts, "on-gammazine": FactAnswer(gammazine)})


def decided(of: Rule, seen: Frame | None = None, chart: PatientRecord | None = None) -> Decision:
    program = compile_rule(of, letters())
    return answer(program, seen or frame(), chart or record(INDEX), NOW, 30)


def order(
    ago: timedelta | None = HALF_A_DAY, priority: Priority = "routine", code: str = "9999003-8"
) -> OpenOrder:
    authored = None if ago is None else NOW - ago
    return OpenOrder(codes=((LOINC, code),), priority=priority, authored=authored)


@pytest.mark.parametrize(
    ("when", "expected"),
    [(MALE, "card"), (FEMALE, "no card"), (SEVEN, "not enough data")],
)
def test_a_rule_has_three_answers(when: Condition, expected: str) -> None:
    assert decided(rule(when=when)).answer == expected


def test_no_card_says_that_the_condition_is_not_met() -> None:
    assert decided(rule(when=FEMALE)).because == ConditionNotMet()


def test_not_enough_data_names_the_conditions_that_are_open() -> None:
    found = decided(rule(when=AllOf((MALE, SEVEN, FACT))), frame(None))

    assert (found.answer, found.missing) == (
        "not enough data",
        (SEVEN, FACT),
    )


@pytest.mark.parametrize(
    ("gammazine", "expected", "because"),
    [(True, "no card", PackReason("known")), (False, "card", None), (None, "card", None)],
)
def test_only_what_is_known_silences(
    gammazine: Ternary, expected: str, because: PackReason | None
) -> None:
    found = decided(rule(unless=(Reason(when=FACT, because="known"),)), frame(gammazine))

    assert (found.answer, found.because) == (expected, because)
    assert found.unknown == ((FACT,) if gammazine is None else ())


def test_the_first_reason_that_holds_is_given_to_every_order() -> None:
    reasons = (
        Reason(when=FEMALE, because="one"),
        Reason(when=MALE, because="two"),
        Reason(when=MALE, because="three"),
    )

    found = decided(rule(unless=reasons, suggestions=(suggestion(), suggestion("repeat-alpha"))))

    assert found.because == PackReason("two")
    assert found.withheld == (
        Withheld("beta-test", PackReason("two")),
        Withheld("repeat-alpha", PackReason("two")),
    )


@pytest.mark.parametrize(
    ("own", "gammazine", "expected"),
    [
        ("info", True, "critical"),
        ("info", False, "info"),
        ("info", None, "info"),
        ("critical", False, "critical"),
    ],
)
def test_a_card_is_as_urgent_as_its_most_urgent_condition(
    own: Indicator, gammazine: Ternary, expected: str
) -> None:
    urgencies = (
        Urgency(indicator="critical", when=FACT),
        Urgency(indicator="warning", when=FACT),
    )

    found = decided(rule(indicator=own, urgencies=urgencies), frame(gammazine))

    assert found.indicator == expected


def test_a_sentence_is_said_if_its_condition_is_known_to_hold() -> None:
    also_say = {"yes": MALE, "no": FEMALE, "perhaps": SEVEN}

    assert decided(rule(also_say=also_say)).says == ("yes",)


def test_the_trigger_is_the_marker_that_met_the_comparison_or_the_index() -> None:
    bound = Number(Fraction(7), "7 U/L")
    either = Compare(("beta", "alpha"), "above", bound)

    assert decided(rule(when=either)).trigger == "alpha"
    assert decided(rule()).trigger == "alpha"


@pytest.mark.parametrize(
    ("recommended", "gammazine", "expected"),
    [
        (None, True, None),
        (True, False, True),
        (False, True, False),
        (FACT, True, True),
        (FACT, False, False),
        (FACT, None, False),
    ],
)
def test_an_order_is_recommended_only_on_what_is_known(
    recommended: Condition | bool | None, gammazine: Ternary, expected: bool | None
) -> None:
    proposed = suggestion(recommended=recommended, first_day=3, priority="urgent")

    found = decided(rule(suggestions=(proposed,)), frame(gammazine))

    assert found.orders == (
        Proposal(
            order="beta-test", first_day=3, last_day=14, priority="urgent", recommended=expected
        ),
    )


@pytest.mark.parametrize(
    ("more", "gammazine", "because"),
    [
        ({"when": FACT}, True, None),
        ({"when": FACT}, False, ConditionNotMet()),
        ({"when": FACT}, None, ConditionNotMet()),
        ({"unless": (Reason(when=FACT, because="there"),)}, True, PackReason("there")),
        ({"unless": (Reason(when=FACT, because="there"),)}, None, None),
    ],
)
def test_an_order_may_have_conditions_of_its_own(
    more: dict[str, object], gammazine: Ternary, because: WithheldReason | None
) -> None:
    found = decided(rule(suggestions=(suggestion(**more),)), frame(gammazine))

    assert bool(found.orders) is (because is None)
    assert found.withheld == (() if because is None else (Withheld("beta-test", because),))


def test_an_order_that_was_answered_since_the_index_is_not_needed() -> None:
    seen = replace(frame(), later=frozenset({"beta"}))

    found = decided(rule(suggestions=(suggestion(),)), seen)

    assert (found.orders, found.withheld) == ((), (Withheld("beta-test", ResultSinceIndex()),))


@pytest.mark.parametrize(
    ("answered_by", "later", "expected"),
    [
        ((), {"alpha", "beta"}, False),
        (("beta",), {"beta", "alpha"}, True),
        (("alpha", "beta"), {"beta"}, False),
        (("alpha", "beta"), {"beta", "alpha"}, True),
        (("beta",), set(), False),
    ],
)
def test_every_marker_must_be_there_to_answer_an_order(
    answered_by: tuple[str, ...], later: set[str], expected: bool
) -> None:
    order = replace(BETA_TEST, answered_by=answered_by)

    assert is_answered(order, replace(frame(), later=frozenset(later))) is expected


@pytest.mark.parametrize(
    ("orders", "priority", "expected"),
    [
        (None, "routine", False),
        ((), "routine", False),
        ((order(code="9999002-0"),), "routine", False),
        ((order(),), "routine", True),
        ((order(code="9999004-6"),), "routine", True),
        ((order(None),), "routine", True),
        ((order(timedelta(days=30)),), "routine", True),
        ((order(timedelta(days=30, seconds=1)),), "routine", False),
        ((order(hours(48)),), "routine", True),
        ((order(priority="stat"),), "routine", True),
        ((order(),), "urgent", False),
        ((order(priority="urgent"),), "urgent", True),
        ((order(priority="asap"),), "urgent", True),
        ((order(priority="stat"),), "urgent", True),
        ((order(priority="asap"),), "stat", False),
        ((order(hours(24), "stat"),), "urgent", False),
        ((order(hours(25), "stat"),), "urgent", False),
        ((order(None, "stat"),), "urgent", False),
        ((order(hours(25), "stat"), order(priority="urgent")), "urgent", True),
    ],
)
def test_an_open_order_makes_another_needless(
    orders: tuple[OpenOrder, ...] | None, priority: Priority, expected: bool
) -> None:
    since: datetime = INDEX.time
    chart = record(INDEX, orders=orders)

    assert is_ordered(BETA_TEST, priority, since, chart, NOW, 30) is expected

    found = decided(rule(suggestions=(suggestion(priority=priority),)), chart=chart)
    assert found.withheld == ((Withheld("beta-test", AlreadyOrdered()),) if expected else ())


def test_without_an_index_any_order_of_enough_priority_counts() -> None:
    chart = record(orders=(order(timedelta(days=20), "stat"),))

    assert is_ordered(BETA_TEST, "urgent", None, chart, NOW, 30)


@pytest.mark.parametrize(
    ("ago", "code", "expected"),
    [
        (timedelta(days=10), "9999003-8", True),
        (timedelta(days=10), "9999004-6", True),  # an equivalent
        (timedelta(days=10, seconds=1), "9999003-8", False),
        (timedelta(days=1), "9999002-0", False),
    ],
)
def test_a_result_that_is_no_older_makes_an_order_needless(
    ago: timedelta, code: str, expected: bool
) -> None:
    chart = replace(record(INDEX), resulted=(Resulted((LOINC, code), NOW - ago),))

    assert is_resulted(BETA_TEST, 10, chart, NOW) is expected
    assert not is_resulted(BETA_TEST, None, chart, NOW)

    found = decided(rule(suggestions=(suggestion(resulted_days=10),)), chart=chart)
    assert found.withheld == ((Withheld("beta-test", AlreadyResulted()),) if expected else ())


@pytest.mark.parametrize(("own", "expected"), [(None, 30), (10, 10), (0, 0)])
def test_a_suggestion_may_name_other_days_than_its_order(own: int | None, expected: int) -> None:
    order = replace(BETA_TEST, resulted_days=30)

    assert suggestion(resulted_days=own).result_days(order) == expected
    assert suggestion().result_days(BETA_TEST) is None


@pytest.mark.parametrize(("gammazine", "last_day"), [(True, 1), (False, 5), (None, 5)])
def test_the_first_suggestion_of_an_order_that_holds_is_offered_alone(
    gammazine: Ternary, last_day: int
) -> None:
    twice = (suggestion(when=FACT, last_day=1), suggestion(last_day=5), suggestion(last_day=9))

    found = decided(rule(suggestions=twice), frame(gammazine))

    assert [proposal.last_day for proposal in found.orders] == [last_day]
    assert found.withheld == ()


def test_of_suggestions_that_are_all_withheld_the_one_that_was_meant_says_why() -> None:
    there = Reason(when=MALE, because="there")
    twice = (suggestion(when=FACT), suggestion(unless=(there,)), suggestion(when=FEMALE))

    found = decided(rule(suggestions=twice))

    assert (found.orders, found.withheld) == ((), (Withheld("beta-test", PackReason("there")),))


def test_a_proposal_keeps_its_group() -> None:
    found = decided(rule(suggestions=(suggestion(group="greek"),)))

    assert [proposal.group for proposal in found.orders] == ["greek"]


def test_what_was_asked_in_vain_is_named_once() -> None:
    conditions = rule(
        unless=(Reason(when=AllOf((FACT, FEMALE)), because="x"),),
        urgencies=(Urgency(indicator="critical", when=FACT),),
        suggestions=(
            suggestion(when=FACT, recommended=FACT, unless=(Reason(when=FACT, because="there"),)),
        ),
    )

    assert decided(conditions, frame(None)).unknown == (FACT,)
    assert decided(conditions, frame(True)).unknown == ()


def test_an_order_of_two_suggestions_is_withheld_once() -> None:
    reasons = (Reason(when=MALE, because="two"),)
    twice = (suggestion(), suggestion("repeat-alpha"), suggestion(when=MALE))

    found = decided(rule(unless=reasons, suggestions=twice))

    assert found.withheld == (
        Withheld("beta-test", PackReason("two")),
        Withheld("repeat-alpha", PackReason("two")),
    )
