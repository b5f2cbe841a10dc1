# SPDX-License-Identifier: Apache-2.0
"""What is sent: many generated bodies for each workload, and the cards that must come back.

The bodies of a workload are all different: other patients, other values, other order. Whether a
body has cards is decided here by the service in this process and by the rule of the peers, which
must agree; a body about which they differ is not used.
"""

import random
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

import orjson

from benchmarks.charts import chart
from benchmarks.paths import Bench, expected_cards
from benchmarks.peers.apps.alt_rule import RULE, cards_for

NONE, CARDS = "none", "cards"
MIX = "hospital mix"
SIZES = (5, 50, 500)
QUIET_SHARE = 0.85  # of the calls of a hospital, those without a card
SIZES_OF_MIX: Mapping[int, float] = {5: 0.4, 50: 0.5, 500: 0.1}
CALLS_OF_MIX = 200
BODIES: Mapping[int, int] = {5: 200, 50: 100, 500: 20}
FEW: Mapping[int, int] = {5: 20, 50: 10, 500: 5}

_SEED = 20261129
_QUIET_LEVELS = (0.55, 0.95)  # of the limits of markers
_WIDE_LEVELS = (0.3, 3.0)
_MOST_TRIES = 200
_EARLIER = timedelta(hours=3)  # no result reaches a full day, or a multiple, during a run


@dataclass(frozen=True, slots=True, kw_only=True)
class Body:
    """A request, and the cards that the service and the peers must answer."""

    data: bytes
    ours: list[dict[str, Any]]
    theirs: list[dict[str, Any]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Workload:
    """Bodies that are sent in rotation."""

    name: str
    bodies: Sequence[Body]

    @property
    def data(self) -> list[bytes]:
        """What is sent."""
        return [body.data for body in self.bodies]

    @property
    def about(self) -> dict[str, float]:
        """How many bodies there are, how long, and with how many cards."""
        count = len(self.bodies)
        return {
            "bodies": count,
            "bytes": sum(len(body.data) for body in self.bodies) / count,
            "share with a card": sum(bool(body.ours) for body in self.bodies) / count,
            "cards a call": sum(len(body.ours) for body in self.bodies) / count,
        }


def name_of(size: int, kind: str) -> str:
    """The name of the workload of so many Observations."""
    return f"{size}, {kind}"


def workloads(bench: Bench, now: datetime, *, few: bool = False) -> list[Workload]:
    """Every workload; the mix takes its bodies from the others."""
    chance = random.Random(_SEED)
    counts = FEW if few else BODIES
    made: dict[tuple[int, str], list[Body]] = {}
    for size in SIZES:
        for kind in (NONE, CARDS):
            found = bodies(bench, size, kind, now=now, chance=chance)
            made[size, kind] = [next(found) for _ in range(counts[size])]
    plain = [Workload(name=name_of(*key), bodies=found) for key, found in made.items()]
    return [*plain, Workload(name=MIX, bodies=_mixed(made, chance))]


def bodies(
    bench: Bench, size: int, kind: str, *, now: datetime, chance: random.Random
) -> Iterator[Body]:
    """Bodies of one kind without end, each of another patient."""
    written = now - _EARLIER
    low, high = _WIDE_LEVELS if kind == CARDS else _QUIET_LEVELS
    tries = 0
    while tries < _MOST_TRIES:
        tries += 1
        levels = [chance.uniform(low, high) for _ in range(20)]
        seed = chance.getrandbits(48)
        patient = f"patient-{seed:012x}"
        data = chart(bench.pack, size, now=written, seed=seed, levels=levels, patient=patient).body
        if kind == CARDS:
            data = _lowered(data, chance)
        body = Body(
            data=data,
            ours=expected_cards(bench, data, now),
            theirs=cards_for(orjson.loads(data)["prefetch"]),
        )
        if bool(body.ours) is bool(body.theirs) is (kind == CARDS):
            yield body
            tries = 0
    raise AssertionError(f"no body of {size} Observations with {kind} was found")


def _mixed(made: Mapping[tuple[int, str], list[Body]], chance: random.Random) -> list[Body]:
    """Bodies of all sizes in random order, so many of them without a card as in a hospital."""
    found: list[Body] = []
    for size, share in SIZES_OF_MIX.items():
        count = round(share * CALLS_OF_MIX)
        loud = round(count * (1 - QUIET_SHARE))
        for kind, wanted in ((NONE, count - loud), (CARDS, loud)):
            here = made[size, kind]
            found += [here[number % len(here)] for number in range(wanted)]
    chance.shuffle(found)
    return found


def _lowered(data: bytes, chance: random.Random) -> bytes:
    """The body in which the newest result that the rule of the peers is about has a low value."""
    call = orjson.loads(data)
    sheets = [
        entry["resource"]
        for entry in call["prefetch"]["observations"]["entry"]
        if entry["resource"]["code"]["coding"][0]["code"] == RULE["code"]
    ]
    newest = max(sheets, key=lambda sheet: str(sheet["effectiveDateTime"]))
    newest["valueQuantity"]["value"] = round(chance.uniform(1, RULE["below"] - 0.1), 1)
    del newest["interpretation"]
    return orjson.dumps(call)
