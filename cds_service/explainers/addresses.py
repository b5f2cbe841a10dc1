# SPDX-License-Identifier: Apache-2.0
"""The word for a test in an address or a field -> the marker that it means.

A marker is found by its id, its title, any of its names as laboratories write them, and its codes.
"""

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from difflib import get_close_matches

from cds_service.errors import RequestError, UnknownPage
from cds_service.explanation.view import NamedView
from cds_service.knowledge.model.names import NotUnderstood
from cds_service.knowledge.model.pack import Marker, Pack

_MOST = 3  # names that are offered for one that is not known
_NEAR = 0.5
_LONGEST = 200  # characters
_GLUED = re.compile(r"\s*([<>≤≥]=?)\s*")


@dataclass(frozen=True, slots=True)
class AskedMarker:
    """The id of a marker and, as it was typed, a value of it; empty if none was typed."""

    marker: str
    value: str


def marker_named(word: str, packs: Iterable[Pack]) -> tuple[Marker, Pack] | None:
    """The marker with an explainer that the word means, and its pack."""
    for pack in packs:
        marker = _in_pack(word.strip(), pack)
        if marker is not None and marker in pack.explainers:
            return pack.markers[marker], pack
    return None


def unknown_test(word: str, packs: Iterable[Pack]) -> UnknownPage:
    """The refusal of a word that means no marker, with the tests of the nearest names."""
    known: dict[str, NamedView] = {}
    for pack in packs:
        known.update(_names(pack))
    close = get_close_matches(word[:_LONGEST].casefold(), list(known), n=12, cutoff=_NEAR)
    near = tuple(dict.fromkeys(known[name] for name in close))[:_MOST]
    listed = ", ".join(dict.fromkeys(marker.id for marker in known.values()))
    nearest = f" The nearest: {', '.join(marker.id for marker in near)}." if near else ""
    message = f"There is no explainer of this name.{nearest} There are: {listed}."
    return UnknownPage(message, near=tuple((marker.id, marker.title) for marker in near))


def typed_question(text: str, packs: Iterable[Pack]) -> AskedMarker:
    """What was typed as one line, such as `alpha 35` or `total alpha 2.5 mg/dL`.

    The longest beginning that means a marker is the test, the rest its value. Raises `UnknownPage`,
    and `RequestError` for a line that is too long.
    """
    packs = tuple(packs)
    line = " ".join(text.split())
    if len(line) > _LONGEST:
        raise RequestError(f"Expected at most {_LONGEST} characters: a test and a value.")
    words = _GLUED.sub(r" \1", line).split()
    for end in range(len(words), 0, -1):
        named = marker_named(" ".join(words[:end]).rstrip(":= "), packs)
        if named is not None:
            return AskedMarker(named[0].id, " ".join(words[end:]).lstrip(":= "))
    raise unknown_test(_without_value(words), packs)


def _in_pack(word: str, pack: Pack) -> str | None:
    folded = word.casefold()
    for marker in pack.markers.values():
        if folded in (marker.id.casefold(), marker.title.casefold()):
            return marker.id
    for (_, code), (marker_id, _) in pack.marker_codes.items():
        if word == code:
            return marker_id
    meant = pack.names.of(word)
    if meant is None or isinstance(meant, NotUnderstood) or len(meant) != 1:
        return None
    return meant[0].marker


def _names(pack: Pack) -> Mapping[str, NamedView]:
    """Every name, in small letters, of the markers that have an explainer."""
    return {
        name.casefold(): NamedView(id=marker.id, title=marker.title)
        for marker in pack.markers.values()
        if marker.id in pack.explainers
        for name in (marker.id, marker.title, marker.name, *marker.names)
    }


def _without_value(words: list[str]) -> str:
    """The words before the first number."""

    def named() -> Iterator[str]:
        for word in words:
            if re.match(r"[<>≤≥]|-?[0-9]", word):
                return
            yield word

    return " ".join(named()) or " ".join(words)
