# SPDX-License-Identifier: Apache-2.0
"""The SQL of each rule as it was reviewed; `python -m tests.screening.test_necessary` writes it."""

import re
from pathlib import Path

import pytest
import sqlglot
from sqlglot.errors import ErrorLevel
from sqlglot.expressions import Command

from cds_service.knowledge.model.pack import Pack
from cds_service.screening.decisions import TRIGGER, ScreeningQuestion
from cds_service.screening.engine import Engine
from cds_service.screening.necessary import all_of, any_of, necessary, rules_of
from cds_service.screening.prune import evidence, in_doubt
from cds_service.screening.relations import Relations
from cds_service.screening.spark.relations import SparkRelations
from cds_service.service import load_knowledge
from cds_service.settings import Settings
from tests.screening.people import MOMENT

SQL = Path(__file__).parent / "sql"
CARDS = Path(__file__).parents[2] / "cards"
# Whole numbers, names, texts, comparisons, and the few words that mean the same in every engine.
WORDS = {"coalesce", "bool_or", "AND", "OR", "IN", "true", "false"}
WORDS |= {"min", "max", "FILTER", "WHERE"}
COLUMNS = {"marker", "method", "fact", "age", "low", "high"}
COLUMNS |= {
    f"{kind}_{end}" for kind in ("upper", "lower", "screening") for end in ("least", "most")
}


_SETTINGS = Settings(cards=CARDS)


def packs() -> tuple[Pack, ...]:
    return load_knowledge(_SETTINGS).packs


def written(pack: Pack) -> dict[str, str]:
    """The text of each file."""
    return {
        f"{pack.id}/{rule.id}.sql": laid_out(necessary(rule, pack)) + "\n"
        for rule in rules_of(pack, TRIGGER)
    }


def laid_out(sql: str) -> str:
    """One condition a line, indented by the brackets around it."""
    pieces = re.split(r" (?=(?:AND|OR) (?:\(|coalesce))", sql)
    lines = [pieces[0]]
    depth = pieces[0].count("(") - pieces[0].count(")")
    for piece in pieces[1:]:
        lines.append("  " * depth + piece)
        depth += piece.count("(") - piece.count(")")
    return "\n".join(lines)


@pytest.fixture(name="made", scope="module")
def _made() -> dict[str, str]:
    return {name: text for pack in packs() for name, text in written(pack).items()}


def test_the_sql_of_each_rule_is_the_one_that_was_reviewed(made: dict[str, str]) -> None:
    there = {
        str(path.relative_to(SQL)): path.read_text(encoding="utf-8") for path in SQL.rglob("*.sql")
    }

    assert there == made


def test_it_has_no_division_no_cast_and_no_fraction(made: dict[str, str]) -> None:
    for text in made.values():
        bare = re.sub(r"'[^']*'", "", text)
        assert set(re.findall(r"[A-Za-z_]+", bare)) <= WORDS | COLUMNS
        assert not re.search(r"[/:%.;]", bare)


@pytest.mark.parametrize("dialect", ["duckdb", "spark"])
def test_both_engines_can_parse_it(made: dict[str, str], dialect: str) -> None:
    question = ScreeningQuestion(moment=MOMENT, cut=True, known=frozenset(), key=None)
    ours: Relations = SparkRelations(None)
    if dialect == "duckdb":
        ours = Engine(None, Exception, memory_mb=200, threads=1)
    texts = [*made.values(), evidence(ours, question), in_doubt(load_knowledge(_SETTINGS))]

    for text in texts:
        parsed = sqlglot.parse(text, dialect=dialect, error_level=ErrorLevel.RAISE)
        assert len(parsed) == 1
        assert not any(
            isinstance(node, Command)
            for statement in parsed
            if statement
            for node in statement.walk()
        )


def test_true_and_false_are_left_out() -> None:
    assert all_of(["true", "a", "a"]) == "a"
    assert all_of(["a", "false"]) == "false"
    assert all_of(["true"]) == "true"
    assert any_of(["false", "a", "b"]) == "(a OR b)"
    assert any_of(["a", "true"]) == "true"
    assert any_of([]) == "false"


if __name__ == "__main__":
    for pack in packs():
        (SQL / pack.id).mkdir(parents=True, exist_ok=True)
        for name, text in written(pack).items():
            (SQL / name).write_text(text, encoding="utf-8")
