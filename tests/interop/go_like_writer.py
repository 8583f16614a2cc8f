#!/usr/bin/env python3
"""Writes lines of the shared files with the bytes that Go's encoding/json gives.

What differs from the Python port: struct fields in the order of declaration,
maps with sorted keys, `omitempty` (no `dependencies` key where there are
none), HTML characters as \\u003c, times as RFC3339Nano with nanoseconds and a
local offset; in a variant `type` stands for `issue_type`, and a newer version
adds fields that nobody else knows. Each line is one os.write on a descriptor
opened with O_APPEND.

Exit codes: 0 done, 1 failed, 2 wrong arguments. Standard output carries JSON
only.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import re
import sys
import time
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import Any

from vermas_py import ALPHABET, EPOCH, FormatError, dump, fail, parse_object, parse_time

Json = dict[str, Any]

_HTML = re.compile("[<>&\u2028\u2029]")
_SURROGATE = re.compile("[\ud800-\udfff]")


@dataclass(frozen=True)
class GoField:
    """One field of a struct: its key, its value, and whether `omitempty` is set."""

    key: str
    value: object
    omitempty: bool = False

    @property
    def written(self) -> bool:
        return not (self.omitempty and self.value in (None, False, 0, "", [], {}))


@dataclass(frozen=True)
class GoStruct:
    """Fields in the order of declaration."""

    fields: tuple[GoField, ...]


def encode(value: object) -> str:
    """The text of json.Marshal for structs, maps, slices and scalars."""
    if isinstance(value, GoStruct):
        parts = (f"{_string(f.key)}:{encode(f.value)}" for f in value.fields if f.written)
        return "{" + ",".join(parts) + "}"
    if isinstance(value, dict):
        parts = (f"{_string(key)}:{encode(value[key])}" for key in sorted(value))
        return "{" + ",".join(parts) + "}"
    if isinstance(value, (list, tuple)):
        return "[" + ",".join(encode(item) for item in value) + "]"
    if isinstance(value, str):
        return _string(value)
    return json.dumps(value, allow_nan=False)


def _string(text: str) -> str:
    """A Go string literal of JSON; what UTF-8 cannot carry becomes U+FFFD."""
    quoted = json.dumps(_SURROGATE.sub("\ufffd", text), ensure_ascii=False)
    return _HTML.sub(lambda match: f"\\u{ord(match[0]):04x}", quoted)


def format_nano(nanos: int, offset_minutes: int = 0) -> str:
    """RFC3339Nano: the fraction without trailing zeros, `Z` or a local offset."""
    seconds, rest = divmod(nanos + offset_minutes * 60 * 10**9, 10**9)
    text = (EPOCH + timedelta(seconds=seconds)).isoformat()
    if rest:
        text += f".{rest:09d}".rstrip("0")
    if offset_minutes == 0:
        return text + "Z"
    sign = "-" if offset_minutes < 0 else "+"
    hours, minutes = divmod(abs(offset_minutes), 60)
    return f"{text}{sign}{hours:02d}:{minutes:02d}"


@dataclass(frozen=True)
class Variant:
    """How a version of the writer deviates from the plain one."""

    #: Minutes east of UTC of the machine it runs on.
    offset: int = 0
    #: Writes `type` where the contract says `issue_type` or `message_type`.
    short_type: bool = False
    #: Fields of a newer version, written last.
    extra: Json = field(default_factory=dict)

    def finish(self, fields: list[GoField]) -> GoStruct:
        return GoStruct(tuple(fields + [GoField(key, self.extra[key]) for key in self.extra]))


def event(record: Json, variant: Variant) -> GoStruct:
    """An event; `record` has the contract's keys, `timestamp` in nanoseconds."""
    return variant.finish([
        GoField("event_id", record["event_id"]),
        GoField("event_type", record["event_type"]),
        GoField("timestamp", format_nano(record["timestamp"], variant.offset)),
        GoField("actor", record["actor"]),
        GoField("correlation_id", record.get("correlation_id"), omitempty=True),
        GoField("caused_by", record.get("caused_by"), omitempty=True),
        GoField("data", record["data"]),
    ])


def work_order(record: Json, variant: Variant) -> GoStruct:
    """A work order; times in nanoseconds."""
    return variant.finish([
        GoField("id", record["id"]),
        GoField("title", record["title"]),
        GoField("description", record["description"]),
        GoField("status", record["status"]),
        GoField("priority", record["priority"]),
        GoField("type" if variant.short_type else "issue_type", record["issue_type"]),
        GoField("created_at", format_nano(record["created_at"], variant.offset)),
        GoField("updated_at", format_nano(record["updated_at"], variant.offset)),
        GoField("created_by", record["created_by"]),
        GoField("assignee", record.get("assignee"), omitempty=True),
        GoField("dependencies", [_dependency(item, variant)
                                 for item in record.get("dependencies", [])], omitempty=True),
        GoField("labels", record.get("labels", []), omitempty=True),
        GoField("metadata", record.get("metadata", {}), omitempty=True),
    ])


def _dependency(record: Json, variant: Variant) -> GoStruct:
    return GoStruct((
        GoField("depends_on_id", record["depends_on_id"]),
        GoField("type", record["type"]),
        GoField("created_at", format_nano(record["created_at"], variant.offset)),
        GoField("created_by", record["created_by"]),
    ))


def message(record: Json, variant: Variant) -> GoStruct:
    """A message; `timestamp` in nanoseconds."""
    return variant.finish([
        GoField("id", record["id"]),
        GoField("from", record["from"]),
        GoField("to", record["to"]),
        GoField("subject", record["subject"]),
        GoField("body", record["body"]),
        GoField("type" if variant.short_type else "message_type", record.get("message_type"),
                omitempty=True),
        GoField("timestamp", format_nano(record["timestamp"], variant.offset)),
        GoField("read_at", record.get("read_at"), omitempty=True),
        GoField("priority", record["priority"]),
        GoField("metadata", record.get("metadata", {}), omitempty=True),
    ])


def append(path: Path, line: str) -> None:
    """One os.write of the line and its newline. Raises OSError, also when short."""
    data = line.encode() + b"\n"
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o644)
    try:
        if os.write(descriptor, data) != len(data):
            raise OSError(f"short write to {path}")
    finally:
        os.close(descriptor)


@dataclass
class Writer:
    """The `.work/` directory and where ids and times come from."""

    work: Path
    actor: str
    variant: Variant
    rng: random.Random
    now: int | None = None

    def new_id(self, prefix: str, length: int) -> str:
        return f"{prefix}-" + "".join(self.rng.choices(ALPHABET, k=length))

    def clock(self) -> int:
        return time.time_ns() if self.now is None else self.now

    def emit(self, event_type: str, data: Json) -> Json:
        record = {"event_id": self.new_id("evt", 12), "event_type": event_type,
                  "timestamp": self.clock(), "actor": self.actor, "data": data}
        line = encode(event(record, self.variant))
        append(self.work / "events.jsonl", line)
        append(self.work / "feed.jsonl", line)
        return {"file": "events.jsonl", "id": record["event_id"], "line": line}

    def create(self, args: argparse.Namespace) -> Json:
        now, id = self.clock(), args.id or self.new_id("wo", 10)
        dependencies = [{"depends_on_id": dep, "type": "blocks", "created_at": now,
                         "created_by": self.actor} for dep in args.dep]
        record = {
            "id": id, "title": args.title, "description": args.description, "status": "open",
            "priority": args.priority, "issue_type": args.type, "created_at": now,
            "updated_at": now, "created_by": self.actor, "dependencies": dependencies,
            "labels": args.label,
        }
        if args.with_event:
            kind = "type" if self.variant.short_type else "issue_type"
            self.emit("work_order.created", {
                "work_order_id": id, "title": args.title, kind: args.type,
                "priority": args.priority})
        return self._append("work_orders.jsonl", id, work_order(record, self.variant))

    def send(self, args: argparse.Namespace) -> Json:
        id = args.id or self.new_id("msg", 10)
        record = {"id": id, "from": self.actor, "to": args.to, "subject": args.subject,
                  "body": args.body, "message_type": args.type, "timestamp": self.clock(),
                  "priority": args.priority}
        return self._append("messages.jsonl", id, message(record, self.variant))

    def event(self, args: argparse.Namespace) -> Json:
        return self.emit(args.event_type, parse_object(args.data.encode()))

    def _append(self, file: str, id: str, struct: GoStruct) -> Json:
        line = encode(struct)
        append(self.work / file, line)
        return {"file": file, "id": id, "line": line}


def parser() -> argparse.ArgumentParser:
    top = argparse.ArgumentParser(description="Write one line as a Go program would.")
    top.add_argument("--work", type=Path, required=True)
    top.add_argument("--as", dest="actor", default=os.environ.get("AGENT_ID", "ceo"))
    top.add_argument("--seed", help="makes new ids repeatable")
    top.add_argument("--now", help="an RFC 3339 time; the clock otherwise")
    top.add_argument("--offset", type=int, default=0, metavar="MINUTES", help="east of UTC")
    top.add_argument("--short-type", action="store_true", help="write `type`")
    top.add_argument("--extra", default="{}", metavar="JSON", help="fields nobody knows")
    verbs = top.add_subparsers(required=True)
    _create_verb(verbs.add_parser("create", help="a work order line, with no event"))
    sending = verbs.add_parser("send", help="a message line, with no event")
    sending.set_defaults(run=Writer.send)
    sending.add_argument("to")
    sending.add_argument("--id")
    sending.add_argument("-s", "--subject", required=True)
    sending.add_argument("-m", "--body", default="")
    sending.add_argument("--type")
    sending.add_argument("--priority", default="normal")
    emitting = verbs.add_parser("event", help="an event line in the log and the feed")
    emitting.set_defaults(run=Writer.event)
    emitting.add_argument("event_type")
    emitting.add_argument("--data", default="{}")
    return top


def _create_verb(verb: argparse.ArgumentParser) -> None:
    verb.set_defaults(run=Writer.create)
    verb.add_argument("title")
    verb.add_argument("--id")
    verb.add_argument("--description", default="")
    verb.add_argument("--type", default="task")
    verb.add_argument("--priority", type=int, default=2)
    verb.add_argument("--label", action="append", default=[])
    verb.add_argument("--dep", action="append", default=[])
    verb.add_argument("--with-event", action="store_true", help="emit work_order.created first")


def main(argv: list[str] | None = None) -> int:
    args = parser().parse_args(argv)
    if not args.work.is_dir():
        parser().error(f"no directory: {args.work}")
    rng = random.Random(args.seed) if args.seed else random.SystemRandom()
    try:
        variant = Variant(args.offset, args.short_type, parse_object(args.extra.encode()))
        now = parse_time(args.now) if args.now else None
        result = args.run(Writer(args.work, args.actor, variant, rng, now), args)
    except FormatError as error:
        return fail("format", str(error))
    except OSError as error:
        return fail("io", str(error))
    print(dump(result))
    return 0


if __name__ == "__main__":
    sys.exit(main())
