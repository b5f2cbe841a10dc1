# SPDX-License-Identifier: Apache-2.0
"""Whether an address is that of a FHIR server at all: asked only after a query found nothing.

A wrong base, such as one without `/fhir`, answers 404 to every patient. FHIR R4, "capabilities":
every server tells of itself at `/metadata`.
"""

from typing import Final

from cds_service.clock import Deadline
from cds_service.errors import RequestError
from cds_service.fhir_client.client import Access, FhirClient
from cds_service.fhir_client.failures import QueryFailure

# Every other failure, such as one of the token or of the network, says nothing about the address.
_TELLING: Final[frozenset[QueryFailure]] = frozenset(
    ("not-found", "redirected", "refused", "not-fhir")
)


def refuse_other_servers(client: FhirClient, access: Access, deadline: Deadline) -> None:
    """Raise `RequestError` if what is at the base of the server is known to be no FHIR server."""
    found = client.ask(access, "metadata", deadline)
    kinds = {type(page.resource).__name__ for page in found.pages}
    if kinds == {"CapabilityStatement"} or (found.failure and found.failure not in _TELLING):
        return
    if found.refusal is not None:
        answered = f"it answered {found.refusal.status} to /metadata"
    else:
        answered = "what it answered to /metadata is no CapabilityStatement of FHIR R4"
    raise RequestError(f"This is no FHIR server: {answered}. Is the base URL right?")
