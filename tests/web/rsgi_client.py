# SPDX-License-Identifier: Apache-2.0
"""Requests as granian hands them to the bridge, without a server."""

import asyncio
import json
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from typing import Any

from flask import Flask

from cds_service.settings import Settings
from cds_service.web.server.rsgi import Bridge
from tests.web.http_fixtures import SERVICE


@dataclass
class Scope:
    """The head of a request."""

    method: str = "POST"
    path: str = SERVICE
    query_string: str = ""
    client: str = "127.0.0.1:50000"
    server: str = "127.0.0.1:8000"
    scheme: str = "http"
    http_version: str = "1.1"
    authority: str | None = None
    headers: dict[str, str] = field(default_factory=dict)


@dataclass
class Channel:
    """The body of a request, how far it was read, and its answer."""

    body: bytes
    begun: bool = False
    read: asyncio.Event = field(default_factory=asyncio.Event)
    status: int = 0
    headers: dict[str, str] = field(default_factory=dict)
    answer: bytes = b""

    async def __aiter__(self) -> AsyncIterator[bytes]:
        self.begun = True
        yield self.body
        self.read.set()

    async def __call__(self) -> bytes:
        self.begun = True
        self.read.set()
        return self.body

    def response_bytes(self, status: int, headers: list[tuple[str, str]], body: bytes) -> None:
        self.status, self.headers, self.answer = status, dict(headers), body


def bridge_of(app: Flask, settings: Settings) -> Bridge:
    """The bridge to an application, as `cds-service serve` makes it."""
    return Bridge(app, settings, app.extensions["door"], app.extensions["hook_calls"])


def scope_of(body: bytes, *, kind: str = "application/json", **headers: str) -> Scope:
    """The head of a call with this body; an underscore in a name of a header is a dash."""
    usual = {"host": "localhost", "content-type": kind, "content-length": str(len(body))}
    return Scope(headers=usual | {name.replace("_", "-"): said for name, said in headers.items()})


def sent(bridge: Bridge, scope: Scope, body: Any) -> Channel:
    """What became of one request."""
    data = body if isinstance(body, bytes) else json.dumps(body).encode()
    channel = Channel(data)
    asyncio.run(bridge(scope, channel))
    return channel
