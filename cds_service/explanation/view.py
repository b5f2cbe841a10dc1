# SPDX-License-Identifier: Apache-2.0
"""What every view model is, and the sentences and small views that several pages share."""

from collections.abc import Iterable
from typing import Final

from msgspec import Struct

from cds_service.knowledge.model.pack import Pack
from cds_service.knowledge.model.pack_file import Source
from cds_service.knowledge.model.site import SiteValue

TIME_CRITICAL: Final = (
    "Time-critical: it asks for action within hours. Guidance on decision support software treats "
    "such directives more strictly, up to a medical device; a site can switch the rule off."
)
DISCLAIMER: Final = (
    "For health-care professionals. It supports clinical judgement and does not replace it; it is "
    "not made for self-care."
)


class View(Struct, frozen=True, kw_only=True, rename="camel", omit_defaults=True):
    """A part of a page; in JSON a member that has its default is not written."""


class NamedView(View, frozen=True, kw_only=True):
    """Something with an id and a title."""

    id: str
    title: str


class Cited(View, frozen=True, kw_only=True):
    """A source."""

    id: str
    title: str
    url: str = ""


class SiteLine(View, frozen=True, kw_only=True):
    """A value that the site put in place of the pack's."""

    site: str
    file: str
    at: str
    was: str
    now: str
    because: str


def site_lines(pack: Pack, values: Iterable[SiteValue]) -> tuple[SiteLine, ...]:
    """These values of the site."""
    site = pack.site.site if pack.site else ""
    return tuple(
        SiteLine(
            site=site,
            file=value.file,
            at=value.at,
            was=value.was,
            now=value.now,
            because=value.because,
        )
        for value in values
    )


def values_in(file: str, pack: Pack) -> tuple[SiteValue, ...]:
    """The values that the site changed in one file of the pack."""
    return tuple(value for value in pack.site.values if value.file == file) if pack.site else ()


def cited(source: Source) -> Cited:
    """The source as a view."""
    return Cited(id=source.id, title=source.title, url=source.url or "")


def pack_named(pack: Pack) -> str:
    """For example `Letters 1.0.0`."""
    return f"{pack.title} {pack.version}"
