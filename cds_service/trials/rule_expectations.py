# SPDX-License-Identifier: Apache-2.0
"""What a case expects of a rule: read from its words into values, then compared with a decision.

`card`, `card: warning`, `no card because WORD`, `not enough data`, `orders ORDER; ORDER`,
`withheld ORDER because WORD`, `says WORD`, `does not say WORD`, `preliminary`; the last words may
stand as a value too, as in `{orders: [ORDER, ORDER]}`. Before any of them, `alone` asks for what
the rule decided before the cards met.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TypeAlias

from cds_service.knowledge.model.pack import Answer
from cds_service.rules.answer import Decision, Proposal
from cds_service.sourcefile.document import Data

_ANSWERS: Mapping[str, Answer] = {
    "card": "card",
    "no card": "no card",
    "not enough data": "not enough data",
}
_ANSWER = re.compile(r"(card|no card|not enough data)(?:(?::| because| for) ?([a-z0-9:.-]+))?")
_ORDERS = re.compile(r"orders(?::| |$)(.*)")
_WITHHELD = re.compile(r"withheld(?: (.*)|$)")
_SAYS = re.compile(r"says(?::? (.*)|$)")
_SAYS_NOT = re.compile(r"does not say (.*)")
_ORDER = re.compile(
    r"(\S+) ([0-9]+)-([0-9]+) days(?: (routine|urgent|asap|stat))?"
    r"(?: (not recommended|recommended))?(?: in (\S+))?"
)


class WordError(ValueError):
    """An expectation that has no meaning here; the message says what to write."""


@dataclass(frozen=True, slots=True)
class ExpectedAnswer:
    """The answer, and the indicator of a card or the code of the reason for none, if given."""

    answer: Answer
    detail: str | None
    written: str


@dataclass(frozen=True, slots=True)
class ExpectedOrders:
    """Exactly these proposals, as `proposal_text` writes them, sorted."""

    orders: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class ExpectedWithheld:
    """These orders, each with the code of the reason to withhold it; there may be others."""

    orders: tuple[tuple[str, str], ...]


@dataclass(frozen=True, slots=True)
class ExpectedSentences:
    """The card says all of these sentences or, if `expected` is false, the one of them not."""

    words: tuple[str, ...]
    expected: bool


@dataclass(frozen=True, slots=True)
class ExpectedPreliminary:
    """The card rests on a preliminary result."""


RuleExpectation: TypeAlias = (
    ExpectedAnswer | ExpectedOrders | ExpectedWithheld | ExpectedSentences | ExpectedPreliminary
)


def read_rule_expectation(word: str, value: Data) -> RuleExpectation:
    """The expectation that a case writes as `word`, or as `word: value`; raises `WordError`.

    >>> read_rule_expectation("card", "warning")
    ExpectedAnswer(answer='card', detail='warning', written='card: warning')
    >>> read_rule_expectation("says", ["low-beta", "high-gamma"])
    ExpectedSentences(words=('low-beta', 'high-gamma'), expected=True)
    """
    if isinstance(value, str) and value:
        word = f"{word} {value}" if word.endswith("because") else f"{word}: {value}"
    if match := _ANSWER.fullmatch(word):
        return ExpectedAnswer(_ANSWERS[match[1]], match[2], word)
    if match := _ORDERS.fullmatch(word):
        return _orders(value if isinstance(value, list) else match[1].split(";"))
    if match := _WITHHELD.fullmatch(word):
        return _withheld(value, match[1] or "")
    if match := _SAYS.fullmatch(word):
        words = value if isinstance(value, list) else [match[1]]
        if not any(words):
            raise WordError("write: says WORD")
        return ExpectedSentences(tuple(map(str, words)), expected=True)
    if match := _SAYS_NOT.fullmatch(word):
        return ExpectedSentences((match[1],), expected=False)
    if word == "preliminary":
        return ExpectedPreliminary()
    raise WordError(f"cannot read the expectation '{word}'")


def _orders(listed: list[Data] | list[str]) -> ExpectedOrders:
    orders = [" ".join(str(item).split()) for item in listed if item]
    wanted = [order for order in orders if order and order != "none"]
    for order in wanted:
        if not _ORDER.fullmatch(order):
            form = "ORDER A-B days [PRIORITY] [recommended] [in GROUP]"
            message = f"cannot read the order '{order}': {form}"
            raise WordError(message)
    return ExpectedOrders(tuple(sorted(order.replace(" routine", "") for order in wanted)))


def _withheld(value: Data, rest: str) -> ExpectedWithheld:
    if isinstance(value, dict):
        pairs = [(str(order), str(because)) for order, because in value.items()]
    else:
        parts = [part.strip().partition(" because ") for part in rest.split(";")]
        pairs = [(order, because) for order, _, because in parts]
    if not pairs or not all(because for _, because in pairs):
        raise WordError("write: withheld ORDER because WORD")
    return ExpectedWithheld(tuple(pairs))


def _said(decision: Decision) -> frozenset[str]:
    """The words of the sentences and remarks that the card holds."""
    return frozenset((*decision.says, *(remark.remark for remark in decision.remarks)))


def complaint_about(decision: Decision, expected: RuleExpectation) -> str | None:
    """How the decision differs from the expected one, or `None` if it does not."""
    match expected:
        case ExpectedAnswer():
            return _other_answer(decision, expected)
        case ExpectedOrders(orders=wanted):
            return _other_orders(decision, wanted)
        case ExpectedWithheld(orders=pairs):
            return _not_withheld(decision, pairs)
        case ExpectedSentences(words=words, expected=True):
            lacking = ", ".join(word for word in words if word not in _said(decision))
            return f"does not say {lacking}" if lacking else None
        case ExpectedSentences(words=words):
            return f"says {words[0]}" if words[0] in _said(decision) else None
        case ExpectedPreliminary():
            return None if decision.preliminary else "is not marked preliminary"


def _other_answer(decision: Decision, expected: ExpectedAnswer) -> str | None:
    because = decision.because.code if decision.because else None
    if decision.answer != expected.answer:
        why = f" ({because})" if because else ""
        return f"{decision.rule.id}: expected {expected.answer}, got {decision.answer}{why}"
    detail = decision.indicator if decision.shown else because
    if expected.detail and detail != expected.detail:
        return f"{decision.rule.id}: expected {expected.written}, got {decision.answer} ({detail})"
    return None


def _other_orders(decision: Decision, wanted: tuple[str, ...]) -> str | None:
    orders = tuple(sorted(proposal_text(proposal) for proposal in decision.orders))
    if orders == wanted:
        return None
    return f"orders: expected {'; '.join(wanted) or 'none'}, got {'; '.join(orders) or 'none'}"


def _not_withheld(decision: Decision, pairs: tuple[tuple[str, str], ...]) -> str | None:
    codes = {item.order: item.because.code for item in decision.withheld}
    for order, code in pairs:
        if codes.get(order) != code:
            return f"{order}: expected withheld because {code}, got {codes.get(order)}"
    return None


def proposal_text(proposal: Proposal) -> str:
    """A proposal as cases write it, such as `beta-test 0-28 days recommended in letters`."""
    opinion = {True: " recommended", False: " not recommended", None: ""}[proposal.recommended]
    priority = "" if proposal.priority == "routine" else f" {proposal.priority}"
    days = f"{proposal.first_day}-{proposal.last_day} days"
    group = "" if proposal.group is None else f" in {proposal.group}"
    return f"{proposal.order} {days}{priority}{opinion}{group}"
