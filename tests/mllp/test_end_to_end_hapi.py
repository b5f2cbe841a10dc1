# SPDX-License-Identifier: Apache-2.0
"""From a message of HL7 v2 to a Task on HAPI FHIR: its conditional updates and its Subscription."""

from datetime import timedelta
from pathlib import Path
from typing import Any
from uuid import uuid4

import requests

from tests.feedback.killed_server import free_port
from tests.fhir_server.sekmet import put
from tests.mllp.listener_process import MESSAGES, Listener, code_of
from tests.mllp.test_end_to_end import YESTERDAY, admitted, oru
from tests.reports.messages import obx
from tests.subscriptions.service_process import Service, until

# The fixture `hapi` gives its tests their markers.
Json = dict[str, Any]


class Chart:
    """What HAPI has of a patient, as it is now: without this header it repeats older answers."""

    def __init__(self, base: str, patient: str) -> None:
        self.base, self.patient = base, patient

    def found(self, kind: str) -> list[Json]:
        answer = requests.get(
            f"{self.base}/{kind}?patient={self.patient}",
            headers={"Cache-Control": "no-cache"},
            timeout=20,
        ).json()
        return [entry["resource"] for entry in answer.get("entry", [])]

    def results(self) -> list[tuple[float | None, str]]:
        found = self.found("Observation")
        return sorted(
            (resource.get("valueQuantity", {}).get("value"), resource["status"])
            for resource in found
        )

    def tasks(self) -> list[str]:
        return sorted(task["status"] for task in self.found("Task"))


def test_results_by_message_are_decided_on_corrected_and_taken_back(
    hapi: str, tmp_path: Path
) -> None:
    identity, number = f"p{uuid4().hex[:12]}", uuid4().hex[:12]
    put(hapi, [admitted(identity, number)])
    chart = Chart(hapi, identity)
    service = Service(tmp_path, hapi, free_port(), write_back="on", more=MESSAGES)
    listener = Listener(tmp_path, f"sqlite:///{tmp_path / 'service.db'}", hapi)
    with service.answering(), listener.running(), listener.connected() as sender:

        def send(value: str, status: str, order: str, control: str) -> None:
            drawn = YESTERDAY + timedelta(hours=int(order[1:]))
            result = obx(value, f7="7-40", f11=status, f14=f"{drawn:%Y%m%d%H%M%S}+0000")
            message = oru(result, control=control, number=number, order=order)
            assert code_of(sender.send(message)) == "AA"

        until(lambda: service.has_subscribed("--kind", "criteria"))

        send("1", "F", "A1", "m1")
        until(lambda: chart.tasks() == ["requested"])
        (first,) = chart.found("Observation")
        send("1", "F", "A1", "m2")  # sent again: nothing new
        send("2", "P", "A1", "m3")  # not over what is final
        send("30", "C", "A1", "m4")
        until(lambda: chart.tasks() == ["cancelled"])
        (after,) = chart.found("Observation")
        assert (after["id"], chart.results()) == (first["id"], [(30, "corrected")])

        send("2", "F", "A2", "m5")
        until(lambda: chart.tasks() == ["cancelled", "requested"])
        send("2", "W", "A2", "m6")
        until(lambda: chart.tasks() == ["cancelled", "cancelled"])
        assert chart.results() == [(2, "entered-in-error"), (30, "corrected")]
        service.end()
