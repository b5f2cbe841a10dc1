# SPDX-License-Identifier: Apache-2.0
"""From a message of HL7 v2 to a Task, by listener, worker, FHIR server and Subscription.

The same result that came by FHIR gives the same decision.
"""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import requests

from tests.feedback.killed_server import free_port
from tests.fhir_server.sekmet import put, running
from tests.mllp.listener_process import MESSAGES, SYSTEM, Listener, code_of
from tests.reports.messages import obx
from tests.subscriptions.notified import topic_of_observations
from tests.subscriptions.service_process import Service, until
from tests.web.http_fixtures import ALT, observation, patient

pytestmark = pytest.mark.server

YESTERDAY = datetime.now(UTC).replace(microsecond=0) - timedelta(days=1)
Json = dict[str, Any]


def admitted(identity: str, number: str) -> Json:
    return patient(id=identity) | {"identifier": [{"system": SYSTEM, "value": number}]}


@pytest.fixture(scope="module")
def base() -> Iterator[str]:
    with running(subscriptions={"notify_method": "put-resource"}) as found:
        people = [admitted("p-hl7", "4711"), admitted("p-fhir", "4712")]
        put(found, [*people, topic_of_observations()])
        yield found


def oru(*results: str, control: str, number: str = "4711", order: str = "A1") -> bytes:
    header = rf"MSH|^~\&|LAB|HOSPITAL|||20260305100000||ORU^R01|{control}|P|2.5.1"
    who = f"PID|1||{number}^^^HOSPITAL^MR||Muster^Anna"
    drawn = f"{YESTERDAY:%Y%m%d%H%M%S}+0000"
    asked = f"OBR|1||{order}^LAB|24325-3^Hepatic panel^LN|||{drawn}"
    return "\r".join([header, who, asked, *results, ""]).encode()


def found(base: str, kind: str, patient_id: str) -> list[Json]:
    answer = requests.get(f"{base}/{kind}?patient={patient_id}", timeout=20).json()
    return [entry["resource"] for entry in answer.get("entry", [])]


def tasks(base: str, patient_id: str) -> list[str]:
    return [task["status"] for task in found(base, "Task", patient_id)]


def decided(service: Service, patient_id: str) -> list[Json]:
    """What was decided on the first result of a patient, but for the name of the result."""
    until(lambda: any(row.patient == patient_id for row in service.decided()))
    row = next(row for row in service.decided() if row.patient == patient_id)
    assert any(finding.get("rule") == "alt-very-low" for finding in row.findings), row.findings
    named = {"about", "identifier", "task", "result"}
    return [{k: v for k, v in finding.items() if k not in named} for finding in row.findings]


def test_a_result_by_message_is_decided_on_as_one_by_fhir(base: str, tmp_path: Path) -> None:
    service = Service(tmp_path, base, free_port(), write_back="on", more=MESSAGES)
    listener = Listener(tmp_path, f"sqlite:///{tmp_path / 'service.db'}", base)
    with service.answering(), listener.running(), listener.connected() as sender:
        service.subscribe("--kind", "criteria")

        low = obx("1", f7="7-40")
        assert code_of(sender.send(oru(low, control="m1"))) == "AA"
        print(f"Task: {until(lambda: tasks(base, 'p-hl7') == ['requested']):.2f} s")
        (stored,) = found(base, "Observation", "p-hl7")

        same = observation(ALT, 1, id="by-fhir", effectiveDateTime=YESTERDAY.isoformat())
        same |= {"subject": {"reference": "Patient/p-fhir"}}
        same |= {name: stored[name] for name in ("referenceRange", "code", "valueQuantity")}
        put(base, [same])
        until(lambda: tasks(base, "p-fhir") == ["requested"])
        assert decided(service, "p-hl7") == decided(service, "p-fhir")

        assert code_of(sender.send(oru(low, control="m1"))) == "AA"  # sent again
        assert code_of(sender.send(oru(low, control="m2"))) == "AA"  # and under another id
        corrected = obx("30", f7="7-40", f11="C")
        assert code_of(sender.send(oru(corrected, control="m3"))) == "AA"
        until(lambda: tasks(base, "p-hl7") == ["cancelled"])
        (after,) = found(base, "Observation", "p-hl7")
        assert (after["id"], after["status"]) == (stored["id"], "corrected")
        assert after["valueQuantity"]["value"] == 30

        assert code_of(sender.send(oru(obx("30", f11="D"), control="m4"))) == "AA"
        until(lambda: found(base, "Observation", "p-hl7")[0]["status"] == "entered-in-error")
        assert len(found(base, "Observation", "p-hl7")) == 1
    assert "4711" not in listener.lines()
    assert "Muster" not in listener.lines()
