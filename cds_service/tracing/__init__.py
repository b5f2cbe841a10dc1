# SPDX-License-Identifier: Apache-2.0
"""Traces of OpenTelemetry: off unless they are set, and then without a patient."""
