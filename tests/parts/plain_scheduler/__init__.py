"""The scheduler in its plain form: pass after pass over a list of all hosts.

What ``commands/fleet`` decides by an index must be what this decides, evidence and all
(``tests/commands/fleet/test_same.py``). It is never made faster.
"""

from tests.parts.plain_scheduler import filters, weighers

__all__ = ["filters", "weighers"]
