# SPDX-License-Identifier: Apache-2.0
"""Results that arrive by FHIR Subscriptions: received, kept, and decided on by a worker."""
