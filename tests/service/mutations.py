# SPDX-License-Identifier: Apache-2.0
"""Harm done to the form of requests about critical patients, and what must come of it.

A mutation never states another valid result: it takes away, misspells, retypes, reorders or
doubles what was there. Its answer must have the same cards, more severe ones, or name the loss, or
be a refusal. Run all of them from the root of the repository:

    .venv/bin/python -m tests.service.mutations
"""

import json
import random
import sys
from collections import Counter
from collections.abc import Iterator
from copy import deepcopy
from typing import Any, Literal, NamedTuple, TypeAlias

from cds_service.errors import CdsServiceError
from cds_service.hooks.request import read_request
from cds_service.knowledge.model.pack import INDICATORS
from cds_service.service import Options, answer_hook
from tests.service.patients import (
    ALP,
    ALT,
    BILIRUBIN,
    FAILURE,
    INR,
    ISONIAZID,
    UNUSED,
    Json,
    bundle,
    liver,
    observation,
    request,
)
from tests.vignettes.convert import now_of

Path: TypeAlias = tuple[str | int, ...]
Verdict: TypeAlias = Literal["same", "more", "fewer and said", "refused", "silent"]
Cards: TypeAlias = dict[str, str]  # rule -> indicator

_NOW = now_of({"inputs": {"now": "2026-06-15T09:00:00Z"}})
_SERVICE = "liver-patient-view"
# What the sender would have to mean for the answer to stay; each is a fault of section 1 and 4.
_RETYPED: tuple[Any, ...] = (None, 7, "x", "", True, [], {}, [None], {"x": 1})
_SIGNS = (" ", "x", "/", "?", "\u00a0", "é", '"', "<b>")


class Mutation(NamedTuple):
    """What was done, where, and the request that came of it."""

    kind: str
    path: Path
    body: Json


def patients() -> dict[str, Json]:
    """Ten patients with a critical card, as requests."""
    pregnant = {
        "resourceType": "Condition",
        "id": "pregnant",
        "clinicalStatus": {"coding": [{"code": "active"}]},
        "code": {"coding": [{"system": "http://snomed.info/sct", "code": "77386006"}]},
        "subject": {"reference": "Patient/p1"},
    }
    woman = {"resourceType": "Patient", "id": "p1", "gender": "female", "birthDate": "1996-03-01"}
    child = {"resourceType": "Patient", "id": "p1", "gender": "male", "birthDate": "2018-02-03"}
    by_name = {**ALT, "code": {"text": "Alanine aminotransferase"}}
    panel = {
        **observation("panel", "24325-3", 0, "1"),
        "component": [
            {"code": one["code"], "valueQuantity": one["valueQuantity"]} for one in FAILURE
        ],
    }
    del panel["valueQuantity"]
    report = {
        "resourceType": "DiagnosticReport",
        "id": "report",
        "status": "final",
        "subject": {"reference": "Patient/p1"},
        "effectiveDateTime": "2026-06-15T06:00:00Z",
        "result": [{"reference": f"Observation/{one['id']}"} for one in FAILURE],
    }
    undated = [{k: v for k, v in one.items() if k != "effectiveDateTime"} for one in FAILURE]
    limited = [
        {**one, "referenceRange": [{"high": {"value": high, "unit": unit}}]}
        for one, high, unit in ((ALT, 50, "U/L"), (BILIRUBIN, 21, "umol/L"))
    ]
    alt_230 = {**ALT, "valueQuantity": {"value": 230, "unit": "U/L", "code": "U/L"}}
    return {
        "liver failure": request(*FAILURE),
        "over 1000": request(ALT),
        "Hy's law": request(
            {**ALT, "valueQuantity": {"value": 150, "unit": "U/L"}}, BILIRUBIN, ALP
        ),
        "isoniazid": request(alt_230, medicationRequests=bundle(ISONIAZID)),
        "pregnant": request(
            *FAILURE,
            patient=woman,
            conditions=bundle(pregnant),
        ),
        "child": request({**ALT, "valueQuantity": {"value": 900, "unit": "U/L"}}, patient=child),
        "by name": request(by_name, BILIRUBIN, ALP, INR),
        "panel": request(panel),
        "report": request(*undated, reports=bundle(report)),
        "limits": request(*limited, ALP, INR),
    }


def mutations(body: Json, seed: int, rounds: int) -> Iterator[Mutation]:
    """Every single change of the request, then `rounds` times two changes at once."""
    single = list(_single(body))
    yield from single
    chance = random.Random(seed)
    for _ in range(rounds):
        first = chance.choice(single)
        again = [change for change in _changes(first.body) if chance.random() < _SAMPLED]
        if again:
            kind, path, value = chance.choice(again)
            made = _changed(first.body, kind, path, value)
            yield Mutation(f"{first.kind}, {kind}", (*first.path, *path), made)


_SAMPLED = 0.05


def _single(body: Json) -> Iterator[Mutation]:
    for kind, path, value in _changes(body):
        yield Mutation(kind, path, _changed(body, kind, path, value))


def _changes(body: Json) -> Iterator[tuple[str, Path, Any]]:
    return (change for change in _every_change(body) if not _states_something_else(*change))


def _states_something_else(kind: str, path: Path, value: Any) -> bool:
    """Whether the changed request is a valid one that says something else.

    A prefetch of null found nothing (CDS Hooks 2.0.1, "Prefetch Template"), a panel may have one
    component less, and a name with other letters is the name of another test.
    """
    match path:
        case ("prefetch", _):
            return kind == "retyped" and value is None
        case (*_, "component", int()):
            return kind == "left out"
        case (*_, "text"):
            return kind == "respelt"
    return False


def _every_change(body: Json) -> Iterator[tuple[str, Path, Any]]:
    for path, value in _nodes(body, ()):
        name = path[-1]
        yield "left out", path, None
        if isinstance(name, str):
            for wrong in (name[:-1] or "x", name + "x", name.swapcase(), f" {name}"):
                yield "misspelt", path, wrong
        for other in _RETYPED:
            if type(other) is not type(value):
                yield "retyped", path, other
        yield "wrapped", path, [deepcopy(value)]
        if isinstance(value, str):
            for sign in _SIGNS:
                yield "respelt", path, sign + value
                yield "respelt", path, value + sign
            for text in (value.upper(), value.lower(), value.swapcase()):
                if text != value:
                    yield "respelt", path, text
        if isinstance(value, int | float) and not isinstance(value, bool):
            yield "retyped", path, str(value)
        if isinstance(value, list) and value:
            yield "reordered", path, value[::-1]
            yield "doubled", path, [*value, *value]
            yield "filled", path, [None, *value]
            yield "filled", path, [*value, {}]


def _nodes(node: Any, path: Path) -> Iterator[tuple[Path, Any]]:
    items = node.items() if isinstance(node, dict) else enumerate(node)
    for name, value in items:
        yield (*path, name), value
        if isinstance(value, dict | list):
            yield from _nodes(value, (*path, name))


def _changed(body: Json, kind: str, path: Path, value: Any) -> Json:
    made = deepcopy(body)
    node: Any = made
    for name in path[:-1]:
        node = node[name]
    last = path[-1]
    if kind == "left out":
        del node[last]
    elif kind == "misspelt":
        node[value] = node.pop(last)
    else:
        node[last] = deepcopy(value)
    return made


def cards_and_words(body: Json) -> tuple[Cards, str] | None:
    """The cards of the answer and all their text; nothing if it is refused."""
    data = json.dumps(body).encode()
    try:
        call = read_request(data, max_depth=20, max_entries=1000)
        found = answer_hook(liver(), call, _SERVICE, _NOW, Options())
    except CdsServiceError:
        return None
    shown = [one for one in found.outcome.decisions if one.shown]
    words = "\n".join(f"{card.summary}\n{card.detail}" for card in found.response.cards)
    return {one.rule.id: one.indicator for one in shown}, words


def verdict(mutation: Mutation, before: Cards) -> Verdict:
    """What came of the mutation, beside the cards of the patient as they were."""
    answer = cards_and_words(mutation.body)
    if answer is None:
        return "refused"
    after, words = answer
    lost = {
        rule
        for rule, indicator in before.items()
        if INDICATORS.index(after.get(rule, "info")) < INDICATORS.index(indicator)
        or rule not in after
    }
    if not lost:
        return "same" if after == before else "more"
    worst = max(map(INDICATORS.index, before.values()))
    if after and max(map(INDICATORS.index, after.values())) >= worst and UNUSED not in after:
        return "more"  # another card of the same weight took its place
    said = UNUSED in after or any(word in words for word in ("Incomplete data", "Not known"))
    return "fewer and said" if said else "silent"


def main() -> None:
    """Try all of them and print the counts; fail if one is silent."""
    rounds = int(sys.argv[1]) if len(sys.argv) > 1 else 1000
    counts: Counter[Verdict] = Counter()
    silent: Counter[tuple[str, ...]] = Counter()
    for seed, (name, body) in enumerate(patients().items()):
        answer = cards_and_words(body)
        assert answer is not None
        before, _ = answer
        assert "critical" in before.values(), (name, before)
        for mutation in mutations(body, seed, rounds):
            came = verdict(mutation, before)
            counts[came] += 1
            if came == "silent":
                shown = ".".join(str(part) for part in mutation.path)
                silent[name, mutation.kind, shown] += 1
    for what, times in silent.items():
        print("silent:", *what, times)
    print(sum(counts.values()), dict(counts))
    sys.exit(bool(silent))


if __name__ == "__main__":
    main()
