# SPDX-License-Identifier: Apache-2.0
"""Frames of MLLP, however the bytes come."""

from collections.abc import Sequence
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cds_service.mllp.frames import FrameDecoder, MllpFrame, framed

ONE, OTHER = b"MSH|one", b"MSH|other"


def decoded(*pieces: bytes, most: int = 1000) -> list[MllpFrame]:
    decoder = FrameDecoder(most)
    return [frame for piece in pieces for frame in decoder.feed(piece)]


@given(
    st.lists(st.binary(max_size=20).map(lambda b: b.replace(b"\x0b", b"").replace(b"\x1c", b""))),
    st.lists(st.integers(0, 200), max_size=8),
)
def test_messages_come_out_however_they_are_cut(
    messages: Sequence[bytes], cuts: Sequence[int]
) -> None:
    whole = b"".join(map(framed, messages))
    places = [0, *sorted(min(cut, len(whole)) for cut in cuts), len(whole)]
    pieces = [whole[a:b] for a, b in pairwise(places)]

    assert decoded(*pieces) == [MllpFrame(message) for message in messages]


@pytest.mark.parametrize(
    ("data", "frames"),
    [
        (framed(ONE) + b"\r\n\n" + framed(OTHER), [MllpFrame(ONE), MllpFrame(OTHER)]),
        (b"\x0b" + ONE + b"\x1c" + framed(OTHER), [MllpFrame(ONE), MllpFrame(OTHER)]),
        (b"GET /" + framed(ONE), [MllpFrame(b"", "garbage"), MllpFrame(ONE)]),
        (b"\x0b" + ONE + framed(OTHER), [MllpFrame(ONE, "cut-off"), MllpFrame(OTHER)]),
        (b"\x0b" + ONE, []),
        (b"\x1c\r" + framed(ONE), [MllpFrame(b"", "garbage"), MllpFrame(ONE)]),
        (b"", []),
    ],
    ids=["blanks", "no-cr", "garbage", "no-end", "open", "end-alone", "nothing"],
)
def test_what_is_odd_is_named(data: bytes, frames: list[MllpFrame]) -> None:
    assert decoded(data) == frames
    assert decoded(*(data[n : n + 1] for n in range(len(data))))[-1:] == frames[-1:]


def test_a_message_that_is_too_long_is_the_last() -> None:
    decoder = FrameDecoder(10)

    (frame,) = decoder.feed(b"\x0b" + b"x" * 11)

    assert frame == MllpFrame(b"x" * 11, "too-long")
    assert list(decoder.feed(b"x" * 100 + framed(ONE))) == []
