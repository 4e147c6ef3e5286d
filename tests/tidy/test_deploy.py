"""What lies in deploy/ fits together and names only what exists."""

from __future__ import annotations

import configparser
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

from chronova.embedded.jars import KAFKA_VERSION
from chronova.settings import PREFIX, checked
from chronova.supervisor import ROLES

DEPLOY = Path(__file__).resolve().parents[2] / "deploy"
UNITS = sorted((DEPLOY / "systemd").glob("*.service"))


@pytest.fixture(scope="module")
def compose() -> Any:
    return yaml.safe_load((DEPLOY / "compose.yaml").read_text())


def test_compose_runs_every_role_with_settings_that_there_are(compose: Any) -> None:
    services = compose["services"]
    run = {s["command"][1] for s in services.values() if s.get("command", [""])[0] == "serve"}
    assert run == set(ROLES)
    for service in services.values():
        given = {
            name.removeprefix(PREFIX).lower(): value
            for name, value in service["environment"].items()
            if name.startswith(PREFIX)
        }
        assert checked(given)
        for other in service.get("depends_on", {}):
            assert other in services
        for volume in service.get("volumes", []):
            assert volume.partition(":")[0] in compose["volumes"]


def test_compose_waits_for_what_must_be_there(compose: Any) -> None:
    services = compose["services"]
    assert services["kafka"]["image"].endswith(f":{KAFKA_VERSION}")
    for name in ("kafka", "postgres", "api"):
        assert "healthcheck" in services[name]
    assert services["api"]["ports"] == ["127.0.0.1:8774:8774"]
    for role in ROLES:
        assert "topics" in services[role]["depends_on"]


def test_the_image_is_built_from_what_there_is(compose: Any) -> None:
    build = compose["services"]["api"]["build"]
    context = (DEPLOY / build["context"]).resolve()
    assert (context / build["dockerfile"]).is_file()
    text = (context / build["dockerfile"]).read_text()
    assert "USER chronova" in text and 'ENTRYPOINT ["chronova"]' in text


@pytest.mark.parametrize("unit", UNITS, ids=lambda unit: unit.stem)
def test_units(unit: Path) -> None:
    parsed = configparser.ConfigParser(strict=False, interpolation=None)
    parsed.optionxform = str  # type: ignore[assignment, method-assign]
    parsed.read(unit)
    role = unit.stem.removeprefix("chronova-")
    assert parsed["Service"]["ExecStart"] == f"/opt/chronova/bin/chronova serve {role}"
    assert parsed["Service"]["NoNewPrivileges"] == "yes"
    assert parsed["Service"]["ProtectSystem"] == "strict"
    assert parsed["Install"]["WantedBy"] == "multi-user.target"


def test_there_is_a_unit_for_each_role() -> None:
    assert {unit.stem for unit in UNITS} == {f"chronova-{role}" for role in ROLES}


def test_units_are_what_systemd_reads(tmp_path: Path) -> None:
    verifier = shutil.which("systemd-analyze")
    if verifier is None:
        pytest.skip("no systemd-analyze here")
    for unit in UNITS:
        text = unit.read_text().replace("/opt/chronova/bin/chronova", "/bin/true")
        (tmp_path / unit.name).write_text(text)
    command = [verifier, "verify", "--man=no", *sorted(map(str, tmp_path.iterdir()))]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    ours = [line for line in done.stderr.splitlines() if "chronova-" in line]
    assert not ours, ours
