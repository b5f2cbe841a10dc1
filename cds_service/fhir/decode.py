# SPDX-License-Identifier: Apache-2.0
"""JSON of one resource -> the resource, with what could not be read set aside.

A Bundle is read entry by entry, so that one bad resource does not cost the good ones. This is the
second pass: the caller has tried to decode the whole at once and failed.
"""

from dataclasses import dataclass

from msgspec import Raw, Struct, ValidationError
from msgspec.json import Decoder

from cds_service.fhir.elements import NOTHING, Link, Many, many
from cds_service.fhir.resource_types import RESOURCE_TYPES
from cds_service.fhir.resources import Bundle, Entry, Resource


@dataclass(frozen=True, slots=True, kw_only=True)
class Unreadable:
    """A part that was set aside: where it stood and what was expected there, never its value."""

    where: str
    expected: str
    resource_type: str = ""  # empty if the part is no resource that is read
    id: str = ""


class _Loose(Struct):
    resourceType: Raw = NOTHING  # noqa: N815 - the name on the wire
    id: Raw = NOTHING
    resource: Raw = NOTHING
    total: Raw = NOTHING
    link: Raw = NOTHING
    entry: Raw = NOTHING
    fullUrl: Raw = NOTHING  # noqa: N815 - the name on the wire


_RESOURCE: Decoder[Resource | None] = Decoder(Resource | None)
_LOOSE: Decoder[_Loose] = Decoder(_Loose)
_LIST: Decoder[list[Raw]] = Decoder(list[Raw])
_TEXT: Decoder[str] = Decoder(str)
_LINKS: Decoder[Many[Link]] = Decoder(list[Link] | Link | None)

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
        if kind is None and loose.resource is not NOTHING:
            return read_loosely(loose.resource, f"{where}.resource", depth + 1)
        if kind == "Bundle":
            return _bundle(loose, where, depth)
    if kind is not None and kind not in RESOURCE_TYPES:  # a type of another version: passed over
        return None, ()
    path, expected = fault
    return None, (
        Unreadable(
            where=path, expected=expected, resource_type=kind or "", id=_text(loose.id) or ""
        ),
    )


def _bundle(loose: _Loose, where: str, depth: int) -> tuple[Bundle | None, tuple[Unreadable, ...]]:
    try:
        raw_entries = [] if loose.entry is NOTHING else _entries(loose.entry)
    except ValidationError:
        bad = Unreadable(
            where=f"{where}.entry", expected="expected an array", resource_type="Bundle"
        )
        return None, (bad,)
    entries: list[Entry] = []
    unreadable: list[Unreadable] = []
    for place, raw in enumerate(raw_entries):
        at = f"{where}.entry[{place}]"
        try:
            one = _LOOSE.decode(raw)
        except ValidationError:
            unreadable.append(Unreadable(where=at, expected="expected an object"))
            continue
        if one.resource is not NOTHING:
            resource, faults = read_loosely(one.resource, f"{at}.resource", depth + 1)
            unreadable.extend(faults)
            entries.append(Entry(full_url=_text(one.fullUrl), resource=resource))
    return Bundle(total=loose.total, link=_links(loose.link), entry=entries), tuple(unreadable)


def _entries(raw: Raw) -> list[Raw]:
    text = bytes(raw)
    if text == b"null":
        return []
    return [raw] if text.startswith(b"{") else _LIST.decode(raw)


def _links(raw: Raw) -> Many[Link]:
    try:
        return list(many(_LINKS.decode(raw)))
    except ValidationError:
        return None


def _text(raw: Raw) -> str | None:
    try:
        return _TEXT.decode(raw)
    except ValidationError:
        return None
