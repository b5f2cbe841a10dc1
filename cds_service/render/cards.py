# SPDX-License-Identifier: Apache-2.0
"""Decisions -> cards.

`compile_cards` does once, at start-up, everything that does not depend on the patient; `render`
fills the rest. No request compiles a template or builds a model.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, tzinfo
from hashlib import sha1
from itertools import groupby
from typing import cast
from uuid import UUID, uuid5

from msgspec.structs import replace

from cds_service.call_context import CallContext
from cds_service.decide import Outcome
from cds_service.fhir.references import relative_reference
from cds_service.knowledge.model.dependencies import sources_of
from cds_service.knowledge.model.messages import ENGLISH, MessageKey, Messages
from cds_service.knowledge.model.pack import Pack, Rule
from cds_service.knowledge.model.translation import titled_in
from cds_service.render.card import (
    CARD_EXTENSION,
    Action,
    Card,
    CardLink,
    CardSource,
    CardSuggestion,
    Coding,
    Extension,
)
from cds_service.render.orders import OrderTemplate, compile_order, filling_of
from cds_service.render.provenance import Basis, Lines, compile_basis
from cds_service.render.texts import (
    FilledRemark,
    RemarkTexts,
    RuleTexts,
    compile_remarks,
    compile_texts,
    fill_detail,
    fill_summary,
    filled_remarks,
    summary_with,
    text_with,
)
from cds_service.render.values import window_of
from cds_service.rules.answer import Decision, Proposal, cards_among

# Ours alone: a card's uuid is derived from it, so a call that is repeated gives the same uuid.
_NAMESPACE = UUID("7d9f1c52-3f0e-5b7a-9a53-6c2f0d8e41b7")
_MOST_LINKS = 3


@dataclass(frozen=True, slots=True, kw_only=True)
class CardTemplate:
    """Everything about a rule's card that is the same for every patient."""

    rule: Rule
    texts: RuleTexts
    basis: Basis
    topic: Coding
    links: tuple[CardLink, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class CardTemplates:
    """The cards of a pack, ready to be filled."""

    pack: Pack
    messages: Messages
    zone: tzinfo
    label: str
    override_reasons: tuple[Coding, ...]
    rules: Mapping[str, CardTemplate]
    remarks: Mapping[str, RemarkTexts]
    orders: Mapping[str, OrderTemplate]


@dataclass(frozen=True, slots=True, kw_only=True)
class _Call:
    """What the cards of one call share."""

    templates: CardTemplates
    outcome: Outcome
    context: CallContext
    base_url: str | None
    uuid_of: Callable[[Decision], UUID] | None
    grouped: bool


def compile_cards(
    pack: Pack,
    zone: tzinfo = UTC,
    language: str = ENGLISH,
) -> CardTemplates:
    """The templates of the pack's active rules and orders; dates are shown in `zone`.

    What the pack does not have in the language is in English.
    """
    pack, messages = titled_in(pack, language), pack.messages_in(language)
    return CardTemplates(
        pack=pack,
        messages=messages,
        zone=zone,
        label=f"{pack.title}, {pack.publisher}",
        override_reasons=tuple(
            Coding(code=reason.code, system=f"{pack.url}/override-reasons", display=reason.display)
            for reason in pack.override_reasons
        ),
        rules={
            rule.id: CardTemplate(
                rule=rule,
                texts=compile_texts(rule, pack, zone, language),
                basis=compile_basis(rule, pack, zone, messages),
                topic=_topic(rule, pack),
                links=tuple(_links(rule, pack)),
            )
            for rule in pack.rules.values()
            if rule.status == "active"
        },
        remarks=compile_remarks(pack, zone, language),
        orders={order.id: compile_order(order) for order in pack.orders.values()},
    )


def render(
    templates: CardTemplates,
    outcome: Outcome,
    context: CallContext,
    *,
    base_url: str | None = None,
    uuid_of: Callable[[Decision], UUID] | None = None,
    grouped: bool = True,
) -> tuple[Card, ...]:
    """The cards of an outcome, most severe first; `base_url` is where rules can be read about.

    `uuid_of` gives the uuids of cards that feedback may come for. If not `grouped`, each order is
    a suggestion of its own, for clients that take one action in each.
    The same call at the same time gives the same cards, byte for byte.
    """
    call = _Call(
        templates=templates,
        outcome=outcome,
        context=context,
        base_url=base_url,
        uuid_of=uuid_of,
        grouped=grouped,
    )
    shown = cards_among(outcome.decisions)
    of_results: Lines = {}
    lines = [_of_the_patient(decision, call, of_results) for decision in shown]
    return tuple(
        _card(decision, call, lines[number], listed=lines[0] if number else ())
        for number, decision in enumerate(shown)
    )


def with_folded_named(
    cards: tuple[Card, ...],
    templates: CardTemplates,
    outcome: Outcome,
    *,
    base_url: str | None = None,
) -> tuple[Card, ...]:
    """The cards of an outcome; the last names those that were folded, and links to their pages."""
    if not cards:  # a card is folded where others are shown
        return cards
    folded = [decision for decision in outcome.decisions if decision.is_folded]
    if not folded:
        return cards
    titles = "; ".join(templates.rules[decision.rule.id].rule.title for decision in folded)
    line = templates.messages.text("card.also noted", titles=titles)
    last = cards[-1]
    pages = (page for decision in folded for page in _pages(decision, templates, base_url))
    links = dict.fromkeys((*last.links, *pages))
    return (*cards[:-1], replace(last, detail=f"{last.detail}\n\n{line}", links=tuple(links)))


def _card(decision: Decision, call: _Call, lines: Sequence[str], *, listed: Sequence[str]) -> Card:
    """The card; of the `lines` on what it rests on, those `listed` already are left out."""
    rule, templates = decision.rule, call.templates
    template = templates.rules[rule.id]
    remarks = filled_remarks(decision, templates.remarks)
    summary = summary_with(fill_summary(template.texts, decision), remarks, templates.messages)
    uuid = call.uuid_of(decision) if call.uuid_of is not None else _card_uuid(decision, call)
    suggestions = tuple(_suggestions(decision, summary, uuid, call))
    return Card(
        uuid=str(uuid),
        summary=summary,
        indicator=decision.indicator,
        detail=_detail(decision, template, call, remarks, _unlisted(lines, listed, templates)),
        source=CardSource(
            label=templates.label,
            url=f"{call.base_url}/rules/{rule.id}" if call.base_url else None,
            topic=template.topic,
        ),
        suggestions=suggestions,
        selection_behavior="any" if suggestions else None,
        override_reasons=templates.override_reasons,
        links=(*_pages(decision, templates, call.base_url), *template.links),
        extension=_extension(decision, templates.pack),
    )


def _pages(
    decision: Decision, templates: CardTemplates, base_url: str | None
) -> Iterator[CardLink]:
    """The pages of this service on the rule and on what it is about; they hold no patient data."""
    if base_url is None:
        return
    frame, pack, messages = decision.frame, templates.pack, templates.messages
    about = frame.set_aside.marker if frame.set_aside is not None else frame.index
    if about in pack.explainers:
        label = messages.text("card.explainer link", marker=pack.markers[about].title)
        yield CardLink(label=label, url=f"{base_url}/explain/{about}", type="absolute")
    url = f"{base_url}/rules/{decision.rule.id}"
    label = messages.text("card.rule link", rule=templates.rules[decision.rule.id].rule.title)
    yield CardLink(label=label, url=url, type="absolute")


def _card_uuid(decision: Decision, call: _Call) -> UUID:
    """The uuid of a card that no feedback comes for: the same in the same call.

    One rule gives one card a call, but a rule about set-aside results gives one a marker.
    """
    item = decision.frame.set_aside
    marker = item.marker if item is not None else ""
    name = f"{call.context.id} {decision.rule.id} {decision.rule.version} {marker}"
    return uuid5(_NAMESPACE, name)


def _named_uuid(namespace: UUID, name: str) -> str:
    """What `str(uuid5(namespace, name))` is; the object between the two costs more than the hash.

    >>> _named_uuid(_NAMESPACE, "liver-panel") == str(uuid5(_NAMESPACE, "liver-panel"))
    True
    """
    digits = sha1(namespace.bytes + name.encode(), usedforsecurity=False).hexdigest()
    variant = "89ab"[int(digits[16], 16) % 4]
    return f"{digits[:8]}-{digits[8:12]}-5{digits[13:16]}-{variant}{digits[17:20]}-{digits[20:32]}"


def _of_the_patient(decision: Decision, call: _Call, of_results: Lines) -> tuple[str, ...]:
    basis = call.templates.rules[decision.rule.id].basis
    return basis.of_the_patient(decision, call.outcome.record, call.outcome.unused, of_results)


def _unlisted(
    lines: Sequence[str], listed: Sequence[str], templates: CardTemplates
) -> Iterator[str]:
    """The lines that the first card does not have, and that it has the others."""
    left = [line for line in lines if line not in listed]
    yield from left
    if len(left) < len(lines):
        yield templates.messages.text("card.listed on the first card")


def _detail(
    decision: Decision,
    template: CardTemplate,
    call: _Call,
    remarks: Sequence[FilledRemark],
    lines: Iterable[str],
) -> str:
    messages = call.templates.messages
    basis = "\n".join(f"- {line}" for line in (*lines, *template.basis.of_the_card(decision)))
    text = text_with(fill_detail(template.texts, decision), remarks, messages)
    return f"{text}\n\n**{messages.text('card.basis heading')}**\n\n{basis}"


def _suggestions(
    decision: Decision, summary: str, uuid: UUID, call: _Call
) -> Iterator[CardSuggestion]:
    if not decision.orders:
        return
    index, encounter = decision.frame.index_result, call.context.encounter_id
    filling = filling_of(
        patient=call.context.patient_id,
        encounter=relative_reference("Encounter", encounter),
        reason=relative_reference("Observation", index.reference) if index else None,
        because=summary,
        today=call.outcome.now.astimezone(call.templates.zone).date(),
    )
    for group, proposals in _offered(decision, grouped=call.grouped):
        labels = tuple(_in_window((proposal,), call.templates) for proposal in proposals)
        yield CardSuggestion(
            label=_group_label(group, proposals, call.templates) if group else labels[0],
            uuid=_named_uuid(uuid, proposals[0].order if group is None else f"group {group}"),
            is_recommended=_recommended(proposals),
            actions=tuple(
                Action(
                    type="create",
                    description=call.templates.messages.text("card.order", label=label),
                    resource=call.templates.orders[proposal.order].filled(proposal, filling),
                )
                for proposal, label in zip(proposals, labels, strict=True)
            ),
        )


def _offered(
    decision: Decision, *, grouped: bool
) -> Iterator[tuple[str | None, tuple[Proposal, ...]]]:
    """What each suggestion holds: the orders of a group, or one order alone."""
    seen: set[str] = set()
    for proposal in decision.orders:
        group = proposal.group if grouped else None
        if group is None:
            yield None, (proposal,)
        elif group not in seen:
            seen.add(group)
            yield group, tuple(proposal for proposal in decision.orders if proposal.group == group)


def _recommended(proposals: Sequence[Proposal]) -> bool | None:
    """The one opinion on all of them; where one is not recommended, they are not together."""
    opinions = {proposal.recommended for proposal in proposals}
    if len(opinions) == 1:
        return opinions.pop()
    return False if False in opinions else None


def _group_label(group: str, proposals: Sequence[Proposal], templates: CardTemplates) -> str:
    """The name of the group and its orders, neighbours of one window together."""
    together = [
        list(orders)
        for _, orders in groupby(
            proposals,
            key=lambda proposal: (proposal.first_day, proposal.last_day, proposal.priority),
        )
    ]
    orders = "; ".join(_in_window(proposal, templates) for proposal in together)
    name = templates.pack.order_groups[group]
    return templates.messages.text("card.group label", group=name, orders=orders)


def _in_window(proposals: Sequence[Proposal], templates: CardTemplates) -> str:
    """Orders of one window with it and, if it is more than routine, with their priority."""
    messages, first = templates.messages, proposals[0]
    order = ", ".join(templates.orders[proposal.order].order.title for proposal in proposals)
    window = window_of(first, messages).window
    if first.priority == "routine":
        return messages.text("card.order label", order=order, window=window)
    priority = messages.text(cast("MessageKey", f"priority.{first.priority}"))
    return messages.text("card.order label urgent", order=order, window=window, priority=priority)


def _extension(decision: Decision, pack: Pack) -> Extension:
    ours: dict[str, object] = {
        "rule": decision.rule.id,
        "ruleVersion": decision.rule.version,
        "pack": pack.id,
        "packVersion": pack.version,
    }
    if decision.preliminary:
        ours["preliminary"] = True
    if decision.frame.set_aside is not None:
        ours["marker"] = decision.frame.set_aside.marker
    return {CARD_EXTENSION: ours}


def _topic(rule: Rule, pack: Pack) -> Coding:
    # Epic takes letters and digits only and remembers by it what was acknowledged (Q-EP-12).
    code = rule.id.replace("-", "")
    return Coding(code=code, system=f"{pack.url}/rules", display=rule.title)


def _links(rule: Rule, pack: Pack) -> Iterator[CardLink]:
    with_page = [source for source in sources_of(rule, pack) if source.url is not None]
    for source in with_page[:_MOST_LINKS]:
        yield CardLink(label=source.title, url=source.url or "", type="absolute")
