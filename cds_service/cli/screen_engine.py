# SPDX-License-Identifier: Apache-2.0
"""`--engine`: DuckDB in this process or Apache Spark, and the options that go with each."""

from typing import Literal, TypeAlias

import click
from click.core import ParameterSource

from cds_service.screening.decisions import ScreeningQuestion
from cds_service.screening.files import SourceFiles
from cds_service.screening.output import OutputFolder
from cds_service.screening.run import Progress, Resources, Screened, screen
from cds_service.screening.spark.run import SparkUse, screen_on_spark
from cds_service.service import Knowledge
from cds_service.settings import load_settings

EngineName: TypeAlias = Literal["duckdb", "spark"]


def engine_of(
    name: EngineName, master: str | None, workers: int, memory: int
) -> Resources | SparkUse:
    """What is to be used; refuses options of the other engine, which would do nothing."""
    if name == "duckdb":
        if master is not None:
            raise click.UsageError("--master: it goes with --engine spark")
        return Resources(workers=workers, memory_mb=memory)
    source = click.get_current_context().get_parameter_source
    for option in ("workers", "memory"):
        if source(option) is not ParameterSource.DEFAULT:
            raise click.UsageError(
                f"--{option}: it goes with --engine duckdb; Spark has settings of its own"
            )
    return SparkUse(master, load_settings())


def screen_by(
    engine: Resources | SparkUse,
    files: SourceFiles,
    knowledge: Knowledge,
    question: ScreeningQuestion,
    output: OutputFolder | None,
    progress: Progress,
) -> Screened:
    """Decide about everybody in the files."""
    if isinstance(engine, SparkUse):
        return screen_on_spark(files, knowledge, question, engine, output, progress)
    return screen(files, knowledge, question, engine, output=output, progress=progress)
