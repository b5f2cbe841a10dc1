# SPDX-License-Identifier: Apache-2.0
"""Queries to FHIR servers: for data that a hook request lacks, and for the sandbox."""
