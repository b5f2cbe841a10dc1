# SPDX-License-Identifier: Apache-2.0
"""Where a call may go: a URL as it is written, then every address that its name stands for.

https only, but for what a `Reach` allows. The name is resolved once and the connection goes to an
address that was checked, so that no answer of a name server can lead inside (SSRF, DNS rebinding).
"""

from dataclasses import dataclass
from ipaddress import IPv4Address, IPv6Address, IPv6Network, ip_address
from socket import SOCK_STREAM, getaddrinfo
from typing import TypeAlias
from urllib.parse import urlsplit

_Address: TypeAlias = IPv4Address | IPv6Address
_NAT64 = IPv6Network("64:ff9b::/96")  # RFC 6052
_UNICAST = IPv6Network("2000::/3")  # RFC 4291: what else there is, is not the open network
_OWN = IPv6Network("fc00::/7")  # RFC 4193
# What clouds tell their machines, credentials among it; some lie in private ranges.
_METADATA = frozenset(
    map(ip_address, ("100.100.100.200", "192.0.0.192", "168.63.129.16", "fd00:ec2::254"))
)


class Closed(Exception):
    """A server may not be called, or cannot be found; says why, for the administrator."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Reach:
    """Where a call may go: to public addresses by https, and to what is named here."""

    private: bool = False  # the site's own network
    loopback: bool = False  # this machine, also by http
    http: bool = False  # without TLS, to any address that is open


def why_not(url: str, reach: Reach) -> str | None:
    """What is wrong with a URL to call, as it is written, or `None`."""
    try:
        parts = urlsplit(url)
        host, _ = parts.hostname or "", parts.port
    except ValueError:
        return "it is no URL"
    if not host or not url.isascii() or "\\" in url or any(sign <= " " for sign in url):
        return "it is no URL"  # readers of URLs differ over where a backslash ends the host
    if parts.username is not None or parts.fragment:
        return "it must have no user and no fragment"
    plain = parts.scheme == "http" and (reach.http or (reach.loopback and is_this_machine(url)))
    if parts.scheme != "https" and not plain:
        return "it must begin with https://"
    if host == "localhost":
        return None if reach.loopback else "it leads to this machine"
    address = _literal(host)
    return None if address is None else _why_closed(address, reach)


def addresses_of(host: str, port: int, reach: Reach) -> list[str]:
    """Every address of the name, if all of them are open; raises `Closed`."""
    try:
        found = getaddrinfo(host, port, type=SOCK_STREAM)
    except (OSError, UnicodeError):
        raise Closed("the name has no address") from None
    addresses = list(dict.fromkeys(ip_address(str(one[4][0]).partition("%")[0]) for one in found))
    for address in addresses:
        if why := _why_closed(address, reach):
            raise Closed(why)
    return [str(address) for address in addresses]


def is_this_machine(url: str) -> bool:
    """Whether the URL, as it is written, names this machine and nothing else."""
    try:
        host = urlsplit(url).hostname or ""
    except ValueError:
        return False
    address = _literal(host)
    return host == "localhost" or (address is not None and address.is_loopback)


def _why_closed(address: _Address, reach: Reach) -> str | None:
    """Why nothing at this address is called, or `None`."""
    if isinstance(address, IPv6Address):
        # An address of the older kind in a newer coat is judged by what is inside.
        inner = address.ipv4_mapped or address.sixtofour or (address.teredo or (None, None))[1]
        if address in _NAT64:
            inner = IPv4Address(int(address) & 0xFFFFFFFF)
        if inner is not None:
            return _why_closed(inner, reach)
    if address.is_loopback:
        return None if reach.loopback else "it leads to this machine"
    if (
        address.is_link_local
        or address.is_multicast
        or address.is_unspecified
        or address in _METADATA
        or (address.is_reserved and address not in _OWN)
        or (isinstance(address, IPv6Address) and address not in _UNICAST and address not in _OWN)
    ):
        return "it leads to an address that no server has"
    if not address.is_global and not reach.private:
        return "it leads to a private network, and there is no 'private network: yes'"
    return None


def _literal(host: str) -> _Address | None:
    try:
        return ip_address(host.partition("%")[0])
    except ValueError:
        return None
