# SPDX-License-Identifier: Apache-2.0
"""Calls that leave this machine: where they may go, and how much a server may answer, how slowly.

The one way out. Everything that asks another server (for keys, for FHIR data, for a token) goes
through `transport.Transport`, within what `reach.Reach` allows.
"""
