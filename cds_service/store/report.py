# SPDX-License-Identifier: Apache-2.0
"""What clinicians did with the cards of each rule: acceptance and reasons, never a comment.

A card counts once, however often it was reported: as accepted if a suggestion of it ever was, else
as overridden. A card without feedback was ignored, or is still to be answered, or its client
reports nothing: it is counted apart and is neither (CDS Hooks 2.0.1, "Card ignored").
"""

from collections.abc import Iterable, Mapping

from msgspec import Struct
from sqlalchemy import ColumnElement, Connection, Row, Subquery, and_, case, func, select

from cds_service.knowledge.model.pack import Pack
from cds_service.store.store import Store
from cds_service.store.tables import cards_shown, feedback

NO_REASON = "no reason given"
_KEY = (cards_shown.c.pack, cards_shown.c.rule, cards_shown.c.version)


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
    """Every rule that showed a card, and how many cards nobody knows that feedback came for."""

    rules: tuple[RuleFeedback, ...]
    unknown_cards: int


def report(store: Store, packs: Iterable[Pack]) -> Report:
    """The report over everything that is kept; raises `StoreError`."""
    known = {pack.id: pack for pack in packs}
    with store.database.reading() as connection:
        answered = _answered()
        reasons = _reasons(connection, answered, known)
        counts = connection.execute(
            select(
                *_KEY,
                func.count().label("shown"),
                func.sum(func.coalesce(answered.c.accepted, 0)).label("accepted"),
                func.count(answered.c.card).label("answered"),
            )
            .outerjoin_from(cards_shown, answered, _same_card(answered))
            .group_by(*_KEY)
            .order_by(*_KEY)
        ).all()
        unknown = connection.execute(
            select(func.count())
            .select_from(answered.outerjoin(cards_shown, _same_card(answered)))
            .where(cards_shown.c.card.is_(None))
        ).scalar_one()
    rules = tuple(_rule(row, known, reasons) for row in counts)
    return Report(rules=rules, unknown_cards=unknown)


def _answered() -> Subquery:
    """One row a card that feedback came for; `accepted` is 1 if a suggestion was, else 0."""
    accepted = case((feedback.c.outcome == "accepted", 1), else_=0)
    return (
        select(feedback.c.client, feedback.c.card, func.max(accepted).label("accepted"))
        .group_by(feedback.c.client, feedback.c.card)
        .subquery()
    )


def _same_card(answered: Subquery) -> ColumnElement[bool]:
    return and_(answered.c.client == cards_shown.c.client, answered.c.card == cards_shown.c.card)


def _reasons(
    connection: Connection, answered: Subquery, packs: Mapping[str, Pack]
) -> Mapping[tuple[str, str, str], tuple[OverrideCount, ...]]:
    """The reasons of each rule and version, the most frequent first."""
    name = func.coalesce(feedback.c.reason_code, feedback.c.reason_display, "")
    cards = func.count(feedback.c.card.distinct())
    rows = connection.execute(
        select(*_KEY, name, func.min(feedback.c.reason_display), cards)
        .join_from(cards_shown, answered, _same_card(answered))
        .join(
            feedback,
            and_(feedback.c.client == answered.c.client, feedback.c.card == answered.c.card),
        )
        .where(answered.c.accepted == 0)
        .group_by(*_KEY, name)
        .order_by(*_KEY, cards.desc(), name)
    )
    found: dict[tuple[str, str, str], list[OverrideCount]] = {}
    for pack, rule, version, code, display, count in rows:
        offered = packs[pack].override_reasons if pack in packs else ()
        ours = {one.code: one.display for one in offered}
        text = ours.get(code) or display or code or NO_REASON
        reason = OverrideCount(display=text, code=code, cards=count)
        found.setdefault((pack, rule, version), []).append(reason)
    return {key: tuple(reasons) for key, reasons in found.items()}


def _rule(
    row: Row[str, str, str, int, int, int],
    packs: Mapping[str, Pack],
    reasons: Mapping[tuple[str, str, str], tuple[OverrideCount, ...]],
) -> RuleFeedback:
    pack, rule, version, shown, accepted, answered = row
    described = packs[pack].rules.get(rule) if pack in packs else None
    return RuleFeedback(
        pack=pack,
        rule=rule,
        version=version,
        title=described.title if described is not None else rule,
        shown=shown,
        accepted=int(accepted),
        overridden=answered - int(accepted),
        unanswered=shown - answered,
        reasons=reasons.get((pack, rule, version), ()),
    )
