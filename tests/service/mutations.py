# SPDX-License-Identifier: Apache-2.0
"""Harm done to the form of requests about critical patients, and what must come of it.

A mutation never states another valid result: it takes away, misspells, retypes, reorders or
doubles what was there. Its answer must have the same cards, more severe ones, or name the loss, or
be a refusal. Run all of them from the root of the repository:

    .venv/bin/python -m tests.service.mutations
"""

import random
import sys
from collections import Counter, defaultdict
from collections.abc import Iterator
from typing import Literal, NamedTuple, TypeAlias

from cds_service.errors import CdsServiceError
from cds_service.hooks.request import read_request
from cds_service.knowledge.model.pack import INDICATORS
from cds_service.service import Options, answer_hook
from tests.service.harm import Change, changed, changes, written
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

Verdict: TypeAlias = Literal["same", "more", "fewer and said", "refused", "silent"]
Cards: TypeAlias = dict[str, str]  # rule -> indicator

_NOW = now_of({"inputs": {"now": "2026-06-15T09:00:00Z"}})
_SERVICE = "liver-patient-view"
_SAYS_A_LACK = ("Incomplete data", "Not known", "Not used")
_SAMPLED = 0.05


class Mutation(NamedTuple):
    """What was done, and the request that came of it."""

    changes: tuple[Change, ...]
    data: bytes

    def __str__(self) -> str:
        return "; ".join(
            f"{change.kind} {'.'.join(map(str, change.path))} {str(change.value)[:60]!r}"
            for change in self.changes
        )


class Answered(NamedTuple):
    """The cards of an answer and the lines that say what they lack."""

    cards: Cards
    lacks: frozenset[str]


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
            {"code": result["code"], "valueQuantity": result["valueQuantity"]} for result in FAILURE
        ],
    }
    del panel["valueQuantity"]
    report = {
        "resourceType": "DiagnosticReport",
        "id": "report",
        "status": "final",
        "subject": {"reference": "Patient/p1"},
        "effectiveDateTime": "2026-06-15T06:00:00Z",
        "result": [{"reference": f"Observation/{result['id']}"} for result in FAILURE],
    }
    undated = [{k: v for k, v in result.items() if k != "effectiveDateTime"} for result in FAILURE]
    limited = [
        {**result, "referenceRange": [{"high": {"value": high, "unit": unit}}]}
        for result, high, unit in ((ALT, 50, "U/L"), (BILIRUBIN, 21, "umol/L"))
    ]
    vitamin = {**ISONIAZID, "id": "b", "medicationCodeableConcept": {"text": "vitamin C"}}
    alt_230 = {**ALT, "valueQuantity": {"value": 230, "unit": "U/L", "code": "U/L"}}
    return {
        "liver failure": request(*FAILURE),
        "over 1000": request(ALT),
        "Hy's law": request(
            {**ALT, "valueQuantity": {"value": 150, "unit": "U/L"}}, BILIRUBIN, ALP
        ),
        "isoniazid": request(alt_230, medicationRequests=bundle(vitamin, ISONIAZID)),
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
    single = list(changes(body))
    for change in single:
        yield Mutation((change,), written(changed(body, change)))
    chance = random.Random(seed)
    for _ in range(rounds):
        first = chance.choice(single)
        once = changed(body, first)
        again = [
            changed_body
            for changed_body in changes(once)
            if chance.random() < _SAMPLED and not _state_something_else(first, changed_body)
        ]
        if again:
            second = chance.choice(again)
            yield Mutation((first, second), written(changed(once, second)))


def _state_something_else(first: Change, second: Change) -> bool:
    """Whether two changes, each of which harms the form, together leave a valid request.

    What was moved and then taken away, or the other way round, is not there any more; a code of
    another system with other letters is another code; and a Patient who is the only one left
    contradicts nobody.
    """
    for moving, other in ((first, second), (second, first)):
        if moving.kind in {"nested", "wrapped"}:
            return other.path[: len(moving.path)] == moving.path
        if moving.kind == "contradicted":
            return other.path[:2] == ("prefetch", "patient")
    names = {first.path[-1], second.path[-1]}
    return first.path[:-1] == second.path[:-1] and names == {"system", "code"}


def sample(body: Json, seed: str, count: int) -> Iterator[Mutation]:
    """Some single changes of the request."""
    for change in random.Random(seed).sample(list(changes(body)), count):
        yield Mutation((change,), written(changed(body, change)))


def answered(data: bytes) -> Answered | None:
    """The cards of the answer and what they lack; nothing if it is refused."""
    try:
        call = read_request(data, max_depth=20, max_entries=1000)
        found = answer_hook(liver(), call, _SERVICE, _NOW, Options())
    except CdsServiceError:
        return None
    shown = [decision for decision in found.outcome.decisions if decision.shown]
    lines = (line for card in found.response.cards for line in card.detail.splitlines())
    lacks = frozenset(line for line in lines if any(word in line for word in _SAYS_A_LACK))
    return Answered({decision.rule.id: decision.indicator for decision in shown}, lacks)


def verdict(mutation: Mutation, before: Answered) -> Verdict:
    """What came of the mutation, beside the answer about the patient as they were."""
    after = answered(mutation.data)
    if after is None:
        return "refused"
    lost = {
        rule
        for rule, indicator in before.cards.items()
        if INDICATORS.index(after.cards.get(rule, "info")) < INDICATORS.index(indicator)
        or rule not in after.cards
    }
    if not lost:
        return "same" if after.cards == before.cards else "more"
    worst = max(map(INDICATORS.index, before.cards.values()))
    heaviest = max(map(INDICATORS.index, after.cards.values()), default=-1)
    if heaviest >= worst and UNUSED not in after.cards:
        return "more"  # another card of the same weight took its place
    return "fewer and said" if UNUSED in after.cards or after.lacks - before.lacks else "silent"


def main() -> None:
    """Try all of them and print the counts, by kind; fail if one is silent."""
    rounds = int(sys.argv[1]) if len(sys.argv) > 1 else 1000
    counts: Counter[Verdict] = Counter()
    kinds: defaultdict[str, Counter[Verdict]] = defaultdict(Counter)
    for seed, (name, body) in enumerate(patients().items()):
        before = answered(written(body))
        assert before is not None
        assert "critical" in before.cards.values(), (name, before)
        for mutation in mutations(body, seed, rounds):
            came = verdict(mutation, before)
            counts[came] += 1
            kinds[mutation.changes[0].kind if len(mutation.changes) == 1 else "two"][came] += 1
            if came == "silent":
                print("silent:", name, mutation, sep=" | ")
    for kind, found in kinds.items():
        print(f"{kind:18}", dict(found))
    print(sum(counts.values()), dict(counts))
    sys.exit(counts["silent"] > 0)


if __name__ == "__main__":
    main()
