# SPDX-License-Identifier: Apache-2.0
"""The Host of a request: exactly one, a name or address with or without a port, or a 400.

RFC 9112, section 3.2: a server answers 400 to a request of HTTP/1.1 without a Host, with several,
or with one of another form. Two programs could take such a request for different servers.
"""

import re
from functools import lru_cache
from ipaddress import AddressValueError, IPv6Address
from typing import Final

from cds_service.errors import RequestError

# RFC 3986, section 3.2.2, without what no name of a machine has: a user, a comma, an escape.
_HOST: Final = re.compile(r"(?:[A-Za-z0-9._-]+|\[([0-9A-Fa-f:.]+)\])(?::([0-9]{0,5}))?")
_LAST_PORT: Final = 65535


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
