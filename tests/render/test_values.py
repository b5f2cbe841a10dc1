# SPDX-License-Identifier: Apache-2.0
"""Values in words: as they were sent, in the site's time, with multiples rounded half up."""

from datetime import UTC, datetime
from fractions import Fraction
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cds_service.amounts import Comparator, exactly, interval_of
from cds_service.knowledge.model.pack import Marker, Priority
from cds_service.labs.limits import Limit
from cds_service.labs.patient_record import Precision, Sent, SetAside
from cds_service.labs.result_selection import Reading
from cds_service.render.sanitize import sanitize
from cds_service.render.values import (
    Names,
    ResultText,
    Window,
    day_of,
    limit_source,
    moment_of,
    multiple_of,
)
from tests.render.decisions import PACK, reading, result

VIENNA = ZoneInfo("Europe/Vienna")
ALT = PACK.markers["alt"]
MESSAGES = PACK.messages_in("en")
ENDS = (datetime.min.replace(tzinfo=UTC), datetime.max.replace(tzinfo=UTC))


def words_of(of: Reading, marker: Marker = ALT) -> ResultText:
    return ResultText(messages=MESSAGES, zone=UTC, marker=marker, reading=of)


def test_a_result_is_shown_as_it_was_sent() -> None:
    words = words_of(reading(result("1.10", "IU/l")))

    assert str(words) == "1.10 IU/l"
    assert (words.number, words.unit, words.title) == ("1.10", "IU/l", "ALT")
    assert (words.limit, words.limit_from) == ("40 U/L", "the laboratory's own limit")


def test_a_comparator_stays_with_its_number() -> None:
    sent = Sent(number="3", unit="U/L", comparator="<")

    words = words_of(reading(result(sent=sent, value=interval_of(Fraction(3), "<"))))

    assert (str(words), words.number) == ("<3 U/L", "<3")
    assert words.multiple == "<0.08"


def test_a_pure_number_is_shown_without_whatever_stood_for_a_unit() -> None:
    assert str(words_of(reading(result("1.8", "{INR}")), PACK.markers["inr"])) == "1.8"


def test_what_is_not_there_is_not_known_and_never_an_error() -> None:
    words = words_of(reading(limit=None))

    parts = (words.multiple, words.limit, words.limit_from, words.previous, words.screening_limit)
    assert parts == ("not known",) * 5


@pytest.mark.parametrize(
    ("precision", "shown"),
    [
        ("instant", "2026-06-15 01:30 CEST"),
        ("day", "2026-06-15"),
        ("month", "2026-06"),
        ("year", "2026"),
    ],
)
def test_times_are_those_of_the_site_and_no_finer_than_sent(
    precision: Precision, shown: str
) -> None:
    assert moment_of(result(precision=precision), VIENNA) == shown


@pytest.mark.parametrize("time", ENDS)
@pytest.mark.parametrize("zone", ["America/New_York", "Asia/Tokyo"])
def test_times_at_the_ends_of_the_calendar_are_shown(time: datetime, zone: str) -> None:
    assert moment_of(result(time=time), ZoneInfo(zone))
    assert day_of(time, ZoneInfo(zone))


@pytest.mark.parametrize(
    ("value", "comparator", "shown"),
    [
        ("1", None, "0.03"),
        ("120", None, "3"),
        ("40.2", None, "1.01"),  # 1.005 exactly: half up
        ("40.1999", None, "1.005"),
        ("199.96", None, "4.999"),
        ("60.1", None, "1.503"),
        ("40.0000001", None, "1"),
        ("200", ">", ">5"),
        ("200", ">=", ">=5"),
        ("5", "<=", "<=0.13"),
    ],
)
def test_multiples_have_two_decimals_or_more_to_stay_off_a_boundary(
    value: str, comparator: Comparator | None, shown: str
) -> None:
    assert (
        multiple_of(interval_of(Fraction(value), comparator), Limit(Fraction(40), "lab"), MESSAGES)
        == shown
    )


def test_there_is_no_multiple_of_nothing() -> None:
    assert multiple_of(exactly(1), None, MESSAGES) is None
    assert multiple_of(exactly(1), Limit(Fraction(0), "lab"), MESSAGES) is None


@pytest.mark.parametrize(
    ("named", "said"),
    [
        ("lab", "the laboratory's own limit"),
        ("fallback-40", "a fixed limit of this pack, as no usable one came with the result"),
        ("naspghan-2017", "NASPGHAN 2017"),
        ("acg-2017", "ACG 2017"),
    ],
)
def test_where_a_limit_came_from_is_said_in_words(named: str, said: str) -> None:
    assert limit_source(named, MESSAGES) == said


@pytest.mark.parametrize(
    ("first", "last", "priority", "said"),
    [
        (0, 0, "stat", "today"),
        (0, 1, "stat", "today"),
        (0, 2, "stat", "within 2 days"),
        (0, 0, "routine", "within 24 hours"),
        (0, 1, "urgent", "within 24 hours"),
        (0, 5, "routine", "within 5 days"),
        (0, 14, "routine", "within 14 days"),
        (14, 84, "routine", "in 2 to 12 weeks"),
        (7, 28, "routine", "in 1 to 4 weeks"),
        (3, 10, "urgent", "in 3 to 10 days"),
    ],
)
def test_a_window_reads_like_speech(first: int, last: int, priority: Priority, said: str) -> None:
    assert Window(first, last, priority, MESSAGES).window == said


@pytest.mark.parametrize(
    ("names", "most", "said"),
    [
        (("a",), None, "a"),
        (("a", "b"), None, "a and b"),
        (("a", "b", "c"), None, "a, b and c"),
        (("a", "b", "c"), 2, "a, b and 1 more"),
        (("a", "b", "c"), 0, "3 medicines or problems"),
        ((), None, "not known"),
    ],
)
def test_a_list_of_names_can_be_shortened(
    names: tuple[str, ...], most: int | None, said: str
) -> None:
    assert Names(names, MESSAGES, most).names == said


def test_a_value_that_was_not_used_is_shown_as_it_came() -> None:
    item = SetAside(
        reason="unit-unknown", marker="alt", code="", reference="", time=datetime.now(UTC),
        number="15", unit="furlongs",
    )  # fmt: skip

    words = ResultText(messages=MESSAGES, zone=UTC, marker=ALT, item=item)

    assert (words.title, str(words), words.unit) == ("ALT", "15 furlongs", "furlongs")


def test_a_value_without_number_and_unit_says_so() -> None:
    item = SetAside(reason="unit-missing", marker="alt", code="", reference="")

    words = ResultText(messages=MESSAGES, zone=UTC, marker=ALT, item=item)

    assert (str(words), words.number, words.unit) == ("no value", "no value", "none")


@pytest.mark.parametrize(
    ("text", "safe"),
    [
        ("U/L", "U/L"),
        ("<3", "<3"),
        ("<script>", "script>"),
        ("</b>", "/b>"),
        ("a\nb\tc", "a b c"),
        ("a\u202eb\u0000c\u200b", "abc"),
        ("x" * 50, "x" * 40 + "…"),
        ("\ue000", ""),
    ],
)
def test_a_text_from_outside_is_one_short_printable_line(text: str, safe: str) -> None:
    assert sanitize(text) == safe


@given(st.text())
def test_no_text_from_outside_opens_a_tag_or_a_line(text: str) -> None:
    safe = sanitize(text)

    assert len(safe) <= 41
    assert not any(f"<{sign}" in safe for sign in "abzAZ/!?")
    assert "\n" not in safe
    assert "\u202e" not in safe
