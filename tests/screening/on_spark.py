# SPDX-License-Identifier: Apache-2.0
"""`python -m tests.screening.on_spark`, with Spark: a job on standard input, what came of it out.

`calls` are words of `cds-service screen`; one that is to be `stopped` fails after its first part.
`queries` are asked of the relations in `relations`: columns with their types, and rows.
"""

import json
import sys
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any
from unittest.mock import patch

from cds_service.cli import screen as _  # noqa: F401 - the module, which the name hides
from cds_service.screening import kept
from cds_service.screening.output import OutputFolder
from cds_service.screening.spark.relations import SparkRelations
from cds_service.screening.spark.session import spark_session
from tests.screening.exports import Json, run
from tests.screening.on_both import without_cut

command = sys.modules["cds_service.cli.screen"]
_MASTER = "local[2]"


class _Stopped(Exception):
    """The end of a run, as if it were killed."""


def _screened(call: Json) -> Json:
    written = OutputFolder.write
    parts = 0

    def write(output: OutputFolder, *given: Any) -> None:
        nonlocal parts
        if parts and call.get("stopped"):
            raise _Stopped
        parts += 1
        written(output, *given)

    with (
        patch.object(OutputFolder, "write", write),
        patch.object(command, "_question", without_cut(command._question)),
        patch.object(kept, "_RESOURCES_A_BATCH", call.get("batch", 6000)),
    ):
        try:
            done = run(*call["words"], "--engine", "spark", "--master", _MASTER)
        except Exception as error:  # noqa: BLE001 - the test looks at it
            return {"error": type(error).__name__, "message": str(error), "parts": parts}
    return {"exit": done.exit_code, "stdout": done.stdout, "stderr": done.stderr, "parts": parts}


def _asked(job: Json) -> list[list[Any]]:
    with TemporaryDirectory() as folder, spark_session(Path(folder), _MASTER) as session:
        relations = SparkRelations(session)
        for name, (columns, rows) in job["relations"].items():
            relations.fill(name, columns, rows)
        return [list(map(list, relations.rows(query))) for query in job["queries"]]


def main() -> None:
    """Do the job."""
    job = json.load(sys.stdin)
    found = {"calls": [_screened(call) for call in job["calls"]], "queries": _asked(job)}
    json.dump(found, sys.stdout)


if __name__ == "__main__":
    main()
