# SPDX-License-Identifier: Apache-2.0
"""What a result can be compared with: an amount, a limit, another result or an earlier one."""

from dataclasses import dataclass
from fractions import Fraction
from typing import Literal, TypeAlias

from cds_service.amounts import plain

LimitKind: TypeAlias = Literal["upper limit", "lower limit", "screening limit"]


def days_in_words(days: int) -> str:
    """Return `1 day`, or for example `90 days`."""
    return "1 day" if days == 1 else f"{days} days"


@dataclass(frozen=True, slots=True)
class Earlier:
    """The previous test: the last that is at least so many days older than the index.

    If that one is more than `most_days` older, there is none. What lies nearer than `least_days` is
    passed over; with none to pass over it is the last test strictly before the index.
    """

    least_days: int
    most_days: int

    def in_words(self) -> str:
        """Return the phrase as written in rules."""
        if self.least_days == 0:
            return f"at the previous test within {days_in_words(self.most_days)}"
        return f"at the {self.test}"

    @property
    def span(self) -> str:
        """How long before the index: `1 to 90 days earlier`."""
        return f"{self.least_days} to {self.most_days} days earlier"

    @property
    def test(self) -> str:
        """The test itself: `previous test 1 to 90 days earlier`."""
        return f"previous test {self.span}"


@dataclass(frozen=True, slots=True)
class Number:
    """A fixed bound in the unit of the marker or measure; `written` is the author's text."""

    amount: Fraction
    written: str

    def in_words(self) -> str:
        """Return the bound as its author wrote it."""
        return self.written


@dataclass(frozen=True, slots=True)
class TimesLimit:
    """A multiple of a limit that belongs to the compared result itself."""

    times: Fraction
    limit: LimitKind

    def in_words(self) -> str:
        """Return for example `3 x upper limit`."""
        return self.limit if self.times == 1 else f"{plain(self.times)} x {self.limit}"


@dataclass(frozen=True, slots=True)
class TimesMarker:
    """A multiple of another marker's result in the same frame, perhaps with an amount on top."""

    times: Fraction
    marker: str
    plus: Number | None = None

    def in_words(self) -> str:
        """Return for example `2 x alpha`, or `alpha plus 5 U/L`."""
        multiple = self.marker if self.times == 1 else f"{plain(self.times)} x {self.marker}"
        return f"{multiple} plus {self.plus.in_words()}" if self.plus else multiple


@dataclass(frozen=True, slots=True)
class TimesPrevious:
    """A multiple of the marker's own previous test, perhaps with an amount on top."""

    times: Fraction
    earlier: Earlier
    plus: Number | None = None

    def in_words(self) -> str:
        """Return for example `0.7 x the previous test 1 to 90 days earlier`."""
        test = f"the {self.earlier.test}"
        multiple = test if self.times == 1 else f"{plain(self.times)} x {test}"
        return f"{multiple} plus {self.plus.in_words()}" if self.plus else multiple


Bound: TypeAlias = Number | TimesLimit | TimesMarker | TimesPrevious
