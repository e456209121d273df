"""Hook: executions of state machines go on after a restart.

On AWS an execution does not notice when a person's laptop is closed. MiniStack marks the ones that were running as
failed when it loads them; here they go on from the state that they had entered last, which runs again from its
beginning, as a state does that AWS retries.
"""

from __future__ import annotations

import json
import logging
import threading

from ..seam import need

HOOK = "resumption"
LOST = "States.ServiceRestart"
VARIABLES = "openledgerVariables"
_log = logging.getLogger("openledger")


def revive_executions() -> list[dict]:
    """The executions that the restart interrupted, running again for whoever asks; call it before anybody can."""
    lost = [one for one in need("services.stepfunctions", "_executions", HOOK).all_values() if one.get("error") == LOST]
    for execution in lost:
        for field in ("error", "cause"):
            execution.pop(field, None)
        execution |= {"status": "RUNNING", "stopDate": None}
    return lost


def resume_executions(revived: list[dict]) -> None:
    """Start a thread for each of them."""
    scope = need("core.responses", "request_scope", HOOK)
    for execution in revived:
        _, _, _, region, account, *_ = execution["executionArn"].split(":")

        def go_on(execution=execution, account=account, region=region):
            with scope(account, region):
                _go_on(execution)

        threading.Thread(target=go_on, name=f"openledger-resume-{execution['name']}", daemon=True).start()


def _go_on(execution: dict) -> None:
    failed = need("services.stepfunctions", "_ExecutionError", HOOK)
    fail = need("services.stepfunctions", "_fail_execution", HOOK)
    machine = need("services.stepfunctions", "_state_machines", HOOK).get(execution["stateMachineArn"])
    if machine is None:
        fail(execution, "StateMachineDeleted", "State machine no longer exists")
        return
    definition = json.loads(machine["definition"])
    name, state_input = last_entered(execution, definition)
    context = {
        "QueryLanguage": definition.get("QueryLanguage", "JSONPath"),
        "Execution": {
            "Id": execution["executionArn"],
            "Input": json.loads(execution["input"]),
            "Name": execution["name"],
            "StartTime": execution["startDate"],
        },
        "StateMachine": {"Id": execution["stateMachineArn"], "Name": machine["name"]},
        "variables": execution.get(VARIABLES, {}),
    }
    _log.warning("execution %s goes on at %s", execution["name"], name)
    try:
        walk = need("services.stepfunctions", "_run_sub_machine", HOOK)
        output = json.dumps(walk(definition["States"], name, state_input, execution, context))
    except failed as error:
        fail(execution, error.error, error.cause)
        return
    except Exception as error:
        _log.exception("execution %s", execution["name"])
        fail(execution, "States.Runtime", str(error))
        return
    if execution["status"] == "RUNNING":
        execution |= {"status": "SUCCEEDED", "output": output, "stopDate": need("core.responses", "now_iso", HOOK)()}
        details = {"executionSucceededEventDetails": {"output": output}}
        need("services.stepfunctions", "_add_event", HOOK)(execution, "ExecutionSucceeded", details)
        need("services.stepfunctions", "_emit_execution_status_event", HOOK)(execution)


def last_entered(execution: dict, definition: dict) -> tuple[str, object]:
    """Name and input of the state that the execution had entered last; the start when it had entered none."""
    for event in reversed(execution["events"]):
        entered = event.get("stateEnteredEventDetails")
        if entered and entered["name"] in definition["States"]:
            return entered["name"], json.loads(entered["input"])
    return definition["StartAt"], json.loads(execution["input"])
