# SPDX-License-Identifier: Apache-2.0
"""A resource -> columns, for DuckDB: its form, its number and its times.

Whatever is not written in the one plain way is left NULL, or stands in the form as it is, where it
makes the form "maybe". The engine reads numbers as floating point, so that a number is known to
within a millionth, and never taken to be more exact.
"""

from collections.abc import Mapping, Sequence
from typing import Final

from msgspec import DecodeError
from msgspec.json import Decoder

from cds_service.errors import RequestError
from cds_service.fhir.json_checks import checked_outline

_BREAK: Final = "\x1f"  # no JSON text holds it

# Read as they are: few different ones are in use.
_EXACT: Final = (
    "status",
    "code",
    "referenceRange",
    "interpretation",
    "category",
    "valueCodeableConcept",
    "valueString",
    "intent",
    "doNotPerform",
    "priority",
    "medicationCodeableConcept",
    "clinicalStatus",
    "verificationStatus",
    "gender",
    "active",
    "deceasedBoolean",
)
# Objects of plain texts; only which members they have counts.
_OBJECTS: Final[Mapping[str, frozenset[str]]] = {
    "subject": frozenset(("reference", "display", "type")),
    "meta": frozenset(("versionId", "lastUpdated", "source", "profile")),
    "specimen": frozenset(("reference", "display", "type")),
    "encounter": frozenset(("reference", "display", "type")),
    "valueQuantity": frozenset(("value", "unit", "code", "system", "comparator")),
}
_QUANTITY: Final = ("unit", "code", "system", "comparator")
# Texts that differ from one resource to the next; that they are texts is all that counts here.
_TEXTS: Final = (
    "id",
    "subject.reference",
    "subject.display",
    "meta.versionId",
    "meta.lastUpdated",
    "specimen.reference",
    "specimen.display",
    "effectiveDateTime",
    "issued",
    "authoredOn",
    "recordedDate",
    "onsetDateTime",
    "dateAsserted",
    "birthDate",
)
# Not read by any rule; a key that comes twice in them is.
_UNREAD: Final = (
    "identifier",
    "text",
    "performer",
    "basedOn",
    "name",
    "telecom",
    "address",
    "requester",
    "recorder",
    "asserter",
    "dosageInstruction",
    "note",
    "language",
    "maritalStatus",
    "communication",
    "managingOrganization",
    "generalPractitioner",
)
_DATES: Final = frozenset(one for one in _TEXTS if "." not in one)
_ALLOWED: Final = frozenset(("resourceType", *_EXACT, *_OBJECTS, *_DATES, *_UNREAD))
_PLACE: Final = {
    path: place
    for place, path in enumerate(
        (
            *_EXACT,
            *_OBJECTS,
            *(f"valueQuantity.{one}" for one in _QUANTITY),
            *_TEXTS,
            *_UNREAD,
            "valueQuantity.value",
        ),
        start=1,
    )
}
# No more than both the engine and the core can read: not the hour 24, not the year 9999.
_DAY: Final = "[12][0-9]{3}-[0-9]{2}-[0-9]{2}"
_INSTANT: Final = (
    _DAY + r"T([01][0-9]|2[0-3]):[0-5][0-9]:[0-5][0-9](\.[0-9]{1,6})?(Z|[+-][0-9]{2}:[0-9]{2})"
)
_NUMBER: Final = r"[0-9]{1,9}(\.[0-9]{1,6})?"
_HOURS_EAST, _HOURS_WEST = 14, 12  # of the time zones that are farthest from UTC
_MS_AN_HOUR: Final = 3_600_000
_ANY: Decoder[object] = Decoder()


def extracted(text: str) -> str:
    """Every part that is looked at, as one list, which the functions below read as `part`."""
    paths = ", ".join(f"'$.{path}'" for path in _PLACE)
    return f"json_extract({text}, [{paths}])"


def form_of(text: str) -> str:
    """The form of a resource: its keys and everything that may decide, without what is its own."""
    pieces = [f"array_to_string(json_keys({text}), ',')"]
    pieces.extend(_piece(path) for path in _EXACT)
    pieces.extend(f"array_to_string(json_keys({_part(name)}), ',')" for name in _OBJECTS)
    pieces.extend(_piece(f"valueQuantity.{one}") for one in _QUANTITY)
    firsts = ", ".join(f"coalesce(substr({_part(path)}::VARCHAR, 1, 1), '-')" for path in _TEXTS)
    pieces.append(f"concat({firsts})")
    unread = ", ".join(f"""',"{one}":' || {_part(one)}::VARCHAR""" for one in _UNREAD)
    pieces.append(f"regexp_replace(concat({unread}), '{_VALUES}', '\"\"\\1', 'g')")
    each = ", ".join(f"coalesce({piece}, '')" for piece in pieces)
    return f"concat_ws(chr(31), {each})"


_VALUES: Final = r'"[^"\\]*"([,\]}]|$)'  # a text, and what follows one that is no key


def number() -> str:
    """The number of a result in millionths, if it is written plainly."""
    value = f"({_part('valueQuantity.value')}::VARCHAR)"
    return (
        f"CASE WHEN regexp_full_match({value}, '{_NUMBER}') "
        f"THEN ({value}::DECIMAL(21, 6) * 1000000)::BIGINT END"
    )


def begins(path: str) -> str:
    """The first millisecond that a time can mean, in any time zone."""
    value = f"json_extract_string({_part(path)}, '$')"
    return (
        f"CASE WHEN regexp_full_match({value}, '{_INSTANT}') "
        f"THEN epoch_ms(try_cast({value} AS TIMESTAMPTZ)) "
        f"WHEN regexp_full_match({value}, '{_DAY}') THEN "
        f"epoch_ms(try_cast({value} AS TIMESTAMP)) - {_HOURS_EAST * _MS_AN_HOUR} END"
    )


def ends(path: str) -> str:
    """The last millisecond that a time can mean, in any time zone."""
    value = f"json_extract_string({_part(path)}, '$')"
    return (
        f"CASE WHEN regexp_full_match({value}, '{_INSTANT}') "
        f"THEN epoch_ms(try_cast({value} AS TIMESTAMPTZ)) + 1 "
        f"WHEN regexp_full_match({value}, '{_DAY}') THEN "
        f"epoch_ms(try_cast({value} AS TIMESTAMP)) + {(24 + _HOURS_WEST) * _MS_AN_HOUR} END"
    )


def was_sent(path: str) -> str:
    """Whether there is anything."""
    return f"{_part(path)} IS NOT NULL"


def is_day(path: str) -> str:
    """Whether a time is a mere day."""
    return f"regexp_full_match(json_extract_string({_part(path)}, '$'), '{_DAY}')"


def specimen_of(kind: str, form: str) -> dict[str, object] | None:
    """A resource of the form, without its number, times and subject; `None` if it may be anything.

    `kind` is its type.
    """
    pieces = form.split(_BREAK)
    keys = pieces[0].split(",")
    exact = dict(zip(_EXACT, pieces[1:], strict=False))
    rest = pieces[1 + len(_EXACT) :]
    members = dict(zip(_OBJECTS, rest, strict=False))
    quantity = dict(zip(_QUANTITY, rest[len(_OBJECTS) :], strict=False))
    firsts, unread = rest[len(_OBJECTS) + len(_QUANTITY) :]
    if len(set(keys)) < len(keys) or not _ALLOWED.issuperset(keys):
        return None
    if set(firsts) - {'"', "-"} or not _are_plain(keys, members):
        return None
    parts = [f'"resourceType":"{kind}"']
    parts.extend(f'"{name}":{text}' for name, text in exact.items() if text)
    if members["valueQuantity"]:
        inside = ",".join(f'"{name}":{text}' for name, text in quantity.items() if text)
        parts.append(f'"valueQuantity":{{{inside}}}')
    return _decoded("{" + ",".join(parts) + unread + "}")


def _are_plain(keys: Sequence[str], members: Mapping[str, str]) -> bool:
    """Whether each object that is there is one, with members that it may have, each once."""
    for name, text in members.items():
        inside = text.split(",") if text else []
        if bool(inside) != (name in keys) or len(set(inside)) < len(inside):
            return False
        if not _OBJECTS[name].issuperset(inside):
            return False
    return True


def _decoded(text: str) -> dict[str, object] | None:
    try:
        checked_outline(text.encode())
        resource = _ANY.decode(text)
    except (DecodeError, RequestError):
        return None
    return resource if isinstance(resource, dict) else None


def _part(path: str) -> str:
    return f"part[{_PLACE[path]}]"


def _piece(path: str) -> str:
    return f"{_part(path)}::VARCHAR"
