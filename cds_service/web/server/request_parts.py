# SPDX-License-Identifier: Apache-2.0
"""The head of a request, as the server gives it, as WSGI has it and as hook calls read it.

A request names exactly one Host, a name or address with or without a port, or is answered 400
(RFC 9112, section 3.2): two programs could take any other request for different servers.
"""

import re
import sys
from collections.abc import Callable, Iterable
from functools import lru_cache
from ipaddress import AddressValueError, IPv6Address
from typing import Any, Final, Literal, NamedTuple, Protocol, TypeAlias

from msgspec import Struct

from cds_service.errors import RequestError

REFUSED = "cds_service.refused"
ELAPSED = "cds_service.elapsed"
"""In the environ: a function that gives the milliseconds since the headers were read."""

_HOOKS: Final = "/cds-services/"
_VERSIONS: Final = {"1": "1.0"}
_WITHOUT_PREFIX: Final = ("CONTENT_TYPE", "CONTENT_LENGTH")  # PEP 3333: all other headers have one
# RFC 3986, section 3.2.2, without what no name of a machine has: a user, a comma, an escape.
_HOST: Final = re.compile(r"(?:[A-Za-z0-9._-]+|\[([0-9A-Fa-f:.]+)\])(?::([0-9]{0,5}))?")
_LAST_PORT: Final = 65535

Refusal: TypeAlias = Literal["overloaded", "too-slow", "too-long", "cut-off"]
Environ: TypeAlias = dict[str, Any]
Headers: TypeAlias = list[tuple[str, str]]
Wsgi: TypeAlias = Callable[[Environ, Any], Iterable[bytes]]


class RsgiScope(Protocol):
    """What granian says about a request."""

    method: str
    path: str
    query_string: str
    client: str
    server: str
    scheme: str
    http_version: str
    authority: str | None
    headers: Any


class Reply(NamedTuple):
    """An answer as it is sent."""

    status: int
    headers: Headers
    body: bytes


class Head(Struct, frozen=True, kw_only=True):
    """The head of a request; names of headers are in lower case, what came twice is one list."""

    path: str
    protocol: str
    scheme: str
    peer: str
    server: tuple[str, int | None]
    headers: dict[str, str]


def service_in(path: str) -> str | None:
    """The id of the service whose hooks are called at this path.

    Like Flask it takes several slashes at the start for one: a client may put its own before ours.

    >>> service_in("/cds-services/liver/"), service_in("/cds-services/liver/feedback")
    ('liver', None)
    """
    path = _one_slash(path)
    if not path.startswith(_HOOKS):
        return None
    name = path[len(_HOOKS) :].removesuffix("/")
    return name if name and "/" not in name else None


def is_hook_call(method: str, path: str) -> bool:
    """Whether this is a call of a hook; Flask, which has the rest, reads methods in any case."""
    return method.upper() == "POST" and service_in(path) is not None


def _one_slash(path: str) -> str:
    """The path with one slash at its start."""
    return path if path[:2] != "//" else "/" + path.lstrip("/")


def check_host(host: str | None, protocol: str | None) -> None:
    """Raise `RequestError` unless the request names one host; HTTP/1.0 may name none."""
    if host is None and protocol == "HTTP/1.0":
        return
    if host is None or not is_host(host):  # two that were sent are joined by a comma
        raise RequestError("Expected one Host header: a name or an address, and perhaps a port.")


@lru_cache(maxsize=256)  # clients call the same host again and again
def is_host(text: str) -> bool:
    """Whether the text is a name or an address, with or without a port.

    >>> is_host("[::1]:8000"), is_host("a@127.0.0.1")
    (True, False)
    """
    match = _HOST.fullmatch(text)
    if match is None or int(match[2] or 0) > _LAST_PORT:
        return False
    try:
        return match[1] is None or bool(IPv6Address(match[1]))
    except AddressValueError:
        return False


def head_of(scope: RsgiScope) -> Head:
    """The head of a request that granian hands over."""
    host, _, port = scope.server.rpartition(":")
    return Head(
        path=_path_text(scope.path.encode("utf-8", "surrogateescape")),
        protocol=_protocol(scope),
        scheme=scope.scheme,
        peer=_peer(scope),
        server=(host, int(port)),
        headers=_headers_of(scope),
    )


def _headers_of(scope: RsgiScope) -> dict[str, str]:
    """The headers by their names in lower case."""
    headers: dict[str, str] = {}
    for name, value in scope.headers.items():
        if "_" in name:  # it would pass for the header with a dash, which a proxy may vouch for
            continue
        lower = name.lower()
        # RFC 9110, section 5.3: a header that comes twice is one list
        headers[lower] = f"{headers[lower]},{value}" if lower in headers else value
    # RFC 9112, section 3.2.2: the address in the request line wins, but beside a proper Host only.
    if scope.authority and is_host(headers.get("host", "")):
        headers["host"] = scope.authority
    return headers


def head_of_environ(environ: Environ) -> Head:
    """The head of a request that a WSGI server hands over."""
    headers = {
        name[5:].replace("_", "-").lower(): value
        for name, value in environ.items()
        if name.startswith("HTTP_")
    }
    for name in _WITHOUT_PREFIX:
        if name in environ:
            headers[name.replace("_", "-").lower()] = environ[name]
    return Head(
        path=_path_text(environ["PATH_INFO"].encode("latin-1")),
        protocol=environ["SERVER_PROTOCOL"],
        scheme=environ["wsgi.url_scheme"],
        peer=environ.get("REMOTE_ADDR", ""),
        server=(environ["SERVER_NAME"], int(environ["SERVER_PORT"])),
        headers=headers,
    )


def _path_text(path: bytes) -> str:
    """A path as Flask reads it."""
    return _one_slash(path.decode("utf-8", "replace"))


def _peer(scope: RsgiScope) -> str:
    return scope.client.rpartition(":")[0].removeprefix("[").removesuffix("]")


def _protocol(scope: RsgiScope) -> str:
    # granian calls HTTP/1.0 "1"
    return f"HTTP/{_VERSIONS.get(scope.http_version, scope.http_version)}"


def environ_of(scope: RsgiScope) -> Environ:
    """The WSGI environ of a request without its body (PEP 3333)."""
    host, _, port = scope.server.rpartition(":")
    environ: Environ = {
        "REQUEST_METHOD": scope.method,
        "SCRIPT_NAME": "",
        # granian has decoded the address already; WSGI wants its bytes as Latin-1.
        "PATH_INFO": scope.path.encode("utf-8", "surrogateescape").decode("latin-1"),
        "QUERY_STRING": scope.query_string,
        "SERVER_NAME": host,
        "SERVER_PORT": port,
        "SERVER_PROTOCOL": _protocol(scope),
        "REMOTE_ADDR": _peer(scope),
        "wsgi.version": (1, 0),
        "wsgi.url_scheme": scope.scheme,
        "wsgi.errors": sys.stderr,
        "wsgi.multithread": True,
        "wsgi.multiprocess": True,
        "wsgi.run_once": False,
        "wsgi.input_terminated": True,
    }
    for name, value in _headers_of(scope).items():
        key = name.upper().replace("-", "_")
        environ[key if key in _WITHOUT_PREFIX else f"HTTP_{key}"] = value
    return environ
