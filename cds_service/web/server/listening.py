# SPDX-License-Identifier: Apache-2.0
"""The socket that the service listens on: one, which all of its workers share.

granian would have each worker listen on a socket of its own (`SO_REUSEPORT`), and so would a second
service on the same port: each would get a part of the calls. Without that option the second is
refused, and a connection that waits for one worker is taken by another if that one ends.
"""

import errno
import os
import socket
from collections.abc import Mapping
from typing import Final

from cds_service.errors import SettingsError

_WAITING: Final = 1024  # connections that the kernel keeps until a worker takes them
_PROBLEMS: Final[Mapping[int, str]] = {
    errno.EADDRINUSE: "CDS_PORT: something listens on {} already; end it, or choose another port",
    errno.EACCES: "CDS_PORT: this user may not listen on {}; choose a port from 1024 on",
    errno.EADDRNOTAVAIL: "CDS_HOST: {} is no address of this machine",
}


def listening_socket(host: str, port: int) -> socket.socket:
    """A socket that listens on this address alone; port 0 gets a free one.

    Raises `SettingsError` if the address cannot be had, above all if it is in use.
    """
    shown = shown_address(host, port)
    try:
        family, _, _, _, address = socket.getaddrinfo(
            host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )[0]
        both = family == socket.AF_INET6 and host == "::" and socket.has_dualstack_ipv6()
        listening = socket.create_server(
            address[:2], family=family, backlog=_WAITING, dualstack_ipv6=both
        )
    except socket.gaierror:
        raise SettingsError([f"CDS_HOST: {host} is no address and no name of one"]) from None
    except OSError as error:
        number = error.errno or 0
        problem = _PROBLEMS.get(number, f"CDS_HOST: cannot listen on {{}}: {os.strerror(number)}")
        raise SettingsError([problem.format(shown)]) from None
    listening.set_inheritable(True)  # for workers that do not begin as a copy of this process
    return listening


def shown_address(host: str, port: int) -> str:
    """Host and port as they stand in a URL.

    >>> shown_address("::1", 8000)
    '[::1]:8000'
    """
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
