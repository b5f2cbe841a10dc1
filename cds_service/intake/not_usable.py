# SPDX-License-Identifier: Apache-2.0
"""How reading a result ends early."""

from cds_service.labs.set_aside_reasons import SetAsideReason


class NotUsable(Exception):
    """A result must be set aside, for this reason."""

    def __init__(self, reason: SetAsideReason) -> None:
        super().__init__(reason)
        self.reason = reason
