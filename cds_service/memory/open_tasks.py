# SPDX-License-Identifier: Apache-2.0
"""The Tasks that stand on FHIR servers, held in memory: what they propose no card proposes again.

A Task counts from when it was written until it is withdrawn or somebody rejects it. It keeps cards
quiet as if it had been a card, whichever client asks, for a Task is seen by all.
"""

from datetime import datetime, timedelta

from cds_service.call_context import CallContext
from cds_service.clock import Clock
from cds_service.knowledge.model.pack import Indicator
from cds_service.memory.subjects import quiet_card_of
from cds_service.store.advice import COUNTING, AdviceTable, WrittenAdvice
from cds_service.store.store import RuleVersion

_OVERLAP = timedelta(minutes=1)  # clocks of machines differ, and transactions take their time


class OpenTasks:
    """By a keyed hash of patient, rule and indicator; followed by one thread, read by all.

    `days` is the longest time that a card is quiet.
    """

    def __init__(self, table: AdviceTable, key: bytes, clock: Clock, days: int) -> None:
        self._table = table
        self._key = key
        self._clock = clock
        self._days = timedelta(days=days + 1)
        self._written: dict[bytes, dict[int, datetime]] = {}
        self._seen: datetime | None = None

    def last_written(
        self, rule: RuleVersion, indicator: Indicator, call: CallContext
    ) -> datetime | None:
        """When the newest Task of this rule about the patient of the call was written."""
        about = (call.fhir_server or "", call.patient_id)
        if not call.fhir_server:
            return None  # two servers may give two patients the same id
        times = self._written.get(self._card(rule, indicator, *about), {})
        return max(tuple(times.values()), default=None)

    def load(self) -> None:
        """Read all that may still keep a card quiet; raises `StoreError`."""
        now = self._clock()
        self._written = {}
        for task in self._table.written_since(now - self._days):
            self._note(task)
        self._seen = now

    def refresh(self) -> None:
        """Read what has changed; raises `StoreError`."""
        if self._seen is None:
            self.load()
            return
        for task, changed in self._table.changed_since(self._seen - _OVERLAP):
            self._note(task)
            self._seen = max(self._seen, changed)

    def _note(self, task: WrittenAdvice) -> None:
        rule = RuleVersion(task.pack, task.rule, task.rule_version)
        card = self._card(rule, task.indicator, task.server, task.patient)
        times = dict(self._written.get(card, {}))
        if task.state in COUNTING and task.written >= self._clock() - self._days:
            times[task.id] = task.written
        else:
            times.pop(task.id, None)
        if times:
            self._written[card] = times  # another object: it may be read just now
        else:
            self._written.pop(card, None)

    def _card(self, rule: RuleVersion, indicator: Indicator, server: str, patient: str) -> bytes:
        call = CallContext(service="", trigger="", patient_id=patient, fhir_server=server)
        return quiet_card_of(rule, indicator, call, self._key)
