# SPDX-License-Identifier: Apache-2.0
"""The shapes of `pack.yaml` and `remarks.yaml`, as `knowledge.reading.schemas` has the others."""

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, StringConstraints

from cds_service.knowledge.reading.schemas import (
    CaseShape,
    ChangeShape,
    ConditionData,
    Day,
    EvidenceShape,
    GivenData,
    Https,
    Id,
    LockHash,
    OneOrMore,
    Shape,
    SilentData,
    Text,
    Version,
    Written,
    YesNo,
)


class ServiceShape(Shape):
    """A CDS Service that the pack offers."""

    id: Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9._-]+$")]
    hook: Id
    title: Text
    description: Text
    least: Literal["info", "warning", "critical"] = "info"
    on_arrival: YesNo = "no"


class DenyingShape(Shape):
    """Words that deny a condition in words."""

    before: list[Text] = Field(default_factory=list)
    anywhere: list[Text] = Field(default_factory=list)


class ScopeShape(BaseModel):
    """What holds for every rule; the odd keys read as sentences."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    silent_for: list[SilentData] = Field(alias="silent for")
    index: Annotated[Text, Written("for example `90 days`")] = Field(alias="index no older than")
    draw: Annotated[Text, Written("for example `60 minutes`")] = Field(alias="one draw within")
    future: Annotated[Text, Written("for example `set aside after 24 hours`")] = Field(
        alias="results in the future"
    )
    orders: Annotated[Text, Written("for example `30 days`")] = Field(alias="open orders count for")
    preliminary: Literal["critical cards only, no orders"] = Field(alias="preliminary results")
    duplicates: Literal["use the higher"] = Field(alias="same time, different values")
    denied: DenyingShape = Field(alias="conditions are denied by", default=DenyingShape())


class OverrideShape(Shape):
    """A reason for not following a card."""

    code: Annotated[str, StringConstraints(pattern=r"^[a-z][a-z-]*$")]
    display: Text


class ReplacementShape(Shape):
    """One statement of precedence."""

    strongest_of: list[Id] | None = None
    by: OneOrMore | None = None
    replaced: OneOrMore | None = None
    orders: Literal["joined", "its own"] = "joined"
    indicator: Literal["the higher", "its own"] = "the higher"
    only_as: Literal["warning", "critical"] | None = None
    when: ConditionData = None


class CardLimitShape(Shape):
    """How many cards are shown, and which come first of equally severe ones."""

    at_most: Annotated[
        str, StringConstraints(pattern=r"^[1-9][0-9]?$"), Written("a whole number, at least 1")
    ]
    rank: list[Id]


class ExampleShape(Shape):
    """A synthetic patient to try the pack with, in the words of a case."""

    id: Id
    title: Text
    given: GivenData
    corrected: GivenData = Field(default_factory=dict)


class SignedShape(Shape):
    """Who approved the rules, when, and the hash of what they meant."""

    by: Text
    on: Day
    lock: LockHash


class PackShape(Shape):
    """`pack.yaml`."""

    id: Id
    version: Version
    title: Text
    publisher: Text
    url: Https
    usage: Text
    signed: SignedShape | None = None
    notices: list[Text]
    services: list[ServiceShape]
    scope: ScopeShape
    override_reasons: list[OverrideShape]
    order_groups: dict[Id, Text] = Field(default_factory=dict)
    precedence: list[ReplacementShape] = Field(default_factory=list)
    cards: CardLimitShape | None = None
    examples: list[ExampleShape] = Field(default_factory=list)
    evidence: list[EvidenceShape]
    history: list[ChangeShape]
    cases: list[CaseShape] = Field(default_factory=list)


class RemarkShape(Shape):
    """A remark: when it is said, and what it says in each language."""

    id: Id
    when: ConditionData = None
    replaced: Id | None = None
    says: dict[Text, Text]
    in_short: dict[Text, Text]


class RemarksShape(Shape):
    """`remarks.yaml`."""

    on: list[Id]
    remarks: list[RemarkShape]
    evidence: list[EvidenceShape]
    cases: list[CaseShape]
