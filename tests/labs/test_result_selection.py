# SPDX-License-Identifier: Apache-2.0
"""Which results a rule sees."""

from datetime import timedelta

import pytest

from cds_service.copying import replace
from cds_service.knowledge.model.pack import Pack, Pairing
from cds_service.labs.patient_record import LabResult
from cds_service.labs.reasons import Hemolyzed
from cds_service.labs.result_selection import by_marker
from tests.knowledge.fixture_pack import letters
from tests.labs.patients import (
    ALPHA,
    BETA,
    NOW,
    chooser,
    frame,
    framed,
    hours,
    record,
    result,
    with_marker,
)

MOMENT = timedelta(seconds=1)
AROUND_INDEX = with_marker(replace(BETA, pairing=Pairing(around="index", hours=24)))
INTACT_BETA = with_marker(replace(AROUND_INDEX.markers["beta"], used_if_hemolysed=False))
INTACT_ALPHA = with_marker(replace(ALPHA, used_if_hemolysed=False))


def numbers(*results: LabResult, preliminary: bool = False) -> dict[str, str]:
    found = chooser(record(*results)).frame("alpha", with_preliminary=preliminary)
    assert found is not None
    return {name: reading.result.sent.number for name, reading in found.readings.items()}


@pytest.mark.parametrize(
    ("age", "there"),
    [
        (timedelta(0), True),
        (timedelta(days=90), True),
        (timedelta(days=90) + MOMENT, False),
        (-hours(24), True),
    ],
)
def test_an_index_is_no_older_than_the_pack_allows(age: timedelta, there: bool) -> None:
    assert (frame(result(ago=age)) is not None) is there


def test_without_a_result_there_is_no_frame() -> None:
    assert frame() is None
    assert frame(result("3", "beta")) is None


def test_the_newest_result_is_the_index_in_whatever_order_they_came() -> None:
    old, new = result("7", ago=hours(50)), result("8", ago=hours(40))

    assert numbers(new, old) == numbers(old, new) == {"alpha": "8"}


def test_the_previous_test_is_the_last_before_the_draw_of_the_index() -> None:
    twin, tube = result("7"), result("5", ago=hours(25))
    before, older = result("8", ago=hours(25.1)), result("9", ago=hours(900))
    index = result("6")

    reading = framed(twin, tube, before, older, index).readings["alpha"]

    assert reading.result in {index, twin}
    assert reading.previous == before


def test_one_test_has_no_previous() -> None:
    assert framed(result()).readings["alpha"].previous is None


def test_a_preliminary_result_is_no_previous_test() -> None:
    early, kept = result("9", ago=hours(30), status="preliminary"), result("8", ago=hours(40))

    assert framed(result(), early, kept).readings["alpha"].previous == kept


def test_a_preliminary_index_is_seen_only_on_request() -> None:
    final, early = result("7", ago=hours(30)), result("8", status="preliminary")

    assert numbers(final, early) == {"alpha": "7"}
    assert numbers(final, early, preliminary=True) == {"alpha": "8"}
    assert frame(early) is None


def test_of_one_time_the_final_result_is_the_index() -> None:
    final, early = result("7"), result("8", status="preliminary")

    assert numbers(final, early, preliminary=True) == {"alpha": "7"}
    assert numbers(early, final, preliminary=True) == {"alpha": "7"}


@pytest.mark.parametrize("pack", [AROUND_INDEX, letters()], ids=["index", "now"])
def test_of_one_time_the_final_result_is_paired(pack: Pack) -> None:
    results = [result("1", "beta"), result("2", "beta", status="preliminary"), result()]

    for order in (results, results[::-1]):
        found = chooser(record(*order), pack).frame("alpha", with_preliminary=True)

        assert found is not None
        assert found.readings["beta"].result.sent.number == "1"


def test_a_preliminary_result_is_not_paired_with_a_final_index() -> None:
    early = result("3", "beta", status="preliminary")

    assert numbers(result(), early) == {"alpha": "30"}
    assert numbers(result(), early, preliminary=True) == {"alpha": "30", "beta": "3"}


@pytest.mark.parametrize(
    ("distance", "paired"),
    [
        (hours(0), True),
        (hours(24), True),
        (-hours(24), True),
        (hours(24) + MOMENT, False),
        (-hours(24) - MOMENT, False),
    ],
)
def test_a_pair_lies_within_its_window_around_the_index(distance: timedelta, paired: bool) -> None:
    index = result(ago=hours(48))
    other = result("3", "beta", ago=hours(48) + distance)

    assert ("beta" in framed(index, other, pack=AROUND_INDEX).readings) is paired


@pytest.mark.parametrize(
    ("ago", "paired"),
    [(hours(720), True), (hours(720) + MOMENT, False), (hours(0), True), (-hours(24), True)],
)
def test_a_pair_before_now_does_not_depend_on_the_index(ago: timedelta, paired: bool) -> None:
    found = framed(result(ago=timedelta(days=80)), result("3", "beta", ago=ago))

    assert ("beta" in found.readings) is paired


def test_the_nearest_result_is_paired_and_of_two_equally_near_the_later() -> None:
    index = result(ago=hours(48))
    near, far = result("1", "beta", ago=hours(50)), result("2", "beta", ago=hours(45))
    before, after = result("3", "beta", ago=hours(58)), result("4", "beta", ago=hours(38))

    def chosen(*others: LabResult) -> str:
        found = framed(index, *others, pack=AROUND_INDEX)
        return found.readings["beta"].result.sent.number

    assert chosen(near, far) == chosen(far, near) == "1"
    assert chosen(before, after) == chosen(after, before) == "4"


def test_before_now_the_newest_is_paired() -> None:
    old, new = result("1", "beta", ago=hours(30)), result("2", "beta", ago=hours(3))

    assert numbers(result(), new, old)["beta"] == "2"


def test_an_intact_specimen_is_preferred_to_a_nearer_hemolysed_one() -> None:
    spoiled = result("1", "beta", hemolysed=True)
    intact = result("2", "beta", ago=hours(30))

    preferred = framed(result(), spoiled, intact, pack=INTACT_BETA)
    alone = framed(result(), spoiled, pack=INTACT_BETA)
    allowed = framed(result(), spoiled, intact, pack=AROUND_INDEX)

    assert preferred.readings["beta"].result == intact
    assert preferred.not_used == {}
    assert "beta" not in alone.readings
    assert alone.not_used == {"beta": Hemolyzed()}
    assert allowed.readings["beta"].result == spoiled


def test_a_hemolysed_result_out_of_the_window_is_not_said_to_be_unused() -> None:
    spoiled = result("1", "beta", hemolysed=True, ago=hours(60))

    assert framed(result(), spoiled, pack=INTACT_BETA).not_used == {}


def test_a_hemolysed_specimen_is_neither_index_nor_previous_where_it_is_not_used() -> None:
    spoiled, kept = result("9", hemolysed=True), result("8", ago=hours(30))
    older = result("7", ago=hours(40), hemolysed=True)
    oldest = result("6", ago=hours(50))

    reading = framed(spoiled, kept, older, oldest, pack=INTACT_ALPHA).readings["alpha"]
    used = framed(spoiled, kept).readings["alpha"]

    assert (reading.result, reading.previous) == (kept, oldest)
    assert (used.result, used.previous) == (spoiled, kept)


@pytest.mark.parametrize(
    ("other", "later"),
    [
        (result("3", "beta", ago=hours(24)), False),
        (result("3", "beta", ago=hours(24) - MOMENT), False),
        (result("3", "beta", ago=hours(23)), False),
        (replace(result("3", "beta", ago=hours(23)), specimen="Specimen/other"), False),
        (result("3", "beta", ago=hours(23) - MOMENT), True),
        (result("3", "beta", ago=hours(22), status="preliminary"), False),
        (result("3", "beta", ago=hours(22), hemolysed=True), False),
        # of the day of the index: nobody knows whether it came first
        (replace(result("3", "beta", ago=hours(10)), precision="day"), False),
    ],
)
def test_later_is_after_the_draw_of_the_index_final_and_usable(
    other: LabResult, later: bool
) -> None:
    found = chooser(record(result(), other), INTACT_BETA).frame("alpha", with_preliminary=True)

    assert found is not None
    assert found.later == (frozenset({"beta"}) if later else frozenset())


def test_a_later_result_counts_even_out_of_its_window() -> None:
    index = result(ago=timedelta(days=80))
    other = result("3", "beta", ago=timedelta(days=40))

    found = framed(index, other)

    assert found.later == {"beta"}
    assert "beta" not in found.readings


def test_each_result_brings_its_own_limits() -> None:
    found = framed(result(limits=(None, "33")), result("3", "beta", limits=("2", None)))
    alpha, beta = found.readings["alpha"], found.readings["beta"]

    assert alpha.upper is not None
    assert beta.lower is not None
    assert [alpha.upper.amount, beta.lower.amount] == [33, 2]
    assert [alpha.lower, alpha.screening, beta.upper] == [None, None, None]


def test_the_frame_of_a_patient_holds_what_pairs_with_now() -> None:
    old, new = result("1", "beta", ago=hours(30)), result("2", "beta", ago=hours(20))
    early = result("3", "beta", ago=hours(10), status="preliminary")
    spoiled = result("4", "beta", ago=hours(5), hemolysed=True)
    everything = record(new, old, early, spoiled, result())
    intact = with_marker(replace(BETA, used_if_hemolysed=False))

    used = chooser(everything).patient_frame().readings
    kept = chooser(everything, intact).patient_frame().readings
    none = chooser(record(result("1", "beta", ago=hours(721)))).patient_frame().readings

    assert (set(used), used["beta"].result) == ({"beta"}, spoiled)
    assert (set(kept), kept["beta"].result) == ({"beta"}, new)
    assert none == {}


def test_a_frame_knows_its_index_and_whether_it_is_preliminary() -> None:
    early = result(status="preliminary")
    found = chooser(record(early)).frame("alpha", with_preliminary=True)
    bare = chooser(record()).bare_frame(None)

    assert found is not None
    assert (found.index_result, found.preliminary) == (early, True)
    assert not framed(result()).preliminary
    assert (bare.index, bare.index_result, bare.preliminary) == ("", None, False)


def test_results_are_grouped_by_marker_oldest_first() -> None:
    new, old, other = result("1"), result("2", ago=hours(99)), result("3", "beta")

    assert by_marker([new, other, old]) == {"alpha": (old, new), "beta": (other,)}


def test_something_set_aside_without_a_time_may_still_be_recent() -> None:
    choose = chooser(record())

    assert choose.is_recent(None)
    assert choose.is_recent(NOW - timedelta(days=90))
    assert not choose.is_recent(NOW - timedelta(days=90) - MOMENT)


def test_a_hemolysis_index_above_its_limit_speaks_for_the_specimen_of_that_time() -> None:
    shows = replace(BETA, shows_hemolysis=True, limits=ALPHA.limits)
    pack = with_marker(shows, INTACT_ALPHA)
    spoiled, kept = result("30"), result("29", ago=hours(30))

    def index(number: str) -> LabResult | None:
        return framed(spoiled, kept, result(number, "beta"), pack=pack).index_result

    assert index("20") == spoiled
    assert index("20.1") == kept
    assert frame(spoiled, result("99", "beta"), pack=pack) is None


def test_what_cannot_be_is_not_the_newest_of_its_marker() -> None:
    index = result(ago=hours(48))
    newer, never = result("3", "beta", ago=hours(24)), result("9", "beta", ago=hours(1))
    of = chooser(record(index, newer, replace(never, impossible=True)))
    frame = of.frame("alpha", with_preliminary=False)
    assert frame is not None

    assert of.with_newest(frame).readings["beta"].result == newer
