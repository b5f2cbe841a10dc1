# SPDX-License-Identifier: Apache-2.0
"""What FHIR servers send to the endpoint of a Subscription: the files of `data/notifications`.

Each file names its sender and says where it comes from: recorded from a running server, or made
from a description.
"""

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from tests.house.source import ROOT

Json = dict[str, Any]

FOLDER = ROOT / "tests" / "data" / "notifications"


@dataclass(frozen=True)
class Sent:
    """One request of a sender, and what it tells."""

    name: str
    server: str
    method: str
    sub_path: str
    headers: Mapping[str, str]
    body: bytes = field(repr=False)
    expected: Json


def every_request() -> Iterator[Sent]:
    """All that was recorded or made."""
    for file in sorted(FOLDER.glob("*.json")):
        sender = json.loads(file.read_text(encoding="utf-8"))
        for request in sender["requests"]:
            yield Sent(
                name=f"{sender['sender']}: {request['name']}",
                server=sender["server"],
                method=request["method"],
                sub_path=request["sub_path"],
                headers=request["headers"],
                body=json.dumps(request["body"]).encode() if request["body"] != "" else b"",
                expected=request["expected"],
            )
