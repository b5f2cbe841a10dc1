# SPDX-License-Identifier: Apache-2.0
"""The answer to `GET /cds-services`, with prefetch derived from what the rules read.

Only the restricted subset of queries that every client can run is used (CDS Hooks 2.0.1,
"Prefetch query restrictions"), and only the token `{{context.patientId}}`, which every hook has.
"""

from collections.abc import Iterable, Iterator, Mapping

from msgspec.json import Encoder

from cds_service.hooks.response import Message
from cds_service.knowledge.model.dependencies import all_dependencies, resulted_codes
from cds_service.knowledge.model.pack import Pack, Rule, Service
from cds_service.knowledge.model.status import status_summary
from cds_service.prefetch_keys import (
    CONDITIONS,
    MEDICATION_REQUESTS,
    MEDICATION_STATEMENTS,
    OBSERVATIONS,
    PATIENT,
    SERVICE_REQUESTS,
)

_OF_PATIENT = "patient={{context.patientId}}"
_LABORATORY = "http://terminology.hl7.org/CodeSystem/observation-category|laboratory"
# The newest results come first, so that a client that stops early leaves out old ones only; what
# was left out is named on the card.
_NEWEST = "_sort=-date&_count=200"
_ALL = "_count=200"
_WITHOUT_ACCESS = (
    "What the prefetch leaves out is fetched with the token of the call, if the service may ask "
    f"the FHIR server. Without the key '{OBSERVATIONS}' and without access it answers 412; every "
    "other key that cannot be had makes advice less certain, and the card says what was not known."
)


class ServiceEntry(Message, frozen=True, kw_only=True):
    """One service of the discovery answer."""

    hook: str
    title: str
    description: str
    id: str
    prefetch: Mapping[str, str] = {}
    usage_requirements: str


class Discovery(Message, frozen=True, kw_only=True):
    """All services on offer."""

    services: tuple[ServiceEntry, ...]


_ENCODER = Encoder()


def write_discovery(packs: Iterable[Pack], *, by_category: bool) -> bytes:
    """The discovery answer as JSON: the services of all packs in their order."""
    entries = (
        entry_of(service, pack, by_category=by_category)
        for pack in packs
        for service in pack.services
    )
    return _ENCODER.encode(Discovery(services=tuple(entries)))


def entry_of(service: Service, pack: Pack, *, by_category: bool) -> ServiceEntry:
    """The discovery entry of one service."""
    return ServiceEntry(
        hook=service.hook,
        title=service.title,
        description=service.description,
        id=service.id,
        prefetch=prefetch_of(rules_of(service, pack), pack, by_category=by_category),
        usage_requirements=f"{pack.usage} {status_summary(pack)} {_WITHOUT_ACCESS}",
    )


def rules_of(service: Service, pack: Pack) -> tuple[Rule, ...]:
    """The rules that answer the service's hook."""
    return tuple(
        rule
        for rule in pack.rules.values()
        if rule.status == "active" and service.hook in rule.hooks
    )


def prefetch_of(rules: Iterable[Rule], pack: Pack, *, by_category: bool) -> dict[str, str]:
    """The queries whose answers these rules read, by key.

    With `by_category` all laboratory results are asked for, for sites whose tests have local codes.
    """
    chosen = tuple(rules)
    needs = all_dependencies(chosen, pack)
    facts = [pack.facts[name] for name in needs.facts]
    resulted = resulted_codes(chosen, pack)
    queries = {PATIENT: "Patient/{{context.patientId}}"}
    if by_category or needs.markers:
        codes = dict.fromkeys((*_codes(needs.markers, pack), *resulted))
        which = _which(codes, by_category=by_category)
        queries[OBSERVATIONS] = f"Observation?{_OF_PATIENT}&{which}&{_NEWEST}"
    if any(fact.reads_conditions for fact in facts):
        queries[CONDITIONS] = f"Condition?{_OF_PATIENT}&{_ALL}"
    if any(fact.medicines for fact in facts):
        active = f"{_OF_PATIENT}&status=active&{_ALL}"
        queries[MEDICATION_REQUESTS] = f"MedicationRequest?{active}"
        queries[MEDICATION_STATEMENTS] = f"MedicationStatement?{active}"
    if any(rule.suggestions for rule in chosen):
        unfinished = "status=draft,active,on-hold"
        queries[SERVICE_REQUESTS] = f"ServiceRequest?{_OF_PATIENT}&{unfinished}&{_ALL}"
    return queries


def results_filter(packs: Iterable[Pack], *, by_category: bool) -> str:
    """The search parameter for the laboratory results that any active rule of the packs reads.

    These are the codes of prefetch, over all packs and hooks: Subscriptions ask by the same.
    """
    codes: dict[tuple[str, str], None] = {}
    for pack in packs:
        rules = tuple(rule for rule in pack.rules.values() if rule.status == "active")
        codes |= dict.fromkeys(_codes(all_dependencies(rules, pack).markers, pack))
        codes |= dict.fromkeys(resulted_codes(rules, pack))
    return _which(codes, by_category=by_category)


def _codes(markers: Iterable[str], pack: Pack) -> Iterator[tuple[str, str]]:
    """The codes of the markers, with those that are only named: they must be there to be named."""
    for marker in (pack.markers[name] for name in markers):
        for code in (*marker.codes, *marker.codes_not_read):
            yield code.system, code.code


def _which(codes: Iterable[tuple[str, str]], *, by_category: bool) -> str:
    if by_category:
        return f"category={_LABORATORY}"
    return "code=" + ",".join(f"{system}|{code}" for system, code in codes)
