# SPDX-License-Identifier: Apache-2.0
"""What must hold beyond the shape of single files: consistency and versions."""
