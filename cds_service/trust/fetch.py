# SPDX-License-Identifier: Apache-2.0
"""Key sets over the network: only from where the registrations say, and never more than a little.

https only (loopback http in development), no redirect, no proxy, a limit of bytes and of time. The
name is resolved once, every address is checked, and the connection goes to the checked address, so
that no answer of a name server can lead inside (SSRF, DNS rebinding).
"""

from contextlib import suppress
from dataclasses import dataclass
from http import HTTPStatus
from http.client import HTTPConnection, HTTPException
from ipaddress import IPv4Address, IPv6Address, IPv6Network, ip_address
from socket import SHUT_RDWR, SOCK_STREAM, create_connection, getaddrinfo, socket
from ssl import SSLSocket, create_default_context
from threading import Event, Timer
from typing import Final, Protocol, TypeAlias
from urllib.parse import SplitResult, urlsplit

MOST_BYTES: Final = 256 * 1024  # a key is about one kilobyte
MOST_SECONDS: Final = 5.0
_PATIENCE: Final = 2.0  # seconds for one step of a connection

_Address: TypeAlias = IPv4Address | IPv6Address
_NAT64 = IPv6Network("64:ff9b::/96")  # RFC 6052
_PORTS = {"http": 80, "https": 443}


class FetchError(Exception):
    """A key set could not be had; says why, for the administrator."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Reach:
    """Where a fetch may go: to public addresses, and to what is named here."""

    private: bool = False  # the site's own network
    loopback: bool = False  # this machine, also by http; for development


@dataclass(frozen=True, slots=True, kw_only=True)
class Fetched:
    """A document and what was said about keeping it."""

    body: bytes
    cache_control: str


class Fetch(Protocol):
    """How a document is had: `fetch`, or something else in a test."""

    def __call__(self, url: str, reach: Reach) -> Fetched:
        """The document at the URL; raises `FetchError`."""


def why_not(url: str, reach: Reach) -> str | None:
    """What is wrong with a URL to fetch keys from, as it is written, or `None`."""
    try:
        parts = urlsplit(url)
        host, _ = parts.hostname or "", parts.port
    except ValueError:
        return "it is no URL"
    if not host or not url.isascii() or any(sign <= " " for sign in url):
        return "it is no URL"
    if parts.username is not None or parts.fragment:
        return "it must have no user and no fragment"
    address = _literal(host)
    here = host == "localhost" or (address is not None and address.is_loopback)
    if parts.scheme != "https" and not (parts.scheme == "http" and reach.loopback and here):
        return "it must begin with https://"
    if host == "localhost":
        return None if reach.loopback else "it leads to this machine"
    return None if address is None else _why_closed(address, reach)


def fetch(url: str, reach: Reach) -> Fetched:
    """The document at the URL; raises `FetchError`."""
    if said := why_not(url, reach):
        raise FetchError(said)
    parts = urlsplit(url)
    port = parts.port or _PORTS[parts.scheme]
    why = "no address could be reached"
    for address in _addresses(parts.hostname or "", port, reach):
        try:
            return _asked(parts, str(address), port)
        except (OSError, HTTPException, ValueError) as error:
            why = f"the connection failed ({type(error).__name__})"
    raise FetchError(why)


def _asked(parts: SplitResult, address: str, port: int) -> Fetched:
    """The answer of the server at the address that was checked.

    The certificate has to be that of the name. Whatever the server does, it is cut off in time.
    """
    link = create_connection((address, port), timeout=_PATIENCE)
    if parts.scheme == "https":
        safe = create_default_context()
        link = safe.wrap_socket(link, server_hostname=parts.hostname, do_handshake_on_connect=False)
    cut = Event()
    end = Timer(MOST_SECONDS, _cut_off, (link, cut))
    end.daemon = True
    end.start()
    try:
        if isinstance(link, SSLSocket):
            link.do_handshake()
        answer = _answer(link, parts)
        if cut.is_set():  # what came until then could look like all there is
            raise FetchError(f"the answer took longer than {MOST_SECONDS:g} seconds")
        return answer
    finally:
        end.cancel()
        link.close()


def _cut_off(link: socket, cut: Event) -> None:
    """End a connection from another thread: by the plain method, not that of TLS."""
    cut.set()
    with suppress(OSError):
        socket.shutdown(link, SHUT_RDWR)


def _answer(link: socket, parts: SplitResult) -> Fetched:
    connection = HTTPConnection(parts.hostname or "")
    connection.sock = link
    target = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
    connection.request("GET", target, headers={"Host": parts.netloc, "Accept": "application/json"})
    response = connection.getresponse()
    if response.status != HTTPStatus.OK:  # a redirect as well: it is not followed
        raise FetchError(f"the answer was {response.status}, not 200")
    if response.getheader("Content-Encoding", "identity").lower() != "identity":
        raise FetchError("the answer was compressed")
    body = response.read(MOST_BYTES + 1)
    if len(body) > MOST_BYTES:
        raise FetchError(f"the answer was longer than {MOST_BYTES} bytes")
    if response.length:
        raise FetchError("the answer ended before its end")
    return Fetched(body=body, cache_control=response.getheader("Cache-Control", ""))


def _addresses(host: str, port: int, reach: Reach) -> list[_Address]:
    """Every address of the name, if all of them are open; raises `FetchError`."""
    try:
        found = getaddrinfo(host, port, type=SOCK_STREAM)
    except (OSError, UnicodeError):
        raise FetchError("the name has no address") from None
    addresses = list(dict.fromkeys(ip_address(str(one[4][0]).partition("%")[0]) for one in found))
    for address in addresses:
        if why := _why_closed(address, reach):
            raise FetchError(why)
    return addresses


def _why_closed(address: _Address, reach: Reach) -> str | None:
    """Why nothing is fetched from this address, or `None`."""
    if isinstance(address, IPv6Address):
        # An address of the older kind in a newer coat is judged by what is inside.
        inner = address.ipv4_mapped or address.sixtofour or (address.teredo or (None, None))[1]
        if address in _NAT64:
            inner = IPv4Address(int(address) & 0xFFFFFFFF)
        if inner is not None:
            return _why_closed(inner, reach)
    if address.is_loopback:
        return None if reach.loopback else "it leads to this machine"
    if address.is_link_local or address.is_multicast or address.is_unspecified:
        return "it leads to an address that no key server has"
    if not address.is_global and not reach.private:
        return "it leads to a private network, and the client has no 'private network: yes'"
    return None


def _literal(host: str) -> _Address | None:
    try:
        return ip_address(host.partition("%")[0])
    except ValueError:
        return None
