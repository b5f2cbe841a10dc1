# SPDX-License-Identifier: Apache-2.0
"""HL7 v2 messages with laboratory results."""
