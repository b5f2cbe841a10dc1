# SPDX-License-Identifier: Apache-2.0
"""Sandbox: act as a CDS Client against this service and present the result.

A patient of a pack, of a file or of a FHIR server becomes a hook request of bytes, which takes the
way of every call. Only what an open FHIR server gives without a token is ever read.
"""
