# SPDX-License-Identifier: Apache-2.0
"""The forms of the page of reports, filled in as a browser would."""

import re
from html import unescape
from io import BytesIO

from flask.testing import FlaskClient
from werkzeug.test import TestResponse


def read(http: FlaskClient, report: str | bytes) -> TestResponse:
    """The page of rows for a file."""
    data = report.encode() if isinstance(report, str) else report
    return http.post("/report/rows", data={"file": (BytesIO(data), "report")})


def fields_of(page: str) -> dict[str, str]:
    """What a browser would send of the form of the page; of a list what is chosen."""
    found = {}
    for tag in re.findall(r"<input [^>]*>", page):
        given = dict(re.findall(r'([a-z-]+)="([^"]*)"', tag))
        if given.get("type") != "checkbox" or " checked" in tag:
            found[given["name"]] = unescape(given.get("value", ""))
    for name, options in re.findall(
        r'<select[^>]* name="([^"]+)"[^>]*>(.*?)</select>', page, re.DOTALL
    ):
        chosen = re.search(r'value="([^"]*)" selected', options)
        found[name] = chosen[1] if chosen else ""
    return found
