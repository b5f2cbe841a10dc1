# SPDX-License-Identifier: Apache-2.0
"""The form of a site file: what it may hold, read as strictly as the files of a pack."""

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

from pydantic import Field, StringConstraints

from cds_service.errors import KnowledgeError
from cds_service.knowledge.reading.schemas import (
    CaseShape,
    Day,
    Id,
    Shape,
    Text,
)
from cds_service.sourcefile.diagnostics import Problem, nearest
from cds_service.sourcefile.document import Document, parse, read_text
from cds_service.sourcefile.schema import read_shape

PACK_FILE = "pack.yaml"


class OffShape(Shape):
    """A rule that is switched off."""

    rule: Id
    because: Text


class ValueShape(Shape):
    """One value in place of the pack's."""

    change: Text
    at: Text
    to: Text
    instead_of: Text
    because: Text


class SiteCodeShape(Shape):
    """The site's own code of an order."""

    system: Annotated[str, StringConstraints(pattern=r"^(https?://|urn:)[^\s|]+$")]
    code: Annotated[str, StringConstraints(pattern=r"^\S+$")]
    name: Text


class SiteMarkerCodeShape(SiteCodeShape):
    """A code of the laboratory for results of a marker, and the method that it names."""

    method: Text | None = None


class SiteMarkerShape(Shape):
    """How the laboratory writes one marker."""

    units: dict[Text, Text] = Field(default_factory=dict)  # as written: the pack's unit
    names: list[Text] = Field(default_factory=list)
    codes: list[SiteMarkerCodeShape] = Field(default_factory=list)


class SiteCaseShape(CaseShape):
    """A case of the site; `about` is the file of the pack whose words it speaks."""

    about: Text = PACK_FILE


class BudgetShape(Shape):
    """How many cards a day the site is willing to show."""

    cards_a_day: Annotated[int, Field(ge=1)]
    because: Text


class SiteShape(Shape):
    """A site file."""

    pack: Id
    site: Text
    reviewed: Day
    switched_off: list[OffShape] = Field(default_factory=list)
    values: list[ValueShape] = Field(default_factory=list)
    order_codes: dict[Id, SiteCodeShape] = Field(default_factory=dict)
    markers: dict[Id, SiteMarkerShape] = Field(default_factory=dict)
    budget: BudgetShape | None = None
    cases: list[SiteCaseShape] = Field(default_factory=list)


@dataclass(frozen=True, slots=True)
class SiteFile:
    """A site file that has the right form."""

    document: Document
    shape: SiteShape


def read_site(path: Path, shown: str | None = None) -> SiteFile:
    """The site file; raises `KnowledgeError` with every problem of its form."""
    where = shown or path.as_posix()
    text = read_text(path, where)
    if isinstance(text, Problem):
        raise KnowledgeError((text,))
    document, problems = parse(text, where)
    if problems:
        raise KnowledgeError(tuple(problems))
    shape, problems = read_shape(SiteShape, document.data, document)
    if shape is None:
        raise KnowledgeError(tuple(problems))
    return SiteFile(document, shape)


def no_such_pack(site: SiteFile, known: list[str]) -> Problem:
    """The problem of a site file that is for no pack here."""
    message = f"there is no pack '{site.shape.pack}'"
    remedy = nearest(site.shape.pack, known) or f"write one of: {', '.join(known)}"
    return Problem("K801", site.document.mark(("pack",)), message, remedy)
