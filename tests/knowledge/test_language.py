# SPDX-License-Identifier: Apache-2.0
"""The reference of the language is current, and each of its examples is true."""

from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from fnmatch import filter as filter_names
from functools import cache
from typing import Any

import msgspec
import pytest

from cds_service.amounts import Ternary
from cds_service.decide import Program, chooser_of, compile_pack
from cds_service.hooks.request import read_request
from cds_service.intake.pack_reader import PackReader
from cds_service.intake.read_record import read_record
from cds_service.knowledge.model.conditions import (
    AllOf,
    AnyOf,
    Condition,
    leaves,
)
from cds_service.knowledge.model.marker_parts import markers_of
from cds_service.knowledge.model.pack import PATIENT
from cds_service.knowledge.reading.bound_forms import BOUNDS
from cds_service.knowledge.reading.build import load_pack
from cds_service.knowledge.reading.facts import read_fact
from cds_service.knowledge.reading.forms import PhraseForm
from cds_service.knowledge.reading.grammar import KINDS
from cds_service.knowledge.reading.markers import read_marker
from cds_service.knowledge.reading.orders_measures_patterns import (
    read_measure,
    read_order,
    read_pattern,
)
from cds_service.knowledge.reading.pack_file import read_pack_head
from cds_service.knowledge.reading.pack_shapes import (
    PackShape,
    RemarksShape,
)
from cds_service.knowledge.reading.phrases import Phrases
from cds_service.knowledge.reading.remarks import read_remarks
from cds_service.knowledge.reading.rules import read_rule
from cds_service.knowledge.reading.schemas import (
    FactShape,
    MarkerShape,
    MeasureShape,
    OrderShape,
    PatternShape,
    RuleShape,
)
from cds_service.knowledge.reading.spellings import spellings_for
from cds_service.knowledge.reading.vocabulary import MarkerWords, Vocabulary
from cds_service.knowledge.reference.page import (
    FILE_SHAPES,
    PhraseExample,
    examples,
    keys_of,
    language_page,
)
from cds_service.labs.result_selection import Frame
from cds_service.rules.evaluate import compiled
from cds_service.rules.measures import with_measures
from cds_service.sourcefile.document import Data, Document, parse
from cds_service.sourcefile.schema import read_shape
from cds_service.sources.hook_request import input_from_request
from cds_service.trials.synthetic_request import request_of
from tests.house.source import ROOT

PAGE = ROOT / "docs" / "reference" / "language.md"
NOW = datetime(2026, 6, 15, 9, 0, tzinfo=UTC)
ROWS: list[PhraseForm[Any]] = [*BOUNDS, *(form for kind in KINDS.values() for form in kind.forms)]
SAMPLES = ("pack", "remarks", "marker", "measure", "pattern", "fact", "order", "rule", "case")
FOR_MARKERS = ("code / system", "code / code", "code / method")  # keys of a code, not of an order's
_TEMPLATE = ROOT / "cds_service" / "knowledge" / "reference" / "language.md"
EXAMPLES = [example for shown in examples().values() for example in shown]


@cache
def program() -> Program:
    return compile_pack(load_pack(ROOT / "cards" / "liver"))


@cache
def vocabulary() -> Vocabulary:
    pack = program().pack
    markers = {
        marker.id: MarkerWords(
            unit=marker.unit,
            factors=marker.factors,
            methods=frozenset(code.method for code in marker.codes if code.method),
            limits=frozenset(kind for kind, lines in marker.limits.items() if lines),
        )
        for marker in pack.markers.values()
    }
    return Vocabulary(
        markers=markers,
        measures=frozenset(pack.measures),
        facts=frozenset(pack.facts),
        orders=frozenset(pack.orders),
        patterns={pattern.id: pattern.when for pattern in pack.patterns.values()},
    )


def read(data: Mapping[str, Any]) -> Condition:
    reader = Phrases(Document("example.yaml", dict(data)), vocabulary())
    condition = reader.condition(dict(data), ())
    assert reader.problems == []
    assert condition is not None
    return condition


def frame_of(given: Mapping[str, Any], about: str) -> Frame:
    pack = program().pack
    hook = "order-select" if "ordering" in given else "patient-view"
    body = msgspec.json.Encoder(decimal_format="number").encode(request_of(given, pack, NOW, hook))
    patient_input = input_from_request(read_request(body, max_depth=64, max_entries=1000))
    record = read_record(PackReader(pack, names_fallback=True), patient_input, now=NOW, zone=UTC)
    chooser = chooser_of(program(), record, NOW)
    if record.set_aside:
        return chooser.bare_frame(record.set_aside[0])
    if about == PATIENT:
        return chooser.patient_frame()
    frame = chooser.frame(about, with_preliminary=False)
    assert frame is not None
    return with_measures(frame, program().measures)


def about_of(example: PhraseExample, condition: Condition) -> str:
    """The marker whose frame the example looks at."""
    markers = [marker for leaf in leaves(condition) for marker in markers_of(leaf)]
    measures = [
        program().pack.measures[key].about
        for key in example.condition
        if key in program().pack.measures
    ]
    return next(iter(filter(None, (example.about, *markers, *measures))), PATIENT)


def answers(example: PhraseExample) -> Iterator[tuple[Ternary, Mapping[str, Any]]]:
    yield True, example.true
    if example.false is not None:
        yield False, example.false
    if example.not_known is not None:
        yield None, example.not_known


def test_every_form_has_an_example_and_every_example_a_form() -> None:
    assert {row.form for row in ROWS} == set(examples())
    assert all(examples().values())


@pytest.mark.parametrize("form", examples())
def test_an_example_has_the_form_that_it_shows(form: str) -> None:
    row = next(row for row in ROWS if row.form == form)
    for example in examples()[form]:
        (phrase,) = example.condition.values()
        is_bound = any(row is bound for bound in BOUNDS)
        text = (
            phrase.split(maxsplit=2 if phrase.startswith("at ") else 1)[-1] if is_bound else phrase
        )

        assert row.pattern.fullmatch(text)


@pytest.mark.parametrize("example", EXAMPLES, ids=lambda example: str(example.condition))
def test_an_example_is_answered_as_the_page_shows(example: PhraseExample) -> None:
    condition = read(example.condition)
    about = about_of(example, condition)
    shown = list(answers(example))

    assert [compiled(condition)(frame_of(given, about)) for _, given in shown] == [
        answer for answer, _ in shown
    ]


@pytest.mark.parametrize("example", EXAMPLES, ids=lambda example: str(example.condition))
def test_an_example_is_read_again_from_its_own_words(example: PhraseExample) -> None:
    condition = read(example.condition)
    parts = condition.parts if isinstance(condition, AllOf | AnyOf) else (condition,)
    ((subject, phrase),) = example.condition.items()

    assert [read(dict([part.in_words().split(": ", 1)])) for part in parts] == list(parts)
    assert len(parts) > 1 or condition.in_words() == f"{subject}: {phrase}"


@pytest.mark.parametrize("name", SAMPLES)
def test_a_sample_has_every_key_and_no_other(name: str) -> None:
    document, problems = parse(sample(name), f"{name}.yaml")
    data = document.data["cases"][0] if name == "case" else document.data  # type: ignore[index, call-overload]
    _, more = read_shape(FILE_SHAPES[name], data, document)

    assert [*problems, *more] == []
    assert [
        path
        for path, _, _ in keys_of(FILE_SHAPES[name])
        if not filter_names(paths_in(data), path.replace("...", "*")) and path not in FOR_MARKERS
    ] == []


@pytest.mark.parametrize("name", [name for name in SAMPLES if name != "case"])
def test_a_sample_means_something(name: str) -> None:
    document, _ = parse(sample(name), f"{name}.yaml")
    reader = Phrases(document, vocabulary())
    pack = program().pack
    match read_shape(FILE_SHAPES[name], document.data, document)[0]:
        case MarkerShape() as shape:
            read_marker(shape, reader, pack.units, spellings_for(ROOT / "cards", "cards")[0])
        case MeasureShape() as shape:
            read_measure(shape, reader)
        case FactShape() as shape:
            read_fact(shape, reader)
        case RemarksShape() as shape:
            read_remarks(shape, reader, tuple(pack.rules))
        case PatternShape() as shape:
            read_pattern(shape, reader)
        case OrderShape() as shape:
            read_order(shape, reader)
        case RuleShape() as shape:
            read_rule(shape, reader, {}, tuple(pack.sources))
        case PackShape() as shape:
            read_pack_head(shape, reader, pack.rules)

    assert reader.problems == []


def sample(name: str) -> str:
    """The YAML above the table of keys."""
    before = _TEMPLATE.read_text(encoding="utf-8").partition(f"${name}_keys")[0]
    return before.rpartition("```yaml\n")[2].partition("```")[0]


def paths_in(data: Data, above: str = "") -> Iterator[str]:
    """Every key as the tables write it."""
    if isinstance(data, list):
        for item in data:
            yield from paths_in(item, above)
    elif isinstance(data, dict):
        for key, value in data.items():
            yield f"{above}{key}"
            yield from paths_in(value, f"{above}{key} / ")


def test_the_page_is_current() -> None:
    renew = "python -m cds_service.knowledge.reference > docs/reference/language.md"

    assert PAGE.read_text(encoding="utf-8") == language_page(), f"stale; renew with: {renew}"
