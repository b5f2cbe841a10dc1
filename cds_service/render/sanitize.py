# SPDX-License-Identifier: Apache-2.0
"""Texts from outside, made fit to be shown: they can never look like markup."""

import re
import unicodedata
from functools import lru_cache

_LONGEST = 40
_UNSAFE = {"Cc", "Cf", "Co", "Cn", "Cs"}  # control, format (bidi), private, unassigned, surrogate
_TAG = re.compile(r"<(?=[A-Za-z/!?])")


def sanitize(text: str) -> str:
    """A text from outside on one line, printable, short, and with no tag in it."""
    return _harmless(text) if len(text) <= _LONGEST else _harmless.__wrapped__(text)


@lru_cache(maxsize=2048)  # units and numbers are the same again and again
def _harmless(text: str) -> str:
    line = " ".join(text.split())
    if not (line.isascii() and line.isprintable()):
        line = "".join(sign for sign in line if unicodedata.category(sign) not in _UNSAFE)
    harmless = _TAG.sub("", line)
    return harmless if len(harmless) <= _LONGEST else harmless[:_LONGEST] + "…"
