# SPDX-License-Identifier: Apache-2.0
"""What a pack is once it is read: immutable, linked, with every number exact.

A *marker* is one thing a laboratory measures, a *measure* is computed from markers, a *fact* is a
coded yes/no about the patient, a *result* is one value at one time. Nothing is evaluated here.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from fractions import Fraction
from typing import Literal, TypeAlias

from cds_service.amounts import Interval
from cds_service.knowledge.model.bounds import Earlier, LimitKind
from cds_service.knowledge.model.code_systems import Code
from cds_service.knowledge.model.conditions import Condition
from cds_service.knowledge.model.explainers import Explainer
from cds_service.knowledge.model.facts import NOTHING_DENIES, DenyingWords, Fact
from cds_service.knowledge.model.formulas import Formula
from cds_service.knowledge.model.messages import ENGLISH, Messages, Titles
from cds_service.knowledge.model.names import NameIndex
from cds_service.knowledge.model.pack_file import Example, OverrideReason, Signature, Source
from cds_service.knowledge.model.remarks import Remarks
from cds_service.knowledge.model.site import SiteChanges
from cds_service.knowledge.model.units import NO_PIECES, Dimension, UnitPieces

Indicator: TypeAlias = Literal["info", "warning", "critical"]
Priority: TypeAlias = Literal["routine", "urgent", "asap", "stat"]
Answer: TypeAlias = Literal["card", "no card", "not enough data"]

INDICATORS: tuple[Indicator, ...] = ("info", "warning", "critical")  # least urgent first
UNIT_SYSTEMS = ("US", "SI")
# What a rule is about when it needs no result, and when it names all that could not be used.
WITHOUT_RESULT = PATIENT, UNUSED_DATA = ("patient", "unused data")
PRIORITIES: tuple[Priority, ...] = ("routine", "urgent", "asap", "stat")  # FHIR R4, least first


@dataclass(frozen=True, slots=True, kw_only=True)
class MarkerCode(Code):
    """A code whose results belong to a marker, and the method that the code names."""

    method: str | None = None
    is_read: bool = True  # else its results are named and not used


@dataclass(frozen=True, slots=True, kw_only=True)
class LimitChoice:
    """One line of a limit policy: if `applies` holds, use the lab's limit or the stated amount."""

    named: str
    applies: Condition | None
    amount: Fraction | None  # in the marker's unit; None: the laboratory's own limit
    believed: Interval | None = None  # a laboratory's limit outside is not used
    credited: str | None = None  # who is named for the amount, if not `named`: a site


@dataclass(frozen=True, slots=True, kw_only=True)
class Pairing:
    """Which result of a marker belongs to an index result of another marker."""

    around: Literal["index", "now"]
    hours: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Grade:
    """A word for a result; the first grade of a list whose condition is true names it."""

    id: str
    title: str
    when: Condition


@dataclass(frozen=True, slots=True, kw_only=True)
class Marker:
    """One measurable thing, in whatever code and unit it arrives."""

    id: str
    title: str
    name: str
    unit: str  # empty for a number without unit
    codes: tuple[MarkerCode, ...]
    names: tuple[str, ...]
    beside_name: tuple[str, ...]  # words that change nothing when they stand beside a name
    factors: Mapping[str, Fraction]  # unit spelling as sent, without blanks -> marker unit
    units: Mapping[str, str]  # unit spelling as sent, without blanks -> unit it stands for
    unit_may_be_missing: bool
    plausible: Interval
    pairing: Pairing
    limits: Mapping[LimitKind, tuple[LimitChoice, ...]]
    used_if_hemolysed: bool
    shows_hemolysis: bool  # above its own upper limit the specimen counts as hemolysed
    bands: tuple[Grade, ...]  # for display only
    grades: tuple[Grade, ...]  # most severe first
    near: "Near | None"
    whole: "Whole | None" = None
    dimensions: Mapping[Dimension, Fraction] = field(default_factory=dict)  # -> base unit's factor
    shown_in: Mapping[str, str] = field(default_factory=dict)  # US or SI -> unit, for pages
    codes_not_read: tuple[MarkerCode, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Whole:
    """The marker of which another is a part, and by how much rounding can let the part exceed it.

    A part above both the whole with `plus` on top and the whole with its `share` on top cannot be.
    """

    marker: str
    plus: Fraction
    share: Fraction


@dataclass(frozen=True, slots=True, kw_only=True)
class Near:
    """When a coarse unit makes a boundary doubtful: results in `unit` within `distance` of one."""

    unit: str
    distance: Fraction
    amounts: tuple[Fraction, ...]
    multiples: tuple[Fraction, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class NotComputed:
    """A reason to withhold a measure."""

    when: Condition
    because: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Reading:
    """What a measure's value is called from this bound on."""

    relation: Literal["at least", "above", "otherwise"]
    bound: Fraction
    called: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Measure:
    """A value computed from the markers of one frame."""

    id: str
    title: str
    about: str
    formula: Formula
    earlier: Earlier | None  # which test `.previous` is; `None` if the formula has none
    decimals: int
    not_computed: tuple[NotComputed, ...]
    readings: tuple[Reading, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Pattern:
    """A condition with a name, which rules share; in its cases the index is one of `about`."""

    id: str
    title: str
    about: str
    when: Condition


@dataclass(frozen=True, slots=True, kw_only=True)
class Order:
    """What can be proposed, and what counts as having it already."""

    id: str
    title: str
    code: Code
    text: str
    instruction: str | None
    note: str | None
    equivalents: frozenset[tuple[str, str]]  # (system, code)
    answered_by: tuple[str, ...]  # markers; all of them since the index make the order needless
    answered_beside_index: tuple[str, ...] = ()  # and these, unless they are the index
    resulted_days: int | None = None  # a result of it, no older, makes the order needless
    category: Code | None = None  # of its ServiceRequest
    site_code: Code | None = None  # the site's own, sent before `code`


@dataclass(frozen=True, slots=True, kw_only=True)
class Reason:
    """A condition that withholds a card or an order, and the word that says why.

    One that silences the whole pack may name rules that are answered all the same.
    """

    when: Condition
    because: str
    but_for: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Suggestion:
    """One order of a card: the window in days from the evaluation, and when it is shown."""

    order: str
    first_day: int
    last_day: int
    priority: Priority
    recommended: Condition | bool | None  # None: the rule has no opinion
    when: Condition | None
    unless: tuple[Reason, ...]
    group: str | None = None  # all orders of a card in one group are offered together
    resulted_days: int | None = None  # in the place of the order's

    def result_days(self, order: Order) -> int | None:
        """For how many days a result of the order makes it needless; `None`: it never does."""
        return order.resulted_days if self.resulted_days is None else self.resulted_days


@dataclass(frozen=True, slots=True, kw_only=True)
class Urgency:
    """A more urgent indicator under a condition."""

    indicator: Indicator
    when: Condition


@dataclass(frozen=True, slots=True, kw_only=True)
class Evidence:
    """What a source says, and which parts of the rule stand on it."""

    source: str | None  # an entry of sources.yaml; None: a decision of the pack's authors
    backs: tuple[str, ...]
    says: str


@dataclass(frozen=True, slots=True, kw_only=True)
class CardText:
    """The text of a card in one language: template sources, and the file they came from."""

    language: str
    file: str
    lines: tuple[str, ...]
    summary: str
    detail: str
    also: Mapping[str, str]
    summary_when: Mapping[str, str] = field(default_factory=dict)  # by `also say`, the first counts


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """One version of a rule or of a pack: its number, its day and what changed, in words."""

    version: str
    date: str
    change: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Rule:
    """When a card appears, how urgent it is and what it proposes."""

    id: str
    version: str
    status: Literal["draft", "active", "retired", "switched off"]  # the last by a site only
    title: str
    about: tuple[str, ...]  # markers that can be the index in turn, or one of `WITHOUT_RESULT`
    hooks: tuple[str, ...]
    indicator: Indicator
    urgencies: tuple[Urgency, ...]
    when: Condition
    on_order_hooks: Condition | None  # what must hold besides where orders are being made
    unless: tuple[Reason, ...]
    suggestions: tuple[Suggestion, ...]
    also_say: Mapping[str, Condition]
    evidence: tuple[Evidence, ...]
    texts: Mapping[str, CardText]
    last_review: str | None
    stands_in: str | None = None  # last of `about`: the index only where it has no first beside it
    time_critical: bool = False  # asks for action within hours
    quiet_days: int = 0  # for so many days after it was shown it is not shown again
    history: tuple[Change, ...] = ()  # newest first

    @property
    def rests_on_results(self) -> bool:
        """Whether its card is about the patient or results in use, not about what was not used."""
        return bool(self.about) and self.about != (UNUSED_DATA,)

    @property
    def can_be_critical(self) -> bool:
        """Whether its card is critical, always or under a condition."""
        return "critical" in (self.indicator, *(urgency.indicator for urgency in self.urgencies))


@dataclass(frozen=True, slots=True, kw_only=True)
class Replacement:
    """The first rule of `by` that fires takes the place of each fired rule of `replaced`.

    `strongest`: the two lists are one ranking, and each rule yields to those before it. A card
    takes no part in it as the winner below the indicator `only_as`, or while `when` is not known
    to hold in its frame.
    """

    by: tuple[str, ...]
    replaced: tuple[str, ...]
    orders_join: bool
    strongest: bool = False
    indicator_rises: bool = True  # the winner shows the higher indicator of the two
    only_as: Indicator | None = None
    when: Condition | None = None

    @property
    def winners(self) -> tuple[str, ...]:
        """The rules that can take the place of another; the last of a ranking cannot."""
        return self.by[:-1] if self.strongest else self.by


@dataclass(frozen=True, slots=True, kw_only=True)
class Service:
    """One CDS Service: a hook and the words of its discovery entry."""

    id: str
    hook: str
    title: str
    description: str
    least: Indicator = "info"  # a card on results that is less severe is not shown here
    on_arrival: bool = False  # its rules are also asked when a result arrives


@dataclass(frozen=True, slots=True, kw_only=True)
class CardLimit:
    """How many cards that rest on results are shown, and which come first of equally severe ones.

    Critical cards are shown whatever their number.
    """

    at_most: int
    rank: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Scope:
    """What holds for every rule of the pack."""

    silent_if_deceased: bool
    silent_when: tuple[Reason, ...]
    index_days: int
    draw_minutes: int  # a result that is later than the index by no more is of the same draw
    future_hours: int
    order_days: int
    duplicates: Literal["higher"] = "higher"
    denying: DenyingWords = NOTHING_DENIES  # of conditions in words


@dataclass(frozen=True, slots=True, kw_only=True)
class Pack:
    """A knowledge pack, checked and linked. Lookups by id; `rules` in the order they were read."""

    id: str
    version: str
    title: str
    publisher: str
    url: str
    usage: str
    notices: tuple[str, ...]
    services: tuple[Service, ...]
    scope: Scope
    override_reasons: tuple[OverrideReason, ...]
    precedence: tuple[Replacement, ...]
    cards: CardLimit | None = None
    examples: tuple[Example, ...]
    order_groups: Mapping[str, str] = field(default_factory=dict)  # id -> title
    units: Mapping[str, str]  # any unit spelling known to the pack -> unit
    unit_pieces: UnitPieces = NO_PIECES  # how laboratories write the units that have no spelling
    markers: Mapping[str, Marker]
    measures: Mapping[str, Measure]
    facts: Mapping[str, Fact]
    orders: Mapping[str, Order]
    rules: Mapping[str, Rule]
    patterns: Mapping[str, Pattern] = field(default_factory=dict)
    remarks: Remarks = Remarks()  # noqa: RUF009 - it is frozen
    sources: Mapping[str, Source]
    marker_codes: Mapping[tuple[str, str], tuple[str, MarkerCode]] = field(default_factory=dict)
    names: NameIndex = NameIndex()  # noqa: RUF009 - it is frozen
    explainers: Mapping[str, Mapping[str, Explainer]] = field(default_factory=dict)  # by language
    signature: Signature | None = None  # of the clinician who approved the rules
    history: tuple[Change, ...] = ()  # newest first
    site: SiteChanges | None = None
    messages: Mapping[str, Messages] = field(default_factory=dict)  # by language
    titles: Mapping[str, Titles] = field(default_factory=dict)  # by language

    @property
    def least(self) -> Mapping[str, Indicator]:
        """The least severe card on results that is shown, by each hook where not all are."""
        least = ((service.hook, service.least) for service in self.services)
        return {hook: indicator for hook, indicator in least if indicator != INDICATORS[0]}

    @property
    def on_arrival(self) -> tuple[str, ...]:
        """The hook whose rules are also asked when a result arrives, if there is one."""
        return tuple(service.hook for service in self.services if service.on_arrival)

    def messages_in(self, language: str = ENGLISH) -> Messages:
        """The sentences that its cards share, in English where the language has none."""
        return self.messages.get(language) or self.messages[ENGLISH]
