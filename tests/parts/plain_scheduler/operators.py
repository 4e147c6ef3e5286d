"""The operators of extra specs (nova/scheduler/filters/extra_specs_ops.py).

``=`` (numeric, at least), ``==`` ``!=`` ``>=`` ``<=`` numeric, ``s==`` ``s!=`` ``s<`` ``s<=``
``s>`` ``s>=`` string, ``<in>`` substring, ``<all-in>`` all words contained, ``<or>`` any of;
without an operator the texts must be equal. What is not a number matches no numeric operator.
"""

from __future__ import annotations

import operator
from collections.abc import Callable

_NUMERIC: dict[str, Callable[[float, float], bool]] = {
    "=": operator.ge,
    "==": operator.eq,
    "!=": operator.ne,
    ">=": operator.ge,
    "<=": operator.le,
}
_TEXT: dict[str, Callable[[str, str], bool]] = {
    "s==": operator.eq,
    "s!=": operator.ne,
    "s<": operator.lt,
    "s<=": operator.le,
    "s>": operator.gt,
    "s>=": operator.ge,
    "<in>": operator.contains,
}


def matches(value: str, requirement: str) -> bool:
    """Whether a value meets a requirement such as ``>= 4`` or ``<or> kvm <or> qemu``."""
    words = requirement.split()
    if not words:
        return value == requirement
    sign, rest = words[0], words[1:]
    if sign == "<or>":
        return value in rest[::2]
    if sign == "<all-in>":
        return bool(rest) and all(word in value for word in rest)
    if sign in _NUMERIC:
        return bool(rest) and _compare(_NUMERIC[sign], value, rest[0])
    if sign in _TEXT:
        return bool(rest) and _TEXT[sign](value, rest[0])
    return value == requirement


def _compare(holds: Callable[[float, float], bool], value: str, wanted: str) -> bool:
    try:
        return holds(float(value), float(wanted))
    except ValueError:
        return False
