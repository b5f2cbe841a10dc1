# SPDX-License-Identifier: Apache-2.0
"""The words for a reason, on cards and on pages. The only place that makes them."""

from collections.abc import Mapping
from dataclasses import asdict
from typing import TypeAlias

from cds_service.labs.reasons import MeasureReason, PackReason
from cds_service.rules.reasons import DisabledBySite, NoCardReason, WithheldReason

AnyReason: TypeAlias = NoCardReason | WithheldReason | MeasureReason | DisabledBySite

# By the kind of a reason; a placeholder is a field of the reason.
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
}
_TEXTS: Mapping[str, Mapping[str, str]] = {"en": _ENGLISH}


def reason_text(reason: AnyReason, language: str = "en") -> str:
    """The reason as plain text, not escaped, without a full stop; in English if it must be.

    A pack's own word is written with blanks for its hyphens.

    >>> reason_text(PackReason("known-cirrhosis"))
    'known cirrhosis'
    """
    if isinstance(reason, PackReason):
        return reason.word.replace("-", " ").replace(":", ": ").replace("  ", " ")
    text = _TEXTS.get(language, _ENGLISH)[reason.kind]
    return text.format(**asdict(reason))
