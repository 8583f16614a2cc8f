//! Other programs that write into `.work/`: the shapes of lines that Go and Python leave there, and lines that tear.

use serde_json::{Map, Value, json};

use super::plan::Numbers;
use crate::domain::Timestamp;

/// A time as Go, Python, or somebody careless writes it.
pub fn time(n: &mut Numbers, ms: i64) -> String {
    let plain = Timestamp::from_millis(ms).to_string();
    let body = plain.trim_end_matches('Z').to_owned();
    match n.below(4) {
        0 => plain,
        1 => format!("{body}456"),
        2 => format!("{}456789+01:00", Timestamp::from_millis(ms + 3_600_000).to_string().trim_end_matches('Z')),
        _ => body.split('.').next().unwrap_or_default().to_owned() + "Z",
    }
}

/// A line of JSON with its keys in one order or the other, with blanks or without, and now and then a field more.
pub fn line(n: &mut Numbers, mut fields: Map<String, Value>) -> String {
    if n.one_in(3) {
        fields.insert("x_theirs".to_owned(), json!({"seen": n.below(10), "by": ["a", null]}));
    }
    let mut pairs: Vec<(String, Value)> = fields.into_iter().collect();
    if n.one_in(2) {
        pairs.reverse();
    }
    let (comma, colon) = if n.one_in(2) { (", ", ": ") } else { (",", ":") };
    let pair = |(k, v): &(String, Value)| format!("{}{colon}{v}", Value::from(k.as_str()));
    format!("{{{}}}", pairs.iter().map(pair).collect::<Vec<_>>().join(comma))
}

/// A work order as another program appends it.
pub fn order(n: &mut Numbers, id: &str, mark: &str, ms: i64) -> String {
    let at = time(n, ms);
    let mut m = Map::new();
    for (k, v) in [("id", id), ("title", mark), ("status", "open"), ("created_by", "ceo")] {
        m.insert(k.to_owned(), v.into());
    }
    m.insert(n.pick(&["issue_type", "type"]).to_owned(), "task".into());
    m.insert("priority".to_owned(), n.below(5).into());
    m.insert("created_at".to_owned(), at.clone().into());
    m.insert("updated_at".to_owned(), at.into());
    if n.one_in(2) {
        m.insert("labels".to_owned(), json!(["theirs", n.below(3).to_string()]));
        m.insert("dependencies".to_owned(), json!([]));
    }
    line(n, m)
}

/// A message as another program appends it.
pub fn message(n: &mut Numbers, id: &str, mark: &str, ms: i64) -> String {
    let at = time(n, ms);
    let mut m = Map::new();
    for (k, v) in
        [("id", id), ("from", "operations"), ("to", "ceo"), ("subject", mark), ("body", "said"), ("priority", "normal")]
    {
        m.insert(k.to_owned(), v.into());
    }
    m.insert("timestamp".to_owned(), at.into());
    m.insert("read_at".to_owned(), Value::Null);
    line(n, m)
}

/// An event about an order as another program appends it.
pub fn event(n: &mut Numbers, id: &str, order: &str, mark: &str, ms: i64) -> String {
    let (kind, data) = match n.below(6) {
        0 => {
            ("work_order.updated", json!({"work_order_id": order, "changes": {"title": mark, "priority": n.below(5)}}))
        }
        1 => (
            "work_order.status_changed",
            json!({"work_order_id": order, "from_status": "open", "to_status": "in_progress", "note": mark}),
        ),
        2 => ("work_order.closed", json!({"work_order_id": order, "reason": mark})),
        3 => ("work_order.labels_changed", json!({"work_order_id": order, "added": [mark], "removed": ["theirs"]})),
        4 => ("somebody.elses", json!({"text": mark})),
        _ => ("work_order.commented", json!({"work_order_id": order, "body": mark})),
    };
    let at = time(n, ms);
    let mut m = Map::new();
    m.insert("event_id".to_owned(), id.into());
    m.insert("event_type".to_owned(), kind.into());
    m.insert("timestamp".to_owned(), at.into());
    m.insert("actor".to_owned(), "operations".into());
    m.insert("data".to_owned(), data);
    line(n, m)
}
