# SPDX-License-Identifier: Apache-2.0
"""The results of a message of HL7 v2 -> Observations on its FHIR server.

All of a message in one transaction of conditional updates: a result that is sent again, corrected
or taken back changes the one that is there. The server then notifies of them as of any others.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Final
from urllib.parse import quote
from zoneinfo import ZoneInfo

from msgspec import Raw
from msgspec.json import Encoder

from cds_service.clock import Clock, Deadline
from cds_service.fhir_client.client import Access
from cds_service.fhir_client.servers import MessageSettings, Servers
from cds_service.fhir_client.writer import FhirWriter
from cds_service.log import log_message_written
from cds_service.reports.hl7v2.results import read_results
from cds_service.reports.report import ReportPatient
from cds_service.subscriptions.message_observations import results_of_message
from cds_service.subscriptions.message_order import UnclearResult
from cds_service.subscriptions.message_patient import (
    PatientIdentifier,
    is_contradicted,
    is_patient_of,
    patient_identifiers,
)
from cds_service.subscriptions.message_results import MessageResults
from cds_service.subscriptions.message_states import (
    RESULT_SYSTEM,
    PlacedResult,
    to_write,
)
from cds_service.subscriptions.notified_resource import NotifiedResource
from cds_service.subscriptions.server_reader import ServerReader
from cds_service.subscriptions.work import Item, Retry, Unwritable
from cds_service.subscriptions.write_back import statuses_of

READ: Final = ("Patient?", "Observation?")  # types that a token is needed for
WRITTEN: Final = ("Observation",)
_PATIENCE: Final = 30.0  # seconds for the server to store a message
_WAIT: Final = timedelta(hours=1)  # the patient may be stored after the result
_REFUSALS: Final = frozenset(("refused", "not-fhir"))
_PUT_OFF: Final = frozenset((409, 412, 424, 429, 500, 502, 503, 504))
_ENCODER: Final = Encoder(decimal_format="number")  # 1.10 keeps its zero


@dataclass(frozen=True, slots=True, kw_only=True)
class MessageWriter:
    """Writes the results of messages; a function of the type `WriteMessage`.

    `reader` has the access to read that `WRITTEN` needs as well.
    """

    servers: Servers
    reader: ServerReader
    writer: FhirWriter
    results: MessageResults
    zone: ZoneInfo
    clock: Clock

    def __call__(self, item: Item) -> None:
        """Write the results of this message, but not over what is newer or final."""
        server = self.servers.find(item.server)
        access = self.reader.access_to(item.server)
        if server is None or server.messages is None or access is None:
            raise Retry("not-allowed")
        message = item.body or b""
        (about,) = read_results(message).patients
        identifier, subject = self._patient(item.server, about.patient, server.messages)
        made = results_of_message(
            message, about.rows, subject=subject, patient=identifier, zone=self.zone
        )
        try:
            known = self.results.written(item.server, made)
            wanted = to_write(made, known, item.id, item.received)
        except UnclearResult:
            raise Unwritable("result-unclear") from None
        if wanted:
            self._write(access, wanted)
            self.results.keep(item, wanted, self.clock())
        log_message_written(results=len(wanted), superseded=len(made) - len(wanted))

    def _patient(
        self, server: str, report_patient: ReportPatient, settings: MessageSettings
    ) -> tuple[PatientIdentifier, str]:
        """The patient's identifier, and the reference of the only one whom all of them name.

        One of the authority that counts has to be known to the server; of others only that they
        do not name somebody else.
        """
        identifiers = patient_identifiers(report_patient, settings)
        if not identifiers:  # the file of servers was changed since
            raise Unwritable("no-patient-id")
        found: dict[str, NotifiedResource] = {}
        known: set[str] = set()
        for identifier in identifiers:
            for resource in self.reader.answered(server, identifier.query):
                if is_patient_of(resource, identifier):
                    found[resource.id] = resource
                    known.add(identifier.system)
        if len(found) > 1:
            raise Unwritable("patients-differ")
        if identifiers[0].system not in known:
            raise Retry("patient-unknown", within=_WAIT)
        ((identity, patient),) = found.items()
        if is_contradicted(patient, report_patient.birth_date):
            raise Unwritable("patient-differs")
        return identifiers[0], f"Patient/{identity}"

    def _write(self, access: Access, made: Sequence[PlacedResult]) -> None:
        entries = [
            {
                "resource": Raw(_ENCODER.encode(result.observation)),
                "request": {
                    "method": "PUT",
                    "url": f"Observation?identifier={_token(result.identifier)}",
                },
            }
            for result in made
        ]
        bundle = {"resourceType": "Bundle", "type": "transaction", "entry": entries}
        result = self.writer.transaction(access, bundle, Deadline(_PATIENCE), repeatable=True)
        if result.failure in _REFUSALS:
            raise Unwritable(result.failure)
        if result.failure is not None:
            raise Retry(result.failure)
        statuses = statuses_of(result)
        if len(statuses) != len(entries):
            raise Unwritable("not-fhir")
        failed = [status for status in statuses if not 200 <= status < 300]
        if failed:
            raise Retry("conflict") if _PUT_OFF.issuperset(failed) else Unwritable("refused")


def _token(name: str) -> str:
    return quote(f"{RESULT_SYSTEM}|{name}", safe="")
