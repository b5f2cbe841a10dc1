# SPDX-License-Identifier: Apache-2.0
"""Texts from outside, made fit to be shown: they can never look like markup."""

import re
import unicodedata

from cds_service.remembering import remember_short

_LONGEST = 40
_UNSAFE = {"Cc", "Cf", "Co", "Cn", "Cs"}  # control, format (bidi), private, unassigned, surrogate
_TAG = re.compile(r"<(?=[A-Za-z/!?])")


@remember_short(longest=_LONGEST, most=2048)  # units and numbers are the same again and again
def sanitize(text: str) -> str:
    """A text from outside on one line, printable, short, and with no tag in it."""
    line = " ".join(text.split())
    if not (line.isascii() and line.isprintable()):
        line = "".join(sign for sign in line if unicodedata.category(sign) not in _UNSAFE)
    harmless = _TAG.sub("", line)
    return harmless if len(harmless) <= _LONGEST else harmless[:_LONGEST] + "…"
