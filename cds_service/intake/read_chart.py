# SPDX-License-Identifier: Apache-2.0
"""The medicines, conditions and orders of a patient's input, and what of them is not used."""

from collections.abc import Iterable, Iterator
from typing import NamedTuple

from cds_service.fhir.elements import plain_code
from cds_service.fhir.resources import (
    Condition,
    Encounter,
    MedicationRequest,
    MedicationStatement,
    ServiceRequest,
)
from cds_service.intake.chart import (
    CONDITION_SYSTEMS,
    MEDICINE_SYSTEMS,
    Prescribed,
    condition_in_force,
    encounter_classes,
    is_unnamed,
    medicine_in_force,
    medicine_of,
    open_order,
)
from cds_service.intake.marker_lookup import first_code, pairs_of, texts_of
from cds_service.intake.not_usable import NotUsable
from cds_service.intake.patient_input import part_of
from cds_service.intake.sorted_input import Charted, SortedInput, charted, own_names
from cds_service.labs.patient_record import Incomplete, OpenOrder, Recorded, SetAside
from cds_service.labs.set_aside_reasons import SetAsideReason

# Servers without statements keep every medicine as a request; the other way round none does.
_STATEMENTS_ONLY = Incomplete("medicines", "only a part")
_DRAFTS_ONLY = Incomplete("open orders", "only those being made")
_NO_DRAFT_SELECTED = Incomplete("open orders", "selected but not among the drafts")
_UNNAMED_MEDICINE = Incomplete("medicines", "unnamed")
_UNNAMED_CONDITION = Incomplete("conditions", "unnamed")
_OVER = {"entered-in-error", "cancelled", "revoked", "stopped", "completed"}


class PatientChart(NamedTuple):
    """What a record has beside results; a list of which nothing is known is `None`."""

    medicines: tuple[Recorded, ...] | None
    conditions: tuple[Recorded, ...] | None
    orders: tuple[OpenOrder, ...] | None
    ordering: tuple[Recorded, ...]
    prescribing: tuple[Recorded, ...]
    encounters: tuple[str, ...]
    set_aside: tuple[SetAside, ...]
    incomplete: tuple[Incomplete, ...]  # lists that did not come whole
    not_usable: tuple[Incomplete, ...]  # those of which something was set aside


class _Entry(NamedTuple):
    """A medicine, condition or order: what it says, or why it is not used."""

    resource: Charted
    recorded: Recorded | None = None
    reason: SetAsideReason | None = None


def read_chart(data: SortedInput) -> PatientChart:
    """The chart of the patient."""
    entries = [*_on_file(data), *_drafted(data)]
    medicines = conditions = None
    if data.has("MedicationRequest", "MedicationStatement"):
        medicines = tuple(_recorded(entries, MedicationRequest, MedicationStatement))
    if data.has("Condition"):
        conditions = tuple(_recorded(entries, Condition))
    orders, prescribing = _orders(data), _prescribing(data)
    incomplete = _incomplete(data, (*(medicines or ()), *prescribing), conditions or (), orders)
    parts = (part_of(entry.resource) for entry in entries if entry.reason is not None)
    return PatientChart(
        medicines=medicines,
        conditions=conditions,
        orders=orders,
        ordering=_ordering(data),
        prescribing=prescribing,
        encounters=encounter_classes(data.usable(data.index.all_of(Encounter))),
        set_aside=tuple(_set_aside(entries)),
        incomplete=tuple(incomplete),
        not_usable=tuple(Incomplete(part, "not usable") for part in dict.fromkeys(parts)),
    )


def _recorded(entries: Iterable[_Entry], *kinds: type[Charted]) -> Iterator[Recorded]:
    """What entries of these kinds put into the chart."""
    for entry in entries:
        if isinstance(entry.resource, kinds) and entry.recorded is not None:
            yield entry.recorded


def _on_file(data: SortedInput) -> Iterator[_Entry]:
    """Each medicine, condition and order on file, read once."""
    for resource in charted(data.index):
        data.context.deadline.check()
        reason, recorded = data.why_not_usable(resource), None
        if reason is None and not isinstance(resource, ServiceRequest):
            try:
                recorded = _in_force(data, resource)
            except NotUsable as fault:
                reason = fault.reason
        yield _Entry(resource, recorded, reason)


def _drafted(data: SortedInput) -> Iterator[_Entry]:
    """Each order that is being made, and why it does not count, if so."""
    for resource in charted(data.drafts):
        yield _Entry(resource, reason=data.why_not_usable(resource))


def _in_force(data: SortedInput, resource: Prescribed | Condition) -> Recorded | None:
    if isinstance(resource, Condition):
        times = data.context.times
        return condition_in_force(resource, times.now, times)
    return medicine_in_force(resource, data.index)


def _orders(data: SortedInput) -> tuple[OpenOrder, ...] | None:
    """The open orders, those being made now among them, or `None` if nothing is known.

    An order being made now that carries no time is made now.
    """
    times = data.context.times
    placed = data.usable(data.index.all_of(ServiceRequest))
    drafted = data.usable(data.drafts.all_of(ServiceRequest))
    read = [
        *(open_order(order, times, None) for order in placed),
        *(open_order(order, times, times.now) for order in drafted),
    ]
    found = {entry.reference or str(place): entry for place, entry in enumerate(read) if entry}
    return tuple(found.values()) if found or data.has("ServiceRequest") else None


def _ordering(data: SortedInput) -> tuple[Recorded, ...]:
    """The tests that the user is ordering: the selected drafts, or all if nothing tells."""
    found: list[Recorded] = []
    for full_url, draft in data.drafts.entries(ServiceRequest):
        if _is_ordering(data, draft, full_url):
            reference = f"ServiceRequest/{draft.id}" if draft.id else ""
            texts = texts_of(draft.code)
            found.append(Recorded(codes=pairs_of(draft.code), texts=texts, reference=reference))
    return tuple(found)


def _prescribing(data: SortedInput) -> tuple[Recorded, ...]:
    """The medicines that the user is ordering, chosen in the same way."""
    found: list[Recorded] = []
    for full_url, request in data.drafts.entries(MedicationRequest):
        if _is_ordering(data, request, full_url):
            data.context.deadline.check()
            found.append(medicine_of(request, data.drafts, data.index))
    return tuple(found)


def _is_ordering(
    data: SortedInput, order: MedicationRequest | ServiceRequest, full_url: str | None
) -> bool:
    if (
        plain_code(order.status) in _OVER
        or order.do_not_perform
        or data.why_not_usable(order) is not None
    ):
        return False
    return data.selected is None or not data.selected.isdisjoint(own_names(full_url, order))


def _incomplete(
    data: SortedInput,
    medicines: Iterable[Recorded],
    conditions: Iterable[Recorded],
    orders: tuple[OpenOrder, ...] | None,
) -> Iterator[Incomplete]:
    """What the card must say was missing."""
    if any(is_unnamed(medicine, MEDICINE_SYSTEMS) for medicine in medicines):
        yield _UNNAMED_MEDICINE
    if any(is_unnamed(condition, CONDITION_SYSTEMS) for condition in conditions):
        yield _UNNAMED_CONDITION
    if data.selected == frozenset() and data.given.selections:
        yield _NO_DRAFT_SELECTED
    if data.has("MedicationStatement") and not data.has("MedicationRequest"):
        yield _STATEMENTS_ONLY
    if orders is not None and not data.has("ServiceRequest"):
        yield _DRAFTS_ONLY


def _set_aside(entries: Iterable[_Entry]) -> Iterator[SetAside]:
    """What was sent beside results and is not used."""
    for resource, _, reason in entries:
        if reason is not None:
            code = "" if isinstance(resource, Prescribed) else first_code(resource.code)
            reference = f"{type(resource).__name__}/{resource.id}" if resource.id else ""
            yield SetAside(
                reason=reason, marker="", code=code, reference=reference, is_result=False
            )
