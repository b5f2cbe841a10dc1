# SPDX-License-Identifier: Apache-2.0
"""How deep JSON is nested, against a count of every sign."""

import json
import tracemalloc
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cds_service.fhir.depth import is_deeper

TEXTS = st.text(st.sampled_from('ab[]{}"\\/ é\n'), max_size=8)
VALUES = st.recursive(
    st.none() | st.integers() | TEXTS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXTS, inner, max_size=3),
    max_leaves=20,
)


def levels(value: Any) -> int:
    if isinstance(value, list):
        return 1 + max(map(levels, value), default=0)
    if isinstance(value, dict):
        return 1 + max(map(levels, value.values()), default=0)
    return 0


@given(value=VALUES, most=st.integers(1, 8), plain=st.booleans())
def test_it_says_what_counting_says(value: Any, most: int, *, plain: bool) -> None:
    text = json.dumps(value, ensure_ascii=plain).encode()

    assert is_deeper(text, most) == (levels(value) > most)


@pytest.mark.parametrize("opened", [b"[", b"{", b'{"a":[', b'[{"\\"[":'])
def test_what_is_never_closed_is_deep(opened: bytes) -> None:
    assert is_deeper(opened * 1000, 64)


@given(text=st.binary())
def test_any_bytes_are_answered(text: bytes) -> None:
    assert is_deeper(text, 1) in {True, False}


@pytest.mark.slow
@pytest.mark.parametrize(
    "body",
    [
        b"[" * 1_000_000 + b"]" * 1_000_000,
        b"[" + (b"[" * 90 + b"0" + b"]" * 90 + b",") * 10_000 + b"0]",
        b'["' + b'\\"[' * 600_000 + b'"]',
        b'["[' * 600_000,
        b"[" + b'{"a":"["},' * 200_000 + b"0]",
    ],
)
def test_a_body_made_to_take_memory_takes_a_few_times_its_length(body: bytes) -> None:
    tracemalloc.start()
    try:
        is_deeper(body, 100)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()

    assert peak < 6 * len(body) + 8_000_000
