# SPDX-License-Identifier: Apache-2.0
"""Which cards the overrides in memory silence."""

from typing import Any

import pytest

from cds_service.memory.overrides import Overrides
from cds_service.store.store import Override
from tests.store.store_fixtures import CLIENT, NOW, RULE, ago, origin, subject


def overridden(**more: Any) -> Overrides:
    found = Overrides()
    found.add([Override(CLIENT, origin(**more), ago(days=10))])
    return found


def test_the_card_that_was_overridden_is_silent_for_its_days() -> None:
    assert overridden().silence(CLIENT, origin(), ago(days=10))
    assert not overridden().silence(CLIENT, origin(), ago(days=9))


def test_a_milder_card_is_silent_and_a_more_severe_one_speaks() -> None:
    found = overridden(indicator="warning")

    silent = [
        found.silence(CLIENT, origin(indicator=name), ago(days=30))
        for name in ("info", "warning", "critical")
    ]

    assert silent == [True, True, False]


@pytest.mark.parametrize(
    "other",
    [{"subject": subject("another")}, {"rule": RULE._replace(version="1.0.1")}],
    ids=["subject", "version"],
)
def test_another_card_speaks(other: dict[str, Any]) -> None:
    assert not overridden().silence(CLIENT, origin(**other), ago(days=30))


def test_another_client_is_not_silenced() -> None:
    assert not overridden().silence("https://other", origin(), ago(days=30))


def test_the_last_override_counts_in_whatever_order_they_come() -> None:
    found = overridden()
    found.add([Override(CLIENT, origin(), NOW), Override(CLIENT, origin(), ago(days=20))])

    assert len(found) == 1
    assert found.silence(CLIENT, origin(), NOW)


def test_what_is_replaced_is_forgotten() -> None:
    found = overridden()

    found.replace([Override(CLIENT, origin("card-2"), NOW)])

    assert not found.silence(CLIENT, origin(), ago(days=30))
    assert found.silence(CLIENT, origin("card-2"), ago(days=30))
