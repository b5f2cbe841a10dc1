# SPDX-License-Identifier: Apache-2.0
"""`python -m benchmarks.hospital FOLDER`: a made-up hospital, one hook request a patient.

Seeded: the same options give the same people. Who they are is data, in `hospital.yaml`; no patient
was copied from anywhere. A file is named after its picture, so that a lost card can be traced.
"""

import argparse
import json
import random
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from itertools import chain, repeat
from math import exp, log
from pathlib import Path
from typing import Any

import yaml

SEED = 20261129
NOW = datetime(2026, 11, 29, 9, tzinfo=UTC)
Json = dict[str, Any]

_DATA = Path(__file__).with_name("hospital.yaml")
_BEYOND_LIMIT = 1.96  # standard deviations: one in forty lies beyond, on one side
_DAYS_A_YEAR = 365.25
_EARLIER = 0.4  # how many have earlier panels, where a picture does not say
_LOINC = "http://loinc.org"
_RXNORM = "http://www.nlm.nih.gov/research/umls/rxnorm"
_ICD = "http://hl7.org/fhir/sid/icd-10-cm"
_CLINICAL = "http://terminology.hl7.org/CodeSystem/condition-clinical"


def read_hospital() -> Json:
    """The description: tests, medicines and pictures."""
    hospital: Json = yaml.safe_load(_DATA.read_text(encoding="utf-8"))
    return hospital


def patients(
    hospital: Mapping[str, Any],
    count: int,
    *,
    even: bool = False,
    seed: int = SEED,
    now: datetime = NOW,
) -> Iterator[Json]:
    """So many hook requests; `even` takes each picture equally often, for rare ones to be there."""
    chance = random.Random(seed)
    pictures = hospital["pictures"]
    if even:
        chosen = [pictures[place % len(pictures)] for place in range(count)]
    else:
        chosen = chance.choices(pictures, [picture["share"] for picture in pictures], k=count)
    for place, picture in enumerate(chosen):
        name = f"{picture['name'].replace(' ', '-').replace(',', '').lower()}-{place:05}"
        yield _request(name, picture, hospital, now, random.Random(f"{seed} {place}"))


def _request(
    name: str,
    picture: Mapping[str, Any],
    hospital: Mapping[str, Any],
    now: datetime,
    chance: random.Random,
) -> Json:
    age = chance.uniform(*picture["age"])
    medicines = [
        medicine
        for medicine in hospital["medicines"]
        if age >= medicine["from age"] and chance.random() < medicine["share"]
    ]
    wanted = dict(picture.get("results", {}))
    for medicine in medicines:
        wanted = {**medicine.get("sets", {}), **wanted}
    patient = {
        "resourceType": "Patient",
        "id": name,
        "gender": "female" if chance.random() < picture.get("female", 0.5) else "male",
        "birthDate": (now - timedelta(days=age * _DAYS_A_YEAR)).date().isoformat(),
    }
    panels = list(_panels(picture, wanted, hospital, now, chance))
    return {
        "hook": "patient-view",
        "hookInstance": "5a4b5f7e-0d3c-4a56-9d63-1b0f6f0c0003",
        "context": {"userId": "Practitioner/example", "patientId": name},
        "prefetch": {
            "patient": patient,
            "observations": _searchset(
                {**result, "id": f"{name}-{place}"} for place, result in enumerate(chain(*panels))
            ),
            "conditions": _searchset(_conditions(name, picture, now, chance)),
            "medicationRequests": _searchset(_medicine(name, medicine) for medicine in medicines),
            "medicationStatements": _searchset(()),
            "serviceRequests": _searchset(()),
        },
    }


def _panels(
    picture: Mapping[str, Any],
    wanted: Mapping[str, Any],
    hospital: Mapping[str, Any],
    now: datetime,
    chance: random.Random,
) -> Iterator[list[Json]]:
    """The newest panel, then earlier ones as the course of the picture has them."""
    drawn = chance.choices(hospital["drawn"], [span["share"] for span in hospital["drawn"]])[0]
    time = now - timedelta(days=chance.uniform(*drawn["days"]))
    values = dict(_values(wanted, hospital["tests"], chance))
    yield [_observation(test, value, time, hospital, chance) for test, value in values.items()]
    if chance.random() >= picture.get("earlier", _EARLIER):
        return
    course = picture.get("course", "steady")
    for _ in repeat(None, chance.randint(1, 3)):
        back = (1.2, 12) if course == "falling" else (2.3, 170)
        time -= timedelta(days=chance.uniform(*back))
        if course == "new":
            values = dict(_values({}, hospital["tests"], chance))
        else:
            low, high = (1.3, 3.0) if course == "falling" else (0.8, 1.25)
            values = {name: value * chance.uniform(low, high) for name, value in values.items()}
        yield [_observation(test, value, time, hospital, chance) for test, value in values.items()]


def _values(
    wanted: Mapping[str, Any], tests: Mapping[str, Any], chance: random.Random
) -> Iterator[tuple[str, float]]:
    for name, test in tests.items():
        own = wanted.get(name, {})
        if chance.random() >= own.get("measured", test["measured"]):
            continue
        if own:
            median, deviation = own["median"], log(own["spread"])
        else:
            limit = test.get("upper", test.get("lower"))
            median, deviation = test["usual"], abs(log(limit / test["usual"])) / _BEYOND_LIMIT
        yield name, median * exp(chance.gauss(0, deviation))


def _observation(
    name: str, value: float, time: datetime, hospital: Mapping[str, Any], chance: random.Random
) -> Json:
    test = hospital["tests"][name]
    rounded = round(value, test["digits"]) if "digits" in test else round(value)
    preliminary = chance.random() < hospital["preliminary"]
    resource: Json = {
        "resourceType": "Observation",
        "status": "preliminary" if preliminary else "final",
        "code": {"coding": [{"system": _LOINC, "code": test["loinc"]}]},
        "effectiveDateTime": time.isoformat(timespec="seconds"),
        "valueQuantity": {"value": rounded, "unit": test["unit"]},
    }
    limits = {
        end: {"value": test[limit], "unit": test["unit"]}
        for limit, end in (("lower", "low"), ("upper", "high"))
        if limit in test
    }
    if limits and chance.random() >= hospital["without limit"]:
        resource["referenceRange"] = [limits]
    if chance.random() < hospital["hemolysed"]:
        resource["note"] = [{"text": "specimen hemolyzed"}]
    return resource


def _conditions(
    name: str, picture: Mapping[str, Any], now: datetime, chance: random.Random
) -> Iterator[Json]:
    for place, condition in enumerate(picture.get("conditions", ())):
        if chance.random() >= condition["share"]:
            continue
        resource: Json = {
            "resourceType": "Condition",
            "id": f"{name}-condition-{place}",
            "clinicalStatus": {"coding": [{"system": _CLINICAL, "code": "active"}]},
            "code": {
                "coding": [{"system": _ICD, "code": condition["icd10"]}],
                "text": condition["text"],
            },
            "subject": {"reference": f"Patient/{name}"},
        }
        if "within days" in condition:
            day = now - timedelta(days=chance.uniform(1, condition["within days"]))
            resource["recordedDate"] = day.date().isoformat()
        yield resource


def _medicine(name: str, given: Mapping[str, Any]) -> Json:
    coding = {"system": _RXNORM, "code": given["rxcui"]}
    return {
        "resourceType": "MedicationRequest",
        "id": f"{name}-{given['rxcui']}",
        "status": "active",
        "intent": "order",
        "medicationCodeableConcept": {"coding": [coding], "text": given["name"]},
        "subject": {"reference": f"Patient/{name}"},
    }


def _searchset(resources: Iterator[Json] | Sequence[Json]) -> Json:
    entries = [{"resource": resource} for resource in resources]
    bundle: Json = {"resourceType": "Bundle", "type": "searchset", "total": len(entries)}
    return {**bundle, "entry": entries} if entries else bundle


def write_patients(folder: Path, requests: Iterator[Json]) -> int:
    """Write one file a patient; how many."""
    folder.mkdir(parents=True, exist_ok=True)
    count = 0
    for request in requests:
        file = folder / f"{request['context']['patientId']}.json"
        file.write_text(json.dumps(request), encoding="utf-8")
        count += 1
    return count


def main() -> None:
    """Write the patients, and say at what time they are to be looked at."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.hospital",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("folder", type=Path)
    parser.add_argument("--patients", type=int, default=2000)
    parser.add_argument("--even", action="store_true", help="each picture equally often")
    parser.add_argument("--seed", type=int, default=SEED)
    given = parser.parse_args()
    made = patients(read_hospital(), given.patients, even=given.even, seed=given.seed)
    count = write_patients(given.folder, made)
    print(f"{count} patients; look at them at {NOW.isoformat()}:")
    print(f"  cds-service burden {given.folder} --cards OLD NEW --at {NOW:%Y-%m-%dT%H:%MZ}")


if __name__ == "__main__":
    main()
