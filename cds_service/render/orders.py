# SPDX-License-Identifier: Apache-2.0
"""Order proposals: FHIR R4 ServiceRequests, proved valid before they are filled per request.

The resource is built once and validated as a `fhir.resources` model (R4B, which is R4 for this
resource), so that what goes out has the right elements in the right shape; per request only typed
slots are filled, as validation would cost more than the whole answer. The
orders of the packs that come with the service are proved when it is built: `proved_orders.json`
holds the hashes of what was valid. Any other, be it of a site's pack, with a site's code, or
changed by one letter, is proved at start-up.
"""

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, timedelta
from functools import cache
from hashlib import sha256
from pathlib import Path
from typing import Any, Final

from msgspec import Struct

from cds_service.fhir.tags import PROPOSAL_CODE, PROPOSAL_SYSTEM
from cds_service.knowledge.model.code_systems import Code
from cds_service.knowledge.model.pack import Order
from cds_service.rules.answer import Proposal

_LETTERS_OF_IDS: Final = re.compile(r"[A-Za-z0-9.-]+")
PROVED: Final = Path(__file__).with_name("proved_orders.json")
_SLOTS = {
    "priority": "routine",
    "subject": {"reference": "Patient/example"},
    "encounter": {"reference": "Encounter/example"},
    "occurrencePeriod": {"start": "2000-01-01", "end": "2000-01-02"},
    "authoredOn": "2000-01-01",
    "reasonCode": [{"text": "Example"}],
    "reasonReference": [{"reference": "Observation/example"}],
}


class Filling(Struct, frozen=True, kw_only=True):
    """What one card puts into each of its proposals: the slots that they share.

    `today` is the day of the site.
    """

    slots: Mapping[str, Any]
    today: date


def filling_of(
    *, patient: str, encounter: str | None, reason: str | None, because: str, today: date
) -> Filling:
    """What goes into the proposals of a card: the patient's id, references as `Type/id`."""
    slots = {
        "subject": _subject(patient),
        "encounter": {"reference": encounter} if encounter else None,
        "authoredOn": today.isoformat(),
        "reasonCode": [{"text": because}],
        "reasonReference": [{"reference": reason}] if reason else None,
    }
    return Filling(slots=slots, today=today)


@dataclass(frozen=True, slots=True)
class OrderTemplate:
    """A proposal without its slots, in the order of the elements of a ServiceRequest."""

    order: Order
    body: Mapping[str, Any]

    def filled(self, proposal: Proposal, filling: Filling) -> dict[str, Any]:
        """The ServiceRequest of one patient.

        `authoredOn` is a day: a call that is repeated gives the same bytes, and the system
        that places the order writes its own time.
        """
        slots = {
            **filling.slots,
            "priority": proposal.priority,
            "occurrencePeriod": {
                "start": (filling.today + timedelta(proposal.first_day)).isoformat(),
                "end": (filling.today + timedelta(proposal.last_day)).isoformat(),
            },
        }
        return {
            name: value
            for name, fixed in self.body.items()
            if (value := slots.get(name, fixed)) is not None
        }


def compile_order(order: Order) -> OrderTemplate:
    """The template of an order; raises `ValueError` if it is no valid ServiceRequest."""
    resource = resource_of(order)
    if hash_of(resource) not in _proved():
        prove(resource)
    return OrderTemplate(order, resource)


def resource_of(order: Order) -> dict[str, Any]:
    """The ServiceRequest that proposes an order, with examples in its slots.

    Its members are in the order of the elements of a ServiceRequest.
    """
    # The site's own code comes first, as many a receiver reads one coding only.
    codes = [code for code in (order.site_code, order.code) if code is not None]
    members: dict[str, Any] = {
        "resourceType": "ServiceRequest",
        "meta": {"tag": [{"system": PROPOSAL_SYSTEM, "code": PROPOSAL_CODE}]},
        "status": "draft",
        "intent": "proposal",
        "category": [{"coding": [_coding(order.category)]}] if order.category else None,
        "priority": _SLOTS["priority"],
        "code": {"coding": [_coding(code) for code in codes], "text": order.text},
        **_SLOTS,
        "note": None if order.note is None else [{"text": order.note}],
        "patientInstruction": order.instruction,
    }
    return {name: value for name, value in members.items() if value is not None}


def prove(resource: Mapping[str, Any]) -> None:
    """Raise `ValueError` unless this is a valid ServiceRequest that says the same when written."""
    from fhir.resources.R4B.servicerequest import ServiceRequest  # two tenths of a second

    written = ServiceRequest.model_validate(resource).model_dump(mode="json")
    if _text(written) != _text(resource):
        raise ValueError(f"{_text(resource)} != {_text(written)}")


def hash_of(resource: Mapping[str, Any]) -> str:
    """The hash by which a resource is known to be proved."""
    return sha256(_text(resource).encode()).hexdigest()


def _text(resource: Mapping[str, Any]) -> str:
    return json.dumps(resource, ensure_ascii=False)


@cache
def _proved() -> frozenset[str]:
    return frozenset(json.loads(PROVED.read_bytes()))


def _subject(patient_id: str) -> dict[str, Any]:
    """The patient, whom a ServiceRequest has to have.

    An EHR whose ids are longer than FHIR allows needs its own back. Other texts make no reference
    that FHIR allows, so the patient is named by an identifier (FHIR R4, "Logical references").
    """
    if _LETTERS_OF_IDS.fullmatch(patient_id):
        return {"reference": f"Patient/{patient_id}"}
    return {"type": "Patient", "identifier": {"value": patient_id}}


def _coding(code: Code) -> dict[str, str]:
    return {"system": code.system, "code": code.code, "display": code.name}
