"""The path names the method if neither body nor query string does."""

import io
import json
from typing import Any
from wsgiref.util import setup_testing_defaults

import pytest
import time_machine

from sms_login.http import messages
from sms_login.http.wsgi import Application
from tests.testkit.backends import fake_backend
from tests.testkit.cases import each_case
from tests.testkit.events import PHONE, Shape, call, gateway_form, gateway_json, gateway_query, url_form
from tests.testkit.world import World

PATHS = ["/getSms", "/getSms/", "/release/getSms", "/release/sms-login/getSms"]
OTHER = [
    "",
    "/",
    "//",
    "/release",
    "/sms-login",
    "/release/sms-login",
    "/getsms",
    "/getSms/x",
    "/小明",
    None,
    7,
    ["getSms"],
]


@pytest.fixture
def world(clock: time_machine.Traveller) -> World:
    """The function on a Redis in memory."""
    return World(fake_backend(), clock)


def at(path: Any, shape: Shape) -> Shape:
    """Return the shape of event with this path."""
    return lambda params, headers: {**shape(params, headers), "path": path}


@each_case("path", PATHS)
@each_case("shape", [gateway_json, gateway_query, gateway_form, url_form])
def test_the_last_segment_of_the_path_names_the_method(world: World, shape: Shape, path: str) -> None:
    """A stage and the function's name may stand before it, in every shape of event."""
    assert call(world.app, at(path, shape), phone=PHONE)[2]["codeStr"] == "Ok"
    world.backend.client.flushall()


@each_case("name", [*messages.METHODS, "jwks.json"])
def test_every_method_has_a_path(name: str) -> None:
    """Keys have a second one, /.well-known/jwks.json, where libraries look for them."""
    assert messages.method_at(f"/{name}") == name.removesuffix(".json")


@each_case("shape", [gateway_json, gateway_query, gateway_form])
def test_a_method_among_the_parameters_overrides_the_path(world: World, shape: Shape) -> None:
    """The path counts last, and only an empty method counts as absent."""
    assert call(world.app, at("/getSms", shape), method="health")[2]["data"]["redis"] == "ok"
    assert call(world.app, at("/health", shape), method="unknown")[2]["codeStr"] == "UnknownMethod"
    assert call(world.app, at("/health", shape), method="")[2]["data"]["redis"] == "ok"


@each_case("path", OTHER)
def test_another_path_is_that_of_the_one_url(world: World, path: Any) -> None:
    """A path of any type that names no method changes nothing."""
    assert call(world.app, at(path, gateway_json), method="health")[2]["data"]["redis"] == "ok"
    without, there = call(world.app, gateway_json), call(world.app, at(path, gateway_json))
    assert without[2]["codeStr"] == there[2]["codeStr"] != "Success"


def test_the_path_names_the_method_of_a_web_function(world: World) -> None:
    """The web server hands the path over; a POST needs no body, and the token may be in the header."""
    body = json.dumps({"phone": PHONE}).encode()
    environ: dict[str, Any] = {"REQUEST_METHOD": "POST", "PATH_INFO": "/getSms", "REMOTE_ADDR": "192.0.2.1"}
    environ |= {"CONTENT_TYPE": "application/json", "wsgi.input": io.BytesIO(body)}
    setup_testing_defaults(environ)
    statuses: list[str] = []
    (answer,) = Application(world.app.handle)(environ, lambda status, _headers: statuses.append(status))
    assert (statuses, json.loads(answer)["codeStr"]) == (["200 OK"], "Ok")
    empty = {**environ, "PATH_INFO": "/getUserInfo", "wsgi.input": io.BytesIO(), "HTTP_AUTHORIZATION": "Bearer x.y.z"}
    (answer,) = Application(world.app.handle)(empty, lambda status, _headers: statuses.append(status))
    assert json.loads(answer)["codeStr"] == "TokenInvalid"
