# SPDX-License-Identifier: Apache-2.0
"""What is remembered by a text is bounded, and is the answer to that very text."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import pytest

from cds_service.remembering import remember_short

MOST = 3


def remembering(*without: str) -> tuple[Callable[[str], str], list[str]]:
    """A function that remembers, and the texts that it was really asked for."""
    asked: list[str] = []

    @remember_short(longest=4, most=MOST, without=without)
    def doubled(text: str) -> str:
        asked.append(text)
        if text == "bad":
            raise ValueError
        return text * 2

    return doubled, asked


@pytest.mark.parametrize("text", ["", "a", "four"])
def test_a_short_text_is_read_once(text: str) -> None:
    doubled, asked = remembering()

    assert [doubled(text), doubled(text)] == [text * 2] * 2
    assert asked == [text]


@pytest.mark.parametrize("text", ["fiver", "x{y"])
def test_a_long_text_and_one_with_a_part_that_may_not_be_kept_are_read_anew(text: str) -> None:
    doubled, asked = remembering("{")

    assert [doubled(text), doubled(text)] == [text * 2] * 2
    assert asked == [text, text]


def test_an_error_is_not_remembered() -> None:
    doubled, asked = remembering()

    for _ in range(2):
        with pytest.raises(ValueError, match=r"^$"):
            doubled("bad")
    assert asked == ["bad", "bad"]


def test_one_text_more_than_there_is_room_for_begins_anew() -> None:
    doubled, asked = remembering()

    for text in "abcabcdda":
        assert doubled(text) == text * 2
    assert asked == list("abcda")


def test_many_threads_have_each_their_own_answer() -> None:
    doubled, _ = remembering()
    texts = [str(number % (MOST + 1)) for number in range(20_000)]

    with ThreadPoolExecutor(8) as threads:
        answers = list(threads.map(doubled, texts, chunksize=100))

    assert answers == [text * 2 for text in texts]
