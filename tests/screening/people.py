# SPDX-License-Identifier: Apache-2.0
"""Random patients in whom everything is near an edge: amounts, limits, times, forms, odd resources.

All of it is taken from the pack: codes, units, thresholds, and the codes of facts.
"""

import random
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime, timedelta
from fractions import Fraction

from cds_service.knowledge.model.bounds import Number, TimesLimit
from cds_service.knowledge.model.conditions import leaves
from cds_service.knowledge.model.dependencies import conditions_for
from cds_service.knowledge.model.leaves import Compare
from cds_service.knowledge.model.pack import Marker, Pack
from tests.screening.exports import Json

MOMENT = datetime(2026, 11, 20, 23, 59, 59, 999_000, tzinfo=UTC)
_SYSTEM = "http://loinc.org"


class Randomly:
    """Makes patients of a pack; the same seed makes the same ones."""

    def __init__(self, pack: Pack, seed: int) -> None:
        self._pack = pack
        self._chance = random.Random(seed)
        self._bounds = self._read_bounds()
        facts = pack.facts.values()
        self._medicines = [
            code for fact in facts for coding in fact.medicines for code in coding.codes
        ]
        self._conditions = [condition.code for fact in facts for condition in fact.conditions]

    def patients(self, count: int) -> Iterator[list[Json]]:
        """The resources of so many patients."""
        for number in range(count):
            yield list(self._patient(f"p{number}"))

    def _read_bounds(self) -> dict[str, list[Fraction]]:
        """The amounts that rules compare each marker with, and limits times their factors."""
        bounds: dict[str, list[Fraction]] = {name: [] for name in self._pack.markers}
        for rule in self._pack.rules.values():
            for when in conditions_for(rule, self._pack):
                for leaf in leaves(when):
                    if isinstance(leaf, Compare):
                        for name in leaf.markers:
                            bounds[name].extend(self._amounts(leaf, self._pack.markers[name]))
        return bounds

    def _amounts(self, leaf: Compare, marker: Marker) -> Iterator[Fraction]:
        if isinstance(leaf.bound, Number):
            yield leaf.bound.amount
        elif isinstance(leaf.bound, TimesLimit):
            for choice in marker.limits.get(leaf.bound.limit, ()):
                if choice.amount is not None:
                    yield leaf.bound.times * choice.amount
            yield leaf.bound.times * 40

    def _patient(self, name: str) -> Iterator[Json]:
        chance = self._chance
        if chance.random() < 0.9:
            yield self._person(name)
        if chance.random() < 0.02:
            yield self._person(name)
        steady = chance.random() < 0.4  # nothing but ordinary results, as in most people
        chosen = chance.sample(sorted(self._pack.markers), chance.randint(1, 5))
        for place in range(chance.randint(1, 8)):
            yield self._result(f"{name}-{place}", name, chance.choice(chosen), steady=steady)
        if not steady:
            for place in range(chance.choice([0, 0, 1, 2])):
                yield self._charted(f"{name}-c{place}", name)

    def _person(self, name: str) -> Json:
        chance = self._chance
        years = chance.choice([0, 1, 10, 17, 18, 35, 36, 64, 65, 66, 90])
        born = (MOMENT - timedelta(days=365.25 * years + chance.randint(-3, 3))).date().isoformat()
        return _given(
            resourceType="Patient",
            id=name,
            gender=chance.choice(["male", "female", "female", "other", None]),
            birthDate=chance.choice([born] * 8 + [born[:4], born[:7], None, "unknown"]),
            deceasedBoolean=chance.choice([None] * 20 + [True, False]),
            name=[{"family": f"F {name}", "given": ["A", name]}],
            identifier=[{"system": "urn:x", "value": name}],
        )

    def _result(self, identity: str, patient: str, name: str, *, steady: bool) -> Json:
        chance = self._chance
        marker = self._pack.markers[name]
        spelling, factor = chance.choice(sorted(marker.factors.items()) or [("", Fraction(1))])
        amount, unit = self._amount(marker, steady=steady) / factor, spelling
        odd = not steady and chance.random() < 0.08
        quantity = _given(
            value=_number(amount, chance.choice([0, 1, 2, 3])),
            unit=unit or None,
            comparator=None if steady else chance.choice([None] * 12 + ["<", ">", "<=", ">="]),
        )
        code = chance.choice(marker.codes)
        made = _given(
            resourceType="Observation",
            id=identity,
            status="final" if steady else chance.choice(_STATUSES),
            category=[{"coding": [{"code": "laboratory"}]}],
            code={"coding": [{"system": code.system or _SYSTEM, "code": code.code}]},
            subject={"reference": f"Patient/{patient}"},
            effectiveDateTime=self._time(steady=steady),
            valueQuantity=quantity,
            referenceRange=self._range(quantity, factor),
        )
        if chance.random() < 0.2:
            made["issued"] = self._time(steady=True)
        return {**made, **chance.choice(_ODD)} if odd else made

    def _amount(self, marker: Marker, *, steady: bool) -> Fraction:
        chance = self._chance
        bounds = self._bounds[marker.id]
        if steady or not bounds or chance.random() < 0.2:
            return Fraction(chance.choice([12, 15, 18, 20, 22, 25]))
        step = Fraction(1, chance.choice([1, 10, 1000, 1_000_000, 10_000_000]))
        return max(chance.choice(bounds) + chance.choice([-1, 0, 0, 1]) * step, Fraction(0))

    def _range(self, quantity: Json, factor: Fraction) -> list[Json] | None:
        chance = self._chance
        if chance.random() < 0.4:
            return None
        high = chance.choice([Fraction(number) for number in (0, 20, 35, 40, 41, 45, 60, 120)])
        ends = {"value": _number(high / factor, 2), "unit": quantity.get("unit")}
        ranges: list[Json] = [{"high": ends}]
        if chance.random() < 0.2:
            ranges[0]["low"] = {
                "value": _number(high / factor / 4, 2),
                "unit": quantity.get("unit"),
            }
        if chance.random() < 0.15:
            sex = {"coding": [{"code": chance.choice(["male", "female"])}]}
            ranges = [{**ranges[0], "appliesTo": [sex]}, {"high": {**ends, "value": 33}}]
        if chance.random() < 0.1:
            ranges[0]["age"] = {"low": {"value": chance.choice([1, 18, 65]), "unit": "a"}}
        return ranges

    def _time(self, *, steady: bool) -> str | None:
        chance = self._chance
        days = chance.choice([0, 1, 7, 30, 60, 89, 90, 91, 92, 150, 364, 365, 366, 455, 500])
        near = timedelta(days=days, seconds=chance.choice([-1, 0, 1, 3600, 40_000]))
        moment = MOMENT - near
        text = moment.isoformat(timespec="seconds")
        if steady:
            return text
        day = text[:10]
        other = [day, day[:7], text[:19], text.replace("+00:00", "Z"), f"{text[:19]}+14:00"]
        return chance.choice([text] * 12 + other + [None, "1970-01-01", "2027-01-01", "soon"])

    def _charted(self, identity: str, patient: str) -> Json:
        chance = self._chance
        kind = chance.choice(["MedicationRequest", "Condition", "ServiceRequest"])
        code = chance.choice(self._medicines if kind == "MedicationRequest" else self._conditions)
        concept = {"coding": [{"system": code.system, "code": code.code}]}
        coded = {"medicationCodeableConcept" if kind == "MedicationRequest" else "code": concept}
        return _given(
            resourceType=kind,
            id=identity,
            status=chance.choice(["active", "active", "completed", None]),
            intent=None if kind == "Condition" else "order",
            clinicalStatus={"coding": [{"code": chance.choice(["active", "resolved", "odd"])}]}
            if kind == "Condition" and chance.random() < 0.7
            else None,
            subject={"reference": f"Patient/{patient}"},
            **coded,
        )


_STATUSES: Sequence[str | None] = (
    *["final"] * 10,
    "corrected",
    "preliminary",
    "registered",
    "cancelled",
    "entered-in-error",
    "unknown",
    "odd",
    None,
)
_ODD: Sequence[Json] = (
    {"valueQuantity": {"value": "5", "unit": "U/L"}},
    {"valueQuantity": {"value": 5}},
    {"valueQuantity": {"value": 5, "unit": "parsec"}},
    {"valueQuantity": {"value": -5, "unit": "U/L"}},
    {"valueQuantity": {"value": 1e9, "unit": "U/L"}},
    {"valueQuantity": None, "valueString": "5 U/L"},
    {"valueQuantity": None},
    {"code": {"text": "ALT"}},
    {"code": {"coding": [{"system": _SYSTEM, "code": "2345-7"}]}},
    {"code": {"coding": [{"system": _SYSTEM, "code": "1742-60"}]}},
    {"subject": {"reference": "https://ehr.example/Patient/x"}},
    {"modifierExtension": [{"url": "x", "valueBoolean": True}]},
    {"hasMember": [{"reference": "Observation/none"}]},
    {"component": [{"code": {"text": "ALT"}, "valueQuantity": {"value": 900, "unit": "U/L"}}]},
    {"specimen": {"reference": "Specimen/1"}, "note": [{"text": "hemolyzed"}]},
    {"specimen": {"reference": "Specimen/1", "display": "Urine"}},
    {"interpretation": [{"coding": [{"code": "H"}]}]},
    {"dataAbsentReason": {"text": "x"}},
    {"meta": [1]},
    {"meta": {"versionId": 7}},
    {"effectivePeriod": {"start": "2026-11-19"}},
)


def _number(amount: Fraction, decimals: int) -> float | int:
    return float(round(amount, decimals + 4)) if decimals else round(amount)


def _given(**elements: object) -> Json:
    return {name: value for name, value in elements.items() if value is not None}
