# SPDX-License-Identifier: Apache-2.0
"""Why a rule shows no card, and why an order is not offered, as values.

`reason.code` is what explanations and cases hold; `render.reason_text` makes the sentences.
"""

from dataclasses import dataclass
from typing import TypeAlias

from cds_service.labs.reasons import CodedReason, PackReason


@dataclass(frozen=True, slots=True)
class ConditionNotMet(CodedReason):
    """`when` of the rule, or of the suggestion, does not hold."""

    kind = "condition-not-met"


@dataclass(frozen=True, slots=True)
class Replaced(CodedReason):
    """The card of another rule takes the place of this one.

    >>> Replaced("alpha-very-high").code
    'replaced-by:alpha-very-high'
    """

    kind = "replaced-by"
    rule: str

    @property
    def code(self) -> str:
        """`replaced-by:RULE`."""
        return f"{self.kind}:{self.rule}"


@dataclass(frozen=True, slots=True)
class Offered(CodedReason):
    """The card of another rule offers the order.

    >>> Offered("alpha-high").code
    'offered-by:alpha-high'
    """

    kind = "offered-by"
    rule: str

    @property
    def code(self) -> str:
        """`offered-by:RULE`."""
        return f"{self.kind}:{self.rule}"


@dataclass(frozen=True, slots=True)
class Overridden(CodedReason):
    """A clinician overrode this card for the same patient and results."""

    kind = "overridden"


@dataclass(frozen=True, slots=True)
class BelowLeast(CodedReason):
    """The card is less severe than those that are shown on this hook."""

    kind = "below-least"


@dataclass(frozen=True, slots=True)
class ShownRecently(CodedReason):
    """The card was shown for the same patient, as severe as now, in the days that it is quiet."""

    kind = "shown-recently"


@dataclass(frozen=True, slots=True)
class OlderThanArrival(CodedReason):
    """A result arrived, and the card rests on an older one, or on none."""

    kind = "older-than-arrival"


@dataclass(frozen=True, slots=True)
class Folded(CodedReason):
    """Enough cards come first, more severe or of a higher rank; the last of them names this one."""

    kind = "folded"


@dataclass(frozen=True, slots=True)
class NoEligible(CodedReason):
    """The rule is about a marker of which there is no result that could be its index.

    >>> NoEligible("alpha").code
    'no-eligible-alpha'
    """

    kind = "no-eligible"
    marker: str

    @property
    def code(self) -> str:
        """`no-eligible-MARKER`."""
        return f"{self.kind}-{self.marker}"


@dataclass(frozen=True, slots=True)
class IndexPreliminary(CodedReason):
    """The only result that could be the index is preliminary, and the rule is not critical."""

    kind = "index-preliminary"


@dataclass(frozen=True, slots=True)
class Deceased(CodedReason):
    """The patient is deceased, and the pack is silent then."""

    kind = "deceased"


@dataclass(frozen=True, slots=True)
class DisabledBySite(CodedReason):
    """The site switched the rule off; it is not evaluated."""

    kind = "switched off by the site"


@dataclass(frozen=True, slots=True)
class AlreadyOrdered(CodedReason):
    """An open order already asks for it."""

    kind = "active-order-exists"


@dataclass(frozen=True, slots=True)
class AlreadyResulted(CodedReason):
    """A result of the order is on file that is not too old."""

    kind = "already-resulted"


@dataclass(frozen=True, slots=True)
class ResultSinceIndex(CodedReason):
    """Every marker that would answer the order has a result later than the index."""

    kind = "result-since-the-index"


SilenceReason: TypeAlias = Deceased | PackReason  # of the whole pack
# The rule fired, and no other card took the place of its own.
HeldBack: TypeAlias = Overridden | BelowLeast | OlderThanArrival | ShownRecently | Folded
NoCardReason: TypeAlias = (
    SilenceReason | ConditionNotMet | Replaced | HeldBack | NoEligible | IndexPreliminary
)
WithheldReason: TypeAlias = (
    PackReason
    | ConditionNotMet
    | Replaced
    | Offered
    | HeldBack
    | AlreadyOrdered
    | AlreadyResulted
    | ResultSinceIndex
)
