"""The actions Invoke (product SCF) and GetCallerIdentity (product STS): the functions of the account, and its user."""

import json
import time
import traceback
import uuid
from collections.abc import Callable, Mapping
from typing import Any

from local import parameters
from local.errors import ApiError

SCF_VERSION, STS_VERSION = "2018-04-16", "2018-08-13"
Function = Callable[[Any, dict[str, Any]], Any]  # main_handler(event, context)

_STRINGS = ("FunctionName", "InvocationType", "Qualifier", "ClientContext", "LogType", "Namespace")
_MAX_EVENT = 6 * 1024 * 1024  # bytes
_CALLER = {
    "Arn": "qcs::cam::uin/100000000001:uin/100000000002",
    "AccountId": "100000000001",
    "UserId": "100000000002",
    "PrincipalId": "100000000002",
    "Type": "CAMUser",
}


def invoke(body: Any, functions: Mapping[str, Function]) -> dict[str, Any]:
    """Answer Invoke by calling one of the functions; raises ApiError with the platform's code."""
    params = parameters.check(body, dict.fromkeys(_STRINGS, parameters.string), ("FunctionName",))
    if params.get("InvocationType", "RequestResponse") != "RequestResponse":
        raise ApiError("InvalidParameterValue.InvocationType", "The stand-in answers RequestResponse alone.")
    function = functions.get(params["FunctionName"])
    if function is None or params.get("Namespace", "default") != "default":
        raise ApiError("ResourceNotFound.Function", "The function does not exist.")
    event = params.get("ClientContext", "{}")
    if len(event.encode()) > _MAX_EVENT:
        raise ApiError("InvalidParameterValue.Param", "ClientContext is larger than 6 MB.")
    request_id, started = str(uuid.uuid4()), time.perf_counter()
    context = {"request_id": request_id, "function_name": params["FunctionName"], "namespace": "default"}
    failure, returned = "", ""
    try:
        returned = json.dumps(function(json.loads(event), context), ensure_ascii=False)
    except Exception as error:  # noqa: BLE001 - the platform reports it
        traceback.print_exc()
        failure = f"{type(error).__name__}: {error}"
    duration = round((time.perf_counter() - started) * 1000)
    return {
        "Result": {
            "BillDuration": duration,
            "Duration": duration,
            "ErrMsg": failure,
            "FunctionRequestId": request_id,
            "InvokeResult": -1 if failure else 0,
            "Log": "",
            "MemUsage": 64 * 1024 * 1024,
            "RetMsg": returned,
        }
    }


def caller(body: Any) -> dict[str, Any]:
    """Answer GetCallerIdentity, whose request has no parameters; raises ApiError."""
    parameters.check(body, {}, ())
    return dict(_CALLER)
