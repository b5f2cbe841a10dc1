# SPDX-License-Identifier: Apache-2.0
"""The recorded requests and answers on disk, and the service that answers them anew.

They lie in numbered chunks, each a mixture of everything, as JSON lines compressed with xz.
A request is `{"service", "now", "body"}`, its answer `{"status", "body"}`; both bodies are texts.
"""

import json
import lzma
from collections.abc import Iterator
from datetime import UTC, datetime
from itertools import takewhile
from pathlib import Path
from typing import Any
from unittest.mock import patch

from structlog.testing import capture_logs

from cds_service.service import load_knowledge
from cds_service.settings import Settings
from cds_service.web import create_app
from tests.web.http_fixtures import read_once

Json = dict[str, Any]
DATA = Path(__file__).parent / "data"
CHUNKS = 18
_LOOK_UP = "cds_service.outgoing.address_policy.getaddrinfo"
_FILTERS = [{"id": lzma.FILTER_LZMA2, "preset": 9 | lzma.PRESET_EXTREME}]


class Service:
    """The service as it is now, behind its HTTP test client, at the time of each request."""

    def __init__(self) -> None:
        settings = Settings(profile="development", explain="always")
        self._now = datetime(2026, 1, 1, tzinfo=UTC)
        with read_once():
            knowledge = load_knowledge(settings)
        app = create_app(settings, clock=lambda: self._now, knowledge=knowledge)
        self._client = app.test_client()
        self.close = app.extensions["memory"].close

    def answer(self, request: Json) -> Json:
        """The status and the body of the answer, exactly as sent."""
        self._now = datetime.fromisoformat(request["now"])
        # A line for every request would bury what a test reports. No FHIR server is found: how
        # long a look-up takes is a matter of the machine.
        with capture_logs(), patch(_LOOK_UP, side_effect=OSError):
            response = self._client.post(
                f"/cds-services/{request['service']}",
                data=request["body"].encode("utf-8", "surrogatepass"),
                content_type="application/json",
            )
        return {"status": response.status_code, "body": response.text}


def read(kind: str, chunk: int) -> list[Json]:
    """The `requests` or the `answers` of a chunk."""
    with lzma.open(_path(kind, chunk), "rt", encoding="utf-8") as lines:
        return [json.loads(line) for line in lines]


def write(kind: str, items: list[Json]) -> None:
    """All `requests` or `answers`, spread over the chunks in order."""
    DATA.mkdir(exist_ok=True)
    size = -(-len(items) // CHUNKS)
    for chunk in range(CHUNKS):
        lines = items[chunk * size : (chunk + 1) * size]
        text = "".join(json.dumps(line, ensure_ascii=True) + "\n" for line in lines)
        packed = lzma.compress(text.encode("ascii"), check=lzma.CHECK_CRC32, filters=_FILTERS)
        _path(kind, chunk).write_bytes(packed)


def first_difference(kept: Json, now: Json) -> str:
    """The first place at which two answers differ, with what stands there in both."""
    if kept["status"] != now["status"]:
        return f"status: {kept['status']} recorded, {now['status']} now"
    try:
        places = list(_differences(json.loads(kept["body"]), json.loads(now["body"]), "$"))
    except ValueError:
        places = []
    # Without a place it is the order of members, the spelling of the text, or no JSON.
    where, old, new = (places or [("the text itself", kept["body"], now["body"])])[0]
    return "{}: {} recorded, {} now".format(where, *_excerpts(old, new))


_ABSENT = "(absent)"


def _differences(old: Any, new: Any, where: str) -> Iterator[tuple[str, Any, Any]]:
    if isinstance(old, dict) and isinstance(new, dict):
        for key in [*old, *(key for key in new if key not in old)]:
            yield from _differences(old.get(key, _ABSENT), new.get(key, _ABSENT), f"{where}.{key}")
    elif isinstance(old, list) and isinstance(new, list):
        for n in range(max(len(old), len(new))):
            pair = [side[n] if n < len(side) else _ABSENT for side in (old, new)]
            yield from _differences(pair[0], pair[1], f"{where}[{n}]")
    elif (type(old), old) != (type(new), new):
        yield where, old, new


def _excerpts(*values: Any) -> list[str]:
    """Both values as JSON, long ones from a little before the character at which they part."""
    texts = [json.dumps(value, ensure_ascii=False) for value in values]
    same = takewhile(lambda pair: pair[0] == pair[1], zip(*texts, strict=False))
    start = max(0, len(list(same)) - 60)
    before = "..." if start else ""
    return [
        before + text[start : start + 160] + ("..." if len(text) > start + 160 else "")
        for text in texts
    ]


def _path(kind: str, chunk: int) -> Path:
    return DATA / f"{kind}-{chunk:02}.jsonl.xz"


def rules_with_cards(answer: Json) -> set[str]:
    """The rules that have a card in the answer."""
    cards = _body(answer).get("cards", [])
    return {card["extension"]["org.cds-service.card"]["rule"] for card in cards}


def reasons(answer: Json) -> set[str]:
    """Why results of the request were set aside."""
    explanation = _body(answer).get("extension", {}).get("org.cds-service.explanation", {})
    return {item["reason"] for item in explanation.get("setAside", [])}


def _body(answer: Json) -> Json:
    body: Json = json.loads(answer["body"]) if answer["status"] == 200 else {}
    return body
