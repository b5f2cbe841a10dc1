# SPDX-License-Identifier: Apache-2.0
"""A line of a source -> what it is, whose it is, its form, its number and its times, in Python.

The columns mean what those of DuckDB mean (`screening/flatten.py`), and so does the form, though
its text is another: the resource without what is its own, as JSON. Whatever is not written in the
one plain way has no form, and what has no form may be anything.
"""

import re
from collections.abc import Iterable, Mapping
from datetime import UTC, date, datetime, timedelta
from typing import Any, Final, NamedTuple

from msgspec import DecodeError, Struct
from msgspec.json import Decoder, Encoder

from cds_service.fhir.resource_types import RESOURCE_TYPES
from cds_service.iso_times import moment_of
from cds_service.prefetch_keys import KINDS
from cds_service.screening import flatten
from cds_service.screening.lines import named_patient

_NO_JSON: Final = (DecodeError, UnicodeDecodeError, RecursionError)
_PATIENT: Final = re.compile("Patient/([A-Za-z0-9.-]+)")
_INSTANT: Final = re.compile(flatten.INSTANT)
_DAY: Final = re.compile(flatten.DAY)
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_EPOCH_DAY: Final = date(1970, 1, 1)
_MS: Final = timedelta(milliseconds=1)
_MS_A_DAY: Final = 86_400_000
_MOST_NUMBER: Final = 10**9
_SCALE: Final = 1_000_000
_KINDS: Final = frozenset(KINDS)
_ESCAPED: Final = b"\\u003"  # a colon, or one of its neighbours
_SMALL: Final = re.compile(rb"[0-9][eE]|0{100}")  # where a number may be too small for a float
_POINTER: Final = frozenset(("reference", "display", "type"))
# Objects of plain texts; only which members they have counts.
_OBJECTS: Final[Mapping[str, frozenset[str]]] = {
    "subject": _POINTER,
    "meta": frozenset(("versionId", "lastUpdated", "source", "profile")),
    "specimen": _POINTER - {"display"},  # which may name urine
    "encounter": _POINTER,
    "valueQuantity": frozenset(("value", "unit", "code", "system", "comparator")),
}
# A component may be a result of its own.
_ALLOWED: Final = flatten.PLAIN - {"component"}


class _Head(Struct):
    resourceType: Any = None  # noqa: N815 - the name on the wire
    id: Any = None
    subject: Any = None
    gender: Any = None
    birthDate: Any = None  # noqa: N815 - the name on the wire


_HEAD: Decoder[_Head] = Decoder(_Head)
_ANY: Decoder[Any] = Decoder()
_ENCODER = Encoder()


class LineHead(NamedTuple):
    """What a line is and whose; `kind` is `None` for what is no JSON object with a type.

    `base` is the server that an absolute reference names; `is_odd` says that the reference is not
    simply `Patient/ID`.
    """

    kind: str | None = None
    id: str | None = None
    owner: str | None = None
    base: str = ""
    is_odd: bool = False
    gender: str | None = None
    birth: str | None = None


class Flat(NamedTuple):
    """The columns of a resource that rules read; NULL what is not written plainly."""

    form: bytes | None = None
    number: int | None = None
    begins: int | None = None
    ends: int | None = None
    by_day: bool = False
    issued: int | None = None
    is_born_oddly: bool = False


UNREADABLE: Final = LineHead()
UNKNOWN: Final = Flat()


def head_of(text: str, owner: str | None = None) -> LineHead:
    """What a line is and whose; `owner` is a reference that is known from elsewhere."""
    try:
        head = _HEAD.decode(text)
    except _NO_JSON:
        return UNREADABLE
    kind, identity = _text(head.resourceType), _text(head.id)
    if kind not in RESOURCE_TYPES:
        return UNREADABLE
    reference = owner
    if reference is None:
        if kind == "Patient":
            reference = None if identity is None else f"Patient/{identity}"
        elif isinstance(head.subject, dict):
            reference = _text(head.subject.get("reference"))
    described = _described(head) if kind == "Patient" else (None, None)
    if reference is None:
        return LineHead(kind, identity)
    plain = _PATIENT.fullmatch(reference)
    if plain is not None:
        return LineHead(kind, identity, plain[1], "", False, *described)
    base, name = named_patient(reference) or ("", None)
    return LineHead(kind, identity, name, base, True, *described)


def _described(head: _Head) -> tuple[str | None, str | None]:
    return _text(head.gender), _text(head.birthDate)


def is_read(kind: str | None) -> bool:
    """Whether rules read resources of the type."""
    return kind in _KINDS


def flat(text: str) -> Flat:
    """The columns of a resource of a type that rules read."""
    data = text.encode()
    try:
        resource = _ANY.decode(data)
        # Of a key that comes twice the first value gave way, and took its colon with it.
        if data.count(b":") != _ENCODER.encode(resource).count(b":"):
            return UNKNOWN
        if b"\\" in data and _ESCAPED in data:
            return UNKNOWN
    except _NO_JSON:
        return UNKNOWN
    own = {name: resource.pop(name) for name in flatten.TEXTS if name in resource}
    begins, ends, by_day = _times(own.get("effectiveDateTime"))
    issued = None
    if "issued" in own:
        issued = _times(own["issued"])[0]
        issued = flatten.LONG_AGO_MS if issued is None else issued
    is_born_oddly = "birthDate" in own and _times(own["birthDate"])[0] is None
    is_plain = _are_texts(own.values())
    number = None
    if is_plain and "valueQuantity" in resource:
        quantity = resource["valueQuantity"]
        is_plain = isinstance(quantity, dict) and bool(quantity)
        if is_plain:
            is_plain = _OBJECTS["valueQuantity"].issuperset(quantity)
            number = _number(quantity.pop("value", None), data)
    form = _ENCODER.encode(resource) if is_plain and _is_plain(resource) else None
    return Flat(form, number, begins, ends, by_day, issued, is_born_oddly)


def _are_texts(values: Iterable[Any]) -> bool:
    for value in values:  # noqa: SIM110 - a generator takes longer, for each of millions of lines
        if not isinstance(value, str):
            return False
    return True


def specimen_of(form: str) -> dict[str, object]:
    """A resource of the form, without its number, times and subject."""
    resource: dict[str, object] = _ANY.decode(form)
    return resource


def _is_plain(resource: dict[str, Any]) -> bool:
    """Whether there are only members that are known; takes out what is known to be texts."""
    for name in _REFERENCES:
        if name not in resource:
            continue
        members = resource.pop(name)
        if not isinstance(members, dict) or not members:
            return False
        if not _OBJECTS[name].issuperset(members):
            return False
        for key, member in members.items():
            if not isinstance(member, str) and key != "profile":
                return False
    if not _ALLOWED.issuperset(resource):
        return False
    for name in _UNREAD.intersection(resource):
        resource[name] = _blank(resource[name])
    return True


_UNREAD: Final = frozenset(flatten.UNREAD)
_REFERENCES: Final = tuple(name for name in _OBJECTS if name != "valueQuantity")


def _blank(value: Any) -> Any:
    """The same without its texts."""
    if isinstance(value, str):
        return ""
    if isinstance(value, list):
        return [_blank(item) for item in value]
    if isinstance(value, dict):
        return {name: _blank(member) for name, member in value.items()}
    return value


def _text(value: Any) -> str | None:
    if value is None or isinstance(value, str):
        return value
    return _ENCODER.encode(value).decode()


def _number(value: Any, data: bytes) -> int | None:
    """The number in millionths, to less than one of them; `None` if it may not be so."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    if not 0 <= value < _MOST_NUMBER:
        return None
    if value * _SCALE < 1 and _SMALL.search(data):
        return None
    return round(value * _SCALE)


def _times(value: Any) -> tuple[int | None, int | None, bool]:
    """The first and the last millisecond that a time can mean, and whether it is a mere day."""
    if not isinstance(value, str):
        return None, None, False
    if _INSTANT.fullmatch(value):
        try:
            moment = (moment_of(value) - _EPOCH) // _MS
        except (ValueError, OverflowError):
            return None, None, False
        return moment, moment + 1, False
    if _DAY.fullmatch(value):
        try:
            moment = (date.fromisoformat(value) - _EPOCH_DAY).days * _MS_A_DAY
        except ValueError:
            return None, None, False
        return moment - flatten.BEFORE_MS, moment + flatten.AFTER_MS, True
    return None, None, False
