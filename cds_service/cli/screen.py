# SPDX-License-Identifier: Apache-2.0
"""`cds-service screen SOURCE`: what the rules say about everybody in an export."""

import json
import sys
from collections.abc import Mapping
from datetime import datetime
from pathlib import Path
from typing import Any, Final, TextIO

import click

from cds_service.cli.as_of_option import time_of
from cds_service.cli.population_options import key_of, population_options
from cds_service.cli.replayed_moments import moments_of
from cds_service.cli.screen_engine import EngineName, engine_of, screen_by
from cds_service.cli.screen_progress import progress_shown
from cds_service.cli.screen_report import report_page
from cds_service.cli.screen_source import ServerUrl, SourceType, check_sources, paths_of
from cds_service.cli.screen_table import as_json, as_lines
from cds_service.clock import system_clock
from cds_service.copying import replace
from cds_service.screening.decisions import ScreeningQuestion
from cds_service.screening.engine import import_engine
from cds_service.screening.files import find_files
from cds_service.screening.output import (
    DECISIONS,
    REPORT,
    SUMMARY,
    DecisionsFormat,
    OutputFolder,
    RunState,
    open_output,
)
from cds_service.screening.run import Screened, run_of
from cds_service.service import Knowledge, load_knowledge
from cds_service.settings import load_settings, no_color

_OF_OUTPUT: Final = {
    "--overwrite": "overwrite",
    "--all": "every",
    "--ids": "ids",
    "--key-file": "key_file",
}


@click.command()
@click.argument(
    "sources",
    metavar="SOURCE...",
    nargs=-1,
    required=True,
    type=SourceType(),
)
@click.option("--group", metavar="ID", help="Of a server: only the patients of this Group.")
@click.option(
    "--as-of",
    "moment",
    metavar="DAY|INSTANT",
    help="As the end of this day in CDS_SITE_TIME_ZONE, or this instant, knew it [now].",
)
@click.option(
    "--every",
    "every_step",
    metavar="STEP",
    help="Ask again each 1d, 7d or 12h, from --from to --to.",
)
@click.option(
    "--from", "begin", metavar="DAY", help="The first day of --every, as its end knew it."
)
@click.option("--to", "end", metavar="DAY", help="The last day of --every.")
@click.option(
    "--look-back", is_flag=True, help="With --every: how often the next step of a card was taken."
)
@click.option(
    "--out",
    "folder",
    type=click.Path(file_okay=False, path_type=Path),
    help=f"Write {REPORT}, {DECISIONS} and {SUMMARY} to this folder; a killed run goes on.",
)
@click.option("--overwrite", is_flag=True, help="Begin again, whatever is in that folder.")
@click.option("--all", "every", is_flag=True, help="Write the decisions without a card too.")
@click.option(
    "--format",
    "written_as",
    type=click.Choice(["ndjson", "parquet"]),
    default="ndjson",
    show_default=True,
    help="Of the decisions; Parquet has the same rows, and needs the extra population.",
)
@population_options
@click.option(
    "--engine",
    type=click.Choice(["duckdb", "spark"]),
    default="duckdb",
    show_default=True,
    help="What finds whom to decide about: in this process, or Apache Spark.",
)
@click.option(
    "--master",
    metavar="URL",
    help="The cluster of Spark, such as local[4] [as Spark is set up, else this machine].",
)
@click.option("--strict", is_flag=True, help="Exit with 1 if anything could not be read.")
@click.option("--json", "as_data", is_flag=True, help="JSON in the place of the table.")
def screen(  # noqa: PLR0913, PLR0917 - one for each option
    sources: tuple[Path | ServerUrl, ...],
    group: str | None,
    moment: str | None,
    every_step: str | None,
    begin: str | None,
    end: str | None,
    look_back: bool,
    folder: Path | None,
    overwrite: bool,
    every: bool,
    written_as: DecisionsFormat,
    ids: bool,
    key_file: TextIO | None,
    workers: int,
    memory: int,
    engine: EngineName,
    master: str | None,
    strict: bool,
    as_data: bool,
) -> None:
    """Show how many cards a population would get, and who, by the rules of the bedside.

    SOURCE is a folder or files of FHIR Bulk Data (.ndjson), Bundles (.json), both also as .gz, or
    resources in Parquet, or the URL of a FHIR server, whose export is kept in the folder export of
    --out. Each patient is decided about as a patient-view call without an encounter would be. A
    list that it holds for nobody is not known, else for all. Nothing leaves the machine or cluster.

    \b
    Examples:
      cds-service screen export --out screened
      cds-service screen export --every 1d --from 2026-01-01 --to 2026-03-31 --look-back
      cds-service screen Patient.ndjson Observation_*.ndjson.gz --json
      cds-service screen https://fhir.example.org/r4 --out screened --format parquet
      cds-service screen /shared/export --as-of 2026-03-05 --engine spark

    With --out each shown card is a line: patient, rule, version, pack, indicator, index, orders,
    because; so is a patient who could not be decided about. With --every a line has also as_of and
    first_shown, and a card is quiet for the days of its rule. Needs the extra population or spark.

    Exit codes: 0 screened; 1 SOURCE or the packs cannot be read, or --strict found something;
    2 wrong use or settings; 3 a worker process ended or the server failed; 130 interrupted.
    """
    _check_options(click.get_current_context().params)
    check_sources(sources, folder, group)
    used = engine_of(engine, master, workers, memory)
    moments = moments_of(every_step, begin, end, {"--as-of": moment, "--all": every}, look_back)
    key = key_of(key_file, ids=ids)
    knowledge = load_knowledge(load_settings())
    as_of = None if moment is None else time_of(moment, knowledge.zone)
    files = find_files(paths_of(sources, folder, group=group, overwrite=overwrite))
    question = _question(as_of, moments, key, every=every, look_back=look_back)
    asked = moment, moments, look_back, every, ids, key_file and key, engine
    run = run_of(files, knowledge, asked)
    output, question = _opened(folder, run, question, overwrite=overwrite)
    with progress_shown() as shown:
        found = screen_by(used, files, knowledge, question, output, shown)
    data = as_json(found, question, [path.name for path in files.passed_over])
    _finish(data, question, knowledge, output, written_as, as_data=as_data)
    sys.exit(1 if strict and _is_lossy(found) else 0)


def _check_options(params: Mapping[str, Any]) -> None:
    """Refuse options of what is written where nothing is, and Parquet where DuckDB is not."""
    of_output = {name: params[param] for name, param in _OF_OUTPUT.items()}
    of_output["--format parquet"] = params["written_as"] == "parquet"
    for name, value in of_output.items():
        if value and params["folder"] is None:
            raise click.UsageError(f"{name}: it goes with --out")
    if of_output["--format parquet"]:
        import_engine()


def _opened(
    folder: Path | None, fingerprint: str, question: ScreeningQuestion, *, overwrite: bool
) -> tuple[OutputFolder | None, ScreeningQuestion]:
    """The folder of a run, if any, and what is asked: as a run that goes on was first asked."""
    if folder is None:
        return None, question
    run = RunState(fingerprint, question.moment, question.key)
    output = open_output(folder, run, overwrite=overwrite)
    return output, replace(question, moment=output.run.moment, key=output.run.key)


def _question(
    moment: datetime | None,
    moments: tuple[datetime, ...],
    key: str | None,
    *,
    every: bool,
    look_back: bool,
) -> ScreeningQuestion:
    """What is asked of everybody; without a moment as of now, when the files are there."""
    now = system_clock()
    return ScreeningQuestion(
        moment=moments[-1] if moments else moment or now,
        cut=bool(moment or moments),
        known=frozenset(),
        key=key,
        every=every,
        moments=moments,
        data_end=now if look_back else None,
    )


def _finish(
    data: Mapping[str, Any],
    question: ScreeningQuestion,
    knowledge: Knowledge,
    output: OutputFolder | None,
    written_as: DecisionsFormat,
    *,
    as_data: bool,
) -> None:
    """Write the last files, and print the counts and where the report is."""
    if output is not None:
        page = report_page(data, knowledge, moment_given=question.cut)
        output.finish(data, page, written_as)
    if as_data:
        click.echo(json.dumps(data, indent=2))
    else:
        for line in as_lines(data):
            click.echo(line, color=False if no_color() else None)
    if output is not None:
        click.echo(f"Report: {output.folder / REPORT}", err=as_data)


def _is_lossy(screened: Screened) -> bool:
    return bool(screened.unread) or bool(screened.tally.refused)
