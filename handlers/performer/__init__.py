"""The performer: takes work from the log, does each piece once, reports what came of it.

It knows no domain and no driver. Kinds of work register with what they need (``kind.py``).
"""
