# SPDX-License-Identifier: Apache-2.0
"""Whether a Task that was found says what was sent, where its version was never learned.

"Task" stands for whatever resource carries the advice. A digest of what is sent is kept before it
is sent. Times are no part of it, for the same advice may be sent again, nor is what a server adds.
"""

from hashlib import sha256
from typing import Any, Final

from msgspec.json import encode

from cds_service.subscriptions.advice_parts import Json

FIRST: Final = "1"  # the version that is surely as it was sent
_OF_SERVER: Final = frozenset(("id", "meta", "text", "implicitRules"))
_TIMES: Final = frozenset(("authoredOn", "lastModified", "identifiedDateTime", "sent", "period"))
_WRITTEN_WITH: Final = frozenset(("ServiceRequest", "GuidanceResponse"))


def version_of(resource: Json) -> str:
    """The version of a resource; empty where the server does not say."""
    return str((resource.get("meta") or {}).get("versionId", ""))


def digest_of(resource: Json) -> str:
    """The digest of what a resource says; its text is that of a server or repeats the rest."""
    said = {name: value for name, value in resource.items() if name not in _OF_SERVER}
    return sha256(encode(_plain(said), order="sorted")).hexdigest()


def is_as_sent(task: Json, digest: str) -> bool:
    """Whether nobody has changed a Task of which this is the digest, if there is one."""
    version = version_of(task)
    if version == FIRST or not (version or digest):
        return True
    return digest_of(task) == digest


def _plain(value: Any) -> Any:
    """The value without times, and with references as any server writes them."""
    if isinstance(value, list):
        return [_plain(item) for item in value]
    if not isinstance(value, dict):
        return value
    reference = value.get("reference")
    if isinstance(reference, str):
        kind, _, identity = reference.rpartition("/")
        kind = kind.rpartition("/")[2]
        return "" if not kind or kind in _WRITTEN_WITH else f"{kind}/{identity}"
    return {name: _plain(item) for name, item in value.items() if name not in _TIMES}
