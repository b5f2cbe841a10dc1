# SPDX-License-Identifier: Apache-2.0
"""Reasons are values; their codes are what explanations have always held."""

import pytest

from cds_service.labs.reasons import CodedReason, HasComparator, Hemolyzed, PackReason
from cds_service.rules.reasons import (
    AlreadyOrdered,
    BelowLeast,
    ConditionNotMet,
    Deceased,
    DisabledBySite,
    Folded,
    IndexPreliminary,
    NoEligible,
    Offered,
    OlderThanArrival,
    Overridden,
    Replaced,
    ResultSinceIndex,
    ShownRecently,
)


@pytest.mark.parametrize(
    ("reason", "code"),
    [
        (PackReason("replaced-by:nobody"), "replaced-by:nobody"),
        (Hemolyzed(), "hemolyzed-specimen"),
        (HasComparator(), "not-applicable:comparator"),
        (ConditionNotMet(), "condition-not-met"),
        (Replaced("alt-severe"), "replaced-by:alt-severe"),
        (Offered("alt-severe"), "offered-by:alt-severe"),
        (Overridden(), "overridden"),
        (BelowLeast(), "below-least"),
        (OlderThanArrival(), "older-than-arrival"),
        (Folded(), "folded"),
        (ShownRecently(), "shown-recently"),
        (NoEligible("alt"), "no-eligible-alt"),
        (IndexPreliminary(), "index-preliminary"),
        (Deceased(), "deceased"),
        (DisabledBySite(), "switched off by the site"),
        (AlreadyOrdered(), "active-order-exists"),
        (ResultSinceIndex(), "result-since-the-index"),
    ],
)
def test_the_code_of_a_reason_never_changes(reason: CodedReason, code: str) -> None:
    assert reason.code == code
