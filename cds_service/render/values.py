# SPDX-License-Identifier: Apache-2.0
"""Values in words, for placeholders and for the list of results under a card.

What came from outside passes `sanitize`; it is shown as it was sent, yet can never look like
markup. Times are shown in the time zone of the site.
"""

from collections.abc import Callable
from dataclasses import dataclass, fields, replace
from datetime import datetime, tzinfo
from fractions import Fraction
from functools import partial

from cds_service.amounts import Interval, shortened, significant
from cds_service.knowledge.model.messages import Messages
from cds_service.knowledge.model.pack import Marker, Priority, Suggestion
from cds_service.labs.frames import Reading
from cds_service.labs.limits import Limit
from cds_service.labs.patient_record import LabResult, Precision, SetAside
from cds_service.render.result_units import ResultUnit, limit_amount
from cds_service.render.sanitize import sanitize
from cds_service.rules.answer import Proposal

_CONVERTED_DIGITS = 3
_DAYS_A_WEEK = 7
_DATES: dict[Precision, str] = {
    "instant": "%Y-%m-%d",
    "day": "%Y-%m-%d",
    "month": "%Y-%m",
    "year": "%Y",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class ResultText:
    """The parts of `{{ alt }}` and `{{ trigger }}`; a part that is not there is "not known"."""

    title: str
    value: str
    number: str
    unit: str
    date: str
    multiple: str
    limit: str
    limit_from: str
    lower_limit: str
    screening_limit: str
    previous: str
    previous_date: str
    days_ago: str

    def __str__(self) -> str:
        """Return the value with its unit."""
        return self.value


@dataclass(frozen=True, slots=True)
class Names:
    """`{{ on_isoniazid.names }}`: the first `most` names and how many more there are."""

    every: tuple[str, ...]
    messages: Messages
    most: int | None = None
    sent: tuple[str, ...] = ()

    @property
    def as_sent(self) -> str:
        """Return the names as they were sent, such as `Marcumar (phenprocoumon)`."""
        return replace(self, every=tuple(map(sanitize, self.sent))).names

    @property
    def names(self) -> str:
        """Return for example `isoniazid, levodopa and 2 more`."""
        shown = self.every if self.most is None else self.every[: self.most]
        left = len(self.every) - len(shown)
        if not self.every:
            return self.messages.text("value.not known")
        if not shown:
            return self.messages.text("value.only a count", count=left)
        if left:
            return self.messages.text("value.more names", first=", ".join(shown), count=left)
        if len(shown) == 1:
            return shown[0]
        return self.messages.text("value.last of list", first=", ".join(shown[:-1]), last=shown[-1])


@dataclass(frozen=True, slots=True)
class Window:
    """`{{ order.liver_panel.window }}`."""

    first_day: int
    last_day: int
    priority: Priority
    messages: Messages

    @property
    def window(self) -> str:
        """Return for example `today`, `within 5 days` or `in 2 to 12 weeks`."""
        first, last = self.first_day, self.last_day
        if self.priority == "stat" and last <= 1:
            return self.messages.text("window.today")
        if first == 0:
            if last <= 1:
                return self.messages.text("window.one day")
            return self.messages.text("window.days", last=last)
        if first % _DAYS_A_WEEK == 0 and last % _DAYS_A_WEEK == 0:
            first, last = first // _DAYS_A_WEEK, last // _DAYS_A_WEEK
            return self.messages.text("window.from week", first=first, last=last)
        return self.messages.text("window.from day", first=first, last=last)


def window_of(order: Suggestion | Proposal, messages: Messages) -> Window:
    """The window of an order, as a text or a label says it."""
    return Window(order.first_day, order.last_day, order.priority, messages)


def result_text(
    reading: Reading, marker: Marker, zone: tzinfo, messages: Messages, now: datetime | None = None
) -> ResultText:
    """What placeholders can say about a result; how old it is only where `now` is known."""
    result, upper, previous = reading.result, reading.upper, reading.previous
    not_known = messages.text("value.not known")
    return ResultText(
        title=marker.title,
        value=value_of(result, marker),
        number=_number(result),
        unit=_unit(result, marker),
        date=date_of(result, zone),
        multiple=multiple_of(result.value, upper, messages) or not_known,
        limit=limit_amount(upper, marker, result, messages) or not_known,
        limit_from=limit_source(upper.named, messages) if upper else not_known,
        lower_limit=limit_amount(reading.lower, marker, result, messages) or not_known,
        screening_limit=limit_amount(reading.screening, marker, result, messages) or not_known,
        previous=value_of(previous, marker) if previous else not_known,
        previous_date=date_of(previous, zone) if previous else not_known,
        days_ago=str((now - result.time).days) if now else not_known,
    )


def set_aside_text(item: SetAside, marker: Marker | None, messages: Messages) -> ResultText:
    """What `{{ result }}` can say about something that was not used."""
    number, unit = sanitize(item.number), sanitize(item.unit)
    return replace(
        absent_result_text(marker.title if marker else None, messages),
        value=" ".join(part for part in (number, unit) if part) or messages.text("value.no value"),
        number=number or messages.text("value.no value"),
        unit=unit or messages.text("value.no unit"),
    )


def absent_result_text(title: str | None, messages: Messages) -> ResultText:
    """What placeholders say about a result that is not there."""
    not_known = messages.text("value.not known")
    words = {part.name: not_known for part in fields(ResultText)}
    return ResultText(**{**words, "title": title or not_known})


def value_of(result: LabResult, marker: Marker) -> str:
    """Number and unit as sent; a pure number stands alone, whatever annotation came with it."""
    unit = _unit(result, marker)
    return f"{_number(result)} {unit}" if unit else _number(result)


def converted_value(result: LabResult, marker: Marker, messages: Messages) -> str | None:
    """The value in the marker's unit if it was sent in another one."""
    if not marker.unit or result.unit == marker.unit:
        return None
    amount = bounds_of(result.value, partial(significant, digits=_CONVERTED_DIGITS), messages)
    return f"{amount} {marker.unit}" if amount else None


def value_in(result: LabResult, unit: ResultUnit, messages: Messages) -> str | None:
    """The value in this unit if it was sent in another one."""
    if result.factor == unit.factor:
        return None
    amount = bounds_of(result.value, unit.number, messages)
    return f"{amount} {unit.text}" if amount else None


def date_of(result: LabResult, zone: tzinfo) -> str:
    """The date of a result, as exactly as it was sent."""
    return _at(result.time, zone).strftime(_DATES[result.precision])


def day_of(time: datetime, zone: tzinfo) -> str:
    """The day of a moment at the site."""
    return _at(time, zone).strftime(_DATES["day"])


def moment_of(result: LabResult, zone: tzinfo) -> str:
    """The date and, if one was sent, the time of a result with its time zone."""
    if result.precision == "instant":
        return _at(result.time, zone).strftime("%Y-%m-%d %H:%M %Z").strip()
    return date_of(result, zone)


def _at(time: datetime, zone: tzinfo) -> datetime:
    """The time at the site; at the ends of the calendar, where no zone fits, as it is."""
    try:
        return time.astimezone(zone)
    except OverflowError:
        return time


def multiple_of(value: Interval, limit: Limit | None, messages: Messages) -> str | None:
    """How many times the limit the value is; of a value with comparator, the bound it has."""
    if limit is None or limit.exact is None or limit.exact <= 0:
        return None
    return bounds_of(value.times(1 / limit.exact), _times, messages)


def _times(amount: Fraction) -> str:
    """The amount to two decimals, or to as many more as keep it off a half that it is not.

    Rules begin at whole and half multiples: what is just above one must not read as being it.
    """
    for decimals in range(2, 6):
        text = shortened(amount, decimals)
        if Fraction(text) == amount or (2 * Fraction(text)).denominator > 1:
            break
    return text


def bounds_of(value: Interval, shown: Callable[[Fraction], str], messages: Messages) -> str | None:
    """An exact value, or the one end that an interval has with its comparator."""
    if value.exact is not None:
        return shown(value.exact)
    if value.low is not None and value.high is None:
        return (">" if value.low_open else ">=") + shown(value.low)
    if value.high is not None and value.low is None:
        return ("<" if value.high_open else "<=") + shown(value.high)
    if value.low is not None and value.high is not None:
        return messages.text("value.between", low=shown(value.low), high=shown(value.high))
    return None


def limit_source(named: str, messages: Messages) -> str:
    """Where a limit came from, in words; the pack names it by letters, digits and hyphens."""
    first, _, rest = named.partition("-")
    match first:
        case "lab":
            return messages.text("limit.laboratory")
        case "fallback":
            return messages.text("limit.fallback")
        case "site":
            return messages.text("limit.site")
        case "age":
            return messages.text("limit.age")
        case _:
            return f"{first.upper()} {rest.replace('-', ' ')}".strip()


def _number(result: LabResult) -> str:
    return (result.sent.comparator or "") + sanitize(result.sent.number)


def _unit(result: LabResult, marker: Marker) -> str:
    return sanitize(result.sent.unit) if marker.unit else ""
