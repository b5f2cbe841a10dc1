# SPDX-License-Identifier: Apache-2.0
"""A FHIR server of our own for the tests: it answers from a table, and can be made to fail."""

import json
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, urlsplit

Json = dict[str, Any]
Answer = tuple[int, Json]


class Double:
    """The table: resources by type, and answers that are told in advance by path and type."""

    def __init__(self) -> None:
        self.resources: list[Json] = []
        self.told: dict[str, Callable[[str], Answer]] = {}
        self.asked: list[str] = []
        self.page = 100
        self.base = ""

    def answer(self, target: str) -> Answer:
        """The answer to a request line below the base."""
        self.asked.append(target)
        kind = urlsplit(target).path.partition("/")[0]
        return self.told[kind](target) if kind in self.told else self.known(target)

    def known(self, target: str) -> Answer:
        """The answer from the table alone."""
        if target.startswith("/"):  # not below the base
            return 404, {"timestamp": "now", "error": "Not Found"}
        if target == "metadata":
            return 200, {"resourceType": "CapabilityStatement", "fhirVersion": "4.0.1"}
        parts = urlsplit(target)
        kind, _, identity = parts.path.strip("/").partition("/")
        if identity:
            found = [r for r in self._of(kind) if r["id"] == identity]
            return (200, found[0]) if found else (404, outcome("not here"))
        return self._search(kind, parse_qs(parts.query), target)

    def _of(self, kind: str) -> Iterator[Json]:
        return (resource for resource in self.resources if resource["resourceType"] == kind)

    def _search(self, kind: str, query: Mapping[str, list[str]], target: str) -> Answer:
        wanted = [f"Patient/{patient_id}" for patient_id in query.get("patient", [])]
        names = [name.lower() for name in query.get("name", [])]
        found = [
            resource
            for resource in self._of(kind)
            if (not wanted or resource["subject"]["reference"] in wanted)
            and all(name in json.dumps(resource.get("name", "")).lower() for name in names)
        ]
        begin = int(query.get("_begin", ["0"])[0])
        links = [{"relation": "self", "url": f"{self.base}/{target}"}]
        end = begin + min(self.page, int(query.get("_count", ["100"])[0]))
        if end < len(found):
            left = target.partition("&_begin=")[0]
            links.append({"relation": "next", "url": f"{self.base}/{left}&_begin={end}"})
        entries = [{"resource": resource} for resource in found[begin:end]]
        return 200, {"resourceType": "Bundle", "type": "searchset", "link": links, "entry": entries}


def outcome(said: str) -> Json:
    issue = {"severity": "error", "code": "processing", "diagnostics": said}
    return {"resourceType": "OperationOutcome", "issue": [issue]}


@contextmanager
def running() -> Iterator[Double]:
    """The server, for as long as the block runs."""
    double = Double()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            status, body = double.answer(self.path.removeprefix("/fhir/"))
            data = json.dumps(body).encode()
            self.send_response(status)
            self.send_header("Content-Type", "application/fhir+json")
            self.send_header("Content-Length", str(len(data)))
            self.end_headers()
            self.wfile.write(data)

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    double.base = f"http://127.0.0.1:{server.server_port}/fhir"
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield double
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def history() -> list[Json]:
    """A patient with three results of ALT, the newest of yesterday by the tests' clock."""
    from tests.web.http_fixtures import ALT, observation, patient

    times = ("2026-02-01T08:00:00Z", "2026-04-01T08:00:00Z", "2026-06-14T08:00:00Z")
    results = [
        observation(
            ALT,
            value,
            id=f"alt-{n}",
            effectiveDateTime=time,
            referenceRange=[{"high": {"value": 40, "unit": "U/L"}}],
        )
        for n, (value, time) in enumerate(zip((35, 90.5, 100), times, strict=True))
    ]
    return [patient(), *results]
