"""What a query asks of providers: resources, traits, aggregates, a tree. Each a test of one.

The forms are placement's: ``resources=VCPU:1,DISK_GB:5``, ``required=HW_A,!HW_B`` (from 1.39
also ``in:HW_A,HW_B``), ``member_of=in:<uuid>,<uuid>`` (from 1.32 also ``!<uuid>``,
``!in:…``), ``in_tree=<uuid>``.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from api.placement.errors import bad_request
from api.placement.names import known_classes, known_traits
from api.placement.operation import Call, Parameter, checked_uuid
from projections.fleet.providers import ProviderRow

VERSION_FORBIDDEN, VERSION_NOT_MEMBER, VERSION_ANY_TRAIT = 22, 32, 39
AMOUNT_MAX = 2**31 - 1
AMOUNT_DIGITS_MAX = 10

Test = Callable[[ProviderRow], bool]

MEMBER_OF = Parameter("member_of", since=3, repeated_since=24)
RESOURCES = Parameter("resources", since=4)
IN_TREE = Parameter("in_tree", since=14)
REQUIRED = Parameter("required", since=18, repeated_since=39)


def tests(call: Call) -> list[Test]:
    """All that the query asks of a provider. Raises 400."""
    asked = [_member_of(call, text) for text in call.all("member_of")]
    asked += [_required(call, text) for text in call.all("required")]
    resources = call.one("resources")
    if resources is not None:
        amounts = parse_resources(call, resources)
        asked.append(lambda provider: provider.fits(amounts))
    tree = call.one("in_tree")
    if tree is not None:
        root = checked_uuid(tree, "in_tree")
        asked.append(lambda provider: provider.id == root)
    return asked


def parse_resources(call: Call, text: str) -> dict[str, int]:
    """Amounts by resource class. Raises 400."""
    amounts: dict[str, int] = {}
    for part in text.split(","):
        name, _, number = part.partition(":")
        digits = len(number) <= AMOUNT_DIGITS_MAX and number.isdecimal()
        if not name or not digits or not 1 <= int(number) <= AMOUNT_MAX:
            raise bad_request(
                "Badly formed resources parameter. Expected resources query string parameter in "
                f"form: ?resources=VCPU:2,MEMORY_MB:1024. Got: {text}."
            )
        amounts[name] = int(number)
    unknown = amounts.keys() - set(known_classes(call))
    if unknown:
        raise bad_request(
            f"Invalid resource class in resources parameter: {', '.join(sorted(unknown))}"
        )
    return amounts


def _required(call: Call, text: str) -> Test:
    any_of = text.startswith("in:")
    words = text.removeprefix("in:").split(",")
    wanted = {word for word in words if not word.startswith("!")}
    forbidden = {word[1:] for word in words if word.startswith("!")}
    if (
        "" in wanted | forbidden
        or (any_of and (forbidden or call.version < VERSION_ANY_TRAIT))
        or (forbidden and call.version < VERSION_FORBIDDEN)
        or wanted & forbidden
    ):
        raise bad_request(
            f"Invalid query string parameters: Expected 'required' parameter value of the form: "
            f"HW_CPU_X86_VMX,CUSTOM_MAGIC. Got: {text}"
        )
    unknown = (wanted | forbidden) - set(known_traits(call))
    if unknown:
        raise bad_request(f"No such trait(s): {', '.join(sorted(unknown))}.")
    if any_of:
        return lambda provider: not wanted.isdisjoint(provider.traits)
    return lambda provider: wanted <= {*provider.traits} and forbidden.isdisjoint(provider.traits)


def _member_of(call: Call, text: str) -> Test:
    negated = text.startswith("!")
    if negated and call.version < VERSION_NOT_MEMBER:
        raise bad_request(
            "Invalid query string parameters: Forbidden member_of parameters are not supported in "
            f"the specified microversion. Got: {text}"
        )
    ids = _aggregates(text.removeprefix("!"))
    if negated:
        return lambda provider: ids.isdisjoint(provider.aggregates)
    return lambda provider: not ids.isdisjoint(provider.aggregates)


def _aggregates(text: str) -> set[str]:
    words: Sequence[str] = [text]
    if text.startswith("in:"):
        words = text[3:].split(",")
    return {checked_uuid(word, "member_of") for word in words}
