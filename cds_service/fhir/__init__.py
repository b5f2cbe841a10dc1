# SPDX-License-Identifier: Apache-2.0
"""FHIR R4 on the wire: the elements that are read, and nothing about what they mean."""
