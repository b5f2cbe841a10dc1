# SPDX-License-Identifier: Apache-2.0
"""What goes out holds no null and nothing empty."""

import json

import pytest

from cds_service.hooks.response import Card, CardSource, Coding, HookResponse, fits_summary
from cds_service.hooks.response import write_response as write

TOPIC = Coding(code="a", system="https://cds.example/rules", display="A")


def test_a_card_without_optional_parts_is_written_without_them() -> None:
    card = Card(
        uuid="u", summary="s", indicator="info", detail="d",
        source=CardSource(label="l", topic=TOPIC),
    )  # fmt: skip

    written = json.loads(write(HookResponse(cards=(card,))))

    assert set(written) == {"cards"}
    assert set(written["cards"][0]) == {"uuid", "summary", "indicator", "detail", "source"}
    assert set(written["cards"][0]["source"]) == {"label", "topic"}


def test_no_guidance_is_an_empty_list_of_cards() -> None:
    assert write(HookResponse(cards=())) == b'{"cards":[]}'


@pytest.mark.parametrize(
    ("text", "fits"),
    [
        ("a" * 139, True),
        ("a" * 140, False),
        ("µ" * 139, True),
        ("\U0001f9ea" * 69 + "a", True),
        ("\U0001f9ea" * 70, False),  # 70 characters, but 140 units of UTF-16
    ],
)
def test_a_summary_has_fewer_than_140_characters_and_units(text: str, fits: bool) -> None:
    assert fits_summary(text) is fits
