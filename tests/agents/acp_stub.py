"""An agent that speaks the Agent Client Protocol and plays what its arguments say. Understands no task."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
import time
from typing import Any

FAULTS = set(sys.argv[1:])
HOME = os.environ["HOME"]
lock = threading.Lock()
cancelled = threading.Event()
allowed = threading.Event()
state: dict[str, Any] = {"prompts": 0, "authenticated": "auth" not in FAULTS, "options": {}}


def send(message: dict[str, Any]) -> None:
    with lock:
        sys.stdout.write(json.dumps({"jsonrpc": "2.0", **message}) + "\n")
        sys.stdout.flush()


def note(**what: Any) -> None:
    with open("log.jsonl", "a") as file:
        file.write(json.dumps(what) + "\n")


def update(**what: Any) -> None:
    send({"method": "session/update", "params": {"sessionId": "s-1", "update": what}})


def say(text: str) -> None:
    for word in text.split(" "):
        update(sessionUpdate="agent_message_chunk", content={"type": "text", "text": word + " "})


def shell(command: str) -> None:
    given = {"toolCallId": "t-1", "title": "shell", "kind": "execute"}
    update(sessionUpdate="tool_call", **given, status="pending", rawInput={"command": command})
    options = [
        {"optionId": "no", "name": "No", "kind": "reject_once"},
        {"optionId": "yes", "name": "Yes", "kind": "allow_once"},
    ]
    allowed.clear()
    send(
        {
            "id": 77,
            "method": "session/request_permission",
            "params": {"sessionId": "s-1", "toolCall": given, "options": options},
        }
    )
    allowed.wait()
    done = subprocess.run(["/bin/sh", "-c", command], check=False, capture_output=True, text=True)
    content = [{"type": "content", "content": {"type": "text", "text": done.stdout}}]
    update(sessionUpdate="tool_call_update", toolCallId="t-1", status="completed", content=content)


def turn(number: int, params: dict[str, Any]) -> None:
    text = params["prompt"][0]["text"]
    note(prompt=text)
    state["prompts"] += 1
    if "die" in FAULTS:
        sys.stderr.write("Error: connection refused by the model\n")
        sys.stderr.flush()
        os._exit(3)
    if "usage" in FAULTS and "loaded" not in state:
        error = {
            "code": -32603,
            "message": "Internal error: You've hit your 5-hour limit · resets in 2 hours",
            "data": {"errorKind": "rate_limit"},
        }
        shell("echo 7 > number.txt")
        send({"id": number, "error": error})
        return
    if "long" in FAULTS and state["prompts"] == 1:
        shell("true")
        while not cancelled.wait(0.02):
            pass
        send({"id": number, "result": {"stopReason": "cancelled"}})
        return
    if "spend" in FAULTS:
        for cents in range(1, 100_000):
            update(sessionUpdate="usage_update", used=1, size=2, cost={"amount": cents / 100, "currency": "USD"})
            if cancelled.wait(0.01):
                break
        send({"id": number, "result": {"stopReason": "cancelled"}})
        return
    say("I will edit the program.")
    shell("echo 7 > number.txt; kf measure --json > measured.json; env > env.txt; echo what I tried > progress.md")
    update(
        sessionUpdate="usage_update",
        used=100,
        size=200,
        cost={"amount": 0.25 * state["prompts"] + state.get("loaded", 0.0), "currency": "USD"},
    )
    say("Done.")
    usage = {"totalTokens": 150, "inputTokens": 100, "outputTokens": 50}
    send({"id": number, "result": {"stopReason": "end_turn", "usage": usage}})


def opened() -> dict[str, Any]:
    option = {
        "id": "model",
        "name": "Model",
        "category": "model",
        "type": "select",
        "currentValue": "small",
        "options": [{"value": "small", "name": "s"}, {"value": "large", "name": "l"}],
    }
    return {"configOptions": [option]}


def answer(message: dict[str, Any]) -> None:
    method, number, params = message.get("method"), message.get("id"), message.get("params") or {}
    if method == "initialize":
        able = {"loadSession": "no-load" not in FAULTS}
        send(
            {
                "id": number,
                "result": {
                    "protocolVersion": 1,
                    "agentCapabilities": able,
                    "authMethods": [{"id": "browser", "name": "b"}, {"id": "api-key", "name": "k"}],
                },
            }
        )
    elif method == "authenticate":
        note(authenticated=params["methodId"])
        state["authenticated"] = True
        send({"id": number, "result": {}})
    elif method in ("session/new", "session/load") and not state["authenticated"]:
        send({"id": number, "error": {"code": -32000, "message": "Authentication required"}})
    elif method == "session/new":
        note(new=params)
        send({"id": number, "result": {"sessionId": "s-1", **opened()}})
    elif method == "session/load":
        note(loaded=params["sessionId"])
        state["loaded"] = 0.25
        say("what was said before")
        update(sessionUpdate="usage_update", used=100, size=200, cost={"amount": 0.25, "currency": "USD"})
        send({"id": number, "result": opened()})
    elif method == "session/set_config_option":
        note(option=[params["configId"], params["value"]])
        send({"id": number, "result": opened()})
    elif method == "session/prompt":
        cancelled.clear()
        threading.Thread(target=turn, args=(number, params), daemon=True).start()
    elif method == "session/cancel":
        note(cancelled=True)
        cancelled.set()
    elif method is None and number == 77 and message["result"]["outcome"].get("optionId") == "yes":
        allowed.set()


if "flood" in FAULTS:
    sys.stdout.write("no JSON at all\n" + "x" * 100_000 + "\n")
if "hang" in FAULTS:
    time.sleep(3600)
for line in sys.stdin:
    answer(json.loads(line))
