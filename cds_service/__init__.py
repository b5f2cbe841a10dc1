# SPDX-License-Identifier: Apache-2.0
"""Laboratory clinical decision support over CDS Hooks and FHIR."""

__version__ = "0.1.0"
