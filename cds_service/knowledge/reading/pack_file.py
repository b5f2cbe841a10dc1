# SPDX-License-Identifier: Apache-2.0
"""`pack.yaml` and `sources.yaml` -> what holds for the whole pack."""

import re
from collections.abc import Collection
from dataclasses import dataclass

from cds_service.knowledge.model.facts import DenyingWords
from cds_service.knowledge.model.pack import (
    Change,
    Example,
    OverrideReason,
    Reason,
    Replacement,
    Scope,
    Service,
    Source,
)
from cds_service.knowledge.reading.facts_orders_measures import read_reason
from cds_service.knowledge.reading.history import read_history
from cds_service.knowledge.reading.phrases import Phrases
from cds_service.knowledge.reading.schemas import (
    PackShape,
    ReplacementShape,
    ScopeShape,
    SourceShape,
)
from cds_service.sourcefile.diagnostics import nearest
from cds_service.sourcefile.document import Document, Where
from cds_service.sourcefile.schema import read_shape

_DAYS = re.compile(r"([0-9]+) days?")
_MINUTES = re.compile(r"([0-9]+) minutes?")
_AFTER_HOURS = re.compile(r"set aside after ([0-9]+) hours?")
DECEASED = "deceased"


@dataclass(frozen=True, slots=True, kw_only=True)
class PackHead:
    """The parts of a pack that `pack.yaml` holds."""

    services: tuple[Service, ...]
    scope: Scope
    override_reasons: tuple[OverrideReason, ...]
    precedence: tuple[Replacement, ...]
    examples: tuple[Example, ...]
    history: tuple[Change, ...]


def read_pack_head(shape: PackShape, reader: Phrases, rules: Collection[str]) -> PackHead:
    """Services, scope and precedence; problems are noted in the reader."""
    return PackHead(
        services=tuple(
            Service(id=line.id, hook=line.hook, title=line.title, description=line.description)
            for line in shape.services
        ),
        scope=_scope(shape.scope, reader),
        override_reasons=tuple(
            OverrideReason(code=line.code, display=line.display) for line in shape.override_reasons
        ),
        precedence=tuple(
            replacement
            for n, line in enumerate(shape.precedence)
            if (replacement := _replacement(line, ("precedence", n), reader, rules))
        ),
        examples=tuple(
            Example(id=line.id, title=line.title, given=line.given) for line in shape.examples
        ),
        history=read_history(shape.history),
    )


def _scope(shape: ScopeShape, reader: Phrases) -> Scope:
    where: Where = ("scope", "silent for")
    reasons: list[Reason] = []
    for n, line in enumerate(shape.silent_for):
        if isinstance(line, dict):
            reasons.extend(read_reason(line, (*where, n), reader))
        elif line != DECEASED:
            help_text = f"write '{DECEASED}', or a condition with 'because: word'"
            reader.problem("K202", (*where, n), f"cannot read '{line}'", help_text)
    return Scope(
        silent_if_deceased=DECEASED in shape.silent_for,
        silent_when=tuple(reasons),
        index_days=_count(shape.index, _DAYS, "index no older than", reader),
        draw_minutes=_count(shape.draw, _MINUTES, "one draw within", reader),
        future_hours=_count(shape.future, _AFTER_HOURS, "results in the future", reader),
        order_days=_count(shape.orders, _DAYS, "open orders count for", reader),
        denying=DenyingWords(
            before=tuple(shape.denied.before), anywhere=tuple(shape.denied.anywhere)
        ),
    )


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
    joined = shape.orders == "joined"
    if shape.strongest_of and not (shape.by or shape.replaced):
        ranking = tuple(shape.strongest_of)
        return Replacement(by=ranking, replaced=ranking, orders_join=joined, strongest=True)
    if shape.by and shape.replaced and not shape.strongest_of:
        return Replacement(by=tuple(shape.by), replaced=tuple(shape.replaced), orders_join=joined)
    reader.problem("K106", where, "write either 'strongest of: [...]' or 'by:' and 'replaced:'")
    return None


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
