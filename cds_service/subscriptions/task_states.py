# SPDX-License-Identifier: Apache-2.0
"""Tasks that somebody rejected or withdrew since the last look: what they propose counts no more.

Without this that would be seen only when the next result of the patient arrives.
"""

from dataclasses import dataclass
from datetime import datetime
from typing import Final

from msgspec.json import decode

from cds_service.clock import Clock
from cds_service.fhir.tags import PROPOSAL_CODE, PROPOSAL_SYSTEM
from cds_service.fhir_client.servers import Servers
from cds_service.store.advice import AdviceTable
from cds_service.subscriptions.advice_parts import identifier_of
from cds_service.subscriptions.open_advice import state_of
from cds_service.subscriptions.server_reader import ServerReader
from cds_service.subscriptions.work import Retry

_TAGGED: Final = f"_tag={PROPOSAL_SYSTEM}|{PROPOSAL_CODE}"


@dataclass(frozen=True, slots=True, kw_only=True)
class TaskStates:
    """Follows the Tasks of ours on the servers that they are written to."""

    reader: ServerReader
    servers: Servers
    advice: AdviceTable
    clock: Clock

    def follow(self, server: str, since: datetime) -> int:
        """Note which Tasks changed since then and will not be done; how many.

        A server that does not answer now is asked the next time; results must not wait for that.
        """
        listed = self.servers.find(server)
        if listed is None or listed.subscriptions.write_back != "on":
            return 0
        kind = listed.subscriptions.advice_as
        try:
            tasks = [
                decode(resource.body)
                for changes in self.reader.changed(server, f"{kind}?{_TAGGED}", since)
                for resource in changes.resources
                if resource.type == kind and resource.body is not None
            ]
        except Retry:
            return 0
        return self.advice.note_rejected(
            server,
            {
                name
                for task in tasks
                if (name := identifier_of(task)) and state_of(task) == "rejected"
            },
            self.clock(),
        )
