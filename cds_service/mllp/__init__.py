# SPDX-License-Identifier: Apache-2.0
"""Messages of HL7 v2 over TCP (MLLP): stored in the inbox, then acknowledged."""
