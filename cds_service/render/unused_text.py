# SPDX-License-Identifier: Apache-2.0
"""The words for data that were sent and could not be used."""

from datetime import tzinfo
from typing import cast

from cds_service.knowledge.model.messages import MessageKey, Messages
from cds_service.knowledge.model.pack import Pack
from cds_service.labs.patient_record import SetAside
from cds_service.labs.unused_data import UnusedData
from cds_service.render.reason_text import reason_text
from cds_service.render.sanitize import sanitize
from cds_service.render.values import Names, day_of


def unused_names(unused: UnusedData, pack: Pack, messages: Messages) -> Names:
    """The tests of the results that could not be used, and the parts that did not come whole."""
    titles = (_title(item, pack, messages) for item in unused.results)
    parts = (messages.text(cast("MessageKey", f"incomplete.{part.part}")) for part in unused.parts)
    return Names(tuple(dict.fromkeys((*titles, *parts))), messages)


def unused_text(item: SetAside, pack: Pack, zone: tzinfo, messages: Messages) -> str:
    """One result that was not used, as plain text: its title, value and day, and why.

    For example `Alpha 35 furlong, 2026-11-28: its unit is not known for this test`.
    """
    sent = (sanitize(item.number), sanitize(item.unit))
    no_date = messages.text("result.date not known")
    return messages.text(
        "unused.result",
        title=" ".join(part for part in (_title(item, pack, messages), *sent) if part),
        when=day_of(item.time, zone) if item.time else no_date,
        reason=reason_text(item.reason, messages),
    )


def _title(item: SetAside, pack: Pack, messages: Messages) -> str:
    marker = pack.markers.get(item.marker)
    return marker.title if marker is not None else messages.text("unused.unnamed")
