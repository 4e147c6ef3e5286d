"""Settings: each mistake is one sentence and exit code 2, and each setting is documented."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import msgspec
import pytest

from chronova.settings import Settings, SettingsError, SimulatedFault, load, write

ROOT = Path(__file__).resolve().parents[2]


def chronova(data: Path, *arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "chronova", "--data", str(data), *arguments],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
        env={"PATH": "/usr/bin:/bin", **environment},
    )


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("port = 99999", "port: Expected int <= 65535"),
        ('port = "many"', "port: Expected int"),
        ("prot = 8774", "prot"),
        ('log = "mysql://x"', "log begins with none of postgres"),
        ('database = "kafka://x"', "database begins with none of postgres"),
        ('driver = "xen"', "driver: Invalid enum value 'xen'"),
        ('driver = "libvirt"\nhosts = 3', "more than one host needs the simulated driver"),
        ('domains = ["comptue"]', "there is no domain 'comptue'"),
        ("metrics_port = 65535", "metrics_port"),
        ("port = ", "chronova.toml"),
    ],
)
def test_a_mistake_in_the_file(tmp_path: Path, text: str, words: str) -> None:
    (tmp_path / "chronova.toml").write_text(text)
    with pytest.raises(SettingsError) as caught:
        load(str(tmp_path), {})
    assert words in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_file_that_is_no_text(tmp_path: Path) -> None:
    (tmp_path / "chronova.toml").write_bytes(b"\xff\xfe")
    with pytest.raises(SettingsError, match=r"chronova\.toml"):
        load(str(tmp_path), {})


def test_a_mistake_in_the_environment(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match="CHRONOVA_LOG_OPTIONS is not JSON"):
        load(str(tmp_path), {"CHRONOVA_LOG_OPTIONS": "sasl"})
    with pytest.raises(SettingsError, match="api_workers"):
        load(str(tmp_path), {"CHRONOVA_API_WORKERS": "0"})


def test_the_environment_wins(tmp_path: Path) -> None:
    write(Settings(data=str(tmp_path), port=1234, region="file"))
    found = load(str(tmp_path), {"CHRONOVA_PORT": "4321", "CHRONOVA_DOMAINS": '["fleet"]'})
    assert (found.port, found.region, found.domains) == (4321, "file", ["fleet"])


def test_what_is_written_is_read_again(tmp_path: Path) -> None:
    settings = Settings(
        data=str(tmp_path),
        log="kafka://one:9092,two:9092",
        log_options={"sasl_mechanism": "SCRAM-SHA-256", "ssl_check_hostname": True},
        simulated_delays={"ensure_disks": 0.5},
        simulated_faults=[SimulatedFault(step="ensure_disks", nth=2)],
    )
    write(settings)
    assert load(str(tmp_path), {}) == settings
    assert (tmp_path / "chronova.toml").stat().st_mode & 0o077 == 0


@pytest.mark.parametrize(
    ("arguments", "environment", "words"),
    [
        (("serve", "api"), {"CHRONOVA_PORT": "x"}, "port"),
        (("serve", "decider"), {}, "There is no site in"),
        (("serve", "projector"), {"CHRONOVA_LOG": "kafka://127.0.0.1:1"}, "database"),
        (("serve", "api"), {"CHRONOVA_LOG": "kafka://127.0.0.1:1"}, "database"),
        (("serve", "cook"), {}, "there is no role 'cook'"),
        (
            ("serve", "decider"),
            {
                "CHRONOVA_LOG": "kafka://127.0.0.1:1",
                "CHRONOVA_LOG_OPTIONS": '{"sasl_mecanism": "PLAIN"}',
            },
            "no option sasl_mecanism",
        ),
        (
            ("serve", "decider"),
            {
                "CHRONOVA_DATABASE": "postgresql://127.0.0.1:1/x",
                "CHRONOVA_SCHEDULER": '{"enabled_filters": ["NoFilter"]}',
            },
            "NoFilter",
        ),
    ],
)
def test_a_role_with_a_mistake_ends_with_a_sentence(
    tmp_path: Path, arguments: tuple[str, ...], environment: dict[str, str], words: str
) -> None:
    done = chronova(tmp_path, *arguments, **environment)
    assert done.returncode == 2, done.stderr
    assert words in done.stderr
    assert len(done.stderr.splitlines()) == 1
    assert done.stderr.startswith("chronova: ")


def test_the_document_is_current() -> None:
    done = subprocess.run(
        [sys.executable, str(ROOT / "scripts" / "document-settings"), "--check"],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    document = (ROOT / "docs" / "settings.md").read_text()
    for field in msgspec.structs.fields(Settings):
        assert f"| `{field.name}` |" in document
