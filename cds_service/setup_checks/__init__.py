# SPDX-License-Identifier: Apache-2.0
"""What is missing or wrong before the service is used: each check as a sentence with a remedy.

`cds-service doctor` runs all of them; `/ready` says those that cost nothing.
"""
