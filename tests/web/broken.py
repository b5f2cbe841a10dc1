# SPDX-License-Identifier: Apache-2.0
"""A call with one to three faults, different for every seed.

Faults lie in the tree of the JSON, in its bytes, or in the headers and the address; many of them
put a canary where no text of a patient belongs.
"""

import gzip
import json
from collections.abc import Callable
from copy import deepcopy
from dataclasses import dataclass, field
from random import Random
from typing import Any

from tests.web.http_fixtures import (
    ALP,
    ALT,
    AST,
    BILIRUBIN,
    NAME,
    PATIENT,
    SERVICE,
    bundle,
    call,
    explained,
    medicine,
    observation,
    order_of_alt,
)

Place = tuple[Any, Any]  # a container and the key or index of one of its members

RANGE = [{"low": {"value": 5}, "high": {"value": 41, "unit": "U/L"}, "text": NAME}]
BASE = json.dumps(
    explained(
        call(
            observation(ALT, 150, referenceRange=RANGE),
            observation(AST, 90.50, status="amended"),
            observation(ALP, 120, effectivePeriod={"start": "2026-06-13", "end": "2026-06-14"}),
            observation(BILIRUBIN, 42, "umol/L", issued="2026-06-14T09:00:00+02:00"),
            medicationRequests=bundle(medicine("isoniazid", "6038")),
            conditions=bundle(
                {
                    "resourceType": "Condition",
                    "id": NAME,
                    "subject": {"reference": f"Patient/{PATIENT}"},
                    "clinicalStatus": {"coding": [{"code": "active"}]},
                    "code": {"text": "cirrhosis", "coding": [{"code": "19943007"}]},
                }
            ),
            serviceRequests=bundle(order_of_alt()),
        )
    )
)

VALUES: tuple[Any, ...] = (
    None, True, False, 0, -1, 1.5, 10**30, "", " ", "\u0000", "\ud83d\ude00", [], {}, [[]], [None],
    {"resourceType": 7}, {"resourceType": NAME}, NAME, PATIENT, f"Patient/{NAME}", f"<3 {NAME}",
    f"{PATIENT} U/L", "<script>alert(1)</script>", "NaN", "1e9999", "9" * 5000, "x" * 20_000,
    "9999-99-99", "0001-01-01", "9999-12-31T23:59:59+14:00", "2026-06-14T24:00:00Z", "-1", "+5",
    "{{ 7*7 }}", "../../etc/passwd", "urn:uuid:" + NAME, "#" + NAME, "http://[", "%00", "\u202e",
)  # fmt: skip
KINDS = ("text/xml", NAME, "", "application/json; charset=" + NAME, "application/x", "*/*")


@dataclass(slots=True)
class Broken:
    """What to send."""

    body: bytes
    path: str = SERVICE
    method: str = "POST"
    headers: dict[str, str] = field(default_factory=lambda: {"Content-Type": "application/json"})


def broken_call(seed: int) -> Broken:
    """The call of this seed."""
    random = Random(seed)
    tree = json.loads(BASE)
    for _ in range(random.randint(1, 3)):
        random.choice(IN_TREE)(tree, random)
    sent = Broken(_raw(json.dumps(tree, ensure_ascii=random.random() < 0.5), random))
    if random.random() < 0.3:
        sent.body = random.choice(IN_BYTES)(sent.body, random)
    if random.random() < 0.1:
        random.choice(IN_REQUEST)(sent, random)
    return sent


def _raw(text: str, random: Random) -> bytes:
    """The text with numbers that Python's own writer would never write."""
    if random.random() < 0.1:
        number = random.choice(
            ["1e400", "-1e400", "NaN", "1E+2", "00", "1." + "0" * 500, "9" * 900]
        )
        text = text.replace("150", number, 1)
    return text.encode("utf-8", "surrogatepass")


def _add_places(tree: Any, places: list[Place]) -> None:
    for key, value in tree.items() if isinstance(tree, dict) else enumerate(tree):
        places.append((tree, key))
        if isinstance(value, dict | list):
            _add_places(value, places)


def _pick(tree: Any, random: Random) -> Place | None:
    places: list[Place] = []
    _add_places(tree, places)
    return random.choice(places) if places else None


def _on_place(change: Callable[[Any, Any, Random], None]) -> Callable[[Any, Random], None]:
    def apply(tree: Any, random: Random) -> None:
        place = _pick(tree, random)
        if place is not None:
            change(*place, random)

    return apply


def _drop(holder: Any, key: Any, _random: Random) -> None:
    del holder[key]


def _replace(holder: Any, key: Any, random: Random) -> None:
    holder[key] = deepcopy(random.choice(VALUES))


def _wrap(holder: Any, key: Any, random: Random) -> None:
    value = holder[key]
    holder[key] = random.choice([[value], {"resource": value}, {"value": value}, str(value)])


def _repeat(holder: Any, key: Any, random: Random) -> None:
    holder[key] = [deepcopy(holder[key]) for _ in range(random.choice([2, 50]))]


def _deepen(holder: Any, key: Any, random: Random) -> None:
    value: Any = NAME
    opening = random.choice(["entry", "extension", "contained", "component", None])
    for _ in range(random.choice([10, 60, 140])):
        value = [value] if opening is None else {"resourceType": "Bundle", opening: [value]}
    holder[key] = value


def _rename(holder: Any, key: Any, random: Random) -> None:
    if isinstance(holder, dict):
        holder[random.choice([NAME, PATIENT, "", "\u0000", key.upper()])] = holder.pop(key)


def _cross(holder: Any, key: Any, random: Random) -> None:
    """Put a part of the same tree where another was."""
    place = _pick(holder, random)
    if place is not None:
        other, name = place
        holder[key] = deepcopy(other[name])


IN_TREE: tuple[Callable[[Any, Random], None], ...] = tuple(
    _on_place(change)
    for change in (_drop, _replace, _replace, _replace, _wrap, _repeat, _deepen, _rename, _cross)
)


def _cut(body: bytes, random: Random) -> bytes:
    return body[: random.randrange(len(body) + 1)]


def _flip(body: bytes, random: Random) -> bytes:
    changed = bytearray(body)
    for _ in range(random.choice([1, 1, 20])):
        changed[random.randrange(len(changed))] = random.randrange(256)
    return bytes(changed)


def _insert(body: bytes, random: Random) -> bytes:
    at = random.randrange(len(body))
    noise = random.choice([b"\x00", b"\xff\xfe", b"//", b",", b"/**/", b"\xed\xa0\x80", b'"', b"}"])
    return body[:at] + noise + body[at:]


IN_BYTES: tuple[Callable[[bytes, Random], bytes], ...] = (
    _cut,
    _flip,
    _insert,
    lambda body, _: b"\xef\xbb\xbf" + body,
    lambda body, _: body + body,
    lambda body, _: body.decode("utf-8", "replace").encode("utf-16"),
    lambda body, _: body.decode("utf-8", "replace").encode("utf-32"),
    lambda body, _: gzip.compress(body, 1),
    lambda body, _: body.replace(b'"hook"', b'"hook": 1, "hook"', 1),
    lambda body, _: b"[" * 5000 + body,
)


def _kind(sent: Broken, random: Random) -> None:
    sent.headers["Content-Type"] = random.choice(KINDS)


def _coding(sent: Broken, random: Random) -> None:
    sent.headers["Content-Encoding"] = random.choice(["gzip", NAME, "identity"])


def _path(sent: Broken, random: Random) -> None:
    sent.path = random.choice(
        [
            f"/cds-services/{NAME}",
            f"/{PATIENT}",
            f"/rules/{NAME}",
            f"{SERVICE}?x={NAME}",
            "/%ff/%00",
        ]
    )


def _method(sent: Broken, random: Random) -> None:
    sent.method = random.choice(["GET", "PUT", "DELETE", "PATCH", "HEAD"])


def _foreign(sent: Broken, random: Random) -> None:
    sent.headers[random.choice(["X-Forwarded-For", "Host", "Forwarded"])] = NAME


IN_REQUEST: tuple[Callable[[Broken, Random], None], ...] = (
    _kind,
    _coding,
    _path,
    _method,
    _foreign,
)
