# SPDX-License-Identifier: Apache-2.0
"""Harm to the form of a request never makes its answer milder without a word.

A sample of the mutations; `python -m tests.service.mutations` tries all of them.
"""

import pytest

from tests.service.harm import written
from tests.service.mutations import Mutation, answered, patients, sample, verdict

PATIENTS = patients()
SAMPLE = 60


@pytest.mark.parametrize("name", PATIENTS)
def test_harm_to_the_form_is_never_passed_over(name: str) -> None:
    body = PATIENTS[name]
    before = answered(written(body))
    assert before is not None
    assert "critical" in before.cards.values()

    tried = sample(body, name, SAMPLE)
    silent = [str(mutation) for mutation in tried if verdict(mutation, before) == "silent"]

    assert silent == []


def test_the_judge_notices_a_card_that_is_gone_without_a_word() -> None:
    body = PATIENTS["liver failure"]
    before = answered(written(body))
    assert before is not None
    nothing = {**body, "prefetch": {**body["prefetch"], "observations": None}}

    assert verdict(Mutation((), written(nothing)), before) == "silent"
