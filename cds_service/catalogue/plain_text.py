# SPDX-License-Identifier: Apache-2.0
"""A rule as plain text for a terminal, generated from the conditions that are evaluated."""

from collections.abc import Iterable, Iterator

from cds_service.knowledge.model.bounds import days_in_words
from cds_service.knowledge.model.conditions import (
    AllOf,
    AnyOf,
    Condition,
    PatternIs,
)
from cds_service.knowledge.model.pack import WITHOUT_RESULT, Change, Pack, Rule, Suggestion
from cds_service.knowledge.model.status import approval
from cds_service.knowledge.site.wording import site_lines

_INDENT = "  "


def rule_in_words(rule: Rule, pack: Pack) -> str:
    """The rule as text of several lines: when, unless, what it proposes and its evidence."""
    return "\n".join(_lines(rule, pack))


def _lines(rule: Rule, pack: Pack) -> Iterator[str]:
    yield f"{rule.title} ({rule.id} {rule.version}, {rule.status}, {rule.indicator})"
    about = " or ".join(
        subject if subject in WITHOUT_RESULT else pack.markers[subject].title
        for subject in rule.about
    )
    yield f"About: {about or 'results that were set aside'}. Hooks: {', '.join(rule.hooks)}."
    yield "A card appears when"
    yield from _condition(rule.when, 1)
    if rule.on_order_hooks is not None:
        yield "and, where orders are being made,"
        yield from _condition(rule.on_order_hooks, 1)
    for reason in rule.unless:
        yield f"unless ({reason.because})"
        yield from _condition(reason.when, 1)
    for urgency in rule.urgencies:
        yield f"It is {urgency.indicator} when"
        yield from _condition(urgency.when, 1)
    if rule.suggestions:
        yield "It proposes"
    for suggestion in rule.suggestions:
        yield from _suggestion(suggestion, pack)
    for word, when in rule.also_say.items():
        yield f"It also says '{word}' when"
        yield from _condition(when, 1)
    if changed := site_lines(rule, pack):
        yield "At this site"
        yield from (f"{_INDENT}- {line}" for line in changed)
    yield "Evidence"
    for line in rule.evidence:
        who = pack.sources[line.source].title if line.source else "decision of the pack"
        yield f"{_INDENT}- {', '.join(line.backs)}: {' '.join(line.says.split())} [{who}]"
    yield "Versions"
    yield from history_in_words(rule.history)
    yield f"Last review: {rule.last_review}. Pack: {pack.id} {pack.version}."


def pack_in_words(pack: Pack) -> str:
    """The pack as text of several lines: who approved it, its rules and its versions."""
    lines = (
        f"{pack.title} ({pack.id} {pack.version})",
        approval(pack),
        f"Rules: {', '.join(pack.rules)}.",
        "Versions",
        *history_in_words(pack.history),
    )
    return "\n".join(lines)


def history_in_words(history: Iterable[Change]) -> Iterator[str]:
    """A line for each version, newest first."""
    return (f"{_INDENT}- {change.version}, {change.date}: {change.change}" for change in history)


def _suggestion(suggestion: Suggestion, pack: Pack) -> Iterator[str]:
    order = pack.orders[suggestion.order]
    window = f"{suggestion.first_day} to {suggestion.last_day} days"
    yield f"{_INDENT}- {order.title} ({order.code.code}), {window}, {suggestion.priority}"
    if suggestion.group is not None:
        yield f"{_INDENT * 2}together: {pack.order_groups[suggestion.group]} ({suggestion.group})"
    if suggestion.when is not None:
        yield f"{_INDENT * 2}when"
        yield from _condition(suggestion.when, 3)
    if suggestion.recommended is not None:
        if isinstance(suggestion.recommended, bool):
            opinion = "always" if suggestion.recommended else "never"
            yield f"{_INDENT * 2}recommended: {opinion}"
        else:
            yield f"{_INDENT * 2}recommended when"
            yield from _condition(suggestion.recommended, 3)
    if (days := suggestion.result_days(order)) is not None:
        known = f"it has a result of the last {days_in_words(days)}"
        yield f"{_INDENT * 2}unless (already-resulted) {known}"
    for reason in suggestion.unless:
        yield f"{_INDENT * 2}unless ({reason.because})"
        yield from _condition(reason.when, 3)


def _condition(condition: Condition, depth: int) -> Iterator[str]:
    indent = _INDENT * depth
    if isinstance(condition, AllOf | AnyOf):
        yield f"{indent}{'all' if isinstance(condition, AllOf) else 'any'} of"
        for part in condition.parts:
            yield from _condition(part, depth + 1)
        return
    yield f"{indent}- {condition.in_words()}"
    if isinstance(condition, PatternIs):
        yield f"{indent}{_INDENT}where yes means"
        yield from _condition(condition.when, depth + 2)
