# SPDX-License-Identifier: Apache-2.0
"""Where FHIR servers send notifications to: `CDS_PUBLIC_URL` and the path of the Subscription."""

from typing import Final
from urllib.parse import urlsplit

from cds_service.fhir_client.servers import Server
from cds_service.outgoing.address_policy import is_this_machine
from cds_service.settings import Settings

PATH: Final = "/subscriptions"
_EVERY_ADDRESS: Final = {"0.0.0.0": "127.0.0.1", "::": "[::1]"}  # noqa: S104 - not listened on here


def endpoints_below(settings: Settings, server: Server) -> str | None:
    """The address below which the endpoints of this server's Subscriptions lie.

    In development a server of this machine may send to where the service listens. `None` if the
    server cannot reach the service, or only without TLS over a network.
    """
    if settings.public_url is not None:
        url = settings.public_url.rstrip("/")
        is_safe = urlsplit(url).scheme == "https" or is_this_machine(url)
        return f"{url}{PATH}" if is_safe or settings.profile == "development" else None
    if settings.profile != "development" or not is_this_machine(server.base) or not settings.port:
        return None
    host = _EVERY_ADDRESS.get(settings.host, settings.host)
    shown = f"[{host}]" if ":" in host and not host.startswith("[") else host
    scheme = "http" if settings.tls_key is None else "https"
    return f"{scheme}://{shown}:{settings.port}{PATH}"


def path_in(endpoint: str) -> str:
    """The path of the Subscription in an endpoint, empty if it is none of ours."""
    before, _, path = endpoint.rpartition("/")
    return path if before.endswith(PATH) else ""
