# SPDX-License-Identifier: Apache-2.0
"""Decide on what arrived for a patient, and write the advice back.

Work of the inbox → an `ArrivalDecision`. The patient is read by Backend Services with the queries
of the hooks, and judged by the same rules and memory. New advice goes to the server as
Tasks, and Tasks that no longer hold are withdrawn, if the server's `write back` is `on`; in
`silent` mode everything is decided and kept, and nothing is written; what would stand on the server
is remembered, so that it is known what would have been withdrawn.

All of it may happen again for the same work: what is being written is noted before it is sent, and
has the same identifiers the next time. What the server refuses is kept as an item of the inbox, and
is decided on again by what is on the server then.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import Any, Final, Literal

from msgspec.json import encode
from msgspec.structs import replace as replace_struct
from sqlalchemy import Connection

from cds_service.clock import Clock, Deadline
from cds_service.fhir_client.client import Access, FhirClient
from cds_service.fhir_client.references import MOST
from cds_service.fhir_client.servers import Server, Servers
from cds_service.fhir_client.writer import FhirWriter
from cds_service.hooks.request import HookRequest
from cds_service.rules.shown_cards import quiet_keys
from cds_service.service import Knowledge, asked_on_arrival
from cds_service.smart.access import authorize_background
from cds_service.smart.token_cache import TokenCache
from cds_service.store.advice import LOOKED_FOR, STANDING, AdviceTable, WrittenAdvice, keep_advice
from cds_service.subscriptions.advice import Advice, AdvicePlace
from cds_service.subscriptions.arrival_memory import ArrivalMemory
from cds_service.subscriptions.judgement import (
    RESULT_TYPES,
    TRIGGER,
    DecisionInput,
    Judgement,
    findings_of,
    judge,
    versions_of,
)
from cds_service.subscriptions.open_advice import (
    Absence,
    OpenAdvice,
    Withdrawal,
    as_found,
    changes_of,
    last_written,
    new_advice_id,
    outdone,
    superseded,
    withdrawals_before,
)
from cds_service.subscriptions.patient_data import (
    ArrivedVersion,
    PatientReader,
    RecordingClient,
    arrived_version,
    confirmed,
)
from cds_service.subscriptions.planned_writes import PlannedWrites, bundle_of, written_advice
from cds_service.subscriptions.refused_advice import refused_in, unwritten
from cds_service.subscriptions.silent_mode import (
    kept_silently,
    silent_changes,
    written_for_real,
    written_silently,
)
from cds_service.subscriptions.work import (
    ADVICE,
    ASKED_AGAIN,
    ArrivalDecision,
    Retry,
    StillRefused,
    Work,
)
from cds_service.subscriptions.write_back import (
    BESIDE,
    AdviceServer,
    WithdrawnBefore,
    WriteRefused,
    adopted,
    with_digests,
)

_READING: Final = 0.5  # the share of the time in which the patient has to be read
_LEAST: Final = 1.0  # seconds that have to be left to write


@dataclass(frozen=True, slots=True, kw_only=True)
class ArrivalDecider:
    """Decides on work of the inbox. `seconds` is the time for one decision, within its lease."""

    knowledge: Knowledge
    servers: Servers
    client: FhirClient = field(repr=False)
    writer: FhirWriter = field(repr=False)
    tokens: TokenCache | None = field(repr=False)
    memory: ArrivalMemory = field(repr=False)
    advice: AdviceTable
    clock: Clock
    seconds: float
    max_depth: int
    max_entries: int
    base_url: str | None = None

    def __call__(self, work: Work) -> ArrivalDecision | None:
        """The decision; `None` where the server is `off`, or no result is among what arrived.

        Raises `Retry` for what another time may give, `StillRefused`, and `StoreError`.
        """
        refused = tuple(reference for item in work.items for reference in refused_in(item))
        is_again = any(item.type == ADVICE for item in work.items)
        results = tuple(arrived_version(item) for item in work.items if item.type in RESULT_TYPES)
        if not results and not is_again:
            return None
        server = self.servers.find(work.server)
        if server is None:
            raise Retry("not-allowed")
        if server.subscriptions.write_back == "off":
            return None
        decision = _Decision(self, server, work, (*refused, *results))
        try:
            decision.write()
        except WriteRefused as error:
            if not results and not decision.changes_anything:
                raise StillRefused(error.code) from None
            return decision.made(error.code)
        return decision.made()


class _Decision:
    """One decision in the making."""

    def __init__(
        self, of: ArrivalDecider, server: Server, work: Work, arrived: Sequence[ArrivedVersion]
    ) -> None:
        self.of = of
        self.server = server
        self.work = work
        self.writes = server.subscriptions.write_back == "on"
        rows = self._known()
        advised = {row.result for row in rows}
        # What was written before the setting was changed is withdrawn as well.
        before = {
            row.task.partition("/")[0] for row in rows if row.task and row.state in LOOKED_FOR
        }
        wanted = server.subscriptions
        self.kinds = sorted({wanted.advice_as, *before})
        self.arrived = tuple(
            replace_struct(version, withdrawn=version.withdrawn or version.reference in advised)
            for version in arrived
        )
        self.now: datetime = of.clock()
        self.deadline = Deadline(of.seconds)
        owner = server.subscriptions.owner
        self.place = AdvicePlace(
            server=work.server,
            patient=work.patient,
            zone=of.knowledge.zone,
            owner=owner,
            kind=wanted.advice_as,
            version=wanted.fhir_version,
        )
        self.recorder = RecordingClient(of.client)
        self.access = self._access()
        self.there = AdviceServer(
            reader=of.client,
            writer=of.writer,
            access=self.access,
            deadline=self.deadline,
            owner=owner,
            kind=wanted.advice_as,
            version=wanted.fhir_version,
            again=work.attempts < ASKED_AGAIN,
        )
        self.changed: dict[str, WrittenAdvice] = {}
        self.gone: set[str] = set()  # of what arrived, by their references
        self.finishes = False  # what a worker wrote that did not come to keep its decision
        self.reasons: dict[str, Withdrawal] = {}
        self.planned: list[PlannedWrites] = []
        self.written: Literal["no", "yes", "failed", "withdrawn"] = "no"
        self._rows: list[WrittenAdvice] = []

    def write(self) -> None:
        """Judge what arrived, and write what follows; raises `WriteRefused` and `Retry`."""
        judgements = self._judged()
        before = self._standing() if self.writes else self._standing_silently()
        self.planned = [self._planned(judgement, before) for judgement in judgements]
        if self.writes:
            self.written = self._write(self.planned, before)
        else:
            self.changed = {row.identifier: row for row in kept_silently(self.planned)}

    @property
    def changes_anything(self) -> bool:
        """Whether there is more to be kept than that nothing was written."""
        return any(row.state != "writing" for row in self.changed.values())

    def made(self, problem: str = "") -> ArrivalDecision:
        """The decision, after the write or after the server refused that for a `problem`."""
        planned = self.planned
        return ArrivalDecision(
            trigger=TRIGGER,
            packs=versions_of(self.of.knowledge, [plan.outcome for plan in planned]),
            input=encode(self._input(planned)),
            findings=[
                *(finding for plan in planned for finding in findings_of(plan.outcome)),
                *self._changes(planned),
            ],
            mode="on" if self.writes else "silent",
            written="failed" if problem else self.written,
            problem=problem,
            also=self._keep,
            gone=frozenset(self.gone),
            unwritten=unwritten(self.arrived) if problem else None,
        )

    def _access(self) -> Access:
        services = asked_on_arrival(self.of.knowledge)
        queries = [query for _, served in services for query in served.prefetch.values()]
        queries += [*MOST, *((*self.kinds, "ServiceRequest") if self.writes else ())]
        writes = (*self.kinds, *BESIDE) if self.writes else ()
        access = authorize_background(self.server, self.of.tokens, queries, writes)
        if access is None:
            raise Retry("not-allowed")
        return access

    def _judged(self) -> list[Judgement]:
        reader = PatientReader(
            client=self.recorder, max_depth=self.of.max_depth, max_entries=self.of.max_entries
        )
        share = replace(self.deadline, seconds=_READING * self.deadline.seconds)
        found = []
        for service, served in asked_on_arrival(self.of.knowledge):
            request = reader.read(
                self.access, self.work.patient, service.hook, served.prefetch, share
            )
            self._confirm(request, share)
            found.append(judge(self.of.knowledge, service, served, request, self.arrived, self.now))
        return found

    def _confirm(self, request: HookRequest, deadline: Deadline) -> None:
        """Find which arrived results are no longer on the server; raises `Retry`."""
        before = {version.reference for version in self.arrived if version.gone}
        self.arrived = confirmed(
            self.recorder,
            self.access,
            self.work.patient,
            self.arrived,
            request,
            deadline,
            again=self.work.attempts < ASKED_AGAIN,
        )
        self.gone |= {version.reference for version in self.arrived if version.gone} - before

    def _known(self) -> tuple[WrittenAdvice, ...]:
        """What was written about the patient, or in silent mode would have been."""
        rows = self.of.advice.of_patient(self.work.server, self.work.patient)
        return written_for_real(rows) if self.writes else written_silently(rows)

    def _standing_silently(self) -> dict[str, OpenAdvice]:
        """What would stand on the server, by identifier; the server is not asked."""
        self._rows = list(self._known())
        return {row.identifier: OpenAdvice(row, {}) for row in self._rows if row.state == "open"}

    def _standing(self) -> dict[str, OpenAdvice]:
        """What of ours may be acted on still, as it is on the server now, by identifier."""
        rows = self._known()
        known = [row for row in rows if row.state in LOOKED_FOR]
        tasks = self.there.standing(known) if known else {}
        found: dict[str, OpenAdvice] = {}
        for row in known:
            task, known_advice = tasks[row.identifier], row
            if known_advice.state == "writing" and isinstance(task, Absence):
                self.changed[known_advice.identifier] = known_advice  # it never came to be written
                continue
            if known_advice.state == "writing" and not isinstance(task, Absence):
                known_advice = adopted(known_advice, task)
                self.finishes = True
            now = as_found(known_advice, task)
            if now != row:
                self.changed[known_advice.identifier] = now
            if now.state in STANDING and not isinstance(task, Absence):
                found[known_advice.identifier] = OpenAdvice(now, task)
        for now in outdone(advice.written for advice in found.values()):
            self.changed[now.identifier] = now
            found[now.identifier] = replace(found[now.identifier], written=now)
        self._rows = [self.changed.get(row.identifier, row) for row in rows]
        return found

    def _planned(self, judgement: Judgement, before: dict[str, OpenAdvice]) -> PlannedWrites:
        evaluation, place = judgement.evaluation, self.place
        call = judgement.call(place.server, place.patient)
        remembered = self.of.memory.recall(evaluation, call)
        standing = [
            advice.written
            for advice in before.values()
            if advice.written.pack == evaluation.pack.id
        ]
        withdrawals = list(withdrawals_before(standing, evaluation, place, remembered.overridden))
        over = {advice.identifier for advice, _ in withdrawals}
        rows = [
            replace(row, state="cancelled") if row.identifier in over else row for row in self._rows
        ]
        by_tasks = quiet_keys(
            evaluation.decisions,
            evaluation.now.date(),
            last_written(rows, evaluation.now.tzinfo),
        )
        quiet = remembered.quiet | by_tasks
        outcome = judgement.outcome(remembered.overridden, quiet)
        plan = PlannedWrites(
            outcome,
            withdrawals=withdrawals,
            overridden=remembered.overridden,
            quiet=quiet,
        )
        self._advise(plan, judgement, rows)
        left = [advice for advice in standing if advice.identifier not in over]
        holding = [
            replace(advice, state="open") for advice in left if advice.state == "withdrawing"
        ]
        self.changed |= {row.identifier: row for row in holding}
        plan.withdrawals.extend(superseded(left, [*holding, *plan.rows]))
        return plan

    def _advise(self, plan: PlannedWrites, judgement: Judgement, rows: list[WrittenAdvice]) -> None:
        """Add the advice that is not given yet, each card as a Task of its own."""
        outcome, place = plan.outcome, self.place
        call = judgement.call(place.server, place.patient)
        cards = judgement.cards(outcome, call, self.of.base_url)
        shown = [decision for decision in outcome.decisions if decision.shown]
        for card, decision in zip(cards, shown, strict=True):
            found = new_advice_id(decision, outcome, place, rows)
            if found is not None:
                advice = Advice(id=found, decision=decision, card=card)
                plan.new.append(advice)
                plan.rows.append(written_advice(advice, outcome, place))

    def _write(
        self, planned: list[PlannedWrites], before: dict[str, OpenAdvice]
    ) -> Literal["no", "yes", "withdrawn"]:
        """Write what is new, then withdraw what no longer holds."""
        rows = [row for plan in planned for row in plan.rows]
        withdrawals = [withdrawal for plan in planned for withdrawal in plan.withdrawals]
        if (rows or withdrawals) and self.deadline.remaining() < _LEAST:
            raise Retry("late")  # another worker may have the work by the time that it is done
        if rows:
            bundle = bundle_of(planned, self.place)
            rows = with_digests(rows, bundle)
            known = {row.identifier for row in self._rows if row.state == "writing"}
            self.of.advice.begin([row for row in rows if row.identifier not in known], self.now)
            try:
                written = self.there.write(bundle, rows)
            except WithdrawnBefore as error:  # the next time it gets another identifier
                self.of.advice.note_withdrawn(self.work.server, error.identifier, self.now)
                raise
            self.changed |= {row.identifier: row for row in written}
        now = self.now.astimezone(UTC).isoformat(timespec="seconds").replace("+00:00", "Z")
        refused: WriteRefused | None = None
        for advice, why in withdrawals:
            try:
                ended = self.there.withdraw(before[advice.identifier], why, now)
            except WriteRefused as error:  # it stands there, and the others need not
                refused, ended = error, replace(advice, state="withdrawing")
            if ended != advice or advice.identifier in self.changed:
                self.changed[advice.identifier] = ended
                self.reasons[advice.identifier] = why
        if refused is not None:
            raise refused
        if rows or (self.finishes and not withdrawals):
            return "yes"
        return "withdrawn" if withdrawals else "no"

    def _changes(self, planned: list[PlannedWrites]) -> list[dict[str, Any]]:
        """What became of advice, to be kept with the decision."""
        if not self.writes:
            return silent_changes(planned)
        return changes_of(self.changed.values(), self.reasons)

    def _input(self, planned: list[PlannedWrites]) -> DecisionInput:
        return DecisionInput(
            server=self.work.server,
            patient=self.work.patient,
            at=self.now,
            arrived=self.arrived,
            answers=tuple(self.recorder.answers.values()),
            overridden=tuple(sorted(key for plan in planned for key in plan.overridden)),
            quiet=tuple(sorted(key for plan in planned for key in plan.quiet)),
        )

    def _keep(self, connection: Connection, number: int) -> None:
        keep_advice(connection, tuple(self.changed.values()), number, self.now)
