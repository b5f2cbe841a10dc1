# SPDX-License-Identifier: Apache-2.0
"""Data of a file -> a shape, or every problem of its form in words for people."""

from pathlib import Path
from typing import Any, TypeVar

from pydantic import BaseModel
from pydantic import ValidationError as ShapeError

from cds_service.errors import SettingsError
from cds_service.sourcefile.diagnostics import Problem, in_words, nearest
from cds_service.sourcefile.document import Data, Document, Where, parse, read_text

T = TypeVar("T")
ShapeT = TypeVar("ShapeT", bound=BaseModel)


def read_shape(
    shape: type[ShapeT], data: Data, document: Document, at: Where = ()
) -> tuple[ShapeT | None, list[Problem]]:
    """The data as `shape`, or every problem of its form."""
    try:
        return shape.model_validate(data), []
    except ShapeError as error:
        return None, [_problem(item, shape, document, at) for item in error.errors()]


def read_shape_file(
    path: Path, shape: type[ShapeT]
) -> tuple[tuple[ShapeT, Document] | None, list[Problem]]:
    """The content of a file as `shape`, with its source locations, or every problem of its form."""
    text = read_text(path, path.name)
    if isinstance(text, Problem):
        return None, [text]
    document, problems = parse(text, path.name)
    if problems and not document.data:  # it is no YAML: nothing more can be checked
        return None, problems
    found, more = read_shape(shape, document.data, document)
    return (None if found is None else (found, document)), [*problems, *more]


def settings_value(variable: str, value: T | None, problems: list[Problem]) -> T:
    """The value of a file that a setting names; raises `SettingsError` with every problem in it."""
    if value is None:
        raise SettingsError([f"{variable}: {line}" for line in in_words(problems)])
    return value


def _problem(error: Any, shape: type[BaseModel], document: Document, at: Where) -> Problem:
    where = at + tuple(part for part in error["loc"] if not _is_type_name(part))
    if error["type"] == "extra_forbidden":
        key = str(error["loc"][-1])
        remedy = nearest(key, _keys_near(shape, error["loc"][:-1]))
        mark = document.key_mark(where)
        return Problem("K104", mark, f"'{key}' is not a key that this place has", remedy)
    if error["type"] == "missing":
        return Problem("K105", document.mark(where[:-1]), f"'{error['loc'][-1]}' is missing")
    return Problem("K106", document.mark(where), _in_words(error))


def _is_type_name(part: str | int) -> bool:
    # pydantic names the member of a union in the path of its errors
    return isinstance(part, str) and (part.endswith("Shape") or part == "str")


def _keys_near(shape: type[BaseModel], path: tuple[str | int, ...]) -> list[str]:
    """The keys of the mapping at `path`, found by walking the shapes."""
    current: Any = shape
    for part in path:
        if isinstance(part, int) or not hasattr(current, "model_fields"):
            continue
        for field in current.model_fields.values():
            if field.alias == part:
                current = _inner(field.annotation)
    return [field.alias or "" for field in getattr(current, "model_fields", {}).values()]


def _inner(annotation: Any) -> Any:
    for candidate in (annotation, *getattr(annotation, "__args__", ())):
        if hasattr(candidate, "model_fields"):
            return candidate
    return annotation


def _in_words(error: Any) -> str:
    match error["type"]:
        case "literal_error":
            return f"write one of: {error['ctx']['expected']}"
        case "string_pattern_mismatch":
            return f"does not have the form of this value ({error['ctx']['pattern']})"
        case "string_type":
            return "write one text here, not a list or a mapping"
        case "list_type":
            return "write a list here ('- ...' lines)"
        case "dict_type" | "model_type" | "model_attributes_type":
            return "write a mapping here ('key: value' lines)"
        case "string_too_short":
            return "is empty"
        case _:
            return str(error["msg"])
