# SPDX-License-Identifier: Apache-2.0
"""What a card rests on, as the Markdown list under its text.

A reader can judge a card without trusting it: every result with its time, its limit and
where that came from, what was computed, what made a fact so, and what was not known. Every value
passes `escape_markdown`.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import tzinfo
from typing import TypeAlias, cast, get_args

from cds_service.amounts import shortened
from cds_service.copying import replace
from cds_service.knowledge.model.bounds import Earlier, LimitKind
from cds_service.knowledge.model.conditions import (
    leaves,
)
from cds_service.knowledge.model.dependencies import (
    Dependencies,
    dependencies_of,
    earlier_tests,
    inputs_of,
    measures_about,
    sources_of,
)
from cds_service.knowledge.model.leaves import (
    AgeCompare,
    FactIs,
)
from cds_service.knowledge.model.messages import MessageKey, Messages
from cds_service.knowledge.model.pack import Marker, Measure, Pack, Rule
from cds_service.knowledge.site.wording import code_in_words, value_in_words
from cds_service.labs.patient import age_is
from cds_service.labs.patient_record import LabResult, PatientRecord, ReadingNote, SetAside
from cds_service.labs.reading_limits import is_doubtful, limit_in
from cds_service.labs.result_selection import Frame, MeasureValue, Reading
from cds_service.labs.unused_data import UnusedData
from cds_service.render.reason_text import incomplete_text, reason_text
from cds_service.render.result_units import limit_amount
from cds_service.render.site_values import values_behind
from cds_service.render.unused_text import unused_text
from cds_service.render.values import (
    ResultText,
    converted_value,
    date_of,
    day_of,
    limit_source,
    moment_of,
    multiple_of,
    value_of,
)
from cds_service.rules.answer import Decision
from cds_service.rules.reasons import ConditionNotMet
from cds_service.text_templates import escape_markdown as escaped

_MOST_UNUSED = 20  # on the card that tells of nothing else
_MOST_UNUSED_BESIDE = 5  # in the line on every other card
_LIMIT_KINDS: Mapping[str, LimitKind] = {kind: kind for kind in get_args(LimitKind)}
_LIMIT_TEXTS: Mapping[LimitKind, MessageKey] = {
    "upper limit": "result.limit",
    "lower limit": "result.lower limit",
    "screening limit": "result.screening limit",
}
_UPPER: tuple[LimitKind, ...] = ("upper limit",)


_NOTES: Mapping[ReadingNote, MessageKey] = {
    "code-malformed": "result.code malformed",
    "range-not-read": "result.range not read",
}


# The lines of one call: by the result and its previous one, which live as long, and the limits.
Lines: TypeAlias = dict[tuple[int, int, tuple[LimitKind, ...]], str]


@dataclass(frozen=True, slots=True, kw_only=True)
class Basis:
    """What is the same on every card of a rule."""

    pack: Pack
    messages: Messages
    zone: tzinfo
    markers: tuple[str, ...]
    measures: tuple[Measure, ...]
    inputs: Mapping[str, tuple[str, ...]]  # the markers of each measure
    facts: tuple[str, ...]
    limits: Mapping[str, tuple[LimitKind, ...]]  # of a marker, those that the rule judges it by
    earlier: Mapping[str, Earlier]  # the window of the previous test that a marker is compared with
    silent_ages: tuple[AgeCompare, ...]  # at which the pack is silent
    names_method: frozenset[str]  # markers of which some code names a method
    last: tuple[str, ...]

    def of_the_patient(
        self, decision: Decision, record: PatientRecord, unused: UnusedData, of_results: Lines
    ) -> tuple[str, ...]:
        """What may stand on other cards of the same call too; one Markdown item each.

        `of_results` keeps the lines of results for the other cards of the call.
        """
        frame = decision.frame
        return (
            *self._unused_results(frame),
            *self._results(frame, of_results),
            *self._computed(frame),
            *self._facts(frame),
            *self._not_known(decision, record),
            *self._warnings(decision, record, unused),
        )

    def of_the_card(self, decision: Decision) -> tuple[str, ...]:
        """What is said of this card alone; one Markdown item each."""
        preliminary = self.messages.text("line.preliminary")
        return (
            *self._withheld(decision),
            *((preliminary,) if decision.preliminary else ()),
            *self._of_the_site(decision),
            *self.last,
        )

    def _unused_results(self, frame: Frame) -> Iterator[str]:
        """A line for each result, on the card that tells of them all."""
        if frame.unused:
            yield from (f"**{line}**" for line in self._shortened(frame.unused, _MOST_UNUSED))

    def _shortened(self, unused: UnusedData, most: int) -> Iterator[str]:
        for item in unused.results[:most]:
            yield escaped(unused_text(item, self.pack, self.zone, self.messages))
        more = len(unused.results) - most
        if more > 0:
            yield self.messages.text("unused.and more", count=more)

    def _results(self, frame: Frame, of_results: Lines) -> Iterator[str]:
        if frame.set_aside is not None:
            yield self._set_aside(frame.set_aside)
        computed_from = (
            name
            for measure in self.measures
            if _is_there(frame.measures.get(measure.id))
            for name in self.inputs[measure.id]
        )
        for name in dict.fromkeys((*self.markers, *computed_from)):
            if name in frame.readings:
                reading = frame.readings[name]
                if name in self.earlier:
                    previous = frame.previous(name, self.earlier[name])
                    reading = replace(reading, previous=previous)
                key = (id(reading.result), id(reading.previous), self.limits.get(name, _UPPER))
                if key not in of_results:
                    of_results[key] = self._result(name, reading)
                yield of_results[key]
            elif name in frame.not_used:
                title = escaped(self.pack.markers[name].title)
                reason = escaped(reason_text(frame.not_used[name], self.messages))
                yield self.messages.text("result.not used", title=title, reason=reason)

    def _result(self, name: str, reading: Reading) -> str:
        marker, result = self.pack.markers[name], reading.result
        text = self.messages.text
        value = escaped(value_of(result, marker))
        if converted := converted_value(result, marker, self.messages):
            value = text("result.converted", value=value, converted=escaped(converted))
        when = escaped(self._when(result))
        parts = [text("result.shown", title=escaped(marker.title), value=value, when=when)]
        for kind in self.limits.get(name, _UPPER):
            parts.extend(self._against(kind, reading, marker))
        if name in self.names_method:
            method = escaped(result.method or text("result.method not named"))
            parts.append(text("result.method", method=method))
        if result.hemolysed:
            parts.append(text("result.hemolysed"))
        parts.extend(text(_NOTES[note]) for note in result.notes)
        if is_doubtful(marker, reading):
            parts.append(text("result.near boundary"))
        if reading.previous is not None:
            before = escaped(value_of(reading.previous, marker))
            date = escaped(date_of(reading.previous, self.zone))
            parts.append(text("result.previous", value=before, date=date))
        return "; ".join(parts)

    def _set_aside(self, item: SetAside) -> str:
        marker = self.pack.markers.get(item.marker)
        words = ResultText(messages=self.messages, zone=self.zone, marker=marker, item=item)
        no_date = self.messages.text("result.date not known")
        when = day_of(item.time, self.zone) if item.time else no_date
        value = escaped(words.value)
        return self.messages.text(
            "result.set aside",
            title=escaped(words.title),
            value=value,
            when=escaped(when),
            reason=escaped(reason_text(item.reason, self.messages)),
        )

    def _computed(self, frame: Frame) -> Iterator[str]:
        shown: list[str] = []
        for measure in self.measures:
            computed = frame.measures.get(measure.id)
            if computed is None or computed.value is None:
                continue
            title = escaped(measure.title)
            value = escaped(shortened(computed.value, measure.decimals))
            if computed.called:
                name = escaped(computed.called)
                shown.append(
                    self.messages.text("line.measure called", measure=title, value=value, name=name)
                )
            else:
                shown.append(self.messages.text("line.measure", measure=title, value=value))
        if shown:
            yield self.messages.text("line.computed", measures="; ".join(shown))

    def _facts(self, frame: Frame) -> Iterator[str]:
        counted = [
            self.messages.text(
                "line.fact",
                fact=escaped(self.pack.facts[name].title),
                names=escaped(", ".join(names)),
            )
            for name in self.facts
            if frame.facts[name].known is True and (names := frame.facts[name].names)
        ]
        if counted:
            yield self.messages.text("line.facts", facts="; ".join(counted))

    def _not_known(self, decision: Decision, record: PatientRecord) -> Iterator[str]:
        age = self.messages.text("line.age")
        names = [
            self.pack.facts[leaf.fact].title if isinstance(leaf, FactIs) else age
            for leaf in decision.unknown
        ]
        if age not in names and (record.patient.born is None or self._is_age_open(decision.frame)):
            names.append(age)
        if record.patient.sex is None:
            names.append(self.messages.text("line.sex"))
        if record.patient.deceased is None:
            names.append(self.messages.text("line.deceased"))
        if names:
            yield self.messages.text("line.not known", names=escaped("; ".join(names)))

    def _is_age_open(self, frame: Frame) -> bool:
        """Whether the birth date leaves open what a limit is, or whether the pack is silent."""
        if not frame.person.is_of_one_age:
            limits = (
                limit_in(reading, kind)
                for reading in frame.readings.values()
                for kind in _LIMIT_TEXTS
            )
            if any(limit is not None and limit.exact is None for limit in limits):
                return True
        return any(age_is(leaf, frame.person) is None for leaf in self.silent_ages)

    def _withheld(self, decision: Decision) -> Iterator[str]:
        orders = [
            self.messages.text(
                "line.order not proposed",
                order=escaped(self.pack.orders[order.order].title),
                reason=escaped(reason_text(order.because, self.messages)),
            )
            for order in decision.withheld
            if not isinstance(order.because, ConditionNotMet)
        ]
        if orders:
            yield self.messages.text("line.not proposed", orders="; ".join(orders))

    def _of_the_site(self, decision: Decision) -> Iterator[str]:
        for value in values_behind(decision, self.pack):
            yield f"**{escaped(value_in_words(value, self.pack, self.messages))}**"
        for proposal in decision.orders:
            order = self.pack.orders[proposal.order]
            if order.site_code is not None:
                yield escaped(code_in_words(order, self.pack, self.messages))

    def _when(self, result: LabResult) -> str:
        when = moment_of(result, self.zone)
        if result.issued_only:
            when = self.messages.text("result.issued", when=when)
        if result.status == "final":
            return when
        status = self.messages.text(cast("MessageKey", f"status.{result.status}"))
        return self.messages.text("result.not final", when=when, status=status)

    def _against(self, kind: LimitKind, reading: Reading, marker: Marker) -> Iterator[str]:
        """A limit of a result; of the upper one also how many times it the result is."""
        limit, text = limit_in(reading, kind), self.messages.text
        if limit is None:
            if kind == "upper limit" and marker.limits.get(kind):
                yield text("result.no upper limit")
            return
        amount = escaped(limit_amount(limit, marker, reading.result, self.messages))
        source = escaped(limit_source(limit.named, self.messages))
        multiple = multiple_of(reading.result.value, limit, self.messages)
        if kind != "upper limit":
            yield text(_LIMIT_TEXTS[kind], limit=amount, source=source)
        elif multiple is None:
            yield text("result.limit", limit=amount, source=source)
        else:
            times = escaped(multiple)
            yield text("result.multiple of limit", multiple=times, limit=amount, source=source)

    def _warnings(
        self, decision: Decision, record: PatientRecord, unused: UnusedData
    ) -> Iterator[str]:
        if unused.results and decision.frame.unused is None:
            results = "; ".join(self._shortened(unused, _MOST_UNUSED_BESIDE))
            yield self.messages.text("line.unused", results=results)
        if record.incomplete:
            parts = (escaped(incomplete_text(part, self.messages)) for part in record.incomplete)
            yield self.messages.text("line.incomplete", parts="; ".join(dict.fromkeys(parts)))
        yield self.messages.text("card.judgement")


def compile_basis(rule: Rule, pack: Pack, zone: tzinfo, messages: Messages) -> Basis:
    """The parts of the list that a rule always has."""
    reads = dependencies_of(rule, pack)
    measures = measures_about(rule, pack)
    others = (pack.measures[name] for name in reads.measures)
    computed = {measure.id: measure for measure in (*measures, *others)}
    return Basis(
        pack=pack,
        messages=messages,
        zone=zone,
        markers=reads.markers,
        measures=tuple(computed.values()),
        inputs={name: inputs_of(measure) for name, measure in computed.items()},
        facts=reads.facts,
        limits=_limits_of(reads),
        earlier=earlier_tests(rule, pack),
        silent_ages=tuple(
            leaf
            for reason in pack.scope.silent_when
            for leaf in leaves(reason.when)
            if isinstance(leaf, AgeCompare)
        ),
        names_method=frozenset(
            marker.id for marker in pack.markers.values() if any(c.method for c in marker.codes)
        ),
        last=tuple(_last(rule, pack, messages)),
    )


def _signed(pack: Pack, messages: Messages) -> str:
    """Who answers for what the card says."""
    signed = pack.signature
    if signed is None:
        return messages.text("card.not signed")
    key: MessageKey = "card.signed" if signed.holds else "card.changed since signed"
    return messages.text(key, who=signed.by, date=signed.on)


def _limits_of(reads: Dependencies) -> Mapping[str, tuple[LimitKind, ...]]:
    """The limits of each marker that the rule reads; those of which it reads none are left out."""
    kinds: dict[str, tuple[LimitKind, ...]] = {}
    for part in reads.parts:
        kind = _LIMIT_KINDS.get(part.part)
        if kind is not None:
            kinds[part.marker] = (*kinds.get(part.marker, ()), kind)
    return kinds


def _last(rule: Rule, pack: Pack, messages: Messages) -> Iterator[str]:
    named = messages.text(
        "card.rule",
        rule=rule.id,
        version=rule.version,
        pack=pack.title,
        pack_version=pack.version,
    )
    yield escaped(f"{named}; {_signed(pack, messages)}")
    sources = [source for source in sources_of(rule, pack) if source.url]  # that can be opened
    if sources:
        shown = (_linked(source.title, source.url) for source in sources)
        yield messages.text("card.sources", sources="; ".join(shown))


def _linked(title: str, url: str | None) -> str:
    if url is None:
        return escaped(title)
    return f"[{escaped(title)}]({url.replace('(', '%28').replace(')', '%29')})"


def _is_there(measure: MeasureValue | None) -> bool:
    return measure is not None and measure.value is not None
