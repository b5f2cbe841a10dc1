# SPDX-License-Identifier: Apache-2.0
"""The one use case: a hook request in, cards out.

Knowledge is loaded and compiled once, at start-up; a call reads it and changes nothing.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta, tzinfo
from itertools import pairwise
from typing import Protocol
from uuid import UUID
from zoneinfo import ZoneInfo

from cds_service.call_context import CallContext
from cds_service.clock import NO_DEADLINE, Deadline
from cds_service.decide import Evaluation, Outcome, Program, compile_pack, evaluate, settle
from cds_service.errors import MissingData, RequestError, UnknownService
from cds_service.explanation.decisions import explain
from cds_service.fhir.bundles import Fetched
from cds_service.fhir.decode import Unreadable
from cds_service.fhir.resources import Observation
from cds_service.hooks.discovery import prefetch_of, rules_of, write_discovery
from cds_service.hooks.request import HookRequest
from cds_service.hooks.response import EXPLANATION_EXTENSION, REQUEST_EXTENSION, HookResponse
from cds_service.intake.marker_lookup import MarkerLookup
from cds_service.intake.pack_reader import PackReader
from cds_service.intake.patient_input import PatientInput, unread_results
from cds_service.intake.read_record import read_record
from cds_service.intake.times import Times, sent_time
from cds_service.knowledge.checking.lock import Lock, read_lock
from cds_service.knowledge.model.messages import ENGLISH
from cds_service.knowledge.model.pack import Pack, Service
from cds_service.knowledge.reading.folder import PackFiles, pack_folders
from cds_service.knowledge.site.overlay import load_library_at
from cds_service.prefetch_keys import OBSERVATIONS
from cds_service.render import CardTemplates, compile_cards, render, with_folded_named
from cds_service.render.card import Card
from cds_service.render.profiles import in_profile, takes_groups
from cds_service.rules.answer import Decision, DecisionKey, cards_among
from cds_service.settings import ExplainMode, OutputProfile, Settings, cards_folder, prefetch_keys
from cds_service.sources.hook_request import input_from_request, kinds_sent

_NOBODY = "unknown"  # the id in a proposal for a file that names no patient


@dataclass(frozen=True, slots=True, kw_only=True)
class Served:
    """A pack behind a service, ready to answer; `prefetch` is what discovery asks for, by key."""

    program: Program
    reader: PackReader
    templates: CardTemplates
    prefetch: Mapping[str, str]


@dataclass(frozen=True, slots=True, kw_only=True)
class Knowledge:
    """All packs, ready to answer; `services` by service id, then by hook.

    `files` and `locks`, by pack id, hold what the packs were made of: their cases and versions.
    """

    packs: tuple[Pack, ...]
    services: Mapping[str, Mapping[str, Served]]
    discovery: bytes
    zone: tzinfo
    files: Mapping[str, PackFiles] = field(default_factory=dict)
    locks: Mapping[str, Lock] = field(default_factory=dict)


def lookups_of(knowledge: Knowledge) -> tuple[MarkerLookup, ...]:
    """What finds the marker of a test, once a pack."""
    served = (served for by_hook in knowledge.services.values() for served in by_hook.values())
    return tuple({service.program.pack.id: service.reader.lookup for service in served}.values())


class Recalled(Protocol):
    """What is remembered of the cards of one call."""

    @property
    def overridden(self) -> frozenset[DecisionKey]:
        """Which cards a clinician has overridden."""

    @property
    def quiet(self) -> frozenset[DecisionKey]:
        """Which cards were shown lately, and are not to be shown again yet."""

    def card_uuid(self, decision: Decision) -> UUID:
        """The uuid of a card, by which feedback about it will be known."""

    def keep(self, cards: Sequence[Card], outcome: Outcome) -> None:
        """Remember the cards of the outcome, which are being sent."""


class Memory(Protocol):
    """What is remembered of cards from call to call (`memory`)."""

    def recall(self, evaluation: Evaluation, call: CallContext) -> Recalled:
        """What is remembered of the cards that the evaluation would show."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    """What one call is answered with: where the service can be read about, and why on request.

    With a `memory`, cards that clinicians of the `client` overrode, or were shown lately, stay
    silent. `prefetch_keys` gives the key of discovery for what the client calls otherwise. The
    deadline is checked between the steps and while resources are read: part of the rules may
    answer differently from all of them, and no card at all would reassure, so an answer that comes
    too late is no answer.
    """

    base_url: str | None = None
    explain: ExplainMode = "off"
    profile: OutputProfile = "default"
    prefetch_keys: Mapping[str, str] = field(default_factory=dict)
    deadline: Deadline = NO_DEADLINE
    memory: Memory | None = None
    client: str = ""


def options_of(settings: Settings) -> Options:
    """How a call of nobody in particular is answered."""
    return Options(profile=settings.output_profile, prefetch_keys=prefetch_keys(settings))


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """The response to a call and the outcome that it tells of."""

    response: HookResponse
    outcome: Outcome


def load_knowledge(settings: Settings) -> Knowledge:
    """Every pack of the cards folder, compiled; raises `KnowledgeError` with all problems."""
    cards = cards_folder(settings)
    library = load_library_at(cards, settings.site_file)
    knowledge = prepare(
        tuple(pack for pack, _ in library),
        zone=ZoneInfo(settings.site_time_zone),
        names_fallback=settings.names_fallback,
        by_category=settings.lab_category_prefetch,
        language=settings.language,
    )
    locks = (
        (pack.id, read_lock(at)) for (pack, _), at in zip(library, pack_folders(cards), strict=True)
    )
    return replace(
        knowledge,
        files={pack.id: files for pack, files in library},
        locks={name: lock for name, lock in locks if lock is not None},
    )


def prepare(
    packs: tuple[Pack, ...],
    *,
    zone: tzinfo,
    names_fallback: bool = True,
    by_category: bool = False,
    language: str = ENGLISH,
) -> Knowledge:
    """The packs compiled, with the services that they offer; cards are in `language`."""
    services: dict[str, dict[str, Served]] = {}
    for pack in packs:
        program, templates = compile_pack(pack), compile_cards(pack, zone, language)
        reader = PackReader(pack, names_fallback=names_fallback)
        for service in pack.services:
            prefetch = prefetch_of(rules_of(service, pack), pack, by_category=by_category)
            served = Served(program=program, reader=reader, templates=templates, prefetch=prefetch)
            services.setdefault(service.id, {})[service.hook] = served
    return Knowledge(
        packs=packs,
        services=services,
        discovery=write_discovery(packs, by_category=by_category),
        zone=zone,
    )


def answer_hook(
    knowledge: Knowledge,
    request: HookRequest,
    service_id: str,
    now: datetime,
    options: Options = Options(),
) -> Answer:
    """The cards for one call; `now` is an aware time.

    Raises `UnknownService`, `RequestError` for a hook that the service does not answer, and
    `MissingData` if there is nothing to judge by.
    """
    served = _served(knowledge, service_id, request.hook)
    given = input_from_request(request, options.prefetch_keys, served.reader.lookup)
    if "Observation" not in given.available:
        fault = next(iter(unread_results(given)), None)
        raise MissingData(
            f"Laboratory results are needed: prefetch key '{OBSERVATIONS}' {_why_not_sent(fault)}, "
            f"and {_why_not_fetched(request, options.prefetch_keys)}.",
            None if fault is None else fault.where,
        )
    evaluation = evaluated(knowledge, served, given, request.hook, now, options.deadline)
    options.deadline.check()
    _refuse_false_silence(request, given, evaluation, knowledge.zone)
    call = CallContext(
        service=service_id,
        trigger=request.hook,
        patient_id=request.patient_id,
        encounter_id=request.encounter_id,
        id=request.hook_instance,
        client=options.client,
        fhir_server=request.fhir_server,
    )
    recalled = options.memory.recall(evaluation, call) if options.memory is not None else None
    if recalled is None:
        outcome = settle(evaluation)
    else:
        outcome = settle(evaluation, recalled.overridden, recalled.quiet)
    cards = render(
        served.templates,
        outcome,
        call,
        base_url=options.base_url,
        uuid_of=recalled.card_uuid if recalled is not None else None,
        grouped=takes_groups(options.profile),
    )
    cards = in_profile(cards, options.profile, served.templates.messages)
    cards = with_folded_named(cards, served.templates, outcome, base_url=options.base_url)
    if recalled is not None:
        recalled.keep(cards, outcome)
    explained = _is_explained(request, options.explain)
    response = _response(cards, outcome, request.fetched, explained=explained)
    return Answer(response=response, outcome=outcome)


def answer_input(
    knowledge: Knowledge,
    patient_input: PatientInput,
    service_id: str,
    trigger: str,
    now: datetime,
    *,
    quiet_of: Callable[[Evaluation], frozenset[DecisionKey]] | None = None,
) -> Answer:
    """The cards, with their reasons, for resources that came without a call, such as a file's.

    `quiet_of` says which cards were shown lately; without it none were. What was not among the
    resources is not known. Raises `UnknownService` and `RequestError` as `answer_hook` does.
    """
    served = _served(knowledge, service_id, trigger)
    evaluation = evaluated(knowledge, served, patient_input, trigger, now)
    outcome = settle(evaluation, quiet=() if quiet_of is None else quiet_of(evaluation))
    patient = outcome.record.patient.reference.removeprefix("Patient/")
    call = CallContext(service=service_id, trigger=trigger, patient_id=patient or _NOBODY)
    cards = render(served.templates, outcome, call)
    cards = with_folded_named(cards, served.templates, outcome)
    return Answer(response=_response(cards, outcome, {}, explained=True), outcome=outcome)


def _served(knowledge: Knowledge, service_id: str, hook: str) -> Served:
    by_hook = knowledge.services.get(service_id)
    if by_hook is None:
        raise UnknownService("There is no service with this id; GET /cds-services lists them.")
    if hook not in by_hook:
        hooks = " or ".join(sorted(by_hook))
        raise RequestError(f"Expected the hook of this service, {hooks}.", "$.hook")
    return by_hook[hook]


def asked_on_arrival(knowledge: Knowledge) -> tuple[tuple[Service, Served], ...]:
    """The services whose rules are asked when a result arrives, with their packs."""
    return tuple(
        (service, knowledge.services[service.id][service.hook])
        for pack in knowledge.packs
        for service in pack.services
        if service.on_arrival
    )


def evaluated(
    knowledge: Knowledge,
    served: Served,
    patient_input: PatientInput,
    trigger: str,
    now: datetime,
    deadline: Deadline = NO_DEADLINE,
) -> Evaluation:
    """What the rules of a pack say before anything is remembered; `now` is an aware time."""
    record = read_record(
        served.reader, patient_input, now=now, zone=knowledge.zone, deadline=deadline
    )
    deadline.check()
    # An age is counted in the days of the site.
    return evaluate(served.program, record, now.astimezone(knowledge.zone), trigger)


def _response(
    cards: tuple[Card, ...], outcome: Outcome, fetched: Mapping[str, str], *, explained: bool
) -> HookResponse:
    if not explained:
        return HookResponse(cards=cards)
    asked = {"fetched": dict(fetched)} if fetched else {}
    return HookResponse(
        cards=cards, extension={EXPLANATION_EXTENSION: {**explain(outcome), **asked}}
    )


def _is_explained(request: HookRequest, mode: ExplainMode) -> bool:
    if mode == "on-request":
        asked = request.extension.get(REQUEST_EXTENSION)
        return isinstance(asked, Mapping) and asked.get("explain") is True
    return mode == "always"


def _refuse_false_silence(
    request: HookRequest, patient_input: PatientInput, evaluation: Evaluation, zone: tzinfo
) -> None:
    """Raise `MissingData` if no card might only mean that the telling results were not sent.

    A card says itself what could not be used. Without a card that would go unseen, unless the part
    that was sent, newest first, reaches back past every result that could still be an index. That
    not a single result could be read is a matter for the client, not for the clinician.
    """
    if evaluation.silent or _has_other_card(evaluation):
        return
    refuse_unreadable(patient_input, evaluation)
    parts = [part for part in request.prefetch.values() if part.partial and _has_results(part)]
    times = Times(evaluation.now, zone)
    if parts and not (_reaches_back(evaluation) and all(_lacks_old_ones(p, times) for p in parts)):
        raise MissingData(
            f"Only a part of the laboratory results came for prefetch key '{OBSERVATIONS}', and it "
            "is too short, or in no order, to conclude anything from."
        )


def refuse_unreadable(patient_input: PatientInput, evaluation: Evaluation) -> None:
    """Raise `MissingData` if results were sent, not one can be read, and no card says otherwise."""
    if evaluation.silent or _has_other_card(evaluation):
        return
    unread = unread_results(patient_input)
    if unread and not any(
        isinstance(entry.resource, Observation) for entry in patient_input.entries
    ):
        first = unread[0]
        raise MissingData(
            f"No laboratory result could be read: at {first.where} ({first.expected}), and "
            f"{len(unread) - 1} more.",
            first.where,
        )


def _has_other_card(evaluation: Evaluation) -> bool:
    """Whether there is a card beside the one about data that could not be used."""
    shown = cards_among(evaluation.decisions)
    return any(decision.frame.unused is None for decision in shown)


def _why_not_sent(fault: Unreadable | None) -> str:
    """What is wrong with the key of the results: its place and what belongs there, no value."""
    if fault is None:
        return "is absent or failed"
    return f"could not be read at {fault.where} ({fault.expected})"


def _why_not_fetched(request: HookRequest, keys: Mapping[str, str]) -> str:
    """Why the FHIR server did not give what the client left out; words of ours alone."""
    if OBSERVATIONS in request.fetched:
        return f"the FHIR server did not give them ({request.fetched[OBSERVATIONS]})"
    if "Observation" in kinds_sent(request, keys):
        return "what the client could not fetch is not asked for again"
    return "there is no FHIR server with a token that the service may ask"


def _has_results(part: Fetched) -> bool:
    return any(isinstance(entry.resource, Observation) for entry in part.entries)


def _lacks_old_ones(part: Fetched, times: Times) -> bool:
    """Whether the part is proved to be in order, newest first, and lacks its end alone."""
    results = [entry.resource for entry in part.entries if isinstance(entry.resource, Observation)]
    sent = [sent_time(result, None, times) for result in results]
    known = [result.moment.time for result in sent if result and result.moment]
    falls = all(newer >= older for newer, older in pairwise(known))
    return part.tail and len(known) == len(results) and falls and len(set(known)) > 1


def _reaches_back(evaluation: Evaluation) -> bool:
    oldest_index = evaluation.now - timedelta(days=evaluation.pack.scope.index_days)
    times = [result.time for result in evaluation.record.results]
    times.extend(item.time for item in evaluation.record.set_aside if item.time is not None)
    return any(time < oldest_index for time in times)
