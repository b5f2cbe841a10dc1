# SPDX-License-Identifier: Apache-2.0
"""Cards -> the resources that say the same on a FHIR server, as entries of one transaction.

Each card becomes a Task, or what the site has instead, with the orders that it proposes, a
GuidanceResponse that says how complete the data were, and a Provenance. Nothing is sent here.

Every entry is a conditional create on an identifier that is derived from what the advice is about:
server, patient, rule, how severe it is, and the content of the result. The same advice has the
same identifiers, so that to send it again changes nothing. A Provenance has no identifier in FHIR
R4, and not every server finds a GuidanceResponse or a DetectedIssue by its own; all but Tasks and
ServiceRequests are known by a tag.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta, tzinfo
from typing import Final
from uuid import UUID, uuid5

from msgspec.json import encode

from cds_service import __version__
from cds_service.decide import Outcome
from cds_service.fhir.tags import PROPOSAL_TAG
from cds_service.fhir_client.servers import AdviceResource, FhirVersion
from cds_service.knowledge.model.leaves import FactIs
from cds_service.knowledge.model.pack import Indicator, Pack
from cds_service.labs.patient_record import IncompletePart, LabResult
from cds_service.memory.subjects import named_result
from cds_service.render.card import Card
from cds_service.rules.answer import Decision
from cds_service.subscriptions.advice_parts import (
    ADVICE_SYSTEM,
    Json,
    identifier,
    identifier_of,
    instant,
    kept,
    to,
)
from cds_service.subscriptions.advice_r5 import as_r5
from cds_service.subscriptions.advice_resources import AdviceContent, advice_resource

_NAMESPACE: Final = UUID("3c0c9a3e-86a5-5d3c-9a39-0b8d9c1f7b52")
_TERMINOLOGY: Final = "http://terminology.hl7.org/CodeSystem"
# Of which type the data are that did not come whole.
_TYPES: Final[Mapping[IncompletePart, tuple[str, ...]]] = {
    "laboratory results": ("Observation",),
    "medicines": ("MedicationRequest", "MedicationStatement"),
    "conditions": ("Condition",),
    "open orders": ("ServiceRequest",),
    "patient": ("Patient",),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class AdvicePlace:
    """Where advice is written: a server, by its base, a patient there, and who owns the Task.

    `zone` is that of the site, whose days count; `kind` is the type of the resource that carries
    the advice, of this version of FHIR.
    """

    server: str
    patient: str
    zone: tzinfo
    owner: str | None = None
    kind: AdviceResource = "Task"
    version: FhirVersion = "R4"


@dataclass(frozen=True, slots=True, kw_only=True)
class Advice:
    """One card, and the uuid that its identifiers are derived from."""

    id: UUID
    decision: Decision
    card: Card

    @property
    def identifier(self) -> str:
        """The value of the identifier of its Task."""
        return str(self.id)

    @property
    def result(self) -> str:
        """The reference of the result that it is about."""
        index = self.decision.frame.index_result
        return "" if index is None else reference_of(index)


def reference_of(result: LabResult) -> str:
    """The Observation of the server, which may have an id longer than FHIR allows.

    A contained result has no address of its own.
    """
    return result.reference.partition("#")[0]


@dataclass(frozen=True, slots=True, kw_only=True)
class Subject:
    """What advice is about: of which rule, how severe, and on which result."""

    pack: str
    rule: str
    indicator: Indicator
    preliminary: bool
    index: LabResult | None


def subject_of(decision: Decision, pack: Pack) -> Subject:
    """What the advice of a decision is about."""
    return Subject(
        pack=pack.id,
        rule=decision.rule.id,
        indicator=decision.indicator,
        preliminary=decision.preliminary,
        index=decision.frame.index_result,
    )


def advice_id(subject: Subject, place: AdvicePlace, again: int = 0) -> UUID:
    """The uuid of advice about this.

    A result that is stored again, unchanged, gives the same; a corrected one, or a more severe
    card on it, another. `again` counts how often the same advice was given and withdrawn.
    """
    about = (
        *(place.server, place.patient, subject.pack, subject.rule),
        *(subject.indicator, subject.preliminary, again),
        *(() if subject.index is None else named_result(subject.index)),
    )
    return uuid5(_NAMESPACE, encode(about).decode())


def transaction(entries: Iterator[Json], version: FhirVersion = "R4") -> Json:
    """The Bundle of these entries; each resource is proved to have the shape that FHIR wants."""
    proved = []
    for entry in entries:
        resource = as_r5(entry["resource"]) if version == "R5" else entry["resource"]
        _prove(resource, version)
        proved.append({**entry, "resource": resource})
    return {"resourceType": "Bundle", "type": "transaction", "entry": proved}


def entries_of(advice: Advice, outcome: Outcome, place: AdvicePlace) -> Iterator[Json]:
    """The entries of one card: what is referred to comes before what refers to it."""
    orders = list(_orders(advice))
    for order, _ in orders:
        yield _entry(order)
    yield _tagged(uuid5(advice.id, "guidance"), _guidance(advice, outcome, place, orders))
    carrying = advice_resource(place.kind, _content(advice, outcome, place, orders))
    yield _entry(carrying) if place.kind == "Task" else _tagged(advice.id, carrying)
    provenance = _provenance(advice, outcome, [order for order, _ in orders])
    yield _tagged(uuid5(advice.id, "provenance"), provenance)


def _entry(resource: Json) -> Json:
    value = identifier_of(resource)
    return {
        "fullUrl": f"urn:uuid:{value}",
        "resource": resource,
        "request": {
            "method": "POST",
            "url": resource["resourceType"],
            "ifNoneExist": f"identifier={ADVICE_SYSTEM}|{value}",
        },
    }


def _tagged(identity: UUID, resource: Json) -> Json:
    """The entry of a resource that is known by a tag."""
    tags = [PROPOSAL_TAG, {"system": ADVICE_SYSTEM, "code": str(identity)}]
    return {
        "fullUrl": f"urn:uuid:{identity}",
        "resource": {**resource, "meta": {"tag": tags}},
        "request": {
            "method": "POST",
            "url": resource["resourceType"],
            "ifNoneExist": f"_tag={ADVICE_SYSTEM}|{identity}",
        },
    }


def _orders(advice: Advice) -> Iterator[tuple[Json, str]]:
    """The proposed orders, each with the words by which the card offers it."""
    for suggestion in advice.card.suggestions:
        for action in suggestion.actions:
            resource = dict(action.resource)
            code = resource["code"]["coding"][-1]  # type: ignore[index]  # the pack's own
            identity = uuid5(advice.id, f"{code['system']}|{code['code']}")
            kind = {"resourceType": resource.pop("resourceType"), "meta": resource.pop("meta")}
            yield {**kind, "identifier": [identifier(identity)], **resource}, action.description


def _content(
    advice: Advice, outcome: Outcome, place: AdvicePlace, orders: list[tuple[Json, str]]
) -> AdviceContent:
    card, decision = advice.card, advice.decision
    topic = {"system": card.source.topic.system, "code": decision.rule.id}
    return AdviceContent(
        identifier=identifier(advice.id),
        indicator=decision.indicator,
        code={"coding": [{**topic, "display": card.source.topic.display}], "text": card.summary},
        summary=card.summary,
        detail=card.detail,
        patient=_patient(place),
        focus={"reference": advice.result} if advice.result else None,
        owner={"reference": place.owner} if place.owner else None,
        now=instant(outcome.now),
        guidance=to(uuid5(advice.id, "guidance")),
        proposed=[(label, to(identifier_of(order))) for order, label in orders],
        period=_period(decision, outcome.now.astimezone(place.zone)),
    )


def _period(decision: Decision, now: datetime) -> Json | None:
    """When the orders are to be done; without any there is no such time."""
    if not decision.orders:
        return None
    first = min(order.first_day for order in decision.orders)
    last = max(order.last_day for order in decision.orders)
    start, end = ((now.date() + timedelta(days=day)).isoformat() for day in (first, last))
    return {"start": start, "end": end}


def _guidance(
    advice: Advice, outcome: Outcome, place: AdvicePlace, orders: list[tuple[Json, str]]
) -> Json:
    """`data-requested`: it was judged, and more data might have made the judgement surer."""
    rule, pack = advice.decision.rule, outcome.pack
    missing = [{"type": kind} for kind in sorted(_missing(advice.decision, outcome))]
    return kept(
        resourceType="GuidanceResponse",
        contained=[_output(advice, pack, orders), _device(advice, pack)],
        requestIdentifier=identifier(advice.id),
        identifier=[identifier(uuid5(advice.id, "guidance"))],
        moduleUri=f"{pack.url}/rules/{rule.id}",
        status="data-requested" if missing else "success",
        subject=_patient(place),
        occurrenceDateTime=instant(outcome.now),
        performer={"reference": "#device"},
        reasonReference=[{"reference": advice.result}] if advice.result else None,
        outputParameters={"reference": "#output"},
        dataRequirement=missing,
    )


def _missing(decision: Decision, outcome: Outcome) -> Iterator[str]:
    """The types of the data that were not known, each once."""
    pack, found = outcome.pack, set[str]()
    for lack in outcome.record.incomplete:
        found.update(_TYPES.get(lack.part, ()))
    for leaf in decision.unknown:
        if not isinstance(leaf, FactIs):
            found.add("Patient")
            continue
        fact = pack.facts[leaf.fact]
        if fact.medicines:
            found.update(_TYPES["medicines"])
        if fact.reads_conditions:
            found.update(_TYPES["conditions"])
    yield from found


def _output(advice: Advice, pack: Pack, orders: list[tuple[Json, str]]) -> Json:
    decision = advice.decision
    texts = {
        "pack": pack.id,
        "packVersion": pack.version,
        "rule": decision.rule.id,
        "ruleVersion": decision.rule.version,
        "indicator": decision.indicator,
        "summary": advice.card.summary,
    }
    parameters = [{"name": name, "valueString": text} for name, text in texts.items()]
    proposals = [
        {"name": "proposal", "valueReference": to(identifier_of(order))} for order, _ in orders
    ]
    return {"resourceType": "Parameters", "id": "output", "parameter": [*parameters, *proposals]}


def _provenance(advice: Advice, outcome: Outcome, orders: list[Json]) -> Json:
    written = [str(advice.id), str(uuid5(advice.id, "guidance")), *map(identifier_of, orders)]
    source = [{"role": "source", "what": {"reference": advice.result}}] if advice.result else None
    create = {"system": f"{_TERMINOLOGY}/v3-DataOperation", "code": "CREATE"}
    assembler = {"system": f"{_TERMINOLOGY}/provenance-participant-type", "code": "assembler"}
    return kept(
        resourceType="Provenance",
        contained=[_device(advice, outcome.pack)],
        target=[{"reference": f"urn:uuid:{value}"} for value in written],
        recorded=instant(outcome.now),
        activity={"coding": [create]},
        agent=[{"type": {"coding": [assembler]}, "who": {"reference": "#device"}}],
        entity=source,
    )


def _device(advice: Advice, pack: Pack) -> Json:
    """The Device of this service, with the versions of its packs."""
    rule = advice.decision.rule
    versions = {"service": __version__, f"pack {pack.id}": pack.version}
    versions[f"rule {rule.id}"] = rule.version
    return {
        "resourceType": "Device",
        "id": "device",
        "deviceName": [{"name": "cds-service", "type": "model-name"}],
        "version": [
            {"type": {"text": name}, "value": version} for name, version in versions.items()
        ],
    }


def _prove(resource: Json, version: FhirVersion) -> None:
    """Raise `ValueError` unless it is a valid resource; R4B is R4 for all of these."""
    from fhir.resources import R4B, get_fhir_model_class  # two tenths of a second

    model = get_fhir_model_class if version == "R5" else R4B.get_fhir_model_class
    model(resource["resourceType"]).model_validate(resource)


def _patient(place: AdvicePlace) -> Json:
    return {"reference": f"Patient/{place.patient}"}
