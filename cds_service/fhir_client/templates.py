# SPDX-License-Identifier: Apache-2.0
"""Prefetch templates -> queries (CDS Hooks 2.0.1, "Prefetch Template")."""

import re
from collections.abc import Mapping
from urllib.parse import quote

_TOKEN = re.compile(r"{{\s*([A-Za-z.]+)\s*}}")


def expanded(template: str, tokens: Mapping[str, str]) -> str | None:
    """The query with its tokens filled in, such as `context.patientId`; `None` if one is unknown.

    Values are encoded, so that an id can neither end a parameter nor leave the server's address.
    """
    if any(name not in tokens for name in _TOKEN.findall(template)):
        return None
    return _TOKEN.sub(lambda match: _encoded(match[1], tokens[match[1]]), template)


def _encoded(name: str, value: str) -> str:
    # The user is a reference, `Practitioner/1`; everything else is one part of an address.
    return quote(value, safe="/" if name == "context.userId" else "")


def tokens_of(context: Mapping[str, object]) -> dict[str, str]:
    """The tokens that a hook's context gives: its texts, and the id of the user by its type."""
    tokens = {f"context.{name}": value for name, value in context.items() if isinstance(value, str)}
    kind, _, identity = tokens.get("context.userId", "").rpartition("/")
    if kind in {"Practitioner", "PractitionerRole", "Patient", "RelatedPerson"} and identity:
        tokens[f"user{kind}Id"] = identity
    return tokens
