# SPDX-License-Identifier: Apache-2.0
"""Why each rule decided as it did, sorted for the eye; the same outcome that the response tells of.

What has most to say comes first: cards, then what was replaced or silenced, then what could not be
answered and would need more data, and last what is simply not so.
"""

from collections import Counter
from collections.abc import Iterator
from datetime import tzinfo
from typing import Literal, TypeAlias, get_args

from cds_service.decide import Outcome
from cds_service.explanation.clauses import capital, leaf_text, title_of
from cds_service.explanation.view import NamedView, View
from cds_service.knowledge.model.pack import Indicator, Pack
from cds_service.labs.set_aside_reasons import MEANINGS
from cds_service.render.reason_text import incomplete_text, reason_text
from cds_service.render.sanitize import sanitize
from cds_service.render.values import day_of, moment_of, value_of, window_of
from cds_service.rules.answer import Decision
from cds_service.rules.reasons import ConditionNotMet, DisabledBySite, Offered, WithheldReason

_Group: TypeAlias = Literal["card", "withheld", "not enough data", "condition not met"]
_KNOWN = {True: "yes", False: "no", None: "not known"}


class ProposalView(View, frozen=True, kw_only=True):
    """An order that the card offers, or why it does not."""

    title: str
    window: str = ""
    priority: str = ""
    recommended: bool = False
    because: str = ""


class RuleReason(View, frozen=True, kw_only=True):
    """One rule and its answer."""

    rule: str
    title: str
    version: str
    answer: str
    indicator: Indicator | None = None
    on: str = ""  # the result that it is about
    because: str = ""
    instead: NamedView | None = None  # the rule whose card took its place
    missing: tuple[str, ...] = ()
    unknown: tuple[str, ...] = ()
    orders: tuple[ProposalView, ...] = ()
    withheld: tuple[ProposalView, ...] = ()


class FactView(View, frozen=True, kw_only=True):
    """Something about the patient that rules ask for."""

    title: str
    known: str
    names: tuple[str, ...] = ()


class SetAsideView(View, frozen=True, kw_only=True):
    """Something that was sent and not used; of the same kind only the first is shown."""

    name: str
    sent: str
    at: str
    reason: str
    meaning: str
    times: int = 1


class Reasons(View, frozen=True, kw_only=True):
    """The decisions of a call grouped by their outcome, with the data they rest on."""

    silent: str = ""
    shown: tuple[RuleReason, ...] = ()
    yielded: tuple[RuleReason, ...] = ()
    wanting: tuple[RuleReason, ...] = ()
    others: tuple[RuleReason, ...] = ()
    facts: tuple[FactView, ...] = ()
    set_aside: tuple[SetAsideView, ...] = ()
    incomplete: tuple[str, ...] = ()


def reasons_of(outcome: Outcome, zone: tzinfo) -> Reasons:
    """The decisions of an outcome, sorted."""
    pack = outcome.pack
    by_group: dict[_Group, list[RuleReason]] = {group: [] for group in get_args(_Group)}
    for decision in outcome.decisions:
        by_group[_group_of(decision)].append(_why(decision, pack, zone))
    off = pack.site.switched_off if pack.site else ()
    disabled = (_switched_off(line.rule, line.because, pack) for line in off)
    return Reasons(
        silent=reason_text(outcome.silent, pack.messages_in()) if outcome.silent else "",
        shown=tuple(by_group["card"]),
        yielded=(*by_group["withheld"], *disabled),
        wanting=tuple(by_group["not enough data"]),
        others=tuple(by_group["condition not met"]),
        facts=tuple(_facts(outcome)),
        set_aside=tuple(_asides(outcome, zone)),
        incomplete=tuple(
            incomplete_text(part, pack.messages_in()) for part in outcome.record.incomplete
        ),
    )


def _group_of(decision: Decision) -> _Group:
    if decision.answer != "no card":
        return decision.answer
    return "condition not met" if isinstance(decision.because, ConditionNotMet) else "withheld"


def _why(decision: Decision, pack: Pack, zone: tzinfo) -> RuleReason:
    by, because = decision.replaced_by, decision.because
    return RuleReason(
        rule=decision.rule.id,
        title=decision.rule.title,
        version=decision.rule.version,
        answer=decision.answer,
        indicator=decision.indicator if decision.shown else None,
        on=_on(decision, pack, zone),
        because=reason_text(because, pack.messages_in()) if because and not by else "",
        instead=NamedView(id=by, title=pack.rules[by].title) if by else None,
        missing=tuple(leaf_text(leaf, pack) for leaf in decision.missing),
        unknown=tuple(capital(title_of(leaf.subject, pack)) for leaf in decision.unknown),
        orders=tuple(
            ProposalView(
                title=pack.orders[order.order].title,
                window=window_of(order, pack.messages_in()).window,
                priority=order.priority,
                recommended=order.recommended is True,
            )
            for order in decision.orders
        ),
        withheld=tuple(
            ProposalView(
                title=pack.orders[order.order].title, because=_because(order.because, pack)
            )
            for order in decision.withheld
        )
        if decision.shown
        else (),
    )


def _on(decision: Decision, pack: Pack, zone: tzinfo) -> str:
    """The result that the decision is about, in words."""
    item = decision.frame.set_aside
    if item is not None:
        named = pack.markers[item.marker].title if item.marker in pack.markers else "a result"
        return f"{named}, set aside because {reason_text(item.reason, pack.messages_in())}"
    result = decision.frame.index_result
    if result is None or result.marker not in pack.markers:
        return ""
    marker = pack.markers[result.marker]
    return f"{marker.title} {value_of(result, marker)} of {moment_of(result, zone)}"


def _switched_off(rule: str, because: str, pack: Pack) -> RuleReason:
    known = pack.rules[rule]
    return RuleReason(
        rule=rule,
        title=known.title,
        version=known.version,
        answer="no card",
        because=f"{reason_text(DisabledBySite(), pack.messages_in())}: {because}",
    )


def _facts(outcome: Outcome) -> Iterator[FactView]:
    """Facts that are true, and facts that are not known."""
    frame = next((decision.frame for decision in outcome.decisions), None)
    for name, answer in frame.facts.items() if frame is not None else ():
        if answer.known is not False:
            yield FactView(
                title=outcome.pack.facts[name].title,
                known=_KNOWN[answer.known],
                names=answer.names,
            )


def _asides(outcome: Outcome, zone: tzinfo) -> Iterator[SetAsideView]:
    keys = [(result.marker, result.code, result.reason) for result in outcome.record.set_aside]
    counted = Counter(keys)
    for key, item in dict(
        zip(reversed(keys), reversed(outcome.record.set_aside), strict=True)
    ).items():
        marker = outcome.pack.markers.get(item.marker)
        yield SetAsideView(
            name=marker.title if marker else sanitize(item.code) or "a resource",
            sent=f"{sanitize(item.number)} {sanitize(item.unit)}".strip(),
            at=day_of(item.time, zone) if item.time else "",
            reason=item.reason,
            meaning=MEANINGS[item.reason],
            times=counted[key],
        )


def _because(reason: WithheldReason, pack: Pack) -> str:
    """Why an order is not offered; the card that offers it instead is named by its title."""
    text = reason_text(reason, pack.messages_in())
    return f"{text}: {pack.rules[reason.rule].title}" if isinstance(reason, Offered) else text
