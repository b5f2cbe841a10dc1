# SPDX-License-Identifier: Apache-2.0
"""What a rule depends on: the parts of markers, the measures and the facts that it reads.

This is the only closure over conditions. Prefetch asks for these markers, a card lists its inputs
by them, and `labs.features` says which results they are. Everything is in the order of the rule's
own file.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from cds_service.knowledge.model.bounds import Earlier
from cds_service.knowledge.model.conditions import (
    Condition,
    PatternIs,
    leaves,
    named_leaves,
)
from cds_service.knowledge.model.formulas import Part
from cds_service.knowledge.model.leaves import (
    FactIs,
    Leaf,
    MeasureCompare,
    Taking,
)
from cds_service.knowledge.model.marker_parts import MarkerPart, PartName, parts_of
from cds_service.knowledge.model.pack import WITHOUT_RESULT, Measure, Pack, Rule
from cds_service.knowledge.model.pack_file import Source

_AGE = "age"
_PARTS: dict[Part, PartName] = {"value": "result", "limit": "upper limit", "previous": "previous"}


@dataclass(frozen=True, slots=True)
class Dependencies:
    """Parts of markers, and the ids of measures and facts, each once."""

    parts: tuple[MarkerPart, ...]
    measures: tuple[str, ...]
    facts: tuple[str, ...]

    @property
    def markers(self) -> tuple[str, ...]:
        """The ids of the markers, each once."""
        return tuple(dict.fromkeys(part.marker for part in self.parts))


def dependencies_of(rule: Rule, pack: Pack) -> Dependencies:
    """What the rule's conditions read, its index and the inputs of its measures included."""
    return _dependencies(_leaves(conditions_for(rule, pack)), rule.about, pack)


def all_dependencies(rules: Iterable[Rule], pack: Pack) -> Dependencies:
    """Everything that these rules, their cards and the pack's scope can draw on.

    A card shows each measure about its index, and an order counts as answered by later results,
    so those need their inputs as well; a fact needs the facts it is made of.
    """
    parts: dict[MarkerPart, None] = {}
    measures: dict[str, None] = {}
    facts: dict[str, None] = {}
    for rule in rules:
        own = dependencies_of(rule, pack)
        shown = [measure.id for measure in measures_about(rule, pack)]
        measures.update(dict.fromkeys((*own.measures, *shown)))
        parts.update(dict.fromkeys((*own.parts, *answers_of(rule, pack))))
        facts.update(dict.fromkeys(own.facts))
    behind = [reason.when for reason in pack.scope.silent_when]
    behind.extend(remark.when for remark in pack.remarks.each if remark.when is not None)
    for name in measures:
        parts.update(dict.fromkeys(parts_of_measure(pack.measures[name])))
        behind.extend(reason.when for reason in pack.measures[name].not_computed)
    if any(not pack.markers[part.marker].used_if_hemolysed for part in parts):
        for marker in pack.markers.values():
            if marker.shows_hemolysis:
                parts[MarkerPart(marker.id, "result")] = None
                parts[MarkerPart(marker.id, "upper limit")] = None
    others = _dependencies(_leaves(behind), (), pack)
    parts.update(dict.fromkeys(others.parts))
    facts.update(dict.fromkeys(others.facts))
    return Dependencies(tuple(parts), tuple(measures), fact_closure(facts, pack))


def fact_closure(facts: Iterable[str], pack: Pack) -> tuple[str, ...]:
    """The facts and those that they are made of or ended by, nearest first, each once."""
    known: dict[str, None] = {}
    waiting = list(facts)
    while waiting:
        name = waiting.pop(0)
        if name not in known:
            known[name] = None
            fact = pack.facts[name]
            waiting.extend((*fact.any_of, *fact.all_of))
            waiting.extend([fact.ended_by] if fact.ended_by else ())
    return tuple(known)


def conditions_of(rule: Rule) -> Iterator[Condition]:
    """Every condition of the rule, `when` first."""
    yield rule.when
    if rule.on_order_hooks is not None:
        yield rule.on_order_hooks
    yield from (reason.when for reason in rule.unless)
    yield from (urgency.when for urgency in rule.urgencies)
    for suggestion in rule.suggestions:
        yield from (reason.when for reason in suggestion.unless)
        if suggestion.when is not None:
            yield suggestion.when
        if suggestion.recommended is not None and not isinstance(suggestion.recommended, bool):
            yield suggestion.recommended
    yield from rule.also_say.values()


def patterns_of(rule: Rule) -> tuple[str, ...]:
    """The ids of the patterns that the rule's conditions rest on, each once."""
    found: dict[str, None] = {}
    waiting = list(conditions_of(rule))
    while waiting:
        for leaf in named_leaves(waiting.pop(0)):
            if isinstance(leaf, PatternIs):
                found[leaf.pattern] = None
                waiting.append(leaf.when)
    return tuple(found)


def earlier_tests(rule: Rule, pack: Pack) -> dict[str, Earlier]:
    """The window of the previous test of each marker that `when` compares with one, the first."""
    found: dict[str, Earlier] = {}
    for leaf in leaves(rule.when):
        measure = pack.measures[leaf.measure] if isinstance(leaf, MeasureCompare) else None
        for part in parts_of_measure(measure) if measure else parts_of(leaf):
            if part.part == "previous" and part.earlier is not None:
                found.setdefault(part.marker, part.earlier)
    return found


def conditions_for(rule: Rule, pack: Pack) -> Iterator[Condition]:
    """The conditions of the rule, and those under which its card takes the place of others."""
    yield from conditions_of(rule)
    for statement in pack.precedence:
        if statement.when is not None and rule.id in statement.winners:
            yield statement.when


def measures_about(rule: Rule, pack: Pack) -> tuple[Measure, ...]:
    """The measures that are computed around an index of the rule."""
    return tuple(measure for measure in pack.measures.values() if measure.about in rule.about)


def answers_of(rule: Rule, pack: Pack) -> Iterator[MarkerPart]:
    """The later results that would answer the rule's orders."""
    for suggestion in rule.suggestions:
        order = pack.orders[suggestion.order]
        for marker in (*order.answered_by, *order.answered_beside_index):
            yield MarkerPart(marker, "later")


def resulted_codes(rules: Iterable[Rule], pack: Pack) -> tuple[tuple[str, str], ...]:
    """The (system, code) pairs of the tests whose results make orders of these rules needless."""
    orders = {
        suggestion.order: pack.orders[suggestion.order]
        for rule in rules
        for suggestion in rule.suggestions
        if suggestion.result_days(pack.orders[suggestion.order]) is not None
    }
    return tuple(
        dict.fromkeys(pair for order in orders.values() for pair in sorted(order.equivalents))
    )


def parts_of_measure(measure: Measure) -> tuple[MarkerPart, ...]:
    """What the measure's formula reads of markers, each once."""
    parts: dict[MarkerPart, None] = {}
    for item in measure.formula.inputs:
        if item.marker != _AGE:
            parts[MarkerPart(item.marker, "result")] = None
            earlier = measure.earlier if item.part == "previous" else None
            parts[MarkerPart(item.marker, _PARTS[item.part], earlier)] = None
    return tuple(parts)


def inputs_of(measure: Measure) -> tuple[str, ...]:
    """The markers that the measure is computed from, each once."""
    return tuple(dict.fromkeys(part.marker for part in parts_of_measure(measure)))


def sources_of(rule: Rule, pack: Pack) -> tuple[Source, ...]:
    """What the rule's evidence cites, each once, in the order of its file."""
    named = dict.fromkeys(line.source for line in rule.evidence if line.source is not None)
    return tuple(pack.sources[name] for name in named)


def _leaves(conditions: Iterable[Condition]) -> Iterator[Leaf]:
    return (leaf for condition in conditions for leaf in leaves(condition))


def _dependencies(read: Iterable[Leaf], about: tuple[str, ...], pack: Pack) -> Dependencies:
    parts = {MarkerPart(name, "result"): None for name in about if name not in WITHOUT_RESULT}
    measures: dict[str, None] = {}
    facts: dict[str, None] = {}
    for leaf in read:
        parts.update(dict.fromkeys(parts_of(leaf)))
        if isinstance(leaf, MeasureCompare):
            measures[leaf.measure] = None
            parts.update(dict.fromkeys(parts_of_measure(pack.measures[leaf.measure])))
        elif isinstance(leaf, FactIs | Taking):
            facts[leaf.fact] = None
    return Dependencies(tuple(parts), tuple(measures), tuple(facts))
