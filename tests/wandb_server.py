"""A W&B server on the loopback: as much of its GraphQL, file stream and uploads as the real client needs.

It keeps what it is sent, and can be told to fail: to be down or silent, to refuse the key or a project, to have deleted
a run.
"""

from __future__ import annotations

import base64
import contextlib
import gzip
import json
import re
import socket
import threading
import uuid
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

ENTITY = "lab"


@dataclass
class Run:
    name: str
    project: str
    told: dict[str, Any] = field(default_factory=dict)
    """What upsertBucket was told: group, jobType, tags, displayName, ..."""
    config: dict[str, Any] = field(default_factory=dict)
    history: list[str] = field(default_factory=list)
    summary: dict[str, Any] = field(default_factory=dict)
    events: int = 0
    state: str = "running"
    deleted: bool = False

    @property
    def rows(self) -> list[dict[str, Any]]:
        return [json.loads(line) for line in self.history]

    @property
    def settings(self) -> dict[str, Any]:
        """The config as users see it."""
        return {name: entry["value"] for name, entry in self.config.items() if name != "_wandb"}


class WandbServer:
    """What was sent, and how to fail."""

    def __init__(self) -> None:
        self.runs: dict[str, Run] = {}
        self.views: dict[str, dict[str, Any]] = {}
        """Workspaces and reports by id, as they were last saved."""
        self.artifacts: list[dict[str, Any]] = []
        self.uploads: dict[str, bytes] = {}
        self.asked: list[str] = []
        """Names of the operations, in order."""
        self.unknown: list[str] = []
        self.refuses = False
        """Any key; the answer repeats it."""
        self.forbidden = ""
        """A project that is not ours to write in."""
        self.down = False
        self.silent = False
        """It takes requests, and answers none."""
        self.released = threading.Event()
        self.projects: set[str] = set()
        """Made without a run."""
        self.changes = 0
        """Requests that changed something."""
        self.lock = threading.RLock()
        self.heard = threading.Condition(self.lock)
        self.url = ""
        self._numbered = 0

    # GraphQL

    def answer(self, operation: str, query: str, variables: dict[str, Any]) -> tuple[int, Any]:
        """Status and body."""
        with self.heard:
            self.asked.append(operation)
            method = getattr(self, f"_{operation}", None)
            self.heard.notify_all()
            if method is None:
                self.unknown.append(f"{operation}: {query}")
                return 400, {"errors": [{"message": f"Cannot query {operation}"}]}
            found = method(query, variables)
            return found if isinstance(found, tuple) else (200, {"data": found})

    def _viewer(self, *_: Any) -> Any:
        who = {"id": "VXNlcjox", "entity": ENTITY, "username": ENTITY, "name": ENTITY, "email": "a@b", "flags": "{}"}
        who |= {"teams": {"edges": []}, "admin": False, "deletedAt": None, "apiKeys": {"edges": []}}
        return {"viewer": who | {"defaultEntity": {"name": ENTITY}}}

    _Viewer = _GetViewer = _GetDefaultEntity = _viewer

    def _ServerFeaturesQuery(self, *_: Any) -> Any:  # noqa: N802
        return {"serverInfo": {"features": []}}

    def _RunResumeStatus(self, _: str, asked: dict[str, Any]) -> Any:  # noqa: N802
        run = self.there(asked["name"])
        bucket = None
        if run is not None:
            bucket = self._bucket(run) | {
                "logLineCount": 0,
                "eventsLineCount": run.events,
                "historyTail": json.dumps(run.history[-1:]),
                "eventsTail": "[]",
                "wandbConfig": json.dumps({"t": 1}),
            }
        entity = {"id": "e", "name": ENTITY}
        return {"model": {"id": "p", "name": asked["project"], "entity": entity, "bucket": bucket}}

    def there(self, name: str) -> Run | None:
        run = self.runs.get(name)
        return None if run is None or run.deleted else run

    def _bucket(self, run: Run) -> dict[str, Any]:
        return {
            "id": f"id-{run.name}",
            "name": run.name,
            "displayName": run.told.get("displayName"),
            "description": None,
            "notes": run.told.get("notes"),
            "config": json.dumps(run.config),
            "summaryMetrics": json.dumps(run.summary),
            "systemMetrics": "{}",
            "tags": run.told.get("tags") or [],
            "group": run.told.get("groupName"),
            "jobType": run.told.get("jobType"),
            "sweepName": None,
            "state": run.state,
            "historyLineCount": len(run.history),
            "historyKeys": None,
            "commit": None,
            "readOnly": False,
            "createdAt": "2026-01-01T00:00:00Z",
            "heartbeatAt": "2026-01-01T00:00:00Z",
            "user": {"name": ENTITY, "username": ENTITY},
            "projectId": 1,
            "project": {"id": "p", "name": run.project, "entity": {"id": "e", "name": ENTITY}},
        }

    def _UpsertBucket(self, _: str, asked: dict[str, Any]) -> Any:  # noqa: N802
        name = asked.get("name") or asked["id"].removeprefix("id-")
        if self.forbidden and asked.get("project") == self.forbidden:
            return 403, {"errors": [{"message": "permission denied"}]}
        fresh = name not in self.runs
        run = self.runs.setdefault(name, Run(name, asked.get("project") or ""))
        if run.deleted:
            path = f"{ENTITY}/{run.project}/{name}"
            message = f"run {path} was previously created and deleted; try a new run name"
            return 409, {"errors": [{"message": message}]}
        self.changes += 1
        run.told |= {key: value for key, value in asked.items() if value is not None and key != "config"}
        if asked.get("config"):
            run.config |= json.loads(asked["config"])
        run.state = asked.get("state") or "running"
        return {"upsertBucket": {"bucket": self._bucket(run), "inserted": fresh}}

    def _Runs(self, _: str, asked: dict[str, Any]) -> Any:  # noqa: N802
        wanted = json.loads(asked["filters"]).get("name", {}).get("$in")
        found = [run for run in self.runs.values() if not run.deleted and run.project == asked["project"]]
        found = [run for run in found if wanted is None or run.name in wanted]
        edges = [{"node": self._bucket(run), "cursor": run.name} for run in found]
        if asked["project"] not in self._projects():
            return {"project": None}
        page = {"edges": edges, "pageInfo": {"endCursor": None, "hasNextPage": False}}
        return {"project": {"internalId": "1", "runCount": len(found), "readOnly": False, "runs": page}}

    def _CreateRunFiles(self, _: str, asked: dict[str, Any]) -> Any:  # noqa: N802
        files = [{"name": name, "uploadUrl": self._place(name)} for name in asked["files"]]
        return {"createRunFiles": {"runID": f"id-{asked['run']}", "uploadHeaders": [], "files": files}}

    def _MarkRunFilesUploaded(self, *_: Any) -> Any:  # noqa: N802
        return {"markRunFilesUploaded": {"success": True}}

    def _RunState(self, _: str, asked: dict[str, Any]) -> Any:  # noqa: N802
        run = self.there(asked["run"])
        return {"project": {"run": run and {"id": f"id-{run.name}", "state": run.state}}}

    def _GetProjects(self, *_: Any) -> Any:  # noqa: N802
        names = sorted(self._projects())
        about = {"__typename": "Project", "entityName": ENTITY, "createdAt": "", "isBenchmark": False, "user": None}
        edges = [{"node": about | {"id": name, "name": name}} for name in names]
        page = {"__typename": "PageInfo", "endCursor": None, "hasNextPage": False}
        return {"models": {"pageInfo": page, "edges": edges}}

    def _projects(self) -> set[str]:
        return self.projects | {run.project for run in self.runs.values()}

    def _CreateProject(self, _: str, asked: dict[str, Any]) -> Any:  # noqa: N802
        self.changes += 1
        name = asked["input"]["name"]
        self.projects.add(name)
        project = {
            "id": "p",
            "name": name,
            "entityName": ENTITY,
            "description": None,
            "access": "PRIVATE",
            "views": "{}",
        }
        return {"result": {"project": project, "model": project, "inserted": True}}

    def _SpecificReport(self, _: str, asked: dict[str, Any]) -> Any:  # noqa: N802
        known = asked["reportId"]
        return {"view": self._told_view(known) if known in self.views else None}

    def _ProjectInternalId(self, *_: Any) -> Any:  # noqa: N802
        return {"project": {"id": "p", "internalId": "1"}}

    def _upsertView(self, _: str, asked: dict[str, Any]) -> Any:  # noqa: N802
        if asked["projectName"] not in self._projects():
            return 404, {"errors": [{"message": "project not found"}]}
        self.changes += 1
        known = asked.get("id")
        if known and known not in self.views:
            return 404, {"errors": [{"message": "view not found"}]}
        self._numbered += not known
        found = known or base64.b64encode(f"View:{self._numbered}".encode()).decode()  # as theirs are
        self.views[found] = self.views.get(found, {}) | {key: value for key, value in asked.items() if value}
        return {"upsertView": {"view": self._told_view(found), "inserted": not known}}

    def _told_view(self, found: str) -> dict[str, Any]:
        view = self.views[found]
        project = {"id": "p", "name": view["projectName"], "entityName": ENTITY}
        told = {"id": found, "displayName": view.get("displayName"), "type": view["type"], "name": view.get("name")}
        told |= {
            "spec": view["spec"],
            "project": project,
            "description": view.get("description", ""),
            "createdAt": None,
            "updatedAt": None,
        }
        return told

    _UpsertView2 = _upsertView

    def _View(self, _: str, asked: dict[str, Any]) -> Any:  # noqa: N802
        edges = [
            {"node": {"id": known, "displayName": view["displayName"], "spec": view["spec"]}}
            for known, view in self.views.items()
            if view.get("name") == asked["viewName"]
        ]
        return {"project": {"allViews": {"edges": edges}}}

    def _FetchArtifactDigestAlgorithm(self, *_: Any) -> Any:  # noqa: N802
        return {"project": {"artifactType": None}}

    def _ArtifactType(self, *_: Any) -> Any:  # noqa: N802
        return {"project": {"artifact": None}}

    def _XXHashDigestsEnabled(self, *_: Any) -> Any:  # noqa: N802
        return {"entity": {"xxhashDigestsEnabled": False}}

    def _OrganizationCoreWeaveOrganizationID(self, *_: Any) -> Any:  # noqa: N802
        return {"entity": {"organization": None}}

    def _CreateArtifact(self, _: str, asked: dict[str, Any]) -> Any:  # noqa: N802
        told = asked["input"]
        self.changes += 1
        self.artifacts.append(told)
        sequence = {"latestArtifact": None}
        artifact = {"id": f"artifact{len(self.artifacts) - 1}", "state": "PENDING", "artifactSequence": sequence}
        return {"createArtifact": {"artifact": artifact}}

    def _CreateArtifactManifest(self, _: str, asked: dict[str, Any]) -> Any:  # noqa: N802
        file = {"id": "file", "uploadUrl": self._place("manifest"), "uploadHeaders": []}
        return {"createArtifactManifest": {"artifactManifest": {"id": "manifest", "file": file}}}

    def _UpdateArtifactManifest(self, *_: Any) -> Any:  # noqa: N802
        file = {"id": "file", "uploadUrl": self._place("manifest"), "uploadHeaders": []}
        return {"updateArtifactManifest": {"artifactManifest": {"id": "manifest", "file": file}}}

    def _CreateArtifactFiles(self, _: str, asked: dict[str, Any]) -> Any:  # noqa: N802
        nodes = [
            {
                "storagePath": f"kept/{one['name']}",
                "uploadUrl": self._place(one["name"]),
                "uploadHeaders": [],
                "uploadMultipartUrls": None,
                "artifact": {"id": one["artifactID"]},
            }
            for one in asked["input"]["artifactFiles"]
        ]
        return {"createArtifactFiles": {"files": {"edges": [{"node": node} for node in nodes]}}}

    def _CommitArtifact(self, _: str, asked: dict[str, Any]) -> Any:  # noqa: N802
        told = self.artifacts[int(asked["artifactID"].removeprefix("artifact"))]
        told["committed"] = True
        return {"commitArtifact": {"artifact": {"id": asked["artifactID"], "digest": told["digest"]}}}

    def _place(self, name: str) -> str:
        return f"{self.url}/upload/{uuid.uuid4().hex}/{name}"

    # The file stream

    def stream(self, run: Run, body: dict[str, Any]) -> dict[str, Any]:
        with self.heard:
            self.changes += 1
            for name, chunk in (body.get("files") or {}).items():
                if name == "wandb-history.jsonl":
                    del run.history[int(chunk["offset"]) :]
                    run.history += chunk["content"]
                elif name == "wandb-summary.json":
                    run.summary = json.loads(chunk["content"][-1])
                elif name == "wandb-events.jsonl":
                    run.events = int(chunk["offset"]) + len(chunk["content"])
            if body.get("complete"):
                run.state = "finished" if body.get("exitcode") == 0 else "failed"
            if body.get("preempting"):
                run.told["preempting"] = True
            self.heard.notify_all()
        return {"exitcode": None, "limits": {}}

    # For tests

    def wait(self, what: Any, seconds: float = 60.0) -> None:
        """Until a request has made `what` true."""
        with self.heard:
            assert self.heard.wait_for(what, seconds), (self.asked, self.unknown)


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: _Http

    def log_message(self, *_: Any) -> None:
        pass

    def _refused(self) -> bool:
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        self.body = gzip.decompress(body) if self.headers.get("Content-Encoding") == "gzip" else body
        wandb = self.server.wandb
        if wandb.down:
            self.close_connection = True
            with contextlib.suppress(OSError):
                self.connection.shutdown(socket.SHUT_RDWR)
            return True
        if wandb.silent:
            self.close_connection = True
            wandb.released.wait(60)
            return True
        if wandb.refuses and "/upload/" not in self.path:
            key = base64.b64decode(self.headers.get("Authorization", "").removeprefix("Basic ")).decode()
            self._send(401, {"errors": [{"message": f"invalid API key {key.removeprefix('api:')}"}]})
            return True
        return False

    def do_POST(self) -> None:
        if self._refused():
            return
        wandb = self.server.wandb
        told = json.loads(self.body or b"{}")
        if self.path.endswith("/graphql"):
            query = told["query"]
            name = re.search(r"(?:query|mutation)\s+(\w+)", query)
            operation = told.get("operationName") or (name.group(1) if name else "viewer")
            self._send(*wandb.answer(operation, query, told.get("variables") or {}))
        elif found := re.search(r"/files/[^/]+/[^/]+/([^/]+)/file_stream", self.path):
            run = wandb.there(found.group(1))
            if run is None:
                self._send(404, {})
            else:
                self._send(200, wandb.stream(run, told))
        else:
            self._send(404, {})

    def do_PUT(self) -> None:
        if self._refused():
            return
        self.server.wandb.uploads[self.path.rpartition("/")[2]] = self.body
        self._send(200, {})

    def do_GET(self) -> None:
        if not self._refused():
            self._send(404, {})

    def _send(self, status: int, value: Any) -> None:
        data = json.dumps(value).encode()
        with contextlib.suppress(OSError):
            self.send_response(status)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(data)))
            self.end_headers()
            self.wfile.write(data)


class _Http(ThreadingHTTPServer):
    daemon_threads = True
    wandb: WandbServer

    def handle_error(self, *_: Any) -> None:
        pass  # a client that went away


@contextlib.contextmanager
def serving() -> Iterator[WandbServer]:
    """The server on a free port, for a while."""
    wandb = WandbServer()
    http = _Http(("127.0.0.1", 0), _Handler)
    http.wandb = wandb
    wandb.url = f"http://127.0.0.1:{http.server_port}"
    thread = threading.Thread(target=http.serve_forever, args=(0.05,), daemon=True)
    thread.start()
    try:
        yield wandb
    finally:
        wandb.released.set()
        http.shutdown()
        http.server_close()
        thread.join()
