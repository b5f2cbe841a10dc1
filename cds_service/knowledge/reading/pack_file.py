# SPDX-License-Identifier: Apache-2.0
"""`pack.yaml` and `sources.yaml` -> what holds for the whole pack."""

import re
from collections.abc import Collection, Iterator
from dataclasses import dataclass, replace

from cds_service.knowledge.model.facts import DenyingWords
from cds_service.knowledge.model.pack import CardLimit, Change, Reason, Replacement, Scope, Service
from cds_service.knowledge.model.pack_file import Example, OverrideReason, Signature, Source
from cds_service.knowledge.reading.history import read_history
from cds_service.knowledge.reading.orders_measures_patterns import read_reason
from cds_service.knowledge.reading.pack_shapes import (
    CardLimitShape,
    PackShape,
    ReplacementShape,
    ScopeShape,
    SignedShape,
)
from cds_service.knowledge.reading.phrases import Phrases
from cds_service.knowledge.reading.schemas import SourceShape
from cds_service.knowledge.reading.vocabulary import COUNT
from cds_service.sourcefile.diagnostics import nearest
from cds_service.sourcefile.document import Data, Document, Where
from cds_service.sourcefile.schema import read_shape

_DAYS = re.compile(rf"({COUNT}) days?")
_MINUTES = re.compile(rf"({COUNT}) minutes?")
_AFTER_HOURS = re.compile(rf"set aside after ({COUNT}) hours?")
DECEASED = "deceased"
_BUT_FOR = "but for"


@dataclass(frozen=True, slots=True, kw_only=True)
class PackHead:
    """The parts of a pack that `pack.yaml` holds."""

    services: tuple[Service, ...]
    scope: Scope
    override_reasons: tuple[OverrideReason, ...]
    precedence: tuple[Replacement, ...]
    cards: CardLimit | None
    examples: tuple[Example, ...]
    history: tuple[Change, ...]
    signature: Signature | None


def read_pack_head(shape: PackShape, reader: Phrases, rules: Collection[str]) -> PackHead:
    """Services, scope and precedence; problems are noted in the reader."""
    return PackHead(
        services=tuple(
            Service(
                id=line.id,
                hook=line.hook,
                title=line.title,
                description=line.description,
                least=line.least,
                on_arrival=line.on_arrival == "yes",
            )
            for line in shape.services
        ),
        scope=_scope(shape.scope, reader, rules),
        override_reasons=tuple(
            OverrideReason(code=line.code, display=line.display) for line in shape.override_reasons
        ),
        precedence=tuple(
            replacement
            for n, line in enumerate(shape.precedence)
            if (replacement := _replacement(line, ("precedence", n), reader, rules))
        ),
        cards=_card_limit(shape.cards),
        examples=tuple(
            Example(id=line.id, title=line.title, given=line.given, corrected=line.corrected)
            for line in shape.examples
        ),
        history=read_history(shape.history),
        signature=_signature(shape.signed),
    )


def _card_limit(shape: CardLimitShape | None) -> CardLimit | None:
    return None if shape is None else CardLimit(at_most=int(shape.at_most), rank=tuple(shape.rank))


def _signature(shape: SignedShape | None) -> Signature | None:
    return None if shape is None else Signature(by=shape.by, on=shape.on, lock=shape.lock)


def _scope(shape: ScopeShape, reader: Phrases, rules: Collection[str]) -> Scope:
    where: Where = ("scope", "silent for")
    silent: list[Reason] = []
    for n, line in enumerate(shape.silent_for):
        if isinstance(line, dict):
            silent.extend(_silence(line, (*where, n), reader, rules))
        elif line != DECEASED:
            help_text = f"write '{DECEASED}', or a condition with 'because: word'"
            reader.problem("K202", (*where, n), f"cannot read '{line}'", help_text)
    return Scope(
        silent_if_deceased=DECEASED in shape.silent_for,
        silent_when=tuple(silent),
        index_days=_count(shape.index, _DAYS, "index no older than", reader),
        draw_minutes=_count(shape.draw, _MINUTES, "one draw within", reader),
        future_hours=_count(shape.future, _AFTER_HOURS, "results in the future", reader),
        order_days=_count(shape.orders, _DAYS, "open orders count for", reader),
        denying=DenyingWords(
            before=tuple(shape.denied.before), anywhere=tuple(shape.denied.anywhere)
        ),
    )


def _silence(
    line: dict[str, Data], where: Where, reader: Phrases, rules: Collection[str]
) -> Iterator[Reason]:
    named = line.get(_BUT_FOR, [])
    but_for = named if isinstance(named, list) else [named]
    for name in but_for:
        if not isinstance(name, str):
            reader.problem("K202", (*where, _BUT_FOR), "cannot read this", "write the ids of rules")
        elif name not in rules:
            remedy = nearest(name, rules)
            reader.problem("K301", (*where, _BUT_FOR), f"there is no rule '{name}'", remedy)
    words = {key: value for key, value in line.items() if key != _BUT_FOR}
    for reason in read_reason(words, where, reader):
        yield replace(reason, but_for=tuple(map(str, but_for)))


def _count(text: str, pattern: re.Pattern[str], key: str, reader: Phrases) -> int:
    match = pattern.fullmatch(text)
    if match is None:
        reader.problem(
            "K202", ("scope", key), f"cannot read '{text}'", "write for example: 90 days"
        )
        return 0
    return int(match[1])


def _replacement(
    shape: ReplacementShape, where: Where, reader: Phrases, rules: Collection[str]
) -> Replacement | None:
    named = [*(shape.strongest_of or []), *(shape.by or []), *(shape.replaced or [])]
    for rule in named:
        if rule not in rules:
            reader.problem("K301", where, f"there is no rule '{rule}'", nearest(rule, rules))
    is_ranking = bool(shape.strongest_of)
    if is_ranking == bool(shape.by or shape.replaced) or bool(shape.by) != bool(shape.replaced):
        reader.problem("K106", where, "write either 'strongest of: [...]' or 'by:' and 'replaced:'")
        return None
    when = None if shape.when is None else reader.condition(shape.when, (*where, "when"))
    return Replacement(
        by=tuple(shape.strongest_of or shape.by or ()),
        replaced=tuple(shape.strongest_of or shape.replaced or ()),
        orders_join=shape.orders == "joined",
        strongest=is_ranking,
        indicator_rises=shape.indicator == "the higher",
        only_as=shape.only_as,
        when=when,
    )


def read_sources(document: Document, reader: Phrases) -> dict[str, Source]:
    """`sources.yaml`: id -> source."""
    if not isinstance(document.data, dict):
        reader.problem("K106", (), "write 'id: {title: ..., url: ...}' lines")
        return {}
    sources: dict[str, Source] = {}
    for key, data in document.data.items():
        shape, problems = read_shape(SourceShape, data, document, (key,))
        reader.problems.extend(problems)
        if shape is not None:
            sources[key] = Source(id=key, title=shape.title, url=shape.url)
    return sources
