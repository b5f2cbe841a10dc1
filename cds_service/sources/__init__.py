# SPDX-License-Identifier: Apache-2.0
"""The ways by which data come in: a hook request, a file. Each makes a `PatientInput`."""
