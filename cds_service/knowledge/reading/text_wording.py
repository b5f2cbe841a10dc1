# SPDX-License-Identifier: Apache-2.0
"""What no text of a pack may say: HTML, links that are not https, and claims."""

import re
from collections.abc import Iterator

_HTML = re.compile(r"<[A-Za-z/!]")
_LINK = re.compile(r"\]\((?!https://)|^ *\[[^\]]+\]:(?! *https://)|\bhttp://", re.MULTILINE)
# A card supports a decision; it never makes one (docs/safety.md, wording).
_CLAIMS = re.compile(
    r"\b(diagnos\w+|confirms?|rules? out|you have|must|nothing to do)\b", re.IGNORECASE
)


def wording_faults(body: str) -> Iterator[tuple[str, str, str, str]]:
    """(code, piece, message, remedy) of everything in a text that the wording rules refuse."""
    if match := _HTML.search(body):
        yield "K503", match[0], "HTML is not used in texts", "write Markdown"
    if match := _LINK.search(body):
        yield "K503", match[0], "a link must begin with https://", ""
    if match := _CLAIMS.search(body):
        remedy = "say consider, suggests, pattern or compatible with"
        yield "K504", match[0], f"'{match[0]}' claims too much", remedy
