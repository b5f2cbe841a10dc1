# SPDX-License-Identifier: Apache-2.0
"""`docs/reference/language.md`: the prose of `language.md` here, and tables of what is read.

The tables of phrases are those of `knowledge.reading.grammar`, the keys of the files those of
`knowledge.reading.schemas`; `examples.yaml` holds the examples, each of which a test runs.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from importlib.resources import files
from string import Template
from types import NoneType, UnionType
from typing import Annotated, Any, Literal, Union, get_args, get_origin

from msgspec import Struct, convert
from pydantic import BaseModel, BeforeValidator
from pydantic.fields import FieldInfo

from cds_service.knowledge.reading import pack_shapes, schemas
from cds_service.knowledge.reading.bound_forms import BOUNDS
from cds_service.knowledge.reading.forms import WORDS, PhraseForm
from cds_service.knowledge.reading.grammar import KINDS, ONE_MARKER, SEVERAL_MARKERS
from cds_service.sourcefile.diagnostics import CODES, WARNINGS
from cds_service.sourcefile.document import Data, parse

_HERE = files(__package__)
FILE_SHAPES: Mapping[str, type[BaseModel]] = {
    "pack": pack_shapes.PackShape,
    "marker": schemas.MarkerShape,
    "measure": schemas.MeasureShape,
    "remarks": pack_shapes.RemarksShape,
    "pattern": schemas.PatternShape,
    "fact": schemas.FactShape,
    "order": schemas.OrderShape,
    "rule": schemas.RuleShape,
    "evidence": schemas.EvidenceShape,
    "history": schemas.ChangeShape,
    "case": schemas.CaseShape,
    "source": schemas.SourceShape,
    "card_text": schemas.TextHeadShape,
    "explainer": schemas.ExplainerHeadShape,
}


# What several kinds of file hold, shown once.
_SHARED: Mapping[type[BaseModel], str] = {
    schemas.EvidenceShape: "a line of [evidence](#evidence-and-history)",
    schemas.ChangeShape: "a line of [history](#evidence-and-history)",
    schemas.CaseShape: "a [case](#cases)",
}


class PhraseExample(
    Struct, frozen=True, forbid_unknown_fields=True, rename=lambda name: name.replace("_", " ")
):
    """A condition, and for each answer the patient of whom it is so, given as in a case."""

    condition: dict[str, str]
    true: dict[str, Any]
    about: str = ""
    false: dict[str, Any] | None = None
    not_known: dict[str, Any] | None = None


def examples() -> dict[str, tuple[PhraseExample, ...]]:
    """The examples by the form that they show; raises `ValueError` if the file is not right."""
    document, problems = parse(_text("examples.yaml"), "examples.yaml")
    if problems or not isinstance(document.data, dict):
        raise ValueError(f"examples.yaml: {problems}")
    return {form: tuple(_examples(data)) for form, data in document.data.items()}


def _problems() -> Iterator[str]:
    """A table of the codes of problems and warnings."""
    yield from ("| code | what it says |", "| --- | --- |")
    meanings = {**CODES, **{code: f"a warning: {meaning}" for code, meaning in WARNINGS.items()}}
    yield from (f"| {code} | {meanings[code]} |" for code in sorted(meanings))


def _examples(data: Data) -> Iterator[PhraseExample]:
    for item in data if isinstance(data, list) else []:
        yield convert(item, PhraseExample)


def language_page() -> str:
    """The whole page as Markdown."""
    tables = {
        "problems": "\n".join(_problems()),
        "words": "\n".join(_words()),
        "bounds": _phrase_table(BOUNDS, "bound | stands for"),
        "comparisons": _phrase_table(KINDS[SEVERAL_MARKERS].forms),
        "one_marker": _phrase_table(
            form for form in KINDS[ONE_MARKER].forms if form not in KINDS[SEVERAL_MARKERS].forms
        ),
        "others": "\n\n".join(
            f"After {kind.about}:\n\n{_phrase_table(kind.forms)}"
            for name, kind in KINDS.items()
            if name not in (ONE_MARKER, SEVERAL_MARKERS)
        ),
    }
    keys = {f"{name}_keys": _key_table(shape) for name, shape in FILE_SHAPES.items()}
    return Template(_text("language.md")).substitute(tables, **keys)


def _text(name: str) -> str:
    return _HERE.joinpath(name).read_text(encoding="utf-8")


def _words() -> Iterator[str]:
    yield from ("| word | stands for |", "| --- | --- |")
    for name, word in WORDS.items():
        yield f"| {name} | {word.meaning} |"


def _phrase_table(forms: Iterable[PhraseForm[Any]], head: str = "phrase | true when") -> str:
    lines = [
        f"| {head} | example | true of | false of | not known of |",
        "| --- | --- | --- | --- | --- | --- |",
    ]
    shown = examples()
    for form in sorted(forms, key=lambda form: len(form.form)):  # plain ones first
        written, meaning = f"`{form.form}`", form.meaning
        for example in shown[form.form]:
            cells = (written, meaning, _given(example.condition), _given(example.true))
            lines.append(_row(*cells, _given(example.false), _given(example.not_known)))
            written = meaning = ""
    return "\n".join(lines)


def _key_table(shape: type[BaseModel]) -> str:
    lines = ["| key | value | needed |", "| --- | --- | --- |"]
    return "\n".join([*lines, *(_row(f"`{path}`", *cells) for path, *cells in keys_of(shape))])


def keys_of(shape: type[BaseModel], above: str = "") -> Iterator[tuple[str, str, str]]:
    """Each key of a mapping and of those inside of it: its path, its value, whether it is needed.

    A path reads `scope / silent for`, or `units / ... / times` below keys that the author chooses;
    what several kinds of file hold is not taken apart.
    """
    for name, key in shape.model_fields.items():
        path = f"{above}{key.alias or name}"
        yield path, _in_words(key.annotation, key.metadata), _needed(key)
        below = f"{path} / ... / " if get_origin(key.annotation) is dict else f"{path} / "
        for inner in _shapes_in(key.annotation):
            yield from keys_of(inner, below)


def _needed(key: FieldInfo) -> str:
    if key.is_required():
        return "yes"
    return f"no; else `{key.default}`" if isinstance(key.default, str) else "no"


def _shapes_in(annotation: object) -> Iterator[type[BaseModel]]:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        if annotation not in _SHARED:
            yield annotation
        return
    for part in get_args(annotation):
        yield from _shapes_in(part)


def _in_words(annotation: Any, metadata: Sequence[object] = ()) -> str:
    """What a value is."""
    for item in reversed(metadata):
        if isinstance(item, schemas.Written):
            return item.form
    origin, parts = get_origin(annotation), get_args(annotation)
    if origin is Annotated:
        return _in_words(parts[0], parts[1:])
    if origin is Literal:
        return " or ".join(f"`{part}`" for part in parts)
    if origin is list:
        also_alone = any(isinstance(item, BeforeValidator) for item in metadata)
        return (
            f"{_in_words(parts[0])}, or a list" if also_alone else f"a list: {_in_words(parts[0])}"
        )
    if origin is dict:
        return f"a mapping: {_in_words(parts[0])} to {_in_words(parts[1])}"
    if origin in (Union, UnionType):
        return " or ".join(_in_words(part) for part in parts if part is not NoneType)
    return _SHARED.get(annotation, "text" if annotation is str else "a mapping")


def _given(patient: Mapping[str, Any] | None) -> str:
    """A patient or a condition as its file writes it, each subject as code."""
    return ", ".join(f"`{key}: {_value(value)}`" for key, value in (patient or {}).items())


def _value(value: Data) -> str:
    return "; ".join(map(str, value)) if isinstance(value, list) else str(value)


def _row(*cells: str) -> str:
    return f"| {' | '.join(cells)} |"
