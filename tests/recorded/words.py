# SPDX-License-Identifier: Apache-2.0
"""Codes, units, limits and thresholds of the liver pack, read from its YAML without the service.

The modules of the service may move; what is read here stays what it was.
"""

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Any

import yaml

ROOT = Path(__file__).parents[2]
PACK = ROOT / "cards" / "liver"
Json = dict[str, Any]

_NUMBER = re.compile(r"(\d+(?:\.\d+)?)(\s*x\s+(?:upper|lower) limit)?")
_DATA_OF_A_RULE = ("when", "unless", "any of", "also say", "bands", "grades", "screening limit")


@dataclass(frozen=True, slots=True)
class Marker:
    """What can be sent of a marker; `factors` turn a value in that spelling into the own unit."""

    id: str
    codes: tuple[str, ...]
    names: tuple[str, ...]
    unit: str
    factors: Mapping[str, float]
    plausible: tuple[float, ...]
    places: tuple[float, ...]  # values at which an answer may change, for the limits below
    low: float | None
    high: float | None


@dataclass(frozen=True, slots=True)
class Words:
    """Everything of the pack that a request can speak of."""

    markers: Mapping[str, Marker]
    medicines: tuple[tuple[str, str], ...]  # RxNorm code, name
    conditions: tuple[tuple[str, str, str], ...]  # system, code, name
    orders: tuple[str, ...]
    services: tuple[tuple[str, str], ...]  # id, hook
    active_rules: tuple[str, ...]
    examples: tuple[Json, ...]


def read_words() -> Words:
    """The words of the liver pack and of the worked examples."""
    examples = [
        example
        for file in ("vignettes-liver.json", "vignettes-liver-2.json")
        for example in json.loads((ROOT / "tests/data" / file).read_text(encoding="utf-8"))
    ]
    facts = list(_read("facts"))
    orders = list(_read("orders"))
    rules = list(_read("rules"))
    pack = _yaml(PACK / "pack.yaml")
    return Words(
        markers=_markers(rules, examples),
        medicines=tuple(pair for fact in facts for pair in _medicines(fact)),
        conditions=tuple(code for fact in facts for code in _conditions(fact)),
        orders=tuple(sorted({code for order in orders for code in order["counts as ordered"]})),
        services=tuple((service["id"], service["hook"]) for service in pack["services"]),
        active_rules=tuple(rule["id"] for rule in rules if rule["status"] == "active"),
        examples=tuple(examples),
    )


def _yaml(path: Path) -> Any:
    return yaml.safe_load(path.read_text(encoding="utf-8"))


def _read(folder: str) -> Iterator[Json]:
    for path in sorted((PACK / folder).glob("*.yaml")):
        yield _yaml(path)


def _medicines(fact: Json) -> Iterator[tuple[str, str]]:
    for medicine in fact.get("medicines", []):
        for code in medicine.get("rxnorm", []) + medicine.get("products", [])[:4]:
            yield str(code), medicine["name"]
        for name in medicine.get("also named", []):
            yield "", name


def _conditions(fact: Json) -> Iterator[tuple[str, str, str]]:
    for condition in fact.get("conditions", []):
        if "snomed" in condition:
            yield "http://snomed.info/sct", str(condition["snomed"]), condition["name"]
        elif "icd-10-cm" in condition:
            end = ".0" if condition.get("and below") and "." not in condition["icd-10-cm"] else ""
            code = condition["icd-10-cm"] + end
            yield "http://hl7.org/fhir/sid/icd-10-cm", code, condition["name"]
    for name in fact.get("condition names", []):
        yield "", "", name


def _markers(rules: list[Json], examples: list[Json]) -> dict[str, Marker]:
    spellings = _yaml(PACK / "units.yaml")
    markers = list(_read("markers"))
    places: dict[str, set[tuple[float, bool]]] = {marker["id"]: set() for marker in markers}
    for source in rules + markers:
        for part in _DATA_OF_A_RULE:
            _collect(source.get(part), places)
    result = {}
    for marker in markers:
        codes = tuple(code["loinc"] for code in marker["codes"])
        low, high = (_printed(codes, examples, end) for end in ("low", "high"))
        limit = high or low or _usual(codes, marker, examples)
        plausible = tuple(float(text) for text in re.findall(r"\d+(?:\.\d+)?", marker["plausible"]))
        at = {number * (limit if multiple else 1) for number, multiple in places[marker["id"]]}
        at |= {limit, *plausible[:2]}
        result[marker["id"]] = Marker(
            id=marker["id"],
            codes=codes,
            names=tuple(marker.get("names", [])),
            unit=next(iter(marker["units"])),
            factors=dict(_factors(marker, spellings)),
            plausible=plausible[:2],
            places=tuple(sorted(at)),
            low=low,
            high=high,
        )
    return result


def _factors(marker: Json, spellings: Json) -> Iterator[tuple[str, float]]:
    for unit, given in marker["units"].items():
        factor = given
        if isinstance(given, dict):
            factor = given["times"] if "times" in given else 1 / given["divided by"]
        own = marker.get("spellings", {}).get(unit, [])
        for spelling in [unit, *spellings.get(unit, []), *own]:
            yield str(spelling), float(factor)


def _collect(tree: object, places: dict[str, set[tuple[float, bool]]]) -> None:
    if isinstance(tree, list):
        for item in tree:
            _collect(item, places)
    elif isinstance(tree, dict):
        for key, value in tree.items():
            if key in places and isinstance(value, str):
                for number, multiple in _NUMBER.findall(value):
                    places[key].add((float(number), bool(multiple)))
            _collect(value, places)


def _usual(codes: tuple[str, ...], marker: Json, examples: list[Json]) -> float:
    """The median of the worked examples in the marker's own unit, for want of a limit."""
    values = [
        float(result["value"])
        for example in examples
        for result in example["inputs"].get("observations", [])
        if result["loinc"] in codes and "value" in result
        if result.get("unit", marker["unit"]) == marker["unit"]
    ]
    return median(values or [1.0])


def _printed(codes: tuple[str, ...], examples: list[Json], end: str) -> float | None:
    """The limit that the worked examples print most often beside the marker."""
    limits = [
        float(result[end])
        for example in examples
        for result in example["inputs"].get("observations", [])
        if result["loinc"] in codes and end in result
    ]
    return max(sorted(set(limits)), key=limits.count) if limits else None
