# SPDX-License-Identifier: Apache-2.0
"""How a result that counts differs from what should be sent; cards show it with the result."""

from typing import Literal, TypeAlias

ReadingNote: TypeAlias = Literal[
    "code-malformed",  # its code is none that LOINC or SNOMED CT can have; its name was read
    "range-not-read",  # a reference range of it cannot be understood, so its limits are not used
]
