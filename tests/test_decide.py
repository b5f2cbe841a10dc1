# SPDX-License-Identifier: Apache-2.0
"""The core: every rule leaves a decision, and the same patient always gets the same ones."""

from datetime import date, timedelta
from fractions import Fraction

import pytest

from cds_service.copying import replace
from cds_service.decide import Outcome, compile_pack, decide, evaluate, settle
from cds_service.knowledge.model.bounds import Number
from cds_service.knowledge.model.leaves import (
    Compare,
    FactIs,
    MeasureCompare,
    Present,
)
from cds_service.knowledge.model.pack import PATIENT, Pack, Reason, Rule, Urgency
from cds_service.labs.patient_record import LabResult, Patient, PatientRecord, Recorded, SetAside
from cds_service.labs.reasons import PackReason
from cds_service.labs.set_aside_reasons import SetAsideReason
from cds_service.rules.answer import Decision, Proposal, Withheld
from cds_service.rules.reasons import (
    BelowLeast,
    ConditionNotMet,
    Deceased,
    IndexPreliminary,
    NoCardReason,
    NoEligible,
    Offered,
    Overridden,
    Replaced,
    SilenceReason,
)
from tests.knowledge.fixture_pack import letters
from tests.labs.patients import ADULT, NOW, hours, named, record, result

HOOK = "patient-view"
HIGH, VERY_HIGH, UNIT_MISSING = "alpha-high", "alpha-very-high", "unit-missing"


def outcome(of: PatientRecord, pack: Pack | None = None, hook: str = HOOK) -> Outcome:
    return decide(compile_pack(pack or letters()), of, NOW, hook)


def answers(
    of: PatientRecord, pack: Pack | None = None
) -> dict[str, tuple[str, NoCardReason | None]]:
    return {
        decision.rule.id: (decision.answer, decision.because)
        for decision in outcome(of, pack).decisions
    }


def with_rule(rule: Rule, pack: Pack | None = None) -> Pack:
    base = pack or letters()
    return replace(base, rules={**base.rules, rule.id: rule})


def changed_rule(name: str, **more: object) -> Pack:
    return with_rule(replace(letters().rules[name], **more))


def set_aside(
    marker: str, days: float | None = 1, reason: SetAsideReason = "unit-missing"
) -> SetAside:
    time = None if days is None else NOW - timedelta(days=days)
    return SetAside(reason=reason, marker=marker, code="", reference="", time=time)


def test_every_rule_leaves_a_decision_with_its_reason() -> None:
    assert answers(record(result("7"))) == {
        HIGH: ("no card", ConditionNotMet()),
        VERY_HIGH: ("no card", ConditionNotMet()),
        UNIT_MISSING: ("no card", ConditionNotMet()),
    }
    assert answers(record()) == {
        HIGH: ("not enough data", NoEligible("alpha")),
        VERY_HIGH: ("not enough data", NoEligible("alpha")),
        UNIT_MISSING: ("no card", ConditionNotMet()),
    }


def test_the_same_patient_gets_the_same_decisions() -> None:
    def one() -> PatientRecord:
        return record(
            result("101"), result("3", "beta"), result("8", ago=hours(99)), medicines=(named("x"),)
        )

    program = compile_pack(letters())
    first = decide(program, one(), NOW, HOOK)

    assert decide(program, one(), NOW, HOOK) == first
    assert decide(compile_pack(letters()), one(), NOW, HOOK) == first
    assert first.record == one()


def test_one_evaluation_is_settled_with_and_without_what_was_overridden() -> None:
    evaluation = evaluate(compile_pack(letters()), record(result("101")), NOW, HOOK)
    (card,) = (decision for decision in evaluation.decisions if decision.shown)

    spoken, silent = settle(evaluation), settle(evaluation, {card.key})

    assert spoken == outcome(record(result("101")))
    assert spoken.decisions[0] == card
    assert not any(decision.shown for decision in silent.decisions)
    (overridden,) = (decision for decision in silent.decisions if decision.rule.id == card.rule.id)
    assert (overridden.because, overridden.orders) == (Overridden(), ())


def test_the_order_in_which_results_came_does_not_matter() -> None:
    results = [result("101"), result("3", "beta"), result("8", ago=hours(99))]
    there, back = outcome(record(*results)), outcome(record(*results[::-1]))

    assert there.decisions == back.decisions


def test_the_contest_is_held_after_every_rule_has_answered() -> None:
    found = outcome(record(result("100")))
    winner, loser = found.decisions[0], found.decisions[1]

    assert (winner.rule.id, winner.answer, winner.indicator) == (VERY_HIGH, "card", "critical")
    assert [proposal.order for proposal in winner.orders] == ["beta-test", "repeat-alpha"]
    assert (loser.rule.id, loser.because) == (HIGH, Replaced(VERY_HIGH))


def test_cards_come_first_and_the_most_severe_before_the_others() -> None:
    pack = replace(letters(), precedence=())
    of = replace(record(result("100")), set_aside=(set_aside("beta"),))

    found = outcome(of, pack).decisions

    assert [(decision.rule.id, decision.answer) for decision in found] == [
        (VERY_HIGH, "card"),
        (HIGH, "card"),
        (UNIT_MISSING, "card"),
    ]
    assert [proposal.order for proposal in found[0].orders] == ["beta-test"]
    assert found[1].withheld == (Withheld("beta-test", Offered(VERY_HIGH)),)


@pytest.mark.parametrize(
    ("patient", "because"),
    [
        (replace(ADULT, deceased=True), Deceased()),
        (
            Patient(reference="", born=(date(2025, 6, 16), date(2025, 6, 16))),
            PackReason("age-under-1"),
        ),
        (Patient(reference="", born=(date(2025, 6, 15), date(2025, 6, 15))), None),
        (Patient(reference="", born=(date(2025, 1, 1), date(2025, 12, 31))), None),
        (Patient(reference=""), None),
    ],
)
def test_the_whole_pack_is_silent_for_some_patients(
    patient: Patient, because: SilenceReason | None
) -> None:
    found = outcome(record(result("100"), patient=patient))

    assert found.silent == because
    assert any(decision.shown for decision in found.decisions) is (because is None)
    if because is not None:
        assert {(decision.answer, decision.because) for decision in found.decisions} == {
            ("no card", because)
        }
        assert (len(found.decisions), found.frames) == (3, ())


INFANT = Patient(reference="", born=(date(2025, 6, 16), date(2025, 6, 16)))


def silent_but_for(*rules: str) -> Pack:
    (young,) = letters().scope.silent_when
    scope = replace(letters().scope, silent_when=(replace(young, but_for=rules),))
    return replace(letters(), scope=scope)


def test_a_rule_may_be_excepted_from_a_silence() -> None:
    of = record(result("100"), patient=INFANT)
    found = outcome(of, silent_but_for(HIGH))

    assert answers(of, silent_but_for(HIGH)) == {
        HIGH: ("card", None),
        VERY_HIGH: ("no card", PackReason("age-under-1")),
        UNIT_MISSING: ("no card", PackReason("age-under-1")),
    }
    assert found.silent is None
    assert len(found.frames) == 1


def test_a_rule_is_silent_if_one_of_the_silences_does_not_except_it() -> None:
    of = record(result("100"), patient=replace(INFANT, deceased=True))

    assert outcome(of, silent_but_for(HIGH)).silent == Deceased()
    assert answers(of, silent_but_for(HIGH))[HIGH] == ("no card", Deceased())


def test_a_hook_without_an_excepted_rule_is_silent() -> None:
    pack = silent_but_for(HIGH)
    pack = with_rule(replace(pack.rules[HIGH], hooks=("order-sign",)), pack)

    found = outcome(record(result("100"), patient=INFANT), pack)

    assert found.silent == PackReason("age-under-1")


def test_a_hook_may_show_no_card_that_is_mere_information() -> None:
    (service,) = letters().services
    pack = replace(letters(), services=(replace(service, least="warning"),))
    of = replace(record(result("30")), set_aside=(set_aside("beta"),))

    assert answers(of, pack) == {
        HIGH: ("no card", BelowLeast()),
        VERY_HIGH: ("no card", ConditionNotMet()),
        UNIT_MISSING: ("card", None),
    }
    assert answers(record(result("100")), pack)[VERY_HIGH] == ("card", None)


def test_a_pack_may_speak_of_the_deceased() -> None:
    pack = replace(letters(), scope=replace(letters().scope, silent_if_deceased=False))

    assert (
        outcome(record(result("100"), patient=replace(ADULT, deceased=True)), pack).silent is None
    )


@pytest.mark.parametrize("status", ["draft", "retired"])
def test_only_active_rules_are_asked(status: str) -> None:
    assert HIGH not in answers(record(result("30")), changed_rule(HIGH, status=status))


def test_only_the_rules_of_the_hook_are_asked() -> None:
    pack = changed_rule(HIGH, hooks=("order-sign",))

    assert [decision.rule.id for decision in outcome(record(), pack, "order-sign").decisions] == [
        HIGH
    ]
    assert HIGH not in answers(record(), pack)
    assert outcome(record(), pack, "other").decisions == ()


@pytest.mark.parametrize(("ordering", "answer"), [((), "no card"), ((named("gammazine"),), "card")])
def test_a_rule_may_ask_for_more_where_orders_are_made(
    ordering: tuple[object, ...], answer: str
) -> None:
    pack = changed_rule(
        HIGH,
        hooks=(HOOK, "order-select"),
        on_order_hooks=FactIs("on-gammazine", answer=True),
    )
    of = replace(record(result("30")), prescribing=ordering)

    there = {
        decision.rule.id: decision.answer
        for decision in outcome(of, pack, "order-select").decisions
    }

    assert there[HIGH] == answer
    assert answers(of, pack)[HIGH][0] == "card"


def test_a_preliminary_result_shows_a_critical_card_without_orders() -> None:
    found = outcome(record(result("100", status="preliminary"))).decisions

    assert [(decision.rule.id, decision.answer, decision.because) for decision in found] == [
        (VERY_HIGH, "card", None),
        (HIGH, "no card", IndexPreliminary()),
        (UNIT_MISSING, "no card", ConditionNotMet()),
    ]
    assert (found[0].preliminary, found[0].orders) == (True, ())


def urgent_from(number: int) -> Pack:
    when = Compare(("alpha",), "at least", Number(Fraction(number), str(number)))
    return changed_rule(HIGH, urgencies=(Urgency(indicator="critical", when=when),))


@pytest.mark.parametrize(
    ("number", "expected"),
    [
        ("30", ("no card", IndexPreliminary())),
        ("49", ("no card", IndexPreliminary())),
        ("50", ("card", None)),
        ("7", ("no card", ConditionNotMet())),
    ],
)
def test_a_card_that_can_be_critical_rests_on_a_preliminary_result_only_as_such(
    number: str, expected: tuple[str, NoCardReason | None]
) -> None:
    of = record(result(number, status="preliminary"))
    found = {decision.rule.id: decision for decision in outcome(of, urgent_from(50)).decisions}[
        HIGH
    ]

    assert (found.answer, found.because) == expected
    assert (found.preliminary, found.orders) == (found.shown, ())


def test_a_final_result_gives_the_milder_card_beside_a_preliminary_one() -> None:
    final, early = result("30", ago=hours(30)), result("40", status="preliminary")

    card = outcome(record(final, early), urgent_from(50)).decisions[0]

    assert (card.rule.id, card.indicator, card.frame.index_result) == (HIGH, "info", final)


def test_a_final_result_comes_before_a_newer_preliminary_one() -> None:
    final, early = result("100", ago=hours(30)), result("400", status="preliminary")

    card = outcome(record(early, final)).decisions[0]

    assert (card.rule.id, card.preliminary, card.frame.index_result) == (VERY_HIGH, False, final)


def test_a_preliminary_result_is_used_where_the_final_one_says_nothing() -> None:
    final, early = result("7", ago=hours(30)), result("400", status="preliminary")

    card = outcome(record(early, final)).decisions[0]

    assert (card.rule.id, card.preliminary, card.frame.index_result) == (VERY_HIGH, True, early)


@pytest.mark.parametrize("through_a_measure", [True, False])
def test_a_card_that_rests_on_any_preliminary_result_is_preliminary(
    through_a_measure: bool,
) -> None:
    bound = Number(Fraction(1), "1")
    when = (
        MeasureCompare("alpha-beta-ratio", "above", bound)
        if through_a_measure
        else Compare(("beta",), "above", bound)
    )
    early = result("3", "beta", status="preliminary")

    card = outcome(record(result("7"), early), changed_rule(VERY_HIGH, when=when)).decisions[0]

    assert (card.rule.id, card.shown, card.preliminary, card.orders) == (VERY_HIGH, True, True, ())


def test_a_rule_takes_each_of_its_markers_in_turn_as_index() -> None:
    pack = changed_rule(
        HIGH,
        about=("alpha", "beta"),
        when=Compare(("beta",), "above", Number(Fraction(1), "1")),
    )

    found = {
        decision.rule.id: decision
        for decision in outcome(record(result("3", "beta")), pack).decisions
    }

    assert (found[HIGH].answer, found[HIGH].frame.index) == ("card", "beta")


def test_a_reason_to_be_silent_tells_more_than_a_condition_that_is_not_met() -> None:
    when = Compare(("beta",), "above", Number(Fraction(1), "1"))
    pack = changed_rule(
        HIGH,
        about=("alpha", "beta"),
        when=when,
        unless=(Reason(when=when, because="there"),),
    )
    of = record(result("7", ago=hours(24 * 60)), result("3", "beta", ago=hours(24 * 29)))

    assert answers(of, pack)[HIGH] == ("no card", PackReason("there"))


@pytest.mark.parametrize(
    ("items", "shown"),
    [
        ((), 0),
        ((set_aside("alpha"),), 1),
        ((set_aside("alpha"), set_aside("alpha", 3)), 1),
        ((set_aside("alpha"), set_aside("beta")), 2),
        ((set_aside("alpha", reason="implausible"),), 0),
        ((set_aside("alpha", reason="implausible"), set_aside("alpha")), 1),
        ((set_aside(""),), 0),
        ((set_aside("alpha", None),), 1),
        ((set_aside("alpha", 90),), 1),
        ((set_aside("alpha", 90.01),), 0),
    ],
)
def test_a_rule_about_set_aside_results_shows_one_card_a_marker(
    items: tuple[SetAside, ...], shown: int
) -> None:
    found = outcome(replace(record(), set_aside=items)).decisions
    cards = [decision for decision in found if decision.rule.id == UNIT_MISSING]

    assert [decision.shown for decision in cards] == ([True] * shown or [False])
    assert len({decision.frame.set_aside for decision in cards}) == len(cards)


def test_an_order_of_several_set_aside_results_is_offered_once() -> None:
    suggestion = replace(letters().rules[HIGH].suggestions[0], recommended=None)
    pack = changed_rule(UNIT_MISSING, suggestions=(suggestion,))
    of = replace(record(), set_aside=(set_aside("alpha"), set_aside("beta")))

    cards = [
        decision for decision in outcome(of, pack).decisions if decision.rule.id == UNIT_MISSING
    ]

    assert [decision.orders for decision in cards] == [
        (
            Proposal(
                order="repeat-alpha",
                first_day=7,
                last_day=14,
                priority="routine",
                recommended=None,
            ),
        ),
        (),
    ]


def test_a_rule_about_the_patient_needs_no_result() -> None:
    when = FactIs("on-gammazine", answer=True)
    pack = changed_rule(HIGH, about=(PATIENT,), when=when)
    recent, old = result("3", "beta"), result("3", "beta", ago=hours(24 * 31))

    def answered(*results: LabResult, medicines: tuple[Recorded, ...] | None) -> Decision:
        found = outcome(record(*results, medicines=medicines), pack).decisions
        return next(decision for decision in found if decision.rule.id == HIGH)

    with_beta = answered(recent, medicines=(named("gammazine"),))
    without = answered(old, result("30"), medicines=(named("gammazine"),))

    assert answered(medicines=()).because == ConditionNotMet()
    assert answered(medicines=None).missing == (when,)
    assert [proposal.order for proposal in with_beta.orders] == ["repeat-alpha"]
    assert with_beta.withheld == (Withheld("beta-test", PackReason("beta-available")),)
    assert [proposal.order for proposal in without.orders] == ["repeat-alpha", "beta-test"]
    assert without.frame.index_result is None


def test_the_frame_of_each_index_is_kept_with_its_measures() -> None:
    found = outcome(record(result("30"), result("3", "beta")))

    (frame,) = [frame for frame in found.frames if not frame.preliminary][:1]
    assert frame.index == "alpha"
    assert frame.measures["alpha-beta-ratio"].value == 10
    assert frame.measures["alpha-beta-ratio"].called == "steep"


def test_what_is_being_ordered_is_known_by_the_codes_of_its_order() -> None:
    code = letters().orders["beta-test"].code
    ordering = replace(named("x"), codes=((code.system, "9999004-6"),))
    of = replace(record(result("30")), ordering=(ordering,), prescribing=(named("gammazine"),))

    frame = outcome(of).frames[0]

    assert frame.ordering == {"beta-test", "on-gammazine", "any-risk"}


ABOUT_TWO = changed_rule(HIGH, about=("alpha", "beta"))


def test_a_preliminary_result_of_any_marker_of_the_rule_is_why_there_is_no_card() -> None:
    of = record(result("3", "beta", status="preliminary"))

    assert answers(of, ABOUT_TWO)[HIGH] == ("no card", IndexPreliminary())


def test_without_any_result_every_marker_of_the_rule_is_missing() -> None:
    found = {decision.rule.id: decision for decision in outcome(record(), ABOUT_TWO).decisions}[
        HIGH
    ]

    assert (found.answer, found.because) == ("not enough data", NoEligible("alpha"))
    assert found.missing == (Present("alpha"), Present("beta"))
