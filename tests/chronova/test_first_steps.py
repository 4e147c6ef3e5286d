"""The first minute: a folder without a site, folders with spaces, the files that are sourced."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from chronova import credentials
from chronova.settings import NoSite, Settings, load, of_site, write

ROOT = Path(__file__).resolve().parents[2]
SENTENCE = (
    "There is no site in {}: `make up` first, or name its folder with --data or CHRONOVA_DATA.\n"
)


def run(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "chronova", *arguments],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
        env={"PATH": os.defpath, "COLUMNS": "200"},
    )


@pytest.mark.parametrize(
    "verb",
    ["status", "tap", "projection verify", "serve api", "admin reset-password"],
)
def test_a_verb_without_a_site(tmp_path: Path, verb: str) -> None:
    done = run("--data", str(tmp_path), *verb.split())
    assert (done.returncode, done.stderr) == (2, f"chronova: {SENTENCE.format(tmp_path)}")


@pytest.mark.parametrize("verb", ["down", "reset"])
def test_ending_what_is_not_there(tmp_path: Path, verb: str) -> None:
    done = run("--data", str(tmp_path / "none"), verb)
    assert (done.returncode, done.stdout) == (0, SENTENCE.format(tmp_path / "none"))


def test_a_site_may_be_all_in_the_environment(tmp_path: Path) -> None:
    with pytest.raises(NoSite):
        of_site(str(tmp_path), {})
    assert of_site(str(tmp_path), {"CHRONOVA_LOG": "kafka://k:9092"}).on_kafka
    write(Settings(data=str(tmp_path), database="embedded"))
    assert of_site(str(tmp_path), {}).database == "embedded"


def test_openrc_of_a_folder_with_a_space(tmp_path: Path) -> None:
    settings = Settings(data=str(tmp_path / "of a site"))
    settings.data_path.mkdir()
    credentials.write(settings, credentials.Credentials("it's secret", "d"))
    script = '. "$1"; . "$1"; printf "%s|%s|%s" "$CHRONOVA_DATA" "$OS_PASSWORD" "$PATH"'
    done = subprocess.run(
        ["sh", "-eu", "-c", script, "sh", str(settings.data_path / "openrc")],
        capture_output=True,
        text=True,
        check=True,
        timeout=60,
        env={"PATH": os.defpath},
    )
    data, password, path = done.stdout.split("|")
    assert (data, password) == (str(settings.data_path), "it's secret")
    assert path.count(str(Path(sys.prefix) / "bin")) <= 1


@pytest.mark.skipif(shutil.which("make") is None, reason="there is no make")
@pytest.mark.parametrize("target", ["up", "down", "reset", "status"])
@pytest.mark.parametrize("folder", ["a b", "it's", "plain"])
def test_make_with_such_a_folder(tmp_path: Path, target: str, folder: str) -> None:
    told = tmp_path / "told"
    fake = tmp_path / "bin of it" / "chronova"
    fake.parent.mkdir()
    fake.write_text(f'#!/bin/sh\nprintf "%s\\n" "$CHRONOVA_DATA" "$@" >"{told}"\n')
    fake.chmod(0o755)
    url = "postgresql://u@/db?host=/a b&x='y'"
    done = subprocess.run(
        [
            "make",
            "-s",
            "-o",
            "env",
            target,
            f"DATA={folder}",
            f"DATABASE={url}",
            f"BIN='{fake.parent}'",
        ],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert done.returncode == 0, done.stderr
    given = told.read_text().splitlines()
    more = ["--database", url] if target == "up" else []
    assert given == [folder, target, *more]


def test_a_backup_goes_to_a_new_folder_outside(tmp_path: Path) -> None:
    write(Settings(data=str(tmp_path / "site"), database="embedded"))
    for target in (tmp_path, tmp_path / "site" / "inside"):
        done = run("--data", str(tmp_path / "site"), "backup", str(target))
        assert done.returncode == 2
        assert "already, or in the site's own folder" in done.stderr


def test_there_is_no_backup_of_a_site_that_was_never_made_whole(tmp_path: Path) -> None:
    """Its first start makes the users; a copy without their passwords could not go on with it."""
    write(Settings(data=str(tmp_path / "site"), database="embedded"))
    done = run("--data", str(tmp_path / "site"), "backup", str(tmp_path / "copy"))
    assert done.returncode == 2
    assert "was never made whole: `chronova up` first" in done.stderr
    assert not (tmp_path / "copy").exists()


def test_a_backup_holds_the_keys_and_the_login_to_what_is_elsewhere(tmp_path: Path) -> None:
    """Nobody here could make another password of a Kafka or Postgres of one's own."""
    site, copy = tmp_path / "site", tmp_path / "copy"
    login = {"sasl_plain_username": "c", "sasl_plain_password": "of-the-broker"}
    database = "postgresql://c:of-the-database@db/c"
    write(Settings(data=str(site), log="kafka://k:9092", log_options=login, database=database))
    kept = ("host-proof.key", "token-keys/1", "secrets/keys/1", "secrets/sealed/1")
    for name in (*kept, "clouds.yaml", "openrc.new", "kcat.conf", "consumer.properties"):
        (site / name).parent.mkdir(parents=True, exist_ok=True)
        (site / name).write_text(name)
    done = run("--data", str(site), "backup", str(copy))
    assert done.returncode == 0, done.stderr
    assert {str(p.relative_to(copy)) for p in copy.rglob("*") if p.is_file()} == {
        *kept,
        "chronova.toml",
    }
    there = load(str(copy), {})
    assert (there.log_options, there.database) == (login, database)
    assert "with a password if it has one" in " ".join(done.stdout.split())


def test_without_the_admins_password_no_file_is_written(tmp_path: Path) -> None:
    """Those of a restored site stay away until there is something right to write."""
    settings = Settings(data=str(tmp_path))
    known = credentials.read(settings, {})
    assert known == credentials.Credentials("", "")
    credentials.write(settings, known)
    assert list(tmp_path.iterdir()) == []
    credentials.write(settings, credentials.Credentials("of the admin", ""))
    assert credentials.read(settings, {}) == credentials.Credentials("of the admin", "")
    assert credentials.read(Settings(data=str(tmp_path / "x")), {credentials.ENVIRONMENT: "e"}) == (
        credentials.Credentials("e", "")
    )
