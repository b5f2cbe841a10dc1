# SPDX-License-Identifier: Apache-2.0
"""`cds-service facts`: which facts a site's own codes and words would make so."""

import csv
import json
import sys
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from io import StringIO
from typing import TextIO

import click

from cds_service.cli.printable import printable, printable_in
from cds_service.fhir.elements import CodeableConcept, Coding
from cds_service.intake.marker_lookup import displays_of, pairs_of, texts_of
from cds_service.knowledge.model.facts import Fact
from cds_service.knowledge.model.pack import Pack
from cds_service.knowledge.site.overlay import load_packs_at
from cds_service.labs.fact_finders import FactFinders, FactMatch, fact_finders
from cds_service.labs.facts import made_so
from cds_service.labs.patient_record import Recorded
from cds_service.settings import cards_folder, load_settings

_COLUMNS = ("system", "code", "display", "text")
_FORM = f"write one row a line, with some of the columns {', '.join(_COLUMNS)}"


class _FormError(ValueError):
    """The file cannot be read as rows; the message says where and why."""


@dataclass(frozen=True, slots=True)
class _Row:
    """One row of the site's list, and the facts it would make true as a medicine or a condition."""

    number: int  # of its line in the file
    entry: dict[str, str]
    found: tuple[FactMatch, ...]
    also: tuple[str, ...] = ()  # facts that follow from those


@click.group()
def facts() -> None:
    """Which facts the codes and words of a site would make so.

    \b
    Examples:
      cds-service facts list
      cds-service facts match problem-list.csv
    """


@facts.command("list")
@click.option("--json", "as_json", is_flag=True, help="JSON: id, title and what it is read from.")
def list_facts(*, as_json: bool) -> None:
    """Show every fact and what it is read from.

    \b
    Examples:
      cds-service facts list
      cds-service facts list --json
    """
    listed = [
        {"pack": pack.id, "id": fact.id, "title": fact.title, "from": _sources(fact)}
        for pack in _packs()
        for fact in pack.facts.values()
    ]
    if as_json:
        click.echo(json.dumps(listed, indent=2, ensure_ascii=False))
        return
    for line in listed:
        click.echo(f"{line['id']:<30} {line['title']} ({line['from']})")


@facts.command()
@click.argument("file", type=click.File("r", encoding="utf-8-sig"))
@click.option("--unmatched", is_flag=True, help="List the rows that make no fact so instead.")
@click.option("--json", "as_json", is_flag=True, help="JSON: rows with their facts, and counts.")
def match(file: TextIO, *, unmatched: bool, as_json: bool) -> None:
    """Show which facts each row of a site's own list would make so, and by what.

    FILE is CSV with a heading, or JSON lines, of a problem list or a medicine list; `-` is
    standard input. The columns are system, code, display and text, in any order; each may be
    missing. A row is read as a condition and as a medicine: what neither a code nor a word says
    is counted at the end. Dates and people are not looked at: a fact that ends, or that is never
    so for some, is shown as if the entry counted.

    \b
    Examples:
      cds-service facts match problem-list.csv
      cds-service facts match medicines.jsonl --json
      cds-service facts match problem-list.csv --unmatched
      (echo text; cut -f 3 words.tsv) | cds-service facts match -

    Exit codes: 0 done; 1 the file cannot be read.
    """
    packs = [(pack, fact_finders(pack)) for pack in _packs()]
    try:
        rows = [_row(number, entry, packs) for number, entry in _entries(file.read())]
    except (_FormError, UnicodeDecodeError, csv.Error) as error:
        click.echo(f"cannot read the list: {error}", err=True)
        sys.exit(1)
    shown = [row for row in rows if bool(row.found) is not unmatched]
    made = sum(1 for row in rows if row.found)
    if as_json:
        view = {
            "rows": [_plain(row) for row in shown],
            "matched": made,
            "notMatched": len(rows) - made,
        }
        click.echo(json.dumps(printable_in(view), indent=2, ensure_ascii=False))
        return
    for row in shown:
        click.echo(printable(_line(row)))
    click.echo(f"{len(rows)} rows: {made} make a fact so, {len(rows) - made} none")


def _packs() -> tuple[Pack, ...]:
    settings = load_settings()
    return load_packs_at(cards_folder(settings), settings.site_file)


def _sources(fact: Fact) -> str:
    """What a fact is read from, in words."""
    sources = {
        "medicines": str(len(fact.medicines) or ""),
        "codes": str(len(fact.conditions) or ""),
        "names": str(len(fact.condition_names) or ""),
        "encounters": ", ".join(fact.encounter_classes),
        "any of": ", ".join(fact.any_of),
        "all of": ", ".join(fact.all_of),
    }
    return "; ".join(f"{kind}: {source}" for kind, source in sources.items() if source)


def _entries(text: str) -> Iterator[tuple[int, dict[str, str]]]:
    """The rows with the number of their line; raises `_FormError`."""
    if text.lstrip().startswith("{"):
        yield from _json_lines(text)
        return
    reader = csv.DictReader(StringIO(text, newline=""), skipinitialspace=True)
    names = {name: (name or "").strip().lower() for name in reader.fieldnames or ()}
    if not set(names.values()) & set(_COLUMNS):
        message = f"its first line names none of the columns; {_FORM}"
        raise _FormError(message)
    for row in reader:
        cells = ((names.get(name, ""), value) for name, value in row.items())
        yield reader.line_num, _known({name: cell for name, cell in cells if isinstance(cell, str)})


def _json_lines(text: str) -> Iterator[tuple[int, dict[str, str]]]:
    for number, line in enumerate(text.splitlines(), start=1):
        if not line.strip():
            continue
        try:
            data = json.loads(line)
        except (ValueError, RecursionError) as error:
            message = f"line {number} is no JSON; {_FORM}"
            raise _FormError(message) from error
        if not isinstance(data, dict):
            message = f"line {number} is no object; {_FORM}"
            raise _FormError(message)
        yield number, _known(dict(_cells(data, number)))


def _cells(data: dict[str, object], number: int) -> Iterator[tuple[str, str]]:
    """The columns of an object; what is null was not given."""
    for name, value in data.items():
        column = name.strip().lower()
        if column not in _COLUMNS or value is None:
            continue
        if isinstance(value, bool) or not isinstance(value, str | int | float):
            message = f"line {number}: '{column}' is no text or number"
            raise _FormError(message)
        yield column, str(value)


def _known(entry: dict[str, str]) -> dict[str, str]:
    return {name: value for name in _COLUMNS if (value := entry.get(name, "").strip())}


def _row(number: int, entry: dict[str, str], packs: Iterable[tuple[Pack, FactFinders]]) -> _Row:
    """The row with what it says as a condition and as a medicine, and what follows from that."""
    coding = Coding(
        system=entry.get("system"), code=entry.get("code"), display=entry.get("display")
    )
    concept = CodeableConcept(coding=[coding], text=entry.get("text"))
    record = Recorded(
        codes=pairs_of(concept), texts=texts_of(concept), displays=displays_of(concept)
    )
    found: list[FactMatch] = []
    also: list[str] = []
    for pack, finders in packs:
        both = finders.conditions.found(record) | finders.medicines.found(record)
        direct = {finding.fact for finding in both}
        found.extend(sorted(both, key=lambda finding: (finding.fact, finding.by)))
        also.extend(sorted(made_so(direct, pack) - direct))
    return _Row(number, entry, tuple(found), tuple(also))


def _plain(row: _Row) -> dict[str, object]:
    made = [{"fact": finding.fact, "name": finding.name, "by": finding.by} for finding in row.found]
    return {"line": row.number, **row.entry, "facts": made, "also": list(row.also)}


def _line(row: _Row) -> str:
    parts = [f"{row.number}: {' | '.join(row.entry.values())}"]
    parts.extend(
        [", ".join(f"{finding.fact} (by {finding.by})" for finding in row.found)]
        if row.found
        else []
    )
    parts.extend([f"and so {', '.join(row.also)}"] if row.also else [])
    return " -> ".join(parts)
