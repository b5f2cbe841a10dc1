# SPDX-License-Identifier: Apache-2.0
"""What the service is compared with: the least that a Flask service can do.

`/constant/N` reads the body and answers N bytes; `/loads/N` also parses the body with orjson.
Started as a program it serves both with granian exactly as `cds-service serve` does.
"""

import sys
from io import BytesIO
from typing import Any, TypeAlias

import msgspec
import orjson
from flask import Flask, Response, request

from cds_service.settings import Settings
from cds_service.web.server.request_parts import Environ
from cds_service.web.server.rsgi import Bridge

Wsgi: TypeAlias = Any
_ENVIRON = {
    "REQUEST_METHOD": "POST",
    "SCRIPT_NAME": "",
    "QUERY_STRING": "",
    "SERVER_NAME": "127.0.0.1",
    "SERVER_PORT": "8000",
    "SERVER_PROTOCOL": "HTTP/1.1",
    "REMOTE_ADDR": "127.0.0.1",
    "HTTP_HOST": "127.0.0.1:8000",
    "HTTP_ACCEPT": "application/json",
    "HTTP_USER_AGENT": "benchmark",
    "CONTENT_TYPE": "application/json",
    "wsgi.version": (1, 0),
    "wsgi.url_scheme": "http",
    "wsgi.errors": sys.stderr,
    "wsgi.multithread": True,
    "wsgi.multiprocess": False,
    "wsgi.run_once": False,
    "wsgi.input_terminated": True,  # as granian and gunicorn say
}


class _Nothing(msgspec.Struct):
    """An object of which no member is read."""


skip = msgspec.json.Decoder(_Nothing).decode


def create_floor() -> Flask:
    """The floor application."""
    app = Flask("floor", static_folder=None)

    @app.post("/constant/<int:size>")
    def constant(size: int) -> Response:
        request.get_data(cache=False)
        return Response(b" " * size, content_type="application/json")

    @app.post("/loads/<int:size>")
    def loads(size: int) -> Response:
        orjson.loads(request.get_data(cache=False))
        return Response(b" " * size, content_type="application/json")

    return app


def post(app: Wsgi, path: str, body: bytes) -> bytes:
    """The answer of a WSGI application to a POST of JSON; raises if it is not 200."""
    environ = dict(_ENVIRON)
    environ["PATH_INFO"] = path
    environ["CONTENT_LENGTH"] = str(len(body))
    environ["wsgi.input"] = BytesIO(body)
    said: list[str] = []

    def start(status: str, _headers: object, _error: object = None) -> None:
        said.append(status)

    chunks = app(environ, start)
    answer = b"".join(chunks)
    close = getattr(chunks, "close", None)
    if close is not None:
        close()
    if not said[0].startswith("200"):
        raise AssertionError(f"{path} answered {said[0]}")
    return answer


def _serve(port: int) -> None:
    from granian import Granian
    from granian.constants import HTTPModes, Interfaces

    Granian(
        "benchmarks.floors",
        address="127.0.0.1",
        port=port,
        interface=Interfaces.RSGI,
        http=HTTPModes.http1,
        websockets=False,
        workers=1,
        log_enabled=False,
    ).serve(target_loader=_bridge)


class _Open:
    """A door that lets everything in."""

    def waits(self, _environ: Environ) -> bool:
        """Never."""
        return False

    def refuses(self, _environ: Environ) -> bool:
        """Never."""
        return False


def _bridge(_target: str) -> Bridge:
    return Bridge(create_floor(), Settings(), _Open())


if __name__ == "__main__":
    _serve(int(sys.argv[1]))
