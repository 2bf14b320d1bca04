"""The model servers that play a script: turns, faults and keys, asked as agents ask."""

from __future__ import annotations

import json
import urllib.error
import urllib.request
from collections.abc import Mapping
from typing import Any

import pytest

from stubs import Anthropic, Fault, Gemini, OpenAI, Stub, Turn
from stubs.play import Said, turn_number

PLAY = [Turn("first", ["echo 1"]), Turn("early end"), Turn("second", ["echo 1"]), Turn("the end")]


def post(stub: Stub, path: str, body: Mapping[str, Any], **headers: str) -> Any:
    request = urllib.request.Request(stub.url + path, json.dumps(body).encode(), headers)
    with urllib.request.urlopen(request, timeout=30) as answer:
        text = answer.read().decode()
    return json.loads(text) if text.startswith("{") else text


def test_turns_are_counted_from_what_the_script_has_said_and_nothing_else() -> None:
    first, early, error = Said("first", ["echo 1"]), Said("early end"), Said("API Error: 529")
    assert turn_number(PLAY, []) == 0
    assert turn_number(PLAY, [first]) == 1
    assert turn_number(PLAY, [first, error, error]) == 1
    assert turn_number(PLAY, [first, early]) == 2
    assert turn_number(PLAY, [first, early, first, Said("the end"), first]) == 4
    assert turn_number(PLAY, [first, first]) == 1


def ask_anthropic(stub: Stub, **headers: str) -> Any:
    tools = [{"name": "Bash"}]
    said = [{"role": "user", "content": "go"}]
    return post(stub, "/v1/messages", {"model": "m", "messages": said, "tools": tools}, **headers)


def test_a_conversation_goes_on_where_it_was_over_every_api() -> None:
    with Anthropic(PLAY) as stub:
        answer = ask_anthropic(stub)
        assert [block["type"] for block in answer["content"]] == ["text", "tool_use"]
        assert answer["content"][1]["input"]["command"] == "echo 1"
        said = [{"role": "user", "content": "go"}, {"role": "assistant", "content": answer["content"]}]
        more = post(stub, "/v1/messages", {"messages": said, "tools": [{"name": "Bash"}], "stream": True})
        assert '"text": "early "' in more
        assert "message_stop" in more
    with OpenAI(PLAY) as stub:
        tools = [{"type": "function", "name": "exec_command"}]
        answer = post(stub, "/v1/responses", {"input": "go", "tools": tools})
        call = answer["output"][1]
        assert (call["name"], json.loads(call["arguments"])) == ("exec_command", {"cmd": "echo 1"})
        more = post(stub, "/v1/responses", {"input": answer["output"], "tools": tools})
        assert more["output"][0]["content"][0]["text"] == "early end"
        chat = [{"type": "function", "function": {"name": "bash"}}]
        first = post(stub, "/v1/chat/completions", {"messages": [], "tools": chat})["choices"][0]
        assert first["finish_reason"] == "tool_calls"
        more = post(stub, "/v1/chat/completions", {"messages": [first["message"]], "tools": chat})
        assert more["choices"][0]["message"]["content"] == "early end"
        fenced = post(stub, "/v1/chat/completions", {"messages": []})["choices"][0]["message"]
        assert "```bash\necho 1\n```" in fenced["content"]
    with Gemini(PLAY) as stub:
        path, tools = "/v1beta/models/m:generateContent", [{"functionDeclarations": [{"name": "run_shell_command"}]}]
        answer = post(stub, path, {"contents": [], "tools": tools})["candidates"][0]["content"]
        assert answer["parts"][-2]["functionCall"]["args"]["command"] == "echo 1"
        more = post(stub, path, {"contents": [answer], "tools": tools})["candidates"][0]["content"]
        assert "".join(part["text"] for part in more["parts"]) == "early end"


def test_a_fault_is_answered_as_often_as_it_was_asked_for() -> None:
    with Anthropic(PLAY, Fault.read("usage@0x1")) as stub:
        with pytest.raises(urllib.error.HTTPError) as failed:
            ask_anthropic(stub)
        assert failed.value.code == 429
        assert failed.value.headers["anthropic-ratelimit-unified-status"] == "rejected"
        failed.value.close()
        assert ask_anthropic(stub)["stop_reason"] == "tool_use"
        assert [(request.turn, request.fault) for request in stub.log] == [(0, "usage"), (0, None)]


@pytest.mark.parametrize("header", ["x-api-key", "authorization", "x-goog-api-key"])
def test_only_the_right_key_is_let_in_and_what_arrived_is_on_record(header: str) -> None:
    value = "Bearer right" if header == "authorization" else "right"
    with Anthropic(PLAY, key="right") as stub:
        assert ask_anthropic(stub, **{header: value})["role"] == "assistant"
        with pytest.raises(urllib.error.HTTPError, match="401"):
            ask_anthropic(stub, **{header: value.replace("right", "wrong")})
        assert [request.key for request in stub.log] == ["right", "wrong"]


def test_a_script_that_is_wrong_for_its_stub_is_an_error_of_the_test() -> None:
    with pytest.raises(KeyError), OpenAI(PLAY, Fault("no-such-fault")) as stub, pytest.raises(OSError):
        post(stub, "/v1/responses", {"input": "go", "stream": True})
