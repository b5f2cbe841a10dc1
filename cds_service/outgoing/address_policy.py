# SPDX-License-Identifier: Apache-2.0
"""Which addresses a request may go to: the URL is checked, then every address of its host name.

Only https, unless an `AddressPolicy` allows more. The name is resolved once and the connection goes
to an address that was checked, so that no DNS response can lead into the network of the service
(SSRF, DNS rebinding).
"""

from dataclasses import dataclass
from ipaddress import IPv4Address, IPv6Address, IPv6Network, ip_address
from socket import SOCK_STREAM, getaddrinfo
from typing import TypeAlias
from urllib.parse import urlsplit

_Address: TypeAlias = IPv4Address | IPv6Address
_NAT64 = IPv6Network("64:ff9b::/96")  # RFC 6052
_UNICAST = IPv6Network("2000::/3")  # RFC 4291: global unicast addresses
_OWN = IPv6Network("fc00::/7")  # RFC 4193
# Metadata services of clouds, which hand out credentials; some are in private ranges.
_METADATA = frozenset(
    map(ip_address, ("100.100.100.200", "192.0.0.192", "168.63.129.16", "fd00:ec2::254"))
)


class AddressNotAllowed(Exception):
    """A server may not be called, or its name has no address; the text is for administrators."""


@dataclass(frozen=True, slots=True, kw_only=True)
class AddressPolicy:
    """Where a request may go: always to public addresses by https, and to what is set here."""

    private: bool = False  # private networks: the site's own
    loopback: bool = False  # this machine, also by http
    http: bool = False  # without TLS, to every address that is allowed


def url_problem(url: str, policy: AddressPolicy) -> str | None:
    """Why a URL may not be called, by its text alone, or `None`.

    >>> url_problem("http://fhir.example.org/r4", AddressPolicy())
    'it must begin with https://'
    """
    try:
        parts = urlsplit(url)
        host, _ = parts.hostname or "", parts.port
    except ValueError:
        return "it is no URL"
    if not host or not url.isascii() or "\\" in url or any(sign <= " " for sign in url):
        return "it is no URL"  # readers of URLs differ over where a backslash ends the host
    if parts.username is not None or parts.fragment:
        return "it must have no user and no fragment"
    plain = parts.scheme == "http" and (policy.http or (policy.loopback and is_this_machine(url)))
    if parts.scheme != "https" and not plain:
        return "it must begin with https://"
    if host == "localhost":
        return None if policy.loopback else "it leads to this machine"
    address = _literal(host)
    return None if address is None else _problem(address, policy)


def addresses_of(host: str, port: int, policy: AddressPolicy) -> list[str]:
    """Every address of the name; raises `AddressNotAllowed` if any of them is not allowed."""
    try:
        entries = getaddrinfo(host, port, type=SOCK_STREAM)
    except (OSError, UnicodeError):
        raise AddressNotAllowed("the name has no address") from None
    addresses = list(
        dict.fromkeys(ip_address(str(entry[4][0]).partition("%")[0]) for entry in entries)
    )
    for address in addresses:
        if problem := _problem(address, policy):
            raise AddressNotAllowed(problem)
    return [str(address) for address in addresses]


def is_this_machine(url: str) -> bool:
    """Whether the URL, as it is written, names this machine and nothing else."""
    try:
        host = urlsplit(url).hostname or ""
    except ValueError:
        return False
    address = _literal(host)
    return host == "localhost" or (address is not None and address.is_loopback)


def _problem(address: _Address, policy: AddressPolicy) -> str | None:
    """Why this address may not be called, or `None`."""
    if isinstance(address, IPv6Address):
        # An IPv4 address embedded in an IPv6 address is judged as the IPv4 address.
        inner = address.ipv4_mapped or address.sixtofour or (address.teredo or (None, None))[1]
        if address in _NAT64:
            inner = IPv4Address(int(address) & 0xFFFFFFFF)
        if inner is not None:
            return _problem(inner, policy)
    if address.is_loopback:
        return None if policy.loopback else "it leads to this machine"
    if (
        address.is_link_local
        or address.is_multicast
        or address.is_unspecified
        or address in _METADATA
        or (address.is_reserved and address not in _OWN)
        or (isinstance(address, IPv6Address) and address not in _UNICAST and address not in _OWN)
    ):
        return "it leads to an address that no server has"
    if not address.is_global and not policy.private:
        return "it leads to a private network, and there is no 'private network: yes'"
    return None


def _literal(host: str) -> _Address | None:
    try:
        return ip_address(host.partition("%")[0])
    except ValueError:
        return None
