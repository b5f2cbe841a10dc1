# SPDX-License-Identifier: Apache-2.0
"""Laboratory reports that are not FHIR -> rows as printed -> FHIR resources."""
