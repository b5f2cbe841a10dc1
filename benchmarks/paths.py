# SPDX-License-Identifier: Apache-2.0
"""The parts of the request path as functions to measure, each checked before it is measured."""

import json
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from pathlib import Path
from typing import Any

import msgspec
import orjson

from benchmarks.charts import NOW, Chart
from benchmarks.floors import Wsgi, create_floor, post, skip
from benchmarks.timing import Call
from cds_service.call_context import CallContext
from cds_service.decide import Outcome, decide
from cds_service.hooks.request import HookRequest, read_request
from cds_service.hooks.response import HookResponse, write_response
from cds_service.intake.read_record import read_record
from cds_service.knowledge.model.pack import Pack
from cds_service.labs.patient_record import PatientRecord
from cds_service.render import render, with_folded_named
from cds_service.render.card import Card
from cds_service.service import Knowledge, Options, Served, answer_hook, load_knowledge
from cds_service.settings import Settings
from cds_service.sources.hook_request import input_from_request
from cds_service.web import create_app

_BASE_URL = "http://127.0.0.1:8000"

# The floors: what the same body costs whoever does nothing with it.
SKIP = "msgspec, nothing kept"
LOADS = "orjson.loads"
CONSTANT = "Flask, constant answer"
FLOOR = "Flask + orjson.loads, constant answer"
VALIDATION = "fhir.resources: validate and write one ServiceRequest"
# What is measured.
DECODE = "decode"
INTAKE = "intake"
DECIDE = "decide"
RENDER = "render"
CARD = "render one card"
CORE = "decode + intake + decide"
POST = "whole POST"
NAIVE = "the same with fhir.resources for every resource"


@dataclass(frozen=True, slots=True, kw_only=True)
class Bench:
    """The service under test: the packs compiled, the application, and the floor beside it."""

    settings: Settings
    knowledge: Knowledge
    app: Wsgi
    floor: Wsgi
    service_id: str
    served: Served

    @property
    def pack(self) -> Pack:
        """The pack whose first service is called."""
        return self.served.program.pack

    @property
    def path(self) -> str:
        """The address of the service."""
        return f"/cds-services/{self.service_id}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Steps:
    """What each step makes of one chart."""

    request: HookRequest
    record: PatientRecord
    outcome: Outcome
    cards: tuple[Card, ...]
    answer: bytes


def make_bench(site_file: Path | None = None) -> Bench:
    """The service with the packs that it comes with, as the site has them."""
    # Under valgrind a call takes fifty times as long.
    settings = Settings(explain="off", deadline_ms=60_000, site_file=site_file)
    knowledge = load_knowledge(settings)
    service = knowledge.packs[0].services[0]
    return Bench(
        settings=settings,
        knowledge=knowledge,
        app=create_app(settings, clock=lambda: NOW, knowledge=knowledge).wsgi_app,
        floor=create_floor().wsgi_app,
        service_id=service.id,
        served=knowledge.services[service.id][service.hook],
    )


def decoded(bench: Bench, chart: Chart) -> HookRequest:
    """The request that the body is."""
    settings = bench.settings
    return read_request(chart.body, max_depth=settings.max_depth, max_entries=settings.max_entries)


def taken_in(bench: Bench, request: HookRequest) -> PatientRecord:
    """The patient's record."""
    given = input_from_request(request)
    return read_record(bench.served.reader, given, now=NOW, zone=bench.knowledge.zone)


def decided(bench: Bench, request: HookRequest, record: PatientRecord) -> Outcome:
    """Every decision."""
    return decide(bench.served.program, record, NOW, request.hook)


def rendered(bench: Bench, request: HookRequest, outcome: Outcome) -> tuple[Card, ...]:
    """The cards."""
    context = CallContext(
        service=bench.service_id,
        trigger=request.hook,
        patient_id=request.patient_id,
        encounter_id=request.encounter_id,
        id=request.hook_instance,
    )
    templates = bench.served.templates
    cards = render(templates, outcome, context, base_url=_BASE_URL)
    return with_folded_named(cards, templates, outcome, base_url=_BASE_URL)


def core(bench: Bench, chart: Chart) -> Outcome:
    """Bytes in, decisions out."""
    request = decoded(bench, chart)
    return decided(bench, request, taken_in(bench, request))


def steps_of(bench: Bench, chart: Chart) -> Steps:
    """Every step, checked: the results are those that were generated, the cards those of a POST."""
    request = decoded(bench, chart)
    record = taken_in(bench, request)
    outcome = decided(bench, request, record)
    cards = rendered(bench, request, outcome)
    answer = post(bench.app, bench.path, chart.body)
    found = Counter((result.marker, result.value.exact) for result in record.results)
    _agree(f"results of '{chart.name}'", found, chart.expected)
    _agree(f"bad entries of '{chart.name}'", len(request.unreadable), chart.unreadable)
    written = write_response(HookResponse(cards=cards))
    _agree(f"cards of '{chart.name}'", cards_in(answer), cards_in(written))
    return Steps(request=request, record=record, outcome=outcome, cards=cards, answer=answer)


def cards_from(port: int, answer: bytes) -> list[dict[str, Any]]:
    """The cards of a server's answer, with links as if it listened where the others do."""
    return cards_in(answer.replace(f"http://127.0.0.1:{port}/".encode(), f"{_BASE_URL}/".encode()))


def cards_in(answer: bytes) -> list[dict[str, Any]]:
    """The cards of an answer without their uuids, which the memory of cards seals."""
    cards: list[dict[str, Any]] = json.loads(answer)["cards"]
    for card in cards:
        for sealed in (card, *card.get("suggestions", ())):
            sealed.pop("uuid", None)
    return cards


def expected_cards(bench: Bench, body: bytes, now: datetime) -> list[dict[str, Any]]:
    """The cards that the service finds in this process, without their uuids."""
    settings = bench.settings
    request = read_request(body, max_depth=settings.max_depth, max_entries=settings.max_entries)
    answer = answer_hook(
        bench.knowledge, request, bench.service_id, now, Options(base_url=_BASE_URL)
    )
    return cards_in(write_response(answer.response))


def floor_calls(bench: Bench, chart: Chart, answer_size: int) -> dict[str, Call]:
    """The floors over the chart's body; the constant answer is as long as the real one."""
    skip(chart.body)
    return {
        SKIP: partial(skip, chart.body),
        LOADS: partial(orjson.loads, chart.body),
        CONSTANT: partial(post, bench.floor, f"/constant/{answer_size}", chart.body),
        FLOOR: partial(post, bench.floor, f"/loads/{answer_size}", chart.body),
    }


def path_calls(bench: Bench, chart: Chart, steps: Steps) -> dict[str, Call]:
    """The steps and the whole."""
    return {
        DECODE: partial(decoded, bench, chart),
        INTAKE: partial(taken_in, bench, steps.request),
        DECIDE: partial(decided, bench, steps.request, steps.record),
        RENDER: partial(rendered, bench, steps.request, steps.outcome),
        CORE: partial(core, bench, chart),
        POST: partial(post, bench.app, bench.path, chart.body),
    }


def naive_post(bench: Bench, body: bytes) -> bytes:
    """The whole POST of a service that first validates every resource with fhir.resources."""
    from fhir.resources.R4B import get_fhir_model_class

    for resource in _resources(json.loads(body)["prefetch"]):
        get_fhir_model_class(resource["resourceType"]).model_validate(resource)
    return post(bench.app, bench.path, body)


def validated_proposal(proposal: Mapping[str, Any]) -> bytes:
    """One proposal through fhir.resources, as it would be on every request."""
    from fhir.resources.R4B.servicerequest import ServiceRequest

    model = ServiceRequest.model_validate(proposal)
    return msgspec.json.encode(model.model_dump(mode="json"))


def proposals_in(steps: Steps) -> list[Mapping[str, Any]]:
    """The resources that the cards propose."""
    return [
        action.resource
        for card in steps.cards
        for suggestion in card.suggestions
        for action in suggestion.actions
    ]


def _resources(prefetch: Mapping[str, Any]) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = []
    for value in prefetch.values():
        is_bundle = value["resourceType"] == "Bundle"
        found += [entry["resource"] for entry in value.get("entry", [])] if is_bundle else [value]
    return found


def _agree(label: str, found: object, expected: object) -> None:
    if found != expected:
        raise AssertionError(f"{label} are wrong; nothing is measured")
