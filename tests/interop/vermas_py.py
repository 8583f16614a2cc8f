#!/usr/bin/env python3
"""A small foreign implementation of the shared `.work/` files.

It stands for the Python port: it knows the files, it knows no lock, and it
reads strictly, so that a line which a typed reader cannot take is an error
here with file and line number and never a silent skip.

Shapes are those of the format contract (sections 2 to 9). Every append is one
`write()` of a whole line with its newline on a descriptor opened with
O_APPEND. The rewriting commands (`wo update`, `wo close`, `read`) break the
contract on purpose, the way a naive program does.

Exit codes: 0 done, 1 failed or a check found problems, 2 wrong arguments.
Standard output carries JSON only; an error is `{"error": {...}}` on standard
error.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import re
import sys
import time
import tomllib
from collections import Counter
from dataclasses import dataclass, field, fields
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any, Callable, ClassVar, Generic, Iterator, TypeVar

Json = dict[str, Any]

EPOCH = datetime(1970, 1, 1)
FIRST_SECOND = round((datetime(1, 1, 1) - EPOCH).total_seconds())
LAST_SECOND = round((datetime(9999, 12, 31, 23, 59, 59) - EPOCH).total_seconds())
ALPHABET = "0123456789abcdefghjkmnpqrstvwxyz"
ID_FORM = re.compile(r"[a-z]{1,8}-[A-Za-z0-9_]{1,64}(\.[0-9]+)*", re.ASCII)
AGENT_FORM = re.compile(r"[a-z0-9][a-z0-9_-]{0,62}(/[a-z0-9][a-z0-9_-]{0,62}){0,2}", re.ASCII)
TIME_FORM = re.compile(
    r"(\d{4})-(\d\d)-(\d\d)[Tt ](\d\d):(\d\d):(\d\d)(?:\.(\d+))?([Zz]|[+-]\d\d:\d\d)?", re.ASCII
)
WRITTEN_TIME_FORM = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", re.ASCII)

STATUSES = ("open", "assigned", "in_progress", "closed")
ISSUE_TYPES = ("task", "bug", "feature", "epic", "merge-request")
MESSAGE_PRIORITIES = ("urgent", "normal", "low")
MESSAGE_TYPES = (
    "WORKER_DONE", "READY_FOR_QA", "MERGED", "REWORK_REQUEST", "NUDGE",
    "SUPERVISOR_PING", "HELP", "HANDOFF", "ESCALATION",
)
REF_TYPES = ("work_order", "mail", "process")
PROCESS_STATES = ("ready", "active", "archive")
STEP_STATUSES = (
    "pending", "blocked", "ready", "in_progress", "completed", "failed", "skipped",
)
#: The key of `data` that names the subject, by the first part of the event type.
SUBJECT_KEYS = {
    "work_order": "work_order_id", "mail": "message_id", "assignment": "agent",
    "process": "process_id", "sprint": "sprint_id", "verify": "work_order_id",
    "qa": "work_order_id",
}


class FormatError(Exception):
    """A line, a file or a value that is not of the shared format."""

    def __init__(self, reason: str, file: str = "", line: int = 0) -> None:
        super().__init__(f"{file}:{line}: {reason}" if file else reason)
        self.reason, self.file, self.line = reason, file, line

    def at(self, file: str, line: int) -> "FormatError":
        """The same error with its place."""
        return FormatError(self.reason, file, line)


# --- time -----------------------------------------------------------------


def parse_time(text: object) -> int:
    """Nanoseconds since 1970 of an RFC 3339 time; without an offset it is UTC.

    Digits beyond nanoseconds are cut off. Raises FormatError.
    """
    match = TIME_FORM.fullmatch(text) if isinstance(text, str) else None
    if match is None:
        raise FormatError(f"not a time: {text!r}")
    year, month, day, hour, minute, second = (int(part) for part in match.groups()[:6])
    try:
        moment = datetime(year, month, day, hour, minute, min(second, 59))
    except ValueError as error:
        raise FormatError(f"not a time: {text!r}: {error}") from None
    if second > 60:
        raise FormatError(f"not a time: {text!r}")
    seconds = round((moment - EPOCH).total_seconds()) + (second == 60) - _offset_seconds(match[8])
    if not FIRST_SECOND <= seconds <= LAST_SECOND:
        raise FormatError(f"outside of the years 1 to 9999: {text!r}")
    return seconds * 10**9 + int((match[7] or "").ljust(9, "0")[:9])


def _offset_seconds(text: str | None) -> int:
    if text is None or text in "Zz":
        return 0
    hours, minutes = int(text[1:3]), int(text[4:6])
    if hours > 23 or minutes > 59:
        raise FormatError(f"not an offset: {text!r}")
    return (hours * 3600 + minutes * 60) * (-1 if text[0] == "-" else 1)


def format_time(nanos: int) -> str:
    """UTC with milliseconds, cut off and not rounded: `2026-01-06T12:00:00.000Z`."""
    seconds, rest = divmod(nanos, 10**9)
    return (EPOCH + timedelta(seconds=seconds)).isoformat() + f".{rest // 10**6:03d}Z"


# --- strict JSON ----------------------------------------------------------


def _no_constant(name: str) -> object:
    raise ValueError(f"{name} is no JSON")


def parse_object(line: bytes) -> Json:
    """One JSON object of RFC 8259 that UTF-8 can carry.

    Of a repeated key the last one counts. Raises FormatError for anything
    else: other bytes than UTF-8, NaN, a lone surrogate, nesting past the
    parser's depth, a value that is no object.
    """
    try:
        value = json.loads(line.decode("utf-8"), parse_constant=_no_constant)
        json.dumps(value, ensure_ascii=False).encode("utf-8")
    except UnicodeEncodeError:
        raise FormatError("a lone surrogate") from None
    except (ValueError, RecursionError) as error:
        raise FormatError(f"no JSON: {error}") from None
    if not isinstance(value, dict):
        raise FormatError("no JSON object")
    return value


def dump(value: object) -> str:
    """Compact JSON, as the typed models of the port write it."""
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"))


# --- rules for fields -----------------------------------------------------

#: Gives the reason why a value is refused, or None.
Rule = Callable[[object], str | None]


def is_text(value: object) -> str | None:
    return None if isinstance(value, str) else "no text"


def is_title(value: object) -> str | None:
    if not isinstance(value, str) or not 1 <= len(value) <= 100:
        return "a title has 1 to 100 characters"
    return "a title is one line" if "\n" in value or "\r" in value else None


def is_form(form: re.Pattern[str], what: str) -> Rule:
    def rule(value: object) -> str | None:
        fits = isinstance(value, str) and form.fullmatch(value)
        return None if fits else f"no {what}: {value!r}"
    return rule


def is_one_of(*values: object) -> Rule:
    def rule(value: object) -> str | None:
        fits = type(value) in (str, int) and value in values
        return None if fits else f"{value!r} is none of {list(values)}"
    return rule


def is_time(value: object) -> str | None:
    try:
        parse_time(value)
    except FormatError as error:
        return error.reason
    return None


def is_object(value: object) -> str | None:
    return None if isinstance(value, dict) else "no object"


def or_null(rule: Rule) -> Rule:
    return lambda value: None if value is None else rule(value)


def list_of(rule: Rule) -> Rule:
    def check(value: object) -> str | None:
        if not isinstance(value, list):
            return "no array"
        return next((reason for item in value if (reason := rule(item))), None)
    return check


is_id = is_form(ID_FORM, "id")
is_agent = is_form(AGENT_FORM, "agent")


# --- models ---------------------------------------------------------------


@dataclass
class Model:
    """A record: typed fields, and `extra` for keys it does not know."""

    RULES: ClassVar[dict[str, Rule]] = {}
    #: Keys that may be missing; their dataclass default then holds.
    OPTIONAL: ClassVar[frozenset[str]] = frozenset()
    #: Attribute names that differ from their key.
    KEYS: ClassVar[dict[str, str]] = {}

    extra: Json = field(default_factory=dict, kw_only=True)

    @classmethod
    def attributes(cls) -> dict[str, str]:
        """Key in the file by attribute name, in the order of writing."""
        return {f.name: cls.KEYS.get(f.name, f.name) for f in fields(cls) if f.name != "extra"}

    @classmethod
    def from_json(cls, raw: Json) -> Any:
        """The record of one object. Raises FormatError with the field's name."""
        for key, rule in cls.RULES.items():
            if key not in raw:
                if key not in cls.OPTIONAL:
                    raise FormatError(f"{key}: missing")
            elif reason := rule(raw[key]):
                raise FormatError(f"{key}: {reason}")
        names = {key: name for name, key in cls.attributes().items()}
        known = {names[key]: value for key, value in raw.items() if key in names}
        extra = {key: value for key, value in raw.items() if key not in names}
        return cls(**known, extra=extra)

    def to_json(self) -> Json:
        """The object to write: own fields first, then what was not known."""
        return {key: getattr(self, name) for name, key in self.attributes().items()} | self.extra


def is_dependency(value: object) -> str | None:
    if not isinstance(value, dict):
        return "no object"
    rules = {"depends_on_id": is_id, "type": is_text, "created_at": is_time, "created_by": is_agent}
    for key, rule in rules.items():
        if reason := ("missing" if key not in value else rule(value[key])):
            return f"{key}: {reason}"
    return None


@dataclass
class WorkOrder(Model):
    id: str
    title: str
    description: str
    status: str
    priority: int
    issue_type: str
    created_at: str
    updated_at: str
    created_by: str
    assignee: str | None = None
    dependencies: list[Json] = field(default_factory=list)
    labels: list[str] = field(default_factory=list)
    metadata: Json = field(default_factory=dict)

    RULES = {
        "id": is_id, "title": is_title, "description": is_text,
        "status": is_one_of(*STATUSES), "priority": is_one_of(0, 1, 2, 3, 4),
        "issue_type": is_one_of(*ISSUE_TYPES), "created_at": is_time, "updated_at": is_time,
        "created_by": is_agent, "dependencies": list_of(is_dependency),
        "assignee": or_null(is_agent), "labels": list_of(is_text), "metadata": is_object,
    }
    OPTIONAL = frozenset({"assignee", "labels", "metadata"})


@dataclass
class Message(Model):
    id: str
    sender: str
    to: str
    subject: str
    body: str
    message_type: str | None
    timestamp: str
    read_at: str | None
    priority: str
    metadata: Json

    KEYS = {"sender": "from"}
    RULES = {
        "id": is_id, "from": is_agent, "to": is_agent, "subject": is_text, "body": is_text,
        "message_type": or_null(is_one_of(*MESSAGE_TYPES)), "timestamp": is_time,
        "read_at": or_null(is_time), "priority": is_one_of(*MESSAGE_PRIORITIES),
        "metadata": is_object,
    }


@dataclass
class Event(Model):
    event_id: str
    event_type: str
    timestamp: str
    actor: str
    correlation_id: str | None = None
    caused_by: str | None = None
    data: Json = field(default_factory=dict)

    RULES = {
        "event_id": is_id, "event_type": is_text, "timestamp": is_time, "actor": is_agent,
        "data": is_object, "correlation_id": or_null(is_text), "caused_by": or_null(is_text),
    }
    OPTIONAL = frozenset({"correlation_id", "caused_by"})


# --- files ----------------------------------------------------------------


def append_line(path: Path, line: bytes) -> None:
    """Append `line` and its newline in one write().

    A crash before the write leaves nothing, a crash within it a torn line.
    Raises OSError, also for a short write.
    """
    with open(path, "ab", buffering=0) as out:
        if out.write(line + b"\n") != len(line) + 1:
            raise OSError(f"short write to {path}")


def read_lines(path: Path) -> Iterator[tuple[int, bytes]]:
    """Number and bytes of each line that ends in a newline, blank ones skipped.

    What stands after the last newline is somebody's write in progress, and no
    line yet. A carriage return before the newline is cut off.
    """
    if not path.exists():
        return
    with open(path, "rb") as source:
        for number, line in enumerate(source, 1):
            if line.endswith(b"\n") and line.strip():
                yield number, line.rstrip(b"\r\n")


M = TypeVar("M", bound=Model)


class Store(Generic[M]):
    """One JSONL file of one kind of record."""

    def __init__(self, path: Path, model: type[M]) -> None:
        self.path, self.model = path, model

    def append(self, record: M) -> None:
        append_line(self.path, dump(record.to_json()).encode())

    def iter(self) -> Iterator[M]:
        """All records. Raises FormatError with file and line at the first bad one."""
        for number, line in read_lines(self.path):
            try:
                yield self.model.from_json(parse_object(line))
            except FormatError as error:
                raise error.at(self.path.name, number) from None

    def find(self, **wanted: object) -> M | None:
        """The first record whose attributes are as wanted."""
        return next(self._matching(wanted), None)

    def filter(self, **wanted: object) -> list[M]:
        return list(self._matching(wanted))

    def _matching(self, wanted: Json) -> Iterator[M]:
        for record in self.iter():
            if all(getattr(record, name) == value for name, value in wanted.items()):
                yield record

    def rewrite(self, id: str, change: Callable[[Json], None], truncate: bool = False) -> Json:
        """Replace the first line of `id` by its changed record; other lines stay.

        Naive on purpose: whatever somebody else appends between the reading
        and the replacing is lost. `truncate` opens the file with "w" where the
        other mode renames a temporary file over it.
        """
        lines = self.path.read_bytes().split(b"\n") if self.path.exists() else []
        for index, line in enumerate(lines):
            if not line.strip():
                continue
            try:
                raw = parse_object(line)
            except FormatError as error:
                raise error.at(self.path.name, index + 1) from None
            if raw.get("id") == id:
                change(raw)
                self.model.from_json(raw)
                lines[index] = dump(raw).encode()
                self._replace(b"\n".join(lines), truncate)
                return raw
        raise FormatError(f"no {id} in {self.path.name}")

    def _replace(self, content: bytes, truncate: bool) -> None:
        if truncate:
            with open(self.path, "wb") as out:
                out.write(content)
            return
        temporary = self.path.with_name(f".{self.path.name}.{os.getpid()}.tmp")
        temporary.write_bytes(content)
        os.replace(temporary, self.path)


def assignment_name(agent: str) -> str:
    return ".assignment-" + agent.replace("/", "-")


class Assignment:
    """The assignment file of one agent: one line `type:id`, or nothing."""

    def __init__(self, agent: str, work: Path) -> None:
        if reason := is_agent(agent):
            raise FormatError(reason)
        self.agent, self.path = agent, work / assignment_name(agent)

    def check(self) -> tuple[str, str] | None:
        """Type and id, or None without a file or with an empty one."""
        return read_assignment(self.path)

    def set(self, ref_type: str, ref_id: str) -> None:
        self.path.write_text(f"{ref_type}:{ref_id}")

    def clear(self) -> None:
        self.path.unlink(missing_ok=True)


def read_assignment(path: Path) -> tuple[str, str] | None:
    """Type and id of an assignment file. Raises FormatError."""
    text = path.read_text().removesuffix("\n") if path.exists() else ""
    if not text:
        return None
    kind, separator, id = text.partition(":")
    if kind not in REF_TYPES or not separator or is_id(id):
        raise FormatError(f"no assignment: {text!r}", path.name, 1)
    return kind, id


def read_process(path: Path) -> Json:
    """A process record of section 8. Raises FormatError."""
    step = {"id": is_text, "status": is_one_of(*STEP_STATUSES),
            "started_at": or_null(is_time), "completed_at": or_null(is_time)}
    rules: dict[str, Rule] = {
        "id": is_id, "template": is_text, "work_order_id": or_null(is_id),
        "state": is_one_of(*PROCESS_STATES), "created_at": is_time, "steps": list_of(is_object),
    }
    raw = parse_object(path.read_bytes())
    _require(raw, rules, path.name)
    for one in raw["steps"]:
        _require(one, step, path.name)
    return raw


def read_template(path: Path) -> Json:
    """A workflow template of section 8. Raises FormatError for a bad graph too."""
    try:
        raw = tomllib.loads(path.read_text())
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise FormatError(f"no TOML: {error}", path.name, 1) from None
    _require(raw, {"template": is_text, "description": is_text, "version": is_one_of(1),
                   "steps": list_of(is_object)}, path.name)
    for step in raw["steps"]:
        _require({"needs": []} | step,
                 {"id": is_text, "title": is_text, "needs": list_of(is_text)}, path.name)
    _require_graph({step["id"]: step.get("needs", []) for step in raw["steps"]},
                   len(raw["steps"]), path.name)
    return raw


def _require(raw: Json, rules: dict[str, Rule], file: str) -> None:
    for key, rule in rules.items():
        if reason := ("missing" if key not in raw else rule(raw[key])):
            raise FormatError(f"{key}: {reason}", file, 1)


def _require_graph(needs: dict[str, list[str]], count: int, file: str) -> None:
    if len(needs) != count:
        raise FormatError("a step id occurs twice", file, 1)
    for step, names in needs.items():
        if unknown := [name for name in names if name not in needs]:
            raise FormatError(f"step {step} needs unknown {unknown}", file, 1)
    done: set[str] = set()
    while left := [step for step in needs if step not in done]:
        free = [step for step in left if done.issuperset(needs[step])]
        if not free:
            raise FormatError(f"the steps {left} need each other", file, 1)
        done.update(free)


# --- the work directory ---------------------------------------------------


@dataclass
class Work:
    """A `.work/` directory, and where new ids and times come from."""

    path: Path
    actor: str = "ceo"
    rng: random.Random = field(default_factory=random.SystemRandom)
    now: Callable[[], str] = lambda: format_time(time.time_ns())

    def __post_init__(self) -> None:
        self.orders: Store[WorkOrder] = Store(self.path / "work_orders.jsonl", WorkOrder)
        self.messages: Store[Message] = Store(self.path / "messages.jsonl", Message)
        self.events: Store[Event] = Store(self.path / "events.jsonl", Event)

    def new_id(self, prefix: str, length: int) -> str:
        return f"{prefix}-" + "".join(self.rng.choices(ALPHABET, k=length))

    def emit_event(self, event_type: str, data: Json) -> Event:
        """Append an event to the log, then to the feed; one write() each."""
        event = Event(self.new_id("evt", 12), event_type, self.now(), self.actor, data=data)
        line = dump(event.to_json()).encode()
        append_line(self.path / "events.jsonl", line)
        append_line(self.path / "feed.jsonl", line)
        return event


def watch_feed(path: Path, poll: float = 0.02) -> Iterator[Event | None]:
    """Events that are appended from now on, for ever, through one open file.

    Yields None whenever there is nothing to read, so that the caller can give
    up. It never opens the file again: a feed that somebody replaces or
    truncates falls silent here, as it does for every watcher in use.
    """
    with open(path, "rb") as feed:
        feed.seek(0, os.SEEK_END)
        yield None
        pending = b""
        while True:
            pending += feed.readline()
            if not pending.endswith(b"\n"):
                time.sleep(poll)
                yield None
                continue
            line, pending = pending.rstrip(b"\r\n"), b""
            if line:
                yield Event.from_json(parse_object(line))


# --- check ----------------------------------------------------------------


@dataclass
class Report:
    """What `check` found: records per file, and every problem with its place."""

    files: Counter[str] = field(default_factory=Counter)
    problems: list[Json] = field(default_factory=list)

    def problem(self, file: str, line: int, reason: str) -> None:
        self.problems.append({"file": file, "line": line, "reason": reason})

    def to_json(self) -> Json:
        return {"ok": not self.problems, "files": dict(self.files), "problems": self.problems}


def check(work: Path, only: set[str], explained: bool) -> Report:
    """Read every file of `work` strictly; `only` names the ones to read, empty for all."""
    report = Report()
    kept: dict[str, list[Any]] = {}
    for name, model, key in (
        ("events.jsonl", Event, "event_id"), ("feed.jsonl", Event, "event_id"),
        ("work_orders.jsonl", WorkOrder, "id"), ("messages.jsonl", Message, "id"),
    ):
        if explained or not only or name in only:
            kept[name] = _check_lines(work / name, model, key, report, not only or name in only)
    if not only:
        _check_assignments(work, report)
        _check_documents(work, report)
    if explained:
        _check_explained(work, kept, report)
    return report


def _check_lines(path: Path, model: type[Model], key: str, report: Report, tell: bool) -> list[Any]:
    """The good records of a file; its problems go to the report when `tell`."""
    records: list[Any] = []
    seen: dict[str, bytes] = {}
    found = report if tell else Report()
    for number, line in read_lines(path):
        try:
            record = model.from_json(parse_object(line))
            _check_subject(record)
        except FormatError as error:
            found.problem(path.name, number, error.reason)
            continue
        records.append(record)
        found.files[path.name] += 1
        # An event line that stands twice is one event: writers repeat a line
        # that was glued to a torn one. The same id with other bytes is not.
        if (first := seen.setdefault(getattr(record, key), line)) is not line:
            if model is not Event or first != line:
                found.problem(path.name, number, f"{getattr(record, key)} occurs twice")
    if path.exists() and not path.read_bytes().endswith((b"\n", b"")[path.stat().st_size == 0]):
        found.problem(path.name, 0, "the last line has no newline")
    return records


def _check_subject(record: Any) -> None:
    if not isinstance(record, Event):
        return
    key = SUBJECT_KEYS.get(record.event_type.split(".")[0])
    if key is None:
        return
    rule = is_agent if key == "agent" else is_id
    if reason := ("missing" if key not in record.data else rule(record.data[key])):
        raise FormatError(f"data.{key}: {reason}")


def _check_assignments(work: Path, report: Report) -> None:
    for path in sorted(work.glob(".assignment-*")):
        try:
            read_assignment(path)
            report.files[path.name] += 1
        except FormatError as error:
            report.problem(path.name, 1, error.reason)


def _check_documents(work: Path, report: Report) -> None:
    readers: list[tuple[str, Callable[[Path], object]]] = [
        ("processes/*.json", read_process), ("templates/*.toml", read_template),
        ("config.toml", lambda path: tomllib.loads(path.read_text())),
        ("routes.jsonl", lambda path: [parse_object(line) for _, line in read_lines(path)]),
    ]
    for pattern, reader in readers:
        for path in sorted(work.glob(pattern)):
            name = str(path.relative_to(work))
            try:
                reader(path)
                report.files[name] += 1
            except (FormatError, ValueError) as error:
                report.problem(name, 1, str(error))


def _check_explained(work: Path, kept: dict[str, list[Any]], report: Report) -> None:
    events: list[Event] = kept["events.jsonl"]
    for file, event_type, key in (
        ("work_orders.jsonl", "work_order.created", "work_order_id"),
        ("messages.jsonl", "mail.sent", "message_id"),
    ):
        known = {e.data.get(key) for e in events if e.event_type == event_type}
        for record in kept[file]:
            if record.id not in known:
                report.problem(file, 0, f"{record.id}: no {event_type} explains it")
    told = {(assignment_name(str(e.data.get("agent"))), e.data.get("ref_type"),
             e.data.get("ref_id")) for e in events if e.event_type == "assignment.set"}
    for path in sorted(work.glob(".assignment-*")):
        try:
            content = read_assignment(path)
        except FormatError:
            continue
        if content and (path.name, *content) not in told:
            report.problem(path.name, 1, "no assignment.set explains it")


# --- commands -------------------------------------------------------------


def wo_create(work: Work, args: argparse.Namespace) -> Json:
    now = work.now()
    dependencies = [{"depends_on_id": id, "type": "blocks", "created_at": now,
                     "created_by": work.actor} for id in args.dep]
    order = WorkOrder(
        args.id or work.new_id("wo", 10), args.title, args.description, "open", args.priority,
        args.type, now, now, work.actor, args.assignee, dependencies, args.label,
        _pairs(args.metadata),
    )
    WorkOrder.from_json(order.to_json())
    if not args.silent:
        _emit_created(work, order)
    work.orders.append(order)
    return order.to_json()


def _emit_created(work: Work, order: WorkOrder) -> None:
    data = order.to_json()
    named = {"work_order_id": order.id} | {
        key: data[key] for key in ("title", "description", "issue_type", "priority",
                                   "created_by", "labels", "assignee", "metadata")}
    work.emit_event("work_order.created", named)
    for dependency in order.dependencies:
        work.emit_event("work_order.dependency_added", {
            "work_order_id": order.id, "depends_on_id": dependency["depends_on_id"],
            "type": dependency["type"]})


def wo_list(work: Work, args: argparse.Namespace) -> list[Json]:
    orders = list(work.orders.iter())
    closed = {order.id for order in orders if order.status == "closed"}
    if args.status:
        orders = [order for order in orders if order.status == args.status]
    if args.ready:
        orders = [order for order in orders if order.status == "open" and all(
            d["depends_on_id"] in closed for d in order.dependencies if d["type"] == "blocks")]
    return [order.to_json() for order in orders]


def wo_show(work: Work, args: argparse.Namespace) -> Json:
    order = work.orders.find(id=args.id)
    if order is None:
        raise FormatError(f"no {args.id} in work_orders.jsonl")
    return order.to_json()


def wo_update(work: Work, args: argparse.Namespace) -> Json:
    names = {"title": "title", "description": "description", "priority": "priority",
             "type": "issue_type"}
    changes: Json = {key: getattr(args, name) for name, key in names.items()
                     if getattr(args, name) is not None}
    if args.assignee is not None:
        changes["assignee"] = args.assignee or None
    pairs = _pairs(args.metadata)
    changes |= {f"metadata.{key}": value for key, value in pairs.items()}
    return _update(work, args, changes, args.status, args.add_label)


def wo_close(work: Work, args: argparse.Namespace) -> Json:
    raw = _update(work, args, {}, "closed", [])
    if not args.silent:
        work.emit_event("work_order.closed", {"work_order_id": args.id, "reason": args.reason})
    return raw


def _update(work: Work, args: argparse.Namespace, changes: Json, status: str | None,
            labels: list[str]) -> Json:
    before: Json = {}

    def change(raw: Json) -> None:
        before.update(raw)
        for key, value in changes.items():
            if key.startswith("metadata."):
                raw["metadata"] = raw.get("metadata", {}) | {key[len("metadata."):]: value}
            else:
                raw[key] = value
        raw["status"] = status or raw["status"]
        raw["labels"] = raw.get("labels", []) + labels
        raw["updated_at"] = work.now()

    raw = work.orders.rewrite(args.id, change, args.truncate)
    if not args.silent:
        _emit_update(work, args.id, changes, before["status"], status, labels)
    return raw


def _emit_update(work: Work, id: str, changes: Json, old: str, new: str | None,
                 labels: list[str]) -> None:
    if changes:
        work.emit_event("work_order.updated", {"work_order_id": id, "changes": changes})
    if labels:
        work.emit_event("work_order.labels_changed",
                        {"work_order_id": id, "added": labels, "removed": []})
    if new is not None and new != old:
        work.emit_event("work_order.status_changed",
                        {"work_order_id": id, "from_status": old, "to_status": new})


def send(work: Work, args: argparse.Namespace) -> Json:
    message = Message(
        args.id or work.new_id("msg", 10), work.actor, args.to, args.subject, args.body,
        args.type, work.now(), None, args.priority, {},
    )
    record = message.to_json()
    Message.from_json(record)
    if not args.silent:
        data = {key: value for key, value in record.items()
                if key not in ("id", "timestamp", "read_at")}
        work.emit_event("mail.sent", {"message_id": message.id} | data)
    work.messages.append(message)
    return record


def inbox(work: Work, args: argparse.Namespace) -> list[Json]:
    """Urgent first, then oldest first."""
    mine = work.messages.filter(to=args.agent or work.actor)
    if args.unread:
        mine = [message for message in mine if message.read_at is None]
    mine.sort(key=lambda m: (m.priority != "urgent", parse_time(m.timestamp), m.id))
    return [message.to_json() for message in mine]


def read(work: Work, args: argparse.Namespace) -> Json:
    now = work.now()
    raw = work.messages.rewrite(args.id, lambda raw: raw.update(read_at=now), args.truncate)
    if not args.silent:
        work.emit_event("mail.read", {"message_id": args.id, "reader": work.actor, "read_at": now})
    return raw


def assignment(work: Work, args: argparse.Namespace) -> Json:
    slot = Assignment(args.agent or work.actor, work.path)
    held = slot.check() if args.verb != "set" else None
    if args.verb == "set":
        held = _reference(args.ref)
        slot.set(*held)
        if not args.silent:
            work.emit_event("assignment.set", {
                "agent": slot.agent, "ref_type": held[0], "ref_id": held[1]})
    elif args.verb == "clear":
        slot.clear()
        if held and not args.silent:
            work.emit_event("assignment.cleared", {
                "agent": slot.agent, "previous_ref": ":".join(held)})
        held = None
    return {"agent": slot.agent, "ref_type": held and held[0], "ref_id": held and held[1]}


def _reference(text: str) -> tuple[str, str]:
    kind, _, id = text.partition(":")
    if kind not in REF_TYPES or is_id(id):
        raise FormatError(f"no assignment: {text!r}")
    return kind, id


def events_emit(work: Work, args: argparse.Namespace) -> Json:
    return work.emit_event(args.event_type, parse_object(args.data.encode())).to_json()


def events_list(work: Work, args: argparse.Namespace) -> list[Json]:
    return [event.to_json() for event in work.events.iter()
            if args.type in (None, event.event_type)]


def feed_watch(work: Work, args: argparse.Namespace) -> int:
    """Print `--count` events as lines; 1 when `--timeout` seconds end before."""
    deadline = time.monotonic() + args.timeout
    left, ready = args.count, args.ready
    for event in watch_feed(work.path / "feed.jsonl"):
        if ready:
            print(dump({"ready": True}), flush=True)
            ready = False
        if event is not None:
            print(dump(event.to_json()), flush=True)
            left -= 1
        if left <= 0:
            return 0
        if time.monotonic() > deadline:
            return 1
    return 1


def run_check(work: Work, args: argparse.Namespace) -> int:
    report = check(work.path, set(args.only), args.explained)
    print(dump(report.to_json()))
    return 0 if not report.problems else 1


def _pairs(items: list[str]) -> Json:
    pairs = [item.partition("=") for item in items]
    if any(not separator for _, separator, _ in pairs):
        raise FormatError("metadata is given as key=value")
    return {key: value for key, _, value in pairs}


# --- command line ---------------------------------------------------------


def parser() -> argparse.ArgumentParser:
    top = argparse.ArgumentParser(description="A foreign implementation of the .work files.")
    top.add_argument("--work", type=Path, required=True, help="the .work directory")
    top.add_argument("--as", dest="actor", default=os.environ.get("AGENT_ID", "ceo"))
    top.add_argument("--seed", help="makes new ids repeatable")
    top.add_argument("--now", help="the time to write, as it stands; the clock otherwise")
    top.add_argument("--naive-time", action="store_true", help="write times without an offset")
    verbs = top.add_subparsers(required=True)
    _work_order_verbs(verbs.add_parser("wo").add_subparsers(required=True))
    _mail_verbs(verbs)
    _assignment_verbs(verbs.add_parser("assignment").add_subparsers(required=True))
    _event_verbs(verbs)
    checking = _verb(verbs, "check", run_check)
    checking.add_argument("--explained", action="store_true")
    checking.add_argument("--only", action="append", default=[], metavar="FILE")
    return top


def _verb(verbs: Any, name: str, run: Callable[..., object]) -> argparse.ArgumentParser:
    added: argparse.ArgumentParser = verbs.add_parser(name)
    added.set_defaults(run=run)
    return added


def _writing(verb: argparse.ArgumentParser, rewrites: bool = False) -> argparse.ArgumentParser:
    verb.add_argument("--silent", action="store_true", help="write no event, only the record")
    if rewrites:
        verb.add_argument("--truncate", action="store_true", help='rewrite through open("w")')
    return verb


def _work_order_verbs(verbs: Any) -> None:
    create = _writing(_verb(verbs, "create", wo_create))
    create.add_argument("title")
    create.add_argument("--id")
    create.add_argument("--description", default="")
    create.add_argument("--type", default="task")
    create.add_argument("--priority", type=int, default=2)
    create.add_argument("--assignee")
    create.add_argument("--label", action="append", default=[])
    create.add_argument("--dep", action="append", default=[])
    create.add_argument("--metadata", action="append", default=[], metavar="K=V")
    listing = _verb(verbs, "list", wo_list)
    listing.add_argument("--status")
    listing.add_argument("--ready", action="store_true")
    _verb(verbs, "show", wo_show).add_argument("id")
    update = _writing(_verb(verbs, "update", wo_update), rewrites=True)
    update.add_argument("id")
    for name in ("--title", "--description", "--status", "--type"):
        update.add_argument(name)
    update.add_argument("--priority", type=int)
    update.add_argument("--assignee", help="empty to release")
    update.add_argument("--add-label", action="append", default=[])
    update.add_argument("--metadata", action="append", default=[], metavar="K=V")
    close = _writing(_verb(verbs, "close", wo_close), rewrites=True)
    close.add_argument("id")
    close.add_argument("--reason", default="")


def _mail_verbs(verbs: Any) -> None:
    sending = _writing(_verb(verbs, "send", send))
    sending.add_argument("to")
    sending.add_argument("--id")
    sending.add_argument("-s", "--subject", required=True)
    sending.add_argument("-m", "--body", default="")
    sending.add_argument("--type")
    sending.add_argument("--priority", default="normal")
    reading = _verb(verbs, "inbox", inbox)
    reading.add_argument("agent", nargs="?")
    reading.add_argument("--unread", action="store_true")
    _writing(_verb(verbs, "read", read), rewrites=True).add_argument("id")


def _assignment_verbs(verbs: Any) -> None:
    for name in ("show", "set", "clear"):
        verb = _verb(verbs, name, assignment)
        verb.set_defaults(verb=name)
        verb.add_argument("agent", nargs=None if name == "set" else "?")
        if name == "set":
            verb.add_argument("ref", metavar="TYPE:ID")
        if name != "show":
            _writing(verb)


def _event_verbs(verbs: Any) -> None:
    events = verbs.add_parser("events").add_subparsers(required=True)
    emit = _verb(events, "emit", events_emit)
    emit.add_argument("event_type")
    emit.add_argument("--data", default="{}")
    _verb(events, "list", events_list).add_argument("--type")
    watch = _verb(verbs.add_parser("feed").add_subparsers(required=True), "watch", feed_watch)
    watch.add_argument("--count", type=int, required=True)
    watch.add_argument("--timeout", type=float, default=10.0)
    watch.add_argument("--ready", action="store_true",
                       help='print {"ready":true} once the end of the feed is reached')


def _clock(args: argparse.Namespace) -> Callable[[], str]:
    """One time for all that a command writes."""
    now = args.now or format_time(time.time_ns())
    if args.naive_time:
        now = now.removesuffix("Z")
    return lambda: now


def fail(kind: str, message: str) -> int:
    print(dump({"error": {"kind": kind, "message": message}}), file=sys.stderr)
    return 1


def main(argv: list[str] | None = None) -> int:
    args = parser().parse_args(argv)
    if not args.work.is_dir():
        parser().error(f"no directory: {args.work}")
    rng = random.Random(args.seed) if args.seed else random.SystemRandom()
    try:
        result = args.run(Work(args.work, args.actor, rng, _clock(args)), args)
    except FormatError as error:
        return fail("format", str(error))
    except OSError as error:
        return fail("io", str(error))
    if isinstance(result, int):
        return result
    print(dump(result))
    return 0


if __name__ == "__main__":
    sys.exit(main())
