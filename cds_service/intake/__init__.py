# SPDX-License-Identifier: Apache-2.0
"""FHIR resources -> the patient's record, in the pack's markers and units."""
