# SPDX-License-Identifier: Apache-2.0
"""Values in words, for placeholders and for the list of results under a card.

What came from outside passes `sanitize`; it is shown as it was sent, yet can never look like
markup. Times are shown in the time zone of the site.
"""

from collections.abc import Callable
from datetime import datetime, tzinfo
from fractions import Fraction
from functools import partial

from msgspec import Struct
from msgspec.structs import replace

from cds_service.amounts import Interval, significant, whole_parts, without_zeros
from cds_service.knowledge.model.messages import Messages
from cds_service.knowledge.model.pack import Marker, Priority, Suggestion
from cds_service.labs.limits import Limit
from cds_service.labs.patient_record import LabResult, Precision, SetAside
from cds_service.labs.result_selection import Reading
from cds_service.render.result_units import ResultUnit, limit_amount
from cds_service.render.sanitize import sanitize
from cds_service.rules.answer import Proposal

_CONVERTED_DIGITS = 3
_DAYS_A_WEEK = 7
# How much of `2026-06-15` a date of each precision has. Every year has four digits (intake).
_DAY = len("2026-06-15")
_DATES: dict[Precision, int] = {
    "instant": _DAY,
    "day": _DAY,
    "month": len("2026-06"),
    "year": len("2026"),
}


class ResultText(Struct, frozen=True, kw_only=True):
    """`{{ alt }}` and `{{ trigger }}`: each part is made when a text asks for it.

    It is about a result, about an `item` that was set aside, or about nothing; a part that is not
    there is "not known". How old a result is can be said only where `now` is known.
    """

    messages: Messages
    zone: tzinfo
    marker: Marker | None = None
    reading: Reading | None = None
    item: SetAside | None = None
    now: datetime | None = None

    def __str__(self) -> str:
        """Return the value with its unit."""
        return self.value

    @property
    def title(self) -> str:
        """Return for example `ALT`."""
        return self.marker.title if self.marker is not None else self._not_known

    @property
    def value(self) -> str:
        """Return for example `1.10 U/L`, as sent."""
        if self.item is not None:
            sent = " ".join(filter(None, self._of_item))
            return sent or self.messages.text("value.no value")
        return self._of_result(value_of)

    @property
    def number(self) -> str:
        """Return for example `1.10`, as sent."""
        if self.item is not None:
            return self._of_item[0] or self.messages.text("value.no value")
        return self._of_result(lambda result, _marker: _number(result))

    @property
    def unit(self) -> str:
        """Return for example `U/L`, as sent."""
        if self.item is not None:
            return self._of_item[1] or self.messages.text("value.no unit")
        return self._of_result(_unit)

    @property
    def date(self) -> str:
        """Return for example `2026-06-15`, as exactly as it was sent."""
        return self._of_result(lambda result, _marker: date_of(result, self.zone))

    @property
    def days_ago(self) -> str:
        """Return the whole days since."""
        now = self.now
        if now is None:
            return self._not_known
        return self._of_result(lambda result, _marker: str((now - result.time).days))

    @property
    def multiple(self) -> str:
        """Return how many times the upper limit it is."""
        if self.reading is None:
            return self._not_known
        times = multiple_of(self.reading.result.value, self.reading.upper, self.messages)
        return times or self._not_known

    @property
    def limit(self) -> str:
        """Return the upper limit."""
        return self._limit(None if self.reading is None else self.reading.upper)

    @property
    def limit_from(self) -> str:
        """Return where the upper limit came from."""
        upper = None if self.reading is None else self.reading.upper
        return self._not_known if upper is None else limit_source(upper.named, self.messages)

    @property
    def lower_limit(self) -> str:
        """Return the lower limit."""
        return self._limit(None if self.reading is None else self.reading.lower)

    @property
    def screening_limit(self) -> str:
        """Return the screening limit."""
        return self._limit(None if self.reading is None else self.reading.screening)

    @property
    def previous(self) -> str:
        """Return the value of the previous test."""
        before = None if self.reading is None else self.reading.previous
        if before is None or self.marker is None:
            return self._not_known
        return value_of(before, self.marker)

    @property
    def previous_date(self) -> str:
        """Return the date of the previous test."""
        before = None if self.reading is None else self.reading.previous
        return self._not_known if before is None else date_of(before, self.zone)

    @property
    def _not_known(self) -> str:
        return self.messages.text("value.not known")

    @property
    def _of_item(self) -> tuple[str, str]:
        """Number and unit of what was set aside, as sent; either may be empty."""
        item = self.item
        return ("", "") if item is None else (sanitize(item.number), sanitize(item.unit))

    def _of_result(self, shown: Callable[[LabResult, Marker], str]) -> str:
        if self.reading is None or self.marker is None:
            return self._not_known
        return shown(self.reading.result, self.marker)

    def _limit(self, limit: Limit | None) -> str:
        if self.reading is None or self.marker is None:
            return self._not_known
        amount = limit_amount(limit, self.marker, self.reading.result, self.messages)
        return amount or self._not_known


class Names(Struct, frozen=True):
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


class Window(Struct, frozen=True):
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
    return day_of(result.time, zone)[: _DATES[result.precision]]


def day_of(time: datetime, zone: tzinfo) -> str:
    """The day of a moment at the site."""
    return _at(time, zone).date().isoformat()  # a third of what the text of the whole costs


def moment_of(result: LabResult, zone: tzinfo) -> str:
    """The date and, if one was sent, the time of a result with its time zone."""
    if result.precision == "instant":
        at = _at(result.time, zone)
        return f"{at.date().isoformat()} {at.hour:02}:{at.minute:02} {at.tzname()}"
    return date_of(result, zone)


def _at(time: datetime, zone: tzinfo) -> datetime:
    """The time at the site; at the ends of the calendar, where no zone fits, as it is."""
    try:
        return time.astimezone(zone)
    except OverflowError:
        return time


def multiple_of(value: Interval, limit: Limit | None, messages: Messages) -> str | None:
    """How many times the limit the value is; of a value with comparator, the bound it has."""
    exact = limit.exact if limit is not None else None
    if exact is None or exact.numerator <= 0:
        return None
    once, parts = exact.as_integer_ratio()

    def times(amount: Fraction) -> str:
        return _times(amount.numerator * parts, amount.denominator * once)

    return bounds_of(value, times, messages)


def _times(top: int, bottom: int) -> str:
    """So many times to two decimals, or to as many more as keep it off a half that it is not.

    Rules begin at whole and half multiples: what is just above one must not read as being it.
    In whole numbers, which need not be divided by what they share.
    """
    for decimals in range(2, 6):
        scale: int = 10**decimals
        shown = whole_parts(top, bottom, scale)
        if shown * bottom == top * scale or (2 * shown) % scale:
            break
    return without_zeros(shown, decimals)


def bounds_of(value: Interval, shown: Callable[[Fraction], str], messages: Messages) -> str | None:
    """An exact value, or the one end that an interval has with its comparator."""
    exact = value.exact
    if exact is not None:
        return shown(exact)
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
