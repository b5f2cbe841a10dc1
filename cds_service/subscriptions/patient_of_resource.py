# SPDX-License-Identifier: Apache-2.0
"""Whose a resource is that names its patient in another way than by an id of its server.

By an identifier, by a search (`Patient?identifier=...`), or by an address that the server has
inside of its own network: the server is asked which patient that is.
"""

from datetime import timedelta
from typing import Final
from urllib.parse import parse_qsl, quote

from msgspec import DecodeError, Raw, Struct, ValidationError
from msgspec.json import Decoder

from cds_service.fhir.elements import NOTHING
from cds_service.fhir.references import parts_of
from cds_service.subscriptions.notified_resource import NotifiedResource, is_resource
from cds_service.subscriptions.server_reader import ServerReader
from cds_service.subscriptions.work import Retry

_WAIT: Final = timedelta(hours=1)  # the patient may be stored after the result


class _Identifier(Struct):
    system: str | None = None
    value: str | None = None


class _Reference(Struct):
    reference: str | None = None
    identifier: _Identifier | None = None
    type: str | None = None


class _Named(Struct):
    subject: Raw = NOTHING
    patient: Raw = NOTHING


_NAMED: Final = Decoder(_Named)
_REFERENCE: Final = Decoder(_Reference | None)


def patient_named(reader: ServerReader, server: str, notified: NotifiedResource) -> str:
    """The id of the patient, empty if the resource names none.

    Raises `Retry` (`patient-unknown`) if the server finds none that is named so, or several.
    """
    queries = [
        asked for reference in _references(notified) if (asked := _query(reference, notified))
    ]
    if not queries:
        return ""
    for query, patient in queries:
        ids = {
            patient or resource.id for resource in reader.found(server, query) if not resource.gone
        }
        if len(ids) == 1:
            return ids.pop()
    raise Retry("patient-unknown", within=_WAIT)


def _references(notified: NotifiedResource) -> list[_Reference]:
    listed = []
    try:
        named = _NAMED.decode(notified.body or b"{}")
        for raw in (named.subject, named.patient):
            reference = _REFERENCE.decode(raw)
            if reference is not None:
                listed.append(reference)
    except (ValidationError, DecodeError):
        pass
    return listed


def _query(reference: _Reference, notified: NotifiedResource) -> tuple[str, str] | None:
    """The query to ask, and the patient that a hit proves (else the patient it finds)."""
    text = reference.reference or ""
    if text.startswith("Patient?"):
        wanted = [value for name, value in parse_qsl(text[8:]) if name == "identifier"]
        return (_by_identifier(wanted[0]), "") if len(wanted) == 1 else None
    there = parts_of(text)
    if there.base and there.kind == "Patient" and is_resource("Patient", there.id):
        query = (
            f"{notified.type}?_id={quote(notified.id, safe='')}&patient={quote(there.id, safe='')}"
        )
        return query, there.id
    if text or reference.identifier is None or not reference.identifier.value:
        return None
    if reference.type not in {None, "Patient"}:
        return None
    system = reference.identifier.system
    value = reference.identifier.value
    return _by_identifier(value if system is None else f"{system}|{value}"), ""


def _by_identifier(token: str) -> str:
    return f"Patient?identifier={quote(token, safe='')}"
