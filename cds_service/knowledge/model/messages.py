# SPDX-License-Identifier: Apache-2.0
"""The sentences that cards share, whatever their rule, in one language.

They are text in `cards/messages.LANGUAGE.yaml`. `PLACEHOLDERS` names every message with what it is
filled with; `reading.messages` checks a file against it.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal, TypeAlias, get_args

ENGLISH = "en"

Titles: TypeAlias = Mapping[str, Mapping[str, str]]
"""The titles of a pack in one language: by section, such as `markers`, then by id."""

MessageKey: TypeAlias = Literal[
    "card.basis heading",
    "card.judgement",
    "card.rule",
    "card.sources",
    "card.order",
    "card.order label",
    "card.order label urgent",
    "card.explainer link",
    "card.rule link",
    "card.no site code",
    "result.shown",
    "result.converted",
    "result.not used",
    "result.set aside",
    "result.date not known",
    "result.issued",
    "result.not final",
    "result.no upper limit",
    "result.limit",
    "result.multiple of limit",
    "result.method",
    "result.method not named",
    "result.hemolysed",
    "result.near boundary",
    "result.previous",
    "status.preliminary",
    "status.amended",
    "status.corrected",
    "priority.routine",
    "priority.urgent",
    "priority.asap",
    "priority.stat",
    "line.computed",
    "line.measure",
    "line.measure called",
    "line.facts",
    "line.fact",
    "line.not known",
    "line.age",
    "line.sex",
    "line.deceased",
    "line.not proposed",
    "line.order not proposed",
    "line.preliminary",
    "line.incomplete",
    "incomplete.laboratory results",
    "incomplete.medicines",
    "incomplete.conditions",
    "incomplete.open orders",
    "incomplete.patient",
    "incomplete.some data",
    "incomplete.not fetched",
    "incomplete.only a part",
    "incomplete.unreadable",
    "incomplete.only those being made",
    "incomplete.unnamed",
    "value.not known",
    "value.no value",
    "value.no unit",
    "value.between",
    "value.last of list",
    "value.more names",
    "value.only a count",
    "limit.laboratory",
    "limit.fallback",
    "limit.site",
    "window.one day",
    "window.days",
    "window.from day",
    "window.from week",
    "reason.condition-not-met",
    "reason.replaced-by",
    "reason.offered-by",
    "reason.overridden",
    "reason.no-eligible",
    "reason.index-preliminary",
    "reason.deceased",
    "reason.switched off by the site",
    "reason.active-order-exists",
    "reason.result-since-index",
    "reason.hemolyzed-specimen",
    "reason.not-applicable:comparator",
    "set aside.code-not-in-pack",
    "set aside.code-conflict",
    "set aside.other-patient",
    "set aside.no-subject",
    "set aside.invalid-resource",
    "set aside.modifier-extension",
    "set aside.status:registered",
    "set aside.status:preliminary",
    "set aside.status:cancelled",
    "set aside.status:entered-in-error",
    "set aside.status:unknown",
    "set aside.status:missing",
    "set aside.status:invalid",
    "set aside.no-time",
    "set aside.future-dated",
    "set aside.no-value",
    "set aside.unparseable",
    "set aside.unit-missing",
    "set aside.unit-unknown",
    "set aside.unit-conflict",
    "set aside.implausible",
    "set aside.superseded",
    "set aside.conflicting-duplicates",
    "site.value",
    "site.code",
    "site.switched off",
]
KEYS: frozenset[str] = frozenset(get_args(MessageKey))

# What a message is filled with; those that are not here hold no placeholder.
PLACEHOLDERS: Mapping[MessageKey, frozenset[str]] = {
    "card.rule": frozenset({"rule", "version", "pack", "pack_version"}),
    "card.sources": frozenset({"sources"}),
    "card.order": frozenset({"label"}),
    "card.order label": frozenset({"order", "window"}),
    "card.order label urgent": frozenset({"order", "window", "priority"}),
    "card.explainer link": frozenset({"marker"}),
    "card.rule link": frozenset({"rule"}),
    "card.no site code": frozenset({"order"}),
    "result.shown": frozenset({"title", "value", "when"}),
    "result.converted": frozenset({"value", "converted"}),
    "result.not used": frozenset({"title", "reason"}),
    "result.set aside": frozenset({"title", "value", "when", "reason"}),
    "result.issued": frozenset({"when"}),
    "result.not final": frozenset({"when", "status"}),
    "result.limit": frozenset({"limit", "source"}),
    "result.multiple of limit": frozenset({"multiple", "limit", "source"}),
    "result.method": frozenset({"method"}),
    "result.previous": frozenset({"value", "date"}),
    "line.computed": frozenset({"measures"}),
    "line.measure": frozenset({"measure", "value"}),
    "line.measure called": frozenset({"measure", "value", "name"}),
    "line.facts": frozenset({"facts"}),
    "line.fact": frozenset({"fact", "names"}),
    "line.not known": frozenset({"names"}),
    "line.not proposed": frozenset({"orders"}),
    "line.order not proposed": frozenset({"order", "reason"}),
    "line.incomplete": frozenset({"parts"}),
    "incomplete.not fetched": frozenset({"part"}),
    "incomplete.only a part": frozenset({"part"}),
    "incomplete.unreadable": frozenset({"part"}),
    "incomplete.only those being made": frozenset({"part"}),
    "incomplete.unnamed": frozenset({"part"}),
    "value.between": frozenset({"low", "high"}),
    "value.last of list": frozenset({"first", "last"}),
    "value.more names": frozenset({"first", "count"}),
    "value.only a count": frozenset({"count"}),
    "window.days": frozenset({"last"}),
    "window.from day": frozenset({"first", "last"}),
    "window.from week": frozenset({"first", "last"}),
    "reason.no-eligible": frozenset({"marker"}),
    "site.value": frozenset({"site", "now", "was", "file", "at", "why"}),
    "site.code": frozenset({"site", "order", "code", "system", "name", "loinc"}),
    "site.switched off": frozenset({"site", "why"}),
}


@dataclass(frozen=True, slots=True)
class Messages:
    """Every message of one language, as a format string of Python's `str.format`."""

    language: str
    formats: Mapping[str, str]

    def text(self, key: MessageKey, **values: object) -> str:
        """The message with its placeholders filled; values are not escaped here.

        >>> Messages("en", {"window.days": "within {last} days"}).text("window.days", last=5)
        'within 5 days'
        """
        return self.formats[key].format(**values) if values else self.formats[key]
