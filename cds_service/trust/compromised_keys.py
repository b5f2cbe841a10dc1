# SPDX-License-Identifier: Apache-2.0
"""Keys whose private half is published: accepted in development only.

The private keys of the public CDS Hooks Sandbox are in its public repository
(github.com/cds-hooks/sandbox), so its tokens prove nothing.
"""

from typing import Final
from urllib.parse import urlsplit

SANDBOX_HOST: Final = "sandbox.cds-hooks.org"

# RFC 7638 thumbprints of the keys published there: of 2018 (P-256), and later (P-384).
COMPROMISED_THUMBPRINTS: Final = frozenset(
    {
        "WUEVfFenRfMtdDhwPUzCCfmqEN45h61hdHclwVoqfes",
        "s9fOe-KDYD1myZ8YCzleUqJQgrYZL49kVijBxhnZvZc",
    }
)


def is_sandbox(url: str) -> bool:
    """Whether an issuer or the URL of a key set is that of the public sandbox.

    >>> is_sandbox("https://sandbox.cds-hooks.org/.well-known/jwks.json")
    True
    """
    try:
        host = urlsplit(url if "//" in url else f"//{url}").hostname or ""
    except ValueError:
        return False
    return host.rstrip(".").lower() == SANDBOX_HOST
