# SPDX-License-Identifier: Apache-2.0
"""How pages look: templates, Markdown as HTML, and whether a client wants a page or JSON.

Templates escape everything; Markdown is read without HTML. No script runs but that of the sandbox,
and nothing is loaded from elsewhere.
"""

import re
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from functools import cache
from http import HTTPStatus
from pathlib import Path
from typing import TYPE_CHECKING, Final

from flask import Request, Response
from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup, escape
from msgspec.json import Encoder

from cds_service import __version__
from cds_service.counting import counted
from cds_service.errors import RequestError
from cds_service.knowledge.model.status import approval
from cds_service.web.html.scale_chart import horizontal, vertical
from cds_service.web.html.trend_chart import chart
from cds_service.web.outcomes import json_response

if TYPE_CHECKING:
    from markdown_it import MarkdownIt

HTML: Final = "text/html"
JSON: Final = "application/json"
FORMAT: Final = "format"
STYLE: Final = Path(__file__).with_name("style.css")
_POLICY = (
    "default-src 'none'; style-src 'self'; form-action 'self'; base-uri 'none'; "
    "frame-ancestors 'none'"
)
SCRIPTED: Final = f"{_POLICY}; script-src 'self'; connect-src 'self'"
"""The policy of the one page that may run a script, of ours."""
_FORMATS = {"html": HTML, "json": JSON}
_PLACEHOLDER = re.compile(r"{{\s*([a-z0-9_.]+)\s*}}")
_ENCODER = Encoder()
_UNITS: Final = (("day", 86_400), ("hour", 3600), ("minute", 60), ("second", 1))
_MORE: Final = 2  # of the next smaller unit


def markdown(text: str) -> Markup:
    """Markdown as HTML, with the placeholders of a card text marked."""
    return _with_placeholders(_markdown_reader().render(text))


@cache
def _markdown_reader() -> "MarkdownIt":
    from markdown_it import MarkdownIt  # which only pages need

    return MarkdownIt("commonmark", {"html": False})


def inline(text: str) -> Markup:
    """One line of plain text, with the placeholders marked."""
    return _with_placeholders(str(escape(text)))


def capital(text: str) -> str:
    """The text with its first letter large."""
    return text[:1].upper() + text[1:]


def small(text: str) -> str:
    """The text with its first letter small, unless its first word is an abbreviation."""
    return text if text[1:2].isupper() else text[:1].lower() + text[1:]


def utc(at: datetime) -> str:
    """The time in UTC, to the minute.

    >>> utc(datetime(2026, 6, 15, 9, 5, tzinfo=UTC))
    '2026-06-15 09:05 UTC'
    """
    return f"{at.astimezone(UTC):%Y-%m-%d %H:%M} UTC"


def span(time: timedelta) -> str:
    """How long that is, in the largest unit of which there are two or more.

    >>> span(timedelta(seconds=100)), span(timedelta(hours=30)), span(timedelta(days=-1))
    ('100 seconds', '30 hours', '0 seconds')
    """
    seconds = max(int(time.total_seconds()), 0)
    name, length = next(
        ((name, length) for name, length in _UNITS if seconds >= _MORE * length), _UNITS[-1]
    )
    return counted(seconds // length, name)


def runs(names: Sequence[str], numbers: Mapping[str, int]) -> list[tuple[str, str]]:
    """(first name, `3` or `5–9`) for the numbers of the names, neighbours taken together."""
    ordered = sorted(set(names), key=lambda name: numbers[name])
    joined: list[list[str]] = []
    for name in ordered:
        if joined and numbers[name] == numbers[joined[-1][-1]] + 1:
            joined[-1].append(name)
        else:
            joined.append([name])
    return [
        (run[0], "–".join(dict.fromkeys(str(numbers[name]) for name in (run[0], run[-1]))))
        for run in joined
    ]


def _with_placeholders(html: str) -> Markup:
    marked = _PLACEHOLDER.sub(r'<span class="slot">\1</span>', html)
    return Markup(marked)  # noqa: S704 - escaped above, or by the Markdown reader


def _environment() -> Environment:
    environment = Environment(
        loader=FileSystemLoader(Path(__file__).with_name("templates")),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters.update(
        markdown=markdown,
        inline=inline,
        capital=capital,
        small=small,
        runs=runs,
        approval=approval,
        utc=utc,
        span=span,
    )
    environment.globals.update(
        horizontal=horizontal, vertical=vertical, chart=chart, version=__version__
    )
    return environment


_PAGES = _environment()


def wanted(request: Request) -> str:
    """`text/html` or `application/json`: by `?format=`, else by the header Accept."""
    named = request.args.get(FORMAT)
    if named is not None:
        if named not in _FORMATS:
            raise RequestError("Expected 'format' to be html or json.")
        return _FORMATS[named]
    return request.accept_mimetypes.best_match([HTML, JSON]) or HTML


def page(
    template: str,
    values: Mapping[str, object],
    status: int = HTTPStatus.OK,
    *,
    policy: str = _POLICY,
) -> Response:
    """A page for people."""
    text = _PAGES.get_template(template).render(values)
    response = Response(text, status, content_type=f"{HTML}; charset=utf-8")
    response.headers["Content-Security-Policy"] = policy
    response.vary.add("Accept")
    return response


def document(template: str, values: Mapping[str, object]) -> str:
    """A page that is kept as a file and loads nothing."""
    return _PAGES.get_template(template).render(values)


def either(request: Request, template: str, view: object, **values: object) -> Response:
    """The view as a page or as JSON; both say the same."""
    if wanted(request) == JSON:
        response = json_response(_ENCODER.encode(view))
        response.vary.add("Accept")
        return response
    return page(template, {"view": view, **values})
