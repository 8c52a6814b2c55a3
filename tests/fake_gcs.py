"""Google Cloud Storage on loopback: of its JSON API what gcsfs, tensorstore and tensorboardX use.

Objects are kept in memory. `python fake_gcs.py` serves until it is killed, and prints its address.
"""

import json
import re
import threading
from email.message import Message
from email.parser import BytesParser
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import NamedTuple
from urllib.parse import parse_qs, unquote, urlsplit

_OBJECT = re.compile(r"/(?:download/)?storage/v1/b/([^/]+)/o/([^/]+)")
_OBJECTS = re.compile(r"/storage/v1/b/([^/]+)/o")
_UPLOAD = re.compile(r"/upload/storage/v1/b/([^/]+)/o")
_COPY = re.compile(r"/storage/v1/b/([^/]+)/o/([^/]+)/(?:rewriteTo|copyTo)/b/([^/]+)/o/([^/]+)")
_MOVE = re.compile(r"/storage/v1/b/([^/]+)/o/([^/]+)/moveTo/o/([^/]+)")
_TIME = "2025-01-01T00:00:00.000Z"


class Object(NamedTuple):
    data: bytes
    generation: int


class FakeGCS:
    """A server in threads of this process.

    Attributes:
      objects: what is kept, by bucket/name.
      environment: variables by which libraries find it, without keys and without the network.
    """

    def __init__(self) -> None:
        self.objects: dict[str, Object] = {}
        self.lock = threading.Lock()
        self.sessions: dict[str, tuple[str, bytes]] = {}
        self.generation = 0
        handler = type("Handler", (_Handler,), {"store": self})
        self.server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
        self.server.daemon_threads = True
        self.url = f"http://127.0.0.1:{self.server.server_port}"
        self.environment = {
            "STORAGE_EMULATOR_HOST": self.url,
            "TENSORSTORE_GCS_HTTP_URL": self.url,
            "FSSPEC_GS_TOKEN": "anon",
            "GOOGLE_CLOUD_PROJECT": "fake",
            "GCE_METADATA_ROOT": "127.0.0.1:9",
            "NO_GCE_CHECK": "true",
        }

    def __enter__(self) -> "FakeGCS":
        threading.Thread(target=self.server.serve_forever, daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self.server.shutdown()
        self.server.server_close()

    def put(self, name: str, data: bytes, expected: str | None) -> Object | None:
        """Keeps an object; None where its generation (0: it is absent) is not the expected one."""
        with self.lock:
            found = self.objects[name].generation if name in self.objects else 0
            if expected is not None and int(expected) != found:
                return None
            self.generation += 1
            self.objects[name] = Object(data, self.generation)
            return self.objects[name]


class _Handler(BaseHTTPRequestHandler):
    store: FakeGCS
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    wbufsize = -1

    def do_GET(self) -> None:
        path, query = self._target()
        if match := _OBJECT.fullmatch(path):
            name = _name(*match.groups())
            found = self.store.objects.get(name)
            if found is None:
                self._fail(404)
            elif query.get("alt") == "media":
                self._media(found)
            else:
                self._json(_metadata(name, found))
        elif match := _OBJECTS.fullmatch(path):
            self._json(self._listed(unquote(match[1]), query))
        else:
            self._json({"kind": "storage#bucket", "name": path.rsplit("/", 1)[1]})

    def do_POST(self) -> None:
        path, query = self._target()
        body = self._body()
        if "upload_id" in query:
            self._part(query, body)
        elif match := _UPLOAD.fullmatch(path):
            self._upload(unquote(match[1]), query, body)
        elif match := _COPY.fullmatch(path):
            self._copy(_name(*match.groups()[:2]), _name(*match.groups()[2:]), moved=False)
        elif match := _MOVE.fullmatch(path):
            self._copy(_name(match[1], match[2]), _name(match[1], match[3]), moved=True)
        else:
            self._fail(501)

    def _copy(self, source: str, name: str, moved: bool) -> None:
        found = self.store.objects.get(source)
        if found is None:
            self._fail(404)
            return
        about = _metadata(name, self.store.put(name, found.data, None))
        if moved:
            del self.store.objects[source]
        self._json(about if moved else {"done": True, "resource": about})

    def do_PUT(self) -> None:
        self._part(self._target()[1], self._body())

    def _part(self, query: dict[str, str], body: bytes) -> None:
        """A part of a resumable upload."""
        name, sofar = self.store.sessions[query["upload_id"]]
        data = sofar + body
        total = self.headers["Content-Range"].rpartition("/")[2]
        if total == "*" or len(data) < int(total):
            self.store.sessions[query["upload_id"]] = name, data
            self._answer(308, b"", {"Range": f"bytes=0-{len(data) - 1}"} if data else {})
        else:
            del self.store.sessions[query["upload_id"]]
            self._stored(name, data, query)

    def do_DELETE(self) -> None:
        path, query = self._target()
        match = _OBJECT.fullmatch(path)
        name = _name(*match.groups()) if match else ""
        with self.store.lock:
            found = self.store.objects.get(name)
            expected = query.get("ifGenerationMatch")
            refused = found and expected is not None and int(expected) != found.generation
            if found and not refused:
                del self.store.objects[name]
        if found is None or refused:
            self._fail(412 if refused else 404)
        else:
            self._answer(204, b"")

    def _upload(self, bucket: str, query: dict[str, str], body: bytes) -> None:
        kind = query["uploadType"]
        if kind == "media":
            self._stored(f"{bucket}/{query['name']}", body, query)
        elif kind == "multipart":
            head = f"Content-Type: {self.headers['Content-Type']}\r\n\r\n".encode()
            about, media = BytesParser().parsebytes(head + body).get_payload()
            name = query.get("name") or json.loads(about.get_payload(decode=True))["name"]
            self._stored(f"{bucket}/{name}", _bytes_of(media, body), query)
        else:
            name = query.get("name") or json.loads(body)["name"]
            with self.store.lock:
                self.store.generation += 1
                session = str(self.store.generation)
                self.store.sessions[session] = f"{bucket}/{name}", b""
            place = f"{self.store.url}{urlsplit(self.path).path}?uploadType=resumable&upload_id={session}"
            if "ifGenerationMatch" in query:
                place += f"&ifGenerationMatch={query['ifGenerationMatch']}"
            self._answer(200, b"", {"Location": place})

    def _stored(self, name: str, data: bytes, query: dict[str, str]) -> None:
        kept = self.store.put(name, data, query.get("ifGenerationMatch"))
        if kept is None:
            self._fail(412)
        else:
            self._json(_metadata(name, kept))

    def _listed(self, bucket: str, query: dict[str, str]) -> dict[str, object]:
        prefix, delimiter = query.get("prefix", ""), query.get("delimiter")
        start, end = query.get("startOffset", ""), query.get("endOffset")
        items, folders = [], set()
        with self.store.lock:
            kept = sorted(self.store.objects.items())
        for key, found in kept:
            name = key.removeprefix(f"{bucket}/")
            if name == key or not name.startswith(prefix) or name < start or (end and name >= end):
                continue
            rest = name[len(prefix) :]
            if delimiter and delimiter in rest:
                folders.add(prefix + rest.split(delimiter)[0] + delimiter)
            else:
                items.append(_metadata(key, found))
        return {"kind": "storage#objects", "items": items, "prefixes": sorted(folders)}

    def _media(self, found: Object) -> None:
        data, headers = (
            found.data,
            {"X-Goog-Generation": str(found.generation), "ETag": f'"{found.generation}"'},
        )
        if not (match := re.fullmatch(r"bytes=(\d*)-(\d*)", self.headers.get("Range", ""))):
            self._answer(200, data, headers)
            return
        first = int(match[1]) if match[1] else max(len(data) - int(match[2]), 0)
        last = min(int(match[2]) if match[1] and match[2] else len(data) - 1, len(data) - 1)
        if first > last:
            self._fail(416)
        else:
            headers["Content-Range"] = f"bytes {first}-{last}/{len(data)}"
            self._answer(206, data[first : last + 1], headers)

    def _target(self) -> tuple[str, dict[str, str]]:
        parts = urlsplit(self.path)
        query = {name: values[0] for name, values in parse_qs(parts.query, keep_blank_values=True).items()}
        return parts.path, query

    def _body(self) -> bytes:
        if self.headers.get("Transfer-Encoding") == "chunked":
            body = b""
            while size := int(self.rfile.readline().split(b";")[0], 16):
                body += self.rfile.read(size)
                self.rfile.readline()
            self.rfile.readline()
            return body
        return self.rfile.read(int(self.headers.get("Content-Length") or 0))

    def _json(self, value: object) -> None:
        self._answer(200, json.dumps(value).encode(), {"Content-Type": "application/json"})

    def _fail(self, code: int) -> None:
        error = {"error": {"code": code, "message": f"{self.command} {self.path}"}}
        self._answer(code, json.dumps(error).encode(), {"Content-Type": "application/json"})

    def _answer(self, code: int, body: bytes, headers: dict[str, str] | None = None) -> None:
        self.send_response(code)
        for name, value in {**(headers or {}), "Content-Length": str(len(body))}.items():
            self.send_header(name, value)
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        """Nothing."""


def _name(bucket: str, name: str) -> str:
    return f"{unquote(bucket)}/{unquote(name)}"


def _bytes_of(part: Message, body: bytes) -> bytes:
    """The bytes of a part of a multipart body, which the parser may have taken for text."""
    boundary = body.split(b"\r\n", 1)[0]
    media = body.split(boundary)[2]
    return media.partition(b"\r\n\r\n")[2].removesuffix(b"\r\n")


def _metadata(key: str, found: Object) -> dict[str, object]:
    bucket, _, name = key.partition("/")
    return {
        "kind": "storage#object",
        "bucket": bucket,
        "name": name,
        "size": str(len(found.data)),
        "generation": str(found.generation),
        "metageneration": "1",
        "timeCreated": _TIME,
        "updated": _TIME,
    }
