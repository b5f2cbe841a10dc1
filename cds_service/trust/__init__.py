# SPDX-License-Identifier: Apache-2.0
"""Registered CDS Clients, and the verification of the tokens that they sign.

CDS Hooks 2.0.1, "Trusting CDS Clients". The result depends only on the registrations, the keys,
the time and the tokens used before; `web/access/clients.py` reads the HTTP header and calls
`Verifier`.
"""
