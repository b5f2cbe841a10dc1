# SPDX-License-Identifier: Apache-2.0
"""The rule catalogue as Markdown files, for the documentation: the same views as the pages."""

from collections.abc import Iterator, Mapping

from cds_service.catalogue.rules import Catalogue, Release, RulePage, SuggestionView
from cds_service.catalogue.truth_tables import Table
from cds_service.explanation.clauses import Because, Clause

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
        named = ", ".join(f"[{one.title}]({one.id}.md)" for one in view.time_critical)
        yield f"Asking for action within hours: {named}."
    yield ""
    yield "| rule | indicator | a card appears when |"
    yield "| --- | --- | --- |"
    for one in view.rules:
        flag = ", time-critical" if one.time_critical else ""
        yield f"| [{_cell(one.title)}]({one.id}.md) | {one.indicator}{flag} | {_cell(one.when)} |"
    for pack in view.packs:
        yield from ("", f"## Versions of the pack: {pack.title}", "", *_history(pack.history))


def _rule(page: RulePage) -> Iterator[str]:
    entry = page.entry
    yield f"# {entry.title}"
    yield ""
    yield f"`{entry.id}` {entry.version}, {entry.status}, {entry.indicator}. {page.pack}."
    about = " or ".join(one.title for one in page.about)
    yield f"About {about}; on {', '.join(entry.hooks)}. {_WRITTEN_BY}"
    yield ""
    yield f"**{page.approval}**" + (f" {page.time_critical}" if page.time_critical else "")
    yield from _conditions(page)
    if page.suggestions:
        yield from ("", "## It can propose", "")
        for one in page.suggestions:
            yield from _suggestion(one)
    for text in page.texts:
        yield from ("", f"## What the card says ({text.language})", "", f"> **{text.summary}**")
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
        for one in page.unless:
            yield from _because(one, 0)
    for urgency in page.urgencies:
        yield from ("", f"It is {urgency.indicator} when", "", *_clause(urgency.when, 0))


def _clause(one: Clause, depth: int, after: str = "") -> Iterator[str]:
    indent = "  " * depth
    if one.kind == "is":
        yield f"{indent}- {one.subject} **{one.phrase}**{after}"
        return
    words = "all of these" if one.kind == "all" else "at least one of these"
    yield f"{indent}- {words}{after}"
    for part in one.parts:
        yield from _clause(part, depth + 1)


def _because(one: Because, depth: int, word: str = "") -> Iterator[str]:
    lines = list(_clause(one.when, depth, f" (`{one.because}`)"))
    if word:
        lines[0] = lines[0].replace("- ", f"- {word} ", 1)
    yield from lines


def _suggestion(one: SuggestionView) -> Iterator[str]:
    yield f"- **{one.title}** (LOINC {one.code}), {one.window}, {one.priority}"
    if one.when is not None:
        yield f"  - only when {_inline(one.when)}"
    if one.recommended:
        yield f"  - recommended: {one.recommended}"
    if one.recommended_when is not None:
        yield f"  - recommended when {_inline(one.recommended_when)}"
    for why in one.unless:
        yield f"  - unless {_inline(why.when)} (`{why.because}`)"


def _inline(one: Clause) -> str:
    if one.kind == "is":
        return f"{one.subject} **{one.phrase}**"
    word = " and " if one.kind == "all" else " or "
    return word.join(
        f"({_inline(part)})" if part.kind != "is" else _inline(part) for part in one.parts
    )


def _table(table: Table) -> Iterator[str]:
    given = "; ".join(f"{one.subject} {one.words}" for one in table.given)
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
    for one in page.evidence:
        if one.source is None:
            who = "decision of this pack"
        else:
            source = one.source
            who = f"[{source.title}]({source.url})" if source.url else source.title
        yield f"- {', '.join(one.backs)}: {one.says} ({who})"
    if page.yields_to or page.replaces:
        yield from ("", "## Among other cards", "")
    for place in page.yields_to:
        orders = ", which takes over its orders" if place.orders_join else ""
        yield f"- yields to [{place.title}]({place.rule}.md){orders}"
    for place in page.replaces:
        orders = " and takes over its orders" if place.orders_join else ""
        yield f"- replaces [{place.title}]({place.rule}.md){orders}"
    yield from ("", "## Versions", "", *_history(page.version.history), "")
    lock = "recorded in the lock file" if page.version.recorded else "not in the lock file yet"
    yield f"Meaning of {page.version.version}: `{page.version.meaning}`, {lock}."
    yield f"Last review: {page.last_review}."


def _history(history: tuple[Release, ...]) -> Iterator[str]:
    yield from ("| version | date | what changed |", "| --- | --- | --- |")
    for one in history:
        yield f"| {one.version} | {one.date} | {_cell(one.change)} |"


def _cell(text: str) -> str:
    return text.translate(_UNSAFE)
