# SPDX-License-Identifier: Apache-2.0
"""The patient as the rules see one: results by marker, medicines, conditions and orders.

Intake makes this from FHIR and the cases of a pack make it from text. Results are already in the
unit of their marker. A list that could not be had is `None`: not known, which is not "none".
"""

from dataclasses import dataclass, field
from datetime import date, datetime
from fractions import Fraction
from typing import Literal, TypeAlias

from msgspec import Struct

from cds_service.amounts import Comparator, Interval, Ternary
from cds_service.knowledge.model.pack import Priority
from cds_service.labs.set_aside_reasons import SetAsideReason

Precision: TypeAlias = Literal["instant", "day", "month", "year"]
ResultStatus: TypeAlias = Literal["preliminary", "final", "amended", "corrected"]
ReadingNote: TypeAlias = Literal[
    "code-malformed",  # its code is none that LOINC or SNOMED CT can have; its name was read
    "range-not-read",  # a reference range of it cannot be understood, so its limits are not used
]
"""How a result that counts differs from what should be sent; cards show it with the result."""


class Sent(Struct, frozen=True, kw_only=True, gc=False):
    """A value as the laboratory sent it, for display: number text, comparator and unit text."""

    number: str
    unit: str
    comparator: Comparator | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ReferenceRange:
    """A laboratory's reference range in the marker's unit; ages in completed months.

    The ends as they were sent are for display alone; one without a unit is in that of the result.
    """

    low: Fraction | None
    high: Fraction | None
    low_exclusive: bool = False  # a value equal to the end lies outside
    high_exclusive: bool = False
    sex: Literal["male", "female"] | None = None
    age_from: int | None = None
    age_below: int | None = None
    sent_low: Sent | None = field(default=None, compare=False)
    sent_high: Sent | None = field(default=None, compare=False)


class LabResult(Struct, frozen=True, kw_only=True, gc=False):
    """One usable value of one marker at one time.

    `time` is an aware instant; of a period or a partial date it is the last moment.
    `ranges` holds the ranges of normal results only.
    """

    marker: str
    code: str  # the LOINC or local code that named the marker; empty if a name did
    method: str | None
    value: Interval
    sent: Sent
    unit: str  # the unit that the sent spelling stands for
    factor: Fraction = Fraction(1)  # of that unit to the marker's
    time: datetime
    precision: Precision
    status: ResultStatus
    reference: str  # "Observation/id" or empty
    ranges: tuple[ReferenceRange, ...] = ()
    specimen: str = ""  # what names it, the same for all of its results; empty if nothing does
    hemolysed: bool = False
    issued_only: bool = False  # the time is `issued`, no effective time was sent
    interpretation: str | None = None
    notes: tuple[ReadingNote, ...] = ()
    impossible: bool = False  # more than the whole of which it is a part


class SetAside(Struct, frozen=True, kw_only=True, gc=False):
    """Something that was sent and not used, and why.

    `marker` is empty if none was recognised, `time` is `None` when unknown; `number` and `unit` are
    as sent. `is_result` is false for a medicine, a condition or an order.
    """

    reason: SetAsideReason
    marker: str
    code: str
    reference: str
    time: datetime | None = None
    number: str = ""
    unit: str = ""
    is_result: bool = True


def set_aside(result: LabResult, reason: SetAsideReason) -> SetAside:
    """The result as something that is not used."""
    return SetAside(
        reason=reason,
        marker=result.marker,
        code=result.code,
        reference=result.reference,
        time=result.time,
        number=f"{result.sent.comparator or ''}{result.sent.number}",
        unit=result.sent.unit,
    )


class Recorded(Struct, frozen=True, kw_only=True, gc=False):
    """A coded record that is in force: an active medicine or an active condition.

    `codes` holds (system URI, code) pairs, `texts` every text and display that came with them,
    `displays` the codes of a condition with their displays. `recorded` is when a condition was
    recorded, else when it began; `None` if neither is known.
    """

    codes: tuple[tuple[str, str], ...]
    texts: tuple[str, ...]
    reference: str = ""
    displays: tuple[tuple[tuple[str, str], str], ...] = ()
    recorded: datetime | None = None


class OpenOrder(Struct, frozen=True, kw_only=True):
    """An order with status draft, active or on-hold that is not a mere proposal."""

    codes: tuple[tuple[str, str], ...]
    priority: Priority
    authored: datetime | None
    reference: str = ""


class Resulted(Struct, frozen=True, gc=False):
    """That a test of this (system URI, code) has a result, whatever it says."""

    code: tuple[str, str]
    time: datetime


class Patient(Struct, frozen=True, kw_only=True):
    """Who the results are about; a partial birth date is the range of days it can mean.

    Whether they have died is not known (`None`) where a date of death was sent that is none.
    """

    reference: str
    born: tuple[date, date] | None = None
    sex: Literal["male", "female"] | None = None
    deceased: Ternary = False


IncompletePart: TypeAlias = Literal[
    "laboratory results", "medicines", "conditions", "open orders", "patient", "some data"
]
Lack: TypeAlias = Literal[
    "not fetched",
    "not sent",
    "only a part",
    "unreadable",
    "not usable",
    "named but not sent",
    "age not clear",
    "contradictory",
    "only those being made",
    "selected but not among the drafts",
    "unnamed",
]


class Incomplete(Struct, frozen=True):
    """A part of the data about the patient that did not come whole, and what it lacks."""

    part: IncompletePart
    lack: Lack

    @property
    def must_be_named(self) -> bool:
        """Whether a clinician has to know of it even where no card appears.

        Drafts without the orders on file can only add a proposal. Where too few results came, the
        call is refused or reaches back far enough (`service.py`). Nobody knows what a query of a
        client's own was for.
        """
        if self.part == "some data":
            return self.lack == "unreadable"
        if self.part == "laboratory results":
            return self.lack != "only a part"
        return self.lack != "only those being made"


class PatientRecord(Struct, frozen=True, kw_only=True):
    """Everything about one patient that a decision may rest on.

    `incomplete` holds what was truncated or failed.
    """

    patient: Patient
    results: tuple[LabResult, ...] = ()
    set_aside: tuple[SetAside, ...] = ()
    resulted: tuple[Resulted, ...] = ()  # of the tests whose orders a result makes needless
    medicines: tuple[Recorded, ...] | None = None
    conditions: tuple[Recorded, ...] | None = None
    orders: tuple[OpenOrder, ...] | None = None
    ordering: tuple[Recorded, ...] = ()  # tests being ordered now
    prescribing: tuple[Recorded, ...] = ()  # medicines being ordered now
    encounters: tuple[str, ...] = ()  # the classes of encounters in progress
    incomplete: tuple[Incomplete, ...] = ()

    def is_whole(self, part: Literal["medicines", "conditions"]) -> bool:
        """Whether the list is known and complete, so that an absence from it means no."""
        known = self.medicines if part == "medicines" else self.conditions
        return known is not None and all(lack.part != part for lack in self.incomplete)
