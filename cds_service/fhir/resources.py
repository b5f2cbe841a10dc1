# SPDX-License-Identifier: Apache-2.0
"""FHIR resources, as far as they are read; every other type is an empty structure.

A resource is recognised by its `resourceType`, which need not come first. What is not listed is not
decoded, so an odd element that nobody needs can break nothing.
"""

from collections.abc import Iterable, Iterator, Sequence
from typing import TYPE_CHECKING, NamedTuple, TypeAlias, Union

from msgspec import Raw, defstruct, field

from cds_service.fhir.elements import (
    NOTHING,
    CodeableConcept,
    Element,
    Link,
    Many,
    Meta,
    Period,
    Quantity,
    Reference,
    Timing,
    many,
)
from cds_service.fhir.resource_types import RESOURCE_TYPES

_TAG = "resourceType"


class ResourceBase(Element, frozen=True):
    """What all resources share."""

    id: str | None = None
    meta: Meta | None = None


class Measured(ResourceBase, frozen=True):
    """`value[x]` and what belongs to it, the same in an Observation and in its components.

    What only a result of the pack needs is kept `Raw` and read later by `fhir.later`: most results
    of a request belong to no marker, and a wrong note must not cost a right value.
    """

    code: CodeableConcept | None = None
    value_quantity: Quantity | None = None
    value_integer: Raw = NOTHING
    value_string: str | None = None
    value_codeable_concept: Raw = NOTHING
    value_boolean: Raw = NOTHING
    value_range: Raw = NOTHING
    value_ratio: Raw = NOTHING
    value_sampled_data: Raw = NOTHING
    value_time: Raw = NOTHING
    value_date_time: Raw = NOTHING
    value_period: Raw = NOTHING
    data_absent_reason: Raw = NOTHING
    interpretation: Raw = NOTHING
    reference_range: Raw = NOTHING
    modifier_extension: Raw = NOTHING
    component: "Many[Component]" = None


class Component(Measured, frozen=True):
    """`Observation.component`; those inside another are none of FHIR's, but read."""


class Observation(Measured, frozen=True, tag_field=_TAG, tag="Observation"):
    """A laboratory result, or a panel of them."""

    status: str | None = None
    subject: Reference | None = None
    effective_date_time: str | None = None
    effective_period: Period | None = None
    effective_instant: str | None = None
    effective_timing: Timing | None = None
    issued: str | None = None
    note: Raw = NOTHING
    specimen: Reference | None = None
    focus: Many[Reference] = None
    has_member: Many[Reference] = None
    contained: Many["Resource"] = None


class DiagnosticReport(ResourceBase, frozen=True, tag_field=_TAG, tag="DiagnosticReport"):
    """A report; read only for the time and the subject that its results leave out."""

    status: str | None = None
    subject: Reference | None = None
    effective_date_time: str | None = None
    effective_period: Period | None = None
    issued: str | None = None
    result: Many[Reference] = None
    contained: Many["Resource"] = None
    modifier_extension: Raw = NOTHING


class Specimen(ResourceBase, frozen=True, tag_field=_TAG, tag="Specimen"):
    """What was measured."""

    subject: Reference | None = None
    type: Raw = NOTHING
    condition: Raw = NOTHING


class Patient(ResourceBase, frozen=True, tag_field=_TAG, tag="Patient"):
    """Who the results are about."""

    identifier: Raw = NOTHING
    birth_date: str | None = None
    gender: str | None = None
    deceased_boolean: bool | None = None
    deceased_date_time: str | None = None


class Ingredient(Element, frozen=True):
    """`Medication.ingredient`."""

    item_codeable_concept: CodeableConcept | None = None
    item_reference: Reference | None = None


class Medication(ResourceBase, frozen=True, tag_field=_TAG, tag="Medication"):
    """A product, referred to by requests and statements."""

    code: CodeableConcept | None = None
    ingredient: Many[Ingredient] = None
    contained: Many["Resource"] = None


class _Prescribed(ResourceBase, frozen=True):
    status: str | None = None
    subject: Reference | None = None
    medication_codeable_concept: CodeableConcept | None = None
    medication_reference: Reference | None = None
    contained: Many["Resource"] = None
    modifier_extension: Raw = NOTHING


class MedicationRequest(_Prescribed, frozen=True, tag_field=_TAG, tag="MedicationRequest"):
    """A prescription."""

    intent: str | None = None
    do_not_perform: bool | None = None
    authored_on: Raw = NOTHING


class MedicationStatement(_Prescribed, frozen=True, tag_field=_TAG, tag="MedicationStatement"):
    """A medicine that a patient is reported to take."""

    date_asserted: Raw = NOTHING


class Condition(ResourceBase, frozen=True, tag_field=_TAG, tag="Condition"):
    """A problem or diagnosis; the two statuses were plain codes before R4."""

    clinical_status: CodeableConcept | str | None = None
    verification_status: CodeableConcept | str | None = None
    code: CodeableConcept | None = None
    subject: Reference | None = None
    recorded_date: Raw = NOTHING
    onset_date_time: Raw = NOTHING
    onset_period: Raw = NOTHING
    abatement_date_time: str | None = None
    modifier_extension: Raw = NOTHING


class Encounter(ResourceBase, frozen=True, tag_field=_TAG, tag="Encounter"):
    """A stay or visit; its class is a Coding in R4 and a list of concepts in R5."""

    status: str | None = None
    encounter_class: Raw = field(default=NOTHING, name="class")
    subject: Reference | None = None
    modifier_extension: Raw = NOTHING


class ServiceRequest(ResourceBase, frozen=True, tag_field=_TAG, tag="ServiceRequest"):
    """An order."""

    status: str | None = None
    intent: str | None = None
    priority: str | None = None
    do_not_perform: bool | None = None
    code: CodeableConcept | None = None
    subject: Reference | None = None
    authored_on: str | None = None
    modifier_extension: Raw = NOTHING


class Issue(Element, frozen=True):
    """`OperationOutcome.issue`."""

    severity: str | None = None


class OperationOutcome(ResourceBase, frozen=True, tag_field=_TAG, tag="OperationOutcome"):
    """What a server says instead of, or beside, what was asked for."""

    issue: Many[Issue] = None


class Search(Element, frozen=True):
    """`Bundle.entry.search`."""

    mode: str | None = None


class Response(Element, frozen=True):
    """`Bundle.entry.response`."""

    status: str | None = None


class Entry(Element, frozen=True):
    """`Bundle.entry`: a resource and the address it has."""

    full_url: str | None = None
    resource: "Resource | None" = None
    search: Search | None = None
    response: Response | None = None


class Bundle(ResourceBase, frozen=True, tag_field=_TAG, tag="Bundle", forbid_unknown_fields=True):
    """Resources sent together.

    Members that R4 does not have are not passed over here: they may be misspelt entries.
    """

    implicit_rules: Raw = NOTHING
    language: Raw = NOTHING
    identifier: Raw = NOTHING
    type: str | None = None
    timestamp: Raw = NOTHING
    total: Raw = NOTHING
    link: Many[Link] = None
    entry: Many[Entry] = None
    signature: Raw = NOTHING


BUNDLE_MEMBERS = frozenset((_TAG, *Bundle.__struct_encode_fields__))


class Unread(Element, frozen=True):
    """Any resource of a type that nothing is read from."""


_READ = (
    Observation,
    DiagnosticReport,
    Specimen,
    Patient,
    Medication,
    MedicationRequest,
    MedicationStatement,
    Condition,
    Encounter,
    ServiceRequest,
    OperationOutcome,
    Bundle,
)

if TYPE_CHECKING:
    Resource: TypeAlias = (
        Observation
        | DiagnosticReport
        | Specimen
        | Patient
        | Medication
        | MedicationRequest
        | MedicationStatement
        | Condition
        | Encounter
        | ServiceRequest
        | OperationOutcome
        | Bundle
        | Unread
    )
else:
    _OTHERS = tuple(
        defstruct(name, [], bases=(Unread,), tag_field=_TAG, tag=name, frozen=True, gc=False)
        for name in sorted(RESOURCE_TYPES - {kind.__name__ for kind in _READ})
    )
    Resource = Union[(*_READ, *_OTHERS)]


def inside(contained: list[Resource] | Resource | None) -> Sequence[Resource]:
    """The contained resources, whether an array, one object or nothing was sent.

    Those of a contained Bundle are among them, in place of the Bundle.
    """
    if contained is None:
        return ()
    found: list[Resource] = []
    for resource in contained if isinstance(contained, list) else (contained,):
        if isinstance(resource, Bundle):
            entries = (entry.resource for entry in many(resource.entry))
            found.extend(inside([resource for resource in entries if resource is not None]))
        else:
            found.append(resource)
    return found


def parts_of(whole: Measured) -> Iterator[Measured]:
    """The components of a result, however deep they are nested."""
    for part in many(whole.component):
        yield part
        yield from parts_of(part)


CHARTED = (MedicationRequest, MedicationStatement, Condition)
_HOLDING_RESULTS = (Observation, DiagnosticReport)


class ResourceCounts(NamedTuple):
    """How many Observations there are, contained ones too, and medicines and conditions."""

    observations: int
    charted: int


def counts_of(resources: Iterable[Resource | None]) -> ResourceCounts:
    """What these resources and those in their Bundles are; of what is contained, results alone."""
    observations = charted = 0
    for resource in resources:
        if isinstance(resource, _HOLDING_RESULTS):
            observations += isinstance(resource, Observation)
            if resource.contained is not None:
                observations += counts_of(inside(resource.contained)).observations
        elif isinstance(resource, Bundle):
            within = counts_of([entry.resource for entry in many(resource.entry)])
            observations += within.observations
            charted += within.charted
        else:
            charted += isinstance(resource, CHARTED)
    return ResourceCounts(observations, charted)
