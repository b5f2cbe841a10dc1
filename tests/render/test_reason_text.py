# SPDX-License-Identifier: Apache-2.0
"""Every reason has words, and the pack's own words are written as text."""

from typing import get_args

import pytest

from cds_service.labs.reasons import PackReason
from cds_service.labs.set_aside_reasons import SetAsideReason
from cds_service.render.reason_text import AnyReason, reason_text
from cds_service.rules.reasons import AlreadyOrdered, NoEligible, Offered, Replaced
from tests.render.decisions import PACK

MESSAGES = PACK.messages_in("en")
OF_ONE_FIELD = {PackReason: "known-cirrhosis", NoEligible: "alt", Offered: "a", Replaced: "a"}


@pytest.mark.parametrize("kind", get_args(AnyReason), ids=lambda kind: kind.__name__)
def test_every_kind_of_reason_has_words(kind: type[AnyReason]) -> None:
    reason = kind(*([OF_ONE_FIELD[kind]] if kind in OF_ONE_FIELD else []))

    text = reason_text(reason, MESSAGES)

    assert text
    assert "{" not in text


@pytest.mark.parametrize("reason", get_args(SetAsideReason))
def test_every_reason_to_set_aside_has_words(reason: SetAsideReason) -> None:
    assert reason_text(reason, MESSAGES)


@pytest.mark.parametrize(
    ("reason", "text"),
    [
        (PackReason("known-cirrhosis"), "known cirrhosis"),
        (PackReason("not-used:for-now"), "not used: for now"),
        (AlreadyOrdered(), "already ordered"),
        ("unit-missing", "it came without a unit"),
        ("status:entered-in-error", "status: entered in error"),
        (Offered("alt-severe"), "offered on another card"),
        (NoEligible("alt"), "no recent result of alt that can be used"),
    ],
)
def test_a_reason_reads_as_text(reason: AnyReason | SetAsideReason, text: str) -> None:
    assert reason_text(reason, MESSAGES) == text
