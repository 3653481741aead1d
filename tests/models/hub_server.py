"""What of Hugging Face's hub `huggingface_hub` asks for, on this machine, in memory."""

import base64
import contextlib
import hashlib
import json
import re
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


class Hub:
    """Repositories as lists of commits; `asked` is every (method, path)."""

    def __init__(self):
        self.repositories, self.private, self.asked = {}, set(), []
        self.forbids = self.breaks = False
        self.url = None

    def commit(self, repository, files):
        """Adds a commit and returns its name: `files` (name -> bytes) over those of the last."""
        commits = self.repositories.setdefault(repository, [])
        name = hashlib.sha1(f"{repository} {len(commits)}".encode()).hexdigest()
        commits.append((name, {**(commits[-1][1] if commits else {}), **files}))
        return name

    def find(self, repository, revision):
        """(commit, its files), or `None`."""
        commits = self.repositories.get(repository) or []
        if revision == "main":
            return commits[-1] if commits else None
        return next((one for one in commits if one[0] == revision), None)

    def answer(self, method, path, body):
        """(status, JSON or bytes, headers)."""
        if self.breaks:
            return 500, {}, {}
        if (found := re.fullmatch(r"/([^/]+/[^/]+)/resolve/([^/]+)/(.+)", path)) is not None:
            return self._file(*found.groups())
        if path == "/api/repos/create":
            return self._create(json.loads(body))
        if path == "/api/validate-yaml":
            return 200, {"errors": [], "warnings": []}, {}
        found = re.fullmatch(r"/api/models/([^/]+/[^/]+?)(?:/(\w+)/([^/]+))?", path)
        # such as counts of who uses which library
        if found is None:
            return 404, {}, {}
        repository, verb, revision = found[1], found[2] or "revision", found[3] or "main"
        if repository not in self.repositories:
            return 404, {}, {"X-Error-Code": "RepoNotFound"}
        if verb == "preupload":
            wanted = [one["path"] for one in json.loads(body)["files"]]
            modes = {"uploadMode": "regular", "shouldIgnore": False}
            return 200, {"files": [{"path": one, **modes} for one in wanted]}, {}
        if verb == "commit":
            return self._commit(repository, body)
        if (commit := self.find(repository, revision)) is None:
            return 404, {}, {"X-Error-Code": "RevisionNotFound"}
        if verb == "tree":
            rows = [
                {"type": "file", "path": name, "size": len(data), "oid": _tag(data)}
                for name, data in commit[1].items()
            ]
            return 200, rows, {}
        siblings = [{"rfilename": name} for name in commit[1]]
        return 200, {"id": repository, "sha": commit[0], "siblings": siblings}, {}

    def _file(self, repository, revision, name):
        commit = self.find(repository, revision)
        if commit is None or name not in commit[1]:
            return 404, {}, {"X-Error-Code": "EntryNotFound"}
        data = commit[1][name]
        return 200, data, {"ETag": f'"{_tag(data)}"', "X-Repo-Commit": commit[0]}

    def _create(self, wanted):
        if self.forbids:
            return 403, {"error": "You have not the rights"}, {}
        repository = f"{wanted['organization']}/{wanted['name']}"
        if repository in self.repositories:
            return 409, {"url": f"{self.url}/{repository}"}, {}
        self.repositories[repository] = []
        if wanted.get("private") or wanted.get("visibility") == "private":
            self.private.add(repository)
        return 200, {"url": f"{self.url}/{repository}"}, {}

    def _commit(self, repository, body):
        lines = [json.loads(line) for line in body.splitlines()]
        files = [line["value"] for line in lines if line["key"] == "file"]
        name = self.commit(
            repository, {file["path"]: base64.b64decode(file["content"]) for file in files}
        )
        url = f"{self.url}/{repository}/commit/{name}"
        return 200, {"success": True, "commitOid": name, "commitUrl": url}, {}


def _tag(data):
    return hashlib.sha1(data).hexdigest()


@contextlib.contextmanager
def serving():
    """A `Hub` that answers at its `url`."""
    hub = Hub()

    class Handler(BaseHTTPRequestHandler):
        def _answer(self):
            path = self.path.split("?")[0]
            hub.asked.append((self.command, path))
            body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
            status, content, headers = hub.answer(self.command, path, body)
            data = content if isinstance(content, bytes) else json.dumps(content).encode()
            self.send_response(status)
            for name, value in {**headers, "Content-Length": len(data)}.items():
                self.send_header(name, str(value))
            self.end_headers()
            if self.command != "HEAD":
                self.wfile.write(data)

        do_GET = do_HEAD = do_POST = _answer

        def log_message(self, *_):
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    hub.url = f"http://127.0.0.1:{server.server_port}"
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    try:
        yield hub
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
