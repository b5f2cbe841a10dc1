# SPDX-License-Identifier: Apache-2.0
"""Harm to the form of a request never makes its answer milder without a word.

A sample of the mutations; `python -m tests.service.mutations` tries all of them.
"""

import random

import pytest

from tests.service.mutations import cards_and_words, mutations, patients, verdict

PATIENTS = patients()
SAMPLE = 40


@pytest.mark.parametrize("name", PATIENTS)
def test_harm_to_the_form_is_never_passed_over(name: str) -> None:
    body = PATIENTS[name]
    answer = cards_and_words(body)
    assert answer is not None
    before, _ = answer
    assert "critical" in before.values()

    tried = random.Random(name).sample(list(mutations(body, seed=0, rounds=0)), SAMPLE)
    silent = [
        (mutation.kind, mutation.path)
        for mutation in tried
        if verdict(mutation, before) == "silent"
    ]

    assert silent == []


def test_the_judge_notices_a_card_that_is_gone_without_a_word() -> None:
    body = PATIENTS["liver failure"]
    answer = cards_and_words(body)
    assert answer is not None
    nothing = {**body, "prefetch": {**body["prefetch"], "observations": None}}
    mutation = next(iter(mutations(body, seed=0, rounds=0)))

    assert verdict(mutation._replace(body=nothing), answer[0]) == "silent"
