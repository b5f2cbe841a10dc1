# SPDX-License-Identifier: Apache-2.0
"""What others wrote, for a terminal."""

from typing import Any


def printable(text: str) -> str:
    """The text without signs that could steer the terminal; lines stay lines."""
    return "".join(sign if sign.isprintable() or sign == "\n" else "?" for sign in text)


def printable_in(value: Any) -> Any:
    """The same for every text in JSON."""
    if isinstance(value, str):
        return printable(value)
    if isinstance(value, list):
        return [printable_in(item) for item in value]
    if isinstance(value, dict):
        return {name: printable_in(item) for name, item in value.items()}
    return value
