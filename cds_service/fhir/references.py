# SPDX-License-Identifier: Apache-2.0
"""References and base URLs of FHIR servers, in one spelling each.

Two questions are asked of a URL, and they have different answers:

- *which server is this?* (`server_of`), to decide whose a resource is: one server may be called by
  http and by https;
- *is this the very base that was registered?* (`base_url`, `is_inside`), to decide where a request
  with a token may go: there the scheme counts, and what is unusual is equal to nothing.
"""

import re
from typing import Final, NamedTuple
from urllib.parse import SplitResult, unquote, urlsplit

from cds_service.remembering import remember_short

_PORTS: Final = {"http": 80, "https": 443}
_ID: Final = re.compile(r"[A-Za-z0-9.-]{1,64}")  # FHIR R4, "id"
_MAY_BE_PATIENT: Final = frozenset(("patient", "urn"))


class Parts(NamedTuple):
    """A reference taken apart; `base` is the server of an absolute one, as `server_of` has it."""

    base: str
    kind: str
    id: str

    @property
    def may_be_patient(self) -> bool:
        """Whether it can name a patient: by the type, or as an entry of a Bundle."""
        return self.kind.lower() in _MAY_BE_PATIENT


def parts_of(reference: str) -> Parts:
    """The server, type and id that a relative, absolute, versioned or `urn:` reference names.

    >>> parts_of("https://EHR.example:443/r4/Patient/p1/_history/2")
    Parts(base='ehr.example/r4', kind='Patient', id='p1')
    >>> parts_of("p1")
    Parts(base='', kind='Patient', id='p1')
    """
    if reference.startswith("urn:"):
        return Parts("", "urn", reference.rpartition(":")[2])
    pieces = reference.partition("/_history/")[0].rsplit("/", 2)
    if len(pieces) == 1:
        return Parts("", "Patient", pieces[0])
    base = server_of(pieces[0]) if len(pieces) == 3 else ""
    return Parts(base, pieces[-2], pieces[-1])


def plain_id(text: str) -> str:
    """A patient id without the `Patient/` that some clients put before it."""
    return text.strip().removeprefix("Patient/")


def is_id(text: str) -> bool:
    """Whether the text is an id as FHIR R4 has it; EHRs send others too."""
    return _ID.fullmatch(text) is not None


def relative_reference(kind: str, text: str | None) -> str | None:
    """`Type/id` of a resource, by its id or by a reference of this form; `None` for no FHIR id.

    A contained resource has no address of its own: the reference is to the one that contains it.

    >>> relative_reference("Observation", "Observation/panel#alt")
    'Observation/panel'
    """
    identity = (text or "").strip().removeprefix(f"{kind}/").partition("#")[0]
    return f"{kind}/{identity}" if is_id(identity) else None


@remember_short(longest=200, most=64)  # a site has few servers, and every call names one
def base_url(url: str) -> str:
    """The base URL of a FHIR server in its normal form.

    Scheme and host do not depend on case and the default port adds nothing (RFC 3986, section 6);
    slashes at the end are left out, as EHRs send them or not. A URL that is no plain base URL stays
    as it is, so that it equals no normal form: one with a user, a query, a fragment, a backslash,
    or anything but visible ASCII. Percent-encoding and dot segments are not resolved.

    >>> base_url("HTTPS://EHR.example:443/r4/")
    'https://ehr.example/r4'
    """
    parts = _split(url)
    if parts is None:
        return url
    scheme, host, port = _origin(parts)
    host = (host or "").removesuffix(".")
    shown = f"[{host}]" if ":" in host else host
    if port != _PORTS.get(scheme):
        shown = f"{shown}:{port}"
    return f"{scheme}://{shown}{parts.path.rstrip('/')}"


def is_base_url(url: str) -> bool:
    """Whether the text is a plain base URL, which `base_url` brings into its normal form.

    >>> is_base_url("https://ehr.example/r4"), is_base_url("https://user@ehr.example/r4")
    (True, False)
    """
    return _split(url) is not None


def server_of(url: str) -> str:
    """What identifies the server at a base URL, whether it is called by http or https.

    The normal form without its scheme, in lower case; empty for what is no absolute URL.

    >>> server_of("http://EHR.example:80/r4") == server_of("https://ehr.example/r4/")
    True
    """
    return base_url(url).partition("://")[2].rstrip("/").lower()


def is_inside(url: str, base: str) -> bool:
    """Whether the URL lies at or below the base: same scheme, host and port, and a path below it.

    >>> is_inside("https://ehr.example/r4/Patient?page=2", "https://ehr.example/r4")
    True
    >>> is_inside("https://ehr.example/r4/../admin", "https://ehr.example/r4")
    False
    """
    try:
        ours, theirs = urlsplit(base), urlsplit(url)
        same = _origin(ours) == _origin(theirs)
    except ValueError:
        return False
    if not same or theirs.username is not None:
        return False
    path = unquote(theirs.path)
    if "\\" in url or "\\" in path:  # readers of URLs differ over what a backslash ends
        return False
    return path == ours.path or (path.startswith(f"{ours.path}/") and "/.." not in path)


def _split(url: str) -> SplitResult | None:
    """The parts of a plain base URL, `None` for every other text."""
    if not url.isascii() or any(sign <= " " or sign in "\\?#\x7f" for sign in url):
        return None
    try:
        parts = urlsplit(url)
        host, _ = parts.hostname, parts.port
    except ValueError:
        return None
    if not host or host.endswith("..") or "@" in parts.netloc or parts.scheme not in _PORTS:
        return None
    return parts


def _origin(url: SplitResult) -> tuple[str, str | None, int | None]:
    """Scheme, host and port; raises `ValueError` for a port that is no number."""
    port = _PORTS.get(url.scheme) if url.port is None else url.port
    return url.scheme, url.hostname, port
