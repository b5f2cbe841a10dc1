# SPDX-License-Identifier: Apache-2.0
"""The decisions on results that arrived, for people: what was written, or would have been.

No patient is shown, unless the reader may see those of the server. Methods raise `StoreError`.
"""

import zlib
from collections.abc import Callable, Iterable, Iterator, Mapping
from datetime import datetime
from typing import Any, Final, TypeAlias

from msgspec import Struct
from msgspec.json import Decoder
from sqlalchemy import Row, Select, func, literal, select

from cds_service.explanation.view import NamedView, View
from cds_service.knowledge.model.pack import Pack
from cds_service.render.values import Window
from cds_service.store.store import Transactions
from cds_service.store.tables import decisions

LOOKED_AT: Final = 500
"""How many of the newest decisions are looked at; those without advice are left out of a list."""

_MOST_COUNTED: Final = 100_000

STATE_WORDS: Final[Mapping[str, str]] = {
    "not-written": "would have been written",
    "not-withdrawn": "would have been withdrawn",
    "refused": "refused by the server",
    "open": "written",
    "withdrawing": "still to be withdrawn",
    "cancelled": "withdrawn",
    "rejected": "turned down by somebody",
    "not-found": "no longer found on the server",
    "left-alone": "left alone: somebody works on it",
}
"""What became of advice, for people."""

Sees: TypeAlias = Callable[[str], bool]
"""Whether the reader may see the patients of a server."""


def nobody(server: str) -> bool:  # noqa: ARG001 - what a `Sees` is given
    """Of no server."""
    return False


class ProposedOrder(NamedView, frozen=True, kw_only=True):
    """An order that advice proposes, and in words when it is to be done."""

    window: str = ""


class AdviceView(View, frozen=True, kw_only=True):
    """What became of the advice of one rule; `missing` is what was not known.

    `state` is `not-written` or `not-withdrawn` in silent mode, `refused` by the server, or as in
    `advice_written`; `why` is the reason for which it was withdrawn, or would have been. `current`
    is the version of the rule in the packs of today, empty if they no longer have it.
    """

    rule: str
    title: str
    indicator: str
    state: str
    why: str = ""
    version: str = ""
    current: str = ""
    orders: tuple[ProposedOrder, ...] = ()
    missing: tuple[NamedView, ...] = ()


class OtherRule(View, frozen=True, kw_only=True):
    """A rule that would have had a card, and why it has none."""

    rule: str
    title: str
    because: str


class DecisionView(View, frozen=True, kw_only=True):
    """One decision; `patient` and `results` are for those who may see them.

    `is_input_gone`: what it was derived from was removed, so that it cannot be derived again.
    """

    id: int
    server: str
    decided: datetime
    mode: str
    written: str
    problem: str = ""
    packs: tuple[str, ...] = ()
    advice: tuple[AdviceView, ...] = ()
    others: tuple[OtherRule, ...] = ()
    is_input_gone: bool = False
    patient: str = ""
    results: tuple[str, ...] = ()


class DecisionPage(View, frozen=True, kw_only=True):
    """The newest decisions with advice.

    Of `total` decisions, counted up to a limit, `looked_at` were read: of these `without_advice`
    had nothing to write, and `left_out` had, but do not fit.
    """

    decisions: tuple[DecisionView, ...]
    left_out: int
    without_advice: int
    looked_at: int
    total: int
    is_more: bool = False  # there are more than were counted


class DecisionList:
    """The decisions of a database, in the words of these packs."""

    def __init__(self, database: Transactions, packs: Iterable[Pack]) -> None:
        self._database = database
        self._packs = {pack.id: pack for pack in packs}

    def newest(self, most: int, *, every: bool = False, sees: Sees = nobody) -> DecisionPage:
        """The newest decisions with advice, or `every` one."""
        question = _question().order_by(decisions.c.id.desc()).limit(max(most, LOOKED_AT))
        with self._database.reading() as connection:
            rows = connection.execute(question).all()
            some = select(literal(1)).select_from(decisions).limit(_MOST_COUNTED + 1).subquery()
            total: int = connection.execute(select(func.count()).select_from(some)).scalar_one()
        found = [self._view(row) for row in rows]
        wanted = [view for view in found if every or view.advice]
        return DecisionPage(
            decisions=self._with_patients(wanted[:most], sees),
            left_out=len(wanted[most:]),
            without_advice=0 if every else len(found) - len(wanted),
            looked_at=len(found),
            total=min(total, _MOST_COUNTED),
            is_more=total > _MOST_COUNTED,
        )

    def one(self, number: int, *, sees: Sees = nobody) -> DecisionView | None:
        """The decision of this id."""
        with self._database.reading() as connection:
            row = connection.execute(_question().where(decisions.c.id == number)).first()
        if row is None:
            return None
        (found,) = self._with_patients([self._view(row)], sees)
        return found

    def _with_patients(self, found: Iterable[DecisionView], sees: Sees) -> tuple[DecisionView, ...]:
        """The same with the patients of those servers whose patients the reader may see."""
        views = tuple(found)
        seen = [view.id for view in views if sees(view.server)]
        if not seen:
            return views
        table = decisions.c
        question = select(table.id, table.patient, table.input).where(table.id.in_(seen))
        with self._database.reading() as connection:
            about = {row.id: (row.patient, row.input) for row in connection.execute(question)}
        return tuple(
            _of_patient(view, *about[view.id]) if view.id in about else view for view in views
        )

    def _view(self, row: Row[Any]) -> DecisionView:
        findings: list[Mapping[str, Any]] = list(row.findings)
        shown = [
            finding for finding in findings if "advice" not in finding and "because" not in finding
        ]
        changes = [finding for finding in findings if "advice" in finding]
        if row.written == "failed":
            changes += [
                {"advice": "refused", **finding} for finding in shown if "indicator" in finding
            ]
        return DecisionView(
            id=row.id,
            server=row.server,
            decided=row.decided,
            mode=row.mode,
            written=row.written,
            problem=row.problem,
            is_input_gone=bool(row.is_input_gone),
            packs=tuple(_versions(row.packs)),
            advice=tuple(self._advice(changes, shown)),
            others=tuple(
                OtherRule(
                    rule=finding["rule"],
                    title=self._title(finding["rule"]),
                    because=finding["because"],
                )
                for finding in findings
                if "because" in finding
            ),
        )

    def _advice(
        self, changes: Iterable[Mapping[str, Any]], shown: Iterable[Mapping[str, Any]]
    ) -> Iterator[AdviceView]:
        left = list(shown)
        for change in changes:
            of_rule = (n for n, entry in enumerate(left) if entry["rule"] == change["rule"])
            place = next(of_rule, None)
            finding = {} if place is None else left.pop(place)
            pack = self._pack_of(change["rule"])
            yield AdviceView(
                rule=change["rule"],
                title=self._title(change["rule"]),
                indicator=change["indicator"],
                state=change["advice"],
                why=change.get("why", ""),
                version=finding.get("version", ""),
                current=pack.rules[change["rule"]].version if pack is not None else "",
                orders=tuple(self._order(order, pack) for order in finding.get("orders", ())),
                missing=tuple(_fact(leaf, pack) for leaf in finding.get("unknown", ())),
            )

    def _pack_of(self, rule: str) -> Pack | None:
        """The pack of today that has this rule."""
        return next((pack for pack in self._packs.values() if rule in pack.rules), None)

    def _title(self, rule: str) -> str:
        pack = self._pack_of(rule)
        return rule if pack is None else pack.rules[rule].title

    def _order(self, found: Mapping[str, Any], pack: Pack | None) -> ProposedOrder:
        order = None if pack is None else pack.orders.get(found["order"])
        if pack is None or order is None:
            return ProposedOrder(id=found["order"], title=found["order"])
        first, last = found["withinDays"]
        window = Window(first, last, found["priority"], pack.messages_in())
        return ProposedOrder(id=order.id, title=order.title, window=window.window)


class _Reference(Struct):
    reference: str


class _About(Struct):
    """Of what a decision was derived from, the results that arrived."""

    arrived: tuple[_Reference, ...] = ()


_ABOUT: Final = Decoder(_About)


def _question() -> Select[Any]:
    """What is shown of a decision: not what it was derived from."""
    table = decisions.c
    return select(
        table.id,
        table.server,
        table.decided,
        table.mode,
        table.written,
        table.problem,
        table.packs,
        table.findings,
        (func.length(table.input) == 0).label("is_input_gone"),
    )


def _of_patient(view: DecisionView, patient: str, kept: bytes) -> DecisionView:
    members = {name: getattr(view, name) for name in view.__struct_fields__}
    arrived = _ABOUT.decode(zlib.decompress(bytes(kept))).arrived if kept else ()
    results = tuple(dict.fromkeys(version.reference for version in arrived))
    return DecisionView(**members | {"patient": patient, "results": results})


def _versions(packs: Mapping[str, Any]) -> Iterator[str]:
    return (f"{name} {pack.get('version', '')}".strip() for name, pack in packs.items())


def _fact(subject: str, pack: Pack | None) -> NamedView:
    """What was not known: a fact by its title, or a property of the person."""
    fact = None if pack is None else pack.facts.get(subject)
    return NamedView(id=subject, title=subject if fact is None else fact.title)
