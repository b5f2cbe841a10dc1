# SPDX-License-Identifier: Apache-2.0
"""Every token is used once: what remembers those that were used (`store/used_tokens.py`)."""

from datetime import datetime
from typing import Protocol


class ReplayStore(Protocol):
    """Remembers the `jti` of each issuer until the token has expired."""

    @property
    def may_wait(self) -> bool:
        """Whether an answer may wait for another machine."""

    def first_use(self, issuer: str, token_id: str, *, until: datetime, now: datetime) -> bool:
        """Record the use of a token; `True` if it was not used before.

        Of several concurrent calls with the same token, in any thread or process, exactly one
        gets `True`. An exception means that this is not known: the request is then refused.
        """
