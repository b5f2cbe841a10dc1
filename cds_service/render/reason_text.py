# SPDX-License-Identifier: Apache-2.0
"""The words for a reason, on cards and on pages. The only place that makes them."""

from dataclasses import fields
from typing import TypeAlias, cast

from cds_service.knowledge.model.messages import MessageKey, Messages
from cds_service.labs.patient_record import Incomplete
from cds_service.labs.reasons import MeasureReason, PackReason
from cds_service.labs.set_aside_reasons import SetAsideReason
from cds_service.rules.reasons import DisabledBySite, NoCardReason, WithheldReason

AnyReason: TypeAlias = NoCardReason | WithheldReason | MeasureReason | DisabledBySite


def reason_text(reason: AnyReason | SetAsideReason, messages: Messages) -> str:
    """The reason as plain text, not escaped, without a full stop.

    A pack's own word is written with blanks for its hyphens.

    >>> reason_text(PackReason("known-delta"), Messages("en", {}))
    'known delta'
    """
    if isinstance(reason, PackReason):
        return reason.word.replace("-", " ").replace(":", ": ").replace("  ", " ")
    if isinstance(reason, str):
        return messages.text(cast("MessageKey", f"set aside.{reason}"))
    named = {field.name: getattr(reason, field.name) for field in fields(reason)}
    return messages.text(cast("MessageKey", f"reason.{reason.kind}"), **named)


def incomplete_text(incomplete: Incomplete, messages: Messages) -> str:
    """What did not come whole, as plain text: `medicines: could not be fetched`."""
    part = messages.text(cast("MessageKey", f"incomplete.{incomplete.part}"))
    return messages.text(cast("MessageKey", f"incomplete.{incomplete.lack}"), part=part)
