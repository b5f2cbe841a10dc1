# SPDX-License-Identifier: Apache-2.0
"""One table of prefetch keys: what each brings, and what clients call it."""

import pytest

from cds_service.prefetch_keys import KINDS, PREFETCH_KEYS, kinds_of_key


def test_every_kind_is_brought_by_one_key() -> None:
    assert sorted(kind for key in PREFETCH_KEYS for kind in kinds_of_key(key)) == sorted(KINDS)


@pytest.mark.parametrize(
    ("key", "kinds"),
    [
        ("Lab_Results 90", {"Observation"}),
        ("(medications)", {"MedicationRequest", "MedicationStatement"}),
        ("problem-list", {"Condition"}),
        ("openOrders", {"ServiceRequest"}),
        ("-user", set[str]()),
        ("", set[str]()),
    ],
)
def test_a_name_counts_by_its_letters_alone(key: str, kinds: set[str]) -> None:
    assert kinds_of_key(key) == kinds
