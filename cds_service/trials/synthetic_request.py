# SPDX-License-Identifier: Apache-2.0
"""The `given` of a case -> a CDS Hooks request, so that a case runs the whole path.

`{age: 50 years, alt: "1 U/L, 2 days ago"}` becomes a patient-view request whose prefetch holds
FHIR resources of a synthetic patient. What the words mean is in `docs/reference/language.md`.
"""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from decimal import Decimal
from fractions import Fraction

from cds_service import prefetch_keys
from cds_service.amounts import plain
from cds_service.knowledge.model.code_systems import LOINC
from cds_service.knowledge.model.dependencies import fact_closure
from cds_service.knowledge.model.facts import Fact
from cds_service.knowledge.model.pack import Marker, Pack
from cds_service.labs.patient import MONTHS_A_YEAR
from cds_service.sourcefile.document import Data
from cds_service.trials.synthetic_chart import (
    CODED,
    PATIENT,
    SYSTEMS,
    GivenError,
    Json,
    condition,
    encounter,
    hours_of,
    medicine,
    order_of,
    resulted_of,
)

NOT_SENT = "not sent"
NEVER = "never"
HOOK = "hook"
SHOWN = "shown"
ARRIVED = "arrived"
_VALUE = re.compile(
    r"(?:(less than|at most|more than|at least) )?(-?[0-9]+(?:\.[0-9]+)?)(?: (without unit|\S+))?"
)
_COMPARATORS = {"less than": "<", "at most": "<=", "more than": ">", "at least": ">="}
_AGO = re.compile(r"([0-9]+) (minutes?|hours?|days?) ago")
_AHEAD = re.compile(r"in ([0-9]+) (minutes?|hours?|days?)")
_LIMIT = re.compile(r"(upper|lower) limit ([0-9]+(?:\.[0-9]+)?)")
_AGE = re.compile(r"([0-9]{1,3}) (years?|months?)")
_STATUSES = frozenset(
    ("registered", "preliminary", "corrected", "amended", "entered-in-error", "cancelled")
)
_SET_ASIDE = re.compile(r"set aside (?:because )?(\S+)")
_COMMA = re.compile(r', (?=(?:[^"]*"[^"]*")*[^"]*$)')  # not inside of quotes
_INDEX_AGE = timedelta(days=1)
_LISTS = ("medicines", "conditions", "orders", "ordering", "resulted")


@dataclass(slots=True)
class _Chart:
    """The request that is being put together."""

    pack: Pack
    now: datetime
    patient: Json = field(default_factory=lambda: {"resourceType": "Patient", "id": PATIENT})
    observations: list[Json] = field(default_factory=list)
    medicines: list[Json] | None = field(default_factory=list)
    conditions: list[Json] | None = field(default_factory=list)
    orders: list[Json] | None = field(default_factory=list)
    drafts: list[Json] = field(default_factory=list)
    encounter: Json | None = None


def request_of(given: Mapping[str, Data], pack: Pack, now: datetime, hook: str) -> Json:
    """The hook request of a case; raises `GivenError` for a word that has no meaning."""
    chart = _Chart(pack, now)
    for subject, words in given.items():
        try:
            _add(subject, words, chart)
        except OverflowError as error:
            message = f"'{subject}' is too far from now"
            raise GivenError(message) from error
    prefetch: Json = {
        prefetch_keys.PATIENT: chart.patient,
        prefetch_keys.OBSERVATIONS: _bundle(chart.observations),
    }
    if chart.medicines is not None:
        prefetch[prefetch_keys.MEDICATION_REQUESTS] = _bundle(chart.medicines)
        prefetch[prefetch_keys.MEDICATION_STATEMENTS] = _bundle([])
    if chart.conditions is not None:
        prefetch[prefetch_keys.CONDITIONS] = _bundle(chart.conditions)
    if chart.orders is not None:
        prefetch[prefetch_keys.SERVICE_REQUESTS] = _bundle(chart.orders)
    if chart.encounter is not None:
        prefetch["encounter"] = chart.encounter
    context: Json = {"patientId": PATIENT, "userId": "Practitioner/case"}
    if hook in {"order-select", "order-sign"}:
        context["draftOrders"] = _bundle(chart.drafts)
        context["selections"] = [f"{draft['resourceType']}/{draft['id']}" for draft in chart.drafts]
    elif hook.startswith("encounter-"):
        context["encounterId"] = "case"
    return {
        "hook": hook,
        "hookInstance": "5a4b5f7e-0d3c-4a56-9d63-1b0f6f0c0001",
        "context": context,
        "prefetch": prefetch,
    }


def arrival_of(given: Mapping[str, Data], now: datetime) -> datetime | None:
    """The time of the result that arrived, in a case that says so (`arrived: 2 hours ago`)."""
    if ARRIVED not in given:
        return None
    words = _text(ARRIVED, given[ARRIVED])
    match = _AGO.fullmatch(words)
    if match is None:
        message = f"cannot read '{words}': write how old the result is, such as 2 hours ago"
        raise GivenError(message)
    return now - timedelta(**{f"{match[2].removesuffix('s')}s": int(match[1])})


def _bundle(resources: list[Json]) -> Json:
    bundle: Json = {"resourceType": "Bundle", "type": "searchset", "total": len(resources)}
    if resources:
        bundle["entry"] = [{"resource": resource} for resource in resources]
    return bundle


def _add(subject: str, words: Data, chart: _Chart) -> None:
    if subject in (HOOK, SHOWN, ARRIVED):
        return  # the runner has asked for it
    if subject == "age":
        _add_age(_text(subject, words), chart)
    elif subject == "sex":
        chart.patient["gender"] = _one_of(("male", "female", "other", "unknown"), subject, words)
    elif subject == "deceased":
        chart.patient["deceasedBoolean"] = _one_of(("yes", "no"), subject, words) == "yes"
    elif subject in _LISTS:
        _add_list(subject, words, chart)
    elif subject == "encounter":
        chart.encounter = encounter(_text(subject, words))
    elif subject in chart.pack.facts:
        _add_fact(chart.pack.facts[subject], _text(subject, words), chart)
    elif subject in chart.pack.markers:
        marker = chart.pack.markers[subject]
        for line in words if isinstance(words, list) else _text(subject, words).split("; "):
            chart.observations.extend(
                _observations(marker, _text(subject, line), chart, len(chart.observations))
            )
    else:
        message = f"'{subject}' is no marker, fact, age, sex, or list of a case"
        raise GivenError(message)


def _text(subject: str, words: Data) -> str:
    if not isinstance(words, str):
        message = f"'{subject}' takes one text"
        raise GivenError(message)
    return " ".join(words.split())


def _one_of(choices: tuple[str, ...], subject: str, words: Data) -> str:
    text = _text(subject, words)
    if text not in choices:
        message = f"'{subject}' is one of: {', '.join(choices)}"
        raise GivenError(message)
    return text


def _add_age(words: str, chart: _Chart) -> None:
    if words == "not known":
        return
    match = _AGE.fullmatch(words)
    if match is None:
        message = f"cannot read the age '{words}': write 50 years or 6 months"
        raise GivenError(message)
    months = int(match[1]) * (MONTHS_A_YEAR if match[2].startswith("year") else 1)
    chart.patient["birthDate"] = birth_date(months, chart.now.date()).isoformat()


def birth_date(months: int, today: date) -> date:
    """A birth date on which so many months are completed today (the first of a month)."""
    count = today.year * MONTHS_A_YEAR + today.month - 1 - months
    return date(count // MONTHS_A_YEAR, count % MONTHS_A_YEAR + 1, 1)


def _add_list(subject: str, words: Data, chart: _Chart) -> None:
    if words == NOT_SENT and subject != "resulted":
        match subject:
            case "medicines":
                chart.medicines = None
            case "conditions":
                chart.conditions = None
            case _:
                chart.orders = None
        return
    for line in words if isinstance(words, list) else [words]:
        text = _text(subject, line)
        match subject:
            case "medicines":
                _keep(chart.medicines, medicine(text, "order"))
            case "conditions":
                _keep(chart.conditions, condition(text, chart.now))
            case "orders":
                _keep(chart.orders, order_of(text, chart.pack, chart.now))
            case "resulted":
                _keep(chart.observations, resulted_of(text, chart.pack, chart.now))
            case _:
                chart.drafts.append(_draft(text, chart))


def _keep(resources: list[Json] | None, resource: Json) -> None:
    if resources is None:
        message = "a list is either not sent or has entries"
        raise GivenError(message)
    resource.setdefault("id", f"{resource['resourceType']}-{len(resources)}")
    resources.append(resource)


def _draft(text: str, chart: _Chart) -> Json:
    """Something that is being ordered: an order of the pack by id or LOINC, else a medicine."""
    code = chart.pack.orders[text].code.code if text in chart.pack.orders else None
    if (match := CODED.fullmatch(text)) and match[1] == "loinc":
        code = match[2]
    if code is None:
        draft = medicine(text, "order")
    else:
        draft = order_of(f"{code} draft", chart.pack, chart.now)
    draft["status"] = "draft"
    draft["id"] = f"draft-{len(chart.drafts)}"
    return draft


def _add_fact(fact: Fact, words: str, chart: _Chart) -> None:
    match words:
        case "yes":
            _make_true(fact, chart)
        case "no":
            return
        case "not known":
            parts = [chart.pack.facts[name] for name in fact_closure([fact.id], chart.pack)]
            if any(part.medicines for part in parts):
                chart.medicines = None
            if any(part.reads_conditions for part in parts):
                chart.conditions = None
        case _:
            message = f"a fact is yes, no or not known, not '{words}'"
            raise GivenError(message)


def _make_true(fact: Fact, chart: _Chart) -> None:
    if fact.medicines:
        _keep(chart.medicines, medicine(fact.medicines[0].name, "order"))
    elif fact.conditions:
        code = fact.conditions[0].code
        system = next(word for word, uri in SYSTEMS.items() if uri == code.system)
        _keep(chart.conditions, condition(f"{system} {code.code}", chart.now))
    elif fact.condition_names:
        _keep(chart.conditions, condition(fact.condition_names[0], chart.now))
    elif fact.encounter_classes:
        chart.encounter = encounter(fact.encounter_classes[0])
    else:
        for part in fact.all_of or fact.any_of[:1]:
            _make_true(chart.pack.facts[part], chart)


def _observations(marker: Marker, words: str, chart: _Chart, count: int) -> Iterator[Json]:
    """The results that one line of a case stands for (several for duplicates, none for never)."""
    if words == NEVER:
        return
    if match := _SET_ASIDE.fullmatch(words):
        yield from _set_aside(marker, match[1], chart, count)
    else:
        yield _observation(marker, words, chart, count)


def _set_aside(marker: Marker, reason: str, chart: _Chart, count: int) -> Iterator[Json]:
    """A result that intake sets aside for this reason."""
    usual = f"1 {marker.unit}".strip()
    match reason:
        case "unit-missing":
            yield _observation(marker, "1 without unit", chart, count)
        case "unit-unknown":
            yield _observation(marker, "1 furlong", chart, count)
        case "unit-conflict":
            first = _observation(marker, usual, chart, count)
            other = next(unit for unit in chart.pack.units.values() if unit != marker.unit)
            first["valueQuantity"] = {"value": 1, "unit": marker.unit, "code": other}
            yield first
        case "implausible":
            top = marker.plausible.high
            beyond = f"{int(top) + 1 if top is not None else 0} {marker.unit}".strip()
            yield _observation(marker, beyond, chart, count)
        case "conflicting-duplicates":
            for step in (1, 2):
                value = (
                    f"{plain(step * (marker.plausible.low or Fraction(1)))} {marker.unit}".strip()
                )
                yield _observation(marker, value, chart, count + step)
        case _:
            message = f"no result can be made that is set aside because {reason}"
            raise GivenError(message)


def _observation(marker: Marker, words: str, chart: _Chart, count: int) -> Json:
    head, *parts = _COMMA.split(words)
    match = _VALUE.fullmatch(head)
    if match is None:
        message = f"cannot read '{head}': write NUMBER UNIT, then more words after commas"
        raise GivenError(message)
    unit = None if match[3] in {None, "without unit"} else match[3]
    quantity: Json = {"value": Decimal(match[2])}
    if match[1]:
        quantity["comparator"] = _COMPARATORS[match[1]]
    if unit:
        quantity["unit"] = unit
    observation: Json = {
        "resourceType": "Observation",
        "id": f"result-{count}",
        "status": "final",
        "code": _code_of(marker, None),
        "subject": {"reference": f"Patient/{PATIENT}"},
        "effectiveDateTime": (chart.now - _INDEX_AGE).isoformat(),
        "valueQuantity": quantity,
    }
    for part in parts:
        _modify(observation, part, marker, chart, unit)
    return observation


def _code_of(marker: Marker, method: str | None) -> Json:
    code = next((code for code in marker.codes if code.method == method), None)
    if code is None:
        message = f"no code of {marker.id} is '{method}'"
        raise GivenError(message)
    return {"coding": [{"system": code.system, "code": code.code}]}


def _modify(observation: Json, part: str, marker: Marker, chart: _Chart, unit: str | None) -> None:
    if match := _AGO.fullmatch(part):
        observation["effectiveDateTime"] = (chart.now - _span(match)).isoformat()
    elif match := _AHEAD.fullmatch(part):
        observation["effectiveDateTime"] = (chart.now + _span(match)).isoformat()
    elif match := _LIMIT.fullmatch(part):
        end: Json = {"value": Decimal(match[2])}
        if unit:
            end["unit"] = unit
        ranges = observation.setdefault("referenceRange", [{}])
        if isinstance(ranges, list):
            ranges[0]["high" if match[1] == "upper" else "low"] = end
    elif part == "at the same time":
        observation["effectiveDateTime"] = (chart.now - _INDEX_AGE).isoformat()
    elif part == "hemolysed":
        observation["note"] = [{"text": "specimen hemolyzed"}]
    elif part in _STATUSES:
        observation["status"] = part
    elif part.startswith("coded "):
        code = part.removeprefix("coded ")
        system = next(
            (marker_code.system for marker_code in marker.codes if marker_code.code == code), LOINC
        )
        observation["code"] = {"coding": [{"system": system, "code": code}]}
    elif part.startswith("named "):
        observation["code"] = {"text": part.removeprefix("named ").strip('"')}
    else:
        observation["code"] = _code_of(marker, part)


def _span(match: re.Match[str]) -> timedelta:
    amount = int(match[1])
    if match[2].startswith("minute"):
        return timedelta(minutes=amount)
    return timedelta(hours=amount * hours_of(match[2]))
