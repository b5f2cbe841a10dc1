# SPDX-License-Identifier: Apache-2.0
"""The demonstration: a real server, a real hook request for a synthetic patient, its cards.

The patient is an example of a pack, written as a case is, with dates relative to now.
"""

import re
import subprocess
import sys
import textwrap
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import datetime
from typing import Any

import msgspec
import requests

from cds_service.knowledge.model.pack import Example, Pack, Service
from cds_service.settings import environment_with
from cds_service.trials.synthetic_request import request_of

_WIDTH = 96
_INDENT = "    "
_LINK = re.compile(r"\[([^\]]*)\]\([^)]*\)")
_BOLD = re.compile(r"\*\*(.+?)\*\*")
_ESCAPE = re.compile(r"\\(.)")
_COLOURS = {"info": "blue", "warning": "yellow", "critical": "red"}
_encoder = msgspec.json.Encoder(decimal_format="number")
Style = Callable[..., str]


class ServerDied(RuntimeError):
    """The server stopped before it answered."""


def demo_request(pack: Pack, example: Example, service: Service, now: datetime) -> bytes:
    """The hook request for an example of the pack, as JSON."""
    given: Any = example.given
    return _encoder.encode(request_of(given, pack, now, service.hook))


def start_server(port: int) -> "subprocess.Popen[bytes]":
    """A server of its own process on loopback, which keeps nothing when it stops."""
    command = [sys.executable, "-m", "cds_service", "serve", "--port", str(port)]
    environment = environment_with(
        {
            "CDS_PROFILE": "development",  # so that the sandbox is there
            "CDS_LOG_LEVEL": "warning",
            "CDS_DATABASE_URL": "sqlite://",
        }
    )
    return subprocess.Popen(command, env=environment)  # noqa: S603 - our own program


def wait_until_ready(base: str, server: "subprocess.Popen[bytes]", seconds: float = 30) -> None:
    """Return when the server answers; raises `ServerDied` if it stops or never does."""
    for _ in range(int(seconds * 10)):
        if server.poll() is not None:
            break
        try:
            if requests.get(f"{base}/ready", timeout=2).ok:
                return
        except requests.ConnectionError:
            time.sleep(0.1)
    raise ServerDied("the server did not start")


def call(base: str, service: Service, body: bytes) -> dict[str, Any]:
    """The response of the service to a hook request."""
    response = requests.post(
        f"{base}/cds-services/{service.id}",
        data=body,
        headers={"Content-Type": "application/json"},
        timeout=30,
    )
    response.raise_for_status()
    answer: dict[str, Any] = response.json()
    return answer


def cards_as_text(cards: Sequence[Mapping[str, Any]], style: Style) -> Iterator[str]:
    """The cards for a terminal, line by line; `style` colours a text as click's `style` does."""
    if not cards:
        yield "No card."
    for card in cards:
        indicator = str(card["indicator"])
        label = style(f" {indicator.upper()} ", fg=_COLOURS.get(indicator), reverse=True)
        yield f"{label} {style(str(card['summary']), bold=True)}"
        for block in _blocks(str(card.get("detail", ""))):
            yield from _wrapped(block, style)
        if card.get("suggestions"):
            yield ""
        for suggestion in card.get("suggestions", []):
            mark = "[x]" if suggestion.get("isRecommended") else "[ ]"
            yield f"{_INDENT}{style(mark, bold=True)} {suggestion['label']}"
        yield ""


def _blocks(markdown: str) -> Iterator[str]:
    """Paragraphs and list items, each on one line, with an empty one before a paragraph."""
    block = ""
    for line in [*markdown.splitlines(), ""]:
        begins_item = line.startswith("- ")
        if (begins_item or not line.strip()) and block:
            yield block
            block = ""
        if line.strip():
            if not block and not begins_item:
                yield ""
            block = f"{block} {line.strip()}".strip()


def _wrapped(block: str, style: Style) -> Iterator[str]:
    """The block for a terminal: links as their text, escapes undone, bold as bold."""
    text = _LINK.sub(r"\1", block)
    hang = _INDENT + ("  " if text.startswith("- ") else "")
    lines = textwrap.wrap(
        text, _WIDTH, initial_indent=_INDENT, subsequent_indent=hang, break_long_words=False
    )
    for line in lines or [""]:
        yield _ESCAPE.sub(r"\1", _BOLD.sub(lambda match: style(match[1], bold=True), line))
