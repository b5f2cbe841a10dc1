# SPDX-License-Identifier: Apache-2.0
"""What the patients of a folder are shown, as a file of views that `cds-service burden` reads.

`benchmarks.burden` runs this with the package of another edition on the path: it imports only what
has been there since the first.
"""

import json
import sys
from collections.abc import Iterator, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any

from cds_service.hooks.response import write_response
from cds_service.service import answer_input, load_knowledge
from cds_service.settings import Settings
from cds_service.sources.file import inputs_from_document, read_resources

_FORMS = (".json", ".ndjson")
_CARD = "org.cds-service.card"


def views(
    folder: Path, cards: Path, hook: str, times: Sequence[datetime]
) -> Iterator[dict[str, Any]]:
    """Each patient at each time, as all services of the hook answer."""
    knowledge = load_knowledge(Settings(cards=cards))
    services = [name for name, hooks in knowledge.services.items() if hook in hooks]
    for file in sorted(path for path in folder.rglob("*") if path.suffix in _FORMS):
        for given in inputs_from_document(read_resources(file.read_bytes())):
            for now in times:
                answers = [answer_input(knowledge, given, name, hook, now) for name in services]
                patient = answers[0].outcome.record.patient.reference
                shown = [
                    card for answer in answers for card in _cards(write_response(answer.response))
                ]
                yield {"patient": patient or file.stem, "cards": shown}


def _cards(response: bytes) -> Iterator[dict[str, str]]:
    for card in json.loads(response)["cards"]:
        yield {"rule": card["extension"][_CARD]["rule"], "indicator": card["indicator"]}


def main(words: Sequence[str]) -> None:
    """Print the views of FOLDER with the packs of CARDS for HOOK at each TIME, as JSON objects."""
    folder, cards, hook, *times = words
    at = [datetime.fromisoformat(time) for time in times]
    for view in views(Path(folder), Path(cards), hook, at):
        print(json.dumps(view), flush=True)


if __name__ == "__main__":
    main(sys.argv[1:])
