# SPDX-License-Identifier: Apache-2.0
"""Who signs with keys that everybody has: trusted in development only.

The private keys of the public CDS Hooks Sandbox stand in its public repository
(github.com/cds-hooks/sandbox), so its tokens prove nothing.
"""

from typing import Final
from urllib.parse import urlsplit

SANDBOX_HOST: Final = "sandbox.cds-hooks.org"

# RFC 7638 thumbprints of the keys that it published, of 2018 (P-256) and later (P-384).
KNOWN_TO_ALL: Final = frozenset(
    {
        "WUEVfFenRfMtdDhwPUzCCfmqEN45h61hdHclwVoqfes",
        "s9fOe-KDYD1myZ8YCzleUqJQgrYZL49kVijBxhnZvZc",
    }
)


def is_sandbox(url: str) -> bool:
    """Whether an issuer or a URL of keys is that of the public sandbox."""
    try:
        host = urlsplit(url if "//" in url else f"//{url}").hostname or ""
    except ValueError:
        return False
    return host.rstrip(".").lower() == SANDBOX_HOST
