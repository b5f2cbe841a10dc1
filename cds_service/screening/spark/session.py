# SPDX-License-Identifier: Apache-2.0
"""A session of Spark: that of the site where it has set Spark up, else one on this machine alone.

Nothing else here or elsewhere imports PySpark. What Spark logs is not shown, for it could hold
values of patients; why a run failed is named in words of ours.
"""

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final
from urllib.parse import unquote

from cds_service.errors import RequestError, StoreError
from cds_service.screening.files import SourceFiles
from cds_service.screening.spark.workers import OTHER_KNOWLEDGE
from cds_service.settings import environment_with

_MISSING: Final = (
    "Apache Spark is needed for --engine spark. Install it with: pip install 'cds-service[spark]'"
)
# Where a site sets which Spark and which cluster: by `spark-submit`, or in its settings.
_OF_SITE: Final = frozenset(
    ("MASTER", "PYSPARK_GATEWAY_PORT", "PYSPARK_SUBMIT_ARGS", "SPARK_CONF_DIR", "SPARK_HOME")
)
_NEEDED: Final = {
    "spark.sql.ansi.enabled": "true",  # what overflows is an error
    "spark.sql.execution.arrow.maxRecordsPerBatch": "5000",
}
_PARTITIONS: Final = 8  # of one machine
# Beside the queries of a run on one machine the JVM compiles them, and that took more processor
# time than the queries did. Its second compiler begins ten times later than it would.
_JVM: Final = (
    "-XX:+UseParallelGC -XX:Tier4InvocationThreshold=50000 -XX:Tier4MinInvocationThreshold=6000 "
    "-XX:Tier4CompileThreshold=150000 -XX:Tier4BackEdgeThreshold=400000"
)
_HERE: Final = "127.0.0.1"


@contextmanager
def spark_session(folder: Path, master: str | None) -> Iterator[Any]:
    """A session that ends with the block; raises `RequestError` without PySpark or Java."""
    try:
        import pyarrow as _  # noqa: F401, ICN001 - the workers need it
        from pyspark.errors import PySparkException
        from pyspark.sql import SparkSession
    except ImportError:
        raise RequestError(_MISSING) from None
    builder = SparkSession.builder.appName("cds-service screen")
    for name, value in _settings(folder, master).items():
        builder = builder.config(name, value)
    try:
        with _silenced():
            session = builder.getOrCreate()
    except (PySparkException, OSError) as error:
        raise RequestError(
            f"Spark could not be started ({type(error).__name__}): it needs Java 17 or newer, and "
            "its cluster has to answer."
        ) from None
    if "PYSPARK_PYTHON" not in environment_with({}):
        session.sparkContext.pythonExec = sys.executable
    try:
        for name, value in _NEEDED.items():
            session.conf.set(name, value)
        yield session
    finally:
        session.stop()


def _settings(folder: Path, master: str | None) -> dict[str, str]:
    """Of a site's own cluster no more than its master; of this machine all that keeps it here."""
    is_set_up = not _OF_SITE.isdisjoint(environment_with({}))
    is_here = master.startswith("local") if master else not is_set_up
    found = {"spark.master": master} if master else {}
    if not is_here:
        return found
    return {
        **found,
        **({} if is_set_up else {"spark.driver.extraJavaOptions": _JVM}),
        "spark.driver.bindAddress": _HERE,
        "spark.driver.host": _HERE,
        "spark.local.dir": str(folder),  # copies of resources, which end with the run
        "spark.sql.adaptive.enabled": "false",  # plans again, and makes a job of each shuffle
        "spark.sql.shuffle.partitions": str(_PARTITIONS),
        "spark.sql.warehouse.dir": str(folder / "warehouse"),
        "spark.ui.enabled": "false",
    }


@contextmanager
def _silenced() -> Iterator[None]:
    """Start programs that have nowhere to write what they log."""
    kept = os.dup(1), os.dup(2)
    nowhere = os.open(os.devnull, os.O_WRONLY)
    try:
        sys.stdout.flush()
        sys.stderr.flush()
        os.dup2(nowhere, 1)
        os.dup2(nowhere, 2)
        yield
    finally:
        for place, descriptor in enumerate(kept, start=1):
            os.dup2(descriptor, place)
            os.close(descriptor)
        os.close(nowhere)


@contextmanager
def failures_named(files: SourceFiles) -> Iterator[None]:
    """Say in a sentence why Spark failed, with the file if it was one, and with no value."""
    from py4j.protocol import Py4JError
    from pyspark.errors import PySparkException

    try:
        yield
    except (Py4JError, PySparkException) as error:
        text = unquote(str(error))
        if OTHER_KNOWLEDGE in text:
            raise StoreError(f"{OTHER_KNOWLEDGE}.") from None
        name = next((path.name for path in files.read if str(path.resolve()) in text), None)
        if name is not None:
            raise RequestError(f"Spark could not read {name}.") from None
        raise RequestError(f"Spark could not read the source: {_kind(error)}") from None


def _kind(error: Exception) -> str:
    java = getattr(error, "java_exception", None)
    return type(error).__name__ if java is None else str(java.getClass().getSimpleName())
