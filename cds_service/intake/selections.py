# SPDX-License-Identifier: Apache-2.0
"""Which of the drafts the user chose (CDS Hooks 2.0.1, `selections` of order-select)."""

from cds_service.fhir.resources import MedicationRequest, ServiceRequest
from cds_service.intake.patient_input import PatientInput
from cds_service.intake.resource_index import ResourceIndex, local_name


def chosen_drafts(given: PatientInput, drafts: ResourceIndex) -> frozenset[str | None] | None:
    """The names of the drafts that the user chose, or `None` where the hook knows no choice."""
    if given.selections is None:
        return None
    chosen = frozenset(name for selection in given.selections for name in _names(selection))
    drafted = (
        name
        for entries in (drafts.entries(MedicationRequest), drafts.entries(ServiceRequest))
        for full_url, order in entries
        for name in own_names(full_url, order)
    )
    return chosen.intersection(drafted)


def own_names(
    full_url: str | None, order: MedicationRequest | ServiceRequest
) -> frozenset[str | None]:
    """Everything by which a selection can name the draft."""
    return frozenset((full_url, order.id, f"{type(order).__name__}/{order.id}")) - {None}


def _names(selection: str) -> tuple[str, str]:
    return selection, local_name(selection)
