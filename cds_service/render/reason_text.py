# SPDX-License-Identifier: Apache-2.0
"""The words for a reason, on cards and on pages. The only place that makes them."""

from collections.abc import Mapping
from dataclasses import asdict
from typing import TypeAlias

from cds_service.labs.reasons import MeasureReason, PackReason
from cds_service.labs.set_aside_reasons import SetAsideReason
from cds_service.rules.reasons import DisabledBySite, NoCardReason, WithheldReason

AnyReason: TypeAlias = NoCardReason | WithheldReason | MeasureReason | DisabledBySite

# By the kind of a reason, or the reason of something set aside; a placeholder is a field of it.
_ENGLISH: Mapping[str, str] = {
    "condition-not-met": "its condition is not met",
    "replaced-by": "another card takes its place",
    "offered-by": "offered on another card",
    "overridden": "a clinician overrode it for this patient and these results, not long ago",
    "no-eligible": "no recent result of {marker} that can be used",
    "index-preliminary": "its result is preliminary",
    "deceased": "the patient is deceased",
    "switched off by the site": "switched off by the site",
    "active-order-exists": "already ordered",
    "result-since-index": "there is a newer result",
    "hemolyzed-specimen": "hemolyzed specimen",
    "not-applicable:comparator": "an input is a range, such as <5",
    "code-not-in-pack": "code not in pack",
    "code-conflict": "code conflict",
    "other-patient": "other patient",
    "no-subject": "no subject",
    "invalid-resource": "invalid resource",
    "modifier-extension": "modifier extension",
    "status:registered": "status: registered",
    "status:preliminary": "status: preliminary",
    "status:cancelled": "status: cancelled",
    "status:entered-in-error": "status: entered in error",
    "status:unknown": "status: unknown",
    "status:missing": "status: missing",
    "status:invalid": "status: invalid",
    "no-time": "no time",
    "future-dated": "future dated",
    "no-value": "no value",
    "unparseable": "unparseable",
    "unit-missing": "unit missing",
    "unit-unknown": "unit unknown",
    "unit-conflict": "unit conflict",
    "implausible": "implausible",
    "superseded": "superseded",
    "conflicting-duplicates": "conflicting duplicates",
}
_TEXTS: Mapping[str, Mapping[str, str]] = {"en": _ENGLISH}


def reason_text(reason: AnyReason | SetAsideReason, language: str = "en") -> str:
    """The reason as plain text, not escaped, without a full stop; in English if it must be.

    A pack's own word is written with blanks for its hyphens.

    >>> reason_text(PackReason("known-cirrhosis"))
    'known cirrhosis'
    """
    if isinstance(reason, PackReason):
        return reason.word.replace("-", " ").replace(":", ": ").replace("  ", " ")
    texts = _TEXTS.get(language, _ENGLISH)
    return texts[reason] if isinstance(reason, str) else texts[reason.kind].format(**asdict(reason))
