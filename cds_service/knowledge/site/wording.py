# SPDX-License-Identifier: Apache-2.0
"""What a site changed of a rule, in words: for cards, explanations, rule pages and terminals.

A rule stands on a site's value if it is written in its own file, or in that of a marker, a measure
or the pack in a part that the rule reads.
"""

from collections.abc import Iterator
from dataclasses import replace

from cds_service.knowledge.model.bounds import LimitKind
from cds_service.knowledge.model.conditions import leaves
from cds_service.knowledge.model.dependencies import (
    dependencies_of,
    inputs_of,
    measures_about,
    patterns_of,
)
from cds_service.knowledge.model.marker_parts import parts_of
from cds_service.knowledge.model.messages import ENGLISH, Messages
from cds_service.knowledge.model.pack import Order, Pack, Rule
from cds_service.knowledge.model.site import SiteChanges, SiteValue

MARKERS = "markers/"
_AMOUNT, _UPPER = "use", "upper limit"
_FOR_ORDERS = "open orders count for"
_LIMITS: tuple[LimitKind, ...] = ("upper limit", "lower limit", "screening limit")
_DISPLAYED = ("bands", "grades")  # words for a result; no rule reads them


def with_readers(pack: Pack, changes: SiteChanges) -> SiteChanges:
    """The changes with the rules that read each value or can show it."""
    return replace(
        changes,
        read={
            rule.id: tuple(value for value in changes.values if _reads_it(rule, pack, value))
            for rule in pack.rules.values()
        },
        shown={
            rule.id: tuple(value for value in changes.values if _can_show(rule, pack, value))
            for rule in pack.rules.values()
        },
    )


def orders_of(rule: Rule, pack: Pack) -> tuple[Order, ...]:
    """The orders of the rule that have a code of the site's own."""
    orders = (pack.orders[suggestion.order] for suggestion in rule.suggestions)
    return tuple(dict.fromkeys(order for order in orders if order.site_code is not None))


def site_lines(rule: Rule, pack: Pack) -> tuple[str, ...]:
    """All that the site changed of the rule, a sentence each; none without a site file."""
    return tuple(_lines(rule, pack))


def value_in_words(value: SiteValue, pack: Pack, messages: Messages) -> str:
    """Return `Site value of ...: 5 and 20 days instead of 7 and 28 days (FILE, PLACE; why)`."""
    return messages.text(
        "site.value",
        site=_site(pack),
        now=value.now,
        was=value.was,
        file=value.file,
        at=value.at,
        why=" ".join(value.because.split()),
    )


def code_in_words(order: Order, pack: Pack, messages: Messages) -> str:
    """Return `Site code of ... for ...: 4711 of https://... (NAME), before its LOINC code`."""
    code = order.site_code or order.code
    return messages.text(
        "site.code",
        site=_site(pack),
        order=order.title,
        code=code.code,
        system=code.system,
        name=code.name,
        loinc=order.code.code,
    )


def off_in_words(rule: str, pack: Pack, messages: Messages) -> str | None:
    """Return `Switched off by ...: why`, or `None` for a rule that is not."""
    lines = pack.site.switched_off if pack.site else ()
    why = next((line.because for line in lines if line.rule == rule), None)
    if why is None:
        return None
    return messages.text("site.switched off", site=_site(pack), why=" ".join(why.split()))


def is_limit(value: SiteValue) -> bool:
    """Whether the value is an amount of a limit policy."""
    return value.file.startswith(MARKERS) and value.where[-1] == _AMOUNT


def _lines(rule: Rule, pack: Pack) -> Iterator[str]:
    messages = pack.messages_in(ENGLISH)
    if off := off_in_words(rule.id, pack, messages):
        yield off
    values = pack.site.read.get(rule.id, ()) if pack.site else ()
    yield from (value_in_words(value, pack, messages) for value in values)
    yield from (code_in_words(order, pack, messages) for order in orders_of(rule, pack))


def _site(pack: Pack) -> str:
    return " ".join(pack.site.site.split()) if pack.site else ""


def _can_show(rule: Rule, pack: Pack, value: SiteValue) -> bool:
    """Whether the rule reads the value, or its card shows the limit beside a result."""
    if _reads_it(rule, pack, value):
        return True
    marker = value.file.removeprefix(MARKERS).removesuffix(".yaml")
    return (
        is_limit(value)
        and value.where[0] == _UPPER
        and marker in dependencies_of(rule, pack).markers
    )


def _reads_it(rule: Rule, pack: Pack, value: SiteValue) -> bool:
    folder, _, file = value.file.partition("/")
    name = file.removesuffix(".yaml")
    match folder:
        case "rules":
            return name == rule.id
        case "patterns":
            return name in patterns_of(rule)
        case "measures":
            about = (measure.id for measure in measures_about(rule, pack))
            return name in (*dependencies_of(rule, pack).measures, *about)
        case "markers":
            return _reads_marker(rule, pack, name, str(value.where[0]))
        case "orders":
            return name in {suggestion.order for suggestion in rule.suggestions}
        case _:
            return value.where[1] != _FOR_ORDERS or bool(rule.suggestions)


def _reads_marker(rule: Rule, pack: Pack, marker: str, part: str) -> bool:
    read = dependencies_of(rule, pack)
    if part in _LIMITS:
        measures = (pack.measures[name] for name in read.measures)
        withheld = (reason.when for measure in measures for reason in measure.not_computed)
        behind = (each for when in withheld for leaf in leaves(when) for each in parts_of(leaf))
        return any(each.marker == marker and each.part == part for each in (*read.parts, *behind))
    inputs = (name for measure in measures_about(rule, pack) for name in inputs_of(measure))
    return part not in _DISPLAYED and marker in (*read.markers, *inputs)
