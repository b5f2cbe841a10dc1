# SPDX-License-Identifier: Apache-2.0
"""The site's values that a decision about one patient stands on."""

from collections.abc import Iterator

from cds_service.knowledge.model.bounds import LimitKind
from cds_service.knowledge.model.pack import Pack
from cds_service.knowledge.model.site import SiteValue
from cds_service.knowledge.site.wording import MARKERS, is_limit
from cds_service.labs.reading_limits import limit_in
from cds_service.labs.result_selection import Frame
from cds_service.rules.answer import Decision

_KINDS: dict[str, LimitKind] = {
    "upper limit": "upper limit",
    "lower limit": "lower limit",
    "screening limit": "screening limit",
}


def values_behind(decision: Decision, pack: Pack) -> tuple[SiteValue, ...]:
    """The values of the site that the rule reads; of its limits those that this patient has.

    An upper limit stands on the card beside each result, so it counts where it is shown too.
    """
    return tuple(_behind(decision, pack)) if pack.site is not None else ()


def _behind(decision: Decision, pack: Pack) -> Iterator[SiteValue]:
    for value in pack.site.shown.get(decision.rule.id, ()) if pack.site else ():
        if not is_limit(value) or _is_met(value, decision.frame, pack):
            yield value


def _is_met(value: SiteValue, frame: Frame, pack: Pack) -> bool:
    """Whether the result of the marker is judged by this very line of the limit policy."""
    marker = value.file.removeprefix(MARKERS).removesuffix(".yaml")
    kind, line = _KINDS[str(value.where[0])], value.where[1]
    reading = frame.readings.get(marker)
    found = limit_in(reading, kind) if reading is not None else None
    if found is None or not isinstance(line, int):
        return False
    choice = pack.markers[marker].limits[kind][line]
    return (found.amount, found.named) == (choice.amount, choice.credited)
