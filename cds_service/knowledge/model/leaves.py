# SPDX-License-Identifier: Apache-2.0
"""The leaves of a condition: each says one thing of a result, a fact, the patient or the call."""

from abc import abstractmethod
from dataclasses import dataclass
from typing import Literal, TypeAlias

from cds_service.amounts import Relation
from cds_service.knowledge.model.bounds import Bound, Earlier, LimitKind, Number, days_in_words

Sex: TypeAlias = Literal["male", "female", "unknown"]


class _Leaf:
    """A condition without parts: something, and what has to be so of it."""

    __slots__ = ()

    @property
    @abstractmethod
    def subject(self) -> str:
        """What the condition is about, as written in rules."""

    @property
    @abstractmethod
    def phrase(self) -> str:
        """What has to be so of the subject, as written in rules."""

    def in_words(self) -> str:
        """Return the condition as written in rules: `alpha: at least 3 x upper limit`."""
        return f"{self.subject}: {self.phrase}"


@dataclass(frozen=True, slots=True)
class _OfMarker(_Leaf):
    """A condition on one marker."""

    marker: str

    @property
    def subject(self) -> str:
        """The id of the marker."""
        return self.marker


@dataclass(frozen=True, slots=True)
class Compare(_Leaf):
    """Any of these markers (each against its own limit) stands in this relation to the bound.

    With `within_hours` only a result that near to the index is looked at.
    """

    markers: tuple[str, ...]
    relation: Relation
    bound: Bound
    earlier: Earlier | None = None
    within_hours: int | None = None

    @property
    def subject(self) -> str:
        """The id of the marker, or `any of alpha, beta`."""
        return self.markers[0] if len(self.markers) == 1 else "any of " + ", ".join(self.markers)

    @property
    def phrase(self) -> str:
        """For example `at least 3 x upper limit`."""
        when = f" {self.earlier.in_words()}" if self.earlier else ""
        if self.within_hours is not None:
            when = f" within {self.within_hours} hours of the index"
        return f"{self.relation} {self.bound.in_words()}{when}"


@dataclass(frozen=True, slots=True)
class MeasureCompare(_Leaf):
    """A measure stands in this relation to a number without unit."""

    measure: str
    relation: Relation
    bound: Number

    @property
    def subject(self) -> str:
        """The id of the measure."""
        return self.measure

    @property
    def phrase(self) -> str:
        """For example `at least 5`."""
        return f"{self.relation} {self.bound.in_words()}"


@dataclass(frozen=True, slots=True)
class AgeCompare(_Leaf):
    """The age in completed months; only `below` and `at least` exist, so no end is in doubt."""

    relation: Literal["below", "at least"]
    months: int
    written: str

    @property
    def subject(self) -> str:
        """`age`."""
        return "age"

    @property
    def phrase(self) -> str:
        """For example `below 18 years`."""
        return f"{self.relation} {self.written}"


@dataclass(frozen=True, slots=True)
class SexIs(_Leaf):
    """The patient's sex is one of these; `unknown` stands for missing, other or unknown."""

    sexes: tuple[Sex, ...]

    @property
    def subject(self) -> str:
        """`sex`."""
        return "sex"

    @property
    def phrase(self) -> str:
        """For example `male or unknown`."""
        return " or ".join(self.sexes)


@dataclass(frozen=True, slots=True)
class FactIs(_Leaf):
    """A fact is known to be so (`yes`) or known not to be so (`no`)."""

    fact: str
    answer: bool
    or_unknown: bool = False

    @property
    def subject(self) -> str:
        """The id of the fact."""
        return self.fact

    @property
    def phrase(self) -> str:
        """For example `yes` or `no or not known`."""
        return answer_word(self.answer, or_unknown=self.or_unknown)


@dataclass(frozen=True, slots=True)
class Present(_OfMarker):
    """A usable result of the marker lies in its window, or came after the index."""

    since_index: bool = False

    @property
    def phrase(self) -> str:
        """For example `present since the index`."""
        return "present" + (" since the index" if self.since_index else "")


@dataclass(frozen=True, slots=True)
class PresentBeforeNow(_OfMarker):
    """There is a final result of the last so many days, or such a one without a comparator."""

    days: int
    exact: bool = False

    @property
    def phrase(self) -> str:
        """For example `present within 365 days before now`."""
        return f"{'an exact value' if self.exact else 'present'} within {self.days} days before now"


@dataclass(frozen=True, slots=True)
class IndexAge(_Leaf):
    """The index is at most so many days old, to the second, or older."""

    relation: Literal["at most", "older than"]
    days: int

    @property
    def subject(self) -> str:
        """`index`."""
        return "index"

    @property
    def phrase(self) -> str:
        """For example `older than 7 days`."""
        days = days_in_words(self.days)
        return f"older than {days}" if self.relation == "older than" else f"at most {days} old"


@dataclass(frozen=True, slots=True)
class IsExact(_OfMarker):
    """The result is one number, without a comparator."""

    @property
    def phrase(self) -> str:
        """For example `an exact value`."""
        return "an exact value"


@dataclass(frozen=True, slots=True)
class MeasuredWith(_OfMarker):
    """The code of the result names this method."""

    method: str

    @property
    def phrase(self) -> str:
        """For example `measured by X`."""
        return f"measured {self.method}"


@dataclass(frozen=True, slots=True)
class OtherMethod(_OfMarker):
    """One of the result and its previous test was measured with `method`, the other was not."""

    method: str
    earlier: Earlier

    @property
    def phrase(self) -> str:
        """For example `measured by X unlike the previous test 1 to 365 days earlier`."""
        return f"measured {self.method} unlike the {self.earlier.test}"


@dataclass(frozen=True, slots=True)
class SameMethod(_OfMarker):
    """The codes of the result and of its previous test name the same method, or both none."""

    earlier: Earlier

    @property
    def phrase(self) -> str:
        """For example `measured as the previous test 1 to 90 days earlier`."""
        return f"measured as the {self.earlier.test}"


@dataclass(frozen=True, slots=True)
class TestedBefore(_OfMarker):
    """There is a previous test at this distance."""

    earlier: Earlier

    @property
    def phrase(self) -> str:
        """For example `tested before 1 to 365 days earlier`."""
        return f"tested before {self.earlier.span}"


@dataclass(frozen=True, slots=True)
class NoLimit(_OfMarker):
    """The result is there, but no such limit could be found for it."""

    limit: LimitKind

    @property
    def phrase(self) -> str:
        """For example `has no upper limit`."""
        return f"has no {self.limit}"


@dataclass(frozen=True, slots=True)
class SetAsideBecause(_Leaf):
    """The result that the rule is about was set aside for this reason."""

    reason: str

    @property
    def subject(self) -> str:
        """`any marker`."""
        return "any marker"

    @property
    def phrase(self) -> str:
        """For example `set aside because unit-missing`."""
        return f"set aside because {self.reason}"


@dataclass(frozen=True, slots=True)
class HasUnusedData(_Leaf):
    """Something was sent about the patient that might have raised a card and could not be used."""

    @property
    def subject(self) -> str:
        """`unused data`."""
        return "unused data"

    @property
    def phrase(self) -> str:
        """`present`."""
        return "present"


@dataclass(frozen=True, slots=True)
class Ordering(_Leaf):
    """Something that is being ordered now: an order of the pack, or medicines of a fact."""

    what: str
    without: str | None = None

    @property
    def subject(self) -> str:
        """`ordering`."""
        return "ordering"

    @property
    def phrase(self) -> str:
        """For example `repeat-alpha without beta-test`."""
        return self.what + (f" without {self.without}" if self.without else "")


@dataclass(frozen=True, slots=True)
class Taking(_Leaf):
    """A medicine of the fact is on the list, apart from what is being ordered now."""

    fact: str

    @property
    def subject(self) -> str:
        """`taking`."""
        return "taking"

    @property
    def phrase(self) -> str:
        """The id of the fact."""
        return self.fact


Leaf: TypeAlias = (
    Compare
    | MeasureCompare
    | AgeCompare
    | SexIs
    | FactIs
    | Present
    | PresentBeforeNow
    | IndexAge
    | IsExact
    | MeasuredWith
    | OtherMethod
    | SameMethod
    | TestedBefore
    | NoLimit
    | SetAsideBecause
    | HasUnusedData
    | Ordering
    | Taking
)


def answer_word(answer: bool, *, or_unknown: bool) -> str:
    """Return `yes`, `no` or `no or not known`."""
    return ("yes" if answer else "no") + (" or not known" if or_unknown else "")
