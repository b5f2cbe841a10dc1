# SPDX-License-Identifier: Apache-2.0
"""Whether the service may start as it is set up, and open mode (design.md, section 7).

Open mode, without client authentication, is for this machine alone. It exists only while no client
and no public address is configured and the service listens on loopback, and it refuses whatever
shows that a request came from elsewhere: a peer that is not this machine, a proxy's headers, or a
Host that a web page could have pointed here (DNS rebinding).
"""

from collections.abc import Iterable, Iterator
from functools import lru_cache
from urllib.parse import urlsplit

from cds_service.errors import SettingsError
from cds_service.settings import Settings, is_loopback

_OF_PROXIES = ("Forwarded", "X-Real-Ip", "Via")
_OF_PROXIES_BEGIN = "X-Forwarded-"


def refuse_unsafe(settings: Settings) -> None:
    """Raise `SettingsError` if others could reach the service and it could not trust them."""
    problems = [
        *(_with_clients(settings) if settings.clients is not None else _without(settings)),
        *_of_development(settings),
        *_of_tls(settings),
    ]
    if problems:
        raise SettingsError(problems)


def _with_clients(settings: Settings) -> Iterator[str]:
    if settings.public_url is None:
        yield "CDS_PUBLIC_URL: registered clients sign for the address that they call; set it"
    elif settings.profile == "production" and not settings.public_url.startswith("https://"):
        # CDS Hooks 2.0.1, "Security and Safety": all that is exchanged is sent over TLS
        yield "CDS_PUBLIC_URL: in production clients call by https; TLS may end at a proxy"


def _without(settings: Settings) -> Iterator[str]:
    why = "without CDS_CLIENTS the service cannot tell who calls"
    if not is_loopback(settings.host):
        yield f"CDS_HOST: {why}, so it listens on this machine only; use 127.0.0.1 or ::1"
    if settings.public_url is not None:
        yield f"CDS_PUBLIC_URL: {why}, so it has no public address; leave it unset"
    if settings.trusted_proxies:
        yield f"CDS_TRUSTED_PROXIES: {why}, so nothing is answered that came through a proxy"
    if settings.discovery == "protected":
        yield f"CDS_DISCOVERY: {why}, so it cannot protect the list of services"


def _of_development(settings: Settings) -> Iterator[str]:
    if settings.development_origins and settings.profile != "development":
        yield "CDS_DEVELOPMENT_ORIGINS: only CDS_PROFILE=development has any; register a client's"


def _of_tls(settings: Settings) -> Iterator[str]:
    if (settings.tls_certificate is None) != (settings.tls_key is None):
        yield "CDS_TLS_KEY: a certificate and its key go together; set CDS_TLS_CERTIFICATE as well"


def why_refused(peer: str, names: Iterable[str], host: str | None) -> str | None:
    """Why a request may not be answered in open mode, or `None`.

    `names` are those of its headers, of which `host` is one.
    """
    if not _is_this_machine(peer):
        return "Without client authentication only this machine is answered."
    if any(_is_of_proxy(name) for name in names):
        return "Without client authentication no request is answered that came through a proxy."
    if host is not None and not _names_this_machine(host):
        return "Without client authentication the Host must be 127.0.0.1, ::1 or localhost."
    return None


@lru_cache(maxsize=256)  # clients send the same headers again and again
def _is_of_proxy(name: str) -> bool:
    title = name.title()
    return title in _OF_PROXIES or title.startswith(_OF_PROXIES_BEGIN)


@lru_cache(maxsize=256)
def _is_this_machine(peer: str) -> bool:
    return is_loopback(peer)


@lru_cache(maxsize=256)
def _names_this_machine(host: str) -> bool:
    return is_loopback(_name_in(host))


def _name_in(host: str) -> str:
    """The name in a Host header, without its port; empty if it cannot be read."""
    try:
        return urlsplit(f"//{host}").hostname or ""
    except ValueError:
        return ""
