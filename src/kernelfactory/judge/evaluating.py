"""The user's own evaluator, whole, in the jail, over a pristine tree: what it says is self-reported. Believes the form
of its answer and nothing else."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any, cast, get_args

from kernelfactory.jail import Jail, Spec, interpreter_binds, python
from kernelfactory.judge.produce import OUTPUT_BYTES, TAIL_BYTES, Refusal, folder_for, written
from kernelfactory.judge.tripwires import clean
from kernelfactory.model import Evaluating, Files, Measured, Problem, ReasonCode
from kernelfactory.problem.table import finite
from kernelfactory.process import Finished, Options

SCORE_BYTES = 64 << 10
MEASURES = 64
WORK = "/tmp/kf-work"
COPY = 'cp -R "$1"/. "$2"/ && chmod -R u+w "$2" && cd "$2" && shift 2 && exec "$@"'
"""The tree is copied into a sized folder of the jail's own: an evaluator may write there, and all of it goes."""


def evaluated(problem: Problem, tree: Files, jail: Jail, scratch: Path) -> Measured | Refusal:
    """Run the evaluator once on a grafted tree."""
    evaluating = cast(Evaluating, problem.evaluating)
    with folder_for(scratch, jail) as folder:
        refusal = written(folder, tree)
        if refusal is not None:
            return refusal
        return _read(evaluating, _run(evaluating, problem, folder, jail))


def _run(evaluating: Evaluating, problem: Problem, folder: str, jail: Jail) -> Finished:
    judge = os.path.join(problem.folder, "judge")
    packages = evaluating.packages
    bare = () if packages else ("-S",)
    words = [
        os.path.join(judge, word) if os.path.isfile(os.path.join(judge, word)) else word for word in evaluating.command
    ]
    if words[0] == "python":
        words = [python(with_package=packages), "-s", *bare, "-B", *words[1:]]
    spec = Spec(
        argv=("/bin/sh", "-c", COPY, "sh", folder, WORK, *words),
        read=(*interpreter_binds(with_package=packages), (folder, folder), (judge, judge)),
        env={"LANG": "C.UTF-8", "HOME": "/tmp", "PATH": "/usr/bin:/bin", "KF_SEED": str(int.from_bytes(os.urandom(4)))},
        seconds=evaluating.seconds,
        memory=evaluating.memory,
        processes=evaluating.processes,
        rooms=(WORK,),
        tmp_bytes=256 << 20,
    )
    pipes = Options(output_bytes=OUTPUT_BYTES, keep_going=True, data_fd_env="KF_SCORE_FD", data_bytes=SCORE_BYTES)
    return jail.run(spec, options=pipes)


def _read(evaluating: Evaluating, ended: Finished) -> Measured | Refusal:
    said = clean(ended.stderr[-TAIL_BYTES:].decode("utf-8", "replace"))
    if ended.timed_out:
        return Refusal("timeout", f"the evaluator took longer than {evaluating.seconds:g} seconds", said)
    if len(ended.data) >= SCORE_BYTES:
        return Refusal("over_limit", f"the evaluator wrote more than {SCORE_BYTES} bytes of score", said)
    if ended.out_of_memory:
        return Refusal("over_limit", "the evaluation took more memory than allowed", said)
    if ended.returncode != 0:
        return Refusal("crashed", f"the evaluator ended with status {ended.returncode}", said)
    try:
        return _parsed(json.loads(ended.data, object_pairs_hook=_once, parse_constant=_refuse), said)
    except (ValueError, RecursionError) as error:
        return Refusal("malformed", f"the evaluator's score is not as docs/judge.md says: {error}"[:200], said)


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    if len({key for key, _ in pairs}) != len(pairs):
        raise ValueError("a key comes twice")
    return dict(pairs)


def _refuse(word: str) -> Any:
    raise ValueError(f"{word} is no number")


def _parsed(answer: Any, said: str) -> Measured | Refusal:
    """{"score": number, "measures": {name: number}} or {"rejected": code, "reason": text}, and nothing else. Raises
    ValueError."""
    if not isinstance(answer, dict):
        raise ValueError("not a JSON object")
    if "rejected" in answer:
        code, reason = answer["rejected"], answer.get("reason", "")
        if code not in get_args(ReasonCode) or not isinstance(reason, str) or answer.keys() - {"rejected", "reason"}:
            raise ValueError("not a rejection")
        return Refusal(code, " ".join(clean(reason).split())[:200] or "the evaluator rejected it", said)
    measures = answer.get("measures", {})
    if answer.keys() - {"score", "measures"} or not isinstance(measures, dict) or len(measures) > MEASURES:
        raise ValueError("other keys than score and measures")
    named = {clean(name)[:80]: _number(value) for name, value in measures.items()}
    return Measured(_number(answer.get("score")), named)


def _number(value: Any) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float) or not finite(value):
        raise ValueError("a score or measure that is no finite number")
    return value
