# SPDX-License-Identifier: Apache-2.0
"""Where a listener can be reached."""

import asyncio
import socket

import pytest

from cds_service.mllp.connecting import listening_sockets


@pytest.mark.parametrize("address", ["127.0.0.1", "::1"])
def test_all_addresses_of_ipv6_are_all_of_the_machine(address: str) -> None:
    """As the guide to Kubernetes has it of `listenOn: "::"`, for every port."""
    (listening,) = asyncio.run(listening_sockets("::", 0))
    with listening:
        port = listening.getsockname()[1]
        with socket.create_connection((address, port), timeout=5):
            pass
