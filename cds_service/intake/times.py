# SPDX-License-Identifier: Apache-2.0
"""FHIR dates and times -> aware moments.

A partial date is the last moment of its day, month or year at the site, but never later than now
if it has begun: a result "of 2026" is as late as it can be, and no later.
"""

from datetime import UTC, date, datetime, time, timedelta, tzinfo
from typing import NamedTuple

from msgspec import Struct

from cds_service.fhir.elements import Period, Timing
from cds_service.fhir.resources import DiagnosticReport, Observation
from cds_service.iso_times import moment_of
from cds_service.labs.patient_record import Precision

_EARLIEST_YEAR = 1850  # before it stand the null dates of programs, such as 0001-01-01
# No result is older; before it stand other null dates, such as 1900-01-01 and 1970-01-01.
_EARLIEST_RESULT = datetime(1971, 1, 1, tzinfo=UTC)
_LATEST_YEAR = 9998  # so that a day more is still a date
_LAST_TIME = time(23, 59, 59)


class Moment(NamedTuple):
    """A time, how exact it is, and the first moment that it can mean."""

    time: datetime
    precision: Precision
    begins: datetime


class Times:
    """Reads the times of one request; the results of a panel share theirs, so each is read once."""

    def __init__(self, now: datetime, zone: tzinfo) -> None:
        self.now = now
        self.zone = zone
        self._read: dict[str, Moment | None] = {}
        self._results: dict[str, Moment | None] = {}

    def moment(self, text: str) -> Moment | None:
        """The moment, or `None` if the text is no date or time that can mean one thing only.

        Beside what FHIR has: blanks around it, a blank or a small letter for the T, a small z, and
        the basic form of ISO 8601 (`20261128T185129Z`).
        """
        if text not in self._read:
            plain = text.strip()
            try:
                self._read[text] = self._instant(plain) if len(plain) > 10 else self._partial(plain)
            except (ValueError, OverflowError):
                self._read[text] = None
        return self._read[text]

    def of_result(self, text: str) -> Moment | None:
        """The moment, or `None` if the text is none, or is what a program writes for no date."""
        if text not in self._results:
            moment = self.moment(text)
            counts = moment is not None and moment.time >= _EARLIEST_RESULT
            self._results[text] = moment if counts else None
        return self._results[text]

    def _instant(self, text: str) -> Moment:
        text = _extended(text.upper())
        if text[4] != "-" or text[7] != "-" or text[10] != "T":
            raise ValueError
        # FHIR allows the leap second 23:59:60; it is the second after :59.
        leap = text[16:19] == ":60"
        read = moment_of(f"{text[:16]}:59{text[19:]}" if leap else text)
        _check_year(read)
        if read.tzinfo is None:  # not valid, but sent: the site's clock is meant
            read = read.replace(tzinfo=self.zone)
        if leap:
            read += timedelta(seconds=1)
        return Moment(read, "instant", read)

    def _partial(self, text: str) -> Moment:
        first, last, precision = span_of(text)
        begins = datetime.combine(first, time(), self.zone)
        # fold: of an hour that comes twice, the later one.
        ends = datetime.combine(last, _LAST_TIME.replace(fold=1), self.zone)
        return Moment(min(ends, max(begins, self.now)), precision, begins)


def _extended(text: str) -> str:
    """The extended form of ISO 8601, with a T between date and time."""
    if text[4] != "-" and text[8] in "T ":
        text = f"{text[:4]}-{text[4:6]}-{text[6:8]}T{text[9:]}"
    return f"{text[:10]}T{text[11:].lstrip()}" if text[10] == " " else text


def span_of(text: str) -> tuple[date, date, Precision]:
    """The first and the last day of a FHIR date; raises `ValueError` for anything else."""
    if len(text) == 8 and text.isdigit():  # the basic form of ISO 8601
        text = f"{text[:4]}-{text[4:6]}-{text[6:]}"
    if len(text) == 10 and text[4] == text[7] == "-":
        day = date.fromisoformat(text)
        _check_year(day)
        return day, day, "day"
    if len(text) == 7 and text[4] == "-":
        first = date.fromisoformat(f"{text}-01")
        _check_year(first)
        next_month = (first + timedelta(days=31)).replace(day=1)
        return first, next_month - timedelta(days=1), "month"
    if len(text) == 4:
        first = date.fromisoformat(f"{text}-01-01")
        _check_year(first)
        return first, first.replace(month=12, day=31), "year"
    raise ValueError


def _check_year(day: date) -> None:
    if not _EARLIEST_YEAR <= day.year <= _LATEST_YEAR:
        raise ValueError


class _Contradiction(ValueError):
    """The times of a resource contradict each other, so none of them is believed."""


class SentTime(Struct, frozen=True, gc=False):
    """The text of a result's time, its moment, and whether only its time of issue was sent.

    The moment is `None` if the text is no time that a result can have.
    """

    text: str
    moment: Moment | None
    issued_only: bool


def sent_time(
    result: Observation, parent: Observation | DiagnosticReport | None, times: Times
) -> SentTime | None:
    """The time of the result; what it leaves out, its panel or report supplies.

    When it was issued counts only where no time of the specimen can be read. If no time can be
    read at all it is the first that was sent, or `None`.
    """
    own = _effective(result, times)
    moment = None if own is None else times.of_result(own)
    if own is not None and moment is not None:
        return SentTime(own, moment, issued_only=False)
    sources = (result,) if parent is None else (result, parent)
    effective = [text for source in sources if (text := _effective(source, times))]
    issued = [source.issued for source in sources if source.issued]
    sent = [
        *(SentTime(text, times.of_result(text), issued_only=False) for text in effective),
        *(SentTime(text, times.of_result(text), issued_only=True) for text in issued),
    ]
    readable = (time for time in sent if time.moment is not None)
    return next(readable, sent[0] if sent else None)


def _effective(resource: Observation | DiagnosticReport, times: Times) -> str | None:
    """The one effective time that was sent; several are not believed, for FHIR allows one."""
    if _has_date_time_alone(resource):
        return resource.effective_date_time or None
    try:
        sent = [resource.effective_date_time, _end_of(resource.effective_period, times)]
    except _Contradiction:
        return None
    if isinstance(resource, Observation):
        sent.append(resource.effective_instant)
        sent.append(_last_event(resource.effective_timing, times))
    found = [text for text in sent if text]
    return found[0] if len(found) == 1 else None


def _has_date_time_alone(resource: Observation | DiagnosticReport) -> bool:
    """Whether nothing beside it can be the time, as in nearly all that laboratories send."""
    return resource.effective_period is None and (
        not isinstance(resource, Observation)
        or (resource.effective_instant is None and resource.effective_timing is None)
    )


def _end_of(period: Period | None, times: Times) -> str | None:
    """The end of the period, else its beginning; raises `_Contradiction` if it ends before."""
    if period is None:
        return None
    begins, ends = (times.moment(text or "") for text in (period.start, period.end))
    if begins is not None and ends is not None and ends.time < begins.begins:
        raise _Contradiction
    return period.end or period.start


def _last_event(timing: Timing | None, times: Times) -> str | None:
    events = timing.event if timing else None
    texts = [events] if isinstance(events, str) else [text for text in events or () if text]
    read = [(moment.time, text) for text in texts if (moment := times.of_result(text))]
    if read:
        return max(read)[1]
    return texts[0] if texts else None
