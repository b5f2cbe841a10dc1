# SPDX-License-Identifier: Apache-2.0
"""What goes out holds no null and nothing empty."""

import json

from cds_service.hooks.response import HookResponse
from cds_service.hooks.response import write_response as write
from cds_service.render.card import Card, CardSource, Coding

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
