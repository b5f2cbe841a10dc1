# SPDX-License-Identifier: Apache-2.0
"""The shape of each kind of knowledge file, before anything in it is understood.

pydantic reports every wrong key and value of a file at once, each with its path; `shape_problems`
turns those into problems with lines. Conditions stay plain data here:
`knowledge.reading.phrases` reads them. Field names are the keys of the files with underscores for
blanks.
"""

from dataclasses import dataclass
from typing import Annotated, Any, Literal, TypeAlias

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, StringConstraints


def _key(name: str) -> str:
    return name.replace("_", " ")


def _as_list(value: object) -> object:
    return value if isinstance(value, list) else [value]


class Shape(BaseModel):
    """A mapping with exactly these keys."""

    # A shape within another is built with that one, so that none is built for nothing.
    model_config = ConfigDict(extra="forbid", frozen=True, alias_generator=_key, defer_build=True)


@dataclass(frozen=True, slots=True)
class Written:
    """What a value is, in words for the reference."""

    form: str


# Read by `Phrases.condition`: a list, a mapping, or nested.
ConditionData: TypeAlias = Annotated[Any, Written("a condition")]
ReasonData: TypeAlias = Annotated[dict[str, Any], Written("a condition with `because: word`")]
GradeData: TypeAlias = Annotated[dict[str, Any], Written("`id`, `title` and a condition")]
SilentData: TypeAlias = Annotated[
    Any,
    Written("`deceased`, or a condition with `because: word` and, if need be, `but for: [RULE]`"),
]
CalledData: TypeAlias = Annotated[
    dict[str, Any],
    Written("`at least NUMBER: word`, `above NUMBER: word` or `otherwise: word`"),
]
GivenData: TypeAlias = Annotated[dict[str, Any], Written("a patient as in a case")]
Id = Annotated[str, StringConstraints(pattern=r"^[a-z][a-z0-9]*(-[a-z0-9]+)*$"), Written("an id")]
Text = Annotated[str, StringConstraints(min_length=1, strip_whitespace=True), Written("text")]
YesNo = Literal["yes", "no"]
WholeNumber = Annotated[str, StringConstraints(pattern=r"^[0-9]{1,6}$"), Written("a whole number")]
Version = Annotated[
    str, StringConstraints(pattern=r"^[0-9]+\.[0-9]+\.[0-9]+$"), Written("a version")
]
Day = Annotated[str, StringConstraints(pattern=r"^[0-9]{4}-[0-9]{2}-[0-9]{2}$"), Written("a date")]
LockHash = Annotated[
    str,
    StringConstraints(pattern=r"^[0-9a-f]{32}$"),
    Written("the hash that `cds-service review` gives"),
]
Https = Annotated[
    str, StringConstraints(pattern=r"^https://[^\s<>\"]+$"), Written("an https address")
]
OneOrMore = Annotated[list[Id], BeforeValidator(_as_list)]
Window = Annotated[Text, Written("for example `0 and 14 days`")]
Range = Annotated[Text, Written("for example `0 to 50000 U/L`")]
Amount = Annotated[Text, Written("for example `40 U/L`")]
Days = Annotated[Text, Written("for example `90 days`")]


class EvidenceShape(Shape):
    """`source` or `decision`, what it backs and what it says."""

    source: Id | None = None
    decision: Literal["yes"] | None = None
    backs: list[Text]
    says: Text


class CaseShape(Shape):
    """One worked example; `given` and `expect` are read by the case runner."""

    case: Text
    given: GivenData = Field(default_factory=dict)
    expect: Annotated[Any, Written("what must be so: below")]
    but: list[Annotated[dict[str, Any], Written("`subject: value -> what must be so`")]] = Field(
        default_factory=list
    )


class CodeShape(Shape):
    """A code: LOINC, or a local one with its system."""

    loinc: Text | None = None
    system: Text | None = None
    code: Text | None = None
    name: Text
    method: Text | None = None


class UnreadCodeShape(Shape):
    """A code of LOINC whose results are named and not used, and why."""

    loinc: Text
    because: Text


class FactorShape(Shape):
    """A factor in its long form."""

    times: Annotated[Text, Written("a number")] | None = None
    divided_by: Annotated[Text, Written("a number")] | None = None


class LimitShape(Shape):
    """One line of a limit policy."""

    when: ConditionData = None
    use: Amount | None = None
    lab_limit: Annotated[Text, Written("`10 to 100 U/L` or `any`")] | None = None
    named: Text


class NearShape(Shape):
    """When a coarse unit makes a boundary doubtful."""

    sent_in: Text
    within: Amount
    of: list[Annotated[Text, Written("`5 U/L` or `2 x upper limit`")]]


class MarkerShape(Shape):
    """`markers/*.yaml`."""

    id: Id
    title: Text
    name: Text
    unit: Annotated[Text, Written("a unit, or `none`")]
    codes: list[CodeShape]
    codes_not_read: list[UnreadCodeShape] = Field(default_factory=list)
    names: list[Text] = Field(default_factory=list)
    beside_the_name: list[Annotated[Text, Written("a list of words of `spellings.yaml`")]] = Field(
        default_factory=list
    )
    units: dict[str, Annotated[str, Written("a number")] | FactorShape] = Field(
        default_factory=dict
    )
    spellings: dict[str, list[Text]] = Field(default_factory=dict)
    shown_in: dict[Literal["US", "SI"], Annotated[Text, Written("one of `units`")]] = Field(
        default_factory=dict
    )
    missing_unit: Literal["accepted"] | None = None
    plausible: Range
    pairs: Annotated[Text, Written("`within 72 hours of the index` or `within 90 days before now`")]
    hemolysed_specimen: Literal["used", "not used"] = "used"
    shows_hemolysis: Literal["above upper limit"] | None = None
    upper_limit: list[LimitShape] = Field(default_factory=list)
    lower_limit: list[LimitShape] = Field(default_factory=list)
    screening_limit: list[LimitShape] = Field(default_factory=list)
    bands: list[GradeData] = Field(default_factory=list)
    grades: list[GradeData] = Field(default_factory=list)
    doubtful_near_a_boundary: NearShape | None = None
    never_above: Annotated[Text, Written("for example `MARKER plus 0.1 mg/dL or 5 %`")] | None = (
        None
    )
    evidence: list[EvidenceShape]
    cases: list[CaseShape]


class MeasureShape(Shape):
    """`measures/*.yaml`."""

    id: Id
    title: Text
    about: Id
    formula: Annotated[Text, Written("a formula")]
    previous_test: Annotated[Text | None, Written("for example `1 to 180 days earlier`")] = None
    decimals: WholeNumber
    not_computed: list[ReasonData] = Field(default_factory=list)
    called: list[CalledData] = Field(default_factory=list)
    evidence: list[EvidenceShape]
    cases: list[CaseShape]


class PatternShape(Shape):
    """`patterns/*.yaml`."""

    id: Id
    title: Text
    about: Id
    when: ConditionData
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
    but_not: list[ConditionCodeShape] = Field(default_factory=list)
    condition_names: list[Text] = Field(default_factory=list)
    denied_before: list[Text] = Field(default_factory=list)
    denied_anywhere: list[Text] = Field(default_factory=list)
    not_denied_by: list[Text] = Field(default_factory=list)
    not_denied_inside: list[Text] = Field(default_factory=list)
    no_older_than: Annotated[Text, Written("for example `42 days`")] | None = None
    ended_by: Id | None = None
    any_of: list[Id] = Field(default_factory=list)
    all_of: list[Id] = Field(default_factory=list)
    never_for: list[Annotated[dict[str, Any], Written("a condition on `age` or `sex`")]] = Field(
        default_factory=list
    )
    encounter_classes: list[Text] = Field(default_factory=list)
    evidence: list[EvidenceShape]
    cases: list[CaseShape]


class CategoryShape(Shape):
    """The category of an order."""

    snomed: Text
    name: Text


class OrderShape(Shape):
    """`orders/*.yaml`."""

    id: Id
    title: Text
    code: CodeShape
    category: CategoryShape | None = None
    text: Text
    instruction: Text | None = None
    note: Text | None = None
    counts_as_ordered: list[Text]
    answered_by: list[Id] = Field(default_factory=list)
    unless_the_index_also_by: list[Id] = Field(default_factory=list)
    resulted_within: Days | None = None
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
    group: Id | None = None
    between: Window
    priority: Literal["routine", "urgent", "asap", "stat"] = "routine"
    recommended: Annotated[Any, Written("a condition, `always` or `never`")] = None
    when: ConditionData = None
    unless: list[ReasonData] = Field(default_factory=list)
    resulted_within: Days | None = None


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
    about: Annotated[
        list[Annotated[Text, Written("a marker, `patient`, `set-aside results` or `unused data`")]],
        BeforeValidator(_as_list),
    ]
    otherwise_about: Id | None = None
    hooks: list[Id]
    indicator: Literal["info", "warning", "critical"]
    time_critical: Literal["yes"] | None = None
    quiet_for: (
        Annotated[
            str,
            StringConstraints(pattern=r"^[1-9][0-9]{0,3} days?$"),
            Written("for example `28 days`"),
        ]
        | None
    ) = None
    more_urgent: list[UrgencyShape] = Field(default_factory=list)
    when: ConditionData
    on_order_hooks: ConditionData = None
    unless: list[ReasonData] = Field(default_factory=list)
    suggest: list[SuggestionShape] = Field(default_factory=list)
    also_say: dict[Id, ConditionData] = Field(default_factory=dict)
    evidence: list[EvidenceShape]
    last_review: Day
    history: list[ChangeShape]
    cases: list[CaseShape]


class SourceShape(Shape):
    """One entry of `sources.yaml`."""

    title: Text
    url: Https | None = None


class TextHeadShape(Shape):
    """The head of a card text."""

    summary: Text
    summary_when: dict[Id, Text] = Field(default_factory=dict)


class ExplainerHeadShape(Shape):
    """The head of an explainer."""

    title: Text
    last_review: Day
    covers: dict[Text, Annotated[list[Text], BeforeValidator(_as_list)]] = Field(
        default_factory=dict
    )
