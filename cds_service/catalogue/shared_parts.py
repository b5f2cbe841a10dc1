# SPDX-License-Identifier: Apache-2.0
"""What the rules of a pack share, in words from the model: all that is signed besides the rules."""

from collections.abc import Callable, Iterable, Iterator
from fractions import Fraction

from cds_service.amounts import Interval, plain
from cds_service.explanation.clauses import Clause, clause_of, title_of
from cds_service.explanation.view import View
from cds_service.knowledge.model.bounds import days_in_words
from cds_service.knowledge.model.code_systems import ICD_10_CM, LOINC, RXNORM, SNOMED, Code
from cds_service.knowledge.model.conditions import Condition
from cds_service.knowledge.model.facts import CodeMatch, DenyingWords, Fact
from cds_service.knowledge.model.pack import (
    Grade,
    LimitChoice,
    Marker,
    Measure,
    Order,
    Pack,
    Replacement,
)
from cds_service.knowledge.model.remarks import Remark

_SYSTEMS = {LOINC: "LOINC", SNOMED: "SNOMED CT", RXNORM: "RxNorm", ICD_10_CM: "ICD-10-CM"}


class SharedLine(View, frozen=True, kw_only=True):
    """One thing that is so, perhaps only under a condition."""

    label: str
    text: str = ""
    when: Clause | None = None


class SharedPart(View, frozen=True, kw_only=True):
    """A marker, fact, order and the like, with all that is so of it."""

    title: str
    id: str = ""
    lines: tuple[SharedLine, ...]


class SharedSection(View, frozen=True, kw_only=True):
    """The things of one kind."""

    title: str
    things: tuple[SharedPart, ...]


def shared_parts(pack: Pack) -> tuple[SharedSection, ...]:
    """Every shared part of the pack that holds anything."""
    named = {
        "The pack": _of_pack(pack),
        "Which card stands for which": _of_precedence(pack),
        "Remarks, which many cards say": _of_remarks(pack),
        "Sentences that all cards share": _of_messages(pack),
        "Tests": (_thing(marker, _of_marker(marker, pack)) for marker in pack.markers.values()),
        "Measures": (
            _thing(measure, _of_measure(measure, pack)) for measure in pack.measures.values()
        ),
        "Facts": (_thing(fact, _of_fact(fact, pack)) for fact in pack.facts.values()),
        "Orders": (_thing(order, _of_order(order, pack)) for order in pack.orders.values()),
    }
    sections = (SharedSection(title=title, things=tuple(of)) for title, of in named.items())
    return tuple(section for section in sections if section.things)


def _thing(named: Marker | Measure | Fact | Order, lines: Iterable[SharedLine]) -> SharedPart:
    return SharedPart(title=named.title, id=named.id, lines=tuple(lines))


def _line(label: str, text: str | int | None, when: Clause | None = None) -> Iterator[SharedLine]:
    """The line, unless there is nothing to say."""
    if text not in (None, "", 0) or when is not None:
        yield SharedLine(label=label, text="" if text is None else str(text), when=when)


def _listed(label: str, words: Iterable[str], mark: str = "; ") -> Iterator[SharedLine]:
    yield from _line(label, mark.join(words))


def _lines_of(*groups: Iterable[SharedLine]) -> tuple[SharedLine, ...]:
    return tuple(line for group in groups for line in group)


def _of_pack(pack: Pack) -> Iterator[SharedPart]:
    yield SharedPart(title="Scope", lines=tuple(_scope(pack)))
    for service in pack.services:
        least = (
            f"cards on results from {service.least} on" if service.least != "info" else "every card"
        )
        lines = _lines_of(_line("shows", least), _line("described as", service.description))
        yield SharedPart(title=f"{service.title}, on {service.hook}", id=service.id, lines=lines)
    if pack.cards is not None:
        rank = (pack.rules[name].title for name in pack.cards.rank)
        limit = f"{pack.cards.at_most} cards; critical ones whatever their number"
        lines = _lines_of(
            _line("at most", limit), _listed("of equally severe ones first", rank, " > ")
        )
        yield SharedPart(title="How many cards are shown", lines=lines)
    reasons = (
        SharedLine(label=reason.code, text=reason.display) for reason in pack.override_reasons
    )
    yield SharedPart(title="Reasons for not following a card", lines=tuple(reasons))
    groups = (SharedLine(label=name, text=title) for name, title in pack.order_groups.items())
    if pack.order_groups:
        yield SharedPart(title="Orders that are offered together", lines=tuple(groups))


def _scope(pack: Pack) -> Iterator[SharedLine]:
    scope = pack.scope
    if scope.silent_if_deceased:
        yield SharedLine(label="silent", text="if the patient is deceased")
    for silence in scope.silent_when:
        but_for = ", ".join(pack.rules[name].title for name in silence.but_for)
        text = f"{silence.because}{f', but for: {but_for}' if but_for else ''}"
        yield SharedLine(label="silent", text=text, when=clause_of(silence.when, pack))
    yield from _line("a card is about a result no older than", days_in_words(scope.index_days))
    yield from _line("results are of one draw within", f"{scope.draw_minutes} minutes")
    yield from _line("a result in the future is set aside after", f"{scope.future_hours} hours")
    yield from _line("an open order counts for", days_in_words(scope.order_days))
    yield SharedLine(label="preliminary results", text="critical cards only, without orders")
    yield from _line("of different values of one time", f"the {scope.duplicates} counts")
    yield from _denying(scope.denying)


def _denying(words: DenyingWords) -> Iterator[SharedLine]:
    yield from _listed("denied by these words before the name", words.before)
    yield from _listed("denied by these words anywhere in the text", words.anywhere)


def _of_precedence(pack: Pack) -> Iterator[SharedPart]:
    def titles(names: Iterable[str], mark: str) -> str:
        return mark.join(pack.rules[name].title for name in names)

    for replacement in pack.precedence:
        winners = (
            "the first that fires, instead of the others"
            if replacement.strongest
            else "the first of"
        )
        replaced = (
            () if replacement.strongest else _line("instead of", titles(replacement.replaced, "; "))
        )
        lines = _lines_of(
            _line(winners, titles(replacement.by, " > ")), replaced, _terms(replacement, pack)
        )
        yield SharedPart(title=", ".join(replacement.winners), lines=lines)


def _terms(replacement: Replacement, pack: Pack) -> Iterator[SharedLine]:
    yield from _line("only as at least", replacement.only_as)
    if replacement.when is not None:
        yield SharedLine(label="only if", when=clause_of(replacement.when, pack))
    yield from _line("orders", "of both" if replacement.orders_join else "its own")
    yield from _line(
        "severity", "the higher of the two" if replacement.indicator_rises else "its own"
    )


def _of_remarks(pack: Pack) -> Iterator[SharedPart]:
    if not pack.remarks:
        return
    who = "; ".join(rule.title for rule in pack.rules.values() if rule.id in pack.remarks.rules)
    yield SharedPart(title="Cards that say them", lines=tuple(_line("cards", who)))
    for remark in pack.remarks.each:
        yield SharedPart(title="Remark", id=remark.id, lines=tuple(_remark(remark, pack)))


def _remark(remark: Remark, pack: Pack) -> Iterator[SharedLine]:
    if remark.when is not None:
        yield SharedLine(label="when", when=clause_of(remark.when, pack))
    if remark.replaced is not None:
        yield from _line("on the card in place of", pack.rules[remark.replaced].title)
    for language, text in remark.texts.items():
        yield SharedLine(label=f"says ({language})", text=text.says)
        yield SharedLine(label=f"in short ({language})", text=text.in_short)


def _of_messages(pack: Pack) -> Iterator[SharedPart]:
    for language, messages in pack.messages.items():
        lines = (SharedLine(label=key, text=text) for key, text in messages.formats.items())
        yield SharedPart(title=f"Sentences ({language})", lines=tuple(lines))
    for language, sections in pack.titles.items():
        lines = (
            SharedLine(label=name, text=title)
            for titles in sections.values()
            for name, title in titles.items()
        )
        yield SharedPart(title=f"Titles ({language})", lines=tuple(lines))


def _of_marker(marker: Marker, pack: Pack) -> Iterator[SharedLine]:
    unit = marker.unit

    def amount(value: Fraction) -> str:
        return f"{plain(value)} {unit}".strip()

    yield from _line("name", marker.name)
    yield from _line("unit", unit or "none")
    if marker.unit_may_be_missing:
        yield SharedLine(label="without a unit", text=f"read as {unit}")
    yield from _line("plausible", _range(marker.plausible, amount))
    around = {"index": "of the result that the card is about", "now": "before now"}
    near = f"within {marker.pairing.hours} hours {around[marker.pairing.around]}"
    yield from _line("read beside others", near)
    if marker.used_if_hemolysed:
        yield SharedLine(label="hemolysed", text="used all the same")
    if marker.shows_hemolysis:
        yield SharedLine(label="above its upper limit", text="the specimen counts as hemolysed")
    for kind, choices in marker.limits.items():
        for choice in choices:
            yield _limit(kind, choice, pack, amount)
    for label, grades in (("band", marker.bands), ("grade", marker.grades)):
        yield from (_grade(label, grade, pack) for grade in grades)
    if marker.near is not None:
        edges = [*map(amount, marker.near.amounts)]
        edges.extend(f"{plain(multiple)} times the limit" for multiple in marker.near.multiples)
        text = f"in {marker.near.unit} within {amount(marker.near.distance)} of {', '.join(edges)}"
        yield SharedLine(label="class in doubt", text=text)
    if marker.whole is not None:
        whole = marker.whole
        above = f"by more than {amount(whole.plus)} and {plain(100 * whole.share)} per cent"
        text = f"above {title_of(whole.marker, pack)} {above}"
        yield SharedLine(label="impossible", text=text)
    yield from _listed("codes", (_code(code, code.method) for code in marker.codes))
    yield from _listed("codes not read", map(_code, marker.codes_not_read))
    yield from _listed("names", marker.names)
    yield from _listed(
        f"units, and how many {unit} each is",
        (f"{spelling} = {_exact(factor)}" for spelling, factor in marker.factors.items()),
    )


def _range(interval: Interval, amount: Callable[[Fraction], str]) -> str:
    return " to ".join(amount(end) for end in (interval.low, interval.high) if end is not None)


def _limit(
    kind: str, choice: LimitChoice, pack: Pack, amount: Callable[[Fraction], str]
) -> SharedLine:
    if choice.amount is not None:
        text = amount(choice.amount)
    elif choice.believed is not None:
        text = f"that of the laboratory, from {_range(choice.believed, amount)}"
    else:
        text = "that of the laboratory"
    when = None if choice.applies is None else clause_of(choice.applies, pack)
    return SharedLine(label=kind, text=f"{text} ({choice.named})", when=when)


def _grade(label: str, grade: Grade, pack: Pack) -> SharedLine:
    text = f"{grade.title} ({grade.id})"
    return SharedLine(label=label, text=text, when=clause_of(grade.when, pack))


def _exact(value: Fraction) -> str:
    """The number as it is: a fraction where decimals could not say it."""
    short = plain(value)
    return short if Fraction(short) == value else f"{value.numerator}/{value.denominator}"


def _code(code: Code, more: str | None = None) -> str:
    system = _SYSTEMS.get(code.system, code.system)
    return f"{system} {code.code} {code.name}{f' ({more})' if more else ''}"


def _of_measure(measure: Measure, pack: Pack) -> Iterator[SharedLine]:
    yield from _line("about", title_of(measure.about, pack))
    yield from _line("formula", measure.formula.written)
    if measure.earlier is not None:
        yield from _line("its previous test", measure.earlier.test)
    yield SharedLine(label="decimals", text=str(measure.decimals))
    for reason in measure.not_computed:
        when = clause_of(reason.when, pack)
        yield SharedLine(label="not computed", text=reason.because, when=when)
    for reading in measure.readings:
        bound = "" if reading.relation == "otherwise" else f" {plain(reading.bound)}"
        yield SharedLine(label=f"called {reading.called}", text=f"{reading.relation}{bound}")


def _of_fact(fact: Fact, pack: Pack) -> Iterator[SharedLine]:
    for medicine in fact.medicines:
        codes = ", ".join(_code(code).removesuffix(f" {code.name}") for code in medicine.codes)
        named = ", ".join(medicine.also_named)
        text = "; ".join(filter(None, (medicine.name, codes, named and f"also named {named}")))
        yield SharedLine(label="medicine", text=text)
    yield from (
        SharedLine(label="condition", text=_match(condition)) for condition in fact.conditions
    )
    yield from (SharedLine(label="but not", text=_match(condition)) for condition in fact.but_not)
    yield from _listed("condition in words", fact.condition_names)
    yield from _denying(fact.denied)
    yield from _listed("not denied by", fact.not_denied_by)
    yield from _listed("no word denies inside of", fact.not_denied_inside)
    yield from _line("a dated entry counts for", fact.days and days_in_words(fact.days))
    yield from _line("ended by", fact.ended_by and title_of(fact.ended_by, pack))
    yield from _listed("so if any of", (title_of(name, pack) for name in fact.any_of))
    yield from _listed("so if all of", (title_of(name, pack) for name in fact.all_of))
    yield from (_never(condition, pack) for condition in fact.never_for)
    yield from _listed("encounters", fact.encounter_classes)


def _match(match: CodeMatch) -> str:
    return f"{_code(match.code)}{' and every code below it' if match.below else ''}"


def _never(condition: Condition, pack: Pack) -> SharedLine:
    return SharedLine(label="never for", when=clause_of(condition, pack))


def _of_order(order: Order, pack: Pack) -> Iterator[SharedLine]:
    yield from _line("code", _code(order.code))
    yield from _line("says", order.text)
    yield from _line("instruction", order.instruction)
    yield from _line("note", order.note)
    yield from _line("category", None if order.category is None else _code(order.category))
    equal = sorted(f"{_SYSTEMS.get(system, system)} {code}" for system, code in order.equivalents)
    yield from _listed("counts as ordered or resulted", equal)
    answered = (title_of(name, pack) for name in order.answered_by)
    yield from _listed("needless after results of all of", answered)
    beside = (title_of(name, pack) for name in order.answered_beside_index)
    yield from _listed("and of these, unless the card is about them", beside)
    if order.resulted_days is not None:
        yield from _line("needless after a result of the last", days_in_words(order.resulted_days))
