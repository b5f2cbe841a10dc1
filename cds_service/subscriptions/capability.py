# SPDX-License-Identifier: Apache-2.0
"""A server's CapabilityStatement → which kind of Subscription it takes.

R5 by the version; the backport by the topics or the profile that it declares (Subscriptions R5
Backport IG 1.1.0, "Conformance"); else R4 criteria. Many servers declare less than they can, so an
option may ask for another kind.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final, Literal, TypeAlias

from cds_service.subscriptions.registration import SubscriptionKind
from cds_service.subscriptions.resource import BACKPORT, PROFILE

KindChoice: TypeAlias = SubscriptionKind | Literal["auto"]

TOPIC_CANONICAL: Final = f"{BACKPORT}/capabilitystatement-subscriptiontopic-canonical"


@dataclass(frozen=True, slots=True, kw_only=True)
class SubscriptionSupport:
    """What a CapabilityStatement says of Subscriptions.

    `topics` are those that it lists; none says nothing.
    """

    version: str
    declared: bool = False
    backport: bool = False
    topics: tuple[str, ...] = ()
    status_operation: bool = False

    def knows(self, topic: str) -> bool:
        """Whether the topic is listed, in any version, or no topic is listed at all."""
        names = {topic.partition("|")[0] for topic in self.topics}
        return not names or topic.partition("|")[0] in names


def support_in(statement: Mapping[str, Any]) -> SubscriptionSupport:
    """What the CapabilityStatement says; one that says nothing declares nothing."""
    resources = list(_subscription_resources(statement))
    topics = [
        str(extension.get("valueCanonical"))
        for resource in resources
        for extension in _mappings(resource.get("extension"))
        if extension.get("url") == TOPIC_CANONICAL and extension.get("valueCanonical")
    ]
    profiles = [
        profile for resource in resources for profile in _list(resource.get("supportedProfile"))
    ]
    operations = [
        operation.get("name")
        for resource in resources
        for operation in _mappings(resource.get("operation"))
        if isinstance(operation.get("name"), str)
    ]
    return SubscriptionSupport(
        version=str(statement.get("fhirVersion", "")),
        declared=bool(resources),
        backport=bool(topics)
        or any(str(profile).partition("|")[0] == PROFILE for profile in profiles),
        topics=tuple(dict.fromkeys(topics)),
        status_operation=any(str(operation).lstrip("$") == "status" for operation in operations),
    )


def kind_for(
    support: SubscriptionSupport, asked: KindChoice, topic: str | None
) -> SubscriptionKind:
    """The kind of Subscription; with `auto`, on a topic only if there is one to name."""
    if asked != "auto":
        return asked
    if support.version.startswith("5"):
        return "r5"
    return "topic" if topic is not None and support.backport else "criteria"


def _subscription_resources(statement: Mapping[str, Any]) -> Iterator[Mapping[str, Any]]:
    for rest in _mappings(statement.get("rest")):
        for resource in _mappings(rest.get("resource")):
            if resource.get("type") == "Subscription":
                yield resource


def _list(value: object) -> list[Any]:
    return value if isinstance(value, list) else []


def _mappings(value: object) -> list[Mapping[str, Any]]:
    return [item for item in _list(value) if isinstance(item, Mapping)]
