# SPDX-License-Identifier: Apache-2.0
"""The services on offer, as the answer to discovery tells a CDS Client."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from cds_service.errors import RequestError, UnknownService
from cds_service.knowledge.model.pack import Pack
from cds_service.sandbox.raw_json import decoded, items


@dataclass(frozen=True, slots=True, kw_only=True)
class ServiceOffer:
    """One service: its hook, and its prefetch queries by key."""

    id: str
    hook: str
    title: str
    prefetch: Mapping[str, str] = field(default_factory=dict)


def offers_of(discovery: bytes) -> tuple[ServiceOffer, ...]:
    """Every service in the answer to `GET /cds-services`; raises `RequestError` for another."""
    answer = decoded(discovery)
    if not isinstance(answer, dict) or not isinstance(answer.get("services"), list):
        raise RequestError("Expected a list of services, as GET /cds-services gives it.")
    found = (item for item in items(answer["services"]) if isinstance(item, dict))
    return tuple(
        ServiceOffer(
            id=str(service["id"]),
            hook=str(service["hook"]),
            title=str(service.get("title") or service["id"]),
            prefetch=_texts(service.get("prefetch")),
        )
        for service in found
        if service.get("id") and service.get("hook")
    )


def chosen(offers: tuple[ServiceOffer, ...], service_id: str | None) -> ServiceOffer:
    """The service of this id, or the first; raises `UnknownService`."""
    for offer in offers:
        if service_id in {None, "", offer.id}:
            return offer
    known = ", ".join(offer.id for offer in offers) or "none"
    raise UnknownService(f"There is no service of this id; there are: {known}.")


def beside(offers: tuple[ServiceOffer, ...], offer: ServiceOffer) -> tuple[ServiceOffer, ...]:
    """The other services of the same hook: a client that calls one calls them all."""
    return tuple(other for other in offers if other.hook == offer.hook and other.id != offer.id)


def service_of(pack: Pack, offer: ServiceOffer, offers: tuple[ServiceOffer, ...]) -> ServiceOffer:
    """The service of the pack that answers the hook of the offer, or else its first."""
    own = {service.id for service in pack.services}
    if offer.id in own:
        return offer
    candidates = [other for other in offers if other.id in own]
    return next((other for other in candidates if other.hook == offer.hook), candidates[0])


def asked(offers: tuple[ServiceOffer, ...], service_id: str | None) -> tuple[ServiceOffer, ...]:
    """The service of this id, or all of the first one's hook; raises `UnknownService`."""
    first = chosen(offers, service_id)
    return (first,) if service_id else (first, *beside(offers, first))


def answering(offers: tuple[ServiceOffer, ...], hook: str, preferred: ServiceOffer) -> ServiceOffer:
    """The service for a request that names its hook: the preferred one if it answers it."""
    if preferred.hook == hook:
        return preferred
    return next((offer for offer in offers if offer.hook == hook), preferred)


def _texts(value: object) -> dict[str, str]:
    pairs = value.items() if isinstance(value, dict) else ()
    return {str(key): text for key, text in pairs if isinstance(text, str)}
