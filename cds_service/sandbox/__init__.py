# SPDX-License-Identifier: Apache-2.0
"""The service tried out: acting as a CDS Client, and what the page and the command show of it.

A patient of a pack, of a file or of a FHIR server becomes a hook request of bytes, which takes the
way of every call. Only what an open FHIR server gives without a token is ever read.
"""
