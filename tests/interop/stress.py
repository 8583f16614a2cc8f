#!/usr/bin/env python3
"""Foreign writers killed at random, and the proof that nothing of theirs is lost.

`run` starts writer processes on a `.work/` directory and notes in a manifest
every line whose write() came back complete. `verify` holds the manifest
against the directory and the state branch afterwards.

Manifest: JSONL, one object per acknowledged line:
`{"file","kind","id","style","role","len","sha256"}`; `kind` is `event`,
`feed`, `work_order` or `message`; `len` and `sha256` are of the line's bytes
without its final newline (a carriage return belongs to the bytes).

Exit codes: 0 done, 1 loss or a duplicate found, 2 wrong arguments. Standard
output carries JSON only.
"""

from __future__ import annotations

import argparse
import contextlib
import hashlib
import json
import os
import random
import shutil
import signal
import subprocess
import sys
import time
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Iterable, Iterator

import go_like_writer as go
from vermas_py import ALPHABET, FormatError, dump, fail, format_time, parse_object, parse_time

Json = dict[str, Any]

#: The longest line of the contract, with its newline.
LINE_LIMIT = 64 * 1024
#: A long record must fit, with what is added to it, into the event that adopts it.
LONG_RECORD = 32 * 1024
#: Styles of a line and how often each is taken.
STYLES = {
    "plain": 50, "key-order": 12, "naive-time": 12, "crlf": 8, "dup-keys": 6,
    "nan": 4, "surrogate": 4, "torn": 2, "long": 2,
}
#: Lines that a strict JSON reader cannot take although their write was complete.
ODD_STYLES = frozenset({"nan", "surrogate"})
#: Styles that Go's encoder cannot produce; the Python one writes them for both roles.
PYTHON_ONLY = frozenset({"nan", "surrogate", "dup-keys", "naive-time", "key-order"})
FILES = {"event": "events.jsonl", "work_order": "work_orders.jsonl", "message": "messages.jsonl"}
TIME_KEYS = frozenset({"timestamp", "created_at", "updated_at"})


# --- lines ----------------------------------------------------------------


@dataclass(frozen=True)
class Line:
    """One line to write: its bytes without the newline, and what it is."""

    kind: str
    id: str
    style: str
    data: bytes


@dataclass
class Drafter:
    """Makes the lines of one writer; the same seed gives the same lines."""

    seed: str
    role: str
    actor: str
    styles: dict[str, int]
    start: int
    orders: list[str] = field(default_factory=list)
    count: int = 0

    def __post_init__(self) -> None:
        self.rng = random.Random(self.seed)

    def next(self) -> Line:
        """The next line. Its length with the newline is within the contract's limit."""
        self.count += 1
        style = self.rng.choices(list(self.styles), list(self.styles.values()))[0]
        kind = self.rng.choices(list(FILES), (75, 15, 10))[0]
        record = getattr(self, f"_{kind}")(style)
        id = record["event_id" if kind == "event" else "id"]
        data = self._render(kind, style, record)
        if style == "long":
            limit = (LINE_LIMIT if kind == "event" else LONG_RECORD) - 1
            text = record["data"] if kind == "event" else record
            text["description" if kind == "work_order" else "body"] += "x" * (limit - len(data))
            data = self._render(kind, style, record)
        return Line(kind, id, style, data + b"\r" * (style == "crlf"))

    def _render(self, kind: str, style: str, record: Json) -> bytes:
        if self.role == "go" and style not in PYTHON_ONLY:
            variant = go.Variant(offset=330, short_type=kind == "work_order",
                                 extra={"schema": 3, "build": "<dev>"})
            return go.encode(getattr(go, kind)(record, variant)).encode()
        return _python_text(record, style, self.count).encode()

    def _id(self, prefix: str, length: int = 10) -> str:
        return f"{prefix}-" + "".join(self.rng.choices(ALPHABET, k=length))

    def _now(self) -> int:
        return self.start + self.count * 1_000_000 + self.rng.randrange(1_000_000)

    def _event(self, style: str) -> Json:
        event_type, data = self._event_data(style)
        return {
            "event_id": self._id("evt", 12), "event_type": event_type, "timestamp": self._now(),
            "actor": self.actor, "correlation_id": None, "caused_by": None, "data": data,
        }

    def _event_data(self, style: str) -> tuple[str, Json]:
        note: Json = {"body": f"note {self.count} <&> \u00e4\u2028", "n": self.count}
        if style in ODD_STYLES or style == "long" or self.rng.random() < 0.3:
            return "stress.noted", note | self._odd(style)
        if self.orders and self.rng.random() < 0.6:
            return "work_order.commented", {"work_order_id": self.rng.choice(self.orders)} | note
        self.orders.append(self._id("wo"))
        return "work_order.created", {
            "work_order_id": self.orders[-1], "title": f"Order {self.count}", "description": "",
            "issue_type": "task", "priority": 2, "created_by": self.actor, "labels": [],
            "assignee": None, "metadata": {},
        }

    def _work_order(self, style: str) -> Json:
        now = self._now()
        record: Json = {
            "id": self._id("wo"), "title": f"Order {self.count} <&>", "description": "as told",
            "status": "open", "priority": self.rng.randrange(5), "issue_type": "task",
            "created_at": now, "updated_at": now, "created_by": self.actor, "assignee": None,
            "dependencies": [], "labels": ["stress"], "metadata": {"n": str(self.count)},
        }
        return record | self._odd(style)

    def _message(self, style: str) -> Json:
        record: Json = {
            "id": self._id("msg"), "from": self.actor, "to": "ceo",
            "subject": f"Subject {self.count}", "body": "as told", "message_type": None,
            "timestamp": self._now(), "read_at": None, "priority": "normal", "metadata": {},
        }
        return record | self._odd(style)

    @staticmethod
    def _odd(style: str) -> Json:
        odd: dict[str, Json] = {"nan": {"x_load": float("nan")}, "surrogate": {"x_name": "\ud83d"}}
        return odd.get(style, {})


def _python_text(record: Json, style: str, count: int) -> str:
    """JSON text of a record as Python programs write it."""
    def when(nanos: int) -> str:
        text = format_time(nanos)
        return f"{text[:-1]}{nanos // 1000 % 1000:03d}" if style == "naive-time" else text

    written = {key: when(value) if key in TIME_KEYS else value for key, value in record.items()}
    if style == "key-order":
        written = dict(sorted(written.items(), key=lambda item: item[0][::-1], reverse=True))
    # Half of the programs call json.dumps with its defaults: spaces and escapes.
    if style == "surrogate" or count % 2:
        text = json.dumps(written)
    else:
        text = dump(written)
    if style == "dup-keys":
        # A known key twice with one value, an unknown one with two.
        known = "actor" if "actor" in record else "priority"
        text = f'{text[:-1]},"{known}":{dump(record[known])},"x_twice":1,"x_twice":{count}}}'
    return text


# --- one writer -----------------------------------------------------------


@dataclass
class Output:
    """The files one writer process writes, the way its role opens them.

    A Go daemon keeps the log and the feed open, whose inodes never change. The
    projections are replaced by others, so they are opened for every line.
    """

    work: Path
    role: str
    kept: dict[str, int] = field(default_factory=dict)

    def write(self, file: str, data: bytes) -> bool:
        """One write(); True when all of it was taken."""
        if self.role == "go" and file in ("events.jsonl", "feed.jsonl"):
            if file not in self.kept:
                self.kept[file] = self._open(file)
            return os.write(self.kept[file], data) == len(data)
        descriptor = self._open(file)
        try:
            return os.write(descriptor, data) == len(data)
        finally:
            os.close(descriptor)

    def _open(self, file: str) -> int:
        flags = os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC
        return os.open(self.work / file, flags, 0o644)


def acknowledge(part: int, line: Line, file: str, kind: str, role: str) -> None:
    """Note one complete write; itself one write(), so a kill leaves it whole or torn."""
    entry = {"file": file, "kind": kind, "id": line.id, "style": line.style, "role": role,
             "len": len(line.data), "sha256": hashlib.sha256(line.data).hexdigest()}
    os.write(part, dump(entry).encode() + b"\n")


def write_lines(drafter: Drafter, output: Output, part: int, quota: int, pause: float) -> None:
    """Write `quota` lines; a torn one ends the process with SIGKILL half-way."""
    for _ in range(quota):
        line = drafter.next()
        file = FILES[line.kind]
        if line.style == "torn":
            output.write(file, line.data[: len(line.data) // 2])
            os.kill(os.getpid(), signal.SIGKILL)
        if not output.write(file, line.data + b"\n"):
            raise OSError(f"short write to {file}")
        acknowledge(part, line, file, line.kind, drafter.role)
        if line.kind == "event" and output.write("feed.jsonl", line.data + b"\n"):
            acknowledge(part, line, "feed.jsonl", "feed", drafter.role)
        if pause:
            time.sleep(pause)


# --- the run --------------------------------------------------------------


@dataclass
class Plan:
    """What a run does; all of it comes from the command line."""

    work: Path
    manifest: Path
    seed: str
    writers: int
    lines: int | None
    seconds: float | None
    kill_every: float
    pause: float
    styles: dict[str, int]
    start: int

    @property
    def parts(self) -> Path:
        return self.manifest.with_name(self.manifest.name + ".parts")

    def quota(self, index: int) -> int:
        if self.lines is None:
            return sys.maxsize
        return self.lines // self.writers + (index < self.lines % self.writers)


@dataclass
class Slot:
    """One writer's place: its process, and what is left for the next one."""

    index: int
    left: int
    pid: int = 0
    incarnation: int = 0


class Run:
    """Starts writers, kills some, starts them again, and joins their notes."""

    def __init__(self, plan: Plan) -> None:
        self.plan = plan
        self.rng = random.Random(f"{plan.seed}/killer")
        self.slots = [Slot(index, plan.quota(index)) for index in range(plan.writers)]
        self.counts: Counter[str] = Counter()

    def go(self) -> Json:
        """Run to the end and write the manifest. Raises OSError."""
        self.plan.parts.mkdir()
        end = time.monotonic() + (self.plan.seconds or float("inf"))
        try:
            self._supervise(end)
        finally:
            for slot in self.slots:
                self._kill(slot)
        return self._join()

    def _supervise(self, end: float) -> None:
        next_kill = time.monotonic() + self._until_kill()
        for slot in self.slots:
            self._start(slot)
        while (busy := self._busy()) and time.monotonic() < end:
            alive = [slot for slot in busy if slot.pid]
            if alive and time.monotonic() >= next_kill:
                self._kill(self.rng.choice(alive))
                self.counts["killed"] += 1
                next_kill = time.monotonic() + self._until_kill()
            for slot in self.slots:
                if not slot.pid and slot.left > 0:
                    self._start(slot)
                elif slot.pid:
                    self._reap(slot, os.WNOHANG)
            time.sleep(0.001)

    def _busy(self) -> list[Slot]:
        return [slot for slot in self.slots if slot.pid or slot.left > 0]

    def _until_kill(self) -> float:
        if not self.plan.kill_every:
            return float("inf")
        return self.rng.expovariate(1 / self.plan.kill_every)

    def _start(self, slot: Slot) -> None:
        if slot.left <= 0:
            return
        slot.incarnation += 1
        pid = os.fork()
        if pid == 0:
            os._exit(self._child(slot))
        slot.pid = pid

    def _child(self, slot: Slot) -> int:
        plan, role = self.plan, ("python", "go")[slot.index % 2]
        seed = f"{plan.seed}/{slot.index}/{slot.incarnation}"
        drafter = Drafter(seed, role, f"stress/workers/slot{slot.index}", plan.styles, plan.start)
        flags = os.O_WRONLY | os.O_CREAT | os.O_APPEND
        try:
            part = os.open(self._part(slot), flags, 0o644)
            write_lines(drafter, Output(plan.work, role), part, slot.left, plan.pause)
        except OSError as error:
            fail("io", str(error))
            return 1
        return 0

    def _part(self, slot: Slot) -> Path:
        return self.plan.parts / f"{slot.index:04d}-{slot.incarnation:06d}"

    def _kill(self, slot: Slot) -> None:
        if slot.pid:
            os.kill(slot.pid, signal.SIGKILL)
            self._reap(slot, 0)

    def _reap(self, slot: Slot, options: int) -> None:
        pid, status = os.waitpid(slot.pid, options)
        if pid == 0:
            return
        slot.pid = 0
        if os.waitstatus_to_exitcode(status) == 0:
            slot.left = 0
        elif os.waitstatus_to_exitcode(status) > 0:
            self.counts["failed"] += 1
            slot.left = 0
        elif self.plan.lines is not None:
            # The line that the kill hit counts too, so that every run ends.
            self.counts["deaths"] += 1
            slot.left -= 1 + sum(entry["kind"] != "feed" for entry in read_part(self._part(slot)))
        else:
            self.counts["deaths"] += 1

    def _join(self) -> Json:
        files: Counter[str] = Counter()
        styles: Counter[str] = Counter()
        with open(self.plan.manifest, "x") as out:
            for part in sorted(self.plan.parts.iterdir()):
                for entry in read_part(part):
                    out.write(dump(entry) + "\n")
                    files[entry["file"]] += 1
                    styles[entry["style"]] += 1
        shutil.rmtree(self.plan.parts)
        return {
            "seed": self.plan.seed, "manifest": str(self.plan.manifest),
            "acknowledged": dict(files), "styles": dict(styles),
            "deaths": self.counts["deaths"], "killed": self.counts["killed"],
            "failed": self.counts["failed"],
        }


def read_part(path: Path) -> Iterator[Json]:
    """The entries of a notes file or a manifest; a torn last one was no acknowledgement."""
    with contextlib.suppress(FileNotFoundError), open(path, "rb") as source:
        yield from (json.loads(line) for line in source if line.endswith(b"\n"))


# --- verify ---------------------------------------------------------------


def digest(line: bytes) -> str:
    return hashlib.sha256(line).hexdigest()


@dataclass
class Lines:
    """The lines of a log, by digest, with those that stand glued to a torn one."""

    count: Counter[str] = field(default_factory=Counter)
    #: Digest of what may follow a torn start within one line → those bytes.
    glued: dict[str, bytes] = field(default_factory=dict)
    order_ids: set[str] = field(default_factory=set)
    message_ids: set[str] = field(default_factory=set)

    @classmethod
    def of(cls, contents: Iterable[bytes]) -> "Lines":
        lines = cls()
        for content in contents:
            for line in content.split(b"\n")[:-1]:
                if line.strip():
                    lines.add(line)
        return lines

    def add(self, line: bytes) -> None:
        self.count[digest(line)] += 1
        try:
            event = json.loads(line)
        except (ValueError, RecursionError):
            self._add_glued(line)
            return
        self._add_subject(event)

    def _add_glued(self, line: bytes) -> None:
        start = line.find(b"{", 1)
        while start > 0:
            self.glued[digest(line[start:])] = line[start:]
            start = line.find(b"{", start + 1)

    def _add_subject(self, event: Any) -> None:
        data = event.get("data") if isinstance(event, dict) else None
        if not isinstance(data, dict):
            return
        if event.get("event_type") == "work_order.created":
            self.order_ids.add(str(data.get("work_order_id")))
        elif event.get("event_type") == "mail.sent":
            self.message_ids.add(str(data.get("message_id")))

    def holds(self, sha256: str) -> bool:
        """Whether the line stands here, on its own or behind a torn one."""
        return sha256 in self.count or sha256 in self.glued


def git(repo: Path, *words: str, stdin: bytes = b"") -> bytes:
    """Standard output of a git command. Raises CalledProcessError."""
    environment = {key: value for key, value in os.environ.items()
                   if key not in ("GIT_DIR", "GIT_WORK_TREE", "GIT_INDEX_FILE")}
    done = subprocess.run(["git", "-C", str(repo), *words], input=stdin, env=environment,
                          capture_output=True, check=True)
    return done.stdout


def branch_segments(repo: Path, branch: str) -> dict[str, bytes]:
    """Content of each `events/{replica}/{n}.jsonl` on the branch, by path."""
    words = ("ls-tree", "-r", "-z", "--full-tree", f"refs/heads/{branch}", "--", "events/")
    listing = git(repo, *words)
    found = {}
    for entry in listing.decode().split("\0")[:-1]:
        meta, _, path = entry.partition("\t")
        if path.count("/") == 2 and path.endswith(".jsonl"):
            found[path] = meta.split()[2]
    asked = "".join(f"{oid}\n" for oid in found.values()).encode()
    contents = git(repo, "cat-file", "--batch", stdin=asked)
    return dict(zip(found, _batch(contents)))


def _batch(output: bytes) -> Iterator[bytes]:
    position = 0
    while position < len(output):
        end = output.index(b"\n", position)
        size = int(output[position:end].split()[2])
        yield output[end + 1:end + 1 + size]
        position = end + 1 + size + 1


def quarantine_bytes(repo: Path) -> bytes:
    """Everything that lies in quarantine under the git common directory."""
    answer = git(repo, "rev-parse", "--path-format=absolute", "--git-common-dir")
    common = Path(os.fsdecode(answer.removesuffix(b"\n")))
    parts = [path.read_bytes() for path in sorted((common / "vermas").rglob("*"))
             if path.is_file() and "quarantine" in str(path.relative_to(common))]
    return b"\n".join(parts)


@dataclass
class Verifier:
    """Holds acknowledged lines against what is there; collects what is not."""

    log: Lines
    feed: Lines
    branch: Lines | None
    quarantine: bytes
    odd: str
    counts: Counter[str] = field(default_factory=Counter)
    lost: list[Json] = field(default_factory=list)

    def check(self, entry: Json) -> None:
        self.counts[f"acknowledged.{entry['kind']}"] += 1
        if entry["kind"] == "event":
            self._need(entry, "events.jsonl", self.log.holds(entry["sha256"]))
            if self.branch is not None:
                self._need(entry, "branch", self._on_branch(entry))
        elif entry["kind"] == "feed":
            self._need(entry, "feed.jsonl", self.feed.holds(entry["sha256"]))
        else:
            self._need(entry, "explained", self._explained(entry))

    def _need(self, entry: Json, place: str, found: bool) -> None:
        if not found:
            self.lost.append(entry | {"missing": place})
            self.counts[f"lost.{place}"] += 1

    def _on_branch(self, entry: Json) -> bool:
        assert self.branch is not None
        if entry["sha256"] in self.branch.count:
            return self._seen("branch")
        # Salvage takes the object that ends a glued line; a carriage return is not of it.
        salvaged = self.log.glued.get(entry["sha256"])
        if salvaged is not None and digest(salvaged.rstrip(b"\r")) in self.branch.count:
            return self._seen("branch_salvaged")
        return self._odd_elsewhere(entry)

    def _odd_elsewhere(self, entry: Json) -> bool:
        """A line that is no strict JSON may lie in quarantine, unless that is ruled out."""
        if entry["style"] not in ODD_STYLES or self.odd == "branch":
            return False
        if self.branch is not None and entry["sha256"] in self.branch.glued:
            return self._seen("branch_glued")
        return entry["id"].encode() in self.quarantine and self._seen("quarantine")

    def _explained(self, entry: Json) -> bool:
        known = self.branch if self.branch is not None else self.log
        ids = known.order_ids if entry["kind"] == "work_order" else known.message_ids
        return entry["id"] in ids or self._odd_elsewhere(entry)

    def _seen(self, what: str) -> bool:
        self.counts[f"found.{what}"] += 1
        return True


def verify(args: argparse.Namespace) -> tuple[Json, bool]:
    """The result to print, and whether nothing was lost. Raises OSError, CalledProcessError."""
    if absent := [str(path) for path in args.manifest if not path.is_file()]:
        raise FileNotFoundError(f"no manifest: {absent}")
    segments = branch_segments(args.repo, args.branch) if args.repo else {}
    archive = sorted((args.work / "events").glob("*.jsonl"))
    verifier = Verifier(
        log=Lines.of(_contents([args.work / "events.jsonl", *archive])),
        feed=Lines.of(_contents([args.work / "feed.jsonl"])),
        branch=Lines.of(segments.values()) if args.repo else None,
        quarantine=quarantine_bytes(args.repo) if args.repo else b"",
        odd=args.odd,
    )
    for manifest in args.manifest:
        for entry in read_part(manifest):
            verifier.check(entry)
    repeated = sum(n - 1 for n in verifier.branch.count.values()) if verifier.branch else 0
    fine = not verifier.lost and not repeated
    result: Json = {
        "ok": fine, "counts": dict(verifier.counts),
        "lost": len(verifier.lost), "lost_first": verifier.lost[:20],
        "branch_lines": verifier.branch.count.total() if verifier.branch else None,
        "branch_duplicates": repeated, "segments": len(segments),
        "segments_over_64k": sum(len(content) > LINE_LIMIT for content in segments.values()),
        "segments_without_final_newline": sum(
            not content.endswith(b"\n") for content in segments.values() if content),
    }
    return result, fine


def _contents(paths: list[Path]) -> Iterator[bytes]:
    return (path.read_bytes() for path in paths if path.exists())


# --- command line ---------------------------------------------------------


def parser() -> argparse.ArgumentParser:
    top = argparse.ArgumentParser(description="Foreign writers under fire.")
    verbs = top.add_subparsers(dest="verb", required=True)
    run = verbs.add_parser("run")
    run.add_argument("--work", type=Path, required=True)
    run.add_argument("--manifest", type=Path, required=True, help="must not exist yet")
    run.add_argument("--writers", type=int, default=4)
    run.add_argument("--lines", type=int, help="in all; a line hit by a kill counts")
    run.add_argument("--seconds", type=float)
    run.add_argument("--seed", default="1")
    run.add_argument("--kill-every", type=float, default=0.1, metavar="S",
                     help="mean seconds between two kills; 0 for none")
    run.add_argument("--pause", type=float, default=0.0, metavar="S", help="after each line")
    run.add_argument("--styles", default=",".join(STYLES))
    run.add_argument("--start", default="2026-01-06T12:00:00Z", help="time of the first line")
    check = verbs.add_parser("verify")
    check.add_argument("--work", type=Path, required=True)
    check.add_argument("--manifest", type=Path, action="append", required=True)
    check.add_argument("--repo", type=Path, help="without it only the files on disk are held")
    check.add_argument("--branch", default="vermas/state")
    check.add_argument("--odd", choices=("either", "branch"), default="either",
                       help="where a complete line that is no strict JSON may be found")
    return top


def plan_of(args: argparse.Namespace) -> Plan:
    """The plan of the arguments. Raises FormatError."""
    names = args.styles.split(",")
    if unknown := [name for name in names if name not in STYLES]:
        raise FormatError(f"unknown styles {unknown}; there are {list(STYLES)}")
    if args.lines is None and args.seconds is None:
        raise FormatError("--lines or --seconds is needed")
    if args.writers < 1 or args.manifest.exists():
        raise FormatError("--writers is at least 1 and the manifest must not exist")
    return Plan(
        args.work, args.manifest, args.seed, args.writers, args.lines, args.seconds,
        args.kill_every, args.pause, {name: STYLES[name] for name in names},
        parse_time(args.start),
    )


def main(argv: list[str] | None = None) -> int:
    args = parser().parse_args(argv)
    if not args.work.is_dir():
        parser().error(f"no directory: {args.work}")
    try:
        if args.verb == "verify":
            result, fine = verify(args)
        else:
            try:
                plan = plan_of(args)
            except FormatError as error:
                parser().error(str(error))
            result = Run(plan).go()
            fine = not result["failed"]
    except subprocess.CalledProcessError as error:
        return fail("git", error.stderr.decode(errors="replace").strip())
    except (OSError, ValueError) as error:
        return fail("io", str(error))
    print(dump(result))
    return 0 if fine else 1


if __name__ == "__main__":
    sys.exit(main())
