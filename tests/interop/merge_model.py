#!/usr/bin/env python3
"""A model of the state: what a set of event lines says, computed the slow way.

It shares no idea of implementation with any program: one fold over the events
of a subject in one order, with registers that remember which writes know
which. `fold` prints what it computes, `compare` holds it against the
projections of a `.work/` directory that some command has just brought up to
date.

Rules:
- An event line is one JSON object with the required fields; of a line that is
  none, the longest object that ends it is taken. The set of lines is what
  counts: repetition and order of arrival do not.
- Order: `(timestamp, event_id, bytes)`, times to the nanosecond, but an event
  comes after those it names in `prev`.
- An event knows what it names in `prev`, and what that knows. An event with no
  `prev` key knows everything of its subject that comes before it.
- A creation says how the order began and replaces no later change, wherever it
  is sorted: where it knows the write of an event of another kind, it writes
  nothing. To the sets (labels, dependencies) it adds; one that is not the first
  does so only if it does not know the last other event that changed the set.
  What it says of the assignee is a claim, if it does not know a decision on it.
- A claim that a remote decided for (`exclusive`) comes before those that none
  decided for and that it does not know.
- A field holds the writes that no other write knows of; the latest in the
  total order is the value, `closed` before other statuses; the others are
  conflicts.

Exit codes: 0 done, 1 differences found, 2 wrong arguments. Standard output
carries JSON only.
"""

from __future__ import annotations

import argparse
import heapq
import sys
from collections import defaultdict
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Callable, Iterable

from vermas_py import (
    AGENT_FORM, ID_FORM, REF_TYPES, WRITTEN_TIME_FORM, FormatError, assignment_name, dump, fail,
    format_time, parse_object, parse_time, read_assignment, read_lines,
)

Json = dict[str, Any]

#: Stands for an entry that a write removed.
REMOVED = object()


# --- events ---------------------------------------------------------------


@dataclass(frozen=True)
class Event:
    """One event line. Identity and order are `(at, id, line)`."""

    at: int
    id: str
    line: bytes
    type: str = field(compare=False)
    actor: str = field(compare=False)
    data: Json = field(compare=False)
    #: None for a writer that keeps no account of what it knew.
    prev: tuple[str, ...] | None = field(compare=False)

    @property
    def key(self) -> tuple[int, str, bytes]:
        return self.at, self.id, self.line


def parse_event(line: bytes) -> Event:
    """The event of one line. Raises FormatError when a required field is not there."""
    raw = parse_object(line)
    for key, kind in (("event_id", str), ("event_type", str), ("actor", str), ("data", dict)):
        if not isinstance(raw.get(key), kind):
            raise FormatError(f"{key}: missing or of another type")
    prev = raw.get("prev")
    if isinstance(prev, str):
        prev = [prev]
    known = tuple(id for id in prev if isinstance(id, str)) if isinstance(prev, list) else None
    return Event(parse_time(raw.get("timestamp")), raw["event_id"], line, raw["event_type"],
                 raw["actor"], raw["data"], known)


def salvage(line: bytes) -> bytes | None:
    """The longest complete JSON object that ends the line, or None."""
    start = line.find(b"{")
    while start >= 0:
        try:
            parse_object(line[start:])
            return line[start:]
        except FormatError:
            start = line.find(b"{", start + 1)
    return None


def read_events(lines: Iterable[bytes]) -> tuple[list[Event], list[Json]]:
    """The set of events, sorted, and what could not be read: line number and reason.

    A carriage return before the newline takes no part in the identity here: it
    changes no meaning, and the fold has no other use for the bytes.
    """
    events: set[Event] = set()
    problems: list[Json] = []
    for number, line in enumerate(lines, 1):
        try:
            events.add(parse_event(salvage(line.strip()) or line.strip()))
        except FormatError as error:
            problems.append({"line": number, "reason": error.reason})
    return sorted(events, key=lambda event: event.key), problems


@dataclass(frozen=True)
class Placed:
    """An event with its place in the order of its subject, and the places it knows."""

    event: Event
    index: int
    known: int

    def knows(self, other: "Placed") -> bool:
        return bool(self.known >> other.index & 1)


def place(events: list[Event]) -> list[Placed]:
    """The events of one subject (sorted) in causal order, ties by the total order.

    A circle of `prev`, which no honest writer makes, is cut at its smallest
    event.
    """
    by_id: dict[str, list[int]] = defaultdict(list)
    for number, event in enumerate(events):
        by_id[event.id].append(number)
    causes = [{cause for id in event.prev or () for cause in by_id.get(id, ())} - {number}
              for number, event in enumerate(events)]
    placed: list[Placed] = []
    place_of: dict[int, Placed] = {}
    for number in _causal_order(causes):
        known = (1 << len(placed)) - 1 if events[number].prev is None else 0
        for cause in causes[number]:
            if (before := place_of.get(cause)) is not None:
                known |= before.known | 1 << before.index
        place_of[number] = Placed(events[number], len(placed), known)
        placed.append(place_of[number])
    return placed


def _causal_order(causes: list[set[int]]) -> Iterable[int]:
    effects: dict[int, list[int]] = defaultdict(list)
    for number, before in enumerate(causes):
        for cause in before:
            effects[cause].append(number)
    waiting = {number: len(before) for number, before in enumerate(causes)}
    free = [number for number, count in waiting.items() if count == 0]
    heapq.heapify(free)
    while waiting:
        number = heapq.heappop(free) if free else min(waiting)
        if waiting.pop(number, None) is None:
            continue
        yield number
        for effect in effects[number]:
            if effect in waiting:
                waiting[effect] -= 1
                if waiting[effect] == 0:
                    heapq.heappush(free, effect)


def creates(by: Placed) -> bool:
    """Whether the event tells how an order began."""
    return by.event.type == "work_order.created"


# --- registers ------------------------------------------------------------


@dataclass
class Register:
    """One field: the writes that no other write knows of."""

    heads: list[tuple[Placed, Any]] = field(default_factory=list)
    #: A value that beats concurrent others.
    strongest: object = None

    def write(self, by: Placed, value: object) -> None:
        if creates(by) and any((by.knows(other) or other.event.prev is None) and not creates(other)
                               for other, _ in self.heads):
            return
        kept = [head for head in self.heads if not by.knows(head[0]) and head[0] != by]
        self.heads = kept + [(by, value)]

    def _winner(self) -> tuple[Placed, Any]:
        strong = [head for head in self.heads if head[1] == self.strongest]
        pool = strong if self.strongest is not None and strong else self.heads
        return max(pool, key=lambda head: head[0].event.key)

    def value(self, default: object = None) -> Any:
        return self._winner()[1] if self.heads else default

    def conflicts(self) -> list[Json]:
        """Losing concurrent writes whose value differs from the winner's."""
        if not self.heads:
            return []
        value = self._winner()[1]
        losers = [head for head in self.heads if head[1] != value]
        return [{"event_id": by.event.id, "value": None if other is REMOVED else other}
                for by, other in sorted(losers, key=lambda head: head[0].event.key)]


@dataclass
class ObservedSet:
    """A set in which a removal takes only the additions that it knows of."""

    adds: dict[Any, list[tuple[Placed, Json]]] = field(default_factory=dict)
    #: The last event that changed it and is no creation.
    changed: Placed | None = None

    def begin(self, by: Placed, first: bool, items: dict[Any, Json]) -> None:
        """What a creation adds."""
        if first or self.changed is None or not by.knows(self.changed):
            for item, detail in items.items():
                self.add(by, item, detail)

    def add(self, by: Placed, item: Any, detail: Json | None = None) -> None:
        self.adds.setdefault(item, []).append((by, detail or {}))

    def remove(self, by: Placed, item: Any) -> None:
        left = [add for add in self.adds.get(item, []) if not by.knows(add[0])]
        if left:
            self.adds[item] = left
        else:
            self.adds.pop(item, None)

    def items(self) -> list[Any]:
        return sorted(self.adds)

    def replace(self, by: Placed, wanted: dict[Any, Json]) -> None:
        """Make the set what `wanted` says, as far as `by` knows it."""
        for item in self.items():
            if item not in wanted:
                self.remove(by, item)
        for item, detail in wanted.items():
            if item not in self.adds:
                self.add(by, item, detail)


# --- work orders ----------------------------------------------------------


def is_text(value: object) -> bool:
    return isinstance(value, str)


def is_text_or_null(value: object) -> bool:
    return value is None or isinstance(value, str)


def is_number(value: object) -> bool:
    whole = isinstance(value, int) or (isinstance(value, float) and value.is_integer() and abs(value) <= 2**53)
    return whole and not isinstance(value, bool)


#: Fields that one write sets, with what their value may be. Others are ignored.
ORDER_FIELDS: dict[str, Callable[[object], bool]] = {
    "title": is_text, "description": is_text, "status": is_text, "priority": is_number,
    "issue_type": is_text, "assignee": is_text_or_null,
}
ORDER_DEFAULTS: Json = {
    "title": "", "description": "", "status": "open", "priority": 2, "issue_type": "task",
    "assignee": None,
}


def text_or(value: object, other: str) -> str:
    return value if isinstance(value, str) else other


def time_or(value: object, other: int) -> int:
    try:
        return parse_time(value)
    except FormatError:
        return other


@dataclass
class Claim:
    """That an agent has an order, or wants it."""

    by: Placed
    agent: str
    #: Whether a remote decided for it.
    exclusive: bool


class Order:
    """A work order as its events tell it."""

    def __init__(self, id: str) -> None:
        self.id = id
        self.created: Placed | None = None
        self.updated_at = 0
        self.fields = {name: Register() for name in ORDER_FIELDS if name != "assignee"}
        self.fields["status"].strongest = "closed"
        self.metadata: dict[str, Register] = defaultdict(Register)
        self.labels, self.dependencies = ObservedSet(), ObservedSet()
        #: The last event that decided on the assignee and is no creation.
        self.decided: Placed | None = None
        self.comments: list[Json] = []
        #: The holder's claim first, then those that are contested.
        self.claims: list[Claim] = []

    @property
    def assignee(self) -> str | None:
        return self.claims[0].agent if self.claims else None

    @property
    def contested(self) -> list[Json]:
        return [{"event_id": c.by.event.id, "agent": c.agent} for c in self.claims[1:]]

    def apply(self, by: Placed) -> None:
        """Take in one event; unknown types change only `updated_at`."""
        self.updated_at = max(self.updated_at, by.event.at)
        name = by.event.type.removeprefix("work_order.")
        handler = getattr(self, f"on_{name}", None)
        if handler is not None:
            handler(by, by.event.data)

    def on_created(self, by: Placed, data: Json) -> None:
        self.created = self.created or by
        fields = dict(data)
        if isinstance(data.get("parent"), str):
            metadata = data.get("metadata")
            fields["metadata"] = {"parent": data["parent"]} | (
                metadata if isinstance(metadata, dict) else {})
        # What a later account of the same order leaves out, it does not deny.
        if by is not self.created:
            fields = {key: value for key, value in fields.items() if value not in (None, [], {})}
        elif fields.get("metadata") is None:
            fields.pop("metadata", None)
        agent, first = fields.pop("assignee", None), by is self.created
        self.labels.begin(by, first, {label: {} for label in texts(fields.pop("labels", None))})
        items = fields.pop("dependencies", None)
        items = dependencies(items, by.event) if isinstance(items, list) else {}
        self.dependencies.begin(by, first, items)
        if isinstance(agent, str) and agent and not (self.decided and by.knows(self.decided)):
            self.claim(by, agent)
        self.set_fields(by, fields)

    def on_updated(self, by: Placed, data: Json) -> None:
        if not isinstance(changes := data.get("changes"), dict):
            return
        self.set_fields(by, changes, data.get("released"))

    def on_status_changed(self, by: Placed, data: Json) -> None:
        self.set_fields(by, {"status": data.get("to_status")})

    def on_closed(self, by: Placed, data: Json) -> None:
        self.set_fields(by, {"status": "closed"})

    def on_assigned(self, by: Placed, data: Json) -> None:
        agent = data["agent"] if isinstance(data.get("agent"), str) else data.get("assignee")
        if not isinstance(agent, str):
            return
        self.decided = by
        self.claim(by, agent, data.get("exclusive") is True)
        if self.assignee == agent and self.fields["status"].value("open") == "open":
            self.fields["status"].write(by, "assigned")

    def claim(self, by: Placed, agent: str, exclusive: bool = False) -> None:
        """The first claim holds until it is released; those behind it are contested, and move up."""
        at = next((at for at, claim in enumerate(self.claims) if claim.agent == agent), None)
        if at is None:
            at, claim = len(self.claims), Claim(by, agent, exclusive)
        elif not exclusive or self.claims[at].exclusive:
            return
        else:
            claim = self.claims.pop(at)
            claim.exclusive = True
        if exclusive:
            while at > 0 and not (self.claims[at - 1].exclusive or by.knows(self.claims[at - 1].by)):
                at -= 1
        self.claims.insert(at, claim)

    def _decide_assignee(self, by: Placed, agent: str | None, released: object) -> None:
        self.decided = by
        if isinstance(released, str):
            # Whoever comes next has it now; the value is for those who keep no claims.
            self.claims = [c for c in self.claims if c.agent != released or not by.knows(c.by)]
            return
        self.claims = [c for c in self.claims if not by.knows(c.by)]
        if agent:
            self.claims = [c for c in self.claims if c.agent != agent]
            self.claims.insert(0, Claim(by, agent, False))

    def on_labels_changed(self, by: Placed, data: Json) -> None:
        self.labels.changed = by
        for label in texts(data.get("removed")):
            self.labels.remove(by, label)
        for label in texts(data.get("added")):
            self.labels.add(by, label)

    def on_dependency_added(self, by: Placed, data: Json) -> None:
        self.dependencies.changed = by
        for key, detail in dependencies([data], by.event).items():
            self.dependencies.add(by, key, detail)

    def on_dependency_removed(self, by: Placed, data: Json) -> None:
        self.dependencies.changed = by
        for key in dependencies([data], by.event):
            self.dependencies.remove(by, key)

    def on_commented(self, by: Placed, data: Json) -> None:
        self.comments.append({"event_id": by.event.id, "actor": by.event.actor,
                              "timestamp": format_time(by.event.at), "body": data.get("body")})

    def set_fields(self, by: Placed, values: Json, released: object = None) -> None:
        """Write the fields of `values`; a value of another type is passed over."""
        for key, value in values.items():
            name = "issue_type" if key == "type" and "issue_type" not in values else key
            if name in ORDER_FIELDS:
                if name == "assignee":
                    self._decide_assignee(by, value if isinstance(value, str) else None, released)
                elif ORDER_FIELDS[name](value):
                    self.fields[name].write(by, int(value) if name == "priority" else value)
            elif name == "labels" and isinstance(value, list):
                self.labels.changed = by
                self.labels.replace(by, {label: {} for label in texts(value)})
            elif name == "dependencies" and isinstance(value, list):
                self.dependencies.changed = by
                self.dependencies.replace(by, dependencies(value, by.event))
            elif name == "metadata" and isinstance(value, dict):
                self._replace_metadata(by, value)
            elif name == "parent" and is_text_or_null(value):
                self.metadata["parent"].write(by, REMOVED if value is None else value)
            elif name.startswith("metadata."):
                entry = self.metadata[name.removeprefix("metadata.")]
                entry.write(by, REMOVED if value is None else value)

    def _replace_metadata(self, by: Placed, values: Json) -> None:
        for key in set(self.metadata) - set(values):
            self.metadata[key].write(by, REMOVED)
        for key, value in values.items():
            self.metadata[key].write(by, REMOVED if value is None else value)

    def record(self) -> Json:
        """The record of section 5. Only for an order that some event created."""
        assert self.created is not None
        first = self.created.event
        record: Json = {"id": self.id}
        record |= {name: self.assignee if name == "assignee" else self.fields[name].value(ORDER_DEFAULTS[name])
                   for name in ORDER_FIELDS}
        record["created_at"] = format_time(time_or(first.data.get("created_at"), first.at))
        record["updated_at"] = format_time(self.updated_at)
        record["created_by"] = text_or(first.data.get("created_by"), first.actor)
        record["dependencies"] = [self.dependencies.adds[key][0][1]
                                  for key in self.dependencies.items()]
        record["labels"] = self.labels.items()
        values = {key: entry.value(REMOVED) for key, entry in self.metadata.items()}
        record["metadata"] = {key: value for key, value in values.items() if value is not REMOVED}
        return record

    def conflicts(self) -> Json:
        found = {name: entry.conflicts() for name, entry in self.fields.items()}
        found |= {f"metadata.{key}": entry.conflicts() for key, entry in self.metadata.items()}
        return {name: losers for name, losers in found.items() if losers}


def texts(value: object) -> list[str]:
    return [item for item in value if isinstance(item, str)] if isinstance(value, list) else []


def dependencies(items: list[Any], event: Event) -> dict[tuple[str, str], Json]:
    """Dependencies by (id, type); a bare id, as old writers have it, blocks."""
    found: dict[tuple[str, str], Json] = {}
    for item in items:
        raw = {"depends_on_id": item} if isinstance(item, str) else item
        id = raw.get("depends_on_id") if isinstance(raw, dict) else None
        if not isinstance(id, str) or not ID_FORM.fullmatch(id):
            continue
        kind = text_or(raw.get("type"), "blocks")
        found[id, kind] = {
            "depends_on_id": id, "type": kind,
            "created_at": format_time(time_or(raw.get("created_at"), event.at)),
            "created_by": text_or(raw.get("created_by"), event.actor),
        }
    return found


# --- messages and assignments ---------------------------------------------


MESSAGE_FIELDS: dict[str, Callable[[object], bool]] = {
    "from": is_text, "to": is_text, "subject": is_text, "body": is_text,
    "message_type": is_text, "priority": is_text,
}
MESSAGE_DEFAULTS: Json = {"from": "", "to": "", "subject": "", "body": "", "message_type": None,
                          "priority": "normal"}


def message_record(id: str, events: list[Placed]) -> Json | None:
    """The record of section 6, or None when no event says that it was sent.

    Mail is a union: of several accounts of one message a later one adds or
    replaces fields; the earliest reading counts.
    """
    fields = {name: Register() for name in MESSAGE_FIELDS}
    sent: Placed | None = None
    reads: list[tuple[Placed, int]] = []
    metadata: Json = {}
    for by in events:
        data = by.event.data
        if by.event.type == "mail.sent":
            if sent is None:
                sent = by
                fields["from"].write(by, by.event.actor)
            reads += [(by, parse_time(data["read_at"]))] if _is_time(data.get("read_at")) else []
            for name, accepts in MESSAGE_FIELDS.items():
                value = data.get(name) or (data.get("type") if name == "message_type" else None)
                # What a later account leaves empty, it does not deny.
                if value and accepts(value):
                    fields[name].write(by, value)
            if isinstance(data.get("metadata"), dict):
                metadata |= data["metadata"]
        elif by.event.type == "mail.read" and data.get("undone") is True:
            reads = [(read, at) for read, at in reads if not by.knows(read)]
        elif by.event.type == "mail.read":
            reads.append((by, time_or(data.get("read_at"), by.event.at)))
    if sent is None:
        return None
    record: Json = {"id": id}
    record |= {name: fields[name].value(MESSAGE_DEFAULTS[name]) for name in MESSAGE_FIELDS}
    record["metadata"] = metadata
    record["timestamp"] = format_time(time_or(sent.event.data.get("timestamp"), sent.event.at))
    record["read_at"] = format_time(min(at for _, at in reads)) if reads else None
    return record


def _is_time(value: object) -> bool:
    try:
        parse_time(value)
    except FormatError:
        return False
    return True


def assignment_of(events: list[Placed]) -> str | None:
    """`type:id` that an agent holds, or None."""
    held = Register()
    for by in events:
        data = by.event.data
        if by.event.type == "assignment.cleared":
            held.write(by, None)
        elif by.event.type == "assignment.set" and data.get("ref_type") in REF_TYPES:
            if isinstance(id := data.get("ref_id"), str) and ID_FORM.fullmatch(id):
                held.write(by, f"{data['ref_type']}:{id}")
    value: str | None = held.value()
    return value


# --- the whole state ------------------------------------------------------


#: Which events are about what: first part of the type → key of the subject, its form.
SUBJECTS = {"work_order": ("work_order_id", ID_FORM), "mail": ("message_id", ID_FORM),
            "assignment": ("agent", AGENT_FORM)}


@dataclass
class State:
    """What a set of events says."""

    orders: dict[str, Order]
    messages: dict[str, Json]
    assignments: dict[str, str]

    def ready(self) -> list[str]:
        """Open, and every `blocks` dependency closed; an unknown order is not closed."""
        closed = {id for id, order in self.orders.items()
                  if order.fields["status"].value("open") == "closed"}
        return [id for id, order in sorted(self.orders.items())
                if order.fields["status"].value("open") == "open"
                and all(other in closed for other, kind in order.dependencies.items()
                        if kind == "blocks")]

    def to_json(self) -> Json:
        orders = [order for _, order in sorted(self.orders.items())]
        return {
            "work_orders": [order.record() for order in orders],
            "messages": [self.messages[id] for id in sorted(self.messages)],
            "assignments": dict(sorted(self.assignments.items())),
            "ready": self.ready(),
            "conflicts": {order.id: found for order in orders if (found := order.conflicts())},
            "contested": {order.id: order.contested for order in orders if order.contested},
            "comments": {order.id: order.comments for order in orders if order.comments},
        }


def fold(events: list[Event]) -> State:
    """The state of a sorted set of events. A subject of no valid form is passed over."""
    subjects: dict[tuple[str, str], list[Event]] = defaultdict(list)
    for event in events:
        area = event.type.partition(".")[0]
        key, form = SUBJECTS.get(area, ("", ID_FORM))
        subject = event.data.get(key) if key else None
        if isinstance(subject, str) and form.fullmatch(subject):
            subjects[area, subject].append(event)
    state = State({}, {}, {})
    for (area, subject), about in subjects.items():
        _fold_subject(state, area, subject, place(about))
    return state


def _fold_subject(state: State, area: str, subject: str, events: list[Placed]) -> None:
    if area == "work_order":
        order = Order(subject)
        for by in events:
            order.apply(by)
        if order.created is not None:
            state.orders[subject] = order
    elif area == "mail":
        if (record := message_record(subject, events)) is not None:
            state.messages[subject] = record
    elif (held := assignment_of(events)) is not None:
        state.assignments[subject] = held


def work_lines(work: Path) -> Iterable[bytes]:
    """The event lines of a `.work/` directory, archived ones first."""
    for path in [*sorted((work / "events").glob("*.jsonl")), work / "events.jsonl"]:
        for _, line in read_lines(path):
            yield line


# --- compare --------------------------------------------------------------


#: For each dependency, by (id, type), all concurrent accounts of it.
Accounts = dict[tuple[str, str], list[Json]]


@dataclass
class Comparison:
    """The model against the projections of one directory."""

    state: State
    work: Path
    #: Also hold the times against the written form.
    forms: bool = False
    differences: list[Json] = field(default_factory=list)

    def differ(self, file: str, id: str, what: str, expected: object, actual: object) -> None:
        self.differences.append({"file": file, "id": id, "field": what, "expected": expected,
                                 "actual": actual})

    def run(self) -> list[Json]:
        orders = {id: order.record() for id, order in self.state.orders.items()}
        self._records("work_orders.jsonl", orders, self._alternatives())
        self._records("messages.jsonl", self.state.messages, {})
        self._assignments()
        return self.differences

    def _alternatives(self) -> dict[str, Accounts]:
        """All concurrent accounts of each dependency, any of which may be shown."""
        return {id: {key: [detail for _, detail in adds]
                     for key, adds in order.dependencies.adds.items()}
                for id, order in self.state.orders.items()}

    def _records(self, file: str, expected: dict[str, Json],
                 alternatives: dict[str, Accounts]) -> None:
        seen: set[str] = set()
        for number, line in read_lines(self.work / file):
            try:
                actual = parse_object(line)
            except FormatError as error:
                self.differ(file, f"line {number}", "line", None, error.reason)
                continue
            id = str(actual.get("id"))
            if id in seen or id not in expected:
                what = "occurs twice" if id in seen else "no event explains it"
                self.differ(file, id, what, None, None)
            else:
                self._fields(file, expected[id], actual, alternatives.get(id, {}))
            seen.add(id)
        for id in sorted(set(expected) - seen):
            self.differ(file, id, "missing", expected[id], None)

    def _fields(self, file: str, expected: Json, actual: Json, alternatives: Accounts) -> None:
        for key, value in expected.items():
            other = actual.get(key)
            if key not in actual or not self._same(key, value, other, alternatives):
                self.differ(file, expected["id"], key, value, other)
            elif self.forms and key in TIMES and other and not WRITTEN_TIME_FORM.fullmatch(other):
                self.differ(file, expected["id"], f"{key}: form", value, other)

    @staticmethod
    def _same(key: str, expected: Any, actual: Any, alternatives: Accounts) -> bool:
        if key in TIMES:
            return same_time(expected, actual)
        if key == "labels":
            return isinstance(actual, list) and expected == sorted(texts(actual))
        if key == "dependencies":
            return isinstance(actual, list) and same_dependencies(alternatives, actual)
        return same_value(expected, actual)

    def _assignments(self) -> None:
        expected: dict[str, set[str]] = defaultdict(set)
        for agent, held in self.state.assignments.items():
            expected[assignment_name(agent)].add(held)
        names = set(expected) | {path.name for path in self.work.glob(".assignment-*")}
        for name in sorted(names):
            try:
                content = read_assignment(self.work / name)
            except FormatError as error:
                self.differ(name, name, "content", None, error.reason)
                continue
            actual = ":".join(content) if content else None
            # Two agents of one file name are a fault of the data; either may stand there.
            wanted = expected.get(name, set())
            if actual not in wanted and (actual or wanted):
                self.differ(name, name, "content", sorted(wanted), actual)


TIMES = frozenset({"created_at", "updated_at", "timestamp", "read_at"})


def same_value(expected: Any, actual: Any) -> bool:
    """Equal as JSON: a boolean is no number, the order of keys is nothing."""
    if isinstance(expected, dict) and isinstance(actual, dict):
        return expected.keys() == actual.keys() and all(
            same_value(value, actual[key]) for key, value in expected.items())
    if isinstance(expected, list) and isinstance(actual, list):
        return len(expected) == len(actual) and all(map(same_value, expected, actual))
    return isinstance(expected, bool) == isinstance(actual, bool) and bool(expected == actual)


def same_time(expected: str | None, actual: object) -> bool:
    """The same millisecond."""
    if expected is None or actual is None:
        return expected is actual
    return _is_time(actual) and parse_time(actual) // 10**6 == parse_time(expected) // 10**6


def same_dependencies(expected: Accounts, actual: list[Any]) -> bool:
    """The same set, each told as one of its concurrent accounts tells it."""
    found = {(str(item.get("depends_on_id")), str(item.get("type"))): item
             for item in actual if isinstance(item, dict)}
    if len(found) != len(actual) or found.keys() != expected.keys():
        return False
    return all(any(same_time(account["created_at"], item.get("created_at"))
                   and account["created_by"] == item.get("created_by")
                   for account in expected[key]) for key, item in found.items())


# --- command line ---------------------------------------------------------


def parser() -> argparse.ArgumentParser:
    top = argparse.ArgumentParser(description="What a set of events says.")
    verbs = top.add_subparsers(dest="verb", required=True)
    folding = verbs.add_parser("fold", help="print the state of event lines")
    folding.add_argument("--work", type=Path)
    folding.add_argument("files", type=Path, nargs="*", help="more event files")
    comparing = verbs.add_parser("compare", help="hold projections against the events")
    comparing.add_argument("--work", type=Path, required=True)
    comparing.add_argument("--forms", action="store_true",
                           help="times must have the written form too")
    return top


def main(argv: list[str] | None = None) -> int:
    args = parser().parse_args(argv)
    if args.work is not None and not args.work.is_dir():
        parser().error(f"no directory: {args.work}")
    files = getattr(args, "files", [])
    if args.work is None and not files:
        parser().error("--work or files are needed")
    if absent := [str(path) for path in files if not path.is_file()]:
        parser().error(f"no files: {absent}")
    try:
        lines = list(work_lines(args.work)) if args.work else []
        lines += [line for path in files for _, line in read_lines(path)]
        events, problems = read_events(lines)
        state = fold(events)
        if args.verb == "fold":
            print(dump(state.to_json() | {"events": len(events), "unreadable": problems}))
            return 0
        differences = Comparison(state, args.work, args.forms).run()
    except OSError as error:
        return fail("io", str(error))
    print(dump({"ok": not differences, "events": len(events), "work_orders": len(state.orders),
                "messages": len(state.messages), "assignments": len(state.assignments),
                "unreadable": len(problems), "differences": differences}))
    return 0 if not differences else 1


if __name__ == "__main__":
    sys.exit(main())
