# SPDX-License-Identifier: Apache-2.0
"""Single changes that harm the form of a request: each kind of key, element, spelling and place.

None of them states another valid result. A key that comes twice cannot be written as a `dict`: in
its second place it ends with a sign that `written` takes away.
"""

import json
import random
import re
from collections.abc import Iterator
from copy import deepcopy
from typing import Any, NamedTuple, TypeAlias

from tests.service.patients import TODAY, Json

Path: TypeAlias = tuple[str | int, ...]

_TWICE = "\ue000"
# What the sender would have to mean for the answer to stay; each is a fault of section 1 and 4.
_RETYPED: tuple[Any, ...] = (None, 7, "x", "", True, [], {}, [None], {"x": 1})
_SIGNS = (" ", "x", "/", "?", "\u00a0", "é", '"', "<b>", "\u200b", "\ufeff", "\u202e", "\u00ad")
_SIGNS_IN_A_KEY = ("\u200b", "\u00ad", "\ufeff", " ")
_BLANKS = (" ", "\t", "\n", "\u00a0", "\u2009", "\u3000", "  ")
_DATE = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}.*")
_WIDE = {sign: sign + 0xFEE0 for sign in range(0x21, 0x7F)}
_ALIKE = str.maketrans("AaBCceHIKMOoPpTXxy0125", "АаВСсеНІКМОоРрТХху\u0660\u0661\u0662\u0665")


class Change(NamedTuple):
    """What is done, where, and the value or key that it needs."""

    kind: str
    path: Path
    value: Any = None


def changes(body: Json) -> Iterator[Change]:
    """Every single change of a request that states nothing else."""
    for change in _every_change(body):
        if not _states_something_else(change):
            yield change


def changed(body: Json, change: Change) -> Json:
    """The request with the change made."""
    made = deepcopy(body)
    node: Any = made
    for name in change.path[:-1]:
        node = node[name]
    last, value = change.path[-1], deepcopy(change.value)
    match change.kind:
        case "left out":
            del node[last]
        case "misspelt":
            node[value] = node.pop(last)
        case "repeated before":
            kept = node.pop(last)
            node |= {last: value, f"{last}{_TWICE}": kept}
        case "repeated":
            node[f"{last}{_TWICE}"] = value
        case _:
            node[last] = value
    return made


def written(body: Json) -> bytes:
    """The request as JSON."""
    return json.dumps(body).replace(json.dumps(_TWICE)[1:-1], "").encode()


def _states_something_else(change: Change) -> bool:
    """Whether the changed request is a valid one that says something else.

    A prefetch of null found nothing (CDS Hooks 2.0.1, "Prefetch Template"), a panel may have one
    component less, and a name with other letters is the name of another test.
    """
    kind, value = change.kind, change.value
    match change.path:
        case ("prefetch", _):
            return kind == "retyped" and value is None
        case (*_, "component", int()):
            return kind == "left out"
        case (*_, "text"):
            return kind in {"respelt", "in other letters"}
    return False


def _every_change(body: Json) -> Iterator[Change]:
    for path, value in _nodes(body, ()):
        name = path[-1]
        yield Change("left out", path)
        if isinstance(name, str):
            yield from _of_a_key(path, name, value)
        yield from _of_any_type(path, value)
        match value:
            case str():
                yield from _of_a_text(path, value)
            case bool():
                pass
            case int() | float():
                yield from (Change("retyped", path, text) for text in (str(value), f"{value} U/L"))
            case list():
                yield from _of_a_list(path, value)
            case dict():
                yield from _of_an_object(path, value)


def _of_a_key(path: Path, name: str, value: Any) -> Iterator[Change]:
    wrongs = (name[:-1] or "x", name + "x", name.swapcase(), f" {name}", name.translate(_WIDE))
    for wrong in (*wrongs, *(name + sign for sign in _SIGNS_IN_A_KEY)):
        yield Change("misspelt", path, wrong)
    for other in (None, "x", value):
        yield Change("repeated", path, other)
        yield Change("repeated before", path, other)


def _of_any_type(path: Path, value: Any) -> Iterator[Change]:
    for other in _RETYPED:
        if type(other) is not type(value):
            yield Change("retyped", path, other)
    for other in ([value], {"value": value}, {"0": value}, json.dumps(value)):
        yield Change("wrapped", path, other)


def _of_a_text(path: Path, text: str) -> Iterator[Change]:
    middle = len(text) // 2
    for sign in _SIGNS:
        yield Change("respelt", path, sign + text)
        yield Change("respelt", path, text + sign)
        yield Change("respelt", path, text[:middle] + sign + text[middle:])
    for other in (text.upper(), text.lower(), text.swapcase(), text.title()):
        if other != text:
            yield Change("respelt", path, other)
    for other in (
        text.translate(_WIDE),
        text.translate(_ALIKE),
        "".join(f"{s}\u0301" for s in text),
    ):
        if other != text:
            yield Change("in other letters", path, other)
    if _DATE.fullmatch(text):
        for blank in _BLANKS:
            for at in range(len(text)):
                yield Change("blank in a date", path, text[:at] + blank + text[at:])
    if text.startswith("Patient/"):
        for other in ("Patient/p2", "#p2", "urn:uuid:2", "Group/p1", "http://other/Patient/p1"):
            yield Change("of another", path, other)


def _of_a_list(path: Path, items: list[Any]) -> Iterator[Change]:
    if not items:
        return
    yield Change("reordered", path, items[::-1])
    for seed in range(3):
        yield Change("reordered", path, random.Random(seed).sample(items, len(items)))
    yield Change("doubled", path, [*items, *items])
    yield Change("filled", path, [None, *items])
    yield Change("filled", path, [*items, {}])
    yield Change("retyped", path, {str(place): item for place, item in enumerate(items)})
    if path[-1] == "entry":
        yield from _of_entries(path, items)
    if path[-1] in {"component", "contained", "result", "hasMember"}:
        yield Change("nested", path, [{"code": {"text": "x"}, str(path[-1]): items}])


def _of_entries(path: Path, entries: list[Any]) -> Iterator[Change]:
    for other in _CONTRADICTIONS:
        added = {"resource": {"resourceType": "Patient", "id": "p1", **other}}
        yield Change("contradicted", path, [added, *entries])
        yield Change("contradicted", path, [*entries, added])
    for place, entry in enumerate(entries):
        result = entry.get("resource") if isinstance(entry, dict) else None
        if isinstance(result, dict) and result.get("resourceType") == "Observation":
            timeless = {
                name: value for name, value in result.items() if name != "effectiveDateTime"
            }
            changed = [*entries[:place], {"resource": timeless}, *entries[place + 1 :]]
            for holder in _holders_of_another(f"Observation/{result.get('id')}"):
                yield Change("time of another", path, [*changed, {"resource": holder}])


def _holders_of_another(name: str) -> Iterator[Json]:
    """What may lend its time to a result of that name, and is not the patient's."""
    shared = {"id": "lent", "status": "final", "effectiveDateTime": TODAY}
    member = [{"reference": name}]
    for subject in ({"reference": "Patient/p2"}, {"reference": "Patient?identifier=2"}):
        of_another = {**shared, "subject": subject}
        yield {"resourceType": "DiagnosticReport", **of_another, "result": member}
        yield {"resourceType": "Observation", **of_another, "hasMember": member}
        yield {"resourceType": "Specimen", "id": "lent", "subject": subject, "receivedTime": TODAY}


_CONTRADICTIONS: tuple[Json, ...] = (
    {"birthDate": "2018-02-03"},
    {"birthDate": "1930-05"},
    {"gender": "female"},
    {"gender": "male"},
    {"gender": "other"},
    {"deceasedBoolean": True},
    {"deceasedDateTime": "2026-01-01"},
    {"id": "p2"},
    {"id": None},
)


def _of_an_object(path: Path, made: Json) -> Iterator[Change]:
    yield Change("reordered", path, dict(reversed(made.items())))
    yield Change("reordered", path, dict(sorted(made.items())))
    if "resourceType" not in made:
        return
    yield Change("of another", path, {**made, "subject": {"reference": "Patient/p2"}})
    yield Change("of another", path, {**made, "focus": [{"reference": "Patient/p2"}]})
    for other in _nests(made):
        yield Change("nested", path, other)


def _nests(made: Json) -> Iterator[Json]:
    """Resources that hold this one where FHIR has it and where it has not."""
    yield {"resourceType": "Parameters", "parameter": [{"name": "x", "resource": made}]}
    yield {"resourceType": "Bundle", "type": "collection", "entry": [{"resource": made}]}
    yield {"resourceType": "Bundle", "type": "collection", "contained": [made]}
    yield {"resourceType": "List", "status": "current", "contained": [made]}
    yield {"resourceType": "Encounter", "status": "finished", "contained": made}
    shared = {"status": "final", "code": {"text": "panel"}, "subject": {"reference": "Patient/p1"}}
    for kind in ("Observation", "DiagnosticReport"):
        holder = {"resourceType": kind, **shared, "effectiveDateTime": TODAY}
        inner = {**made, "contained": None}
        yield {**holder, "contained": [made]}
        yield {**holder, "contained": [{**holder, "contained": [inner]}]}
        yield {**holder, "contained": {"resourceType": "Bundle", "entry": [{"resource": inner}]}}
        for member in ("hasMember", "result", "component"):
            yield {**holder, member: [made]}
            yield {**holder, member: {"resource": made}}
            yield {**holder, member: [{"code": {"text": "x"}, member: [made]}]}


def _nodes(node: Any, path: Path) -> Iterator[tuple[Path, Any]]:
    items = node.items() if isinstance(node, dict) else enumerate(node)
    for name, value in items:
        yield (*path, name), value
        if isinstance(value, dict | list):
            yield from _nodes(value, (*path, name))
