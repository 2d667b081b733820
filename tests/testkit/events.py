"""The events with which a platform calls the function, in every shape, and a call with one of them."""

import json
from base64 import b64encode
from typing import Any
from urllib.parse import urlencode

from sms_login import wiring

PHONE = "+8613800138000"
Shape = Any  # a function that turns parameters and headers into an event


def gateway_json(params: dict[str, Any], headers: dict[str, str]) -> dict[str, Any]:
    """API Gateway, JSON."""
    headers = {"Content-Type": "application/json", **headers}
    context = {"requestContext": {"requestId": "gateway-1", "sourceIp": "192.0.2.1", "identity": {}}}
    return {**context, "httpMethod": "POST", "headers": headers, "body": json.dumps(params), "queryString": {}}


def gateway_query(params: dict[str, Any], headers: dict[str, str]) -> dict[str, Any]:
    """API Gateway, query string without a body, as in both demos."""
    return {"httpMethod": "GET", "headers": headers, "queryString": params, "headerParameters": {}}


def gateway_form(params: dict[str, Any], headers: dict[str, str]) -> dict[str, Any]:
    """API Gateway, form, base64."""
    headers = {"CONTENT-TYPE": "application/x-www-form-urlencoded; charset=utf-8", **headers}
    body = b64encode(urlencode(params).encode()).decode()
    return {"httpMethod": "POST", "headers": headers, "body": body, "isBase64Encoded": True}


def url_form(params: dict[str, Any], headers: dict[str, str]) -> dict[str, Any]:
    """Function URL, form."""
    headers = {"content-type": "application/x-www-form-urlencoded", **headers}
    return {"httpMethod": "POST", "path": "/", "headers": headers, "queryString": {}, "body": urlencode(params)}


def url_mixed(params: dict[str, Any], headers: dict[str, str]) -> dict[str, Any]:
    """Function URL, method in the query string, the rest as JSON with nulls."""
    body = {**params, "method": None, "token": params.get("token"), "code": params.get("code")}
    query = {"method": params["method"], "phone": "overridden by the body"} if "phone" in params else params
    return {"httpMethod": "POST", "headers": headers, "queryString": query, "body": json.dumps(body)}


SHAPES = [gateway_json, gateway_query, gateway_form, url_form, url_mixed]


def call(handler: wiring.Handler, shape: Shape, /, headers: dict[str, str] | None = None, **params: Any) -> Any:
    """Return the answer's status, headers and body, after checking the parts that all answers share."""
    answer = handler.handle(shape(params, headers or {}), {"request_id": "context-1"})
    assert answer["isBase64Encoded"] is False
    assert answer["headers"]["Content-Type"] == "application/json; charset=utf-8"
    assert answer["headers"]["Cache-Control"] == "no-store"
    body = json.loads(answer["body"])
    assert {"errorCode", "codeStr", "errorMessage", "requestId", "data"} <= body.keys()
    return answer["statusCode"], answer["headers"], body
