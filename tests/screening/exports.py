# SPDX-License-Identifier: Apache-2.0
"""Small exports to screen, and how to screen them."""

import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from click.testing import CliRunner, Result

from cds_service.cli.screen import screen

Json = dict[str, Any]

DAY = "2026-11-20"
LOINC = "http://loinc.org"


def result(name: str, patient: str | None, value: object = 2, **elements: Any) -> Json:
    """An ALT in U/L, by default so low that it has a card."""
    made: Json = {
        "resourceType": "Observation",
        "id": name,
        "status": "final",
        "code": {"coding": [{"system": LOINC, "code": "1742-6"}]},
        "effectiveDateTime": "2026-11-19T08:00:00Z",
        "valueQuantity": {"value": value, "unit": "U/L"},
        **({"subject": {"reference": patient}} if patient else {}),
        **elements,
    }
    return {name: value for name, value in made.items() if value is not None}


def person(name: str, **elements: Any) -> Json:
    """A man of 56."""
    return {
        "resourceType": "Patient",
        "id": name,
        "gender": "male",
        "birthDate": "1970-01-01",
        **elements,
    }


def ndjson(path: Path, resources: Iterable[Json | str]) -> Path:
    """Write one resource a line; a text is a line as it is."""
    lines = (
        resource if isinstance(resource, str) else json.dumps(resource) for resource in resources
    )
    path.write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")
    return path


def run(*words: object, **variables: str) -> Result:
    """Call `cds-service screen`."""
    made = CliRunner(env=variables).invoke(screen, [str(word) for word in words])
    if made.exception is not None and not isinstance(made.exception, SystemExit):
        raise made.exception
    return made


def counted(source: Path, *words: object) -> Json:
    """What `--json` says of a source at the end of DAY."""
    found: Json = json.loads(run(source, "--as-of", DAY, "--json", *words).stdout)
    return found


def decisions(source: Path, out: Path, *words: object) -> list[Json]:
    """The lines of `decisions.ndjson` of a source at the end of DAY, with ids."""
    run(source, "--as-of", DAY, "--out", out, "--ids", *words)
    lines = (out / "decisions.ndjson").read_text(encoding="utf-8").splitlines()
    return [json.loads(line) for line in lines]
