# SPDX-License-Identifier: Apache-2.0
"""The shape of each kind of knowledge file, before anything in it is understood.

pydantic reports every wrong key and value of a file at once, each with its path; `shape_problems`
turns those into problems with lines. Conditions stay plain data here: `knowledge.phrases` reads
them. Field names are the keys of the files with underscores for blanks.
"""

from typing import Annotated, Any, Literal, TypeAlias

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, StringConstraints


def _key(name: str) -> str:
    return name.replace("_", " ")


def _as_list(value: object) -> object:
    return value if isinstance(value, list) else [value]


class Shape(BaseModel):
    """A mapping with exactly these keys."""

    model_config = ConfigDict(extra="forbid", frozen=True, alias_generator=_key)


ConditionData: TypeAlias = Any  # list, mapping or nested; read by `Phrases.condition`
Id = Annotated[str, StringConstraints(pattern=r"^[a-z][a-z0-9]*(-[a-z0-9]+)*$")]
Text = Annotated[str, StringConstraints(min_length=1, strip_whitespace=True)]
YesNo = Literal["yes", "no"]
WholeNumber = Annotated[str, StringConstraints(pattern=r"^[0-9]{1,6}$")]
Version = Annotated[str, StringConstraints(pattern=r"^[0-9]+\.[0-9]+\.[0-9]+$")]
Day = Annotated[str, StringConstraints(pattern=r"^[0-9]{4}-[0-9]{2}-[0-9]{2}$")]
Https = Annotated[str, StringConstraints(pattern=r"^https://[^\s<>\"]+$")]
OneOrMore = Annotated[list[Id], BeforeValidator(_as_list)]


class EvidenceShape(Shape):
    """`source` or `decision`, what it backs and what it says."""

    source: Id | None = None
    decision: Literal["yes"] | None = None
    backs: list[Text]
    says: Text


class CaseShape(Shape):
    """One worked example; `given` and `expect` are read by the case runner."""

    case: Text
    given: dict[str, Any] = Field(default_factory=dict)
    expect: Any
    but: list[dict[str, Any]] = Field(default_factory=list)


class CodeShape(Shape):
    """A code: LOINC, or a local one with its system."""

    loinc: Text | None = None
    system: Text | None = None
    code: Text | None = None
    name: Text
    method: Text | None = None


class FactorShape(Shape):
    """A factor in its long form."""

    times: Text | None = None
    divided_by: Text | None = None


class LimitShape(Shape):
    """One line of a limit policy."""

    when: ConditionData = None
    use: Text | None = None
    lab_limit: Text | None = None
    named: Text


class NearShape(Shape):
    """When a coarse unit makes a boundary doubtful."""

    sent_in: Text
    within: Text
    of: list[Text]


class MarkerShape(Shape):
    """`markers/*.yaml`."""

    id: Id
    title: Text
    name: Text
    unit: Text
    codes: list[CodeShape]
    names: list[Text] = Field(default_factory=list)
    units: dict[str, str | FactorShape] = Field(default_factory=dict)
    spellings: dict[str, list[Text]] = Field(default_factory=dict)
    missing_unit: Literal["accepted"] | None = None
    plausible: Text
    pairs: Text
    hemolysed_specimen: Literal["used", "not used"] = "used"
    shows_hemolysis: Literal["above upper limit"] | None = None
    upper_limit: list[LimitShape] = Field(default_factory=list)
    lower_limit: list[LimitShape] = Field(default_factory=list)
    screening_limit: list[LimitShape] = Field(default_factory=list)
    bands: list[dict[str, Any]] = Field(default_factory=list)
    grades: list[dict[str, Any]] = Field(default_factory=list)
    doubtful_near_a_boundary: NearShape | None = None
    evidence: list[EvidenceShape]
    cases: list[CaseShape]


class MeasureShape(Shape):
    """`measures/*.yaml`."""

    id: Id
    title: Text
    about: Id
    formula: Text
    decimals: WholeNumber
    not_computed: list[dict[str, Any]] = Field(default_factory=list)
    called: list[dict[str, Any]] = Field(default_factory=list)
    evidence: list[EvidenceShape]
    cases: list[CaseShape]


class MedicineShape(Shape):
    """An ingredient of a fact."""

    name: Text
    rxnorm: list[Text] = Field(default_factory=list)
    products: list[Text] = Field(default_factory=list)
    also_named: list[Text] = Field(default_factory=list)


class ConditionCodeShape(BaseModel):
    """A problem-list code of a fact."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    snomed: Text | None = None
    icd_10_cm: Text | None = Field(default=None, alias="icd-10-cm")
    and_below: Literal["yes"] | None = Field(default=None, alias="and below")
    name: Text


class FactShape(Shape):
    """`facts/*.yaml`."""

    id: Id
    title: Text
    medicines: list[MedicineShape] = Field(default_factory=list)
    conditions: list[ConditionCodeShape] = Field(default_factory=list)
    condition_names: list[Text] = Field(default_factory=list)
    any_of: list[Id] = Field(default_factory=list)
    evidence: list[EvidenceShape]
    cases: list[CaseShape]


class OrderShape(Shape):
    """`orders/*.yaml`."""

    id: Id
    title: Text
    code: CodeShape
    text: Text
    instruction: Text | None = None
    note: Text | None = None
    counts_as_ordered: list[Text]
    answered_by: list[Id] = Field(default_factory=list)
    evidence: list[EvidenceShape]
    cases: list[CaseShape]


class ChangeShape(Shape):
    """One version of a history."""

    version: Version
    date: Day
    change: Text


class SuggestionShape(Shape):
    """One order of a card."""

    order: Id
    between: Text
    priority: Literal["routine", "urgent", "asap", "stat"] = "routine"
    recommended: ConditionData = None
    when: ConditionData = None
    unless: list[dict[str, Any]] = Field(default_factory=list)


class UrgencyShape(Shape):
    """A more urgent indicator under a condition."""

    indicator: Literal["warning", "critical"]
    when: ConditionData


class RuleShape(Shape):
    """`rules/*.yaml`."""

    id: Id
    version: Version
    status: Literal["draft", "active", "retired"]
    title: Text
    about: Annotated[list[Text], BeforeValidator(_as_list)]
    hooks: list[Id]
    indicator: Literal["info", "warning", "critical"]
    time_critical: Literal["yes"] | None = None
    more_urgent: list[UrgencyShape] = Field(default_factory=list)
    when: ConditionData
    on_order_hooks: ConditionData = None
    unless: list[dict[str, Any]] = Field(default_factory=list)
    suggest: list[SuggestionShape] = Field(default_factory=list)
    also_say: dict[Id, ConditionData] = Field(default_factory=dict)
    evidence: list[EvidenceShape]
    last_review: Day
    history: list[ChangeShape]
    cases: list[CaseShape]


class ServiceShape(Shape):
    """A CDS Service that the pack offers."""

    id: Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9._-]+$")]
    hook: Id
    title: Text
    description: Text


class ScopeShape(BaseModel):
    """What holds for every rule; the odd keys read as sentences."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    silent_for: list[Any] = Field(alias="silent for")
    index: Text = Field(alias="index no older than")
    future: Text = Field(alias="results in the future")
    orders: Text = Field(alias="open orders count for")
    preliminary: Literal["critical cards only, no orders"] = Field(alias="preliminary results")
    duplicates: Literal["use the higher"] = Field(alias="same time, different values")


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


class ExampleShape(Shape):
    """A synthetic patient to try the pack with, in the words of a case."""

    id: Id
    title: Text
    given: dict[str, Any]


class PackShape(Shape):
    """`pack.yaml`."""

    id: Id
    version: Version
    title: Text
    publisher: Text
    url: Https
    usage: Text
    approved_by: Text = "nobody yet"
    notices: list[Text]
    services: list[ServiceShape]
    scope: ScopeShape
    override_reasons: list[OverrideShape]
    precedence: list[ReplacementShape] = Field(default_factory=list)
    examples: list[ExampleShape] = Field(default_factory=list)
    evidence: list[EvidenceShape]
    history: list[ChangeShape]
    cases: list[CaseShape] = Field(default_factory=list)


class SourceShape(Shape):
    """One entry of `sources.yaml`."""

    title: Text
    url: Https | None = None


class TextHeadShape(Shape):
    """The head of a card text."""

    summary: Text


class ExplainerHeadShape(Shape):
    """The head of an explainer."""

    title: Text
    last_review: Day
    covers: dict[Text, Annotated[list[Text], BeforeValidator(_as_list)]] = Field(
        default_factory=dict
    )
