"""How to mend a problem, for each way in which one gives: plain sentences, for its author."""

from __future__ import annotations

LOADS = (
    "correct judge/ until the ruler's file loads by itself: it gets Python's standard library, its own folder and"
    " kernelfactory"
)
SEED = "correct the seed or the ruler until the seed is accepted: everything else is measured against it"
FAULT_SEED = (
    "the problem is at fault, not its candidates: correct the ruler (or the evaluator, or the baseline's build) "
    "until it gives the seed a score that is a finite number, within its seconds"
)
FAULT = (
    "the ruler itself fails on this, so there is no verdict: check the type and the range of everything first, "
    "and raise Rejected for what is no valid answer"
)
RULER = "the ruler's IDENTITY and BACKEND must be the same in every process: make them constants"
REPEATS = (
    'the score of one and the same program changes: count instead of timing, or measure by kind = "function" with'
    " measure.timed = true; let the ruler take the worst over more inputs"
)
UNCHECKED = (
    "the answers are not checked: compare each with a reference or a property, by the ruler's own computation, "
    'and raise Rejected("wrong_answer", …)'
)
EACH = "only some answers are checked: draw a fresh input for every call, and check every answer"
REPORTED = (
    "the score follows a number that the program itself states: let the ruler count, compute or time it, and use "
    "nothing that the program says about itself"
)
FINITE = (
    "a number that is not finite passes the check, because every comparison with NaN is false: refuse it first "
    "(math.isfinite), then compare as `if not error <= limit: raise Rejected(…)`"
)
CARRIED = (
    "the program keeps what it was given, in memory or in a file, and hands it back when it is asked to restore "
    "it: undo in the ruler what the program did, or call.restart() in between (in kind function every process has"
    " its own files)"
)
FRESH = (
    "the inputs are the same each time, so a table of answers passes: draw them from `rng` inside the ruler's "
    "function; fixed data comes in two sets, judge/screen/ and judge/confirm/; where one fixed instance is the "
    'whole problem, make it kind = "artefact" and let the ruler check the answer as a certificate'
)
EVALUATES = (
    "the ruler runs what it reads: read it with json.loads or struct, never with eval, exec, pickle, marshal, "
    "yaml.load or numpy.load(allow_pickle=True)"
)
TIMED = (
    "the time is not the program's own: use speedup() of kernelfactory.timing, or call.timed and "
    "call.baseline.timed on the same fresh input, and check every answer"
)
IN_PROCESS = (
    "whoever decides shares a process with the program, or reads what the program can write: decide in the ruler,"
    " from answers that crossed as data"
)
GLOBS = "name the files that agents may change, one by one, in `editable`; leave out names that act at start-up"
SETS = "keep data for confirmations in judge/confirm/ alone, and read it only when the folder holds something"
JAIL = "verdicts made without a working jail hold nothing in: install bubblewrap (kf doctor says more)"
LIMITS = "set lower limits in problem.toml, for seconds, memory and sizes"


SHIM = (
    'results stay self-reported, whatever you do within this kind. To have them judged, move to kind = "function"'
    ' with the import shim: [call] function = "MODULE" (the program\'s file without .py) and [measure] evaluator ='
    ' "FILE:evaluate", for a function evaluate(program_path) in judge/FILE.py; the evaluator then calls the '
    "program in another process and never imports it"
)
"""For a self-reported problem that can be fooled."""
