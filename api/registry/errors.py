"""Errors as the Schema Registry says them: ``{"error_code": 40401, "message": "…"}``.

Codes and sentences are Confluent's, as clients match on them.
"""

from __future__ import annotations

import falcon
import orjson

MEDIA_TYPE = "application/vnd.schemaregistry.v1+json"

ALLOWED_VERSIONS = 'Allowed values are between [1, 2^31-1] and the string "latest"'


def render_error(status: int, code: str, detail: str) -> tuple[bytes, str]:
    """The body and its content type. ``code`` is the registry's own code, if it has one."""
    body = {"error_code": int(code) if code else status, "message": detail}
    return orjson.dumps(body), MEDIA_TYPE


def no_subject(name: str) -> falcon.HTTPError:
    """Nothing is called so."""
    return falcon.HTTPNotFound(code="40401", description=f"Subject '{name}' not found.")


def no_version(version: str) -> falcon.HTTPError:
    """The subject has no such version."""
    return falcon.HTTPNotFound(code="40402", description=f"Version {version} not found.")


def no_schema(id: int | None = None) -> falcon.HTTPError:
    """No schema has that id, or no version of the subject is that schema."""
    which = "Schema" if id is None else f"Schema {id}"
    return falcon.HTTPNotFound(code="40403", description=f"{which} not found")


def bad_version(version: str) -> falcon.HTTPError:
    """Not a version at all."""
    detail = f"The specified version '{version}' is not a valid version id. {ALLOWED_VERSIONS}"
    return falcon.HTTPUnprocessableEntity(code="42202", description=detail)


def bad_schema(reason: str) -> falcon.HTTPError:
    """The body holds no schema."""
    detail = f"Invalid schema: {reason}"
    return falcon.HTTPUnprocessableEntity(code="42201", description=detail)


def read_only(subject: str = "") -> falcon.HTTPError:
    """Schemas come with the software and are changed nowhere else."""
    which = f"Subject {subject}" if subject else "The registry"
    return falcon.HTTPUnprocessableEntity(
        code="42205", description=f"{which} is in read-only mode: schemas come with Chronova"
    )
