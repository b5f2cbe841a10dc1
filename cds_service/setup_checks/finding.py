# SPDX-License-Identifier: Apache-2.0
"""What one check found, in words that hold no secret and nothing of a patient."""

from dataclasses import dataclass
from typing import Literal, TypeAlias

Severity: TypeAlias = Literal["fine", "warning", "problem"]
Area: TypeAlias = Literal[
    "settings",
    "pack",
    "database",
    "clients",
    "keys",
    "certificate",
    "servers",
    "messages",
    "clock",
    "worker",
]


@dataclass(frozen=True, slots=True)
class Finding:
    """A sentence about one area. A problem keeps the service from its work; a warning does not."""

    area: Area
    severity: Severity
    text: str
    remedy: str = ""

    def __str__(self) -> str:
        return f"{self.text} {self.remedy}".rstrip()
