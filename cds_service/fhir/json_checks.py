# SPDX-License-Identifier: Apache-2.0
"""What a JSON text holds before anybody reads its meaning: keys that come twice, and resources.

The decoder keeps the last value of a key that comes twice in one object, as RFC 8259 allows, and
skips what it does not know. Either could lose results without a word.

Reading every object in Python would take as long as all other reading together. So the text is
decoded without types and encoded again. If the same bytes come back, nothing gave way. Otherwise
the colons of both are counted: a value that gave way to another took the colon of its key with it.
Only if the counts differ, if a colon may be escaped, or if there are more resources than were read,
is the text read object by object.
"""

import json
import re
from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

from msgspec import DecodeError
from msgspec.json import Decoder, Encoder

from cds_service.errors import RequestError

_ANYTHING: Decoder[Any] = Decoder()
_ENCODER = Encoder()
_ESCAPED = b"\\u003"  # a colon, or one of its neighbours
# The resources of the chart that are counted; orders that are missing only add a proposal.
_CHART = ("MedicationRequest", "MedicationStatement", "Condition")
_TYPE = b'"resourceType":"'
_OBSERVATION = b'Observation"'
_CHARTED = tuple(f'{kind}"'.encode() for kind in _CHART)
_MEMBER = re.compile(r"_?[a-z][A-Za-z0-9_]{0,39}")  # as FHIR and CDS Hooks name theirs
_NOWHERE = re.compile(r"(?!)")

_ALL = frozenset(("Observation", *_CHART))
_NONE: frozenset[str] = frozenset()
# The members through which resources are read, by the type of the resource that has them, or
# by the member that an object without a type was reached by.
_READ_THROUGH: Mapping[object, tuple[str, ...]] = {
    "Bundle": ("entry",),
    "Observation": ("contained", "component"),
    "DiagnosticReport": ("contained",),
    "": ("resource",),
    "entry": ("resource",),
    "resource": ("resource",),
    "component": ("component",),
}


class Outline(NamedTuple):
    """The path of the first key that comes twice in one object, and how many resources there are.

    `charted` are medicines and conditions. What is contained counts too.
    """

    repeated: str | None
    observations: int
    charted: int


class _Repeating(dict[str, Any]):
    """An object in which the key `name` comes twice."""

    name: str = ""


def outline_of(text: bytes) -> Outline:
    """The outline of a JSON text that a decoder has accepted."""
    try:
        compact = _ENCODER.encode(_ANYTHING.decode(text))
    except DecodeError:  # such as 1e400, which is JSON and no float
        return _read_by_object(text)
    is_escaped = b"\\" in text and _ESCAPED in text
    if compact == text or (text.count(b":") == compact.count(b":") and not is_escaped):
        return _counted(compact)
    return _read_by_object(text)


def checked_outline(text: bytes, where: str = "") -> Outline:
    """The outline of a text; raises `RequestError` if a key comes twice in one object.

    `where` is put before the path of the key.
    """
    outline = outline_of(text)
    if outline.repeated is not None:
        path = f"{where}{outline.repeated}"
        raise RequestError("Expected every key of an object once; this one comes twice.", path)
    return outline


def unread_resources(text: bytes, roots: re.Pattern[str]) -> Iterator[tuple[str, bytes]]:
    """The results, medicines and conditions that stand where none is read, with their paths.

    `roots` matches the paths of the resources that reading begins with; no result is read at those
    of its group `orders`. A condition may well be contained: it says why another resource is there.
    """
    for path, node, read in _objects(_decoded(text), "$", roots):
        if str(node.get("resourceType")) in _ALL - read:
            yield path, json.dumps(node).encode()


def _counted(compact: bytes) -> Outline:
    """The outline of a text without a blank between its parts in which no key comes twice."""
    observations = charted = 0
    for after in compact.split(_TYPE)[1:]:
        if after.startswith(_OBSERVATION):
            observations += 1
        elif after.startswith(_CHARTED):
            charted += 1
    return Outline(None, observations, charted)


def _read_by_object(text: bytes) -> Outline:
    repeated, observations, charted = None, 0, 0
    for path, node, _ in _objects(_decoded(text), "$", _NOWHERE):
        observations += _is_observation(node)
        charted += _is_charted(node)
        if repeated is None and isinstance(node, _Repeating):
            place = list(node).index(node.name)
            repeated = path + _step(node.name, place)
    return Outline(repeated, observations, charted)


def _is_observation(node: dict[str, Any]) -> bool:
    return node.get("resourceType") == "Observation"


def _is_charted(node: dict[str, Any]) -> bool:
    return str(node.get("resourceType")) in _CHART


def _decoded(text: bytes) -> Any:
    try:
        return json.loads(text, object_pairs_hook=_object, parse_int=str, parse_float=str)
    except ValueError:  # the decoder with types reports what is wrong with it
        return None


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    made = dict(pairs)
    if len(made) == len(pairs):
        return made
    repeating, seen = _Repeating(made), set()
    for name, _ in pairs:
        if name in seen:
            repeating.name = name
            break
        seen.add(name)
    return repeating


def _step(key: str, place: int) -> str:
    """A key, which is the sender's text, as a step of a path: shown if it can be a member."""
    return f".{key}" if _MEMBER.fullmatch(key) else f"[{place}]"


def _objects(
    node: Any, path: str, roots: re.Pattern[str], read: frozenset[str] = _NONE, via: str = ""
) -> Iterator[tuple[str, dict[str, Any], frozenset[str]]]:
    """Every object with its path, and the types of resources that are read there."""
    if isinstance(node, list):
        for place, value in enumerate(node):
            yield from _objects(value, f"{path}[{place}]", roots, read, via)
    elif isinstance(node, dict):
        root = roots.fullmatch(path)
        if root is not None:
            read, via = frozenset(_CHART) if root.lastgroup == "orders" else _ALL, ""
        yield path, node, read
        kind = node.get("resourceType", via) if via != "component" else via
        through = _READ_THROUGH.get(kind, ()) if isinstance(kind, str) else ()
        for place, (key, value) in enumerate(node.items()):
            inside = read if key in through else _NONE
            if key == "contained" and read:
                inside = inside & {"Observation"} | {"Condition"}
            yield from _objects(value, path + _step(key, place), roots, inside, key)
