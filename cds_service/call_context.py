# SPDX-License-Identifier: Apache-2.0
"""What rules are asked about, whichever way the question came."""

from dataclasses import dataclass
from typing import Final

SANDBOX: Final = "sandbox"
"""The client of a call that was made in the sandbox, where nobody is at work."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CallContext:
    """Who asks about which patient, and which rules answer.

    A CDS Hooks call, a file, a Subscription notification and an HL7 v2 message have this in
    common. `trigger` is the hook whose rules answer: that of a call, and `patient-view` where a
    result arrives. `id` is the same when the same call is repeated (the `hookInstance` of a CDS
    Hooks call) and empty where nothing is repeated; the uuids of cards are derived from it.

    `client` is the issuer of a registered client, and empty in open mode but for the sandbox.
    `fhir_server` is the base URL of the server whose patient it is: two servers may give two
    patients the same id.
    """

    service: str
    trigger: str
    patient_id: str
    encounter_id: str | None = None
    id: str = ""
    client: str = ""
    fhir_server: str | None = None
