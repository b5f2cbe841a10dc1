# SPDX-License-Identifier: Apache-2.0
"""`rules/*.yaml` with their `*.en.md` texts -> rules."""

import re
from collections.abc import Mapping, Sequence

from cds_service.knowledge.model.conditions import Condition
from cds_service.knowledge.model.pack import (
    WITHOUT_RESULT,
    CardText,
    Evidence,
    Rule,
    Suggestion,
    Urgency,
)
from cds_service.knowledge.reading.history import read_history
from cds_service.knowledge.reading.orders_measures_patterns import read_days, read_reasons
from cds_service.knowledge.reading.phrases import Phrases
from cds_service.knowledge.reading.schemas import (
    EvidenceShape,
    RuleShape,
    SuggestionShape,
    TextHeadShape,
)
from cds_service.knowledge.reading.vocabulary import COUNT
from cds_service.sourcefile.diagnostics import Mark, Problem, nearest
from cds_service.sourcefile.document import Data, Where, parse
from cds_service.sourcefile.schema import read_shape

SET_ASIDE = "set-aside results"
_WITHOUT_RESULT = tuple((word,) for word in WITHOUT_RESULT)
_BETWEEN = re.compile(rf"({COUNT}) and ({COUNT}) days")
_FRONT = re.compile(r"---\n(.*?\n)---\n(.*)", re.DOTALL)
_ALSO = re.compile(r"^## also: *([a-z0-9-]+) *$", re.MULTILINE)


def read_rule(
    shape: RuleShape, reader: Phrases, texts: Mapping[str, CardText], sources: Sequence[str]
) -> Rule | None:
    """The rule, or `None` after its problems were noted."""
    before = len(reader.problems)
    about = () if shape.about == [SET_ASIDE] else tuple(shape.about)
    if shape.otherwise_about is not None:
        about = (*about, shape.otherwise_about)
    for n, marker in enumerate(about):
        if marker not in reader.vocabulary.markers and about not in _WITHOUT_RESULT:
            remedy = nearest(marker, (*reader.vocabulary.markers, *WITHOUT_RESULT, SET_ASIDE))
            reader.problem("K301", ("about", n), f"there is no marker '{marker}'", remedy)
    when = reader.condition(shape.when, ("when",))
    urgencies = tuple(
        Urgency(indicator=urgency.indicator, when=condition)
        for n, urgency in enumerate(shape.more_urgent)
        if (condition := reader.condition(urgency.when, ("more urgent", n, "when")))
    )
    suggestions = tuple(
        suggestion
        for n, line in enumerate(shape.suggest)
        if (suggestion := _suggestion(line, ("suggest", n), reader))
    )
    also_say = {
        word: condition
        for word, data in shape.also_say.items()
        if (condition := reader.condition(data, ("also say", word)))
    }
    on_order_hooks: Condition | None = None
    if shape.on_order_hooks is not None:
        on_order_hooks = reader.condition(shape.on_order_hooks, ("on order hooks",))
    unless = read_reasons(shape.unless, ("unless",), reader)
    evidence = read_evidence(shape.evidence, reader, sources)
    if when is None or len(reader.problems) > before:
        return None
    return Rule(
        id=shape.id,
        version=shape.version,
        status=shape.status,
        title=shape.title,
        about=about,
        stands_in=shape.otherwise_about,
        hooks=tuple(shape.hooks),
        indicator=shape.indicator,
        urgencies=urgencies,
        when=when,
        on_order_hooks=on_order_hooks,
        unless=unless,
        suggestions=suggestions,
        also_say=also_say,
        evidence=evidence,
        texts=texts,
        last_review=shape.last_review,
        time_critical=shape.time_critical == "yes",
        quiet_days=int(shape.quiet_for.split()[0]) if shape.quiet_for else 0,
        history=read_history(shape.history),
    )


def read_evidence(
    lines: Sequence[EvidenceShape], reader: Phrases, sources: Sequence[str]
) -> tuple[Evidence, ...]:
    """Evidence whose sources exist."""
    for n, line in enumerate(lines):
        where: Where = ("evidence", n)
        if (line.source is None) == (line.decision is None):
            reader.problem("K106", where, "write either 'source: ID' or 'decision: yes'")
        elif line.source is not None and line.source not in sources:
            message = f"there is no source '{line.source}' in sources.yaml"
            reader.problem("K301", (*where, "source"), message, nearest(line.source, sources))
    return tuple(
        Evidence(source=line.source, backs=tuple(line.backs), says=line.says) for line in lines
    )


def _suggestion(shape: SuggestionShape, where: Where, reader: Phrases) -> Suggestion | None:
    match = _BETWEEN.fullmatch(shape.between)
    if match is None or int(match[1]) > int(match[2]):
        reader.problem(
            "K202", (*where, "between"), "cannot read the window", "write: 0 and 14 days"
        )
        return None
    if shape.order not in reader.vocabulary.orders:
        remedy = nearest(shape.order, reader.vocabulary.orders)
        reader.problem("K301", (*where, "order"), f"there is no order '{shape.order}'", remedy)
    when: Condition | None = None
    if shape.when is not None:
        when = reader.condition(shape.when, (*where, "when"))
    return Suggestion(
        order=shape.order,
        first_day=int(match[1]),
        last_day=int(match[2]),
        priority=shape.priority,
        recommended=_recommended(shape.recommended, (*where, "recommended"), reader),
        when=when,
        unless=read_reasons(shape.unless, (*where, "unless"), reader),
        group=shape.group,
        resulted_days=read_days(shape.resulted_within, (*where, "resulted within"), reader),
    )


def _recommended(data: "Data | None", where: Where, reader: Phrases) -> Condition | bool | None:
    if data is None:
        return None
    if data in ("always", "never"):
        return data == "always"
    return reader.condition(data, where)


def read_card_text(text: str, shown: str, language: str) -> tuple[CardText | None, list[Problem]]:
    """The card text of a Markdown file with a head between `---` lines."""
    match = _FRONT.fullmatch(text.replace("\r\n", "\n"))
    if match is None:
        first = text.splitlines()[0] if text else ""
        remedy = "begin with '---', 'summary: \"...\"' and '---', then the detail"
        return None, [Problem("K106", Mark(shown, 1, 1, first), "has no head", remedy)]
    document, problems = parse(match[1], shown, first_line=2)
    head, more = read_shape(TextHeadShape, document.data, document)
    if head is None or problems:
        return None, [*problems, *more]
    pieces = _ALSO.split(match[2])
    twice = [word for n, word in enumerate(pieces[1::2]) if word in pieces[1::2][:n]]
    if twice:
        message = f"'## also: {twice[0]}' stands twice"
        return None, [Problem("K102", Mark(shown, 1, 1), message, "make one of the two")]
    also = {word: body.strip() for word, body in zip(pieces[1::2], pieces[2::2], strict=True)}
    card_text = CardText(
        language=language,
        file=shown,
        lines=tuple(text.splitlines()),
        summary=head.summary,
        summary_when=head.summary_when,
        detail=pieces[0].strip(),
        also=also,
    )
    return card_text, []
