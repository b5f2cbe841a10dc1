# SPDX-License-Identifier: Apache-2.0
"""Sockets: where senders connect, and what becomes of a connection once it was accepted.

`asyncio.start_server` shows a connection over TLS only after its handshake: those that never finish
one would count nowhere.
"""

import asyncio
import socket
import ssl
from collections.abc import AsyncIterator
from contextlib import suppress
from ipaddress import IPv6Address, ip_address, ip_network
from typing import Final, NamedTuple

_MOST_HELD: Final = 65_536  # bytes of a connection that are read ahead
_WAITING: Final = 100  # connections that are not accepted yet
_PAUSE: Final = 1.0  # seconds, where no file descriptor is left
_V6_NETWORK: Final = 64  # bits; the others a machine chooses itself (RFC 4291, 2.5.4)


class Streams(NamedTuple):
    """What comes over a connection, and what is sent back."""

    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter


async def listening_sockets(host: str, port: int) -> list[socket.socket]:
    """A socket for each address of the host; raises `OSError` if one cannot be listened on.

    `::` is every address of the machine.
    """
    found = await asyncio.get_running_loop().getaddrinfo(
        host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
    )
    made: list[socket.socket] = []
    try:
        for family, address in dict.fromkeys(
            (address_info[0], address_info[4]) for address_info in found
        ):
            # As `serve` does: IPv4 too, where the machine has both (web/server/listening.py).
            both = host == "::" and socket.has_dualstack_ipv6()
            made.append(
                socket.create_server(
                    address[:2], family=family, backlog=_WAITING, dualstack_ipv6=both
                )
            )
            made[-1].setblocking(False)
    except OSError:
        for sock in made:
            sock.close()
        raise
    return made


async def accepted(listening: socket.socket) -> AsyncIterator[tuple[socket.socket, str]]:
    """Each connection, with the address that it comes from."""
    loop = asyncio.get_running_loop()
    while True:
        try:
            connection, peer = await loop.sock_accept(listening)
        except OSError:
            await asyncio.sleep(_PAUSE)
            continue
        yield connection, str(peer[0]).partition("%")[0]


async def opened(
    connection: socket.socket, tls: ssl.SSLContext | None, handshake_seconds: float
) -> Streams:
    """The connection, after its handshake; raises `OSError` if that fails or takes too long."""
    loop = asyncio.get_running_loop()
    reader = asyncio.StreamReader(limit=_MOST_HELD, loop=loop)
    protocol = asyncio.StreamReaderProtocol(reader, loop=loop)
    seconds = {} if tls is None else {"ssl_handshake_timeout": handshake_seconds}
    transport, _ = await loop.connect_accepted_socket(
        lambda: protocol, connection, ssl=tls, **seconds
    )
    return Streams(reader, asyncio.StreamWriter(transport, protocol, reader, loop))


def certificate_of(writer: asyncio.StreamWriter) -> bytes | None:
    """The client certificate (DER) of the sender, if it presented one."""
    encrypted: ssl.SSLObject | None = writer.get_extra_info("ssl_object")
    return None if encrypted is None else encrypted.getpeercert(binary_form=True)


async def closed(writer: asyncio.StreamWriter, seconds: float) -> None:
    """Close a connection, once what was written is sent."""
    writer.close()
    with suppress(OSError, TimeoutError):
        async with asyncio.timeout(seconds):
            await writer.wait_closed()


def host_of(address: str) -> str:
    """What counts as one machine: an address, or of IPv6 the network that it chooses from.

    >>> host_of("::ffff:10.1.2.3"), host_of("2001:db8::7")
    ('10.1.2.3', '2001:db8::/64')
    """
    found = ip_address(address)
    if not isinstance(found, IPv6Address):
        return address
    if found.ipv4_mapped is not None:
        return str(found.ipv4_mapped)
    return str(ip_network((int(found), _V6_NETWORK), strict=False))
