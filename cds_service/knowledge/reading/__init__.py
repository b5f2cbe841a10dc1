# SPDX-License-Identifier: Apache-2.0
"""Files of a pack -> its model, or every problem with its location."""
