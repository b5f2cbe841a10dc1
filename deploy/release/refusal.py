# SPDX-License-Identifier: Apache-2.0
"""Why a release does not go on."""


class Refused(Exception):
    """A sentence that says what is wrong and, where it can, what to do."""
