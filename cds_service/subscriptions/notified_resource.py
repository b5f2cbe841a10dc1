# SPDX-License-Identifier: Apache-2.0
"""What a notification tells of one resource: which version, of which patient, and its content.

JSON of a resource, or a reference to one -> `NotifiedResource`. Only what is needed to keep and
order it is read; a resource that is odd elsewhere is kept all the same. No server is asked here.
"""

import re
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Final, NamedTuple

from msgspec import DecodeError, Raw, Struct, ValidationError
from msgspec.json import Decoder

from cds_service.errors import RequestError
from cds_service.fhir.elements import NOTHING, Meta
from cds_service.fhir.references import parts_of, server_of
from cds_service.fhir.resource_types import RESOURCE_TYPES
from cds_service.fhir.tags import is_own_proposal
from cds_service.iso_times import moment_of

# Ids of real servers are longer than R4 allows, and some hold an underscore.
_ID: Final = re.compile(r"(?!\.+$)[A-Za-z0-9._~-]{1,255}")
# Written in any zone these lie within what databases keep.
_MIN, _MAX = (datetime(year, 1, 2, tzinfo=UTC) for year in (1900, 9999))
_HISTORY: Final = "/_history/"


@dataclass(frozen=True, slots=True, kw_only=True)
class NotifiedResource:
    """A resource that a notification tells of; without a `body` it has to be read.

    `version` and `updated` are as the server wrote them, if it did; `gone` says that the resource
    was deleted. `patient` is the id of the patient, empty if that is not known. `event` and
    `event_time` are those of its event.
    """

    type: str
    id: str
    version: str = ""
    updated: datetime | None = None
    gone: bool = False
    patient: str = ""
    body: bytes | None = field(default=None, repr=False)
    event: int | None = None
    event_time: datetime | None = None
    is_ours: bool = False  # written by this service, and so no news


class Address(NamedTuple):
    """Where a resource is: on which server (empty if relative), and which version of it."""

    server: str
    type: str
    id: str
    version: str


class _Reference(Struct):
    reference: str | None = None


class _Resource(Struct, rename="camel"):
    resource_type: str
    id: str | None = None
    meta: Raw = NOTHING
    subject: Raw = NOTHING
    patient: Raw = NOTHING


_RESOURCE: Final = Decoder(_Resource)
_META: Final = Decoder(Meta | None)
_REFERENCE: Final = Decoder(_Reference | None)


def address_of(reference: str) -> Address | None:
    """The parts of a reference to a resource, `None` for what is none.

    >>> address_of("http://fhir.example/r4/Observation/o1/_history/2")
    Address(server='fhir.example/r4', type='Observation', id='o1', version='2')
    >>> address_of("urn:uuid:c757873d-ec9a-4326-a141-556f43239520") is None
    True
    """
    plain, _, version = reference.partition(_HISTORY)
    pieces = plain.rsplit("/", 2)
    if len(pieces) < 2 or plain.startswith("urn:"):
        return None
    server = server_of(pieces[0]) if len(pieces) == 3 and pieces[0] else ""
    if (len(pieces) == 3 and pieces[0] and not server) or not is_resource(*pieces[-2:]):
        return None
    return Address(server, pieces[-2], pieces[-1], version if _ID.fullmatch(version) else "")


def is_resource(kind: str, identity: str) -> bool:
    """Whether these can be the type and the id of a resource."""
    return kind in RESOURCE_TYPES and _ID.fullmatch(identity) is not None


def read_resource(body: Raw | bytes, server: str, where: str) -> NotifiedResource:
    """What a resource tells of itself; raises `RequestError` if it cannot be kept by its id.

    Nor can it with a version or a time that are none: both are compared and kept.
    """
    try:
        found = _RESOURCE.decode(body)
    except ValidationError:
        raise RequestError("expected a FHIR resource with its type and id", where) from None
    except (DecodeError, RecursionError):
        raise RequestError("expected JSON of a FHIR resource", where) from None
    if found.resource_type not in RESOURCE_TYPES:
        raise RequestError("expected a resource type of FHIR R4", f"{where}.resourceType")
    if found.id is None or _ID.fullmatch(found.id) is None:
        raise RequestError("expected the id of the resource", f"{where}.id")
    meta = _meta(found.meta)
    if meta.version_id is not None and _ID.fullmatch(meta.version_id) is None:
        raise RequestError("expected a version that is a FHIR id", f"{where}.meta.versionId")
    updated = instant_of(meta.last_updated)
    if updated is not None and not _MIN <= updated <= _MAX:
        raise RequestError("expected an instant", f"{where}.meta.lastUpdated")
    return NotifiedResource(
        type=found.resource_type,
        id=found.id,
        version=meta.version_id or "",
        updated=updated,
        patient=_patient(found, server),
        body=bytes(body),
        is_ours=is_own_proposal(meta),
    )


def _meta(raw: Raw) -> Meta:
    try:
        return _META.decode(raw) or Meta()
    except ValidationError:
        return Meta()


def instant_of(text: str | None) -> datetime | None:
    """The instant in a text of FHIR, `None` if it is none."""
    try:
        found = moment_of(text or "")
    except ValueError:
        return None
    return None if found.tzinfo is None else found


def _patient(resource: _Resource, server: str) -> str:
    """The id of the patient that the resource is about, on the server that sent it."""
    if resource.resource_type == "Patient":
        return resource.id or ""
    for raw in (resource.subject, resource.patient):
        try:
            reference = _REFERENCE.decode(raw)
        except ValidationError:
            continue
        if reference is not None and reference.reference is not None:
            there = parts_of(reference.reference)
            is_here = there.base in {"", server_of(server)}
            if there.kind == "Patient" and is_here and is_resource("Patient", there.id):
                return there.id
    return ""
