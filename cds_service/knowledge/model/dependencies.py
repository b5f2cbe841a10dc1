# SPDX-License-Identifier: Apache-2.0
"""What a rule looks at: the markers, measures and facts of its conditions.

Prefetch is derived from this, and a card lists its inputs by it, so neither can drift from the
rule. Everything is in the order of the rule's own file.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from cds_service.knowledge.model.conditions import (
    Condition,
    FactIs,
    Leaf,
    MeasureCompare,
    leaves,
    markers_of,
)
from cds_service.knowledge.model.pack import PATIENT, Measure, Pack, Rule, Source

_AGE = "age"


@dataclass(frozen=True, slots=True)
class Reads:
    """Ids of what conditions look at, each once."""

    markers: tuple[str, ...]
    measures: tuple[str, ...]
    facts: tuple[str, ...]


def reads_of(rule: Rule, pack: Pack) -> Reads:
    """What the rule's own conditions look at, its index and the inputs of its measures included."""
    return _reads(_leaves(conditions_of(rule)), rule.about, pack)


def needs_of(rules: Iterable[Rule], pack: Pack) -> Reads:
    """Everything that these rules, their cards and the pack's scope can draw on.

    A card shows each measure about its index, and an order counts as answered by later results,
    so those need their inputs as well; a fact needs the facts it is made of.
    """
    markers: dict[str, None] = {}
    measures: dict[str, None] = {}
    facts: dict[str, None] = {}
    for rule in rules:
        own = reads_of(rule, pack)
        shown = [measure.id for measure in measures_about(rule, pack)]
        measures.update(dict.fromkeys((*own.measures, *shown)))
        markers.update(dict.fromkeys(own.markers))
        facts.update(dict.fromkeys(own.facts))
        for suggestion in rule.suggestions:
            markers.update(dict.fromkeys(pack.orders[suggestion.order].answered_by))
    behind = [reason.when for reason in pack.scope.silent_when]
    for name in measures:
        markers.update(dict.fromkeys(inputs_of(pack.measures[name])))
        behind.extend(reason.when for reason in pack.measures[name].not_computed)
    if any(not pack.markers[name].used_if_hemolysed for name in markers):
        shows = (one.id for one in pack.markers.values() if one.shows_hemolysis)
        markers.update(dict.fromkeys(shows))
    others = _reads(_leaves(behind), (), pack)
    markers.update(dict.fromkeys(others.markers))
    facts.update(dict.fromkeys(others.facts))
    return Reads(tuple(markers), tuple(measures), tuple(_with_parts(facts, pack)))


def conditions_of(rule: Rule) -> Iterator[Condition]:
    """Every condition of the rule, `when` first."""
    yield rule.when
    if rule.on_order_hooks is not None:
        yield rule.on_order_hooks
    yield from (reason.when for reason in rule.unless)
    yield from (urgency.when for urgency in rule.urgencies)
    for one in rule.suggestions:
        yield from (reason.when for reason in one.unless)
        if one.when is not None:
            yield one.when
        if one.recommended is not None and not isinstance(one.recommended, bool):
            yield one.recommended
    yield from rule.also_say.values()


def measures_about(rule: Rule, pack: Pack) -> tuple[Measure, ...]:
    """The measures that are computed around an index of the rule."""
    return tuple(measure for measure in pack.measures.values() if measure.about in rule.about)


def inputs_of(measure: Measure) -> tuple[str, ...]:
    """The markers that the measure is computed from, each once."""
    names = (item.marker for item in measure.formula.inputs if item.marker != _AGE)
    return tuple(dict.fromkeys(names))


def sources_of(rule: Rule, pack: Pack) -> tuple[Source, ...]:
    """What the rule's evidence cites, each once, in the order of its file."""
    named = dict.fromkeys(one.source for one in rule.evidence if one.source is not None)
    return tuple(pack.sources[name] for name in named)


def _leaves(conditions: Iterable[Condition]) -> Iterator[Leaf]:
    return (leaf for condition in conditions for leaf in leaves(condition))


def _reads(found: Iterable[Leaf], about: tuple[str, ...], pack: Pack) -> Reads:
    markers: dict[str, None] = dict.fromkeys(name for name in about if name != PATIENT)
    measures: dict[str, None] = {}
    facts: dict[str, None] = {}
    for leaf in found:
        markers.update(dict.fromkeys(markers_of(leaf)))
        if isinstance(leaf, MeasureCompare):
            measures[leaf.measure] = None
            markers.update(dict.fromkeys(inputs_of(pack.measures[leaf.measure])))
        elif isinstance(leaf, FactIs):
            facts[leaf.fact] = None
    return Reads(tuple(markers), tuple(measures), tuple(facts))


def _with_parts(facts: Iterable[str], pack: Pack) -> dict[str, None]:
    found: dict[str, None] = {}
    waiting = list(facts)
    while waiting:
        name = waiting.pop(0)
        if name not in found:
            found[name] = None
            waiting.extend(pack.facts[name].any_of)
    return found
