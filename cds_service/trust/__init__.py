# SPDX-License-Identifier: Apache-2.0
"""Who calls: registered CDS Clients, and whether a token was signed by one of them.

CDS Hooks 2.0.1, "Trusting CDS Clients". Verification is pure given the registrations, the keys,
the time and a memory of the tokens that were used; `web` knows HTTP and asks here.
"""
