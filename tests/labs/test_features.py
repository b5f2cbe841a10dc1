# SPDX-License-Identifier: Apache-2.0
"""The nodes made from a pack, and the chooser beside a plain reading of what each node says."""

from collections.abc import Iterator, Sequence
from datetime import datetime, timedelta
from fractions import Fraction
from functools import cmp_to_key
from typing import get_args

from hypothesis import given
from hypothesis import strategies as st

from cds_service.amounts import Comparator, Interval
from cds_service.copying import replace
from cds_service.decide import compile_pack, decide
from cds_service.knowledge.model.bounds import Earlier, Number, TimesLimit, TimesMarker
from cds_service.knowledge.model.conditions import (
    AllOf,
    AnyOf,
    Condition,
)
from cds_service.knowledge.model.leaves import (
    Compare,
    MeasureCompare,
    Present,
)
from cds_service.knowledge.model.pack import PATIENT, Pack, Pairing, Rule
from cds_service.labs.features import (
    FINAL,
    FINAL_OR_PRELIMINARY,
    Feature,
    FrameFeatures,
    Later,
    Latest,
    LimitOf,
    MeasureOf,
    Paired,
    Previous,
    Usable,
    compile_features,
    features_of,
)
from cds_service.labs.patient_record import LabResult, ResultStatus
from cds_service.labs.reasons import Hemolyzed
from cds_service.rules.answer import Decision
from tests.knowledge.fixture_pack import letters
from tests.labs.patients import ALPHA, BETA, NOW, chooser, record, result, with_marker

Chart = Sequence[LabResult]

STATUS_RANK: dict[ResultStatus, int] = {
    "preliminary": 0,
    "final": 1,
    "amended": 2,
    "corrected": 2,
}
MIDNIGHT = NOW.replace(hour=0)
STEP = timedelta(hours=12)  # few times, so that many results share one
TWO = Fraction(2)
ABOVE_TWO = Number(TWO, "2")


# A plain reading of the nodes. It shares no code with the chooser, not even the order of values.


def is_below(value: Interval, other: Interval) -> bool:
    """Whether `other` counts before `value`: it lies within it, or else it is the higher one."""
    if value == other or value.contains(other) or other.contains(value):
        return value != other and value.contains(other)
    if value.low is None:
        return True
    return other.low is not None and (value.low, value.low_open) < (other.low, other.low_open)


def by_time(first: LabResult, second: LabResult) -> int:
    if first.time != second.time:
        return -1 if first.time < second.time else 1
    ranks = STATUS_RANK[first.status], STATUS_RANK[second.status]
    if ranks[0] != ranks[1]:
        return -1 if ranks[0] < ranks[1] else 1
    return is_below(second.value, first.value) - is_below(first.value, second.value)


def usable(of: Usable, chart: Chart) -> list[LabResult]:
    kept = [entry for entry in chart if entry.marker == of.marker and entry.status in of.statuses]
    kept = [entry for entry in kept if of.hemolysed or not entry.hemolysed]
    return sorted(kept, key=cmp_to_key(by_time))


def latest(node: Latest, chart: Chart) -> LabResult | None:
    candidates = usable(node.of, chart)
    if not candidates or candidates[-1].time < NOW - timedelta(days=node.within_days):
        return None
    if candidates[-1].precision == "instant":
        return candidates[-1]
    day = candidates[-1].time.date()
    highest, *others = [entry for entry in candidates if entry.time.date() >= day]
    for entry in others:
        if is_below(highest.value, entry.value):
            highest = entry
    return highest


def previous(node: Previous, chart: Chart, index: LabResult) -> LabResult | None:
    draw = index.time - timedelta(minutes=node.before_minutes)
    earlier = [entry for entry in usable(node.of, chart) if entry.time < draw]
    return earlier[-1] if earlier else None


def later(node: Later, chart: Chart, index: LabResult) -> bool:
    after = index.time + timedelta(minutes=node.after_minutes)
    return any(_first_moment(entry) > after for entry in usable(node.of, chart))


def _first_moment(entry: LabResult) -> datetime:
    """The first moment that a time can mean: of a mere date, midnight."""
    if entry.precision == "instant":
        return entry.time
    return entry.time.replace(hour=0, minute=0, second=0, microsecond=0)


def paired(node: Paired, chart: Chart, index: LabResult | None) -> LabResult | None:
    reach = timedelta(hours=node.within_hours)
    best: LabResult | None = None
    for entry in usable(node.of, chart):
        if node.around == "now":
            best = entry if entry.time >= NOW - reach else best
        elif index is not None and abs(entry.time - index.time) <= reach:
            is_nearer = best is None or abs(entry.time - index.time) <= abs(best.time - index.time)
            best = entry if is_nearer else best
    return best


@st.composite
def packs(draw: st.DrawFn) -> Pack:
    """The invented pack with other windows and specimens."""
    pack = letters()
    for marker in (ALPHA, BETA):
        around = draw(st.sampled_from(get_args(Pairing.__annotations__["around"])))
        pairing = Pairing(around=around, hours=draw(st.integers(1, 60)))
        changed = replace(marker, pairing=pairing, used_if_hemolysed=draw(st.booleans()))
        pack = with_marker(changed, pack)
    return replace(pack, scope=replace(pack.scope, index_days=draw(st.integers(0, 5))))


@st.composite
def results(draw: st.DrawFn) -> LabResult:
    """A result of either marker in the days around now."""
    made = result(
        str(draw(st.integers(1, 4))),
        draw(st.sampled_from(["alpha", "beta"])),
        ago=NOW - MIDNIGHT + draw(st.integers(-2, 5)) * STEP,
        comparator=draw(st.sampled_from([None, None, *get_args(Comparator)])),
        status=draw(st.sampled_from(["final", *get_args(ResultStatus)])),
        hemolysed=draw(st.sampled_from([False, False, True])),
    )
    reference = f"Observation/{draw(st.integers(0, 999))}"
    return replace(made, reference=reference, precision=draw(st.sampled_from(["instant", "day"])))


CHARTS = st.lists(results(), min_size=1, max_size=10)


@given(packs(), CHARTS, st.booleans())
def test_the_chooser_reads_the_nodes_as_they_are_written(
    pack: Pack, chart: list[LabResult], with_preliminary: bool
) -> None:
    alpha, beta = (
        compile_features(pack).of(with_preliminary=with_preliminary)[name]
        for name in ("alpha", "beta")
    )
    frame = chooser(record(*chart), pack).frame("alpha", with_preliminary=with_preliminary)
    index = latest(alpha.latest, chart)

    if index is None or frame is None:
        assert (frame, index) == (None, None)
        return
    assert frame.index_result == index
    assert frame.readings["alpha"].previous == previous(alpha.previous, chart, index)
    assert frame.later == ({"beta"} if later(beta.later, chart, index) else set())
    beside = paired(beta.paired, chart, index)
    assert (frame.readings["beta"].result if "beta" in frame.readings else None) == beside
    spoiled = beta.paired_if_hemolysed
    is_spoiled = beside is None and spoiled and paired(spoiled, chart, index)
    assert frame.not_used == ({"beta": Hemolyzed()} if is_spoiled else {})


@given(packs(), CHARTS)
def test_the_frame_of_a_patient_reads_the_nodes_too(pack: Pack, chart: list[LabResult]) -> None:
    nodes = compile_features(pack).final
    expected = {
        name: each
        for name in ("alpha", "beta")
        if nodes[name].paired.around == "now" and (each := paired(nodes[name].paired, chart, None))
    }
    readings = chooser(record(*chart), pack).patient_frame().readings

    assert {name: reading.result for name, reading in readings.items()} == expected


def test_a_marker_file_becomes_nodes() -> None:
    intact = replace(ALPHA, used_if_hemolysed=False)
    features = compile_features(with_marker(intact))
    final = Usable("alpha", FINAL, hemolysed=False)
    early = Usable("alpha", FINAL_OR_PRELIMINARY, hemolysed=False)
    beta = Usable("beta", FINAL, hemolysed=True)

    assert features.final["alpha"].latest == Latest(final, within_days=90)
    assert features.final["alpha"].paired == Paired(final, "index", within_hours=24)
    assert features.final["alpha"].paired_if_hemolysed == Paired(
        replace(final, hemolysed=True), "index", within_hours=24
    )
    assert features.final["beta"].paired == Paired(beta, "now", within_hours=720)
    assert features.final["beta"].paired_if_hemolysed is None
    for alpha in (features.final["alpha"], features.final_or_preliminary["alpha"]):
        assert (alpha.previous, alpha.later) == (Previous(final, 60), Later(final, 60))
    assert features.final_or_preliminary["alpha"].latest.of == early
    assert features.final_or_preliminary["alpha"].paired.of == early


def read_by(rule: Rule, pack: Pack) -> tuple[FrameFeatures, ...]:
    return features_of(rule, pack, compile_features(pack))


def test_a_rule_reads_the_nodes_of_its_conditions_and_of_what_answers_its_orders() -> None:
    rule = letters().rules["alpha-high"]
    alpha, beta = Usable("alpha", FINAL, hemolysed=True), Usable("beta", FINAL, hemolysed=True)
    index, beside = Latest(alpha, within_days=90), Paired(beta, "now", within_hours=720)

    assert read_by(rule, letters()) == (
        FrameFeatures(
            index,
            (
                index,
                LimitOf(index, "upper limit"),
                beside,
                LimitOf(beside, "lower limit"),
                Later(beta, 60),
            ),
        ),
    )


def test_an_earlier_test_is_read_of_any_marker() -> None:
    earlier = Compare(("alpha", "beta"), "below", ABOVE_TWO, Earlier(0, 3))
    rule = replace(letters().rules["unit-missing"], when=earlier, about=("alpha",))
    alpha, beta = Usable("alpha", FINAL, hemolysed=True), Usable("beta", FINAL, hemolysed=True)

    (frame,) = read_by(rule, letters())

    assert frame.read == (
        Latest(alpha, within_days=90),
        Previous(alpha, 60, Earlier(0, 3)),
        Paired(beta, "now", within_hours=720),
        Previous(beta, 60, Earlier(0, 3)),
    )


def test_a_critical_rule_reads_preliminary_results_after_the_others() -> None:
    frames = read_by(letters().rules["alpha-very-high"], letters())

    statuses = [frame.index.of.statuses for frame in frames if frame.index]
    assert statuses == [FINAL, FINAL_OR_PRELIMINARY]


def test_a_rule_about_set_aside_results_reads_none() -> None:
    assert read_by(letters().rules["unit-missing"], letters()) == ()


def test_a_measure_brings_what_it_is_computed_from_around_its_own_index() -> None:
    when = MeasureCompare("alpha-beta-ratio", "above", ABOVE_TWO)
    rule = replace(letters().rules["unit-missing"], when=when, about=("alpha", "beta"))

    around_alpha, around_beta = read_by(rule, letters())

    ratio = MeasureOf("alpha-beta-ratio", (around_alpha.read[0], around_alpha.read[1]))
    assert ratio in around_alpha.read
    assert not any(isinstance(node, MeasureOf) for node in around_beta.read)


CONDITIONS: list[Condition] = [
    Compare(("alpha",), "at least", TimesLimit(Fraction(1, 10), "upper limit")),
    Compare(("beta",), "above", ABOVE_TWO),
    Compare(("alpha", "beta"), "above", ABOVE_TWO),
    Compare(("alpha",), "below", ABOVE_TWO, Earlier(0, 3)),
    Compare(("beta",), "above", TimesMarker(Fraction(1), "alpha")),
    Present("alpha"),
    Present("beta", since_index=True),
    MeasureCompare("alpha-beta-ratio", "above", Number(Fraction(1), "1")),
]
WHEN = st.one_of(
    st.sampled_from(CONDITIONS),
    st.lists(st.sampled_from(CONDITIONS), min_size=2, max_size=3).map(lambda c: AllOf(tuple(c))),
    st.lists(st.sampled_from(CONDITIONS), min_size=2, max_size=3).map(lambda c: AnyOf(tuple(c))),
)
ABOUT = st.sampled_from([("alpha",), ("beta",), ("alpha", "beta"), (PATIENT,)])


def named_by(node: Feature, chart: Chart, index: LabResult | None) -> Iterator[LabResult | None]:
    """The results that a node names."""
    match node:
        case Latest():
            yield latest(node, chart)
        case Paired():
            yield paired(node, chart, index)
        case Previous() if index is not None:
            yield previous(node, chart, index)
        case Later():
            yield from usable(node.of, chart)[-1:]
        case LimitOf(of=of):
            yield from named_by(of, chart, index)
        case MeasureOf(inputs=inputs):
            for item in inputs:
                yield from named_by(item, chart, index)


def outcome_of(rule: Rule, pack: Pack, chart: Chart) -> list[tuple[object, ...]]:
    program = compile_pack(replace(pack, rules={rule.id: rule}, precedence=()))
    decisions: Sequence[Decision] = decide(program, record(*chart), NOW, "patient-view").decisions
    return [
        (
            decision.answer,
            decision.because,
            decision.indicator,
            decision.orders,
            decision.withheld,
            decision.missing,
        )
        for decision in decisions
    ]


@given(packs(), CHARTS, WHEN, ABOUT)
def test_no_result_that_a_rule_does_not_read_changes_its_answer(
    pack: Pack, chart: list[LabResult], when: Condition, about: tuple[str, ...]
) -> None:
    chart = [replace(entry, precision="instant") for entry in chart]
    rule = replace(letters().rules["alpha-very-high"], when=when, about=about)
    kept: list[LabResult | None] = []
    for frame in read_by(rule, pack):
        index = latest(frame.index, chart) if frame.index else None
        for node in (frame.index, *frame.read):
            if node is not None and (index is not None or frame.index is None):
                kept.extend(named_by(node, chart, index))

    assert outcome_of(rule, pack, [entry for entry in chart if entry in kept]) == outcome_of(
        rule, pack, chart
    )
