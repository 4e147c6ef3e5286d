"""A server's addresses by network. There are none before there are networks."""

from __future__ import annotations

from api.compute.faults import not_found
from api.compute.operation import Answer, Call, Operation
from api.compute.server_access import on_server
from api.compute.server_document import addresses_of
from projections.compute.server_queries import ServerRow

RULE = "os_compute_api:ips:"


def index(call: Call, server: ServerRow) -> Answer:
    """The addresses of all networks."""
    shown = {
        label: [{"version": a["version"], "addr": a["addr"]} for a in addresses]
        for label, addresses in addresses_of(server).items()
    }
    return Answer({"addresses": shown})


def show(call: Call, server: ServerRow) -> Answer:
    """The addresses of one network."""
    label, known = call.params["label"], addresses_of(server)
    if label not in known:
        raise not_found("Instance is not a member of specified network")
    return Answer({label: [{"version": a["version"], "addr": a["addr"]} for a in known[label]]})


OPERATIONS = (
    Operation("GET", "/servers/{server_id}/ips", on_server(f"{RULE}index", index)),
    Operation("GET", "/servers/{server_id}/ips/{label}", on_server(f"{RULE}show", show)),
)
