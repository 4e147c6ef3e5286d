"""Each route of the interface, by Confluent's API reference."""

from __future__ import annotations

import json
from typing import Any

import falcon.testing
import pytest
from hypothesis import given
from hypothesis import strategies as st

from events.message import MESSAGES, Event
from events.outcome import CommandRefused
from schemas.catalog import NotASchema, canonical, catalog, id_of

NAME = "chronova.compute.ServerCreated"
ID = id_of("compute.ServerCreated", 1)
TEXT = json.dumps(catalog().by_id(ID).schema, separators=(",", ":"))
MEDIA_TYPE = "application/vnd.schemaregistry.v1+json"

Client = falcon.testing.TestClient


def get(client: Client, path: str, status: int = 200) -> Any:
    path, _, query = path.partition("?")
    answer = client.simulate_get(f"/registry{path}", query_string=query or None)
    assert answer.status_code == status, answer.text
    assert answer.headers["content-type"] == MEDIA_TYPE
    return answer.json


def post(client: Client, path: str, body: Any, status: int = 200) -> Any:
    sent = body if isinstance(body, (str, bytes)) else json.dumps(body)
    headers = {"content-type": MEDIA_TYPE}
    answer = client.simulate_post(f"/registry{path}", body=sent, headers=headers)
    assert answer.status_code == status, answer.text
    assert answer.headers["content-type"] == MEDIA_TYPE
    return answer.json


def test_subjects(client: Client) -> None:
    names = get(client, "/subjects")
    assert names == sorted(names)
    assert {f"chronova.{message}" for message in catalog().messages()} < set(names)
    assert get(client, "/subjects?subjectPrefix=chronova.compute.ServerC") == [NAME]


def test_a_subject_has_the_committed_versions(client: Client) -> None:
    for message, versions in catalog().messages().items():
        subject = f"/subjects/chronova.{message}/versions"
        assert get(client, subject) == [version.version for version in versions]
        shown = get(client, f"{subject}/latest")
        assert (shown["id"], json.loads(shown["schema"])) == (versions[-1].id, versions[-1].schema)


@pytest.mark.parametrize("version", ["1", "latest", "-1"])
def test_a_version(client: Client, version: str) -> None:
    assert get(client, f"/subjects/{NAME}/versions/{version}") == {
        "subject": NAME,
        "version": 1,
        "id": ID,
        "schema": TEXT,
    }
    assert get(client, f"/subjects/{NAME}/versions/{version}/schema") == json.loads(TEXT)
    assert get(client, f"/subjects/{NAME}/versions/{version}/referencedby") == []


def test_an_id(client: Client) -> None:
    assert get(client, f"/schemas/ids/{ID}") == {"schema": TEXT}
    assert get(client, f"/schemas/ids/{ID}/schema") == json.loads(TEXT)
    assert get(client, f"/schemas/ids/{ID}/subjects") == [NAME]
    assert get(client, f"/schemas/ids/{ID}/versions") == [{"subject": NAME, "version": 1}]


def test_rules_and_mode(client: Client) -> None:
    assert get(client, "") == {}
    assert get(client, "/schemas/types") == ["AVRO"]
    assert get(client, "/mode") == get(client, f"/mode/{NAME}") == {"mode": "READONLY"}
    assert get(client, "/config") == {"compatibilityLevel": "FULL_TRANSITIVE"}
    for message in catalog().messages():
        shown = get(client, f"/config/chronova.{message}")
        assert shown == {"compatibilityLevel": "FULL_TRANSITIVE"}


def test_a_topic_is_the_union_of_its_records(client: Client) -> None:
    shown = get(client, "/subjects/compute.events-value/versions/latest")
    names = [
        branch if isinstance(branch, str) else f"{branch['namespace']}.{branch['name']}"
        for branch in json.loads(shown["schema"])
    ]
    events = {
        f"chronova.{message}"
        for message, cls in MESSAGES.items()
        if (issubclass(cls, Event) and cls.type_domain in ("compute", "outcome"))
        or cls.type_domain == "journal"
        if cls is not CommandRefused
    }
    assert set(names) == events
    assert canonical(shown["schema"])
    assert get(client, "/subjects/compute.events-value/versions") == [shown["version"]]
    assert get(client, f"/schemas/ids/{shown['id']}") == {"schema": shown["schema"]}


def test_a_nested_type_has_one_definition_in_a_topic() -> None:
    """A union defines each named type once: two different ones cannot share a name."""
    defined: dict[str, str] = {}
    for version in catalog().versions():
        if catalog().newest(version.message) == version:
            for name, form in records(version.schema):
                assert defined.setdefault(name, form) == form, f"{name} in {version.subject}"


@pytest.mark.parametrize(
    ("path", "status", "code", "message"),
    [
        ("/subjects/nobody/versions", 404, 40401, "Subject 'nobody' not found."),
        ("/subjects/nobody/versions/latest", 404, 40401, "Subject 'nobody' not found."),
        (f"/subjects/{NAME}/versions/99", 404, 40402, "Version 99 not found."),
        (f"/subjects/{NAME}/versions/0", 422, 42202, "The specified version '0' is not"),
        (f"/subjects/{NAME}/versions/x", 422, 42202, "The specified version 'x' is not"),
        (f"/subjects/{NAME}/versions/²", 422, 42202, "The specified version '²' is not"),
        (f"/subjects/{NAME}/versions/{1 << 31}", 422, 42202, "The specified version '2147483648'"),
        ("/schemas/ids/3", 404, 40403, "Schema 3 not found"),
        ("/schemas/ids/3/versions", 404, 40403, "Schema 3 not found"),
        ("/schemas/ids/x", 404, 404, "The resource could not be found."),
        ("/config/nobody", 404, 40401, "Subject 'nobody' not found."),
        ("/mode/nobody", 404, 40401, "Subject 'nobody' not found."),
        ("/nothing/here", 404, 404, "The resource could not be found."),
    ],
)
def test_what_is_not_there(client: Client, path: str, status: int, code: int, message: str) -> None:
    said = get(client, path, status)
    assert said["error_code"] == code
    assert said["message"].startswith(message)


def test_looking_a_schema_up(client: Client) -> None:
    reworded = {**json.loads(TEXT), "doc": "Other words."}
    for text in (TEXT, json.dumps(reworded, indent=3)):
        found = post(client, f"/subjects/{NAME}", {"schema": text})
        assert (found["subject"], found["version"], found["id"]) == (NAME, 1, ID)
        assert post(client, f"/subjects/{NAME}/versions", {"schema": text}) == {"id": ID}


@pytest.mark.parametrize(
    ("subject", "body", "status", "code"),
    [
        (NAME, {"schema": '"string"'}, 404, 40403),
        ("nobody", {"schema": TEXT}, 404, 40401),
        (NAME, {"schema": "{"}, 422, 42201),
        (NAME, {"schema": '{"type":"record"}'}, 422, 42201),
        (NAME, {"schema": "[" * 30000}, 422, 42201),
        (NAME, {"schema": json.loads(TEXT)}, 422, 42201),
        (NAME, {"schema": TEXT, "schemaType": "PROTOBUF"}, 422, 42201),
        (NAME, {}, 422, 42201),
        (NAME, [], 422, 42201),
        (NAME, "{", 400, 400),
        (NAME, b"\xff", 400, 400),
        (NAME, "", 400, 400),
        (NAME, " " * 200_000, 413, 413),
    ],
)
def test_what_cannot_be_looked_up(
    client: Client, subject: str, body: Any, status: int, code: int
) -> None:
    assert post(client, f"/subjects/{subject}", body, status)["error_code"] == code


@pytest.mark.parametrize("subject", [NAME, "mine-value"])
def test_nothing_can_be_registered(client: Client, subject: str) -> None:
    said = post(client, f"/subjects/{subject}/versions", {"schema": '"string"'}, 422)
    assert said["error_code"] == 42205
    assert subject in said["message"]


@pytest.mark.parametrize(
    ("method", "path", "status", "code"),
    [
        ("DELETE", f"/subjects/{NAME}", 422, 42205),
        ("DELETE", f"/subjects/{NAME}/versions/1", 422, 42205),
        ("PUT", "/config", 422, 42205),
        ("PUT", f"/config/{NAME}", 422, 42205),
        ("DELETE", f"/config/{NAME}", 422, 42205),
        ("PUT", "/mode", 422, 42205),
        ("PUT", "/subjects", 405, 405),
        ("POST", f"/schemas/ids/{ID}", 405, 405),
        ("PATCH", f"/subjects/{NAME}", 405, 405),
    ],
)
def test_nothing_can_be_changed(
    client: Client, method: str, path: str, status: int, code: int
) -> None:
    answer = client.simulate_request(method, f"/registry{path}", body="{}")
    assert (answer.status_code, answer.json["error_code"]) == (status, code)
    assert answer.json["message"]
    assert answer.headers["content-type"] == MEDIA_TYPE


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.sampled_from(["record", "x"]),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(["type", "name", "fields", "items", "values", "symbols", "size", "x"]),
            inner | st.sampled_from(["record", "enum", "fixed", "array", "map", "string"]),
            max_size=5,
        )
    ),
    max_leaves=12,
)


@given(JSON)
def test_any_json_is_a_schema_or_not(schema: Any) -> None:
    try:
        assert isinstance(canonical(json.dumps(schema)), str)
    except NotASchema as reason:
        assert str(reason)


def records(schema: Any) -> list[tuple[str, str]]:
    """Full name and definition of each record in ``schema``."""
    if isinstance(schema, list):
        return [found for branch in schema for found in records(branch)]
    if not isinstance(schema, dict):
        return []
    if schema["type"] != "record":
        return records(schema.get("items") or schema.get("values"))
    found = [(f"{schema['namespace']}.{schema['name']}", json.dumps(schema, sort_keys=True))]
    return found + [deeper for field in schema["fields"] for deeper in records(field["type"])]
