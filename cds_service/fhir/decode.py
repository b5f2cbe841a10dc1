# SPDX-License-Identifier: Apache-2.0
"""JSON of one resource -> the resource, with what could not be read set aside.

A Bundle is read entry by entry, so that one bad resource does not cost the good ones. This is the
second pass: the caller has tried to decode the whole at once and failed.
"""

import re
from collections import Counter
from collections.abc import Iterable, Iterator

from msgspec import Raw, Struct, ValidationError
from msgspec.json import Decoder

from cds_service.copying import replace
from cds_service.fhir.elements import NOTHING, CodeableConcept, Link, Many
from cds_service.fhir.json_checks import Outline, unread_resources
from cds_service.fhir.resource_types import RESOURCE_TYPES
from cds_service.fhir.resources import (
    BUNDLE_MEMBERS,
    CHARTED,
    Bundle,
    Entry,
    Resource,
    Response,
    Unread,
    counts_of,
)


class Unreadable(Struct, frozen=True, kw_only=True):
    """A part that was set aside: where it stood and what was expected there, never its value.

    `code`, `time` and the codes of its `parts` are what can still be read of an Observation, so
    that its loss can be named; `None` stands for a part whose code cannot be read either.
    `key` is the prefetch key that it came under.
    """

    where: str
    expected: str
    resource_type: str = ""  # empty if the part is no resource that is read
    id: str = ""
    code: CodeableConcept | None = None
    parts: tuple[CodeableConcept | None, ...] = ()
    time: str = ""
    key: str = ""


class _Loose(Struct):
    resourceType: Raw = NOTHING  # noqa: N815 - the name on the wire
    id: Raw = NOTHING
    resource: Raw = NOTHING
    total: Raw = NOTHING
    link: Raw = NOTHING
    entry: Raw = NOTHING
    fullUrl: Raw = NOTHING  # noqa: N815 - the name on the wire
    response: Raw = NOTHING
    code: Raw = NOTHING
    component: Raw = NOTHING
    contained: Raw = NOTHING
    effectiveDateTime: Raw = NOTHING  # noqa: N815 - the name on the wire


_RESOURCE: Decoder[Resource | None] = Decoder(Resource | None)
_LOOSE: Decoder[_Loose] = Decoder(_Loose)
_LIST: Decoder[list[Raw]] = Decoder(list[Raw])
_TEXT: Decoder[str] = Decoder(str)
_LINK: Decoder[Link] = Decoder(Link)
_CONCEPT: Decoder[CodeableConcept] = Decoder(CodeableConcept)
_RESPONSE: Decoder[Response] = Decoder(Response)
_MEMBERS: Decoder[dict[str, Raw]] = Decoder(dict[str, Raw])

_LOST = Entry(resource=Unread())

# Each level of Bundles in Bundles is decoded again in this pass: the work stays a small multiple.
_DEEPEST = 8

# The words of msgspec -> words for people.
_WORDS = {
    "object": "an object",
    "array": "an array",
    "str": "a string",
    "int": "an integer",
    "float": "a number",
    "bool": "true or false",
}


def explained(error: ValidationError, where: str) -> tuple[str, str]:
    """The path of the fault and what was expected there; nothing that was received."""
    message, _, inside = str(error).partition(" - at ")
    path = where + inside.strip("`").removeprefix("$")
    if message.startswith("Expected `"):
        kinds = message.removeprefix("Expected `").partition("`")[0].split(" | ")
        return path, "expected " + " or ".join(_WORDS.get(kind, "null") for kind in kinds)
    if message.startswith("Object missing required field `"):
        name = message.removeprefix("Object missing required field `").rstrip("`")
        return f"{path}.{name}", "expected, but missing"
    return path, "expected a value that FHIR R4 and CDS Hooks allow here"


def read_loosely(
    data: Raw | bytes, where: str, depth: int = 0
) -> tuple[Resource | None, tuple[Unreadable, ...]]:
    """The resource, or `None` if it is no resource that is read, and what was set aside.

    An object without `resourceType` that wraps one in `resource` is unwrapped: the samples of
    clinical reasoning pages and of CDS Hooks before 1.0 are written so.
    """
    try:
        return _RESOURCE.decode(data), ()
    except ValidationError as error:
        fault = explained(error, where)
    try:
        loose = _LOOSE.decode(data)
    except ValidationError:
        return None, (Unreadable(where=where, expected="expected a FHIR resource"),)
    kind = _text(loose.resourceType)
    if depth < _DEEPEST:
        if kind is None and bytes(loose.resource) != b"null":
            return read_loosely(loose.resource, f"{where}.resource", depth + 1)
        if kind == "Bundle":
            return _bundle(data, loose, where, depth)
    path, expected = fault
    if kind is not None and kind not in RESOURCE_TYPES:
        path, expected = f"{where}.resourceType", "expected a resource type of FHIR R4"
    if kind == "Observation":
        return None, (_lost_result(loose, path, expected),)
    named = kind if kind is not None and kind in RESOURCE_TYPES else ""
    return None, (replace(_fault(path, expected, named), id=_text(loose.id) or ""),)


def unread_parts(
    text: bytes,
    outline: Outline,
    read: Iterable[Resource | None],
    named: Iterable[Unreadable],
    *,
    drafts: Resource | None = None,
    roots: str = r"\$",
    where: str = "",
) -> Iterator[Unreadable]:
    """The resources of a text that stand where none is read and that nothing names yet.

    `read`, `drafts` (orders being made) and `named` are what came of reading the resources whose
    paths `roots` matches. `where` is put before each path.
    """
    named = list(named)
    observations, charted = counts_of(read)
    if drafts is not None:
        charted += counts_of((drafts,)).charted
    if named:
        lost = Counter(fault.resource_type for fault in named)
        observations += lost["Observation"]
        charted += sum(lost[kind.__name__] for kind in CHARTED)
    if (outline.observations, outline.charted) == (observations, charted):
        return
    known = tuple(fault.where for fault in named)
    for path, data in unread_resources(text, re.compile(roots)):
        if not f"{where}{path}".startswith(known):
            loose = _LOOSE.decode(data)
            if (kind := _text(loose.resourceType)) == "Observation":
                yield _lost_result(loose, f"{where}{path}", "expected no result here")
            else:
                fault = _fault(f"{where}{path}", "expected no such resource here", kind or "")
                yield replace(fault, id=_text(loose.id) or "")


def _lost_result(loose: _Loose, where: str, expected: str) -> Unreadable:
    return Unreadable(
        where=where,
        expected=expected,
        resource_type="Observation",
        id=_text(loose.id) or "",
        code=_concept(loose.code),
        parts=tuple(_codes_of_parts(loose)),
        time=_text(loose.effectiveDateTime) or "",
    )


def _codes_of_parts(loose: _Loose) -> Iterator[CodeableConcept | None]:
    for raw in (loose.component, loose.contained):
        try:
            parts = [_LOOSE.decode(part) for part in _list(raw)]
        except ValidationError:
            yield None
            continue
        for part in parts:
            yield _concept(part.code)
            yield from _codes_of_parts(part)


def _bundle(
    data: Raw | bytes, loose: _Loose, where: str, depth: int
) -> tuple[Bundle | None, tuple[Unreadable, ...]]:
    if loose.entry is NOTHING and not BUNDLE_MEMBERS.issuperset(_MEMBERS.decode(data)):
        # Whatever is written where FHIR has no member may be the entries.
        return None, (_fault(where, "expected a Bundle with its entries in entry", "Bundle"),)
    try:
        raw_entries = _list(loose.entry)
    except ValidationError:
        return None, (_fault(f"{where}.entry", "expected an array", "Bundle"),)
    entries: list[Entry] = []
    unreadable: list[Unreadable] = []
    for place, raw in enumerate(raw_entries):
        entry, faults = _entry(raw, f"{where}.entry[{place}]", depth)
        unreadable.extend(faults)
        entries.append(entry)
    bundle = Bundle(total=loose.total, link=_links(loose.link), entry=entries)
    return bundle, tuple(unreadable)


def _entry(raw: Raw, where: str, depth: int) -> tuple[Entry, tuple[Unreadable, ...]]:
    """One entry; it may hold a response alone, and one that holds nothing is a fault.

    What cannot be read keeps its place, for the server counted it in the total.
    """
    try:
        loose = _LOOSE.decode(raw)
    except ValidationError:
        return _LOST, (_fault(where, "expected an object"),)
    if bytes(loose.resource) != b"null":
        resource, faults = read_loosely(loose.resource, f"{where}.resource", depth + 1)
        if resource is None:
            return _LOST, faults
        return Entry(full_url=_text(loose.fullUrl), resource=resource), faults
    response = _response(loose.response)
    if response is not None and response.status:
        return Entry(response=response), ()
    return _LOST, (_fault(f"{where}.resource", "expected a FHIR resource"),)


def _fault(where: str, expected: str, resource_type: str = "") -> Unreadable:
    return Unreadable(where=where, expected=expected, resource_type=resource_type)


def _list(raw: Raw) -> list[Raw]:
    """The items; a single object stands for an array of one."""
    text = bytes(raw)
    if text == b"null":
        return []
    return [raw] if text.startswith(b"{") else _LIST.decode(raw)


def _links(raw: Raw) -> Many[Link]:
    try:
        return [_link(link) for link in _list(raw)]
    except ValidationError:
        return [_link(raw)]


def _link(raw: Raw) -> Link:
    try:
        return _LINK.decode(raw)
    except ValidationError:
        return Link(relation="next")  # what cannot be read may be the link to the next page


def _response(raw: Raw) -> Response | None:
    try:
        return None if raw is NOTHING else _RESPONSE.decode(raw)
    except ValidationError:
        return None


def _concept(raw: Raw) -> CodeableConcept | None:
    try:
        return None if raw is NOTHING else _CONCEPT.decode(raw)
    except ValidationError:
        return None


def _text(raw: Raw) -> str | None:
    try:
        return _TEXT.decode(raw)
    except ValidationError:
        return None
