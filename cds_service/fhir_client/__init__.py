# SPDX-License-Identifier: Apache-2.0
"""Asking FHIR servers: for what a hook call did not bring, and for whoever acts as a CDS Client."""
