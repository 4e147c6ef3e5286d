"""What is above and beneath a project, for ``?parents_as_list`` and its like."""

from __future__ import annotations

from typing import Any

import falcon

from api.identity.directory import Directory
from api.identity.listings import linked, present
from projections.identity.listing import Match, documents
from projections.identity.projects import PROJECTS

Item = dict[str, Any]


def with_hierarchy(directory: Directory, req: falcon.Request, project: Item) -> Item:
    """The project with ``parents`` and ``subtree`` as the query asks for them."""
    asked = {
        form: [present(req, f"{form}_as_{shape}") for shape in ("list", "ids")]
        for form in ("parents", "subtree")
    }
    if not any(any(shapes) for shapes in asked.values()):
        return project
    same = documents(directory.engine, PROJECTS, [Match("domain_id", project["domain_id"])])
    by_id = {item["id"]: item for item in same}
    beneath: dict[str, list[Item]] = {}
    for item in same:
        beneath.setdefault(item["parent_id"], []).append(item)
    made = dict(project)
    for form, (as_list, as_ids) in asked.items():
        if as_list:
            items = _above(by_id, project) if form == "parents" else _all(beneath, project)
            made[form] = [{"project": linked(directory, "projects", item)} for item in items]
        elif as_ids:
            made[form] = (
                _above_ids(by_id, project) if form == "parents" else _tree(beneath, project)
            )
    return made


def _above(by_id: dict[str, Item], project: Item) -> list[Item]:
    found = []
    while (parent := by_id.get(project["parent_id"])) is not None:
        found.append(parent)
        project = parent
    return found


def _above_ids(by_id: dict[str, Item], project: Item) -> Item:
    ids: Any = None
    for id in reversed([p["id"] for p in _above(by_id, project)] + [project["domain_id"]]):
        ids = {id: ids}
    return dict(ids)


def _all(beneath: dict[str, list[Item]], project: Item) -> list[Item]:
    found = []
    waiting = [project]
    while waiting:
        children = beneath.get(waiting.pop()["id"], [])
        found += children
        waiting += children
    return found


def _tree(beneath: dict[str, list[Item]], project: Item) -> Item | None:
    """Ids of all beneath, nested; None for none. As deep as ``CreateProject`` lets it be."""
    children = beneath.get(project["id"], [])
    return {child["id"]: _tree(beneath, child) for child in children} or None
