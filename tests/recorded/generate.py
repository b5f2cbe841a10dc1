# SPDX-License-Identifier: Apache-2.0
"""Hook requests made from a seed: worked examples with changes, random patients, harmed requests.

Nothing of the service is imported, so the same requests are made whatever becomes of its modules.
"""

import json
from copy import deepcopy
from datetime import UTC, datetime, timedelta
from random import Random
from uuid import UUID

from tests.recorded.chart import Json, moment, request
from tests.recorded.harm import harm_result, harm_text, harm_tree
from tests.recorded.words import Marker, Words, read_words

COUNT = 5400
_SEED = "recorded answers 1"
_NOWS = (
    datetime(2026, 6, 15, 9, 0, tzinfo=UTC),
    datetime(2026, 3, 1, 0, 0, 30, tzinfo=UTC),
    datetime(2024, 2, 29, 23, 30, tzinfo=UTC),
    datetime(2026, 11, 24, 12, 15, tzinfo=UTC),
)
_STATUSES = ("final", "preliminary", "corrected", "amended", "cancelled", "entered-in-error")
_KEYS = ("patient", "conditions", "medicationRequests", "medicationStatements", "serviceRequests")
_ORDER_STATUSES = ("active", "draft", "on-hold", "completed", "revoked")
_HARMS = (
    (harm_result,),
    (harm_tree,),
    (harm_result, harm_result),
    (harm_result, harm_tree),
    (harm_tree, harm_tree),
    (harm_result, harm_tree, harm_tree),
)
_INDEX = "alt"


def generate(count: int = COUNT) -> list[Json]:
    """The requests in a mixed order: `service`, `now` and the `body` as text, each."""
    words = read_words()
    return [_request(number, words) for number in range(count)]


def _request(number: int, words: Words) -> Json:
    rng = Random(f"{_SEED}/{number}")
    kind = rng.choices(("example", "random", "harmed"), (30, 40, 30))[0]
    if kind == "example" or (kind == "harmed" and rng.random() < 0.5):
        chart, now = _perturbed_example(rng, words)
    else:
        chart, now = _random_patient(rng, words)
    weights = (70, 10, 10, 10) if kind == "example" else (40, 20, 20, 20)
    service, hook = rng.choices(words.services, weights)[0]
    if hook in {"order-select", "order-sign"}:
        _add_drafts(chart, rng, words, now)
    body = request(chart, hook, str(UUID(int=rng.getrandbits(128), version=4)), now)
    if kind == "random" and rng.random() < 0.25:
        harm_result(body, rng)
    if kind == "harmed":
        for harm in rng.choice(_HARMS):  # the tree last: a harmed result may be no object any more
            harm(body, rng)
        if rng.random() < 0.03:
            body["hook"] = rng.choice(("patient-view", "order-sign", "appointment-book"))
    text = json.dumps(body, ensure_ascii=False)
    if kind == "harmed" and rng.random() < 0.03:
        text = harm_text(text, rng)
    if kind == "harmed" and rng.random() < 0.01:
        service = "liver-unknown"
    return {"service": service, "now": now.isoformat(), "body": text}


# --- worked examples ---


def _perturbed_example(rng: Random, words: Words) -> tuple[Json, datetime]:
    example = rng.choice(words.examples)
    inputs = deepcopy(example["inputs"])
    now = datetime.fromisoformat(inputs["now"])
    person = inputs["patient"]
    months = person.get("ageMonths", 12 * person["ageYears"] if "ageYears" in person else None)
    sex = person.get("sex")
    snomed = "http://snomed.info/sct"
    conditions = [_as_condition(item) for item in inputs.get("conditions", [])]
    if person.get("pregnant"):
        conditions.append({"system": snomed, "code": "77386006"})
    chart: Json = {
        "patient": {
            "sex": sex if sex in {"male", "female"} else None,
            "months": months,
            "deceased": person.get("deceased"),
        },
        "results": inputs.get("observations", []),
        "conditions": conditions,
        "medicines": inputs.get("medications", []),
        "statements": [],
        "orders": inputs.get("orders", []),
        "choosing": [],
        "drafting": [],
        "unsent": [],
    }
    for _ in range(rng.choice((0, 1, 1, 2, 2, 3))):
        _perturb(chart, rng, words, now)
    return chart, now


def _as_condition(given: Json) -> Json:
    """A condition of a worked example with its code, display and text."""
    icd = given.get("icd10")
    return {
        "system": "http://hl7.org/fhir/sid/icd-10-cm" if icd else "http://snomed.info/sct",
        "code": icd or given.get("snomed"),
        "text": given.get("text") or given.get("display"),
    }


def _perturb(chart: Json, rng: Random, words: Words, now: datetime) -> None:
    if chart["results"] and rng.random() < 0.7:
        result = rng.choice(chart["results"])
        markers = words.markers.values()
        marker = next((item for item in markers if result["loinc"] in item.codes), None)
        _perturb_result(chart, result, marker, rng)
        return
    match rng.randrange(7):
        case 0:
            chart["unsent"].append(rng.choice((*_KEYS, "observations")))
        case 1:
            chart["medicines"] = chart["medicines"][1:]
            chart["conditions"] = chart["conditions"][1:]
        case 2:
            chart["medicines"].append(_medicine(rng, words))
        case 3:
            chart["conditions"].append(_condition(rng, words))
        case 4:
            chart["orders"].append(_order(rng, words, now))
        case 5:
            chart["patient"]["months"] = _months(rng)
        case _:
            marker = words.markers[rng.choice(sorted(words.markers))]
            chart["results"].append(_result(marker, rng, now, rng.choice((1.0, 3.0, 60.0))))


def _perturb_result(chart: Json, result: Json, marker: Marker | None, rng: Random) -> None:
    taken = datetime.fromisoformat(result["effective"])
    match rng.choice(
        ("value", "value", "value", "unit", "time", "side", "status", "twice", "else")
    ):
        case "value" if marker and "value" in result and result.get("unit") in marker.factors:
            own = _value(marker, rng)
            result["value"] = _in_unit(own, marker.factors[result["unit"]])
        case "value" if "value" in result:
            result["value"] = round(result["value"] * rng.choice((0.1, 0.5, 0.99, 1.01, 2, 5)), 3)
        case "unit" if marker and result.get("unit") in marker.factors and "value" in result:
            own = result["value"] * marker.factors[result["unit"]]
            unit = rng.choice(sorted(marker.factors))
            factor = marker.factors[unit]
            limits = {end: result[end] for end in ("low", "high") if end in result}
            was = marker.factors[result["unit"]]
            result["value"] = _in_unit(own, factor)
            result.update({end: _in_unit(of * was, factor) for end, of in limits.items()})
            result["unit"] = unit
            result.pop("ucum", None)
        case "time":
            days = rng.choice((-2, -1, -0.5, 0.04, 1, 2, 3, 3.01, 5, 7, 30, 89, 90, 91, 180, 365))
            result["effective"] = moment(taken, days)
        case "side":
            result["comparator"] = rng.choice(("<", "<=", ">", ">="))
        case "status":
            result["status"] = rng.choice(_STATUSES)
        case "twice" if "value" in result:
            value = round(result["value"] * rng.choice((1, 1.1, 0.9, 3)), 2)
            status = rng.choice(_STATUSES)
            chart["results"].append(deepcopy(result) | {"value": value, "status": status})
        case _:
            match rng.randrange(4):
                case 0:
                    result["hemolyzed"] = not result.get("hemolyzed")
                case 1:
                    result["high"] = rng.choice((10, 35, 40, 55, 100, 120, 1.2))
                case 2:
                    result.pop("high", None)
                case _:
                    result["unit"] = ""


# --- random patients ---


def _random_patient(rng: Random, words: Words) -> tuple[Json, datetime]:
    now = rng.choice(_NOWS)
    others = sorted(set(words.markers) - {_INDEX})
    markers = rng.sample(others, rng.randint(0, 7))
    if rng.random() < 0.95:
        markers.insert(0, _INDEX)
    newest = rng.choice((0.1, 0.5, 1, 1, 3, 20, 89.9, 90.1))
    results = []
    for name in markers:
        marker = words.markers[name]
        times = [newest if rng.random() < 0.8 else rng.uniform(0, 95)]
        times += [rng.uniform(0, 400) for _ in range(rng.choice((0, 0, 0, 1, 1, 3)))]
        results += [_result(marker, rng, now, days) for days in times]
    if rng.random() < 0.1 and results:
        again = deepcopy(rng.choice(results))
        results.append(again | {"status": rng.choice(_STATUSES), "value": again.get("value", 50)})
    chart: Json = {
        "patient": {
            "sex": rng.choice(("male", "female", "female", "male", "other", "unknown", None)),
            "months": None if rng.random() < 0.05 else _months(rng),
            "deceased": rng.random() < 0.01,
        },
        "results": results,
        "conditions": [_condition(rng, words) for _ in range(rng.choice((0, 0, 1, 1, 2)))],
        "medicines": [_medicine(rng, words) for _ in range(rng.choice((0, 0, 1, 1, 2)))],
        "statements": [_medicine(rng, words) for _ in range(rng.choice((0, 0, 0, 1)))],
        "orders": [_order(rng, words, now) for _ in range(rng.choice((0, 0, 0, 1, 2)))],
        "choosing": [],
        "drafting": [],
        "unsent": [rng.choice(_KEYS)] if rng.random() < 0.08 else [],
    }
    return chart, now


def _months(rng: Random) -> int:
    return rng.choice((rng.randint(12 * 18, 12 * 95), rng.randint(0, 12 * 19), 12, 11, 216, 215))


def _value(marker: Marker, rng: Random) -> float:
    """A value at a place where answers change, a step beside it, or log-uniform around them."""
    place = rng.choice([place for place in marker.places if place > 0] or [1.0])
    if rng.random() < 0.5:
        return max(0.0, place + rng.choice((0, 0, 1, -1)) * (1 if place >= 100 else 0.1))
    limit: float = marker.high or marker.low or place
    return float(limit * 10 ** rng.uniform(-1.3, 1.5))


def _in_unit(own: float, factor: float) -> float:
    value = own / factor
    return round(value, 1 if value >= 20 else 3)


def _result(marker: Marker, rng: Random, now: datetime, days: float) -> Json:
    unit = marker.unit if rng.random() < 0.7 else rng.choice(sorted(marker.factors))
    factor = marker.factors[unit]
    result: Json = {"loinc": rng.choice(marker.codes), "unit": unit}
    result["value"] = _in_unit(_value(marker, rng), factor)
    if marker.names and rng.random() < 0.05:
        result |= {"loinc": "", "text": rng.choice(marker.names)}
    if rng.random() < 0.7:
        for end, limit in (("low", marker.low), ("high", marker.high)):
            if limit:
                result[end] = _in_unit(limit * rng.choice((1, 1, 1, 0.8, 1.4)), factor)
    if rng.random() < 0.06:
        result["comparator"] = rng.choice(("<", "<=", ">", ">="))
    if rng.random() < 0.1:
        result["status"] = rng.choice(_STATUSES)
    if rng.random() < 0.04:
        result["hemolyzed"] = True
    result["effective"] = moment(now, days)
    if rng.random() < 0.12:
        result["effective"] = (now - timedelta(days=days)).date().isoformat()
    return result


def _medicine(rng: Random, words: Words) -> Json:
    code, name = rng.choice(words.medicines)
    if rng.random() < 0.15:
        code, name = rng.choice((("", name), ("10582", "levothyroxine"), ("", "Statin diary")))
    return {"rxcui": code, "name": name, "status": rng.choice(("active",) * 7 + ("stopped",))}


def _condition(rng: Random, words: Words) -> Json:
    system, code, name = rng.choice(words.conditions)
    text = name if not code or rng.random() < 0.3 else None
    status = rng.choice(("active",) * 7 + ("resolved", "recurrence"))
    return {"system": system, "code": code, "text": text, "status": status}


def _order(rng: Random, words: Words, now: datetime) -> Json:
    return {
        "loinc": rng.choice(words.orders),
        "status": rng.choice(_ORDER_STATUSES),
        "authoredOn": moment(now, rng.choice((0, 1, 5, 29, 30, 31, 60))),
    }


def _add_drafts(chart: Json, rng: Random, words: Words, now: datetime) -> None:
    chart["choosing"] = [_medicine(rng, words) for _ in range(rng.choice((0, 1, 1, 2)))]
    if not chart["choosing"] or rng.random() < 0.4:
        codes = ["1742-6", rng.choice(words.orders)]
        chart["drafting"] = [_order(rng, words, now) | {"loinc": rng.choice(codes)}]
