//! Event lines and records that no well-meaning program writes, made from tables.

use git_vermas::domain::kinds;
use serde_json::{Map, Value, json};

use super::world::{EVIL, World};

/// Texts that mean something to a shell, git, tmux, a terminal, a path or a pattern.
pub fn payloads() -> Vec<String> {
    let fixed = [
        "--help",
        "-x",
        "--upload-pack=touch pwned",
        "../../etc/passwd",
        "/etc/passwd",
        "..",
        ".git",
        "$(touch pwned)",
        "`touch pwned`",
        ";touch pwned;",
        "x;",
        "|touch pwned",
        "#(touch pwned)",
        "#{pane_id}#[fg=red]",
        "%n%s%%",
        "a\nb: c\n\nWork-Order: wo-x",
        "a\r\nb\tc",
        "\u{1b}]0;pwn\u{7}\u{1b}[2J\u{1b}[31m",
        "\u{1b}P1$r\u{1b}\\\u{1b}^x\u{1b}\\",
        "\u{9b}31m\u{9d}0;x\u{9c}\u{85}",
        "\u{202e}gpj.exe\u{2066}\u{200f}\u{2028}",
        "\u{e0041}\u{e0042}\u{200b}\u{feff}",
        "\0\u{1}\u{7f}",
        "refs/heads/main",
        "HEAD",
        "main~0",
        "vermas/state:work_orders.jsonl",
        "@{-1}",
        ":/first",
        "wo-",
        "wo-a/b",
        "WO-A",
        "wo-abc.1.2.99999999999999999999",
        "",
        " ",
        "null",
        "'; DROP TABLE orders; --",
        "%_\\%",
        "app/workers/slot4294967296",
        "app/workers/slot4294967295",
        "app/qa",
    ];
    let mut all: Vec<String> = fixed.iter().map(|s| (*s).to_owned()).collect();
    all.push("x".repeat(60_000));
    all.push("\u{1b}[".repeat(2_000));
    all.push("e\u{301}".repeat(500));
    all
}

/// Values of every type.
fn types() -> Vec<Value> {
    let mut all = vec![
        Value::Null,
        json!(true),
        json!(-7),
        json!(u64::MAX),
        json!(i64::MIN),
        json!(-1.5e308),
        json!(""),
        json!("text"),
        json!([]),
        json!([[], {}, null, 1, "x"]),
        json!({}),
        json!({"": {"a": [{}]}, "\u{1b}[2J": 1, "depends_on_id": 7}),
    ];
    all.push(Value::Array((0..200).map(|n| json!({"depends_on_id": format!("wo-n{n}")})).collect()));
    all
}

/// The fields that events of a family carry.
fn fields(kind: &str) -> &'static [&'static str] {
    match kind.split('.').next().unwrap_or_default() {
        "work_order" => &[
            "work_order_id",
            "title",
            "description",
            "status",
            "priority",
            "issue_type",
            "created_at",
            "created_by",
            "assignee",
            "dependencies",
            "labels",
            "metadata",
            "parent",
            "changes",
            "from_status",
            "to_status",
            "depends_on_id",
            "type",
            "added",
            "removed",
            "body",
            "agent",
            "assignment_path",
            "reason",
        ],
        "mail" => &[
            "message_id",
            "from",
            "to",
            "subject",
            "body",
            "message_type",
            "priority",
            "metadata",
            "timestamp",
            "read_at",
            "recipient",
            "reader",
        ],
        "assignment" => &["agent", "ref_type", "ref_id", "previous_ref"],
        "agent" => &[
            "agent",
            "session_name",
            "worktree",
            "profile",
            "assigned_work_order",
            "work_order_id",
            "reason",
            "exit_code",
            "log",
            "idle_since",
        ],
        "process" => &["process_id", "template", "work_order_id", "steps", "step_id", "status"],
        "sprint" => &["sprint_id", "name", "work_order_ids"],
        "qa" => &["work_order_id", "branch", "base", "commit", "reason"],
        _ => &["work_order_id", "process_id", "verdict", "criterion", "reasoning"],
    }
}

/// Counts the events of a case, so that each has an id and a time of its own.
#[derive(Default)]
pub struct Pen {
    written: usize,
}

impl Pen {
    pub fn event(&mut self, kind: &str, data: Value) -> Value {
        self.written += 1;
        let n = self.written;
        json!({"event_id": format!("evt-zz{n:010}"), "event_type": kind, "actor": "eve",
            "timestamp": format!("2026-02-01T{:02}:{:02}:{:02}.000Z", n / 3600 % 24, n / 60 % 60, n % 60), "data": data})
    }

    /// An event of a kind about the order of this suite, with one field set to a value.
    fn about(&mut self, kind: &str, field: &str, value: &Value) -> Value {
        let mut data = match kind.split('.').next().unwrap_or_default() {
            "mail" => json!({"message_id": "msg-evil1", "to": "ceo", "subject": "s", "body": "b"}),
            "assignment" => json!({"agent": "app/workers/slot1", "ref_type": "work_order", "ref_id": EVIL}),
            "agent" => json!({"agent": "app/workers/slot1"}),
            "process" => json!({"process_id": "proc-evil1"}),
            "sprint" => json!({"sprint_id": "sprint-evil1"}),
            _ => json!({"work_order_id": EVIL, "title": "Evil"}),
        };
        data[field] = value.clone();
        self.event(kind, data)
    }

    fn created(&mut self) -> Value {
        self.event("work_order.created", json!({"work_order_id": EVIL, "title": "Evil"}))
    }
}

pub fn text(events: &[Value]) -> Vec<u8> {
    events.iter().flat_map(|e| format!("{e}\n").into_bytes()).collect()
}

/// A named piece of a log.
pub type Lines = (String, Vec<u8>);

/// Every known field of every known type, with values of every type, and with every text that means something.
fn by_kind() -> Vec<Lines> {
    let mut all = Vec::new();
    for kind in kinds::KNOWN.iter().copied().chain(["adopted.x", "work_order.unknown", "assignment.checked"]) {
        let mut pen = Pen::default();
        let mut wrong = vec![pen.created()];
        let mut texts = vec![pen.created()];
        for field in fields(kind) {
            for value in types() {
                wrong.push(pen.about(kind, field, &value));
            }
            for p in payloads().into_iter().filter(|p| p.len() < 1000) {
                texts.push(pen.about(kind, field, &json!(p)));
            }
        }
        if kind == "work_order.updated" {
            for field in fields("work_order.created") {
                wrong.extend(types().iter().map(|v| {
                    pen.event(
                        kind,
                        json!({"work_order_id": EVIL, "changes": {*field: v, format!("metadata.{field}"): v}}),
                    )
                }));
            }
        }
        all.push((format!("wrong types in {kind}"), text(&wrong)));
        all.push((format!("texts in {kind}"), text(&texts)));
    }
    all
}

/// One text in every place of an order, a mail, an assignment and the envelope.
fn by_payload() -> Vec<Lines> {
    let one = |p: &String| {
        let mut pen = Pen::default();
        let mut events = vec![
            pen.created(),
            pen.event(
                "work_order.created",
                json!({"work_order_id": p, "id": p, "title": p, "description": p, "status": p, "issue_type": p,
                    "created_by": p, "assignee": p, "labels": [p], "metadata": {p.clone(): p, "parent": p}, "parent": p}),
            ),
            pen.event(
                "work_order.updated",
                json!({"work_order_id": EVIL, "changes": {"title": p, "assignee": p, "status": p,
                    "metadata.submitted": p, "metadata.branch": p, "metadata.worktree": p, format!("metadata.{p}"): p}}),
            ),
            pen.event("work_order.labels_changed", json!({"work_order_id": EVIL, "added": [p]})),
            pen.event("work_order.dependency_added", json!({"work_order_id": EVIL, "depends_on_id": p, "type": "blocks"})),
            pen.event("work_order.commented", json!({"work_order_id": EVIL, "body": p})),
            pen.event("qa.rejected", json!({"work_order_id": EVIL, "branch": p, "reason": p})),
            pen.event("qa.merged", json!({"work_order_id": EVIL, "branch": p, "base": p, "commit": p})),
            pen.event(
                "mail.sent",
                json!({"message_id": "msg-evil1", "from": p, "to": "ceo", "subject": p, "body": p, "message_type": p,
                    "priority": p, "metadata": {"work_order_id": p}}),
            ),
            pen.event("mail.sent", json!({"message_id": p, "from": p, "to": p, "subject": p, "body": p})),
            pen.event("assignment.set", json!({"agent": p, "ref_type": p, "ref_id": p})),
            pen.event("assignment.set", json!({"agent": "ceo", "ref_type": "work_order", "ref_id": p})),
            pen.event(
                "agent.started",
                json!({"agent": "app/workers/slot1", "session_name": p, "worktree": p, "profile": p, "log": p,
                    "assigned_work_order": p}),
            ),
        ];
        for field in ["event_id", "event_type", "actor", "timestamp", "correlation_id", "caused_by", "prev"] {
            let mut e = pen.event("work_order.commented", json!({"work_order_id": EVIL, "body": "x"}));
            e[field] = if field == "prev" { json!([p]) } else { json!(p) };
            events.push(e);
        }
        let name: String = p.escape_default().take(24).collect();
        (format!("the text {name} everywhere"), text(&events))
    };
    payloads().iter().map(one).collect()
}

fn times() -> Vec<Lines> {
    let ahead = |hours: i64| {
        let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap().as_millis();
        let at = i64::try_from(now).unwrap() + hours * 3_600_000;
        git_vermas::domain::Timestamp::from_millis(at).to_string()
    };
    let fixed = [
        "-0001-01-01T00:00:00Z",
        "99999999-01-01T00:00:00Z",
        "+10000-01-01T00:00:00Z",
        "9999-12-31T23:59:59.999999999Z",
        "9999-12-31T23:59:59-23:59",
        "0000-01-01T00:00:00Z",
        "1970-01-01T00:00:00Z",
        "2016-12-31T23:59:60Z",
        "2026-02-30T00:00:00Z",
        "2026-02-01T00:00:00.00000000000000000000000000001Z",
        "2026-02-01T24:00:00+99:99",
        "2026-02-01t00:00:00z",
        "2026-02-01",
        "12345",
    ];
    let list = fixed.iter().map(|t| (*t).to_owned()).chain([ahead(23), ahead(25), ahead(24 * 400)]);
    let one = |(n, t): (usize, String)| {
        let mut pen = Pen::default();
        let mut events = vec![pen.created()];
        let mut stamped = pen.event(
            "work_order.created",
            json!({"work_order_id": "wo-timed", "title": "t", "created_at": t, "updated_at": t}),
        );
        stamped["timestamp"] = json!(t);
        events.push(stamped);
        events.push(pen.event("mail.sent", json!({"message_id": "msg-t", "to": "ceo", "timestamp": t, "read_at": t})));
        (format!("time {n} {t}"), text(&events))
    };
    list.enumerate().map(one).collect()
}

/// Lines that are wrong before anybody looks at their fields.
fn raw() -> Vec<Lines> {
    let mut pen = Pen::default();
    let good = text(&[pen.created()]);
    let wrap = |data: &str| {
        format!(
            "{{\"event_id\":\"evt-raw\",\"event_type\":\"work_order.updated\",\"timestamp\":\"2026-02-01T00:00:00Z\",\
             \"actor\":\"eve\",\"data\":{data}}}\n"
        )
        .into_bytes()
    };
    let meta =
        |v: &str| wrap(&format!("{{\"work_order_id\":\"{EVIL}\",\"changes\":{{\"metadata.k\":{v},\"extra\":{v}}}}}"));
    let nested = |n: usize| format!("{}{}", "[".repeat(n), "]".repeat(n));
    let objects = |n: usize| format!("{}1{}", "{\"a\":".repeat(n), "}".repeat(n));
    let rawvalue = "{\"$serde_json::private::RawValue\":\"[[[[[[[[[[[[[[[[{}]]]]]]]]]]]]]]]]\"}";
    let number = "{\"$serde_json::private::Number\":\"1e999\"}";
    let smuggled =
        format!("{{\"\\u0024serde_json::private::RawValue\":\"{}{}\"}}", "\\u005b".repeat(126), "]".repeat(126));
    let utf16: Vec<u8> =
        String::from_utf8_lossy(&good).encode_utf16().flat_map(u16::to_le_bytes).chain(*b"\n").collect();
    let cut = good[..good.len() / 2].to_vec();
    let many_keys: String = (0..20_000).map(|n| format!("\"k{n}\":{n},")).collect();
    let mut all: Vec<(&str, Vec<u8>)> = vec![
        ("10,000 arrays", meta(&nested(10_000))),
        ("10,000 objects", meta(&objects(10_000))),
        ("only brackets", [vec![b'['; 500_000], b"\n".to_vec()].concat()),
        ("only braces", [vec![b'{'; 500_000], b"}\n".to_vec()].concat()),
        ("braces that go on to the end", [b"{\"a\":".repeat(250), vec![b'1'; 900_000], b"}\n".to_vec()].concat()),
        ("1 MiB and one", meta(&format!("\"{}\"", "x".repeat((1 << 20) + 1)))),
        ("nearly 1 MiB", meta(&format!("\"{}\"", "x".repeat((1 << 19) - 400)))),
        ("64 KiB and one", meta(&format!("\"{}\"", "x".repeat((1 << 15) + 1)))),
        ("numbers too great", meta("[1e999,-1e999,1e-999,123456789012345678901234567890]")),
        ("NaN and Infinity", meta("[NaN,Infinity,-Infinity]")),
        ("raw value of the parser's own", meta(rawvalue)),
        ("number of the parser's own", meta(number)),
        ("depth smuggled in a text", meta(&smuggled)),
        ("lone surrogates", meta("\"\\ud800\\udfff \\ud83d\"")),
        ("NUL in a text", meta("\"a\\u0000b\"")),
        ("20,000 keys", meta(&format!("{{{many_keys}\"z\":1}}"))),
        ("60,000 numbers", meta(&format!("[{}1]", "1,".repeat(60_000)))),
        (
            "keys twice",
            wrap(&format!(
                "{{\"work_order_id\":\"wo-a\",\"work_order_id\":\"{EVIL}\",\"changes\":{{\"title\":\"x\",\"title\":7}}}}"
            )),
        ),
        ("Go's case of keys", wrap(&format!("{{\"Work_Order_ID\":\"{EVIL}\",\"CHANGES\":{{}}}}"))),
        ("null", b"null\n".to_vec()),
        ("an array", b"[1]\n".to_vec()),
        ("a text", b"\"x\"\n".to_vec()),
        ("an empty object", b"{}\n".to_vec()),
        ("NULs", vec![0; 4096]),
        ("NULs and a newline", [vec![0; 4096], b"\n".to_vec()].concat()),
        ("a BOM", [b"\xef\xbb\xbf".to_vec(), good.clone()].concat()),
        ("CRLF", String::from_utf8_lossy(&good).replace('\n', "\r\n").into_bytes()),
        ("CR alone", String::from_utf8_lossy(&good).replace('\n', "\r").into_bytes()),
        ("UTF-16", utf16),
        ("no UTF-8", [b"{\"event_id\":\"\xff\xfe\",\"x\":\"\xc3\"}\n".to_vec(), good.clone()].concat()),
        ("no newline at the end", good[..good.len() - 1].to_vec()),
        ("a torn line, glued", [cut, good.clone()].concat()),
        ("two glued", [good[..good.len() - 1].to_vec(), good.clone()].concat()),
        ("50,000 empty lines", vec![b'\n'; 50_000]),
        ("5,000 lines of junk", b"junk\n".repeat(5_000)),
        ("conflict markers", b"<<<<<<< ours\n=======\n>>>>>>> theirs\n".to_vec()),
    ];
    let depths: Vec<(String, Vec<u8>)> =
        [60, 64, 65, 100, 120, 125, 127, 128].iter().map(|n| (format!("{n} arrays"), meta(&nested(*n)))).collect();
    let again = text(&[pen.event("work_order.commented", json!({"work_order_id": EVIL, "body": "later"}))]);
    let with = |bytes: Vec<u8>| [good.clone(), bytes, again.clone()].concat();
    let named = all.drain(..).map(|(n, b)| (n.to_owned(), b)).chain(depths);
    named.map(|(n, b)| (format!("line: {n}"), if n == "no newline at the end" { b } else { with(b) })).collect()
}

/// Events that are well formed and mean harm together.
fn structure(w: &World, large: bool) -> Vec<Lines> {
    let mut pen = Pen::default();
    let made = pen.created();
    let mut chain = |n: usize, prev: &dyn Fn(usize) -> Vec<String>| {
        let events = (0..n).map(|i| {
            let mut e =
                pen.event("work_order.updated", json!({"work_order_id": EVIL, "changes": {"title": format!("t{i}")}}));
            e["event_id"] = json!(format!("evt-c{i}"));
            e["prev"] = json!(prev(i));
            e
        });
        text(&std::iter::once(made.clone()).chain(events).collect::<Vec<_>>())
    };
    let heads = if large { 4_000 } else { 600 };
    let mut all = vec![
        ("prev names itself".to_owned(), chain(2, &|i| vec![format!("evt-c{i}")])),
        ("prev in a circle of two".to_owned(), chain(2, &|i| vec![format!("evt-c{}", 1 - i)])),
        ("prev in a circle of 300".to_owned(), chain(300, &|i| vec![format!("evt-c{}", (i + 1) % 300)])),
        ("prev names what is not there".to_owned(), chain(50, &|i| vec![format!("evt-none{i}")])),
        ("prev of 20,000 names".to_owned(), chain(2, &|_| (0..20_000).map(|n| format!("evt-n{n}")).collect())),
        (format!("{heads} that do not know each other"), chain(heads, &|_| vec!["evt-none".to_owned()])),
    ];
    let mut pen = Pen::default();
    let dep = |pen: &mut Pen, a: &str, b: &str| {
        pen.event("work_order.dependency_added", json!({"work_order_id": a, "depends_on_id": b, "type": "blocks"}))
    };
    let order = |pen: &mut Pen, id: &str| pen.event("work_order.created", json!({"work_order_id": id, "title": "x"}));
    let itself = vec![pen.created(), dep(&mut pen, EVIL, EVIL)];
    all.push(("an order that waits for itself".to_owned(), text(&itself)));
    let n = if large { 10_000 } else { 300 };
    let mut ring = vec![pen.created()];
    for i in 0..n {
        let (a, b) = (format!("wo-r{i}"), format!("wo-r{}", (i + 1) % n));
        ring.push(order(&mut pen, &a));
        ring.push(dep(&mut pen, &a, &b));
    }
    all.push((format!("a ring of {n} dependencies"), text(&ring)));
    let mut line = ring.clone();
    line.pop();
    all.push((format!("a chain of {n} dependencies"), text(&line)));
    let mut parents = vec![pen.created()];
    for i in 0..50 {
        let (id, parent) = (format!("wo-p{i}"), format!("wo-p{}", (i + 1) % 50));
        parents.push(pen.event("work_order.created", json!({"work_order_id": id, "title": "x", "parent": parent})));
    }
    all.push(("parents in a circle".to_owned(), text(&parents)));
    let mut twice = vec![pen.created(), pen.created(), pen.created()];
    for e in &mut twice {
        e["event_id"] = json!("evt-same");
    }
    all.push(("one id, three texts".to_owned(), text(&twice)));
    let good = &w.good[1];
    let main = w.git(&["rev-parse", "main"]);
    let worker = "app/workers/slot0";
    let claims = vec![
        pen.created(),
        pen.event("work_order.assigned", json!({"work_order_id": EVIL, "agent": worker})),
        pen.event("assignment.set", json!({"agent": worker, "ref_type": "work_order", "ref_id": EVIL})),
        pen.event("assignment.set", json!({"agent": "ceo", "ref_type": "mail", "ref_id": "msg-none"})),
        pen.event(
            "agent.started",
            json!({"agent": worker, "session_name": "worker-app-slot0", "worktree": "/", "profile": "pwn"}),
        ),
        pen.event(
            "work_order.updated",
            json!({"work_order_id": EVIL, "changes": {"metadata.submitted": main, "metadata.branch": "main"}}),
        ),
        pen.event("qa.merged", json!({"work_order_id": good, "branch": "main", "base": "main", "commit": main})),
        pen.event(
            "mail.sent",
            json!({"message_id": "msg-e", "from": worker, "to": "app/supervisor", "subject": "done", "body": "",
            "message_type": "WORKER_DONE", "metadata": {"work_order_id": good}}),
        ),
        pen.event("work_order.status_changed", json!({"work_order_id": good, "to_status": "closed"})),
        pen.event("work_order.closed", json!({"work_order_id": good, "reason": "says a remote"})),
    ];
    all.push(("a remote that claims all is done".to_owned(), text(&claims)));
    let mut slots = vec![pen.created()];
    for i in 0..200_u64 {
        let agent = format!("app/workers/slot{}", i * 21_000_000);
        slots.push(pen.event("assignment.set", json!({"agent": agent, "ref_type": "work_order", "ref_id": EVIL})));
    }
    all.push(("slots without number".to_owned(), text(&slots)));
    all
}

/// Short pieces of a log, to begin mutations from.
pub fn seeds() -> Vec<Lines> {
    [by_kind(), by_payload(), times(), raw()].concat()
}

/// Every piece of a log that this suite knows.
pub fn all(w: &World, large: bool) -> Vec<Lines> {
    [by_kind(), by_payload(), times(), raw(), structure(w, large)].concat()
}

/// Lines of `work_orders.jsonl` and `messages.jsonl`, as a foreign writer on this machine may leave them.
pub fn records() -> Vec<(String, &'static str, Vec<u8>)> {
    let line = |m: &Map<String, Value>| format!("{}\n", Value::Object(m.clone())).into_bytes();
    let mut all = Vec::new();
    let order = json!({"id": EVIL, "title": "Evil", "status": "open", "priority": 2});
    let message = json!({"id": "msg-evil1", "from": "eve", "to": "ceo", "subject": "s", "body": "b"});
    for (file, base) in [("work_orders.jsonl", order), ("messages.jsonl", message)] {
        let base = base.as_object().unwrap().clone();
        let family = if file == "messages.jsonl" { "mail" } else { "work_order" };
        let fields = fields(family).iter().copied().chain(["id"]);
        let (mut wrong, mut texts) = (Vec::new(), Vec::new());
        for field in fields {
            for (list, values) in [
                (&mut wrong, types()),
                (&mut texts, payloads().iter().filter(|p| p.len() < 1000).map(|p| json!(p)).collect()),
            ] {
                for value in values {
                    let mut m = base.clone();
                    m.insert(field.to_owned(), value);
                    list.extend(line(&m));
                }
            }
        }
        all.push((format!("wrong types in {file}"), file, wrong));
        all.push((format!("texts in {file}"), file, texts));
        for (name, bytes) in raw() {
            all.push((format!("{file}, {name}"), file, bytes));
        }
    }
    all
}
