"""The thin agent, in a cage, on a model that plays a script; its key stays outside."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing
from pathlib import Path
from typing import Any

import pytest

from atwork import Lent, Office
from kernelfactory.agents.config import Entry
from kernelfactory.agents.inside import endpoints
from kernelfactory.agents.inside import mini as inside
from kernelfactory.agents.inside.endpoints import Asked, How
from kernelfactory.agents.mini import Mini
from kernelfactory.model import AgentFailed, BadInput, Limits, Tokens, UsageLimit
from kernelfactory.transcript import Reset
from stubs import Anthropic, Fault, OpenAI, Stub, Turn, night

KEY = "sk-a-key-that-no-cage-may-see"
EDIT = "echo 7 > number.txt"


@pytest.fixture
def office(tmp_path: Path) -> Iterator[Office]:
    with ExitStack() as stack:
        yield Office(tmp_path / "scratch", stack)


@pytest.fixture(autouse=True)
def _key(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MY_KEY", KEY)
    for name in ("OPENAI_API_KEY", "ANTHROPIC_API_KEY"):
        monkeypatch.delenv(name, raising=False)


def agent(model: Stub, model_name: str = "gpt-5.5", **said: Any) -> Mini:
    return Mini(model_name, Entry(**{"name": "mini", "upstream": f"{model.url}/v1", "secrets": ("MY_KEY",), **said}))


def leaks(place: Lent) -> list[str]:
    """Files of the attempt that hold the key."""
    files = [path for path in Path(place.folder).parent.rglob("*") if path.is_file() and not path.is_symlink()]
    return [path.name for path in files if KEY.encode() in path.read_bytes()]


def test_it_edits_measures_notes_and_finishes(office: Office) -> None:
    with OpenAI(night(f"{EDIT}; env > env.txt"), key=KEY) as model:
        done = office.work(agent(model))
        assert done.failed is None
        assert done.file("number.txt") == "7\n"
        assert '"score": 7.0' in done.file("measured.json")
        assert done.file("progress.md") == "what I tried: the script\n"
        assert done.usage.models == {"gpt-5.5": Tokens(4 * 1200, 4 * 50, 4 * 5000)}
        assert [usage.tokens for usage in done.place.spends] == [6250, 12500, 18750, 25000], "told after each request"
        assert done.left == leaks(done.place) == []
        leaking = office.work(agent(model, env={"SEEN": KEY}))
        assert leaks(leaking.place) == ["env.txt"]


def test_it_speaks_to_anthropic_too(office: Office) -> None:
    play = [Turn("Hm.", [EDIT], thinking="let me think"), *night("true")[1:]]
    with Anthropic(play, key=KEY) as model:
        done = office.work(agent(model, "claude-opus-4-5", flags=("--api=anthropic",), effort="low"))
        asked = model.wait()
    assert done.failed is None and done.file("number.txt") == "7\n"
    assert done.usage.models == {"claude-opus-4-5": Tokens(4000, 200, 20000, 800)}
    assert done.usage.dollars is not None and done.usage.dollars > 0
    assert all(request.body["cache_control"] == {"type": "ephemeral"} for request in asked)
    assert asked[0].body["output_config"] == {"effort": "low"}
    assert asked[-1].body["messages"][1]["content"][0]["type"] == "thinking", "what it thought goes back to it"


def test_a_limit_ends_it_at_once_and_its_session_goes_on_when_it_opens(office: Office) -> None:
    reset = float(int(time.time()) + 7200)
    with OpenAI(night(EDIT), Fault("usage", turn=1, times=1, reset_at=reset), key=KEY) as model:
        parked = office.work(agent(model))
        assert isinstance(parked.failed, UsageLimit)
        assert parked.failed.until == pytest.approx(reset, abs=60)
        assert parked.file("number.txt") == "7\n" and parked.usage.tokens == 6250
        parked.place.resumes = parked.place.named[-1]
        done = office.work(agent(model), lent=parked.place)
        assert done.failed is None and done.file("progress.md") == "what I tried: the script\n"
        assert done.usage.tokens == 3 * 6250, "what the session had cost before is not counted again"
        assert [request.turn for request in model.wait()] == [0, 1, 1, 2, 3]


def test_a_cap_ends_it_with_the_request_that_reaches_it(office: Office) -> None:
    endless = [Turn(f"again {n}", [f"echo {n} >> number.txt"]) for n in range(1000)]
    with OpenAI(endless, key=KEY) as model:
        place = office.lend(agent(model))
        place.affords = lambda usage: usage.tokens < 15_000
        done = office.work(agent(model), lent=place)
        assert done.failed is None and done.left == []
        assert 15_000 <= done.usage.tokens <= 15_000 + 3 * 6250


def test_trouble_that_passes_is_waited_for_and_a_word_is_put_in(office: Office) -> None:
    play = [Turn("I sleep.", ["sleep 0.5; cat progress.md"]), *night(EDIT)]
    fault = Fault("rate", turn=1, times=1, retry_after=0.1)
    with OpenAI(play, fault, key=KEY) as model:
        done = office.work(agent(model), Limits(seconds=120.0, nudges=1))
    assert done.failed is None and done.file("number.txt") == "7\n"


def test_a_local_model_needs_no_key(office: Office) -> None:
    with OpenAI(night(EDIT)) as model:
        local = agent(model, "qwen3", secrets=())
        assert not local.costs_money and local.state().ready and local.state().login == "needs none"
        done = office.work(local)
        assert model.wait()[0].key in ("", "none")
    assert done.failed is None and done.file("number.txt") == "7\n"
    assert done.usage.dollars is None, "nobody knows the price"


# ── errors, as the libraries tell them ───────────────────────────────────────────────────────────

ASK = ("openai", "anthropic")


@pytest.mark.parametrize(
    ("api", "kind", "trouble"),
    [
        *[(api, kind, kind) for api in ASK for kind in ("auth", "model", "server")],
        *[(api, kind, trouble) for api in ASK for kind, trouble in [("credit", "billing"), ("overload", "overloaded")]],
        *[(api, kind, trouble) for api in ASK for kind, trouble in [("forbidden", "auth"), ("closed", "network")]],
        ("openai", "usage-key", "billing"),
        ("openai", "usage", "usage_limit"),
        ("anthropic", "usage", "usage_limit"),
        ("anthropic", "weekly", "usage_limit"),
        ("anthropic", "usage-key", "usage_limit"),
        ("anthropic", "cut", "network"),
        ("anthropic", "overload-stream", "overloaded"),
        ("anthropic", "context", "context"),
    ],
)
def test_errors_are_told_for_what_they_are(api: str, kind: str, trouble: str) -> None:
    end = failed(api, Fault(kind, reset_at=time.time() + 7200))
    assert end.kind == "end" and end.trouble == trouble
    assert end.text and KEY not in end.text
    if trouble == "usage_limit" and api == "anthropic":
        assert end.reset is not None and end.reset.epoch == pytest.approx(time.time() + 7200, abs=60)


@pytest.mark.parametrize("api", ASK)
def test_too_many_requests_are_a_limit_when_the_wait_is_long(api: str) -> None:
    assert failed(api, Fault("rate", retry_after=3)).trouble == "rate_limit"
    assert failed(api, Fault("rate", retry_after=3)).reset == Reset(after=3.0)
    assert failed(api, Fault("rate", retry_after=3600)).trouble == "usage_limit"


def failed(api: str, fault: Fault) -> Any:
    stub: Callable[..., Stub] = OpenAI if api == "openai" else Anthropic
    with stub([Turn("never said")], fault) as model:
        how = How(f"{model.url}/v1" if api == "openai" else model.url, "m")
        endpoint = endpoints.OpenAI(how, "system") if api == "openai" else endpoints.Anthropic(how, "system")
        with closing(endpoint._client), pytest.raises(Exception) as error:
            endpoint.ask([endpoint.user("hello")])
    return endpoints.failure(error.value)


# ── what goes to the model ───────────────────────────────────────────────────────────────────────


def test_a_conversation_that_is_too_long_loses_what_was_printed_and_nothing_else() -> None:
    asked = Asked("c1", "bash", {"command": "ls"})
    for kind in (endpoints.OpenAI, endpoints.Anthropic):
        results = kind.results(None, [(asked, "much"), (asked, "more")])  # type: ignore[arg-type]
        history = [{"role": "user", "content": "the task"}, *results]
        assert inside._shorten(history)
        assert "much" not in str(history) and "the task" in str(history) and str(history).count(inside.LEFT_OUT) == 2
        assert not inside._shorten(history), "a second time there is nothing left"


@pytest.mark.parametrize(
    ("arguments", "command"),
    [
        ({"command": "ls"}, ("ls", 120.0)),
        ({"command": "ls", "seconds": 5}, ("ls", 5.0)),
        ({"command": "ls", "seconds": 1e9}, ("ls", 120.0)),
        ({"command": "ls", "seconds": "5"}, ("ls", 120.0)),
        ({"command": ["ls"]}, (None, 120.0)),
        ({"command": "l\0s"}, (None, 120.0)),
        ({}, (None, 120.0)),
        ("no JSON", (None, 120.0)),
        (None, (None, 120.0)),
    ],
)
def test_calls_that_make_no_sense_run_nothing(arguments: Any, command: tuple[str | None, float]) -> None:
    assert inside._command(Asked("c", "bash", arguments)) == command
    assert inside._command(Asked("c", "other", {"command": "ls"})) == (None, 120.0)


# ── what is asked for ────────────────────────────────────────────────────────────────────────────


def test_the_model_says_whose_it_is(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ANTHROPIC_API_KEY", KEY)
    claude = Mini("claude-opus-4-5")
    assert claude.routes[0].upstream == "https://api.anthropic.com"
    assert claude.routes[0].headers == {"x-api-key": KEY} and claude.secrets == {"ANTHROPIC_API_KEY": KEY}
    assert claude.hosts == () and claude.costs_money
    gpt = Mini("gpt-5.5")
    assert gpt.routes[0].upstream == "https://api.openai.com/v1" and gpt.routes[0].headers == {}
    assert not gpt.state().ready and gpt.state().advice == "set OPENAI_API_KEY"
    with pytest.raises(AgentFailed) as failure:
        gpt.work(None, "", Limits(seconds=1.0))  # type: ignore[arg-type]
    assert failure.value.trouble == "auth"


def test_a_key_goes_to_nobody_elses_server(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", KEY)
    assert Mini("gpt-5.5").routes[0].headers == {"authorization": f"Bearer {KEY}"}
    other = Mini("gpt-5.5", Entry(name="m", upstream="https://gateway.example.com/v1"))
    assert other.routes[0].headers == {} and other.secrets == {}


@pytest.mark.parametrize(
    ("entry", "said"),
    [
        ({"flags": ("--fast",)}, "flags: --fast is none of --api"),
        ({"flags": ("--api=google",)}, "flags: argument --api"),
        ({"flags": ("--retries=x",)}, "flags: argument --retries"),
        ({"path": "/bin/mini"}, "path means nothing to the agent mini"),
        ({"model": None}, "say which model"),
    ],
)
def test_bad_entries_say_what_to_do(entry: dict[str, Any], said: str) -> None:
    with pytest.raises(BadInput, match=said):
        Mini(None, Entry(**{"name": "m", "model": "gpt-5.5", **entry}))
