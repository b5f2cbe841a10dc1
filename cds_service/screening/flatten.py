# SPDX-License-Identifier: Apache-2.0
"""A resource -> columns, for DuckDB: its form, its number and its times.

The engine reads each member of a resource into a column of its own, as the text of its JSON. The
form is put together from these: everything that may decide, without what is the resource's own.
Whatever is not written in the one plain way has no form, which makes it "maybe". The engine reads
numbers as floating point, so that a number is known to within a millionth, and never taken to be
more exact.
"""

from collections.abc import Collection, Sequence
from typing import Final

from msgspec import DecodeError
from msgspec.json import Decoder

from cds_service.errors import RequestError
from cds_service.fhir.json_checks import checked_outline

TYPE: Final = "resourceType"

# Stand in the form as they are: few different ones are in use.
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
_POINTERS: Final = ("subject", "specimen", "encounter")
# Texts that differ from one resource to the next; that they are texts is all that counts here.
TEXTS: Final = (
    "id",
    "effectiveDateTime",
    "issued",
    "authoredOn",
    "recordedDate",
    "onsetDateTime",
    "dateAsserted",
    "birthDate",
)
# Not read by any rule; a key that comes twice in them is, so that they are there without texts.
UNREAD: Final = (
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
_COMPONENT: Final = "component"
_IN_FORM: Final = (*_EXACT, "valueQuantity", "meta", _COMPONENT)
PLAIN: Final = frozenset(
    (TYPE, "meta", "valueQuantity", _COMPONENT, *_EXACT, *_POINTERS, *TEXTS, *UNREAD)
)
"""The members that a resource with a form may have."""

_BREAK: Final = "\x1f"  # no JSON text holds it
_TEXT: Final = r'"([^"\\]|\\.)*"'
_VALUES: Final = rf"{_TEXT}([,\]}}]|$)"  # a text, and what follows one that is no key
_POINTER: Final = rf'\{{"reference":{_TEXT}(,"type":{_TEXT})?(,"display":{_TEXT})?\}}'
# What stands beside the reference to a specimen may name urine.
_POINTER_ALONE: Final = rf'\{{"reference":{_TEXT}(,"type":{_TEXT})?\}}'
# In the order in which FHIR has them; what comes after these counts, and is in the form.
_META: Final = (
    rf'("id":{_TEXT},?)?("versionId":{_TEXT},?)?("lastUpdated":{_TEXT},?)?'
    rf'("source":{_TEXT},?)?("profile":\[{_TEXT}(,{_TEXT})*\],?)?'
)
_LABELS: Final = r'("security":\[[^\]]*\],?)?("tag":\[[^\]]*\])?'
_ID: Final = "[A-Za-z0-9.-]+"
# No more than both the engine and the core can read: not the hour 24, not the year 9999.
DAY: Final = "[12][0-9]{3}-[0-9]{2}-[0-9]{2}"
INSTANT: Final = (
    DAY + r"T([01][0-9]|2[0-3]):[0-5][0-9]:[0-5][0-9](\.[0-9]{1,6})?(Z|[+-][0-9]{2}:[0-9]{2})"
)
_DAY_LENGTH: Final = len('"2026-11-20"')
_NUMBER: Final = r"[0-9]{1,9}(\.[0-9]{1,6})?"
_REFERENCE: Final = '{"reference":"Patient/'
_VALUE: Final = '{"value":'
_HOURS_EAST, _HOURS_WEST = 14, 12  # of the time zones that are farthest from UTC
_MS_AN_HOUR: Final = 3_600_000
BEFORE_MS: Final = _HOURS_EAST * _MS_AN_HOUR  # how much earlier than in UTC a day can begin
AFTER_MS: Final = (24 + _HOURS_WEST) * _MS_AN_HOUR  # how long after that in UTC it can end
LONG_AGO_MS: Final = -(10**14)
"""For a time of issue that was sent and is not plain: it may be any."""

_TEXT_COLUMNS: Final = {
    "effective": "effectiveDateTime",
    "issued_text": "issued",
    "born": "birthDate",
}
TEXT_COLUMNS: Final = ("number_text", *_TEXT_COLUMNS)
"""What `values` reads."""

_ANY: Decoder[object] = Decoder()


def kind_of(member: str, kinds: Collection[str]) -> str:
    """The type of a resource; of `kinds` without looking into the JSON text."""
    cases = " ".join(f"""WHEN '"{kind}"' THEN '{kind}'""" for kind in kinds)
    return f"CASE {member} {cases} ELSE json_extract_string({member}, '$') END"


def patient_of(subject: str) -> str:
    """The id in a reference of no more than `Patient/ID`; NULL for any other."""
    begin = _REFERENCE
    return (
        f"CASE WHEN regexp_full_match({subject}, '\\{begin}{_ID}\"\\}}') "
        f"THEN substr({subject}, {len(begin) + 1}, strlen({subject}) - {len(begin) + 2}) "
        f"WHEN regexp_full_match({subject}, '\\{begin}{_ID}\",.*') "
        f"THEN regexp_extract({subject}, '^\\{begin}({_ID})\"', 1) END"
    )


def own_id(member: str) -> str:
    """An id that is plain."""
    return (
        f"CASE WHEN regexp_full_match({member}, '\"{_ID}\"') "
        f"THEN substr({member}, 2, strlen({member}) - 2) END"
    )


def parts(keys: Collection[str]) -> str:
    """Columns from which the form is made."""
    quantity, meta = member("valueQuantity", keys), member("meta", keys)
    comma = f"strpos({quantity}, ',')"
    end = f"CASE WHEN {comma} = 0 THEN strlen({quantity}) ELSE {comma} END"
    number = f"{quantity} >= '{_VALUE}0' AND {quantity} < '{_VALUE}:'"  # a colon follows the 9
    return rf"""
        CASE WHEN {number} THEN {end} END AS number_end,
        regexp_full_match({meta}, '\{{{_META}\}}') AS is_plain_meta
    """


def form_columns(keys: Collection[str], patient: str) -> str:
    """The form of the members `keys` and `parts`, and the texts that `values` reads.

    `patient` is the column of `patient_of`.
    """
    texts = ", ".join(f"{member(key, keys)} AS {name}" for name, key in _TEXT_COLUMNS.items())
    return f"""
        CASE WHEN "{TYPE}" IS NOT NULL AND NOT {_is_odd(keys, patient)}
            THEN {_form(keys)} END AS form,
        substr({member("valueQuantity", keys)}, {len(_VALUE) + 1}, number_end - {len(_VALUE) + 1})
            AS number_text,
        {texts}
    """


def moments(condition: str) -> str:
    """The milliseconds that `values` are made of, where the condition holds."""
    return ", ".join(
        f"CASE WHEN {condition} THEN {found} END AS {name}"
        for name, found in (
            ("the_instant", _instant("effective")),
            ("the_day", _day("effective")),
            ("issued_instant", _instant("issued_text")),
            ("issued_day", _day("issued_text")),
        )
    )


def values(condition: str) -> str:
    """What `line` has of a resource beside its form, where the condition holds."""
    east, west = BEFORE_MS, AFTER_MS
    is_plain_birth = f"regexp_full_match(born, '\"({DAY}|{INSTANT})\"')"
    birth = "try_cast(json_extract_string(born, '$') AS TIMESTAMP)"
    return f"""
        CASE WHEN {condition} AND regexp_full_match(number_text, '{_NUMBER}')
            THEN (number_text::DOUBLE * 1000000)::BIGINT END AS number,
        coalesce(the_instant, the_day - {east}) AS begins,
        coalesce(the_instant + 1, the_day + {west}) AS ends,
        the_day IS NOT NULL AS by_day,
        coalesce(issued_instant, issued_day - {east},
            CASE WHEN issued_text IS NOT NULL THEN {LONG_AGO_MS} END) AS issued,
        CASE WHEN born IS NULL THEN false WHEN {is_plain_birth} THEN {birth} IS NULL ELSE true END
            AS is_born_oddly
    """


def specimen_of(kind: str, form: str) -> dict[str, object] | None:
    """A resource of the form, without its number, times and subject; `None` if it may be anything.

    `kind` is its type.
    """
    *pieces, unread = form.split(_BREAK)
    members = [f'"{TYPE}":"{kind}"']
    members.extend(
        f'"{name}":{piece}' for name, piece in zip(_IN_FORM, pieces, strict=True) if piece
    )
    text = f"{{{','.join(members)}{unread}}}"
    try:
        checked_outline(text.encode())
        resource = _ANY.decode(text)
    except (DecodeError, RequestError):
        return None
    return resource if isinstance(resource, dict) else None


def member(key: str, keys: Collection[str]) -> str:
    """The column of a member; NULL where none has it."""
    return f'"{key}"' if key in keys else "NULL::VARCHAR"


def _there(names: Sequence[str], keys: Collection[str]) -> list[str]:
    return [name for name in names if name in keys]


def _instant(column: str) -> str:
    """The millisecond of a time with a zone."""
    return (
        f"CASE WHEN regexp_full_match({column}, '\"{INSTANT}\"') THEN "
        f"epoch_ms(try_cast(substr({column}, 2, strlen({column}) - 2) AS TIMESTAMPTZ)) END"
    )


def _day(column: str) -> str:
    """The first millisecond in UTC of a mere day."""
    is_as_long = f"strlen({column}) = {_DAY_LENGTH}"  # far cheaper than the pattern
    return (
        f"CASE WHEN {is_as_long} AND regexp_full_match({column}, '\"{DAY}\"') THEN "
        f"epoch_ms(try_cast(substr({column}, 2, 10) AS TIMESTAMP)) END"
    )


def _is_odd(keys: Collection[str], patient: str) -> str:
    """Whether a resource has anything that is not plain, so that it has no form."""
    odd = [f'NOT starts_with("{name}", \'"\')' for name in _there(TEXTS, keys)]
    odd.extend(f'"{name}" IS NOT NULL' for name in sorted(set(keys) - PLAIN))
    if "valueQuantity" in keys:
        odd.append("NOT starts_with(\"valueQuantity\", '{')")
    if "meta" in keys:
        labelled = f"regexp_full_match(meta, '\\{{{_META}{_LABELS}\\}}')"
        odd.append(f"CASE WHEN NOT is_plain_meta THEN NOT {labelled} END")
    for name in _there(_POINTERS, keys):
        is_short = f"strlen(subject) = strlen({patient}) + {len(_REFERENCE) + 2}"
        when = f"{name} IS NULL" if name != "subject" else f"subject IS NULL OR {is_short}"
        plain = _POINTER_ALONE if name == "specimen" else _POINTER
        odd.append(f"CASE WHEN {when} THEN false ELSE NOT regexp_full_match({name}, '{plain}') END")
    return f"coalesce({' OR '.join(odd)}, false)" if odd else "false"


def _form(keys: Collection[str]) -> str:
    """The members in their order, between breaks, and what is not read after them."""
    pieces = [f'"{name}"' if name in keys else "" for name in _EXACT]
    pieces.append(_quantity() if "valueQuantity" in keys else "")
    pieces.append(_labels() if "meta" in keys else "")
    pieces.append(_components() if _COMPONENT in keys else "")
    pieces.append(_unread(keys))
    joined, breaks = [], ""
    for piece in pieces:
        if piece:
            joined.extend([f"'{breaks}'", piece])
            breaks = ""
        breaks += _BREAK
    return f"concat({', '.join(joined)}, '{breaks[:-1]}')"


def _quantity() -> str:
    rest = 'substr("valueQuantity", number_end)'
    any_value = f'"value":({_TEXT}|[-+.eE0-9]+)'
    return (
        f"""CASE WHEN number_end IS NOT NULL THEN '{_VALUE}0' || {rest} """
        f"""ELSE regexp_replace("valueQuantity", '{any_value}', '"value":0') END"""
    )


def _labels() -> str:
    """What of `meta` counts."""
    return f"CASE WHEN NOT is_plain_meta THEN regexp_replace(meta, '^\\{{{_META}', '{{') END"


def _components() -> str:
    """The components without their plain numbers."""
    any_value = f'"value":{_NUMBER}([,}}])'
    return f"""regexp_replace({_COMPONENT}, '{any_value}', '"value":0\\2', 'g')"""


def _unread(keys: Collection[str]) -> str:
    """What is not read, without its texts."""
    unread = _there(UNREAD, keys)
    if not unread:
        return ""
    there = ", ".join(f'"{name}"' for name in unread)
    joined = ", ".join(f"""',"{name}":' || "{name}" """ for name in unread)
    return (
        f"CASE WHEN coalesce({there}) IS NOT NULL THEN "
        f"regexp_replace(concat({joined}), '{_VALUES}', '\"\"\\2', 'g') END"
    )
