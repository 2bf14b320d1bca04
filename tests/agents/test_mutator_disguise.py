"""The mutator knows no names: it does the same to a program whose identifiers and order of functions are others."""

from __future__ import annotations

import builtins
import json
import subprocess
import sys
from pathlib import Path
from random import Random

import pytest

import kernelfactory
from kernelfactory.agents.mutator.operators import OPERATORS
from kernelfactory.agents.mutator.syntax import PYTHON, Code, column, indent, problem_with, splice, text, walk

SEED = Path(kernelfactory.__file__).parent / "problems" / "vliw_tree" / "seed"
INTERFACE = {
    "KernelBuilder",
    "build_kernel",
    "debug_info",
    "instrs",
    "__init__",
    "problem",
    "HASH_STAGES",
    "SCRATCH_SIZE",
    "DebugInfo",
    "append",
}


def disguised(source: bytes, rng: Random) -> bytes:
    """All identifiers but the interface's renamed (attributes and parameters too), the methods in another order."""
    code = Code(source, PYTHON)
    changes, names = [], {}
    for node in code.nodes:
        keyword = (
            node.parent is not None
            and node.parent.type == "keyword_argument"
            and node.parent.child_by_field_name("name") == node
        )
        if node.type == "identifier" and not keyword and text(node).decode() not in INTERFACE | set(dir(builtins)):
            new = names.setdefault(text(node), b"q%d" % len(names))
            changes.append((node.start_byte, node.end_byte, new))
    code = code.edited(changes)
    for owner in [node for node in code.nodes if node.type == "class_definition"]:
        body = owner.child_by_field_name("body")
        assert body is not None
        methods = [child for child in body.named_children if child.type == "function_definition"]
        others = rng.sample(methods, len(methods))
        moved = [
            (a.start_byte, a.end_byte, indent(text(b), column(b), column(a)))
            for a, b in zip(methods, others, strict=True)
        ]
        code = code.edited(moved)
    return code.source


BUILD = """
import json, sys
sys.path[:0] = sys.argv[1:3]
from perf_takehome import KernelBuilder
builder = KernelBuilder()
builder.build_kernel(4, 31, 10, 6)
print(json.dumps(builder.instrs))
"""


def built(folder: Path) -> object:
    done = subprocess.run([sys.executable, "-B", "-c", BUILD, str(folder), str(SEED)], capture_output=True, check=True)
    return json.loads(done.stdout)


def test_the_disguise_is_thorough_and_builds_the_same_program(tmp_path: Path) -> None:
    source = (SEED / "perf_takehome.py").read_bytes()
    other = disguised(source, Random(7))
    assert problem_with(Code(other, PYTHON)) is None
    (tmp_path / "perf_takehome.py").write_bytes(other)
    assert built(tmp_path) == built(SEED)
    kept = {text(node).decode() for node in Code(other, PYTHON).nodes if node.type == "identifier"} & {
        text(node).decode() for node in Code(source, PYTHON).nodes if node.type == "identifier"
    }
    assert kept <= INTERFACE | set(dir(builtins)) | {"scratch_map"}
    assert not {"reserve", "index", "address", "body", "element"} & kept


def plain_names(source: bytes) -> bytes:
    """The same text with other names of the same order, so that what is drawn from sorted names stays comparable."""
    code = Code(source, PYTHON)
    own = {text(node) for node in code.nodes if node.type == "identifier"} - {b"self", b"range", b"enumerate"}
    new = {name: b"z" + name for name in own}
    found = [node for node in walk(code.root) if node.type == "identifier" and text(node) in new]
    return splice(source, [(node.start_byte, node.end_byte, new[text(node)]) for node in found])


MORE = b"""

for a in [KernelBuilder]:
    for b in [SCRATCH_SIZE]:
        print([a, b])
        print([b])
for a in [KernelBuilder]:
    print([a, 1])
"""


@pytest.mark.parametrize("name", sorted(OPERATORS))
def test_the_same_dice_do_the_same_to_renamed_text(name: str) -> None:
    source = (SEED / "perf_takehome.py").read_bytes() + MORE
    mine, other = Code(source, PYTHON), Code(plain_names(source), PYTHON)
    assert mine.tokens != other.tokens
    donors = [code.edited([(code.source.rindex(b"1"), code.source.rindex(b"1") + 1, b"2")]) for code in (mine, other)]
    made = 0
    for number in range(25):
        first = OPERATORS[name][0](mine, Random(number), donors[:1])
        second = OPERATORS[name][0](other, Random(number), donors[1:])
        assert (first.where if first else None) == (second.where if second else None)
        if first and second:
            made += 1
            assert len(first.code.tokens) == len(second.code.tokens)
    assert made or name == "function"
