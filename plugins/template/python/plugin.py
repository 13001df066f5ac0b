"""newplugin: objects as files on a WebDAV server, written from the contract alone.

Each write is a file of its own, named by its write id, and reaches its name by a MOVE: nothing is ever
overwritten, nothing half-written is ever seen, and a key may be any text. Bodies are handed on unread, so their
bytes never enter Python.
"""

import json
from urllib.parse import urlsplit

from componentize_py_types import Err, Ok
from wit_world import (
    exports,
    result_option_wasi_http_types_fields_wasi_http_types_error_code_future as trailers_future,
    result_unit_wasi_http_types_error_code_future as handled_future,
)
from wit_world.exports import storage
from wit_world.imports import client, monotonic_clock
from wit_world.imports import sallyport_plugin_types as types
from wit_world.imports import wasi_http_types as http


class Opened:
    """What `open` made, for the calls that follow: each of them sees a new `Storage`."""

    server = None


OPENED = Opened()

# The one format of locators so far: the write id, a space, the size.
FORMAT = b"\x01"
LARGEST = 5 << 40


class Storage(exports.Storage):
    # ---- Pure functions

    def describe(self):
        endpoint = storage.Field(
            path="endpoint", kind="string", required=True, default=None, role="endpoint", environment=None,
            profile=None, help="The collection that holds the files, as http://host:port/path.", attributes=[],
        )
        return storage.Description(
            name="newplugin",
            version="0.1.0",
            limits=storage.Limits(max_put=LARGEST, min_part=0, max_part=0, max_parts=0, max_metadata=(1 << 32) - 1),
            fields=[endpoint],
            keeps_overwritten=True,
            attributes=[],
        )

    def validate(self, request):
        server, problem = parse(request.details)
        return storage.Validation(
            problems=[problem] if problem else [],
            egress=[] if problem else [f"{server.scheme}://{server.host}:{server.port}"],
            signing=None,
            keeps_overwritten=True,
            target="" if problem else str(server),
            attributes=[],
        )

    # ---- Lifecycle

    async def open(self, request):
        server, problem = parse(request.details)
        if problem:
            raise failure("invalid", problem.message)
        OPENED.server = server
        return storage.OpenResponse(attributes=[])

    async def check(self, request):
        answer = await self.ask("PROPFIND", "", [("depth", "0")])
        if answer.status == 404 and request.thorough:
            await self.make_collection("")
            answer = await self.ask("PROPFIND", "", [("depth", "0")])
        if answer.status == 404:
            raise failure("unavailable", "the collection is missing, and is made at the next start")
        if answer.status != 207:
            raise refused("PROPFIND", answer)
        return storage.CheckResponse(warnings=[], attributes=[])

    def namespace(self, request):
        # No two writes share a place, so the buckets of one server never meet.
        return storage.NamespaceResponse(namespace=f"{OPENED.server}#{request.bucket}/", attributes=[])

    # ---- Objects

    async def put(self, request, body, complete):
        write_id = checked(request.write_id)
        if isinstance(request.expect, types.Expectation_Bytes):
            await self.present(*read_locator(request.expect.value))
        unfinished = f"{write_id}.unfinished"
        try:
            # Unread, the body's bytes never enter the plugin.
            answer = await self.ask("PUT", unfinished, [("content-length", str(request.size))], body)
            if not 200 <= answer.status < 300:
                raise refused("PUT", answer)
            await self.finish(write_id, unfinished)
        except Err:
            # Best effort: what stays behind is no object, only a file that nobody asks for.
            try:
                await self.ask("DELETE", unfinished)
            except Err:
                pass
            raise
        return types.Stored(locator=write_locator(write_id, request.size), checksums=[], attributes=[])

    async def get(self, request):
        write_id, size = read_locator(request.locator)
        span = request.span
        headers = [("range", f"bytes={span.offset}-{span.offset + span.length - 1}")] if span else []
        answer = await self.ask("GET", file_of(write_id), headers)
        if answer.status != (206 if span else 200):
            raise refused("GET", answer)
        length = int(answer.header("content-length") or (span.length if span else size))
        offset = 0
        if span:
            offset = int((answer.header("content-range") or "bytes 0-").split()[1].split("-")[0])
        elif length != size:
            raise failure("changed", f"{write_id} has {length} bytes instead of {size}")
        return storage.GetResponse(offset=offset, length=length, attributes=[]), answer.body()

    async def head(self, request):
        write_id, size = read_locator(request.locator)
        await self.present(write_id, size)
        return storage.HeadResponse(size=size, attributes=[])

    async def delete(self, request):
        write_id, _ = read_locator(request.locator)
        answer = await self.ask_insistently("DELETE", file_of(write_id))
        if not 200 <= answer.status < 300 and answer.status != 404:
            raise refused("DELETE", answer)
        return storage.DeleteResponse(attributes=[])

    async def find(self, request):
        found = None
        # Without a write id there is nothing to find: a name has no place of its own.
        if request.write_id is not None:
            write_id = checked(request.write_id)
            size = await self.size(write_id)
            if size is not None:
                found = storage.Found(locator=write_locator(write_id, size), size=size, checksums=[])
        return storage.FindResponse(found=found, attributes=[])

    # ---- WebDAV

    async def finish(self, write_id, unfinished):
        """Gives a whole file its name, in a collection that may have to be made first."""
        headers = [("destination", OPENED.server.url(file_of(write_id))), ("overwrite", "F")]
        answer = await self.ask("MOVE", unfinished, headers)
        # 409 is the standard's word for a collection that is missing; some servers say 403 or 404.
        if answer.status in (403, 404, 409):
            await self.make_collection(f"{write_id[30:]}/")
            answer = await self.ask("MOVE", unfinished, headers)
        if answer.status in (404, 409, 412):
            raise failure("unavailable", f"MOVE was answered with {answer.status}")
        if not 200 <= answer.status < 300:
            raise refused("MOVE", answer)

    async def ask_insistently(self, method, path):
        answer = await self.ask(method, path)
        for pause in (10, 50, 200):
            # 423: another request for the same place is under way.
            if answer.status == 423:
                await monotonic_clock.wait_for(pause * 1_000_000)
                answer = await self.ask(method, path)
        return answer

    async def make_collection(self, path):
        answer = await self.ask_insistently("MKCOL", path)
        # 405: it is there already.
        if not 200 <= answer.status < 300 and answer.status != 405:
            raise refused("MKCOL", answer)

    async def present(self, write_id, size):
        found = await self.size(write_id)
        if found is None:
            raise failure("not-found", "nothing is there")
        if found != size:
            raise failure("changed", f"{write_id} has {found} bytes instead of {size}")

    async def size(self, write_id):
        answer = await self.ask("HEAD", file_of(write_id))
        if answer.status == 404:
            return None
        length = answer.header("content-length")
        if answer.status != 200 or length is None:
            raise refused("HEAD", answer)
        return int(length)

    async def ask(self, method, path, headers=(), body=None):
        # Not every server takes the empty chunked body that a DELETE or MOVE would get.
        none = [("content-length", "0")] if body is None and method not in ("GET", "HEAD") else []
        fields = http.Fields.from_list([(name, value.encode()) for name, value in [*headers, *none]])
        _, trailers = trailers_future(lambda: Ok(None))
        request, _ = http.Request.new(fields, body, trailers, None)
        request.set_method(METHODS.get(method) or http.Method_Other(method))
        request.set_scheme(http.Scheme_Https() if OPENED.server.scheme == "https" else http.Scheme_Http())
        request.set_authority(f"{OPENED.server.host}:{OPENED.server.port}")
        request.set_path_with_query(OPENED.server.path + path)
        try:
            return Answer(await client.send(request))
        except Err as error:
            raise failure("unavailable", f"no answer: {type(error.value).__name__}") from None


class Answer:
    """Status and headers, with a body that nobody read yet."""

    def __init__(self, response):
        self.status = response.get_status_code()
        self.headers = response.get_headers().copy_all()
        self.response = response

    def header(self, name):
        return next((value.decode() for known, value in self.headers if known.lower() == name), None)

    def body(self):
        _, handled = handled_future(lambda: Ok(None))
        return http.Response.consume_body(self.response, handled)[0]


class Server:
    def __init__(self, scheme, host, port, path):
        self.scheme, self.host, self.port = scheme, host, port
        self.path = path.rstrip("/") + "/"

    def url(self, path):
        return f"{self.scheme}://{self.host}:{self.port}{self.path}{path}"

    def __str__(self):
        return self.url("").rstrip("/")


METHODS = {
    "GET": http.Method_Get(), "HEAD": http.Method_Head(), "PUT": http.Method_Put(), "DELETE": http.Method_Delete(),
}


def parse(details):
    """The server of a location's details, or the problem with them."""
    text = json.loads(details).get("endpoint")
    try:
        url = urlsplit(text if isinstance(text, str) else "")
        port = url.port or {"http": 80, "https": 443}.get(url.scheme)
        if port and url.hostname and not url.query and not url.fragment and not url.username:
            return Server(url.scheme, url.hostname, port, url.path), None
    except ValueError:
        pass
    return None, storage.Problem(path="endpoint", message="is no server", fix="write http://host:port/path")


def checked(write_id):
    """What the contract allows as a write id and nothing else: it becomes part of a path."""
    if len(write_id) != 32 or set(write_id) - set("0123456789abcdef"):
        raise failure("invalid", "a write id is 32 lower-case hexadecimal digits")
    return write_id


def file_of(write_id):
    # 256 collections, so that none grows beyond what a server lists.
    return f"{write_id[30:]}/{write_id}"


def write_locator(write_id, size):
    return FORMAT + f"{write_id} {size}".encode()


def read_locator(locator):
    if locator[:1] != FORMAT:
        raise failure("invalid", "a locator of an unknown format")
    write_id, size = bytes(locator[1:]).decode().split(" ")
    return checked(write_id), int(size)


def refused(method, answer):
    codes = {401: "denied", 403: "denied", 404: "not-found", 410: "not-found", 412: "changed", 413: "too-large",
             416: "invalid", 423: "throttled", 429: "throttled", 507: "no-space"}
    code = codes.get(answer.status, "unavailable" if answer.status >= 500 else "internal")
    return failure(code, f"{method} was answered with {answer.status}")


def failure(code, message):
    retry_after = 200 if code in ("unavailable", "throttled") else None
    return Err(types.Failure(code=code, message=message, retry_after=retry_after, attributes=[]))
