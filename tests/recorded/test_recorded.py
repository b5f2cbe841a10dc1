# SPDX-License-Identifier: Apache-2.0
"""The service answers thousands of recorded requests as it did when they were recorded.

The first chunk is a sample of everything for every day: `pytest tests/recorded -k sample`.
`record.py` says how to record wanted changes.
"""

from collections.abc import Iterator

import pytest

from tests.recorded.kept import CHUNKS, Service, first_difference, read, rules_with_cards
from tests.recorded.words import read_words

_SHOWN = 5


@pytest.fixture(scope="module")
def service() -> Iterator[Service]:
    service = Service()
    yield service
    service.close()


def compare(chunk: int, service: Service) -> None:
    """Fails with the first differences of a chunk and the numbers of all."""
    requests = read("requests", chunk)
    differences = {
        number: first_difference(kept, now)
        for number, (request, kept) in enumerate(
            zip(requests, read("answers", chunk), strict=True), chunk * len(requests)
        )
        if kept != (now := service.answer(request))
    }
    if differences:
        shown = [f"request {n}: {text}" for n, text in list(differences.items())[:_SHOWN]]
        numbers = " ".join(map(str, differences))
        count = f"{len(differences)} of {len(requests)} answers differ: {numbers}"
        pytest.fail("\n".join([count, *shown]), pytrace=False)


def test_a_sample_of_the_answers_is_as_recorded(service: Service) -> None:
    compare(0, service)


@pytest.mark.parametrize("chunk", range(1, CHUNKS))
def test_answers_are_as_recorded(chunk: int, service: Service) -> None:
    compare(chunk, service)


def test_every_active_rule_has_a_card_in_the_recorded_answers() -> None:
    answers = [answer for chunk in range(CHUNKS) for answer in read("answers", chunk)]

    rules = {rule for answer in answers for rule in rules_with_cards(answer)}

    assert set(read_words().active_rules) - rules == set()


@pytest.mark.parametrize(
    ("now", "expected"),
    [
        ('{"a": [1, 3]}', "$.a[1]: 2 recorded, 3 now"),
        ('{"a": [1]}', '$.a[1]: 2 recorded, "(absent)" now'),
        ('{"a": [1, 2], "b": true}', '$.b: "(absent)" recorded, true now'),
        ('{"a":[1, 2]}', 'the text itself: "{\\"a\\": [1, 2]}" recorded, "{\\"a\\":[1, 2]}" now'),
        ("", 'the text itself: "{\\"a\\": [1, 2]}" recorded, "" now'),
    ],
)
def test_a_difference_is_named_by_its_place_and_both_values(now: str, expected: str) -> None:
    kept = {"status": 200, "body": '{"a": [1, 2]}'}

    assert first_difference(kept, {"status": 200, "body": now}) == expected
