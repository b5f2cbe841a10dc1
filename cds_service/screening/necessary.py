# SPDX-License-Identifier: Apache-2.0
"""A rule -> what has to be so of a patient for it to have a card, as SQL that any engine can run.

Necessary and not sufficient: whom it drops has no card, whom it keeps the core decides about. What
it cannot express is true. A patient is some rows of `evidence`:

- a result that may be used: `marker`, `method`, its `age` in milliseconds, `low` and `high`, and
  for each kind of limit the least and the greatest that it can be judged by. Amounts are millionths
  of the unit of the marker. `low` is no lower than the lower end of the value, `high` no higher
  than the upper one, and each is NULL where the value has no such end;
- a `fact` that a medicine or condition may make so.

The text has whole numbers, comparisons and three-valued logic alone: no division, no cast and no
order, in which engines differ. Multiples are written crosswise, so that nothing is rounded.
"""

from collections.abc import Iterator
from fractions import Fraction
from math import ceil, floor
from typing import Final

from cds_service.amounts import Relation
from cds_service.knowledge.model.bounds import Earlier, LimitKind, Number, TimesLimit, TimesMarker
from cds_service.knowledge.model.conditions import AllOf, AnyOf, Condition, PatternIs
from cds_service.knowledge.model.dependencies import fact_closure, inputs_of
from cds_service.knowledge.model.leaves import (
    Compare,
    FactIs,
    IsExact,
    MeasureCompare,
    MeasuredWith,
    NoLimit,
    Ordering,
    OtherMethod,
    Present,
    PresentBeforeNow,
    SameMethod,
    Taking,
    TestedBefore,
)
from cds_service.knowledge.model.pack import WITHOUT_RESULT, Pack, Rule

SCALE: Final = 1_000_000
TRUE: Final = "true"
FALSE: Final = "false"
LIMIT_COLUMNS: Final[dict[LimitKind, tuple[str, str]]] = {
    "upper limit": ("upper_least", "upper_most"),
    "lower limit": ("lower_least", "lower_most"),
    "screening limit": ("screening_least", "screening_most"),
}
_MS_A_DAY = 86_400_000
_HOURS_A_DAY = 24
_AGE = "age"
_UP: Final[frozenset[Relation]] = frozenset(("above", "at least"))


def necessary(rule: Rule, pack: Pack) -> str:
    """What the rows of a patient show if the rule may have a card, as SQL.

    Rules about results that were not used are not asked here: who may have such a result is kept.
    """
    if not rule.rests_on_results:
        return FALSE
    sql = _Rules(pack)
    index = [sql.result(name, pack.scope.index_days) for name in rule.about if name not in _NONE]
    return all_of([any_of(index) if index else TRUE, sql.condition(rule.when)])


_NONE: Final = frozenset(WITHOUT_RESULT)


class _Rules:
    """Writes the conditions of one pack."""

    def __init__(self, pack: Pack) -> None:
        self._pack = pack

    def condition(self, condition: Condition) -> str:
        """What is so wherever the condition is known to hold."""
        match condition:
            case AllOf(parts=parts):
                return all_of([self.condition(part) for part in parts])
            case AnyOf(parts=parts):
                return any_of([self.condition(part) for part in parts])
            case PatternIs(when=when, answer=True, or_unknown=False):
                return self.condition(when)
            case Compare():
                return any_of([self._compared(condition, name) for name in condition.markers])
            case MeasureCompare(measure=name):
                inputs = inputs_of(self._pack.measures[name])
                return all_of([self.result(marker) for marker in inputs if marker != _AGE])
            case PresentBeforeNow(marker=name, days=days):
                return self.result(name, days)
            case (
                Present(marker=name)
                | IsExact(marker=name)
                | SameMethod(marker=name)
                | TestedBefore(marker=name)
                | NoLimit(marker=name)
            ):
                return self.result(name)
            case MeasuredWith(marker=name, method=method):
                return self.result(name, None, _method(method))
            case OtherMethod(marker=name, method=method, earlier=earlier):
                return self.result(name, self._days(name, earlier), _method(method))
            case FactIs(fact=name, answer=True, or_unknown=False) | Taking(fact=name):
                return self._fact(name)
            case Ordering():
                return FALSE  # where a chart is opened nothing is being ordered
            case _:
                return TRUE

    def result(self, marker: str, days: int | None = None, *also: str) -> str:
        """There is a result of the marker that can be read, of which all this is so."""
        age = (self._days(marker) if days is None else days) * _MS_A_DAY
        return _any_row(f"marker = '{name_of(self._pack, marker)}'", f"age <= {age}", *also)

    def _days(self, marker: str, earlier: Earlier | None = None) -> int:
        """How old the index, a result beside it or the test before it can be."""
        beside = ceil(self._pack.markers[marker].pairing.hours / _HOURS_A_DAY)
        return self._pack.scope.index_days + beside + (earlier.most_days if earlier else 0)

    def _compared(self, leaf: Compare, marker: str) -> str:
        days = self._days(marker, leaf.earlier)
        match leaf.bound:
            case Number(amount=amount):
                return self.result(marker, days, _beyond(leaf.relation, amount))
            case TimesLimit(times=times, limit=limit) if leaf.earlier is None:
                return self.result(marker, days, _beyond_limit(leaf.relation, times, limit))
            case TimesLimit() as bound:
                return self._beyond_limit_of_other(leaf.relation, bound, marker, days)
            case TimesMarker(marker=other):
                return all_of([self.result(marker, days), self.result(other)])
            case _:
                return self.result(marker, days)

    def _beyond_limit_of_other(
        self, relation: Relation, bound: TimesLimit, marker: str, days: int
    ) -> str:
        """A result of the last `days` is beyond the limit that a newer one is judged by."""
        least, most = LIMIT_COLUMNS[bound.limit]
        of_marker = f"marker = '{name_of(self._pack, marker)}'"
        earlier = f"FILTER (WHERE {of_marker} AND age <= {days * _MS_A_DAY})"
        newer = f"FILTER (WHERE {of_marker} AND age <= {self._days(marker) * _MS_A_DAY})"
        up, down = bound.times.numerator, bound.times.denominator
        if relation in _UP:
            amount, limit, sign = f"max(low) {earlier}", f"min({least}) {newer}", ">="
        else:
            amount, limit, sign = f"min(high) {earlier}", f"max({most}) {newer}", "<="
        return f"coalesce({_times(amount, down)} {sign} {_times(limit, up)}, false)"

    def _fact(self, fact: str) -> str:
        behind = sorted(fact_closure([fact], self._pack))
        names = ", ".join(f"'{name_of(self._pack, name)}'" for name in behind)
        return _any_row(f"fact IN ({names})")


def name_of(pack: Pack, name: str) -> str:
    """What a marker or fact is called where several packs are."""
    return f"{pack.id}/{name}"


def all_of(parts: list[str]) -> str:
    """All of these."""
    left = list(dict.fromkeys(part for part in parts if part != TRUE))
    return FALSE if FALSE in left else _joined(left, " AND ") or TRUE


def any_of(parts: list[str]) -> str:
    """Any of these."""
    left = list(dict.fromkeys(part for part in parts if part != FALSE))
    return TRUE if TRUE in left else _joined(left, " OR ") or FALSE


def _joined(parts: list[str], word: str) -> str:
    return parts[0] if len(parts) == 1 else f"({word.join(parts)})" if parts else ""


def _any_row(*conditions: str) -> str:
    # NULL where no row says anything: `coalesce` is the same in every engine.
    return f"coalesce(bool_or({' AND '.join(conditions)}), false)"


def _beyond(relation: Relation, amount: Fraction) -> str:
    scaled = amount * SCALE
    return f"low >= {floor(scaled)}" if relation in _UP else f"high <= {ceil(scaled)}"


def _beyond_limit(relation: Relation, times: Fraction, limit: LimitKind) -> str:
    least, most = LIMIT_COLUMNS[limit]
    up, down = times.numerator, times.denominator
    if relation in _UP:
        return f"{_times('low', down)} >= {_times(least, up)}"
    return f"{_times('high', down)} <= {_times(most, up)}"


def _method(method: str) -> str:
    return f"method = '{method}'"


def _times(column: str, factor: int) -> str:
    return column if factor == 1 else f"{column} * {factor}"


def rules_of(pack: Pack, trigger: str) -> Iterator[Rule]:
    """The rules that answer the trigger."""
    return (
        rule for rule in pack.rules.values() if rule.status == "active" and trigger in rule.hooks
    )
