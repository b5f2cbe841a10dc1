# SPDX-License-Identifier: Apache-2.0
"""The body of a CDS Hooks call -> `HookRequest`.

The body is decoded once, into the members that are read. Only if that fails is it decoded a
second time, resource by resource, so that one bad resource costs itself alone. Unknown members
are ignored everywhere. Errors say what was expected and where, never what was received.

A key that comes twice in one object is refused, wherever it stands: one of its values would be
lost. `max_depth` bounds the Bundles in Bundles that are opened; how deep the JSON itself is nested
is looked at where a body is taken in.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field

from msgspec import DecodeError, Raw, Struct, ValidationError
from msgspec.json import Decoder

from cds_service.copying import replace
from cds_service.errors import PayloadTooLarge, RequestError
from cds_service.fhir.bundles import Fetched, fetched, page_of, unreadable_entries
from cds_service.fhir.decode import Unreadable, explained, read_loosely, unread_parts
from cds_service.fhir.elements import NOTHING
from cds_service.fhir.json_checks import checked_outline
from cds_service.fhir.references import plain_id
from cds_service.fhir.resources import Bundle, Entry, Resource
from cds_service.prefetch_keys import SERVICE_REQUESTS

REQUIRED_CONTEXT: dict[str, tuple[str, ...]] = {
    "patient-view": ("userId", "patientId"),
    "order-select": ("userId", "patientId", "selections", "draftOrders"),
    "order-sign": ("userId", "patientId", "draftOrders"),
    "appointment-book": ("userId", "patientId"),
    "encounter-start": ("userId", "patientId", "encounterId"),
    "encounter-discharge": ("userId", "patientId", "encounterId"),
}
"""The context members that each hook of the CDS Hooks library requires.

Members that a newer version of a hook adds are ignored (CDS Hooks 2.0.1, "Changes to a Hook").
"""
OTHERWISE_REQUIRED = ("patientId",)  # a site's own hook, named in reverse-domain style

# A UUID of any version, as RFC 4122 writes it: Epic sends version 1.
_UUID = re.compile(r"(?:urn:uuid:)?([0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12})", re.IGNORECASE)
_URL = re.compile(r"https?://[^\s/?#@]+(/[^\s?#]*)?", re.IGNORECASE)
_DRAFTS = "$.context.draftOrders"
_PLAIN_KEY = re.compile(r"[A-Za-z][A-Za-z0-9_-]{0,39}")
# What reading begins with: the resources under the keys of the prefetch, and the draft orders.
_ROOTS = r"\$\.prefetch(?:\.\w+|\[[0-9]+\])|(?P<orders>\$\.context\.draftOrders)"


@dataclass(frozen=True, slots=True, kw_only=True)
class Authorization:
    """The access token of the CDS Client; it never appears in a representation."""

    access_token: str = field(repr=False)
    expires_in: int
    scope: str
    subject: str = field(repr=False)
    patient: str | None = field(default=None, repr=False)


class HookRequest(Struct, frozen=True, kw_only=True, gc=False):
    """One call of a hook, checked. `prefetch` holds the keys that were asked for only.

    A key with a value that is no resource is not among them: it counts as not sent. `unreadable`
    lists what was set aside. `fetched` holds what the service asked the FHIR server for itself, by
    key of discovery: "whole", or a word of `fhir_client.failures`.
    """

    hook: str
    hook_instance: str  # lower case, without `urn:uuid:`
    patient_id: str
    user_id: str | None = None
    encounter_id: str | None = None
    selections: tuple[str, ...] = ()
    draft_orders: tuple[Entry, ...] | None = None
    fhir_server: str | None = None
    authorization: Authorization | None = None
    prefetch: Mapping[str, Fetched] = {}
    extension: Mapping[str, object] = {}
    unreadable: tuple[Unreadable, ...] = ()
    fetched: Mapping[str, str] = {}

    @property
    def is_of_patient(self) -> bool:
        """Whether the user is a patient, or speaks for one, and no clinician.

        CDS Hooks 2.0.1, the context of every hook: `userId` is a Practitioner, PractitionerRole,
        Patient or RelatedPerson.
        """
        kinds = (self.user_id or "").split("/")[:-1]
        return bool(kinds) and kinds[-1].strip() in {"Patient", "RelatedPerson"}

    @property
    def has_authorization(self) -> bool:
        """Whether a token came with the call."""
        return self.authorization is not None


class _Authorization(Struct, frozen=True, gc=False):
    access_token: str
    token_type: str
    expires_in: int
    scope: str
    subject: str
    patient: str | None = None


class _Context(Struct, frozen=True, gc=False, rename="camel"):
    user_id: str | None = None
    patient_id: str | None = None
    encounter_id: str | None = None
    selections: list[str] | None = None
    draft_orders: Resource | None = None


class _LooseContext(Struct, frozen=True, gc=False, rename="camel"):
    user_id: str | None = None
    patient_id: str | None = None
    encounter_id: str | None = None
    selections: list[str] | None = None
    draft_orders: Raw = NOTHING


class _Head(Struct, frozen=True, gc=False, rename="camel"):
    hook: str
    hook_instance: str
    fhir_server: str | None = None
    fhir_authorization: _Authorization | None = None
    extension: Raw = NOTHING


class _Body(_Head, frozen=True, kw_only=True):
    context: _Context
    prefetch: dict[str, Resource | None] | None = None


class _LooseBody(_Head, frozen=True, kw_only=True):
    context: _LooseContext
    prefetch: dict[str, Raw] | None = None


class _Parts(Struct, frozen=True, kw_only=True, gc=False):
    """A body of either pass."""

    head: _Head
    context: _Context
    prefetch: Mapping[str, Resource | None]
    unreadable: tuple[Unreadable, ...] = ()


_BODY: Decoder[_Body] = Decoder(_Body)
_LOOSE_BODY: Decoder[_LooseBody] = Decoder(_LooseBody)
_OBJECT: Decoder[dict[str, object]] = Decoder(dict[str, object])


def read_request(body: bytes, *, max_depth: int, max_entries: int) -> HookRequest:
    """The call that the body is; raises `RequestError`, of which `PayloadTooLarge` is one."""
    check_text(body)
    try:
        parts = _decoded(body)
        outline = checked_outline(body)
    except RecursionError:
        raise PayloadTooLarge("The JSON is nested too deeply.") from None
    except DecodeError as error:  # msgspec names the fault and the byte, nothing of the content
        raise RequestError(f"The body is not valid JSON: {error}.") from None
    unread = unread_parts(
        body,
        outline,
        parts.prefetch.values(),
        parts.unreadable,
        drafts=parts.context.draft_orders,
        roots=_ROOTS,
    )
    parts = replace(parts, unreadable=(*parts.unreadable, *unread))
    return _checked(parts, max_depth, max_entries)


def check_text(body: bytes) -> None:
    """Raise `RequestError` for bytes that are not UTF-8: skipped members are not decoded."""
    if body.startswith(b"\xef\xbb\xbf"):  # RFC 8259, section 8.1: none must be added
        raise RequestError("The body begins with a byte order mark; JSON has none.")
    if not body.isascii():
        try:
            body.decode()
        except UnicodeDecodeError:
            raise RequestError("The body is not UTF-8 throughout.") from None


def _decoded(body: bytes) -> _Parts:
    try:
        whole = _BODY.decode(body)
    except ValidationError:
        return _decoded_loosely(body)
    return _Parts(head=whole, context=whole.context, prefetch=whole.prefetch or {})


def _decoded_loosely(body: bytes) -> _Parts:
    try:
        loose = _LOOSE_BODY.decode(body)
    except ValidationError as error:
        where, expected = explained(error, "$")
        raise RequestError(f"This is not as CDS Hooks has it: {expected}.", where) from None
    prefetch: dict[str, Resource | None] = {}
    unreadable: list[Unreadable] = []
    for place, (key, raw) in enumerate((loose.prefetch or {}).items()):
        value, faults = read_loosely(raw, _path_of(key, place))
        unreadable.extend(replace(fault, key=key) for fault in faults)
        if value is not None or bytes(raw) == b"null":
            prefetch[key] = value
    drafts, faults = read_loosely(loose.context.draft_orders, _DRAFTS)
    context = _Context(
        user_id=loose.context.user_id,
        patient_id=loose.context.patient_id,
        encounter_id=loose.context.encounter_id,
        selections=loose.context.selections,
        draft_orders=drafts,
    )
    unreadable.extend(replace(fault, key=SERVICE_REQUESTS) for fault in faults)
    return _Parts(head=loose, context=context, prefetch=prefetch, unreadable=tuple(unreadable))


def _path_of(key: str, place: int) -> str:
    """The path of a prefetch key, which is the client's text: shown only if it is a plain name."""
    return f"$.prefetch.{key}" if _PLAIN_KEY.fullmatch(key) else f"$.prefetch[{place}]"


def _checked(parts: _Parts, max_depth: int, max_entries: int) -> HookRequest:
    head, context = parts.head, parts.context
    _check_context(head.hook, context)
    patient_id = plain_id(context.patient_id or "")
    prefetch = {key: fetched(value, max_depth) for key, value in parts.prefetch.items()}
    drafts = _drafts(context.draft_orders, max_depth)
    unread = [
        unreadable
        for place, (key, part) in enumerate(prefetch.items())
        if part.unread
        for unreadable in unreadable_entries(part, _path_of(key, place), key)
    ]
    if drafts is not None:
        unread.extend(unreadable_entries(drafts, _DRAFTS, SERVICE_REQUESTS))
    orders = None if drafts is None else drafts.entries
    count = sum(len(part.entries) for part in prefetch.values()) + len(orders or ())
    if count > max_entries:
        raise PayloadTooLarge(f"There are more than {max_entries} resources in the body.")
    return HookRequest(
        hook=head.hook,
        hook_instance=_hook_instance(head.hook_instance),
        patient_id=patient_id,
        user_id=context.user_id or None,
        encounter_id=context.encounter_id or None,
        selections=tuple(context.selections or ()),
        draft_orders=orders,
        fhir_server=_fhir_server(head),
        authorization=_authorization(head, patient_id),
        prefetch=prefetch,
        extension=_extension(head.extension),
        unreadable=(*parts.unreadable, *unread),
    )


def _check_context(hook: str, context: _Context) -> None:
    if not hook.strip():
        raise RequestError("Expected the name of a hook.", "$.hook")
    sent = {
        "userId": bool(context.user_id),
        "patientId": bool(plain_id(context.patient_id or "")),
        "encounterId": bool(context.encounter_id),
        "selections": context.selections is not None,
        "draftOrders": context.draft_orders is not None,
    }
    for name in REQUIRED_CONTEXT.get(hook, OTHERWISE_REQUIRED):
        if not sent[name]:
            raise RequestError(f"Expected {_MEMBERS[name]}.", f"$.context.{name}")


_MEMBERS = {
    "userId": "the user as ResourceType/id",
    "patientId": "the id of a Patient",
    "encounterId": "the id of an Encounter",
    "selections": "an array of references to the orders that were selected",
    "draftOrders": "a Bundle of the orders that are being made",
}


def _drafts(resource: Resource | None, max_depth: int) -> Fetched | None:
    if resource is None:
        return None
    if not isinstance(resource, Bundle):
        raise RequestError(f"Expected {_MEMBERS['draftOrders']}.", _DRAFTS)
    return page_of(resource, max_depth)


def _hook_instance(text: str) -> str:
    match = _UUID.fullmatch(text.strip())
    if match is None:
        raise RequestError("Expected a UUID.", "$.hookInstance")
    return match[1].lower()


def _fhir_server(head: _Head) -> str | None:
    url = head.fhir_server
    if url is None or url == "":
        if head.fhir_authorization is not None:  # CDS Hooks 2.0.1, "HTTP Request": fhirServer
            raise RequestError(
                "Expected the base URL that fhirAuthorization is for.", "$.fhirServer"
            )
        return None
    if not _URL.fullmatch(url):
        raise RequestError("Expected the base URL of a FHIR server.", "$.fhirServer")
    return url


def _authorization(head: _Head, patient_id: str) -> Authorization | None:
    sent = head.fhir_authorization
    if sent is None:
        return None
    where = "$.fhirAuthorization"
    if not sent.access_token:
        raise RequestError("Expected an access token.", f"{where}.access_token")
    if sent.token_type.lower() != "bearer":
        raise RequestError("Expected Bearer.", f"{where}.token_type")
    if sent.patient and plain_id(sent.patient) != patient_id:
        raise RequestError("Expected the patient of context.patientId.", f"{where}.patient")
    return Authorization(
        access_token=sent.access_token,
        expires_in=sent.expires_in,
        scope=sent.scope,
        subject=sent.subject,
        patient=plain_id(sent.patient) if sent.patient else None,
    )


def _extension(raw: Raw) -> Mapping[str, object]:
    if raw is NOTHING:
        return {}
    try:
        return _OBJECT.decode(raw)
    except (DecodeError, RecursionError):  # nothing depends on it
        return {}
