# SPDX-License-Identifier: Apache-2.0
"""Checks across the files of a pack: codes, names, circles, evidence, texts.

One function a check, each with its problem code; every one of them runs, so that all problems
are listed at once.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence

from cds_service.knowledge.checking.card_texts import check_remarks, check_texts
from cds_service.knowledge.checking.explainers import check_explainers
from cds_service.knowledge.checking.frames import check_frames
from cds_service.knowledge.model.code_systems import is_well_formed
from cds_service.knowledge.model.conditions import (
    Condition,
    PatternIs,
    named_leaves,
)
from cds_service.knowledge.model.dependencies import conditions_of, fact_closure
from cds_service.knowledge.model.facts import Fact
from cds_service.knowledge.model.leaves import (
    AgeCompare,
    FactIs,
    HasUnusedData,
    IndexAge,
    MeasureCompare,
    Ordering,
    SetAsideBecause,
    SexIs,
    Taking,
)
from cds_service.knowledge.model.marker_parts import markers_of
from cds_service.knowledge.model.pack import Pack, Service
from cds_service.knowledge.reading.history import check_history
from cds_service.knowledge.reading.remarks import REMARKS_FILE
from cds_service.sourcefile.diagnostics import Problem, nearest
from cds_service.sourcefile.document import Document, Where

_WITH_ORDERS = frozenset(("order-select", "order-sign"))  # hooks whose calls bring orders

_RESERVED = frozenset(
    ("age", "sex", "index", "ordering", "taking", "all", "any", "because")
    + ("deceased", "medicines", "conditions", "orders", "encounter", "shown", "arrived")
)


def check_pack(pack: Pack, documents: Mapping[str, Document]) -> list[Problem]:
    """Every problem between the files of a pack."""
    return [
        *_codes(pack, documents),
        *_names(pack, documents),
        *_circles(pack, documents),
        *_evidence(pack, documents),
        *_hooks(pack, documents),
        *_least(pack, documents),
        *_listed_ids(pack, documents),
        *_on_arrival(pack, documents),
        *_order_groups(pack, documents),
        *_rank(pack, documents),
        *check_frames(pack, documents),
        *_texts(pack, documents),
        *check_remarks(pack, documents),
        *_histories(pack, documents),
        *check_explainers(pack),
    ]


def _codes(pack: Pack, documents: Mapping[str, Document]) -> Iterator[Problem]:
    owner: dict[tuple[str, str], str] = {}
    for marker in pack.markers.values():
        document = documents[f"markers/{marker.id}.yaml"]
        listed = [(("codes", n), code) for n, code in enumerate(marker.codes)]
        listed.extend((("codes not read", n), code) for n, code in enumerate(marker.codes_not_read))
        for where, code in listed:
            if not is_well_formed(code.system, code.code):
                yield _bad_digit(document, where, code.code)
            other = owner.setdefault((code.system, code.code), marker.id)
            if other != marker.id:
                message = f"the code {code.code} already belongs to {other}"
                yield Problem("K302", document.mark(where), message)
    yield from _other_codes(pack, documents)


def _other_codes(pack: Pack, documents: Mapping[str, Document]) -> Iterator[Problem]:
    for fact in pack.facts.values():
        document = documents[f"facts/{fact.id}.yaml"]
        for key, matches in (("conditions", fact.conditions), ("but not", fact.but_not)):
            for n, match in enumerate(matches):
                if not is_well_formed(match.code.system, match.code.code):
                    yield _bad_digit(document, (key, n), match.code.code)
    for order in pack.orders.values():
        document = documents[f"orders/{order.id}.yaml"]
        if not is_well_formed(order.code.system, order.code.code):
            yield _bad_digit(document, ("code",), order.code.code)
        category = order.category
        if category is not None and not is_well_formed(category.system, category.code):
            yield _bad_digit(document, ("category",), category.code)
        for system, equivalent in sorted(order.equivalents):
            if not is_well_formed(system, equivalent):
                yield _bad_digit(document, ("counts as ordered",), equivalent)


def _bad_digit(document: Document, where: Where, code: str) -> Problem:
    message = f"the check digit of {code} is wrong"
    return Problem("K303", document.mark(where), message, "look the code up again")


def _names(pack: Pack, documents: Mapping[str, Document]) -> Iterator[Problem]:
    before: list[str] = []
    for marker in pack.markers.values():
        before.append(marker.id)
        for n, name in enumerate(marker.names):
            read = pack.names.of(name)
            named = read if isinstance(read, tuple) else ()
            other = next((meant.marker for meant in named if meant.marker in before[:-1]), None)
            if other is not None:
                mark = documents[f"markers/{marker.id}.yaml"].mark(("names", n))
                yield Problem("K302", mark, f"the name '{name}' already belongs to {other}")
    yield from _ids(
        "markers measures facts patterns",
        (pack.markers, pack.measures, pack.facts, pack.patterns),
        documents,
    )
    yield from _ids("facts orders", (pack.facts, pack.orders), documents)  # both can be ordered


def _ids(
    folders: str, named: Sequence[Mapping[str, object]], documents: Mapping[str, Document]
) -> Iterator[Problem]:
    """What conditions and cases name by its bare id has an id that nothing else has."""
    seen: set[str] = set()
    for folder, ids in zip(folders.split(), named, strict=True):
        for name in ids:
            taken = ""
            if name in _RESERVED:
                taken = f"'{name}' is a word of the language"
            elif name in seen:
                taken = f"'{name}' is also the id of something else"
            if taken:
                yield Problem("K302", documents[f"{folder}/{name}.yaml"].mark(("id",)), taken)
            seen.add(name)


def _circles(pack: Pack, documents: Mapping[str, Document]) -> Iterator[Problem]:
    for fact in pack.facts.values():
        for key, others in _made_of(fact):
            if fact.id not in fact_closure(others, pack):
                continue
            mark = documents[f"facts/{fact.id}.yaml"].mark((key,))
            yield Problem("K304", mark, f"'{fact.id}' leads back to itself")


def _made_of(fact: Fact) -> Iterator[tuple[str, tuple[str, ...]]]:
    yield "any of", fact.any_of
    yield "all of", fact.all_of
    yield "ended by", (fact.ended_by,) if fact.ended_by else ()


def subjects_of(conditions: Iterable[Condition]) -> set[str]:
    """The markers, measures, facts, patterns and other subjects that conditions speak of."""
    subjects: set[str] = set()
    for condition in conditions:
        for leaf in named_leaves(condition):
            if isinstance(leaf, PatternIs):
                subjects.add(leaf.pattern)
                continue
            subjects.update(markers_of(leaf))
            match leaf:
                case MeasureCompare(measure=name) | FactIs(fact=name):
                    subjects.add(name)
                case AgeCompare():
                    subjects.add("age")
                case SexIs():
                    subjects.add("sex")
                case IndexAge():
                    subjects.add("index")
                case Ordering() | Taking():
                    subjects.add(leaf.subject)
                case SetAsideBecause() | HasUnusedData():
                    subjects.add(leaf.subject)
                case _:
                    pass
    return subjects


def _evidence(pack: Pack, documents: Mapping[str, Document]) -> Iterator[Problem]:
    for rule in pack.rules.values():
        document = documents[f"rules/{rule.id}.yaml"]
        needed = subjects_of([rule.when, *(reason.when for reason in rule.unless)])
        needed |= {suggestion.order for suggestion in rule.suggestions}
        needed |= {"quiet for"} if rule.quiet_days else set()
        known = subjects_of(conditions_of(rule)) | needed | {*rule.also_say, "text"}
        backed = {subject for line in rule.evidence for subject in line.backs}
        for subject in sorted(needed - backed):
            message = f"no evidence backs '{subject}'"
            remedy = "add it to 'backs:' of a source, or of a 'decision: yes'"
            yield Problem("K401", document.mark(("evidence",)), message, remedy)
        for subject in sorted(backed - known):
            message = f"evidence backs '{subject}', which the rule does not speak of"
            yield Problem("K402", document.mark(("evidence",)), message)


def _hooks(pack: Pack, documents: Mapping[str, Document]) -> Iterator[Problem]:
    offered = {service.hook for service in pack.services}
    for rule in pack.rules.values():
        for n, hook in enumerate(rule.hooks):
            if hook not in offered:
                mark = documents[f"rules/{rule.id}.yaml"].mark(("hooks", n))
                remedy = "services are listed in pack.yaml"
                yield Problem("K301", mark, f"no service answers the hook '{hook}'", remedy)


def _least(pack: Pack, documents: Mapping[str, Document]) -> Iterator[Problem]:
    """What a hook shows does not depend on which of its services is called."""
    first: dict[str, Service] = {}
    for n, service in enumerate(pack.services):
        other = first.setdefault(service.hook, service)
        if service.least != other.least:
            mark = documents["pack.yaml"].mark(("services", n))
            message = f"'least' is not that of '{other.id}', which answers the same hook"
            yield Problem("K106", mark, message, f"write 'least: {other.least}', or change both")


def _listed_ids(pack: Pack, documents: Mapping[str, Document]) -> Iterator[Problem]:
    """Each id in a list of `pack.yaml` or `remarks.yaml` stands there once."""
    lists: tuple[tuple[str, str, str, Sequence[str]], ...] = (
        ("pack.yaml", "services", "id", [service.id for service in pack.services]),
        (
            "pack.yaml",
            "override reasons",
            "code",
            [reason.code for reason in pack.override_reasons],
        ),
        ("pack.yaml", "examples", "id", [example.id for example in pack.examples]),
        (REMARKS_FILE, "remarks", "id", [remark.id for remark in pack.remarks.each]),
    )
    for file, key, part, names in lists:
        for n, name in enumerate(names):
            if name in names[:n]:
                mark = documents[file].mark((key, n, part))
                yield Problem("K302", mark, f"'{name}' stands twice", "give each its own")


def _on_arrival(pack: Pack, documents: Mapping[str, Document]) -> Iterator[Problem]:
    """One hook at most, and none that needs what only a call brings."""
    chosen = [(n, service) for n, service in enumerate(pack.services) if service.on_arrival]
    for place, (n, service) in enumerate(chosen):
        mark = documents["pack.yaml"].mark(("services", n, "on arrival"))
        if place:
            message = "another service of the pack is asked when a result arrives"
            yield Problem("K302", mark, message, "write 'on arrival: yes' once")
        elif service.hook in _WITH_ORDERS:
            message = f"rules of '{service.hook}' need the orders that are being made"
            yield Problem("K302", mark, message, "write it at the service of another hook")


def _order_groups(pack: Pack, documents: Mapping[str, Document]) -> Iterator[Problem]:
    for rule in pack.rules.values():
        for n, suggestion in enumerate(rule.suggestions):
            group = suggestion.group
            if group is not None and group not in pack.order_groups:
                mark = documents[f"rules/{rule.id}.yaml"].mark(("suggest", n, "group"))
                remedy = nearest(group, pack.order_groups) or "groups are listed in pack.yaml"
                yield Problem("K301", mark, f"there is no order group '{group}'", remedy)


def _rank(pack: Pack, documents: Mapping[str, Document]) -> Iterator[Problem]:
    """Every rule whose card rests on results has one place in the rank, and no other has any."""
    if pack.cards is None:
        return
    document, where = documents["pack.yaml"], ("cards", "rank")
    rules = pack.rules.values()
    ranked = {rule.id for rule in rules if rule.rests_on_results and rule.status != "retired"}
    seen: set[str] = set()
    for n, name in enumerate(pack.cards.rank):
        at = (*where, n)
        if name not in pack.rules:
            remedy = nearest(name, pack.rules)
            yield Problem("K301", document.mark(at), f"there is no rule '{name}'", remedy)
        elif name not in ranked:
            message = f"the card of '{name}' is not counted"
            yield Problem("K302", document.mark(at), message, "leave it out")
        elif name in seen:
            yield Problem("K302", document.mark(at), f"'{name}' has a place already")
        seen.add(name)
    for name in sorted(ranked - seen):
        remedy = "write it where its card belongs among equally severe ones"
        yield Problem("K301", document.mark(where), f"'{name}' has no place in the rank", remedy)


def _histories(pack: Pack, documents: Mapping[str, Document]) -> Iterator[Problem]:
    yield from check_history("the pack", pack.version, pack.history, documents["pack.yaml"])
    for rule in pack.rules.values():
        document = documents[f"rules/{rule.id}.yaml"]
        yield from check_history("the rule", rule.version, rule.history, document)


def _texts(pack: Pack, documents: Mapping[str, Document]) -> Iterator[Problem]:
    for rule in pack.rules.values():
        document = documents[f"rules/{rule.id}.yaml"]
        if not rule.texts:
            message = f"has no card text: write rules/{rule.id}.en.md"
            yield Problem("K305", document.mark(()), message)
        yield from check_texts(rule, pack, document)
