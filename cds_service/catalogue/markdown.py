# SPDX-License-Identifier: Apache-2.0
"""The rule catalogue as Markdown files, for the documentation: the same views as the pages."""

from collections.abc import Iterator, Mapping

from cds_service.catalogue.other_cards import RelatedRule
from cds_service.catalogue.rules import Catalogue, Release, RulePage
from cds_service.catalogue.suggestions import SuggestionView
from cds_service.catalogue.truth_tables import Table
from cds_service.explanation.clauses import Clause, WithholdingClause
from cds_service.knowledge.model.bounds import days_in_words

_WRITTEN_BY = "This page is written by `cds-service docs`; change the pack instead."
_UNSAFE = str.maketrans({"|": "\\|", "<": "&lt;", "*": "\\*", "[": "\\[", "]": "\\]"})


def documents(catalogue: Catalogue) -> Mapping[str, str]:
    """Every file by its name: an index and one page a rule."""
    entries = catalogue.entries().rules
    files = {f"{entry.id}.md": _text(_rule(catalogue.page(entry.id))) for entry in entries}
    return {"README.md": _text(_index(catalogue)), **files}


def is_ours(text: str) -> bool:
    """Whether a file was written here."""
    return _WRITTEN_BY in text


def _text(lines: Iterator[str]) -> str:
    return "\n".join(lines).rstrip("\n") + "\n"


def _index(catalogue: Catalogue) -> Iterator[str]:
    view = catalogue.entries()
    yield "# Rules"
    yield ""
    yield _WRITTEN_BY
    yield ""
    yield f"**{view.approval}**"
    if view.time_critical:
        named = ", ".join(f"[{rule.title}]({rule.id}.md)" for rule in view.time_critical)
        yield f"Asking for action within hours: {named}."
    yield ""
    yield "| rule | indicator | a card appears when |"
    yield "| --- | --- | --- |"
    for rule in view.rules:
        flag = ", time-critical" if rule.time_critical else ""
        link = f"[{_cell(rule.title)}]({rule.id}.md)"
        yield f"| {link} | {rule.indicator}{flag} | {_cell(rule.when)} |"
    for pack in view.packs:
        yield from ("", f"## Versions of the pack: {pack.title}", "", *_history(pack.history))


def _rule(page: RulePage) -> Iterator[str]:
    entry = page.entry
    yield f"# {entry.title}"
    yield ""
    yield f"`{entry.id}` {entry.version}, {entry.status}, {entry.indicator}. {page.pack}."
    about = " or ".join(subject.title for subject in page.about)
    yield f"About {about}; on {', '.join(entry.hooks)}. {_WRITTEN_BY}"
    yield ""
    yield f"**{page.approval}**" + (f" {page.time_critical}" if page.time_critical else "")
    yield from _conditions(page)
    if page.suggestions:
        yield from ("", "## It can propose", "")
        for suggestion in page.suggestions:
            yield from _suggestion(suggestion)
    for text in page.texts:
        yield from ("", f"## What the card says ({text.language})", "", f"> **{text.summary}**")
        for summary in text.summary_when:
            yield from (">", f"> **{summary.text}** (when {_inline(summary.when)})")
        yield from (">", *(f"> {line}".rstrip() for line in text.detail.split("\n")))
        for also in text.also:
            yield from ("", f"And when {_inline(also.when)}:", "")
            yield from (f"> {line}".rstrip() for line in also.text.split("\n"))
    if page.cases:
        yield from ("", "## Cases")
        for table in page.cases:
            yield from _table(table)
    yield from _rest(page)


def _conditions(page: RulePage) -> Iterator[str]:
    yield from ("", "## A card appears when", "", *_clause(page.when, 0))
    if page.on_order_hooks is not None:
        yield from ("", "and, where orders are being made,", "", *_clause(page.on_order_hooks, 0))
    if page.unless:
        yield from ("", "unless", "")
        for reason in page.unless:
            yield from _because(reason, 0)
    for urgency in page.urgencies:
        yield from ("", f"It is {urgency.indicator} when", "", *_clause(urgency.when, 0))


def _clause(clause: Clause, depth: int, after: str = "") -> Iterator[str]:
    indent = "  " * depth
    if clause.kind == "is":
        means = ", where yes means" if clause.parts else ""  # it is a pattern
        yield f"{indent}- {clause.subject} **{clause.phrase}**{after}{means}"
        for part in clause.parts:
            yield from _clause(part, depth + 1)
        return
    words = "all of these" if clause.kind == "all" else "at least one of these"
    yield f"{indent}- {words}{after}"
    for part in clause.parts:
        yield from _clause(part, depth + 1)


def _because(because: WithholdingClause, depth: int, word: str = "") -> Iterator[str]:
    lines = list(_clause(because.when, depth, f" (`{because.because}`)"))
    if word:
        lines[0] = lines[0].replace("- ", f"- {word} ", 1)
    yield from lines


def _suggestion(suggestion: SuggestionView) -> Iterator[str]:
    how_soon = f"{suggestion.window}, {suggestion.priority}"
    yield f"- **{suggestion.title}** (LOINC {suggestion.code}), {how_soon}"
    if suggestion.group:
        yield f"  - in one suggestion: {suggestion.group}"
    if suggestion.when is not None:
        yield f"  - only when {_inline(suggestion.when)}"
    if suggestion.recommended:
        yield f"  - recommended: {suggestion.recommended}"
    if suggestion.recommended_when is not None:
        yield f"  - recommended when {_inline(suggestion.recommended_when)}"
    if suggestion.resulted_days is not None:
        yield f"  - unless it has a result of the last {days_in_words(suggestion.resulted_days)}"
    for why in suggestion.unless:
        yield f"  - unless {_inline(why.when)} (`{why.because}`)"


def _inline(clause: Clause) -> str:
    if clause.kind == "is":
        return f"{clause.subject} **{clause.phrase}**"
    word = " and " if clause.kind == "all" else " or "
    return word.join(
        f"({_inline(part)})" if part.kind != "is" else _inline(part) for part in clause.parts
    )


def _table(table: Table) -> Iterator[str]:
    given = "; ".join(f"{clause.subject} {clause.words}" for clause in table.given)
    yield from ("", f"**{table.title[:1].upper()}{table.title[1:]}.** {given}", "")
    yield from ("| given | expected | answer |", "| --- | --- | --- |")
    for row in table.rows:
        change = f"{row.change.subject} {row.change.words}" if row.change else "as above"
        why = f" (`{row.because}`)" if row.because else ""
        answer = f"card, {row.indicator}" if row.answer == "card" else f"{row.answer}{why}"
        cells = (change, "; ".join(row.expected), answer)
        yield f"| {' | '.join(_cell(cell) for cell in cells)} |"


def _rest(page: RulePage) -> Iterator[str]:
    yield from ("", "## What it stands on", "")
    for line in page.evidence:
        if line.source is None:
            who = "decision of this pack"
        else:
            source = line.source
            who = f"[{source.title}]({source.url})" if source.url else source.title
        yield f"- {', '.join(line.backs)}: {line.says} ({who})"
    if page.yields_to or page.replaces:
        yield from ("", "## Among other cards", "")
    for other in page.yields_to:
        orders = ", which takes over its orders" if other.orders_join else ""
        yield f"- yields to [{other.title}]({other.rule}.md){orders}{_only_if(other)}"
    for other in page.replaces:
        orders = " and takes over its orders" if other.orders_join else ""
        yield f"- replaces [{other.title}]({other.rule}.md){orders}{_only_if(other)}"
    if page.quiet:
        yield from ("", page.quiet)
    yield from ("", "## Versions", "", *_history(page.version.history), "")
    lock = "recorded in the lock file" if page.version.recorded else "not in the lock file yet"
    yield f"Meaning of {page.version.version}: `{page.version.meaning}`, {lock}."
    yield f"Last review: {page.last_review}."


def _only_if(other: RelatedRule) -> str:
    return f", only if {other.only_if}" if other.only_if else ""


def _history(history: tuple[Release, ...]) -> Iterator[str]:
    yield from ("| version | date | what changed |", "| --- | --- | --- |")
    for change in history:
        yield f"| {change.version} | {change.date} | {_cell(change.change)} |"


def _cell(text: str) -> str:
    return text.translate(_UNSAFE)
