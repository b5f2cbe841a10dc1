# SPDX-License-Identifier: Apache-2.0
"""The list of decisions: what each would have written, bounded, and whose patients it shows."""

from dataclasses import replace
from typing import Any

import pytest
from msgspec.json import encode

from cds_service.knowledge.model.pack import Pack
from cds_service.store import Store
from cds_service.subscriptions import decision_list
from cds_service.subscriptions.decision_list import DecisionList
from tests.subscriptions.kept_decisions import (
    PATIENT,
    RESULT,
    SERVER,
    critical,
    keep,
    nothing,
    unknown_rule,
    very_low,
)
from tests.web.http_fixtures import knowledge


def listed(store: Store, *packs: Pack) -> DecisionList:
    return DecisionList(store.database, packs or knowledge().packs)


def everybody(server: str) -> bool:
    return server == SERVER


def test_without_decisions_there_is_nothing(store: Store) -> None:
    found = listed(store).newest(10)

    assert (found.decisions, found.total, found.looked_at) == ((), 0, 0)
    assert listed(store).one(1) is None


def test_a_silent_decision_says_what_would_have_been_written(store: Store) -> None:
    (number,) = keep(store, very_low())

    (decision,) = listed(store).newest(10).decisions

    (advice,) = decision.advice
    pack = knowledge().packs[0]
    assert (decision.id, decision.mode, decision.server) == (number, "silent", SERVER)
    assert (advice.rule, advice.state, advice.indicator) == ("alt-very-low", "not-written", "info")
    assert advice.title == pack.rules["alt-very-low"].title
    assert [(order.id, order.window) for order in advice.orders] == [
        ("repeat-alt", "within 14 days"),
        ("vitamin-b6", "within 14 days"),
        ("liver-panel", "within 14 days"),
        ("inr", "within 14 days"),
    ]


def test_what_was_not_known_is_called_by_its_title(store: Store) -> None:
    fact = next(iter(knowledge().packs[0].facts.values()))
    finding, change = very_low()
    keep(store, [{**finding, "unknown": [fact.id, "age"]}, change])

    ((advice,),) = [decision.advice for decision in listed(store).newest(10).decisions]

    assert [(leaf.id, leaf.title) for leaf in advice.missing] == [
        (fact.id, fact.title),
        ("age", "age"),
    ]


def test_newest_come_first_and_what_has_nothing_to_write_is_left_out(store: Store) -> None:
    first, _, third, *_ = keep(store, very_low(), nothing(), critical(), nothing(), nothing())

    found = listed(store).newest(10)

    assert [decision.id for decision in found.decisions] == [third, first]
    assert (found.total, found.without_advice, found.left_out) == (5, 3, 0)
    assert len(listed(store).newest(10, every=True).decisions) == 5


def test_ten_thousand_decisions_are_a_bounded_page(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    keep(store, *[very_low()] * 10_000)

    found = listed(store).newest(50)

    assert len(found.decisions) == 50
    assert (found.looked_at, found.left_out, found.total) == (500, 450, 10_000)
    assert not found.is_more
    assert len(encode(found)) < 100_000
    monkeypatch.setattr(decision_list, "_MOST_COUNTED", 9000)
    more = listed(store).newest(50)
    assert (more.total, more.is_more) == (9000, True)


def test_nobody_sees_a_patient_but_those_who_may(store: Store) -> None:
    keep(store, very_low())
    keep(store, very_low(), server="https://other.example/r4")

    shown = listed(store).newest(10, sees=everybody).decisions

    for canary in (PATIENT, RESULT):
        assert canary.encode() not in encode(listed(store).newest(10))
    assert [(decision.patient, decision.results) for decision in shown] == [
        ("", ()),
        (PATIENT, (RESULT,)),
    ]


def test_what_a_decision_was_derived_from_may_be_gone(store: Store) -> None:
    keep(store, very_low(), input=b"")
    keep(store, very_low())

    newer, older = listed(store).newest(10, sees=everybody).decisions

    assert (older.is_input_gone, older.patient, older.results) == (True, PATIENT, ())
    assert (newer.is_input_gone, newer.results) == (False, (RESULT,))


def test_a_rule_of_an_older_pack_keeps_its_name(store: Store) -> None:
    keep(store, unknown_rule())

    ((advice,),) = [decision.advice for decision in listed(store).newest(10).decisions]

    assert (advice.title, advice.version, advice.current) == ("<b>gone</b>", "0.1.0", "")
    assert [(order.title, order.window) for order in advice.orders] == [("gone-order", "")]
    assert [leaf.title for leaf in advice.missing] == ["gone-fact"]


def test_a_pack_that_is_gone_and_another_version_are_told(store: Store) -> None:
    pack = knowledge().packs[0]
    rule = replace(pack.rules["alt-very-low"], version="9.0.0")
    newer = replace(pack, rules={**pack.rules, "alt-very-low": rule})
    keep(store, very_low())

    def of(found: DecisionList) -> Any:
        (advice,) = found.newest(1).decisions[0].advice
        return advice.version, advice.current

    version = pack.rules["alt-very-low"].version
    assert of(listed(store, newer)) == (version, "9.0.0")
    assert of(DecisionList(store.database, ())) == (version, "")


def test_what_became_of_advice_that_was_written(store: Store) -> None:
    rule = {"rule": "alt-very-low", "indicator": "info"}
    withdrawn = {"advice": "cancelled", "why": "result-corrected", **rule}
    (shown, _) = very_low()
    keep(store, [shown, {"advice": "open", **rule}], mode="on", written="yes")
    keep(store, [*nothing(), withdrawn], mode="on", written="withdrawn")
    keep(store, [shown], mode="on", written="failed", problem="refused")

    found = listed(store).newest(10).decisions

    states = [
        (decision.problem, decision.advice[0].state, decision.advice[0].why) for decision in found
    ]
    assert states == [
        ("refused", "refused", ""),
        ("", "cancelled", "result-corrected"),
        ("", "open", ""),
    ]
    assert [len(decision.advice[0].orders) for decision in found] == [4, 0, 4]


def test_one_decision_says_which_rules_have_no_card(store: Store) -> None:
    (number,) = keep(store, critical())

    found = listed(store).one(number)

    assert found is not None
    assert "replaced-by:hys-law-pattern" in {rule.because for rule in found.others}
    assert [advice.rule for advice in found.advice] == ["hys-law-pattern"]
