# SPDX-License-Identifier: Apache-2.0
"""What the patients of a folder are shown, one view each, as little as `burden` needs of it.

`benchmarks.answered_views` asks another version of the service by this file: it imports only what
has been there since the first edition.
"""

import json
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any, Protocol

from cds_service.errors import CdsServiceError, RequestError
from cds_service.hooks.response import write_response
from cds_service.service import Knowledge, answer_input, load_knowledge
from cds_service.settings import Settings
from cds_service.sources.file import inputs_from_document, read_resources

FORMS = (".json", ".ndjson")
_CARD = "org.cds-service.card"


@dataclass(frozen=True, slots=True)
class ShownCard:
    """A card, as the rule and the severity that it was shown with."""

    rule: str
    indicator: str


@dataclass(frozen=True, slots=True)
class PatientView:
    """What one patient was shown at one time; `patient` is a reference, or the file's name."""

    patient: str
    cards: tuple[ShownCard, ...]


def files_of(folder: Path) -> list[Path]:
    """The files of patients in a folder and the folders in it, in order."""
    return sorted(path for path in folder.rglob("*") if path.suffix in FORMS and path.is_file())


def knowledge_of(cards: Path) -> Knowledge:
    """The packs of a cards folder; raises `KnowledgeError` if they cannot be read."""
    return load_knowledge(Settings(cards=cards))


def services_of(knowledge: Knowledge, hook: str) -> list[str]:
    """The services that answer the hook; raises `RequestError` if none does."""
    services = [name for name, hooks in knowledge.services.items() if hook in hooks]
    if not services:
        known = dict.fromkeys(one for hooks in knowledge.services.values() for one in hooks)
        raise RequestError(f"No service answers this hook; known: {', '.join(known)}.")
    return services


class ViewMemory(Protocol):
    """What one patient was shown at earlier views."""

    def options(self) -> dict[str, Any]:
        """What `answer_input` is to be given besides, so that quiet cards are quiet."""

    def keep(self, outcome: Any) -> None:
        """Remember the cards of a view."""


def views_of(
    file: Path,
    knowledge: Knowledge,
    hook: str,
    times: Sequence[datetime],
    shown_before: Callable[[], ViewMemory] | None = None,
) -> Iterator[PatientView]:
    """Each patient of a file at each time as all services of the hook answer.

    Raises `RequestError`. With `shown_before`, which is asked once for each patient, cards that an
    earlier view has shown may be quiet.
    """
    services = services_of(knowledge, hook)
    try:
        for given in inputs_from_document(read_resources(file.read_bytes())):
            before = None if shown_before is None else shown_before()
            for now in times:
                options = {} if before is None else before.options()
                answers = [
                    answer_input(knowledge, given, name, hook, now, **options) for name in services
                ]
                cards = [
                    one for answer in answers for one in _shown(write_response(answer.response))
                ]
                if before is not None:
                    for answer in answers:
                        before.keep(answer.outcome)
                patient = answers[0].outcome.record.patient.reference
                yield PatientView(patient or file.stem, tuple(cards))
    except CdsServiceError as error:
        raise RequestError(f"{file.name}: {error}") from None


def _shown(response: bytes) -> Iterator[ShownCard]:
    for card in json.loads(response)["cards"]:
        yield ShownCard(card["extension"][_CARD]["rule"], card["indicator"])
