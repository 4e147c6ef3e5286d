"""Two agents have one host's name: the one whose node is refused ends."""

from __future__ import annotations

import pytest

from commands.fleet.host import EndAgent
from handlers.compute.host import AgentRefused
from tests.handlers.compute.hosts import Host


def refusal(node_id: str) -> EndAgent:
    return EndAgent(generation=0, operation=1, node_id=node_id, reason="Another node has it.")


def test_the_refused_node_s_agent_ends() -> None:
    host = Host()
    host.tell(refusal("node-1"))
    with pytest.raises(AgentRefused, match="Another node has it"):
        host.settle()


def test_the_other_node_s_agent_goes_on() -> None:
    host = Host()
    host.tell(refusal("node-2"))
    host.settle()
    assert host.outcomes == [("EndAgent", "done")]


def test_it_is_refused_once_and_may_start_again_when_the_fault_is_mended() -> None:
    host = Host()
    host.tell(refusal("node-1"))
    with pytest.raises(AgentRefused):
        host.settle()
    assert host.agent is not None
    host.agent.close()
    host.start()
    host.settle()
