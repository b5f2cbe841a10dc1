# SPDX-License-Identifier: Apache-2.0
"""Apache Spark, the distributed engine: the plan of DuckDB on many machines."""
