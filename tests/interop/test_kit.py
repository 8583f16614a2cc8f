"""Self-tests of the interop kit: `python3 -m unittest` in this directory.

`settle` is the smallest program that keeps the contract towards foreign
writers. It proves that `verify` and `compare` can be satisfied; the other
tests prove that they notice when something is amiss.
"""

from __future__ import annotations

import contextlib
import io
import itertools
import json
import os
import shutil
import subprocess
import tempfile
import unittest
import unittest.mock
from pathlib import Path
from typing import Any, Callable

import go_like_writer
import merge_model
import stress
import vermas_py
from vermas_py import FormatError, format_time, parse_object, parse_time

Json = dict[str, Any]
Main = Callable[[list[str]], int]
NOON = parse_time("2026-01-06T12:00:00Z")


def call(main: Main, *words: object) -> tuple[int, Any]:
    """Exit code and JSON of a command; a single line is parsed, several are a list."""
    out, err = io.StringIO(), io.StringIO()
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        try:
            code = main([str(word) for word in words])
        except SystemExit as stop:
            code = int(stop.code or 0)
    lines = [json.loads(line) for line in out.getvalue().splitlines()]
    return code, lines[0] if len(lines) == 1 else lines


def event(id: int, at: int, kind: str, prev: list[int] | None = None, **data: object) -> bytes:
    """An event line `at` seconds past noon; ids and `prev` are small numbers."""
    raw: Json = {"event_id": f"evt-{id:012d}", "event_type": kind,
                 "timestamp": format_time(NOON + at * 10**9), "actor": "ceo", "data": data}
    if prev is not None:
        raw["prev"] = [f"evt-{other:012d}" for other in prev]
    return json.dumps(raw).encode()


def order(id: int, at: int, kind: str, prev: list[int] | None = None, **data: object) -> bytes:
    """An event of the one order `wo-a`."""
    return event(id, at, f"work_order.{kind}", prev, work_order_id="wo-a", **data)


def folded(*lines: bytes) -> merge_model.State:
    return merge_model.fold(merge_model.read_events(lines)[0])


def only_order(*lines: bytes) -> merge_model.Order:
    return folded(*lines).orders["wo-a"]


CREATED = order(1, 0, "created", [], title="A")


class Directory(unittest.TestCase):
    """A fresh `.work/` directory per test."""

    def setUp(self) -> None:
        self.root = Path(tempfile.mkdtemp())
        self.addCleanup(shutil.rmtree, self.root)
        self.work = self.root / ".work"
        self.work.mkdir()

    def py(self, *words: object) -> tuple[int, Any]:
        return call(vermas_py.main, "--work", self.work, *words)

    def go(self, *words: object) -> tuple[int, Any]:
        return call(go_like_writer.main, "--work", self.work, *words)

    def compare(self) -> tuple[int, Any]:
        return call(merge_model.main, "compare", "--work", self.work)


class Times(unittest.TestCase):
    def test_offsets_precisions_and_naive_times_are_one_instant(self) -> None:
        for text in ("2026-01-06T14:00:00+02:00", "2026-01-06T12:00:00",
                     "2026-01-06T12:00:00.000000000Z", "2026-01-06 08:30:00.0-03:30"):
            self.assertEqual(parse_time(text), NOON, text)

    def test_what_is_no_time_is_refused(self) -> None:
        for text in ("2026-01-06", "2026-02-30T00:00:00Z", "2026-01-06T12:00Z", 5, None,
                     "2026-01-06T12:00:00+0200", "2026-01-06T12:00:00Z\n"):
            with self.assertRaises(FormatError, msg=repr(text)):
                parse_time(text)

    def test_writing_cuts_off_below_the_millisecond(self) -> None:
        self.assertEqual(format_time(NOON + 1_999_999), "2026-01-06T12:00:00.001Z")
        first = "0001-01-01T00:00:00.000Z"
        self.assertEqual(format_time(parse_time(first)), first)


class Port(Directory):
    def ready(self) -> list[str]:
        return [found["id"] for found in self.py("wo", "list", "--ready")[1]]

    def test_what_the_port_writes_checks_compares_and_is_explained(self) -> None:
        _, first = self.py("--seed", "a", "wo", "create", "First", "--label", "x")
        _, second = self.py("wo", "create", "Second", "--dep", first["id"])
        self.assertEqual(self.ready(), [first["id"]])
        self.py("wo", "update", second["id"], "--priority", "0", "--metadata", "k=v", "--truncate")
        self.py("wo", "close", first["id"], "--reason", "done")
        _, mail = self.py("send", "ceo", "-s", "hello")
        self.py("read", mail["id"])
        self.py("assignment", "set", "a/workers/slot0", f"work_order:{second['id']}")
        code, report = self.py("check", "--explained")
        self.assertEqual((code, report["problems"]), (0, []))
        code, result = self.compare()
        self.assertEqual((code, result["differences"]), (0, []))
        self.assertEqual(self.ready(), [second["id"]])

    def test_a_bad_line_raises_with_its_place_and_check_goes_on(self) -> None:
        self.py("wo", "create", "Good")
        with open(self.work / "work_orders.jsonl", "a") as out:
            out.write('{"id":"wo-x"}\n\n{"id":NaN}\n')
        self.assertEqual(self.py("wo", "list")[0], 1)
        with self.assertRaisesRegex(FormatError, r"work_orders\.jsonl:2: title: missing"):
            list(vermas_py.Work(self.work).orders.iter())
        code, report = self.py("check")
        self.assertEqual((code, [p["line"] for p in report["problems"]]), (1, [2, 4]))

    def test_records_written_silently_are_unexplained(self) -> None:
        self.py("wo", "create", "Quiet", "--silent")
        self.assertEqual(self.py("check")[0], 0)
        code, report = self.py("check", "--explained")
        self.assertEqual((code, len(report["problems"])), (1, 1))

    def test_the_first_line_of_an_id_wins_and_twice_is_a_problem(self) -> None:
        self.py("--seed", "a", "wo", "create", "One", "--silent")
        _, again = self.py("--seed", "a", "wo", "create", "Two", "--silent")
        self.assertEqual(self.py("wo", "show", again["id"])[1]["title"], "One")
        self.assertEqual(self.py("check")[0], 1)

    def test_a_repeated_event_line_is_fine_and_another_one_of_its_id_is_not(self) -> None:
        (self.work / "events.jsonl").write_bytes(CREATED + b"\n\n" + CREATED + b"\n")
        self.assertEqual(self.py("check")[0], 0)
        (self.work / "events.jsonl").write_bytes(CREATED + b"\n" + CREATED + b" \n")
        self.assertEqual(self.py("check")[0], 1)

    def test_arguments_and_missing_things_have_their_exit_codes(self) -> None:
        self.assertEqual(self.py("wo", "explode")[0], 2)
        self.assertEqual(self.py("wo", "show", "wo-none")[0], 1)
        self.assertEqual(self.py("assignment", "set", "ceo", "work_order:../x")[0], 1)

    def test_assignments_are_set_shown_and_cleared(self) -> None:
        self.py("assignment", "set", "a/qa", "mail:msg-1")
        self.assertEqual((self.work / ".assignment-a-qa").read_text(), "mail:msg-1")
        self.assertEqual(self.py("assignment", "show", "a/qa")[1]["ref_id"], "msg-1")
        self.py("assignment", "clear", "a/qa")
        self.assertIsNone(self.py("assignment", "show", "a/qa")[1]["ref_type"])

    def test_the_watcher_sees_what_is_appended_after_it_came(self) -> None:
        self.py("events", "emit", "before.it")
        watch = vermas_py.watch_feed(self.work / "feed.jsonl", poll=0)
        self.assertIsNone(next(watch))
        with open(self.work / "feed.jsonl", "ab", buffering=0) as out:
            out.write(CREATED[:20])
            self.assertIsNone(next(watch))
            out.write(CREATED[20:] + b"\n")
        seen = next(watch)
        assert seen is not None
        self.assertEqual(seen.event_type, "work_order.created")

    def test_templates_and_processes_are_read_strictly(self) -> None:
        (self.work / "templates").mkdir()
        good = 'template="t"\ndescription=""\nversion=1\n[[steps]]\nid="a"\ntitle="A"\nneeds=[{}]\n'
        path = self.work / "templates" / "t.toml"
        path.write_text(good.format(""))
        self.assertEqual(vermas_py.read_template(path)["template"], "t")
        for needs, why in (('"b"', "unknown"), ('"a"', "each other")):
            path.write_text(good.format(needs))
            with self.assertRaisesRegex(FormatError, why):
                vermas_py.read_template(path)


class GoLike(Directory):
    def test_bytes_are_those_of_encoding_json(self) -> None:
        _, written = self.go("--now", "2026-01-06T12:00:00.12Z", "--offset", "-210",
                             "--short-type", "--extra", '{"z":{"b":1,"a":"&"}}',
                             "create", "a <b>", "--id", "wo-a")
        time = "2026-01-06T08:30:00.12-03:30"
        self.assertEqual(written["line"], (
            '{"id":"wo-a","title":"a \\u003cb\\u003e","description":"","status":"open",'
            f'"priority":2,"type":"task","created_at":"{time}","updated_at":"{time}",'
            '"created_by":"ceo","z":{"a":"\\u0026","b":1}}'))
        self.assertEqual((self.work / "work_orders.jsonl").read_text(), written["line"] + "\n")

    def test_the_strict_reader_refuses_what_go_left_out(self) -> None:
        self.go("create", "no dependencies")
        _, report = self.py("check")
        self.assertEqual(report["problems"][0]["reason"], "dependencies: missing")

    def test_the_model_takes_an_event_of_go(self) -> None:
        self.go("--offset", "120", "--short-type", "create", "T", "--type", "bug", "--with-event")
        _, state = call(merge_model.main, "fold", "--work", self.work)
        self.assertEqual(state["work_orders"][0]["issue_type"], "bug")


class Model(unittest.TestCase):
    def test_arrival_order_and_repetition_are_nothing(self) -> None:
        lines = [CREATED, order(2, 1, "updated", [1], changes={"title": "B"}),
                 order(3, 2, "status_changed", [1], to_status="closed"),
                 order(4, 3, "labels_changed", added=["x"]),
                 order(5, 4, "assigned", [1], agent="ceo")]
        expected = folded(*lines).to_json()
        for shuffled in itertools.permutations(lines):
            self.assertEqual(folded(*shuffled, lines[0]).to_json(), expected)

    def test_of_concurrent_writes_the_later_is_the_value_until_one_names_both(self) -> None:
        lines = [CREATED, order(2, 5, "updated", [1], changes={"title": "late"}),
                 order(3, 4, "updated", [1], changes={"title": "early"})]
        found = only_order(*lines)
        self.assertEqual(found.record()["title"], "late")
        self.assertEqual(found.conflicts()["title"][0]["value"], "early")
        found = only_order(*lines, order(4, 6, "updated", [2, 3], changes={"title": "settled"}))
        self.assertEqual((found.record()["title"], found.conflicts()), ("settled", {}))

    def test_prev_beats_the_clock(self) -> None:
        found = only_order(CREATED, order(2, 9, "updated", [1], changes={"title": "fast clock"}),
                           order(3, 4, "updated", [2], changes={"title": "knows"}))
        self.assertEqual((found.record()["title"], found.conflicts()), ("knows", {}))
        self.assertEqual(found.record()["updated_at"], format_time(NOON + 9 * 10**9))

    def test_a_foreign_event_knows_what_sorts_before_it(self) -> None:
        found = only_order(CREATED, order(2, 1, "status_changed", [1], to_status="closed"),
                           order(3, 2, "status_changed", to_status="open"))
        self.assertEqual((found.record()["status"], found.conflicts()), ("open", {}))

    def test_closed_beats_a_concurrent_status_but_not_a_reopening(self) -> None:
        closed = order(2, 1, "status_changed", [1], to_status="closed")
        later = order(3, 2, "status_changed", [1], to_status="in_progress")
        self.assertEqual(only_order(CREATED, closed, later).record()["status"], "closed")
        reopened = order(4, 3, "status_changed", [2, 3], to_status="open")
        self.assertEqual(only_order(CREATED, closed, later, reopened).record()["status"], "open")

    def test_a_removal_takes_only_the_labels_it_has_seen(self) -> None:
        lines = [CREATED, order(2, 1, "labels_changed", [1], added=["x", "y"]),
                 order(3, 2, "labels_changed", [1], added=["x"]),
                 order(4, 3, "labels_changed", [2], removed=["x", "y"])]
        self.assertEqual(only_order(*lines).record()["labels"], ["x"])

    def test_dependencies_are_an_observed_remove_set_and_decide_ready(self) -> None:
        add = order(2, 1, "dependency_added", [1], depends_on_id="wo-b", type="blocks")
        again = order(3, 1, "dependency_added", [1], depends_on_id="wo-b", type="blocks")
        gone = order(4, 2, "dependency_removed", [2], depends_on_id="wo-b", type="blocks")
        other = event(5, 0, "work_order.created", [], work_order_id="wo-b", title="B")
        shut = event(6, 3, "work_order.status_changed", [5], work_order_id="wo-b",
                     to_status="closed")
        self.assertEqual(folded(CREATED, other, add, again, gone).ready(), ["wo-b"])
        self.assertEqual(folded(CREATED, other, add, gone).ready(), ["wo-a", "wo-b"])
        self.assertEqual(folded(CREATED, other, add, shut).ready(), ["wo-a"])

    def test_the_first_claim_wins_until_it_is_released(self) -> None:
        first = order(2, 1, "assigned", [1], agent="a/workers/slot0")
        second = order(3, 2, "assigned", [1], agent="a/workers/slot1")
        found = only_order(CREATED, second, first)
        self.assertEqual(found.record()["assignee"], "a/workers/slot0")
        self.assertEqual(found.record()["status"], "assigned")
        self.assertEqual(found.contested[0]["agent"], "a/workers/slot1")
        free = order(4, 3, "updated", [2, 3], changes={"assignee": None})
        third = order(5, 4, "assigned", [4], agent="a/workers/slot1")
        self.assertEqual(only_order(CREATED, first, second, free, third).record()["assignee"],
                         "a/workers/slot1")

    def test_a_contested_claim_moves_up_when_the_one_before_it_goes(self) -> None:
        first, second = order(2, 1, "assigned", [1], agent="a/x"), order(3, 2, "assigned", [1], agent="a/y")
        for gone in (order(4, 3, "updated", [2], changes={"assignee": None}),
                     order(4, 3, "updated", [2, 3], changes={"assignee": None}, released="a/x")):
            found = only_order(CREATED, first, second, gone)
            self.assertEqual((found.record()["assignee"], found.contested), ("a/y", []))
        named = only_order(CREATED, first, second, order(4, 3, "updated", [2, 3], changes={"assignee": "a/z"}))
        self.assertEqual((named.record()["assignee"], named.contested), ("a/z", []))

    def test_a_claim_that_a_remote_decided_for_comes_first(self) -> None:
        first = order(2, 1, "assigned", [1], agent="a/x")
        found = only_order(CREATED, first, order(3, 2, "assigned", [1], agent="a/y", exclusive=True))
        self.assertEqual((found.record()["assignee"], found.contested[0]["agent"]), ("a/y", "a/x"))
        knew = only_order(CREATED, first, order(3, 2, "assigned", [2], agent="a/y", exclusive=True))
        self.assertEqual(knew.record()["assignee"], "a/x")

    def test_a_reading_that_is_taken_back_does_not_count(self) -> None:
        sent = event(2, 1, "mail.sent", [], message_id="msg-a", to="ceo", subject="s", adopted=True, metadata={"a": 1})
        read = event(3, 2, "mail.read", [2], message_id="msg-a")
        other = event(4, 3, "mail.read", [2], message_id="msg-a")
        undone = event(5, 4, "mail.read", [3], message_id="msg-a", undone=True)
        more = event(6, 5, "mail.sent", [2], message_id="msg-a", to="ceo", body="b", metadata={"b": 2})
        self.assertIsNone(folded(sent, read, undone).messages["msg-a"]["read_at"])
        message = folded(sent, read, other, undone, more).messages["msg-a"]
        self.assertEqual(message["read_at"], format_time(NOON + 3 * 10**9))
        self.assertEqual((message["subject"], message["body"], message["metadata"]), ("s", "b", {"a": 1, "b": 2}))
        self.assertEqual(message["from"], "ceo")

    def test_metadata_entries_are_fields_and_a_whole_object_replaces(self) -> None:
        lines = [CREATED, order(2, 1, "updated", [1], changes={"metadata": {"a": 1, "b": 2}}),
                 order(3, 2, "updated", [2], changes={"metadata.a": None, "metadata.c.d": 3})]
        self.assertEqual(only_order(*lines).record()["metadata"], {"b": 2, "c.d": 3})
        whole = order(4, 3, "updated", [3], changes={"metadata": {"e": 5}})
        self.assertEqual(only_order(*lines, whole).record()["metadata"], {"e": 5})

    def test_an_adopted_record_carries_its_fields(self) -> None:
        found = only_order(order(1, 9, "created", [], adopted=True, title="A", status="in_progress",
                                 priority=0, created_at="2026-01-06T13:00:00.123456789+02:00",
                                 created_by="a/qa", labels=["x"], metadata={"k": "v"},
                                 dependencies=[{"depends_on_id": "wo-b", "type": "blocks"}]))
        record = found.record()
        self.assertEqual(record["created_at"], "2026-01-06T11:00:00.123Z")
        self.assertEqual((record["status"], record["created_by"]), ("in_progress", "a/qa"))
        self.assertEqual(record["dependencies"][0]["depends_on_id"], "wo-b")

    def test_the_same_id_with_other_bytes_counts_twice(self) -> None:
        two = folded(CREATED, order(2, 1, "commented", body="x"),
                     order(2, 1, "commented", body="y"))
        self.assertEqual([c["body"] for c in two.orders["wo-a"].comments], ["x", "y"])

    def test_a_glued_line_is_salvaged_and_an_unreadable_one_is_told(self) -> None:
        broken = CREATED.replace(b'"A"', b'"\\ud83d"')
        events, problems = merge_model.read_events([CREATED[:40] + CREATED, b"no", broken])
        self.assertEqual([e.line for e in events], [CREATED])
        self.assertEqual([p["line"] for p in problems], [2, 3])

    def test_a_circle_of_prev_ends(self) -> None:
        found = only_order(CREATED, order(2, 1, "updated", [3], changes={"title": "x"}),
                           order(3, 2, "updated", [2], changes={"title": "y"}))
        self.assertEqual(found.record()["title"], "y")

    def test_mail_is_kept_once_with_its_earliest_reading(self) -> None:
        sent = event(1, 0, "mail.sent", [], message_id="msg-1", **{"from": "ceo"}, to="a/qa",
                     subject="s", body="b", message_type="HELP", priority="urgent", metadata={})
        reads = [event(2 + n, n, "mail.read", [1], message_id="msg-1", reader="a/qa",
                       read_at=format_time(NOON + n * 10**9)) for n in (3, 2)]
        state = folded(sent, *reads)
        self.assertEqual(state.messages["msg-1"]["read_at"], "2026-01-06T12:00:02.000Z")
        self.assertEqual(state.messages["msg-1"]["message_type"], "HELP")

    def test_the_last_assignment_holds(self) -> None:
        given = {"agent": "a/qa", "ref_type": "mail"}
        lines = [event(1, 1, "assignment.set", [], **given, ref_id="msg-1"),
                 event(2, 2, "assignment.set", [1], **given, ref_id="msg-2")]
        self.assertEqual(folded(*lines).assignments, {"a/qa": "mail:msg-2"})
        cleared = event(3, 3, "assignment.cleared", [2], agent="a/qa", previous_ref="mail:msg-2")
        self.assertEqual(folded(*lines, cleared).assignments, {})


class Compare(Directory):
    def test_every_kind_of_difference_is_told(self) -> None:
        self.py("--seed", "a", "wo", "create", "Kept")
        _, changed = self.py("--seed", "b", "wo", "create", "Changed")
        self.py("wo", "update", changed["id"], "--title", "Other", "--silent")
        self.py("--seed", "c", "wo", "create", "Unexplained", "--silent")
        self.py("--seed", "d", "send", "ceo", "-s", "gone")
        (self.work / "messages.jsonl").unlink()
        (self.work / ".assignment-ceo").write_text("mail:msg-1")
        code, result = self.compare()
        self.assertEqual(code, 1)
        self.assertLessEqual({"title", "no event explains it", "missing", "content"},
                             {difference["field"] for difference in result["differences"]})


def settle(repo: Path, work: Path) -> None:
    """Take in what foreign writers left, as the contract wants it, on one commit."""
    events: dict[bytes, None] = {}
    quarantine: list[bytes] = []
    for line in (work / "events.jsonl").read_bytes().split(b"\n")[:-1]:
        if line.strip() and not _take_event(line, events):
            quarantine.append(line)
    for file, kind, key in (("work_orders.jsonl", "work_order.created", "work_order_id"),
                            ("messages.jsonl", "mail.sent", "message_id")):
        content = (work / file).read_bytes() if (work / file).exists() else b""
        for line in content.split(b"\n")[:-1]:
            taken = merge_model.salvage(line)
            if taken is None:
                quarantine.append(line)
                continue
            record = parse_object(taken)
            adopted = event(len(events), 0, kind, [], adopted=True, **{key: record.pop("id")})
            events[adopted] = None
    place = repo / ".git" / "vermas" / "quarantine"
    place.mkdir(parents=True, exist_ok=True)
    (place / "lines").write_bytes(b"\n".join(quarantine))
    publish(repo, list(events))


def _take_event(line: bytes, events: dict[bytes, None]) -> bool:
    try:
        merge_model.parse_event(line)
    except FormatError:
        taken = merge_model.salvage(line)
        if taken is None:
            return False
        line = taken
    events[line] = None
    return True


def publish(repo: Path, lines: list[bytes]) -> None:
    """One commit on the state branch with the lines in segments of 64 KiB at the most."""
    segments = [b""]
    for line in lines:
        if len(segments[-1]) + len(line) >= stress.LINE_LIMIT:
            segments.append(b"")
        segments[-1] += line + b"\n"
    script = b"commit refs/heads/vermas/state\ncommitter t <t@t> 0 +0000\ndata 0\ndeleteall\n"
    for number, segment in enumerate(segments):
        path = f"events/abcdefghjk/{number + 1:06d}.jsonl".encode()
        script += b"M 100644 inline %s\ndata %d\n%s\n" % (path, len(segment), segment)
    subprocess.run(["git", "-C", str(repo), "fast-import", "--quiet", "--force"],
                   input=script, check=True, capture_output=True)


class Stress(Directory):
    def setUp(self) -> None:
        super().setUp()
        environment = {"GIT_CONFIG_GLOBAL": os.devnull, "GIT_CONFIG_NOSYSTEM": "1"}
        patched = unittest.mock.patch.dict(os.environ, environment)
        patched.start()
        self.addCleanup(patched.stop)
        subprocess.run(["git", "init", "-q", str(self.root)], check=True)
        self.manifest = self.root / "manifest.jsonl"

    def run_stress(self, *words: object) -> Any:
        code, result = call(stress.main, "run", "--work", self.work, "--manifest", self.manifest,
                            "--seed", "7", *words)
        self.assertEqual(code, 0)
        return result

    def verify(self, *words: object) -> tuple[int, Any]:
        return call(stress.main, "verify", "--work", self.work, "--manifest", self.manifest,
                    "--repo", self.root, *words)

    def test_a_settled_directory_has_lost_nothing(self) -> None:
        result = self.run_stress("--lines", 1500, "--kill-every", 0.02)
        self.assertGreater(result["deaths"], 0)
        settle(self.root, self.work)
        code, found = self.verify()
        self.assertEqual((code, found["lost_first"], found["branch_duplicates"]), (0, [], 0))
        self.assertEqual(found["segments_over_64k"], 0)
        self.assertEqual(self.verify("--odd", "branch")[0], 1)

    def test_a_lost_line_and_a_repeated_one_are_found(self) -> None:
        self.run_stress("--lines", 60, "--styles", "plain", "--kill-every", 0)
        settle(self.root, self.work)
        lines = (self.work / "events.jsonl").read_bytes().splitlines()
        publish(self.root, lines[1:] + lines[-1:])
        code, found = self.verify()
        counted = (code, found["counts"]["lost.branch"], found["branch_duplicates"])
        self.assertEqual(counted, (1, 1, 1))
        (self.work / "events.jsonl").write_bytes(b"\n".join(lines[1:]) + b"\n")
        self.assertEqual(self.verify()[1]["counts"]["lost.events.jsonl"], 1)

    def test_a_changed_byte_is_a_loss(self) -> None:
        self.run_stress("--lines", 30, "--styles", "crlf", "--kill-every", 0)
        settle(self.root, self.work)
        lines = (self.work / "events.jsonl").read_bytes().split(b"\n")[:-1]
        publish(self.root, [line.rstrip(b"\r") for line in lines])
        self.assertEqual(self.verify()[1]["counts"]["lost.branch"], len(lines))

    def test_a_record_that_no_event_explains_is_a_loss(self) -> None:
        self.run_stress("--lines", 60, "--styles", "plain", "--kill-every", 0)
        publish(self.root, (self.work / "events.jsonl").read_bytes().splitlines())
        code, found = self.verify()
        records = sum(found["counts"][f"acknowledged.{k}"] for k in ("work_order", "message"))
        self.assertEqual((code, found["counts"]["lost.explained"]), (1, records))

    def test_the_same_seed_writes_the_same_lines(self) -> None:
        drafts = [stress.Drafter("7/0/1", role, "a/qa", stress.STYLES, NOON)
                  for role in ("python", "go", "python", "go")]
        made = [[drafter.next() for _ in range(300)] for drafter in drafts]
        self.assertEqual(made[:2], made[2:])
        self.assertLessEqual(max(len(line.data) + 1 for line in made[0]), stress.LINE_LIMIT)
        self.assertIn(stress.LINE_LIMIT, {len(line.data) + 1 for line in made[0] + made[1]})

    def test_wrong_arguments_exit_2(self) -> None:
        for words in (["--lines", 1, "--styles", "odd"], [], ["--lines", 1, "--writers", 0]):
            given = ["run", "--work", self.work, "--manifest", self.manifest, *words]
            self.assertEqual(call(stress.main, *given)[0], 2)


if __name__ == "__main__":
    unittest.main()
