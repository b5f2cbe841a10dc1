# SPDX-License-Identifier: Apache-2.0
"""Why each rule decided as it did, as plain data for people and machines.

An outcome -> mappings, lists, texts and numbers, ready for JSON. Like everything in a response it
holds no null and nothing empty. Values are the exact ones, cut to six decimals; what was sent
stands beside them as text.
"""

from collections.abc import Iterator, Mapping
from fractions import Fraction
from typing import TypeAlias

from cds_service.amounts import Interval, plain
from cds_service.decide import Outcome
from cds_service.knowledge.model.pack import Marker, Pack
from cds_service.knowledge.site.wording import value_in_words
from cds_service.labs.facts import FactAnswer
from cds_service.labs.limits import Limit
from cds_service.labs.patient_record import LabResult, SetAside
from cds_service.labs.reading_limits import is_doubtful
from cds_service.labs.reasons import CodedReason
from cds_service.labs.result_selection import Frame, MeasureValue, Reading
from cds_service.render.reason_text import incomplete_text
from cds_service.render.result_units import limit_amount
from cds_service.render.site_values import values_behind
from cds_service.rules.answer import Decision
from cds_service.rules.grades import grade_of
from cds_service.rules.reasons import DisabledBySite

# Any as in JSON: a tree of these is what every reader of it wants to walk freely.
Tree: TypeAlias = dict[str, object]

_KNOWN = {True: "yes", False: "no", None: "not known"}
INDETERMINATE = "indeterminate"


def explain(outcome: Outcome) -> Tree:
    """Every decision with its reasons, and every frame with the results that were used."""
    pack, record = outcome.pack, outcome.record
    return _kept(
        pack={"id": pack.id, "version": pack.version},
        evaluated=outcome.now.isoformat(),
        silent=_code(outcome.silent),
        site=_site(pack),
        rules=[
            *(_decision(decision, pack) for decision in outcome.decisions),
            *_switched_off(pack),
        ],
        frames=[_frame(frame, pack) for frame in outcome.frames],
        facts=[_fact(name, answer) for name, answer in _facts_of(outcome).items()],
        person=_person(outcome),
        dataQuality=[_data_quality(item) for item in outcome.unused.results],
        setAside=[_set_aside(item) for item in record.set_aside],
        incomplete=[incomplete_text(part, pack.messages_in()) for part in record.incomplete],
    )


def _decision(decision: Decision, pack: Pack) -> Tree:
    item = decision.frame.set_aside
    return _kept(
        rule=decision.rule.id,
        version=decision.rule.version,
        answer=decision.answer,
        indicator=decision.indicator if decision.shown or decision.held_back else None,
        because=_code(decision.because),
        replacedBy=decision.replaced_by,
        index=decision.frame.index,
        marker=item.marker if item is not None else None,
        trigger=decision.trigger,
        preliminary=decision.preliminary or None,
        missing=[leaf.in_words() for leaf in decision.missing],
        unknown=[leaf.subject for leaf in decision.unknown],
        says=[*decision.says, *(remark.remark for remark in decision.remarks)],
        orders=[
            _kept(
                order=order.order,
                code=pack.orders[order.order].code.code,
                withinDays=[order.first_day, order.last_day],
                priority=order.priority,
                recommended=order.recommended,
                group=order.group,
            )
            for order in decision.orders
        ],
        withheld=[
            {"order": order.order, "because": order.because.code} for order in decision.withheld
        ],
        siteValues=[
            value_in_words(site_value, pack, pack.messages_in())
            for site_value in values_behind(decision, pack)
        ],
    )


def _code(reason: CodedReason | None) -> str | None:
    return None if reason is None else reason.code


def _switched_off(pack: Pack) -> Iterator[Tree]:
    """The rules that the site keeps silent; they are not evaluated."""
    for line in pack.site.switched_off if pack.site else ():
        version = pack.rules[line.rule].version
        yield _kept(
            rule=line.rule, version=version, answer="no card", because=DisabledBySite().code
        )


def _site(pack: Pack) -> Tree | None:
    """What the site changed in the pack, and why."""
    changes = pack.site
    if changes is None:
        return None
    return _kept(
        name=changes.site,
        reviewed=changes.reviewed,
        values=[
            _kept(
                file=value.file,
                at=value.at,
                value=value.now,
                insteadOf=value.was,
                because=value.because,
            )
            for value in changes.values
        ],
        switchedOff=[_kept(rule=line.rule, because=line.because) for line in changes.switched_off],
        orderCodes=[
            _kept(order=name, system=code.system, code=code.code)
            for name in changes.orders
            if (code := pack.orders[name].site_code) is not None
        ],
    )


def _frame(frame: Frame, pack: Pack) -> Tree:
    return _kept(
        index=frame.index,
        preliminary=frame.preliminary or None,
        results=[
            _reading(pack.markers[name], reading, frame, pack)
            for name, reading in frame.readings.items()
        ],
        measures=[
            _measure(name, measure, pack)
            for name, measure in frame.measures.items()
            if measure.value is not None or measure.because is not None
        ],
        notUsed=[{"marker": name, "because": why.code} for name, why in frame.not_used.items()],
        newerThanIndex=sorted(frame.later),
    )


def _reading(marker: Marker, reading: Reading, frame: Frame, pack: Pack) -> Tree:
    result = reading.result
    band, grade = grade_of(marker.bands, frame), grade_of(marker.grades, frame)
    return _kept(
        marker=marker.id,
        **_result(result, marker),
        code=result.code,
        reference=result.reference,
        interpretation=result.interpretation,
        upperLimit=_limit(reading.upper, marker, result, pack),
        lowerLimit=_limit(reading.lower, marker, result, pack),
        screeningLimit=_limit(reading.screening, marker, result, pack),
        multiple=_multiple(result.value, reading.upper),
        band=(band.grade.id if band else INDETERMINATE) if marker.bands else None,
        bandAtLeast=(band is not None and band.at_least) or None,
        grade=(grade.grade.id if grade else INDETERMINATE) if marker.grades else None,
        gradeAtLeast=(grade is not None and grade.at_least) or None,
        nearBoundary=is_doubtful(marker, reading) or None,
        previous=_result(reading.previous, marker) if reading.previous else None,
    )


def _result(result: LabResult, marker: Marker) -> Tree:
    sent = result.sent
    return _kept(
        sent=f"{sent.comparator or ''}{sent.number} {sent.unit}".strip(),
        value=_interval(result.value),
        unit=marker.unit,
        time=result.time.isoformat(),
        precision=result.precision,
        status=result.status,
        method=result.method,
        hemolysed=result.hemolysed or None,
        issuedOnly=result.issued_only or None,
    )


def _measure(name: str, measure: MeasureValue, pack: Pack) -> Tree:
    return _kept(
        measure=name,
        title=pack.measures[name].title,
        value=None if measure.value is None else _number(measure.value),
        called=measure.called,
        because=_code(measure.because),
    )


def _facts_of(outcome: Outcome) -> Mapping[str, FactAnswer]:
    """The facts are the same in every frame; a silent outcome has only the bare one."""
    frames: Iterator[Frame] = (decision.frame for decision in outcome.decisions)
    first = next(iter(outcome.frames), None) or next(frames, None)
    return first.facts if first is not None else {}


def _fact(name: str, answer: FactAnswer) -> Tree:
    return _kept(fact=name, known=_KNOWN[answer.known], names=list(answer.names))


def _person(outcome: Outcome) -> Tree:
    frame = next((decision.frame for decision in outcome.decisions), None)
    if frame is None:
        return {}
    months = frame.person.months
    return _kept(ageMonths=list(months) if months else None, sex=frame.person.sex)


def _set_aside(item: SetAside) -> Tree:
    return _kept(
        reason=item.reason,
        marker=item.marker,
        code=item.code,
        reference=item.reference,
        time=item.time.isoformat() if item.time else None,
        sent=f"{item.number} {item.unit}".strip(),
    )


def _data_quality(item: SetAside) -> Tree:
    """A result that the cards name because it could not be used."""
    return _kept(
        id=f"dq-{item.reason.replace(':', '-')}",
        marker=item.marker,
        code=item.code,
        reference=item.reference,
    )


def _limit(limit: Limit | None, marker: Marker, result: LabResult, pack: Pack) -> Tree | None:
    if limit is None:
        return None
    return _kept(
        amount=_number(limit.amount),
        upTo=None if limit.up_to is None else _number(limit.up_to),
        shown=limit_amount(limit, marker, result, pack.messages_in()),
        **{"from": limit.named},
    )


def _multiple(value: Interval, limit: Limit | None) -> object:
    if limit is None or limit.exact is None or limit.exact <= 0:
        return None
    return _interval(value.times(1 / limit.exact))


def _interval(value: Interval) -> object:
    """An exact value is a number; a range is its ends, with `Open` where an end is not included."""
    if value.exact is not None:
        return _number(value.exact)
    return _kept(
        low=None if value.low is None else _number(value.low),
        lowOpen=(value.low is not None and value.low_open) or None,
        high=None if value.high is None else _number(value.high),
        highOpen=(value.high is not None and value.high_open) or None,
    )


def _number(value: Fraction) -> int | float:
    """A number for JSON; the decision itself was made on the exact one."""
    text = plain(value)
    return float(text) if "." in text else int(text)


def _kept(**members: object) -> Tree:
    """The members that have a value (CDS Hooks 2.0.1, "Null and empty")."""
    return {
        name: value
        for name, value in members.items()
        if value is not None and value not in ("", [], {}, ())
    }
