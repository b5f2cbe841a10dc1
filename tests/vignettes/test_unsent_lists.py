# SPDX-License-Identifier: Apache-2.0
"""A worked example whose card rests on a list says so when the list is not sent."""

from collections.abc import Iterator

import pytest

from tests.vignettes.ask import Clinic
from tests.vignettes.compare import EXAMPLES, Json, rule_of

MEDICINES = ("medicationRequests", "medicationStatements")
CONDITIONS = ("conditions",)
# By the pack no liver risk, and a liver risk that is not known, are the same to this info card.
NOT_KNOWN_IS_NO = {"alt-above-guideline-limit"}


@pytest.fixture(name="clinic", scope="module")
def _clinic() -> Iterator[Clinic]:
    clinic = Clinic()
    yield clinic
    clinic.close()


@pytest.mark.parametrize("vignette", EXAMPLES, ids=lambda vignette: str(vignette["id"]))
def test_a_list_that_is_not_sent_is_named_where_a_card_is_lost_by_it(
    vignette: Json, clinic: Clinic
) -> None:
    inputs = vignette["inputs"]
    whole = rules_of(clinic.answer_without(vignette))

    for part, keys, is_filled in (
        ("medicines", MEDICINES, "medications" in inputs),
        ("conditions", CONDITIONS, "conditions" in inputs or "pregnant" in inputs["patient"]),
    ):
        if is_filled:
            body = clinic.answer_without(vignette, *keys)
            lost = whole - rules_of(body) - NOT_KNOWN_IS_NO
            assert not lost or any(f"{part}: not sent" in card["detail"] for card in body["cards"])


def rules_of(body: Json) -> set[str]:
    """The rules of the cards."""
    return {rule_of(card) for card in body["cards"]}
