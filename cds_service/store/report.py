# SPDX-License-Identifier: Apache-2.0
"""What clinicians did with the cards of each rule: acceptance and reasons, never a comment.

A card counts once, however often it was reported: as accepted if a suggestion of it ever was, else
as overridden. A card without feedback was ignored, or is still to be answered, or its client
reports nothing: it is counted apart and is neither (CDS Hooks 2.0.1, "Card ignored"). So are the
cards of the sandbox, which nobody was shown at work.
"""

from collections.abc import Iterable, Mapping
from typing import TypeAlias

from msgspec import Struct
from sqlalchemy import Connection, case, func, select

from cds_service.call_context import SANDBOX
from cds_service.knowledge.model.pack import Pack
from cds_service.store.store import RuleVersion, Store
from cds_service.store.tables import card_counts, feedback

NO_REASON = "no reason given"
_KEY = (feedback.c.pack, feedback.c.rule, feedback.c.version)
_Packs: TypeAlias = Mapping[str, Pack]


class OverrideCount(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A reason for overriding, and for how many cards it was given."""

    display: str
    cards: int
    code: str = ""


class RuleFeedback(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What became of the cards of one version of a rule; the three counts add up to `shown`."""

    pack: str
    rule: str
    version: str
    title: str
    shown: int
    accepted: int
    overridden: int
    unanswered: int
    reasons: tuple[OverrideCount, ...] = ()


class Report(Struct, frozen=True, kw_only=True, rename="camel"):
    """Every rule that showed a card, and cards that are counted apart.

    `unknown_cards` are those of which nobody knows what feedback came for; `sandbox_cards` were
    shown in the sandbox.
    """

    rules: tuple[RuleFeedback, ...]
    unknown_cards: int
    sandbox_cards: int = 0


def report(store: Store, packs: Iterable[Pack]) -> Report:
    """The report over everything that is kept; raises `StoreError`."""
    known = {pack.id: pack for pack in packs}
    with store.database.reading() as connection:
        shown = _shown(connection)
        answered = _answered(connection)
        reasons = _reasons(connection, known)
        unknown = _unknown(connection)
        in_sandbox = connection.execute(
            select(func.sum(card_counts.c.cards)).where(card_counts.c.client == SANDBOX)
        ).scalar_one()
    return Report(
        rules=tuple(
            _rule(
                key,
                known.get(key.pack),
                shown.get(key, 0),
                answered.get(key, (0, 0)),
                reasons.get(key, ()),
            )
            for key in sorted(shown.keys() | answered.keys())
        ),
        unknown_cards=unknown,
        sandbox_cards=in_sandbox or 0,
    )


def _shown(connection: Connection) -> Mapping[RuleVersion, int]:
    table = card_counts.c
    key = (table.pack, table.rule, table.version)
    counted = select(*key, func.sum(table.cards)).where(table.client != SANDBOX).group_by(*key)
    return {
        RuleVersion(pack, rule, version): int(cards)
        for pack, rule, version, cards in connection.execute(counted)
    }


def _answered(connection: Connection) -> Mapping[RuleVersion, tuple[int, int]]:
    """How many cards of each rule feedback came for, and how many of them were accepted."""
    accepted = func.max(case((feedback.c.outcome == "accepted", 1), else_=0)).label("accepted")
    cards = (
        select(*_KEY, accepted)
        .where(feedback.c.client != SANDBOX, feedback.c.rule.is_not(None))
        .group_by(*_KEY, feedback.c.client, feedback.c.card)
        .subquery()
    )
    key = (cards.c.pack, cards.c.rule, cards.c.version)
    counted = select(*key, func.count(), func.sum(cards.c.accepted)).group_by(*key)
    return {
        RuleVersion(pack, rule, version): (total, int(accepted))
        for pack, rule, version, total, accepted in connection.execute(counted)
    }


def _unknown(connection: Connection) -> int:
    """How many cards feedback came for of which nobody knows the rule."""
    cards = (
        select(feedback.c.client, feedback.c.card)
        .where(feedback.c.client != SANDBOX, feedback.c.rule.is_(None))
        .distinct()
        .subquery()
    )
    return connection.execute(select(func.count()).select_from(cards)).scalar_one()


def _reasons(
    connection: Connection, packs: _Packs
) -> Mapping[RuleVersion, tuple[OverrideCount, ...]]:
    """The reasons of each rule and version, the most frequent first."""
    name = func.coalesce(feedback.c.reason_code, feedback.c.reason_display, "")
    answered = (
        select(feedback.c.client, feedback.c.card)
        .where(feedback.c.client != SANDBOX)
        .group_by(feedback.c.client, feedback.c.card)
        .having(func.max(case((feedback.c.outcome == "accepted", 1), else_=0)) == 0)
        .subquery()
    )
    cards = func.count(feedback.c.card.distinct())
    same_card = (feedback.c.client == answered.c.client) & (feedback.c.card == answered.c.card)
    rows = connection.execute(
        select(*_KEY, name, func.min(feedback.c.reason_display), cards)
        .join_from(feedback, answered, same_card)
        .where(feedback.c.rule.is_not(None))
        .group_by(*_KEY, name)
        .order_by(*_KEY, cards.desc(), name)
    )
    found: dict[RuleVersion, list[OverrideCount]] = {}
    for pack, rule, version, code, display, count in rows:
        offered = packs[pack].override_reasons if pack in packs else ()
        ours = {reason.code: reason.display for reason in offered}
        text = ours.get(code) or display or code or NO_REASON
        reason = OverrideCount(display=text, code=code, cards=count)
        found.setdefault(RuleVersion(pack, rule, version), []).append(reason)
    return {key: tuple(reasons) for key, reasons in found.items()}


def _rule(
    key: RuleVersion,
    pack: Pack | None,
    counted: int,
    answered: tuple[int, int],
    reasons: tuple[OverrideCount, ...],
) -> RuleFeedback:
    described = pack.rules.get(key.rule) if pack is not None else None
    total, accepted = answered
    shown = max(counted, total)  # a process that was killed did not count its last cards
    return RuleFeedback(
        pack=key.pack,
        rule=key.rule,
        version=key.version,
        title=described.title if described is not None else key.rule,
        shown=shown,
        accepted=accepted,
        overridden=total - accepted,
        unanswered=shown - total,
        reasons=reasons,
    )
