# SPDX-License-Identifier: Apache-2.0
"""Open mode: no client authentication, for this machine alone (design.md, section 7).

It exists only while the service listens on loopback and no public address is configured, and it
refuses whatever shows that a request came from elsewhere: a peer that is not this machine, a
proxy's headers, or a Host that a web page could have pointed here (DNS rebinding).
"""

from urllib.parse import urlsplit

from flask import Request

from cds_service.errors import SettingsError
from cds_service.settings import Settings, is_loopback, is_open

_OF_PROXIES = ("Forwarded", "X-Real-Ip", "Via")
_OF_PROXIES_BEGIN = "X-Forwarded-"


def refuse_unless_open(settings: Settings) -> None:
    """Raise `SettingsError` if others could reach the service: it could not tell who they are."""
    if is_open(settings):
        return
    problems = []
    if not is_loopback(settings.host):
        problems.append(
            "CDS_HOST: this version cannot authenticate clients, so it listens on this machine "
            "only; use 127.0.0.1 or ::1"
        )
    if settings.public_url is not None:
        problems.append(
            "CDS_PUBLIC_URL: this version cannot authenticate clients, so it has no public "
            "address; leave it unset"
        )
    raise SettingsError(problems)


def why_refused(request: Request) -> str | None:
    """Why a request may not be answered in open mode, or `None`."""
    if not is_loopback(request.remote_addr or ""):
        return "Without client authentication only this machine is answered."
    if any(_is_of_proxy(name) for name in request.headers.keys()):  # noqa: SIM118 - pairs
        return "Without client authentication no request is answered that came through a proxy."
    host = request.headers.get("Host")
    if host is not None and not is_loopback(_name_in(host)):
        return "Without client authentication the Host must be 127.0.0.1, ::1 or localhost."
    return None


def _is_of_proxy(name: str) -> bool:
    title = name.title()
    return title in _OF_PROXIES or title.startswith(_OF_PROXIES_BEGIN)


def _name_in(host: str) -> str:
    """The name in a Host header, without its port; empty if it cannot be read."""
    try:
        return urlsplit(f"//{host}").hostname or ""
    except ValueError:
        return ""
