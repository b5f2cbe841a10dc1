# SPDX-License-Identifier: Apache-2.0
"""Requests to other servers: which addresses are allowed, how long and how large an answer may be.

Every request of the service to another server (for keys, FHIR data or a token) goes through
`transport.Transport`, to addresses that its `address_policy.AddressPolicy` allows.
"""
