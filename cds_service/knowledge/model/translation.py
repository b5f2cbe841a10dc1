# SPDX-License-Identifier: Apache-2.0
"""A pack in another language: its things with the titles that it has for them."""

from collections.abc import Mapping
from dataclasses import replace
from typing import TypeVar

from cds_service.knowledge.model.facts import Fact
from cds_service.knowledge.model.pack import Marker, Measure, Order, Pack, Pattern, Rule

TITLED = ("markers", "measures", "facts", "patterns", "orders", "order groups", "rules")
TitledT = TypeVar("TitledT", Marker, Measure, Fact, Pattern, Order, Rule)


def titled_in(pack: Pack, language: str) -> Pack:
    """The pack with its titles of this language; what has none keeps its own title."""
    titles = pack.titles.get(language)
    if titles is None:
        return pack
    return replace(
        pack,
        markers=_titled(pack.markers, titles.get("markers", {})),
        measures=_titled(pack.measures, titles.get("measures", {})),
        facts=_titled(pack.facts, titles.get("facts", {})),
        patterns=_titled(pack.patterns, titles.get("patterns", {})),
        orders=_titled(pack.orders, titles.get("orders", {})),
        order_groups={**pack.order_groups, **titles.get("order groups", {})},
        rules=_titled(pack.rules, titles.get("rules", {})),
    )


def _titled(titled: Mapping[str, TitledT], titles: Mapping[str, str]) -> dict[str, TitledT]:
    return {
        name: replace(part, title=titles.get(name, part.title)) for name, part in titled.items()
    }
