# SPDX-License-Identifier: Apache-2.0
"""What a rule asks, held against the frames that its `about` gives it.

A condition on what is never in the frame is never true: in `when` the card never appears, in
`unless` it is never silent. What a frame holds is stated in `labs.features`.

A rule that asks for any of several markers but is about fewer of them is silent where only another
was measured, or where its result is the newest. That may be meant, so it is a warning.
"""

from collections.abc import Iterable, Iterator, Mapping

from cds_service.knowledge.model.conditions import AllOf, AnyOf, Condition, PatternIs, leaves
from cds_service.knowledge.model.dependencies import conditions_of
from cds_service.knowledge.model.leaves import (
    Compare,
    HasUnusedData,
    Leaf,
    MeasureCompare,
    Present,
    SetAsideBecause,
)
from cds_service.knowledge.model.marker_parts import MarkerPart, parts_of
from cds_service.knowledge.model.pack import PATIENT, UNUSED_DATA, Pack
from cds_service.sourcefile.diagnostics import Problem
from cds_service.sourcefile.document import Document, Where

_NO_INDEX = "write 'about:' a marker, or pair this one 'before now' in its file"


def check_frames(pack: Pack, documents: Mapping[str, Document]) -> Iterator[Problem]:
    """A problem for each condition of a rule, a measure or the scope that is never known."""
    for rule in pack.rules.values():
        document = documents[f"rules/{rule.id}.yaml"]
        yield from _problems(conditions_of(rule), rule.about, pack, document, ("about",))
    for measure in pack.measures.values():
        document = documents[f"measures/{measure.id}.yaml"]
        withheld = [reason.when for reason in measure.not_computed]
        yield from _problems(withheld, (measure.about,), pack, document, ("not computed",))
    for n, statement in enumerate(pack.precedence):
        if statement.when is None:
            continue
        for name in statement.winners:
            about, place = pack.rules[name].about, ("precedence", n, "when")
            yield from _problems([statement.when], about, pack, documents["pack.yaml"], place)
    silent = [reason.when for reason in pack.scope.silent_when]
    yield from _problems(silent, (), pack, documents["pack.yaml"], ("scope", "silent for"))


def _problems(
    conditions: Iterable[Condition],
    about: tuple[str, ...],
    pack: Pack,
    document: Document,
    where: Where,
) -> Iterator[Problem]:
    for leaf in dict.fromkeys(leaf for condition in conditions for leaf in leaves(condition)):
        for message, remedy in _never(leaf, about, pack):
            yield Problem("K205", document.mark(where), message, remedy)


def _never(leaf: Leaf, about: tuple[str, ...], pack: Pack) -> Iterator[tuple[str, str]]:
    """Why the leaf is never true in a frame around one of `about`, and what to write instead."""
    match leaf:
        case SetAsideBecause() if about:
            yield f"'{leaf.in_words()}' is never true: the rule is about results in use", ""
        case HasUnusedData() if about != (UNUSED_DATA,):
            yield f"'{leaf.in_words()}' is never true: the rule is not about unused data", ""
        case MeasureCompare(measure=name) if pack.measures[name].about not in about:
            yield f"{name} is never computed: its index is {pack.measures[name].about}", ""
        case Present(marker=marker, since_index=True) if about == (marker,):
            yield f"no {marker} is ever later than the index, which is the newest", ""
        case _:
            pass
    for part in dict.fromkeys(parts_of(leaf)):
        yield from _part_never(part, about, pack)


def _part_never(part: MarkerPart, about: tuple[str, ...], pack: Pack) -> Iterator[tuple[str, str]]:
    name = part.marker
    if not about or about == (UNUSED_DATA,):
        yield f"{name} is never known here: no result in use stands beside it", ""
    elif part.part == "previous":
        if part.earlier is None and name not in about:
            yield f"the previous test of {name} is never known: the rule is not about it", ""
    elif about == (PATIENT,):
        if part.part == "later":
            yield f"nothing of {name} is ever since the index: there is no index", _NO_INDEX
        elif pack.markers[name].pairing.around == "index":
            yield (
                f"{name} is never known: it is paired with the index, of which there is none",
                _NO_INDEX,
            )


def narrow_indexes(pack: Pack, documents: Mapping[str, Document]) -> Iterator[Problem]:
    """A warning for each active rule that is about some of such markers and not about others."""
    for rule in pack.rules.values():
        if rule.status != "active":
            continue
        for markers in dict.fromkeys(_alternatives(rule.when)):
            others = [marker for marker in markers if marker not in rule.about]
            if others and len(others) < len(markers):
                mark = documents[f"rules/{rule.id}.yaml"].mark(("about",))
                message = f"'when' asks for any of {', '.join(markers)}, but not about: {others[0]}"
                yield Problem("K208", mark, message, "name every marker that can be the newest")


def _alternatives(condition: Condition) -> Iterator[tuple[str, ...]]:
    """The markers of each `any of`, and of each `any:` that compares several in the same way."""
    match condition:
        case Compare(markers=markers) if len(markers) > 1:
            yield markers
        case PatternIs(when=when):
            yield from _alternatives(when)
        case AllOf(parts=parts):
            for part in parts:
                yield from _alternatives(part)
        case AnyOf(parts=parts):
            alike: dict[object, dict[str, None]] = {}
            for part in parts:
                for leaf in leaves(part)[:1]:
                    if isinstance(leaf, Compare):
                        same = alike.setdefault((leaf.relation, leaf.bound), {})
                        same.update(dict.fromkeys(leaf.markers))
                yield from _alternatives(part)
            yield from (tuple(markers) for markers in alike.values() if len(markers) > 1)
        case _:
            pass
