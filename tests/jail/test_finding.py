"""finding, seatbelt, doctor: the order of jails, what is said of each, and the profile of the one never run."""

from __future__ import annotations

import os
import re
from pathlib import Path

import pytest

from kernelfactory import jail
from kernelfactory.cli import doctor
from kernelfactory.jail import Bubblewrap, Jail, Landlock, Seatbelt, Spec, proved, ways
from kernelfactory.jail.rooms import Room
from kernelfactory.jail.seatbelt import profile
from kernelfactory.model import TRUST_ORDER, BadInput

ROOM = Room("/private/tmp/kf-jail-x/room", (("/private/tmp/kf-jail-x/room/tmp", "/tmp"),))


def test_the_best_comes_first() -> None:
    tried = list(ways())
    assert [each.name for each in tried] == ["bubblewrap", "landlock"]
    works = [each.jail for each in tried if each.jail is not None]
    assert all(bool(each.why) == (each.jail is None) and "\n" not in each.why for each in tried)
    levels = [TRUST_ORDER.index(each.trust) for each in works]
    assert levels == sorted(levels, reverse=True)
    if works:
        assert jail.find().name == works[0].name


def test_a_jail_is_what_its_self_test_says() -> None:
    """Injected faults: one that holds nothing, one that does not start, one that cannot be."""

    def broken() -> Jail:
        raise BadInput("not on this machine")

    assert proved(broken) == (None, "not on this machine")
    assert proved(lambda: Bubblewrap("/bin/false"))[1].startswith("it does not start")
    if any(each.name == "landlock" and each.jail is not None for each in ways()):
        made, why = proved(lambda: Landlock(ruled=False, filtered=False))
        assert made is None and why.startswith("does not stop ") and "read a secret file" in why
        weak, _ = proved(lambda: Landlock(abi=5))
        assert weak is not None and weak.trust == "judged-weak", "what it owns up to is no surprise"


def test_doctor_says_what_each_jail_is_worth() -> None:
    found = {finding.part: finding for look in (doctor._jail, doctor._groups) for finding in look()}
    assert {"jail", "jail: bubblewrap", "jail: landlock", "control groups"} == set(found)
    assert [part for part, finding in found.items() if finding.essential] == ["jail"]
    assert all(finding.advice and "\n" not in finding.seen for finding in found.values())
    if found["jail"].ok:
        assert (
            re.search(r"(bubblewrap|landlock): judged\S*, (\d+) of \2 attacks", found["jail"].seen)
            or found["jail"].seen
        )


# ── macOS ────────────────────────────────────────────────────────────────────────────────────────


def test_it_is_refused_where_it_cannot_work() -> None:
    with pytest.raises(BadInput, match="is missing"):
        Seatbelt("/no/such/sandbox-exec")
    if os.geteuid() == 0:
        with pytest.raises(BadInput, match="ordinary user"):
            Seatbelt("/bin/true")


def rules(spec: Spec) -> list[str]:
    return profile(spec, ROOM).splitlines()


def decided(lines: list[str], operation: str, path: str) -> bool:
    """As sandbox-exec reads them: the last rule that fits decides."""
    answer = False
    for line in lines[1:]:
        what, *operations = line.strip("()").split(" (")[0].split()
        folders = re.findall(r'\(subpath "((?:[^"\\]|\\.)*)"\)', line)
        named = any(each == "default" or re.fullmatch(each.replace("*", ".*"), operation) for each in operations)
        if named and (not folders or any((path + "/").startswith(folder.rstrip("/") + "/") for folder in folders)):
            answer = what == "allow"
    return answer


def test_the_profile_denies_by_default_and_grants_what_is_bound(tmp_path: Path) -> None:
    for name in ("task/judge", "out"):
        (tmp_path / name).mkdir(parents=True)
    at = os.path.realpath(tmp_path)
    lines = rules(
        Spec(("x",), read=((f"{at}/task", "/task"),), write=((f"{at}/out", "/out"),), hide=(f"{at}/task/judge",))
    )
    assert lines[:2] == ["(version 1)", "(deny default)"]
    for operation, path, allowed in (
        ("file-read-data", f"{at}/task/data", True),
        ("file-write-data", f"{at}/task/data", False),
        ("file-read-data", f"{at}/task/judge/reference", False),
        ("file-write-data", f"{at}/out/made", True),
        ("file-write-data", f"{ROOM.folder}/tmp/x", True),
        ("file-read-data", f"{at}/other", False),
        ("file-read-data", "/Users/me/.ssh/id", False),
        ("file-read-data", "/usr/lib/libc.dylib", True),
        ("file-write-data", "/usr/lib/libc.dylib", False),
        ("file-write-data", "/dev/null", True),
        ("process-exec", "/usr/bin/true", True),
        ("network-outbound", "", False),
        ("mach-lookup", "", False),
    ):
        assert decided(lines, operation, path) == allowed, (operation, path)


def test_an_agents_profile_and_one_with_a_network() -> None:
    caged = rules(Spec(("x",), whole=True, write=(("/usr/local", "/w"),), hide=("/usr/share",)))
    assert decided(caged, "file-read-data", "/etc/hosts") and not decided(caged, "file-read-data", "/usr/share/x")
    assert decided(caged, "network-outbound", "/usr/local/desk.sock")
    assert not decided(caged, "network-outbound", "/var/run/docker.sock")
    assert decided(rules(Spec(("x",), network=True)), "network-outbound", "")
    assert not decided(rules(Spec(("x",), alone=True)), "process-fork", "")


def test_a_profile_says_what_its_paths_are(tmp_path: Path) -> None:
    folder = tmp_path / 'a "b" \\ (c)'
    folder.mkdir()
    (line,) = [line for line in rules(Spec(("x",), read=((str(folder), "/t"),))) if "(c)" in line]
    assert line.endswith('a \\"b\\" \\\\ (c)"))')
    bad = tmp_path / "a\nb"
    bad.mkdir()
    with pytest.raises(BadInput, match="cannot stand in a profile"):
        rules(Spec(("x",), read=((str(bad), "/t"),)))


def test_the_tests_reader_of_profiles_tells_a_missing_rule() -> None:
    """Injected fault: without its line on hidden folders the profile shows them."""
    lines = rules(Spec(("x",), whole=True, hide=("/usr/share",)))
    assert not decided(lines, "file-read-data", "/usr/share/x")
    without = [line for line in lines if "/usr/share" not in line]
    assert decided(without, "file-read-data", "/usr/share/x")
