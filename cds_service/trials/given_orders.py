# SPDX-License-Identifier: Apache-2.0
"""Orders and results of tests as a case gives them -> FHIR resources."""

import re
from datetime import datetime, timedelta

from cds_service.knowledge.model.code_systems import LOINC
from cds_service.knowledge.model.pack import Pack
from cds_service.trials.synthetic_chart import PATIENT, GivenError, Json

_ORDER = re.compile(
    r"(?:(\S+) )(draft|active|on-hold|completed|revoked|entered-in-error)"
    r"(?: ([0-9]+) (hours?|days?) ago)?(?: (routine|urgent|asap|stat))?( proposal)?"
)
_RESULTED = re.compile(
    r"(\S+) ([0-9]+) (hours?|days?) ago"
    r"(?: (preliminary|final|amended|corrected|cancelled|entered-in-error))?"
)


def order_of(text: str, pack: Pack, now: datetime) -> Json:
    """The ServiceRequest that a case writes as `CODE active 3 days ago urgent`."""
    match = _ORDER.fullmatch(text)
    if match is None:
        message = f"cannot read the order '{text}': write CODE active 3 days ago [urgent]"
        raise GivenError(message)
    ago = timedelta(hours=int(match[3]) * hours_of(match[4])) if match[3] else timedelta(days=1)
    return {
        "resourceType": "ServiceRequest",
        "status": match[2],
        "intent": "proposal" if match[6] else "order",
        "priority": match[5] or "routine",
        "code": {"coding": [{"system": _system_of(match[1], pack), "code": match[1]}]},
        "subject": {"reference": f"Patient/{PATIENT}"},
        "authoredOn": (now - ago).isoformat(),
    }


def resulted_of(text: str, pack: Pack, now: datetime) -> Json:
    """The Observation that a case writes as `CODE 400 days ago`; its value does not count."""
    match = _RESULTED.fullmatch(text)
    if match is None:
        message = f"cannot read the result '{text}': write CODE 30 days ago [preliminary]"
        raise GivenError(message)
    ago = timedelta(hours=int(match[2]) * hours_of(match[3]))
    return {
        "resourceType": "Observation",
        "status": match[4] or "final",
        "code": {"coding": [{"system": _system_of(match[1], pack), "code": match[1]}]},
        "subject": {"reference": f"Patient/{PATIENT}"},
        "effectiveDateTime": (now - ago).isoformat(),
        "valueString": "not detected",
    }


def hours_of(unit: str) -> int:
    """How many hours an hour or a day has."""
    return 24 if unit.startswith("day") else 1


def _system_of(code: str, pack: Pack) -> str:
    """The system of an order's code: a site's own where the site gave it, else LOINC."""
    own = (order.site_code for order in pack.orders.values())
    return next(
        (own_code.system for own_code in own if own_code is not None and own_code.code == code),
        LOINC,
    )
