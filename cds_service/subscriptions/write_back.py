# SPDX-License-Identifier: Apache-2.0
"""Advice on its way to a FHIR server and back: what is sent, and what the server made of it.

Everything may be sent again: creates are conditional on our identifiers, updates on the version
that was read. So what a server put off, or did only in part inside an answer of 200, is repeated;
what it still does not do raises `Retry`, or `WriteRefused` where repeating cannot help.
"""

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any, Final

from msgspec import DecodeError
from msgspec.json import decode

from cds_service.clock import Deadline
from cds_service.fhir_client.client import Access, FhirClient, QueryResult, wait_before_next
from cds_service.fhir_client.failures import QueryError
from cds_service.fhir_client.servers import AdviceResource, FhirVersion
from cds_service.fhir_client.writer import FhirWriter, WriteResult
from cds_service.store.advice import STANDING, WrittenAdvice
from cds_service.subscriptions.advice_parts import ADVICE_SYSTEM, Json, identifier_of, references_in
from cds_service.subscriptions.advice_resources import OPEN
from cds_service.subscriptions.open_advice import (
    Absence,
    OpenAdvice,
    Withdrawal,
    as_found,
    is_untouched,
    is_withdrawn,
    proposals_in,
    withdrawn,
)
from cds_service.subscriptions.task_digest import FIRST, digest_of, is_as_sent, version_of
from cds_service.subscriptions.work import Retry

BESIDE: Final = ("ServiceRequest", "GuidanceResponse", "Provenance")  # what carries advice
_TRIES: Final = 4
# To send the same again cannot help after these: the server has read it and does not want it.
_REFUSALS: Final = frozenset(("refused", "too-long"))
_PUT_OFF: Final = frozenset((409, 412, 429, 500, 502, 503, 504))


class WithdrawnBefore(Retry):
    """The advice to write is already on the server, withdrawn by us; our record of it was lost."""

    def __init__(self, identifier: str) -> None:
        super().__init__("conflict")
        self.identifier = identifier


class WriteRefused(Exception):
    """The server does not take the advice; `code` says why, as a code of `WRITE_FAILURES`."""

    def __init__(self, code: str) -> None:
        super().__init__("The FHIR server does not take the advice.")
        self.code = code


@dataclass(frozen=True, slots=True)
class StoredResource:
    """A resource as a server has it: `Type/id`, its version, and whether it was there before."""

    reference: str
    version: str
    was_there: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class AdviceServer:
    """Writes advice to one server, and reads what stands there; all before the deadline.

    `owner` is who owns the Tasks that are written now, `kind` the type of the resource that stands
    for the Task, of this version of FHIR. With `again` a 404 is a `Retry`, where it was there.
    """

    reader: FhirClient = field(repr=False)
    writer: FhirWriter = field(repr=False)
    access: Access = field(repr=False)
    deadline: Deadline
    owner: str | None = None
    kind: AdviceResource = "Task"
    version: FhirVersion = "R4"
    again: bool = False

    def standing(self, advice: Collection[WrittenAdvice]) -> dict[str, Json | Absence]:
        """The Task of each, by its identifier, or why there is none. Raises `Retry`."""
        search = "identifier" if self.kind == "Task" else "_tag"
        jobs = {
            row.identifier: partial(
                self.reader.ask,
                self.access,
                row.task or f"{self.kind}?{search}={ADVICE_SYSTEM}|{row.identifier}",
                self.deadline,
            )
            for row in advice
        }
        results = self.reader.in_parallel(jobs, self.deadline)
        found = {identifier: _task_in(result) for identifier, result in results.items()}
        for row in advice:
            if row.state in STANDING:
                self._ask_again(found[row.identifier])
        return found

    def write(self, bundle: Json, advice: Iterable[WrittenAdvice]) -> tuple[WrittenAdvice, ...]:
        """The advice as it stands after a transaction that creates it.

        Raises `Retry` and `WriteRefused`. A Task that was there already is read, for somebody may
        have worked on it; `advice` is as `with_digests` made it.
        """
        stored = dict(zip(_identifiers(bundle), self._sent(bundle), strict=True))
        found = []
        for row in advice:
            task = stored[row.identifier]
            orders = [stored[name] for name in _orders_of(row.identifier, bundle)]
            kept = replace(
                row,
                state="open",
                task=task.reference,
                task_version=task.version,
                proposals=tuple(
                    (order.reference, FIRST if task.version == FIRST else order.version)
                    for order in orders
                ),
            )
            found.append((kept, row.task_version if task.was_there else None))
        return self._checked(found)

    def withdraw(self, standing: OpenAdvice, why: Withdrawal, now: str) -> WrittenAdvice:
        """The advice cancelled, or left alone where somebody has worked on its Task.

        Raises `Retry` and `WriteRefused`.
        """
        written, task = standing.written, standing.task
        for _ in range(_TRIES):
            if is_withdrawn(task):
                return replace(written, state="cancelled")
            if not is_untouched(written, task, self.owner):
                return replace(written, state="left-alone")
            resources = [task, *self._untouched_proposals(written)]
            entries = [
                _update(withdrawn(resource, why, now, self.version)) for resource in resources
            ]
            bundle = {"resourceType": "Bundle", "type": "transaction", "entry": entries}
            result = self.writer.transaction(self.access, bundle, self.deadline, repeatable=False)
            if result.failure is None:
                failed = [status for status in statuses_of(result) if not 200 <= status < 300]
                if not failed:
                    return replace(written, state="cancelled")
                if not _PUT_OFF.issuperset(failed):
                    raise WriteRefused("refused")
            elif result.failure != "conflict":
                raise _failure(result.failure)
            again = self.standing([written])[written.identifier]
            if isinstance(again, Absence):
                return as_found(written, again)
            task = again
        raise Retry("conflict")

    def _sent(self, bundle: Json) -> tuple[StoredResource, ...]:
        """What was stored of each entry, in their order."""
        for attempt in range(_TRIES):
            result = self.writer.transaction(self.access, bundle, self.deadline, repeatable=True)
            if result.failure is not None:
                raise _failure(result.failure)
            statuses = statuses_of(result)
            if len(statuses) != len(bundle["entry"]):
                raise WriteRefused("not-fhir")
            failed = [status for status in statuses if not 200 <= status < 300]
            if not failed:
                return tuple(map(_stored, _responses(result), statuses))
            if not _PUT_OFF.issuperset(failed):
                raise WriteRefused("refused")
            if attempt + 1 < _TRIES:
                self._pause(attempt)
        raise Retry("busy" if 429 in failed else "conflict")

    def _ask_again(self, task: Json | Absence) -> None:
        """Leave what is not found for another time: a copy of the server may be behind."""
        if self.again and task is Absence.NOT_FOUND:
            raise Retry("not-found")

    def _pause(self, attempt: int) -> None:
        try:
            wait_before_next(attempt, None, self.deadline)
        except QueryError as error:
            raise Retry(error.code) from None

    def _checked(
        self, digests: list[tuple[WrittenAdvice, str | None]]
    ) -> tuple[WrittenAdvice, ...]:
        """The advice, where its Task was there before in the state in which that is now.

        Each comes with the digest of a Task that was there before.
        """
        doubtful = [row for row, digest in digests if digest is not None or not row.task_version]
        tasks = self.standing(doubtful) if doubtful else {}
        return tuple(
            _as_there(row, tasks[row.identifier], digest) if row.identifier in tasks else row
            for row, digest in digests
        )

    def _untouched_proposals(self, written: WrittenAdvice) -> list[Json]:
        """The proposed orders that are as we wrote them; others are somebody's work."""
        jobs = {
            reference: partial(self.reader.ask, self.access, reference, self.deadline)
            for reference, _ in written.proposals
        }
        results = self.reader.in_parallel(jobs, self.deadline)
        found = []
        for reference, version in written.proposals:
            order = _resource_in(results[reference])
            self._ask_again(order)
            if isinstance(order, Absence):
                continue
            known = (order.get("meta") or {}).get("versionId", "")
            is_same = not version or not known or version == known
            if is_same and order.get("status") == "draft":
                found.append(order)
        return found


def adopted(written: WrittenAdvice, task: Json) -> WrittenAdvice:
    """The advice of which only the identifier is known, with what its Task on the server says.

    It is left alone if somebody has changed it since.
    """
    version = version_of(task)
    is_ours = is_as_sent(task, written.task_version)
    of_orders = FIRST if version == FIRST else ""
    return replace(
        written,
        state=written.state if is_ours else "left-alone",
        task=f"{task['resourceType']}/{task.get('id', '')}",
        task_version=version if is_ours else "",
        proposals=tuple((reference, of_orders) for reference in proposals_in(task)),
    )


def with_digests(advice: Iterable[WrittenAdvice], bundle: Json) -> list[WrittenAdvice]:
    """The advice that is about to be sent, with digests of it until versions are known."""
    sent = dict(zip(_identifiers(bundle), bundle["entry"], strict=True))
    return [
        replace(row, task_version=digest_of(sent[row.identifier]["resource"])) for row in advice
    ]


def _as_there(written: WrittenAdvice, task: Json | Absence, digest: str | None) -> WrittenAdvice:
    if isinstance(task, Absence):
        return as_found(written, task)
    if is_withdrawn(task):
        raise WithdrawnBefore(written.identifier)
    is_changed = digest is not None and not is_as_sent(task, digest)
    if is_changed or task.get("status") != OPEN[task["resourceType"]]:
        return replace(written, state="left-alone")
    return replace(written, task_version=version_of(task) or written.task_version)


def _identifiers(bundle: Json) -> list[str]:
    """What each entry is known by."""
    return [
        identifier_of(entry["resource"]) or entry["fullUrl"].removeprefix("urn:uuid:")
        for entry in bundle["entry"]
    ]


def _orders_of(identifier: str, bundle: Json) -> list[str]:
    """The identifiers of the ServiceRequests that a Task of the Bundle names."""
    made = {identifier_of(entry["resource"]): entry["resource"] for entry in bundle["entry"]}
    named = (reference.removeprefix("urn:uuid:") for reference in references_in(made[identifier]))
    return [name for name in named if made.get(name, {}).get("resourceType") == "ServiceRequest"]


def _update(resource: Json) -> Json:
    """The entry that updates a resource, if it is still in the version that was read."""
    url = f"{resource['resourceType']}/{resource['id']}"
    version = (resource.get("meta") or {}).get("versionId")
    condition = {"ifMatch": f'W/"{version}"'} if version else {}
    return {"resource": resource, "request": {"method": "PUT", "url": url, **condition}}


def _responses(result: WriteResult) -> list[Mapping[str, Any]]:
    """What the server says of each entry; not all of them where its answer is no such Bundle."""
    entries = (result.resource or {}).get("entry")
    found: list[Mapping[str, Any]] = []
    for entry in entries if isinstance(entries, list) else []:
        response = entry.get("response") if isinstance(entry, dict) else None
        if isinstance(response, dict):
            found.append(response)
    return found


def statuses_of(result: WriteResult) -> list[int]:
    """The status of each entry of a transaction, 0 where the server says none."""
    words = [str(response.get("status", "")).split() for response in _responses(result)]
    return [int(word[0]) if word and word[0].isdigit() else 0 for word in words]


def _stored(response: Mapping[str, Any], status: int) -> StoredResource:
    location, _, history = str(response.get("location", "")).partition("/_history/")
    pieces = location.rsplit("/", 2)[-2:]
    etag = str(response.get("etag", "")).removeprefix("W/").strip('"')
    reference = "/".join(pieces) if len(pieces) == 2 and all(pieces) else ""
    return StoredResource(reference=reference, version=etag or history, was_there=status != 201)


def _task_in(result: QueryResult) -> Json | Absence:
    """The Task that was read, or found by its identifier; raises `Retry`."""
    resource = _resource_in(result)
    if isinstance(resource, Absence) or resource.get("resourceType") != "Bundle":
        return resource
    found = [
        entry["resource"]
        for entry in resource.get("entry", [])
        if entry.get("resource", {}).get("resourceType") in OPEN
    ]
    return found[0] if found else Absence.NOT_FOUND


def _resource_in(result: QueryResult) -> Json | Absence:
    if result.failure == "not-found":
        return Absence.GONE if result.is_gone else Absence.NOT_FOUND
    if result.failure is not None or not result.pages:
        raise Retry(result.failure or "not-fhir")
    try:
        found = decode(result.pages[0].body)
    except (DecodeError, RecursionError):
        raise Retry("not-fhir") from None
    if not isinstance(found, dict):
        raise Retry("not-fhir")
    return found


def _failure(code: str) -> WriteRefused | Retry:
    return WriteRefused(code) if code in _REFUSALS else Retry(code)
