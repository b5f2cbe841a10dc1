# SPDX-License-Identifier: Apache-2.0
"""Which patient of a Bundle a resource in it is about.

By the rules of FHIR R4, "Resolving references in Bundles": an absolute reference means the entry
with that `fullUrl`; a relative one is resolved against the server of the entry that it stands in.
Where the Bundle has no such entry, type and id decide, as in files without addresses.
"""

from collections.abc import Iterable

from cds_service.fhir.references import Parts, parts_of, plain_id


class BundlePatients:
    """The Patients of a Bundle, found by reference. A patient goes by the parts of one address."""

    def __init__(self, patients: Iterable[tuple[str | None, str | None]]) -> None:
        """Take `fullUrl` and `id` of every Patient; either may be missing."""
        self._ids: dict[Parts, str] = {}
        self._local: dict[str, Parts] = {}
        for full_url, patient_id in patients:
            key = self.key(full_url, patient_id)
            self._ids[key] = patient_id or plain_id(key.id)
            if patient_id:
                self._local.setdefault(patient_id, key)

    def key(self, full_url: str | None, patient_id: str | None) -> Parts:
        """What the Patient with this address and id goes by."""
        return parts_of(full_url) if full_url else _local(patient_id or "")

    def owner(self, reference: str, full_url: str | None) -> Parts:
        """What the patient of a reference goes by, who need not be in the Bundle.

        `full_url` is the address of the entry that the reference stands in.
        """
        named = parts_of(reference)
        base = named.base or parts_of(full_url or "").base
        for patient_key in (named, Parts(base, named.kind, named.id)):
            if patient_key in self._ids:
                return patient_key
        other = self._local.get(plain_id(named.id))
        # Equal ids on two servers are two patients.
        if other is not None and not (named.base and other.base):
            return other
        return Parts(named.base, "Patient", named.id) if other else _local(plain_id(named.id))

    def id_of(self, key: Parts) -> str:
        """The id of a patient, which for one who was only referred to is that of the reference."""
        return self._ids.get(key) or plain_id(key.id)


def _local(patient_id: str) -> Parts:
    return Parts("", "Patient", patient_id)
