# SPDX-License-Identifier: Apache-2.0
"""The checks of card texts and remarks: each placeholder is sure to be there where it is shown."""

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace

from cds_service.knowledge.model.bounds import Earlier, LimitKind, TimesLimit, TimesPrevious
from cds_service.knowledge.model.conditions import (
    AllOf,
    AnyOf,
    Condition,
    PatternIs,
    leaves,
)
from cds_service.knowledge.model.leaves import (
    Compare,
    FactIs,
    Leaf,
    MeasureCompare,
    OtherMethod,
    Present,
    SameMethod,
    TestedBefore,
)
from cds_service.knowledge.model.marker_parts import markers_of
from cds_service.knowledge.model.pack import UNUSED_DATA, CardText, Pack, Rule
from cds_service.knowledge.model.remarks import Remark
from cds_service.knowledge.reading.remarks import REMARKS_FILE
from cds_service.knowledge.reading.text_wording import wording_faults
from cds_service.sourcefile.diagnostics import Mark, Problem, nearest
from cds_service.sourcefile.document import Document
from cds_service.text_templates import SUMMARY_BELOW, Placeholder, TextError, placeholders

MARKER_PARTS = frozenset(
    ("number", "unit", "date", "multiple", "limit", "limit_from")
    + ("lower_limit", "screening_limit")
    + ("previous", "previous_date", "title", "days_ago")
)
_PART_NEEDS: dict[str, LimitKind] = {
    "multiple": "upper limit",
    "limit": "upper limit",
    "limit_from": "upper limit",
    "lower_limit": "lower limit",
    "screening_limit": "screening limit",
}
_RESULT_PARTS = frozenset(("title", "value", "unit"))
_NOT_SURE = "is not sure to be there"


def check_texts(rule: Rule, pack: Pack, document: Document) -> Iterator[Problem]:
    """Every problem of the rule's texts."""
    for text in rule.texts.values():
        sections = [("summary", text.summary, rule.when), ("detail", text.detail, rule.when)]
        parts = [("summary", *part) for part in text.summary_when.items()]
        parts += [(word, word, body) for word, body in text.also.items()]
        for name, word, body in parts:
            if word not in rule.also_say:
                message = f"the rule never says 'also: {word}'"
                piece = f"## also: {word}" if word in text.also else f"{word}:"
                yield _problem("K305", text, piece, message)
                continue
            sections.append((name, body, AllOf((rule.when, rule.also_say[word]))))
        for word in rule.also_say:
            if word not in text.also and word not in text.summary_when:
                mark = document.mark(("also say", word))
                yield Problem("K305", mark, f"{text.file} has no section '## also: {word}'")
        for name, body, when in sections:
            yield from _check_section(name, body, when, text, rule, pack)


def check_remarks(pack: Pack, documents: Mapping[str, Document]) -> Iterator[Problem]:
    """Every problem of the texts of the remarks."""
    document = documents.get(REMARKS_FILE)
    some_rule = next((pack.rules[name] for name in sorted(pack.remarks.rules)), None)
    if document is None or some_rule is None:
        return
    for remark in pack.remarks.each:
        rule = pack.rules[remark.replaced] if remark.replaced else _saying(remark, some_rule)
        for language, text in remark.texts.items():
            written = CardText(
                language=language,
                file=document.file,
                lines=document.lines,
                summary="",
                detail="",
                also={},
            )
            for body in (text.says, text.in_short):
                yield from _check_section(remark.id, body, rule.when, written, rule, pack)


def _saying(remark: Remark, rule: Rule) -> Rule:
    """A rule whose card appears just where the remark is said."""
    return rule if remark.when is None else replace(rule, when=remark.when, suggestions=())


def _check_section(
    name: str, body: str, when: Condition, text: CardText, rule: Rule, pack: Pack
) -> Iterator[Problem]:
    """Every problem of a part of a text that is shown where `when` holds."""
    for code, piece, message, remedy in wording_faults(body):
        yield _problem(code, text, piece, message, remedy)
    try:
        used = placeholders(body)
    except TextError as error:
        yield _problem("K501", text, body.split("\n")[error.line - 1], str(error))
        return
    for placeholder in used:
        trouble = _trouble(placeholder, when, rule, pack)
        if trouble is not None:
            lines = body.split("\n")
            written = re.search(rf"{{{{\s*{placeholder}\b", lines[placeholder.line - 1])
            problem, remedy = trouble
            message = f"'{{{{ {placeholder} }}}}' {problem}"
            yield _problem("K501", text, written[0] if written else "", message, remedy)
    if name == "summary" and len(_without_placeholders(body)) >= SUMMARY_BELOW:
        yield _problem("K502", text, body, "the summary has 140 characters or more")


def _without_placeholders(text: str) -> str:
    return re.sub(r"{{.*?}}", "", text)


def _trouble(
    placeholder: Placeholder, when: Condition, rule: Rule, pack: Pack
) -> tuple[str, str] | None:
    """What is wrong with a placeholder and what to write; `None` if it is sure to be there.

    `when` is what is true whenever the text is shown.
    """
    name, *parts = placeholder.path
    if name == "result" and not rule.about:
        return _unknown_part(parts, _RESULT_PARTS)
    if name == UNUSED_DATA.replace(" ", "-") and rule.about == (UNUSED_DATA,):
        return None if parts == ["names"] else ("cannot be shown alone", "unused_data.names")
    if name == "order":
        known = {suggestion.order for suggestion in rule.suggestions}
        fits = len(parts) == 2 and parts[0].replace("_", "-") in known and parts[1] == "window"
        return None if fits else ("is not an order of this rule", "order.NAME.window")
    if name in pack.facts:
        if parts not in (["names"], ["as_sent"]) or not _always(
            when, lambda leaf: leaf == FactIs(name, answer=True)
        ):
            return (_NOT_SURE, "use a fact that 'when' asks for, .names")
        return None
    if name in pack.measures:
        sure = _always(when, lambda leaf: isinstance(leaf, MeasureCompare) and leaf.measure == name)
        return None if sure and not parts else (_NOT_SURE, "")
    if name == "trigger" or name in pack.markers:
        markers = _markers_shown(name, when, rule, pack)
        return _unknown_part(parts, MARKER_PARTS) or _marker_trouble(markers, parts, when, pack)
    known_names = [*pack.markers, *pack.measures, *pack.facts, "trigger", "order", "result"]
    return ("is nothing that a text can show", nearest(name, known_names))


def _markers_shown(name: str, when: Condition, rule: Rule, pack: Pack) -> set[str]:
    """The markers that a name can stand for; none if their result is not sure to be there."""
    if name == "trigger":
        return (_triggers(when) or set(rule.about)) & pack.markers.keys()
    sure = rule.about == (name,) or _always(when, lambda leaf: _reads(leaf, name))
    return {name} if sure else set()


def _marker_trouble(
    markers: set[str], parts: list[str], when: Condition, pack: Pack
) -> tuple[str, str] | None:
    """What may be missing of a result: all of it, the limit or the previous test of the part."""
    if not markers:
        return (_NOT_SURE, "only what 'when' asks for is sure to be there; or use 'also say'")
    part = parts[0] if parts else ""
    kind = _PART_NEEDS.get(part)
    if kind is not None and not _has_limit(markers, kind, when, pack):
        return ("may have no limit", f"compare it with its {kind} in 'when'")
    if part.startswith("previous") and not _always(when, lambda x: _is_of_before(x, markers, pack)):
        return ("may have no previous test", "ask for the previous test in 'when'")
    return None


def _always(condition: Condition, holds: Callable[[Leaf], bool]) -> bool:
    """Whether such a leaf is true whenever the condition is."""
    match condition:
        case AllOf(parts=parts):
            return any(_always(part, holds) for part in parts)
        case AnyOf(parts=parts):
            return all(_always(part, holds) for part in parts)
        case PatternIs(when=when, answer=answer):
            return answer and _always(when, holds)
        case leaf:
            return holds(leaf)


def _reads(leaf: Leaf, marker: str) -> bool:
    """Whether the leaf can be true only if there is a result of the marker."""
    if isinstance(leaf, Present):
        return leaf.marker == marker and not leaf.since_index
    several = isinstance(leaf, Compare) and len(leaf.markers) > 1
    return marker in markers_of(leaf) and not several


def _triggers(when: Condition) -> set[str]:
    """The markers of every `any of` comparison: one of them is the trigger."""
    compared = [leaf for leaf in leaves(when) if isinstance(leaf, Compare)]
    return {marker for leaf in compared if len(leaf.markers) > 1 for marker in leaf.markers}


def _has_limit(names: set[str], kind: LimitKind, when: Condition, pack: Pack) -> bool:
    """Whether each of these markers has a limit: by its policy, or because it was compared."""

    def compares(leaf: Leaf) -> bool:
        bound = leaf.bound if isinstance(leaf, Compare) and names <= set(leaf.markers) else None
        return isinstance(bound, TimesLimit) and bound.limit == kind

    policies = [pack.markers[name].limits[kind] for name in names]
    always = all(
        policy and policy[-1].amount is not None and policy[-1].applies is None
        for policy in policies
    )
    return always or _always(when, compares)


def _is_of_before(leaf: Leaf, names: set[str], pack: Pack) -> bool:
    """Whether the leaf can be true only if one of these markers has a previous test."""
    match leaf:
        case TestedBefore() | OtherMethod() | SameMethod():
            return leaf.marker in names
        case Compare(markers=(marker,), bound=TimesPrevious()):
            return marker in names
        case Compare(markers=markers, earlier=Earlier()):
            return len(markers) == 1 and markers[0] in names
        case MeasureCompare(measure=measure):
            inputs = pack.measures[measure].formula.inputs
            return any(item.part == "previous" and item.marker in names for item in inputs)
        case _:
            return False


def _unknown_part(parts: list[str], known: frozenset[str]) -> tuple[str, str] | None:
    if len(parts) <= 1 and set(parts) <= known:
        return None
    return ("is not a part of a value", "parts: " + ", ".join(sorted(known)))


def _problem(code: str, text: CardText, piece: str, message: str, remedy: str = "") -> Problem:
    """A problem at the first line of the text file that holds `piece`."""
    piece = piece.split("\n", maxsplit=1)[0]
    for number, line in enumerate(text.lines, start=1):
        if piece and piece in line:
            mark = Mark(text.file, number, line.index(piece) + 1, line, len(piece))
            return Problem(code, mark, message, remedy)
    first = text.lines[0] if text.lines else ""
    return Problem(code, Mark(text.file, 1, 1, first), message, remedy)
