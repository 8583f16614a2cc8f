//! `git vermas wo show --history`: the life of an order in words.

use serde_json::Value;

use crate::app::replay::{Changed, Entry, Origin, Step};
use crate::domain::order::Conflict;
use crate::domain::text::headline;
use crate::sys::clock;
use crate::ui::{Label, Ui, time};

/// The longest value that is shown, in characters: a whole description is in the order itself.
const LONGEST: usize = 60;

/// The life of an order below its record: an entry for each event, oldest first.
pub fn text(ui: &Ui, life: &[Entry]) -> String {
    let paint = ui.paint();
    let mut out = format!("\n{}\n", paint.text(Label::Heading, "History"));
    for entry in life {
        out.push_str(&one(ui, entry));
    }
    out
}

fn one(ui: &Ui, entry: &Entry) -> String {
    let (paint, e) = (ui.paint(), &entry.step.event);
    let at = match ui.look().width {
        Some(_) => format!("{} ({})", e.at, time::ago(e.at.millis(), clock::now_millis())),
        None => e.at.to_string(),
    };
    let mut out = format!(
        "\n{}  {} {}\n",
        paint.text(Label::Time, &at),
        paint.text(Label::Agent, &e.actor),
        paint.text(Label::Title, &did(entry))
    );
    for line in entry.told.detail.lines().filter(|_| says_more(entry)) {
        out.push_str(&format!("    {}\n", paint.text(Label::Plain, line)));
    }
    for change in changes(&entry.step) {
        out.push_str(&format!("    {}\n", paint.text(Label::Plain, &change)));
    }
    let conflict = |c: &Conflict| format!("{} = {}, by {}", c.field, shown(&c.value), c.by);
    for c in &entry.step.opened {
        let line = format!("conflict with {}", conflict(c));
        out.push_str(&format!("    {}\n", paint.text(Label::Warning, &line)));
    }
    for c in &entry.step.settled {
        let line = format!("settled against {}", conflict(c));
        out.push_str(&format!("    {}\n", paint.text(Label::Good, &line)));
    }
    let undoes = entry.told.undoes.as_ref().map(|id| format!(", undoes {id}")).unwrap_or_default();
    let origin = format!("{}{undoes}{}", e.id, origin(&entry.origin));
    out.push_str(&format!("    {}\n", paint.text(Label::Dim, &origin)));
    out
}

/// What was done, without the order's own name: it stands above.
fn did(entry: &Entry) -> String {
    let own = entry.step.event.kind.starts_with("work_order.") || entry.step.event.kind.starts_with("qa.");
    let did = match entry.step.event.kind.as_str() {
        // What for is said by the event that comes with it.
        "work_order.status_changed" => "moved",
        _ => &entry.told.did,
    };
    match did.strip_suffix(" on") {
        Some(did) if own => did.to_owned(),
        _ if own => format!("{did} it"),
        _ => format!("{} {}", did.strip_suffix(" on").unwrap_or(did), entry.told.id),
    }
}

/// Whether the words beside the verb say what the changed fields do not.
fn says_more(entry: &Entry) -> bool {
    !matches!(
        entry.step.event.kind.as_str(),
        "work_order.updated" | "work_order.status_changed" | "work_order.labels_changed"
    )
}

fn origin(o: &Origin) -> String {
    let program = if o.foreign { ", by another program" } else { "" };
    let clone = match (&o.replica, &o.person) {
        _ if o.here => String::from(", on this machine"),
        (Some(replica), Some(person)) => format!(", on {person}'s clone {replica}"),
        (Some(replica), None) => format!(", on the clone {replica}"),
        (None, _) => String::new(),
    };
    format!("{clone}{program}")
}

/// The fields that an event changed, a line each: `title: Before → After`.
pub fn changes(step: &Step) -> Vec<String> {
    step.changed.iter().map(change).collect()
}

fn change(c: &Changed) -> String {
    if let (Value::Array(from), Value::Array(to)) = (&list(&c.from), &list(&c.to))
        && (c.from.is_array() || c.to.is_array())
    {
        let added = to.iter().filter(|v| !from.contains(v)).map(|v| format!("+{}", shown(v)));
        let removed = from.iter().filter(|v| !to.contains(v)).map(|v| format!("-{}", shown(v)));
        return format!("{}: {}", c.field, added.chain(removed).collect::<Vec<_>>().join(" "));
    }
    if c.from.is_null() {
        return format!("{}: {}", c.field, shown(&c.to));
    }
    format!("{}: {} → {}", c.field, shown(&c.from), shown(&c.to))
}

fn list(value: &Value) -> Value {
    if value.is_null() { Value::Array(Vec::new()) } else { value.clone() }
}

fn shown(value: &Value) -> String {
    match value {
        Value::Null => "none".to_owned(),
        Value::String(s) if s.is_empty() => "(empty)".to_owned(),
        Value::String(s) => headline(s, LONGEST),
        other => headline(&other.to_string(), LONGEST),
    }
}
