# SPDX-License-Identifier: Apache-2.0
"""The context members that each hook of the CDS Hooks library requires.

A hook that is not listed (a site's own, named in reverse-domain style) needs a patient only.
Members that a newer version of a hook adds are ignored (CDS Hooks 2.0.1, "Changes to a Hook").
"""

REQUIRED_CONTEXT: dict[str, tuple[str, ...]] = {
    "patient-view": ("userId", "patientId"),
    "order-select": ("userId", "patientId", "selections", "draftOrders"),
    "order-sign": ("userId", "patientId", "draftOrders"),
    "appointment-book": ("userId", "patientId"),
    "encounter-start": ("userId", "patientId", "encounterId"),
    "encounter-discharge": ("userId", "patientId", "encounterId"),
}
OTHERWISE_REQUIRED = ("patientId",)
