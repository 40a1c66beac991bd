"""Paths and methods to handlers, versions in paths, and the query string as Docker reads it."""

import pytest

from boxship.api.request import Head, Peer, Query, Request, Response
from boxship.api.router import Route, Router
from boxship.api.versions import LATEST, split_version
from boxship.errors import InvalidArgumentError


def request(method: str, path: str) -> Request:
    head = Head(method, path, LATEST, "", {})
    return Request(head, None, Peer())  # type: ignore[arg-type]  # routing needs no transport


async def _image(one: Request) -> Response:
    return Response(200, one.params["name"].encode())


async def _list(_one: Request) -> Response:
    return Response(200, b"list")


ROUTER = Router(
    (
        Route("GET", "/images/json", _list),
        Route("GET", "/images/{name}/json", _image),
        Route("DELETE", "/images/{name}", _image),
    )
)


@pytest.mark.parametrize(
    ("method", "path", "status", "body"),
    [
        ("GET", "/images/json", 200, b"list"),
        ("GET", "/images/json/", 200, b"list"),
        ("GET", "/images/busybox/json", 200, b"busybox"),
        ("GET", "/images/localhost:5000/a/b:c/json", 200, b"localhost:5000/a/b:c"),
        ("DELETE", "/images/a/b@sha256:00", 200, b"a/b@sha256:00"),
        ("POST", "/images/json", 404, b'{"message":"page not found"}'),
        ("GET", "/nothing", 404, b'{"message":"page not found"}'),
    ],
)
async def test_routes(method: str, path: str, status: int, body: bytes) -> None:
    answer = await ROUTER(request(method, path))
    assert answer is not None
    assert (answer.status, answer.body) == (status, body)


@pytest.mark.parametrize(
    ("path", "version", "rest"),
    [
        ("/v1.41/info", (1, 41), "/info"),
        ("/v1.99/info", (1, 99), "/info"),
        ("/v1.24/", (1, 24), "/"),
        ("/info", LATEST, "/info"),
        ("/volumes", LATEST, "/volumes"),
        ("/volumes/v1.41", LATEST, "/volumes/v1.41"),
        ("/v1/info", LATEST, "/v1/info"),
        ("/v1.x/info", LATEST, "/v1.x/info"),
    ],
)
def test_versions_in_paths(path: str, version: tuple[int, int], rest: str) -> None:
    assert split_version(path) == (version, rest)


@pytest.mark.parametrize("text", ["1", "true", "True", "t", "yes", "anything"])
def test_flags_that_are_true(text: str) -> None:
    assert Query(f"all={text}").flag("all")


@pytest.mark.parametrize("text", ["", "0", "no", "false", "False", "none"])
def test_flags_that_are_false(text: str) -> None:
    assert not Query(f"all={text}").flag("all")


def test_an_absent_flag_is_its_default() -> None:
    assert not Query("").flag("all")
    assert Query("").flag("all", default=True)


def test_numbers() -> None:
    query = Query("t=-1&n=")
    assert query.integer("t") == -1
    assert query.integer("n", 7) == 7
    assert query.optional_integer("n") is None
    with pytest.raises(InvalidArgumentError, match="invalid value 'x' for query parameter t"):
        Query("t=x").integer("t")


@pytest.mark.parametrize("text", ['{"label":{"a=b":true,"c":true}}', '{"label":["a=b","c"]}'])
def test_filters_in_both_forms(text: str) -> None:
    assert Query(f"filters={text}").filters() == {"label": ("a=b", "c")}


def test_a_filter_value_said_false_is_left_out() -> None:
    assert Query('filters={"label":{"a":false}}').filters() == {"label": ()}


@pytest.mark.parametrize("text", ["{", "[]", '{"label":"a"}', '{"label":{"a":1}}'])
def test_what_is_no_filter_is_refused(text: str) -> None:
    with pytest.raises(InvalidArgumentError, match="invalid filter"):
        Query(f"filters={text}").filters()
