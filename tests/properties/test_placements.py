"""Whatever users and operators wrote, every filter and weigher judges; the verdict is written."""

from __future__ import annotations

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as some

from commands.fleet.aggregate import AddAggregateHost, CreateAggregate
from commands.fleet.judges import FILTERS, WEIGHERS, Judges, judges
from commands.fleet.place import PlaceServers, place_servers
from commands.fleet.policy import Policy
from events.fleet.host_aggregate import AggregateMetadataChanged
from events.fleet.inventory import Hypervisor
from events.fleet.request import RequestSpec
from handlers.scheduler import load_plugins
from tests.commands.fleet.fleet import Fleet, register
from tests.parts.given import CODEC
from tests.properties.histories import examples
from tests.properties.values import IDS, fields_of, messages

DEFAULTS = load_plugins(Policy())
HOSTS = ("0", "A.b")
ROOM = {"vcpus": some.integers(0, 4), "ram_mib": some.just(1), "disk_gib": some.just(0)}
SPECS = some.fixed_dictionaries(fields_of(RequestSpec) | ROOM).map(lambda f: RequestSpec(**f))
PLACES = some.builds(
    PlaceServers,
    server_ids=some.lists(some.sampled_from((*IDS, "s")), min_size=1, max_size=3),
    project_id=some.just("p"),
    spec=SPECS,
    generation=some.integers(0, 2),
    seed=some.integers(0, 2**63 - 1),
)
METADATA = fields_of(AggregateMetadataChanged)["metadata"]


def severe(filters: list[str]) -> Judges:
    """Return judges with these filters, every weigher, and options that make them look."""
    return judges(
        Policy(
            enabled_filters=tuple(filters),
            enabled_weighers=tuple(WEIGHERS),
            isolated_hosts=frozenset({"0"}),
            isolated_images=frozenset({IDS[0]}),
            shuffle_best_same_weighed_hosts=True,
            host_subset_size=3,
        )
    )


@some.composite
def fleets(draw: some.DrawFn) -> Fleet:
    """Return two hosts of any hypervisor, in an aggregate with any metadata."""
    fleet = Fleet()
    for name in HOSTS:
        known = register(name)
        facts = draw(messages(Hypervisor))
        fleet.when(msgspec.structs.replace(known, hypervisor=facts))
        if name not in fleet.states.get("host", {}):
            fleet.when(known)
    for number, host in enumerate(draw(some.lists(some.sampled_from(HOSTS), max_size=2))):
        aggregate = f"aggregate-{number}"
        fleet.when(CreateAggregate(aggregate_id=aggregate, name=aggregate, availability_zone=None))
        fleet.given(AggregateMetadataChanged(aggregate_id=aggregate, at=0, metadata=draw(METADATA)))
        fleet.when(AddAggregateHost(aggregate_id=aggregate, host=host))
    return fleet


@pytest.mark.parametrize("filter", sorted(FILTERS))
def test_servers_are_placed_or_refused(filter: str) -> None:
    @examples(6)
    @given(fleets(), some.lists(PLACES, min_size=1, max_size=2))
    def places(fleet: Fleet, asked: list[PlaceServers]) -> None:
        for place in asked:
            for one in (DEFAULTS, severe([filter])):
                placed = CODEC.decode(CODEC.encode(place))
                assert isinstance(placed, PlaceServers)
                decision = place_servers(fleet, placed, 1, one)
                for event in decision.events:
                    assert CODEC.decode(CODEC.encode(event)) == event
            fleet.given(*decision.events)

    places()
