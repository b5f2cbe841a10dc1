# SPDX-License-Identifier: Apache-2.0
"""Requests to every operation, valid and broken, for `python -m benchmarks.soak`.

The same seed makes the same requests. About half of the calls are as an EHR sends them; the rest
carry faults in the tree of the JSON, in its bytes, or in the headers and the address.
"""

import gzip
import json
import random
from collections.abc import Callable, Iterator
from copy import deepcopy
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID

from benchmarks.charts import chart
from cds_service.clock import system_clock
from cds_service.knowledge.model.pack import Pack

_JSON = "application/json"
_SIZES = (0, 1, 5, 20)
_CHARTS_EACH = 6
_VALID_SHARE = 0.5
_VALUES: tuple[Any, ...] = (
    None, True, 0, -1, 1.5, 10**30, "", " ", "\u0000", "\U0001f9ea", [], {}, [[]], [None],
    {"resourceType": 7}, "<3", "<script>alert(1)</script>", "NaN", "9" * 5000, "x" * 20_000,
    "9999-99-99", "0001-01-01", "9999-12-31T23:59:59+14:00", "{{ 7*7 }}", "../../etc/passwd",
    "http://[", "\u202e", "urn:uuid:x", "#x",
)  # fmt: skip
_AROUND = (
    "/", "/cds-services", "/rules", "/explain", "/health", "/ready", "/metrics", "/openapi.yaml",
    "/feedback", "/style.css", "/nowhere", "/rules/nothing", "/%ff/%00", "/cds-services/nothing",
)  # fmt: skip


@dataclass(slots=True)
class Sent:
    """One request."""

    path: str
    method: str = "GET"
    body: bytes = b""
    headers: dict[str, str] = field(default_factory=dict)


def requests(pack: Pack, *, seed: int) -> Iterator[Sent]:
    """Requests without end."""
    chance = random.Random(seed)
    charts = [
        json.loads(chart(pack, size, now=system_clock(), seed=seed + number).body)
        for size in _SIZES
        for number in range(_CHARTS_EACH)
    ]
    while True:
        kind = chance.random()
        if kind < 0.80:
            yield _call(pack, chance.choice(charts), chance)
        elif kind < 0.88:
            yield _feedback(pack, chance)
        else:
            yield _around(pack, chance)


def _call(pack: Pack, request: Any, chance: random.Random) -> Sent:
    service = chance.choice(pack.services)
    body = deepcopy(request) if chance.random() > _VALID_SHARE else {**request}
    body |= {"hook": service.hook, "hookInstance": str(UUID(int=chance.getrandbits(128)))}
    body["context"] = {**body["context"], "encounterId": "e1", **_orders(chance)}
    sent = Sent(path=f"/cds-services/{service.id}", method="POST", headers={"Content-Type": _JSON})
    if chance.random() < _VALID_SHARE:
        sent.body = json.dumps(body).encode()
        return sent
    body = deepcopy(body)
    for _ in range(chance.randint(1, 3)):
        chance.choice(_IN_TREE)(body, chance)
    sent.body = json.dumps(body, ensure_ascii=chance.random() < 0.5).encode()
    if chance.random() < 0.3:
        sent.body = chance.choice(_IN_BYTES)(sent.body, chance)
    if chance.random() < 0.1:
        chance.choice(_IN_HEAD)(sent, chance)
    return sent


def _orders(chance: random.Random) -> dict[str, Any]:
    draft = {
        "resourceType": "MedicationRequest",
        "id": "m1",
        "status": "draft",
        "category": chance.choice([{"text": "community"}, [{"text": "community"}]]),
        "medicationCodeableConcept": {"text": chance.choice(["isoniazid", "ibuprofen"])},
    }
    bundle = {"resourceType": "Bundle", "entry": [{"resource": draft}]}
    return {"selections": ["MedicationRequest/m1"], "draftOrders": bundle}


def _feedback(pack: Pack, chance: random.Random) -> Sent:
    item: dict[str, Any] = {
        "card": str(UUID(int=chance.getrandbits(128))),
        "outcome": chance.choice(["accepted", "overridden", "overridden", "ignored"]),
        "acceptedSuggestions": [{"id": str(UUID(int=chance.getrandbits(128)))}],
        "overrideReason": {"userComment": chance.choice(_VALUES)},
        "outcomeTimestamp": chance.choice(["2026-06-15T09:00:00Z", "2026-06-15T09:00:00.1+02:00"]),
    }
    if chance.random() > _VALID_SHARE:
        _replace(item, chance.choice(list(item)), chance)
    return Sent(
        path=f"/cds-services/{chance.choice(pack.services).id}/feedback",
        method="POST",
        body=json.dumps({"feedback": [item] * chance.choice([1, 1, 3])}).encode(),
        headers={"Content-Type": _JSON},
    )


def _around(pack: Pack, chance: random.Random) -> Sent:
    rule, marker = chance.choice(list(pack.rules)), chance.choice(list(pack.markers))
    path = chance.choice((*_AROUND, f"/rules/{rule}", f"/explain/{marker}?{marker}=12"))
    sent = Sent(path=path, method=chance.choice(["GET"] * 6 + ["HEAD", "OPTIONS", "PUT", "DELETE"]))
    if chance.random() < 0.3:
        sent.headers["Accept"] = chance.choice(["text/html", _JSON, "*/*", "image/png"])
    return sent


Place = tuple[Any, Any]  # a container and the key or index of one of its members


def _places(tree: Any) -> list[Place]:
    pairs = list(tree.items() if isinstance(tree, dict) else enumerate(tree))
    found: list[Place] = [(tree, key) for key, _ in pairs]
    for _, value in pairs:
        if isinstance(value, dict | list):
            found += _places(value)
    return found


def _on_place(change: Callable[[Any, Any, random.Random], None]) -> Callable[..., None]:
    def apply(tree: Any, chance: random.Random) -> None:
        if places := _places(tree):
            change(*chance.choice(places), chance)

    return apply


def _drop(holder: Any, key: Any, _chance: random.Random) -> None:
    del holder[key]


def _replace(holder: Any, key: Any, chance: random.Random) -> None:
    holder[key] = deepcopy(chance.choice(_VALUES))


def _wrap(holder: Any, key: Any, chance: random.Random) -> None:
    value = holder[key]
    holder[key] = chance.choice([[value], {"resource": value}, str(value)[:5000]])


def _repeat(holder: Any, key: Any, chance: random.Random) -> None:
    holder[key] = [deepcopy(holder[key]) for _ in range(chance.choice([2, 20]))]


def _deepen(holder: Any, key: Any, chance: random.Random) -> None:
    value: Any = 1
    name = chance.choice(["entry", "extension", "contained", None])
    for _ in range(chance.choice([10, 60, 140])):
        value = [value] if name is None else {"resourceType": "Bundle", name: [value]}
    holder[key] = value


_IN_TREE = tuple(map(_on_place, (_drop, _replace, _replace, _wrap, _repeat, _deepen)))


def _cut(body: bytes, chance: random.Random) -> bytes:
    return body[: chance.randrange(len(body) + 1)]


def _flip(body: bytes, chance: random.Random) -> bytes:
    changed = bytearray(body)
    changed[chance.randrange(len(changed))] = chance.randrange(256)
    return bytes(changed)


_IN_BYTES: tuple[Callable[[bytes, random.Random], bytes], ...] = (
    _cut,
    _flip,
    lambda body, _: b"\xef\xbb\xbf" + body,
    lambda body, _: body + body,
    lambda body, _: body.decode("utf-8", "replace").encode("utf-16"),
    lambda body, _: gzip.compress(body, 1),
    lambda body, _: b"[" * 5000 + body,
)


def _kind(sent: Sent, chance: random.Random) -> None:
    sent.headers["Content-Type"] = chance.choice(["text/xml", "", "application/x", "*/*"])


def _coding(sent: Sent, _chance: random.Random) -> None:
    sent.headers["Content-Encoding"] = "gzip"


def _foreign(sent: Sent, chance: random.Random) -> None:
    sent.headers[chance.choice(["X-Forwarded-For", "Host", "Forwarded"])] = "elsewhere.example"


def _address(sent: Sent, chance: random.Random) -> None:
    sent.path = chance.choice([*_AROUND, sent.path + "/", sent.path.upper(), sent.path + "?x=1"])


_IN_HEAD = (_kind, _coding, _foreign, _address)
