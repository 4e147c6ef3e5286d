"""A running site believes no record in a host's name that the host did not prove."""

from __future__ import annotations

import urllib.request
from contextlib import closing

import pytest
from prometheus_client.parser import text_string_to_metric_families

from chronova.connections import open_site_log
from chronova.inspect.state import known_hosts
from commands.compute.power_state import ReportPowerState
from events import topics
from events.fleet.heartbeat import Heartbeat
from events.log.contract import Outgoing
from events.log.records import Codec, headers
from events.message import Context, Message
from tests.parts.proofs import proofs_of
from tests.parts.site import SDK_WARNS_OF_ITSELF, Site

pytestmark = [pytest.mark.service, *SDK_WARNS_OF_ITSELF]

CODEC = Codec()
UNPROVED = "chronova_unproved_records_total"


def refused(site: Site) -> dict[str, float]:
    """By topic, how many records were not believed."""
    with urllib.request.urlopen(f"{site.settings.url}/metrics", timeout=30) as answer:
        text = answer.read().decode()
    return {
        sample.labels["topic"]: sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
        if sample.name == UNPROVED
    }


def forged(topic: str, key: str, message: Message, host: str) -> Outgoing:
    """As somebody writes it who has the host's name, and keys of another site."""
    made = headers(Context(id=f"1:{message.type_name}", time=1), message.type_name, "/forged")
    record = Outgoing(topic, key, CODEC.encode(message), made)
    return proofs_of(host).add(record, message)


def test_what_others_say_in_a_host_s_name_changes_nothing(site: Site) -> None:
    (host,) = known_hosts(site.settings)
    with site.sdk() as cloud:
        made = cloud.compute.create_server(
            name="forged", image_id=site.image, flavor_id="1", networks="none"
        )
        site.secrets.add(made.admin_password)
        cloud.compute.wait_for_server(made, interval=0.1, wait=60)
        assert refused(site) == {}, "what the site's own processes write is believed"
        report = ReportPowerState(
            server_id=made.id,
            project_id=cloud.current_project_id,
            host=host,
            generation=1,
            operation=1,
            power_state=4,
        )
        beat = Heartbeat(host=host, at=1, started_at=1, ending=True)
        with closing(open_site_log(site.settings)) as log:
            log.append([forged(topics.reports("compute"), report.project_id, report, host)])
            log.append([forged(topics.HEARTBEATS, host, beat, host)])
        site.until(
            lambda: (
                refused(site).get(topics.reports("compute"), 0) == 1
                and refused(site).get(topics.HEARTBEATS, 0) >= 2
            ),
            "the decider and the projector have looked at them",
        )
        assert cloud.compute.get_server(made.id).status == "ACTIVE"
        (service,) = cloud.compute.services(host=host, binary="nova-compute")
        assert service.state == "up"
        cloud.compute.delete_server(made.id)
        cloud.compute.wait_for_delete(made, interval=0.1, wait=60)
