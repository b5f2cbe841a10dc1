# SPDX-License-Identifier: Apache-2.0
"""What someone asks the explainer -> a hook request for an invented patient.

`alt` with `1`, `sex=male`, `ast=40` becomes the `given` of a case and from there a call like any
other. What cannot be read is refused in words that repeat nothing of it.
"""

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Final

import msgspec

from cds_service.errors import RequestError
from cds_service.hooks.request import HookRequest, read_request
from cds_service.knowledge.model.bounds import LimitKind
from cds_service.knowledge.model.pack import Marker, Pack
from cds_service.sourcefile.document import Data
from cds_service.trials.synthetic_chart import GivenError
from cds_service.trials.synthetic_request import NOT_SENT, request_of

VALUE = "value"
UNIT = "unit"
LIMIT = "limit"
LOWER = "lower-limit"
SEX = "sex"
AGE = "age"
SEXES = ("male", "female", "unknown")
OLDEST = 130
LOWER_LIMIT: Final = "lower limit"
_OF_LIMIT = "-limit"
_NUMBER = r"-?[0-9]{1,12}(?:\.[0-9]{1,12})?"
_UNIT = r"(?!e[0-9])(?:[A-Za-zµμ%\[{]|10[*^]|/[A-Za-z])[^\s,;]{0,39}"
_VALUE = re.compile(rf"(<=|>=|<|>|≤|≥)? ?({_NUMBER})(?: ?({_UNIT}))?")
_COMMA = re.compile(r"(?<=[0-9]),(?=[0-9]+(?:\D|$))")
_THOUSANDS = re.compile(r"[1-9][0-9]{0,2},[0-9]{3}(?![0-9])")
_AGE = re.compile(r"([0-9]{1,3})(?: ?(years?|months?))?")
_AMOUNT = re.compile(_NUMBER)
_COMPARATORS = {
    "<": "less than",
    "<=": "at most",
    "≤": "at most",
    ">": "more than",
    ">=": "at least",
    "≥": "at least",
}
_LIMITS = {"max_depth": 64, "max_entries": 1000}
_encoder = msgspec.json.Encoder(decimal_format="number")
_HELP = "Expected a value such as 1, 0.5, <3 or >200, if need be with a unit of the marker."


@dataclass(frozen=True, slots=True, kw_only=True)
class Question:
    """A marker and, if given, a value of it, a person, and other results.

    `asked` holds what was asked under its names, for filling in the form again.
    """

    marker: Marker
    pack: Pack
    given: Mapping[str, Data]
    asked: Mapping[str, str] = field(default_factory=dict)

    @property
    def has_value(self) -> bool:
        """Whether a value of the marker itself is asked about."""
        return self.marker.id in self.given


def question_of(
    marker: Marker, pack: Pack, path_value: str, query: Iterable[tuple[str, str]]
) -> Question:
    """The question of an address; raises `RequestError` for what cannot be read."""
    asked = _asked(query, marker, pack)
    if path_value:
        if VALUE in asked:
            raise RequestError("Expected one value, in the path or as 'value'.")
        asked[VALUE] = path_value.strip()
    given: dict[str, Data] = dict(_person(asked))
    for other in pack.markers.values():
        is_own = other.id == marker.id
        value = asked.get(VALUE if is_own else other.id, "")
        limit = asked.get(LIMIT if is_own else other.id + _OF_LIMIT, "")
        lower = asked.get(LOWER, "") if is_own else ""
        if not value and (limit or lower):
            raise RequestError(f"Expected a value of '{other.id}' beside its limit.")
        if value:
            line = _line(other, value, asked.get(UNIT, "") if is_own else "")
            given[other.id] = line + _limit("upper limit", limit) + _limit(LOWER_LIMIT, lower)
    return Question(marker=marker, pack=pack, given=given, asked=asked)


def request_for(question: Question, now: datetime, hook: str) -> HookRequest:
    """The call that puts the question; medicines, conditions and orders are not known."""
    unasked: dict[str, Data] = dict.fromkeys(("medicines", "conditions", "orders"), NOT_SENT)
    try:
        body = request_of({**question.given, **unasked}, question.pack, now, hook)
    except GivenError as error:
        raise RequestError(_HELP) from error
    return read_request(_encoder.encode(body), **_LIMITS)


def parameters_of(marker: Marker, pack: Pack) -> Iterator[str]:
    """Every name that a question about the marker may have."""
    yield from (VALUE, UNIT, LIMIT, SEX, AGE)
    if takes_lower_limit(marker):
        yield LOWER
    for other in pack.markers.values():
        if other.id != marker.id:
            yield from (other.id, other.id + _OF_LIMIT)


def takes_lower_limit(marker: Marker) -> bool:
    """Whether the laboratory's lower limit says anything about the marker."""
    return bool(marker.limits.get(LOWER_LIMIT))


def _asked(query: Iterable[tuple[str, str]], marker: Marker, pack: Pack) -> dict[str, str]:
    """The filled-in parameters, each once; an unknown one, perhaps a typing error, is refused."""
    known = {*parameters_of(marker, pack)}
    asked: dict[str, str] = {}
    for name, value in query:
        if name not in known:
            raise RequestError(f"Expected only these parameters: {', '.join(sorted(known))}.")
        if not value.strip():
            continue
        if name in asked:
            raise RequestError(f"Expected '{name}' once.")
        asked[name] = value.strip()
    return asked


def _person(asked: Mapping[str, str]) -> Iterator[tuple[str, str]]:
    sex = asked.get(SEX, "").lower()
    if sex and sex not in SEXES:
        raise RequestError("Expected 'sex' to be male, female or unknown.")
    if sex:
        yield SEX, sex
    if age := asked.get(AGE):
        match = _AGE.fullmatch(age)
        unit = (match[2] or "years") if match else ""
        most = OLDEST * (12 if unit.startswith("month") else 1)
        if match is None or int(match[1]) > most:
            raise RequestError(f"Expected 'age' in years, from 0 to {OLDEST}, or as '6 months'.")
        yield AGE, f"{int(match[1])} {unit}"


def _line(marker: Marker, value: str, unit: str) -> str:
    """The words of a case for one result, in the marker's unit unless another one is named."""
    match = _VALUE.fullmatch(_with_point(value))
    if match is None:
        raise RequestError(_HELP)
    if match[3] and unit:
        raise RequestError("Expected the unit once, behind the value or as 'unit'.")
    comparator = f"{_COMPARATORS[match[1]]} " if match[1] else ""
    unit_text = match[3] or unit or marker.unit
    if unit_text and not re.fullmatch(_UNIT, unit_text):
        raise RequestError("Expected 'unit' to be one of the marker's units.")
    return f"{comparator}{match[2]} {unit_text}".strip()


def _limit(kind: LimitKind, limit: str) -> str:
    if not limit:
        return ""
    amount = _AMOUNT.fullmatch(_with_point(limit))
    if amount is None or amount[0].startswith("-"):
        raise RequestError("Expected a limit as a number in the unit of its value.")
    return f", {kind} {amount[0]}"


def _with_point(text: str) -> str:
    """The text with a decimal comma as a point; `1,000` could be either and is refused."""
    line = " ".join(text.split())
    if _THOUSANDS.search(line):
        raise RequestError("Expected a decimal point: 1,000 can mean one or a thousand.")
    return _COMMA.sub(".", line, count=1)
