# SPDX-License-Identifier: Apache-2.0
"""Small decisions of the liver pack, made by hand."""

from datetime import UTC, datetime
from fractions import Fraction

from cds_service.amounts import exactly
from cds_service.copying import replace
from cds_service.decide import Evaluation, Outcome
from cds_service.knowledge.model.pack import CardText, Pack
from cds_service.labs.facts import FactAnswer
from cds_service.labs.limits import Limit
from cds_service.labs.patient import Person
from cds_service.labs.patient_record import LabResult, Patient, PatientRecord, Sent
from cds_service.labs.result_selection import Frame, Reading
from cds_service.labs.unused_data import UnusedData
from cds_service.rules.answer import Decision
from tests.web.http_fixtures import NOW, liver_pack

PACK = liver_pack()


def result(number: str = "1", unit: str = "U/L", **more: object) -> LabResult:
    """An ALT of yesterday."""
    plain = LabResult(
        marker="alt",
        code="",
        method=None,
        value=exactly(Fraction(number)),
        sent=Sent(number=number, unit=unit),
        unit=unit,
        time=datetime(2026, 6, 14, 23, 30, tzinfo=UTC),
        precision="instant",
        status="final",
        reference="Observation/alt",
    )
    return replace(plain, **more)


def reading(of: LabResult | None = None, *, limit: str | None = "lab") -> Reading:
    """The result with an upper limit of 40."""
    upper = Limit(Fraction(40), limit) if limit else None
    return Reading(of or result(), upper, None, None)


def decision(
    rule: str = "alt-very-low",
    *,
    of: Reading | None = None,
    summary: str = "ALT {{ alt }}",
    detail: str = "ALT {{ alt }}",
    names: tuple[str, ...] = (),
    pack: Pack = PACK,
) -> Decision:
    """A card of the rule with texts of its own."""
    facts = {name: FactAnswer(False) for name in pack.facts}
    facts["on-b6-lowering-drug"] = FactAnswer(bool(names), names)
    text = CardText(
        language="en", file="x.en.md", lines=(), summary=summary, detail=detail, also={}
    )
    return Decision(
        rule=replace(pack.rules[rule], texts={"en": text}),
        answer="card",
        frame=Frame(
            index="alt",
            now=NOW,
            person=Person((600, 600), "male"),
            facts=facts,
            ordering=frozenset(),
            readings={"alt": of or reading()},
        ),
        trigger="alt",
    )


def outcome(*decisions: Decision, record: PatientRecord | None = None) -> Outcome:
    """The outcome of these decisions, in a pack that has their texts."""
    rules = {**PACK.rules, **{decision.rule.id: decision.rule for decision in decisions}}
    born = (datetime(1976, 1, 1, tzinfo=UTC).date(),) * 2
    known = PatientRecord(patient=Patient(reference="Patient/p", born=born, sex="male"))
    evaluation = Evaluation(
        reads={},
        pack=replace(PACK, rules=rules),
        record=record or known,
        now=NOW,
        decisions=decisions,
        frames=(),
        unused=UnusedData(),
    )
    return Outcome(evaluation)
