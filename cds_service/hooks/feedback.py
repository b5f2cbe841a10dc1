# SPDX-License-Identifier: Apache-2.0
"""The body of a feedback call -> what a clinician did with each card.

CDS Hooks 2.0.1, "Feedback", and the variants that are observed (Epic's CDS Hooks tutorial; the
public sandbox). Unknown members are ignored. One item that cannot be read refuses the whole body,
so that a client knows what was stored: all of it or nothing. Errors name the item, never its
content: a comment is free text and may name the patient.
"""

import re
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Literal

from msgspec import DecodeError, Raw, Struct, ValidationError
from msgspec.json import Decoder

from cds_service.errors import PayloadTooLarge, RequestError
from cds_service.fhir.decode import explained
from cds_service.fhir.json_checks import checked_outline
from cds_service.hooks.request import check_text
from cds_service.iso_times import moment_of
from cds_service.store.store import Feedback

LONGEST_NAME = 1000  # characters of an id, a code or a display

EPIC_REASON = "com.epic.cdshooks.feedback.overrideReason."
EPIC_SYSTEM = "urn:com.epic.cdshooks.feedback.overrideReason.reasonCategory"

# RFC 3339, section 5.6. Case does not matter there; a fraction may have any number of digits.
_TIMESTAMP = re.compile(
    r"(\d{4}-\d\d-\d\d)T(\d\d:\d\d):(\d\d)(?:\.(\d+))?(Z|[+-]\d\d:\d\d)", re.IGNORECASE
)
_UUID = re.compile(r"(?:urn:uuid:)?([0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12})", re.IGNORECASE)


class _Suggestion(Struct, frozen=True):
    id: str


class _Coding(Struct, frozen=True):
    code: str | None = None
    system: str | None = None
    display: str | None = None


class _Reason(_Coding, frozen=True, rename="camel", kw_only=True):
    """`overrideReason`; older clients put the Coding itself here."""

    reason: _Coding | None = None
    user_comment: str | None = None
    extension: dict[str, object] | None = None


class _Item(Struct, frozen=True, rename="camel", kw_only=True):
    card: str
    outcome: Literal["accepted", "overridden"]
    outcome_timestamp: str
    accepted_suggestions: list[_Suggestion] | None = None
    override_reason: _Reason | list[_Reason] | None = None
    override_reasons: _Reason | list[_Reason] | None = None  # Epic
    extension: dict[str, object] | None = None


class _Body(Struct, frozen=True):
    feedback: list[Raw]


_BODY: Decoder[_Body] = Decoder(_Body)
_ITEM: Decoder[_Item] = Decoder(_Item)


def read_feedback(body: bytes, *, most_items: int, longest_comment: int) -> tuple[Feedback, ...]:
    """Every item of the body, in its order.

    Raises `RequestError` that names the first item which cannot be read, and `PayloadTooLarge`
    for too many items or a text that is too long.
    """
    check_text(body)
    raw_items = _raw_items(body)
    if len(raw_items) > most_items:
        raise PayloadTooLarge(f"Expected at most {most_items} items.", "$.feedback")
    return tuple(
        _read_item(raw, f"$.feedback[{place}]", longest_comment)
        for place, raw in enumerate(raw_items)
    )


def _raw_items(body: bytes) -> list[Raw]:
    try:
        items = _BODY.decode(body).feedback
        checked_outline(body)
    except ValidationError as error:
        where, expected = explained(error, "$")
        raise RequestError(f"This is not as CDS Hooks has it: {expected}.", where) from None
    except RecursionError:
        raise PayloadTooLarge("The JSON is nested too deeply.") from None
    except DecodeError as error:  # msgspec names the fault and the byte, nothing of the content
        raise RequestError(f"The body is not valid JSON: {error}.") from None
    return items


def _read_item(raw: Raw, where: str, longest_comment: int) -> Feedback:
    try:
        item = _ITEM.decode(raw)
    except ValidationError as error:
        path, expected = explained(error, where)
        raise RequestError(f"This is not as CDS Hooks has it: {expected}.", path) from None
    except RecursionError:
        raise PayloadTooLarge("The JSON is nested too deeply.", where) from None
    except DecodeError:  # such as half of a surrogate pair
        raise RequestError("Expected valid JSON.", where) from None
    card = _card(item.card, where)
    happened = _instant(item.outcome_timestamp, f"{where}.outcomeTimestamp")
    if item.outcome == "accepted":
        suggestions = _suggestions(item.accepted_suggestions, f"{where}.acceptedSuggestions")
        return Feedback(card=card, outcome="accepted", happened=happened, suggestions=suggestions)
    reason = _reason_of(item)
    coding = _coding_of(reason, item.extension)
    return Feedback(
        card=card,
        outcome="overridden",
        happened=happened,
        reason_code=_name(coding.code, where),
        reason_system=_name(coding.system, where),
        reason_display=_name(coding.display, where),
        comment=_comment(reason.user_comment, where, longest_comment),
    )


def _card(text: str, where: str) -> str:
    name = _name(text, f"{where}.card")
    if name is None:
        raise RequestError("Expected the uuid of a card.", f"{where}.card")
    match = _UUID.fullmatch(name)
    return match[1].lower() if match else name


def _suggestions(sent: list[_Suggestion] | None, where: str) -> tuple[str, ...]:
    # CDS Hooks 2.0.1, "Suggestion accepted": required if the outcome is accepted.
    ids = tuple(_name(resource.id, where) for resource in sent or ())
    found = tuple(identifier for identifier in ids if identifier is not None)
    if not found or len(found) < len(ids):
        raise RequestError("Expected the id of every suggestion that was accepted.", where)
    return found


def _reason_of(item: _Item) -> _Reason:
    """What the client sent as the reason, under either name; of several the first."""
    for sent in (item.override_reason, item.override_reasons):
        reasons = sent if isinstance(sent, list) else [sent]
        for reason in reasons:
            if reason is not None:
                return reason
    return _Reason()


def _coding_of(reason: _Reason, of_item: Mapping[str, object] | None) -> _Coding:
    """The reason that was chosen: as the specification has it, flat, or in Epic's extension."""
    if reason.reason is not None and _is_told(reason.reason):
        return reason.reason
    if _is_told(reason):
        return reason
    for extension in (reason.extension or {}, of_item or {}):
        code, title, display = (
            _text_in(extension, EPIC_REASON + name)
            for name in ("reasonCategory", "reasonTitle", "reasonDisplay")
        )
        if code or title or display:
            return _Coding(
                code=code, system=EPIC_SYSTEM if code else None, display=title or display
            )
    return _Coding()


def _is_told(coding: _Coding) -> bool:
    return bool(coding.code or coding.display)


def _text_in(extension: Mapping[str, object], name: str) -> str | None:
    value = extension.get(name)
    return value if isinstance(value, str) else None


def _name(text: str | None, where: str) -> str | None:
    """A short text; nothing else of it counts than that it is there. PostgreSQL takes no NUL."""
    if text is None:
        return None
    if len(text) > LONGEST_NAME:
        raise PayloadTooLarge(f"Expected at most {LONGEST_NAME} characters.", where)
    return text.replace("\0", "").strip() or None


def _comment(text: str | None, where: str, longest: int) -> str | None:
    if text is None:
        return None
    if len(text) > longest:
        at = f"{where}.overrideReason.userComment"
        raise PayloadTooLarge(f"Expected at most {longest} characters.", at)
    return text.replace("\0", "").strip() or None


def _instant(text: str, where: str) -> datetime:
    """An RFC 3339 timestamp as UTC; a leap second is the moment that follows it, as in POSIX."""
    match = _TIMESTAMP.fullmatch(text.strip())
    wrong = RequestError("Expected an RFC 3339 timestamp with its offset from UTC.", where)
    if match is None:
        raise wrong
    day, minute, second, fraction, zone = match.groups()
    is_leap = second == "60"
    micro = f"{fraction or ''}000000"[:6]
    zone = "+00:00" if zone in "Zz" else zone
    try:
        moment = moment_of(
            f"{day}T{minute}:{'59' if is_leap else second}.{micro}{zone}"
        ).astimezone(UTC)
        if not is_leap:
            return moment
        # Section 5.7: only the last minute of a day in UTC can have one.
        if (moment.hour, moment.minute) == (23, 59):
            return moment + timedelta(seconds=1)
    except (ValueError, OverflowError):
        pass
    raise wrong
