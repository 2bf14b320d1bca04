"""How a record is opened, refused, migrated, and what disks do to it."""

from __future__ import annotations

import os
import re
import signal
import sqlite3
import subprocess
import sys
from pathlib import Path

import pytest

from kernelfactory import jail
from kernelfactory.model import BadInput
from kernelfactory.record import Options, Reader, Record, RecordFull, bring_up_to_date, owner
from kernelfactory.record.owner import filesystem, own
from kernelfactory.record.store import APPLICATION, VERSION

WRITER = Path(__file__).with_name("writer.py")


def both(folder: Path):
    return (lambda: Reader.open(folder)), (lambda: Record.open(folder))


def refused(folder: Path, match: str) -> None:
    """Reader and writer refuse, in one line, and change nothing."""
    before = (folder / "record.db").read_bytes()
    for opening in both(folder):
        with pytest.raises(BadInput, match=match) as caught:
            opening()
        assert "\n" not in str(caught.value)
        assert (folder / "record.db").read_bytes() == before


@pytest.fixture
def closed(book):
    """A record with some attempts, closed."""
    book.seed()
    for _ in range(40):
        book.whole(990.0, notes="n" * 2000)
    book.record.close()
    return book.record.folder


def test_no_record_there(tmp_path, experiment, folder):
    for opening in both(tmp_path):
        with pytest.raises(BadInput, match=r"holds no record\.db"):
            opening()
    Record.create(folder, experiment).close()
    with pytest.raises(BadInput, match="holds an experiment already"):
        Record.create(folder, experiment)


def test_not_a_record(tmp_path):
    (tmp_path / "record.db").write_bytes(os.urandom(8192))
    refused(tmp_path, "damaged")
    (tmp_path / "record.db").unlink()
    with sqlite3.connect(tmp_path / "record.db") as db:
        db.execute("CREATE TABLE cookies (a)")
    db.close()
    refused(tmp_path, "not a KernelFactory record")


def test_damaged_in_the_middle(closed):
    path = closed / "record.db"
    data = bytearray(path.read_bytes())
    data[8192 : len(data) // 2] = os.urandom(len(data) // 2 - 8192)
    path.write_bytes(data)
    before = path.read_bytes()
    with pytest.raises(BadInput, match="damaged"):
        Record.open(closed)
    with pytest.raises(BadInput, match="damaged"), Reader.open(closed) as reader:
        list(reader.events())
        reader.attempts()
    assert path.read_bytes() == before


def test_cut_short(closed):
    path = closed / "record.db"
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    with pytest.raises(BadInput, match="damaged"):
        Record.open(closed)


def set_version(folder: Path, version: int) -> None:
    with sqlite3.connect(folder / "record.db") as db:
        db.execute(f"PRAGMA user_version = {version}")
    db.close()


def test_newer_than_this_program(closed):
    set_version(closed, VERSION + 1)
    refused(closed, "newer kernelfactory")


def test_older_is_copied_and_migrated_by_the_writer_only(closed):
    set_version(closed, VERSION - 1)
    with pytest.raises(BadInput, match=r"older kernelfactory .* cannot bring up to date"):
        Record.open(closed, Options(steps={}))
    with pytest.raises(BadInput, match="could not be brought up to date"):
        Record.open(closed, Options(steps={VERSION: "ALTER TABLE run ADD COLUMN x TEXT; SELECT nonsense;"}))
    with pytest.raises(BadInput, match="older kernelfactory"):
        Reader.open(closed)
    step = {VERSION: "ALTER TABLE run ADD COLUMN host TEXT; UPDATE attempt SET notes = 'moved' WHERE attempt = 1;"}
    with Record.open(closed, Options(steps=step)) as record:
        assert record.attempt(1).notes == "moved"
        assert record.attempt(40).score == 990.0
    copy = sqlite3.connect(closed / f"record.db.v{VERSION - 1}")
    assert copy.execute("SELECT count(*), max(length(notes)) FROM attempt").fetchone() == (41, 2000)
    assert copy.execute("PRAGMA user_version").fetchone()[0] == VERSION - 1
    copy.close()
    with Reader.open(closed) as reader:
        assert reader.attempt(1).notes == "moved"


SCHEMA_1 = Path(__file__).with_name("schema-1.sql")


@pytest.fixture
def first_version(closed):
    """The same record as version 1 wrote it: its own schema text, its own columns."""
    path = closed / "record.db"
    path.rename(closed / "now.db")
    old = sqlite3.connect(path, isolation_level=None)
    old.executescript(f"PRAGMA application_id = {APPLICATION}; PRAGMA user_version = 1;\n{SCHEMA_1.read_text()}")
    old.execute("ATTACH ? AS now", (str(closed / "now.db"),))
    triggers = old.execute("SELECT name, sql FROM main.sqlite_schema WHERE type = 'trigger'").fetchall()
    for name, _ in triggers:
        old.execute(f"DROP TRIGGER main.{name}")
    old.execute("DELETE FROM main.tally")
    for (table,) in old.execute("SELECT name FROM main.sqlite_schema WHERE type = 'table' AND name NOT LIKE 'sqlite%'"):
        names = ", ".join(f'"{row[1]}"' for row in old.execute(f"PRAGMA main.table_info({table})"))
        old.execute(f"INSERT INTO main.{table} ({names}) SELECT {names} FROM now.{table}")
    for _, sql in triggers:
        old.execute(sql)
    old.close()
    (closed / "now.db").unlink()
    return closed


def facts(folder: Path) -> tuple:
    with Reader.open(folder) as reader:
        return (
            reader.experiment,
            reader.attempts(),
            [m for row in reader.attempts() for m in reader.measurements(row.attempt)],
            list(reader.events()),
            reader.best(),
            reader.spent(),
        )


def schema(path: Path) -> set[tuple[str, str]]:
    """What a file is made of, without what writing leaves no trace of (blanks, comments, quotes round names)."""
    db = sqlite3.connect(path)
    rows = db.execute("SELECT name, sql FROM sqlite_schema WHERE sql IS NOT NULL").fetchall()
    db.close()
    bare = [(name, re.sub(r'--[^\n]*|[\s"]', "", sql)) for name, sql in rows]
    return set(bare)


def test_version_1_is_brought_up_to_date_and_says_the_same(closed, first_version, experiment, tmp_path):
    """Readers refuse it, with a line that says what to do; the writer copies it, then migrates it."""
    before = (first_version / "record.db").read_bytes()
    with pytest.raises(BadInput, match=r"older kernelfactory: kf resume .* brings it up to date") as caught:
        Reader.open(first_version)
    assert caught.value.exit_code == 2 and (first_version / "record.db").read_bytes() == before
    assert bring_up_to_date(first_version) and not bring_up_to_date(first_version)
    assert (first_version / "record.db.v1").is_file()
    Record.create(tmp_path / "fresh", experiment).close()
    assert schema(first_version / "record.db") == schema(tmp_path / "fresh" / "record.db")
    with Reader.open(first_version) as reader:
        assert len(reader.attempts()) == 40 and reader.best().score == 990.0
        assert reader.measurement(2).verdict.interval is None
        assert reader.status()["measurements"] == 40


def test_a_migration_changes_no_fact(closed, request):
    before = facts(closed)
    request.getfixturevalue("first_version")
    bring_up_to_date(closed)
    assert facts(closed) == before
    with Record.open(closed) as record:  # and its guards are back
        for table in ("measurement", "duel", "decision"):
            kinds = {row["name"] for row in record._all("SELECT name FROM sqlite_schema WHERE tbl_name = ?", table)}
            assert {f"{table}_once", f"{table}_stays"} <= kinds


def test_a_migration_that_loses_a_row_is_taken_back(first_version):
    """The fault: a step that drops a measurement which an attempt names."""
    step = (SCHEMA_1.parents[2] / "src/kernelfactory/migrations/0002-suspicion-and-noise.sql").read_text()
    worse = step.replace("FROM measurement;", "FROM measurement WHERE measurement <> 7;")
    assert worse != step
    third = (SCHEMA_1.parents[2] / "src/kernelfactory/migrations/0003-agents.sql").read_text()
    with pytest.raises(BadInput, match="rows would point at nothing"):
        Record.open(first_version, Options(steps={2: worse, 3: third}))
    with pytest.raises(BadInput, match="older"):
        Reader.open(first_version)
    assert bring_up_to_date(first_version)


VERSION_2 = Path(__file__).with_name("version-2.sql")
"""What `sqlite3 record.db .dump` said of a record that version 2 wrote: a run of three attempts, a resume of two."""


@pytest.fixture
def second_version(tmp_path):
    folder = tmp_path / "second"
    folder.mkdir()
    db = sqlite3.connect(folder / "record.db")
    db.executescript(f"PRAGMA application_id = {APPLICATION}; PRAGMA user_version = 2;\n{VERSION_2.read_text()}")
    db.close()
    return folder


def rows(path: Path, tables: dict[str, list[str]]) -> dict[str, list[tuple]]:
    """What the tables hold in these columns."""
    db = sqlite3.connect(path)
    answer = {}
    for table, columns in tables.items():
        names = ", ".join(f'"{column}"' for column in columns)
        answer[table] = sorted(db.execute(f"SELECT {names} FROM {table}").fetchall(), key=repr)
    db.close()
    return answer


def columns_of(path: Path) -> dict[str, list[str]]:
    db = sqlite3.connect(path)
    named = db.execute("SELECT name FROM sqlite_schema WHERE type = 'table' AND name NOT LIKE 'sqlite%'").fetchall()
    answer = {name: [row[1] for row in db.execute(f"PRAGMA table_info({name})")] for (name,) in named}
    db.close()
    return answer


def test_a_record_that_version_2_wrote_keeps_every_row_and_gets_the_new_columns(second_version, experiment, tmp_path):
    path = second_version / "record.db"
    old = columns_of(path)
    before = rows(path, old)
    assert len(before["attempt"]) == 6 and len(before["run"]) == 2
    with pytest.raises(BadInput, match=r"older kernelfactory: kf resume"):
        Reader.open(second_version)
    assert bring_up_to_date(second_version) == path.with_name("record.db.v2")
    assert rows(path, old) == before == rows(path.with_name("record.db.v2"), old)
    Record.create(tmp_path / "fresh", experiment).close()
    assert schema(path) == schema(tmp_path / "fresh" / "record.db")
    with Record.open(second_version) as record:
        assert [run.switching for run in record.runs()] == [True, True]
        assert record.runs()[1].cap_dollars == 90.0 and record.runs()[1].cap_attempt_dollars is None
        spend = record.spend_of("command")
        assert (spend.attempts, spend.unpriced, spend.top_dollars) == (5, 5, 0.0)
        assert spend.worked == pytest.approx(record.spend(0.0).worked)
        assert (record.parked(), record.kept(0.0), record.incidents(), record.running()) == ({}, [], [], [])
        assert (
            record.attempt(3).session is None
            and record.attempt(3).tree == before["attempt"][3][old["attempt"].index("tree")]
        )


def test_an_agent_that_waited_in_version_2_waits_for_a_reason(second_version):
    with sqlite3.connect(second_version / "record.db") as db:
        db.execute("UPDATE agent SET paused_until = 4e9 WHERE run = 2")
    db.close()
    bring_up_to_date(second_version)
    with Reader.open(second_version) as reader:
        assert set(reader.parked().values()) == {(4e9, "at its usage limit")}


def test_sums_of_agents_that_version_2_left_out_would_be_seen(second_version):
    """The fault: a step that makes the table and forgets what is to be in it."""
    step = (SCHEMA_1.parents[2] / "src/kernelfactory/migrations/0003-agents.sql").read_text()
    worse = step.replace("FROM attempt WHERE attempt > 0 GROUP BY agent;", "FROM attempt WHERE 0 GROUP BY agent;")
    assert worse != step
    with Record.open(second_version, Options(steps={3: worse})) as record:
        assert record.spend_of("command").attempts != 5


def test_one_writer_whose_lock_dies_with_it(closed):
    assert owner(closed) is None
    writer = subprocess.Popen([sys.executable, WRITER, closed], stdout=subprocess.PIPE)
    try:
        assert writer.stdout.readline() == b"ready\n"
        assert owner(closed) == writer.pid
        with pytest.raises(BadInput, match=f"in use by process {writer.pid} .kf stop"):
            Record.open(closed)
        with Reader.open(closed) as reader:  # readers read meanwhile
            assert reader.state() == ("running", None)
            first = reader.status()["attempts"]["judged"]
            while reader.status()["attempts"]["judged"] == first:
                pass
    finally:
        writer.send_signal(signal.SIGKILL)
        writer.communicate()
    with Reader.open(closed) as reader:
        assert reader.state()[0] == "stopped"
        assert "kf resume" in reader.state()[1]
    with Record.open(closed) as record:
        assert owner(closed) == os.getpid()
        with pytest.raises(BadInput, match="in use"):
            Record.open(closed)
        assert record.attempt(1).score == 990.0


def test_closing_frees_the_experiment(book):
    book.record.close()
    book.record.close()
    with Record.open(book.record.folder):
        pass
    assert owner(book.record.folder) is None


def test_a_lock_that_is_a_link_is_not_followed(closed, tmp_path):
    (closed / "desk.lock").unlink()
    (closed / "desk.lock").symlink_to(tmp_path / "victim")
    with pytest.raises(BadInput):
        Record.open(closed)
    assert not (tmp_path / "victim").exists()


MOUNTS = """\
22 1 8:1 / / rw,relatime shared:1 - ext4 /dev/sda1 rw
30 22 0:40 / /home rw - nfs4 server:/home rw
31 30 0:41 / /home/me/fast rw - xfs /dev/sdb rw
32 22 0:42 / /mnt/with\\040space rw - fuse.sshfs me@host: rw
"""


def test_which_file_system():
    assert filesystem("/var/x", MOUNTS) == "ext4"
    assert filesystem("/home/me", MOUNTS) == "nfs4"
    assert filesystem("/homely", MOUNTS) == "ext4"
    assert filesystem("/home/me/fast/x", MOUNTS) == "xfs"
    assert filesystem("/mnt/with space/x", MOUNTS) == "fuse.sshfs"
    assert filesystem("/x", "garbage\n\n") == ""


def test_network_file_systems_are_refused(tmp_path):
    table = tmp_path / "mountinfo"
    table.write_text(f"1 1 0:1 / / rw - ext4 /dev/x rw\n2 1 0:2 / {tmp_path} rw - nfs4 s:/x rw\n")
    with pytest.raises(BadInput, match="network file system"):
        own(tmp_path, table)
    table.write_text("1 1 0:1 / / rw - 9p none rw\n")
    os.close(own(tmp_path, table))  # a machine whose root is 9p has nothing better
    os.close(own(tmp_path, tmp_path / "no such table"))


def test_a_full_file_leaves_the_record_intact(folder, experiment, booked):
    with Record.create(folder, experiment, Options(max_pages=60)) as record:
        book = booked(record)
        book.seed()
        done = 0
        with pytest.raises(RecordFull, match="no room left") as caught:
            while True:
                book.whole(990.0, notes="n" * 2000)
                done += 1
        assert caught.value.exit_code == 3
        assert done > 5
    with Record.open(folder) as record:
        assert sum(row.state == "judged" for row in record.attempts()) >= done
        left = record.open_attempts()
        booked(record).whole(980.0)  # and goes on when there is room
        assert len(left) <= 1


# ── with a sandbox that any user may make ────────────────────────────────────────────────────────


def boxed(*words: str | Path) -> subprocess.CompletedProcess[str]:
    for binary in jail.binaries():
        if subprocess.run([binary, "--bind", "/", "/", "true"], capture_output=True, check=False).returncode == 0:
            argv = [binary, "--bind", "/", "/", "--dev", "/dev", *words]
            return subprocess.run(argv, capture_output=True, text=True, timeout=60, check=False)
    pytest.skip("bubblewrap does not work here")


SAY = """
import sys
from kernelfactory.model import KernelFactoryError
from kernelfactory.record import Record, Reader
try:
    with {opening} as record:
        print(record.status()["attempts"]["judged"])
except KernelFactoryError as error:
    print(type(error).__name__, error.exit_code, error)
"""


def test_a_folder_that_cannot_be_written(closed):
    for opening, said in (("Record.open(sys.argv[1])", "RecordReadOnly 2"), ("Reader.open(sys.argv[1])", "40")):
        code = SAY.format(opening=opening)
        ended = boxed("--ro-bind", closed, closed, sys.executable, "-c", code, closed)
        assert ended.stdout.startswith(said), ended
        assert ended.stdout.count("\n") == 1
    with Record.open(closed) as record:
        assert record.status()["attempts"]["judged"] == 40


def test_a_full_disk(closed, tmp_path):
    """A real one: a small tmpfs that the writer fills."""
    small = tmp_path / "small"
    small.mkdir()
    code = f"""
import runpy, shutil, sys
from kernelfactory.model import KernelFactoryError
from kernelfactory.record import Record
shutil.copy({str(closed / "record.db")!r}, {str(small)!r})
sys.argv[1] = {str(small)!r}
try:
    runpy.run_path({str(WRITER)!r}, run_name="__main__")
except KernelFactoryError as error:
    print(type(error).__name__, error.exit_code, error)
shutil.copytree({str(small)!r}, {str(closed)!r} + "/after")
"""
    ended = boxed("--size", str(6 << 20), "--tmpfs", small, sys.executable, "-c", code, closed)
    lines = ended.stdout.splitlines()
    assert any(line.startswith("RecordFull 3 no room left") for line in lines), (lines[-5:], ended.stderr[-500:])
    judged = {int(line.split()[1]) for line in lines if line.startswith("judged")}
    assert judged
    with Record.open(closed / "after") as record:
        rows = {row.attempt for row in record.attempts() if row.state == "judged"}
        assert judged <= rows
