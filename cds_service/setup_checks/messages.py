# SPDX-License-Identifier: Apache-2.0
"""Whether results that come as messages of HL7 v2 come back from the FHIR server."""

from collections.abc import Iterator

from cds_service.fhir_client.servers import Servers
from cds_service.setup_checks.finding import Finding


def message_findings(servers: Servers, *, by_category: bool) -> Iterator[Finding]:
    """A warning where messages are taken and Subscriptions ask for results by their codes.

    What a local code means is known by the name of the test, which no Subscription asks by.
    """
    if by_category or not any(server.messages for server in servers.listed.values()):
        return
    yield Finding(
        "messages",
        "warning",
        "Results of HL7 v2 that have local codes alone are stored on the FHIR server and never "
        "decided on: Subscriptions ask for the codes of the packs and of the site file.",
        "Set CDS_LAB_CATEGORY_PREFETCH=true and subscribe again, unless each test has such a code.",
    )
