# SPDX-License-Identifier: Apache-2.0
"""In what way a result that counts was not sent as it should be: said with the result."""

from typing import Literal, TypeAlias

ReadingNote: TypeAlias = Literal[
    "code-malformed",  # its code is none that LOINC or SNOMED CT can have; its name was read
    "range-not-read",  # a reference range of it cannot be understood, so its limits are not used
]
