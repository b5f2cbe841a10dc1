# SPDX-License-Identifier: Apache-2.0
"""Faults of a sender: in one result, and anywhere in the JSON of a request."""

from collections.abc import Callable, Iterator
from copy import deepcopy
from random import Random
from typing import Any

Json = dict[str, Any]
_OTHER = {"reference": "Patient/p2"}
_JUNK: tuple[Any, ...] = (
    None, True, False, 0, -1, 1.5, 10**30, "", " ", "x", "2026-02-31", "2026-06-15T25:00:00Z",
    [], {}, [None], [[]], {"a": 1}, "Patient/p2", "http://loinc.org", "<b>", "\u0000", "é" * 300,
)  # fmt: skip


def _code_conflict(result: Json, _: Random) -> None:
    loinc = "http://loinc.org"
    result["code"] = {"coding": [{"system": loinc, "code": code} for code in ("1742-6", "6768-6")]}


def _sets(**members: Any) -> Callable[[Json, Random], None]:
    def change(result: Json, _: Random) -> None:
        result.update(deepcopy(members))

    return change


def _drops(*names: str) -> Callable[[Json, Random], None]:
    def change(result: Json, _: Random) -> None:
        for name in names:
            result.pop(name, None)

    return change


def _quantity(**members: Any) -> Callable[[Json, Random], None]:
    def change(result: Json, _: Random) -> None:
        result.setdefault("valueQuantity", {"value": 60}).update(members)

    return change


def _text_value(result: Json, rng: Random) -> None:
    result.pop("valueQuantity", None)
    texts = ("see note", "1,400 U/L", "1:40", "< 5 U/L", "60", "60 U/L", "5-10 U/L", "≥ 200 U/L")
    result["valueString"] = rng.choice(texts)


FAULTS: tuple[Callable[[Json, Random], None], ...] = (
    _code_conflict,
    _sets(subject=_OTHER),
    _drops("subject"),
    _sets(status=5),
    _sets(referenceRange="none"),
    _sets(modifierExtension=[{"url": "https://ehr.example/negated", "valueBoolean": True}]),
    _sets(status="registered"),
    _sets(status="cancelled"),
    _sets(status="entered-in-error"),
    _sets(status="unknown"),
    _sets(status="corrected"),
    _sets(status="amended"),
    _sets(status="preliminary"),
    _sets(status="done"),
    _drops("status"),
    _drops("effectiveDateTime"),
    _sets(effectiveDateTime="yesterday"),
    _sets(effectiveDateTime="2027-06-15T09:00:00Z"),
    _sets(effectiveDateTime="2026-06"),
    _drops("valueQuantity"),
    _sets(dataAbsentReason={"text": "specimen lost"}),
    _text_value,
    _quantity(unit="furlong"),
    _quantity(unit="U/L", code="g/dL", system="http://unitsofmeasure.org"),
    _quantity(value=-1),
    _quantity(value=1e9),
    _quantity(value="60"),
    _quantity(comparator="<"),
    _quantity(comparator=">="),
    _quantity(comparator="~"),
    _sets(code={"text": "ALT"}),
    _sets(code={"coding": [{"system": "urn:local", "code": "ALT", "display": "SGPT"}]}),
    _sets(code={"coding": [{"system": "http://loinc.org", "code": "2951-2"}]}),
    _sets(note=[{"text": "Grossly hemolyzed specimen."}]),
    _sets(note=[{"text": "No hemolysis."}]),
)


def harm_result(body: Json, rng: Random) -> None:
    """Gives one of the results that the request sends one of `FAULTS`."""
    entries = body["prefetch"].get("observations", {}).get("entry", [])
    if entries:
        rng.choice(FAULTS)(rng.choice(entries)["resource"], rng)


def _nodes(tree: Any) -> Iterator[tuple[Any, Any]]:
    """Every place of the tree below its root: its container, and its name or number there."""
    keys: Any = tree if isinstance(tree, dict) else range(len(tree))
    for key in keys:
        yield tree, key
        if isinstance(tree[key], (dict, list)):
            yield from _nodes(tree[key])


def harm_tree(body: Json, rng: Random) -> None:
    """Drops, replaces, wraps, repeats or misspells one place of the JSON, high ones more often."""
    nodes = list(_nodes(body)) if rng.random() < 0.6 else [(body, key) for key in body]
    if not nodes:
        return
    parent, key = rng.choice(nodes)
    value = parent[key]
    match rng.choice(("drop", "junk", "junk", "wrap", "repeat", "misspell")):
        case "drop":
            del parent[key]
        case "junk":
            parent[key] = deepcopy(rng.choice(_JUNK))
        case "wrap":
            parent[key] = [value] if rng.random() < 0.5 else {"value": value}
        case "repeat" if isinstance(parent, list):
            parent.insert(key, deepcopy(value))
        case "repeat":
            parent[key] = [value, deepcopy(value)]
        case _ if isinstance(parent, dict):
            parent[rng.choice((key.upper(), key[:-1], key + "s", "_" + key))] = parent.pop(key)
        case _:
            del parent[key]


def harm_text(text: str, rng: Random) -> str:
    """The body cut short, with a byte too many, or no JSON at all."""
    at = rng.randrange(len(text))
    return rng.choice((text[:at], text[:at] + "}" + text[at:], "", "null", "[]", text + text))
