# SPDX-License-Identifier: Apache-2.0
"""SMART Backend Services: the signing keys of the service and access tokens for FHIR servers."""
