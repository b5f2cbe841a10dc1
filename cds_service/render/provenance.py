# SPDX-License-Identifier: Apache-2.0
"""What a card rests on, as the Markdown list under its text.

Whoever reads a card can judge it without trusting it: every result with its time, its limit and
where that came from, what was computed, what made a fact so, and what was not known. Every value
passes `escape_markdown`.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import tzinfo

from cds_service.amounts import rounded
from cds_service.knowledge.model.conditions import FactIs
from cds_service.knowledge.model.dependencies import (
    dependencies_of,
    inputs_of,
    measures_about,
    sources_of,
)
from cds_service.knowledge.model.pack import Measure, Pack, Rule
from cds_service.knowledge.reading.card_texts import escape_markdown as escaped
from cds_service.knowledge.site.wording import code_in_words, value_in_words
from cds_service.labs.frames import Frame, MeasureValue, Reading
from cds_service.labs.patient_record import LabResult, PatientRecord, SetAside
from cds_service.render.reason_text import reason_text
from cds_service.render.values import (
    converted_value,
    date_of,
    day_of,
    limit_amount,
    limit_source,
    moment_of,
    multiple_of,
    value_of,
    words_of_set_aside,
)
from cds_service.rules.answer import Decision
from cds_service.rules.grades import is_doubtful
from cds_service.rules.reasons import ConditionNotMet
from cds_service.rules.site_values import values_behind

_AGE = "age"
_JUDGEMENT = "This supports clinical judgement and does not replace it."


@dataclass(frozen=True, slots=True, kw_only=True)
class Basis:
    """What is the same on every card of a rule."""

    pack: Pack
    zone: tzinfo
    markers: tuple[str, ...]
    measures: tuple[Measure, ...]
    facts: tuple[str, ...]
    names_method: frozenset[str]  # markers of which some code names a method
    last: tuple[str, ...]

    def lines(self, decision: Decision, record: PatientRecord) -> tuple[str, ...]:
        """The list, without a heading; one Markdown item each."""
        frame = decision.frame
        return (
            *self._results(frame),
            *self._computed(frame),
            *self._facts(frame),
            *self._not_known(decision, record),
            *self._withheld(decision),
            *_warnings(decision, record),
            *self._of_the_site(decision),
            *self.last,
        )

    def _results(self, frame: Frame) -> Iterator[str]:
        if frame.set_aside is not None:
            yield self._set_aside(frame.set_aside)
        computed_from = (
            name
            for measure in self.measures
            if _is_there(frame.measures.get(measure.id))
            for name in inputs_of(measure)
        )
        for name in dict.fromkeys((*self.markers, *computed_from)):
            if name in frame.readings:
                yield self._result(name, frame.readings[name])
            elif name in frame.not_used:
                title = escaped(self.pack.markers[name].title)
                yield f"**{title}** was not used: {escaped(reason_text(frame.not_used[name]))}"

    def _result(self, name: str, reading: Reading) -> str:
        marker, result, upper = self.pack.markers[name], reading.result, reading.upper
        value = escaped(value_of(result, marker))
        if converted := converted_value(result, marker):
            value = f"{value} ({escaped(converted)})"
        parts = [f"**{escaped(marker.title)} {value}**, {escaped(_when(result, self.zone))}"]
        if upper is not None:
            parts.append(_against(reading, limit_amount(upper, marker) or "", upper.named))
        elif marker.limits.get("upper limit"):
            parts.append("no upper limit known")
        if name in self.names_method:
            parts.append(f"method: {escaped(result.method or 'not named by its code')}")
        if result.hemolysed:
            parts.append("hemolysed sample")
        if is_doubtful(marker, reading):
            parts.append("so near a boundary in this unit that its class is in doubt")
        if reading.previous is not None:
            before = f"{value_of(reading.previous, marker)} on "
            before += date_of(reading.previous, self.zone)
            parts.append(f"previous test {escaped(before)}")
        return "; ".join(parts)

    def _set_aside(self, item: SetAside) -> str:
        words = words_of_set_aside(item, self.pack.markers.get(item.marker))
        when = day_of(item.time, self.zone) if item.time else "date not known"
        value, reason = escaped(words.value), escaped(reason_text(item.reason))
        return f"**{escaped(words.title)} {value}**, {escaped(when)}; {reason}"

    def _computed(self, frame: Frame) -> Iterator[str]:
        shown: list[str] = []
        for measure in self.measures:
            found = frame.measures.get(measure.id)
            if found is None or found.value is None:
                continue
            called = f" ({escaped(found.called)})" if found.called else ""
            value = rounded(found.value, measure.decimals)
            shown.append(f"{escaped(measure.title)} {escaped(value)}{called}")
        if shown:
            yield f"Computed: {'; '.join(shown)}"

    def _facts(self, frame: Frame) -> Iterator[str]:
        counted = [
            f"{escaped(self.pack.facts[name].title)} ({escaped(', '.join(names))})"
            for name in self.facts
            if frame.facts[name].known is True and (names := frame.facts[name].names)
        ]
        if counted:
            yield f"Medicines and conditions that count: {'; '.join(counted)}"

    def _not_known(self, decision: Decision, record: PatientRecord) -> Iterator[str]:
        names = [
            self.pack.facts[leaf.fact].title if isinstance(leaf, FactIs) else _AGE
            for leaf in decision.unknown
        ]
        if record.patient.born is None and _AGE not in names:
            names.append(_AGE)
        if record.patient.sex is None:
            names.append("sex")
        if names:
            yield f"Not known: {escaped('; '.join(names))}"

    def _withheld(self, decision: Decision) -> Iterator[str]:
        told = [
            f"{escaped(self.pack.orders[one.order].title)} ({escaped(reason_text(one.because))})"
            for one in decision.withheld
            if not isinstance(one.because, ConditionNotMet)
        ]
        if told:
            yield f"Not proposed: {'; '.join(told)}"

    def _of_the_site(self, decision: Decision) -> Iterator[str]:
        for value in values_behind(decision, self.pack):
            yield f"**{escaped(value_in_words(value, self.pack))}**"
        for one in decision.orders:
            order = self.pack.orders[one.order]
            if order.site_code is not None:
                yield escaped(code_in_words(order, self.pack))


def compile_basis(rule: Rule, pack: Pack, zone: tzinfo) -> Basis:
    """The parts of the list that a rule always has."""
    reads = dependencies_of(rule, pack)
    measures = measures_about(rule, pack)
    others = (pack.measures[name] for name in reads.measures)
    return Basis(
        pack=pack,
        zone=zone,
        markers=reads.markers,
        measures=tuple({one.id: one for one in (*measures, *others)}.values()),
        facts=reads.facts,
        names_method=frozenset(
            marker.id for marker in pack.markers.values() if any(c.method for c in marker.codes)
        ),
        last=tuple(_last(rule, pack)),
    )


def _last(rule: Rule, pack: Pack) -> Iterator[str]:
    named = f"Rule {rule.id} {rule.version}, {pack.title} {pack.version}"
    yield escaped(named)
    sources = sources_of(rule, pack)
    if sources:
        shown = (_linked(source.title, source.url) for source in sources)
        yield f"Sources: {'; '.join(shown)}"
    yield _JUDGEMENT


def _linked(title: str, url: str | None) -> str:
    if url is None:
        return escaped(title)
    return f"[{escaped(title)}]({url.replace('(', '%28').replace(')', '%29')})"


def _when(result: LabResult, zone: tzinfo) -> str:
    when = moment_of(result, zone)
    if result.issued_only:
        when += " (when it was issued)"
    return when if result.status == "final" else f"{when}, {result.status}"


def _against(reading: Reading, limit: str, named: str) -> str:
    source = escaped(limit_source(named))
    multiple = multiple_of(reading.result.value, reading.upper)
    times = f"{escaped(multiple)} times " if multiple else ""
    return f"{times}the upper limit of {escaped(limit)} ({source})"


def _is_there(found: MeasureValue | None) -> bool:
    return found is not None and found.value is not None


def _warnings(decision: Decision, record: PatientRecord) -> Iterator[str]:
    if decision.preliminary:
        yield "**Preliminary:** it rests on a result that is not final, so no order is proposed"
    if record.incomplete:
        told = "; ".join(dict.fromkeys(escaped(text) for text in record.incomplete))
        yield f"**Incomplete data:** {told}"
