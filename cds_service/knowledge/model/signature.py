# SPDX-License-Identifier: Apache-2.0
"""Who answers for a pack: the clinician who signed it, when, and for which meaning."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Signature:
    """The line `signed` of a pack; it `holds` while the rules mean what they meant then."""

    by: str
    on: str
    lock: str  # the hash of what was signed
    holds: bool = False
