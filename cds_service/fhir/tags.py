# SPDX-License-Identifier: Apache-2.0
"""How a resource that this service wrote is known again.

Every proposal is written with this `meta.tag`. Our own proposals never count as ordered, or
write-back would silence itself.
"""

from cds_service.fhir.elements import Meta, many

PROPOSAL_SYSTEM = "https://cds-service.example/tags"
PROPOSAL_CODE = "proposal"
PROPOSAL_TAG = {"system": PROPOSAL_SYSTEM, "code": PROPOSAL_CODE}


def is_own_proposal(meta: Meta | None) -> bool:
    """Whether the tag of this service is among the tags."""
    return meta is not None and any(
        tag.system == PROPOSAL_SYSTEM and tag.code == PROPOSAL_CODE for tag in many(meta.tag)
    )
