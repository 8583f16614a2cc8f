//! The state as it was: which point `--at` means, and how an answer says that it is about the past.

use serde_json::{Value, json};

use super::fault::Fault;
use super::session::Session;
use super::when;
use crate::domain::Timestamp;
use crate::domain::event::Event;
use crate::domain::text::quoted;
use crate::git::Oid;
use crate::store::{Point, Store};
use crate::sys::clock;

/// How many candidates an ambiguous id is answered with.
const MOST: usize = 8;
/// From this many digits on, a word of hexadecimal digits is taken for a commit before it is taken for a time: `1234567d`.
const SURELY_A_COMMIT: usize = 7;

/// The point in the past that a command's answer is about.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AsOf {
    /// The time meant, or that of the commit or event.
    pub at: Timestamp,
    pub commit: Option<Oid>,
    pub event: Option<String>,
}

impl AsOf {
    /// What stands in a record as `as_of`.
    pub fn record(&self) -> Value {
        json!({"timestamp": self.at, "commit": self.commit.map(|c| c.to_string()), "event_id": self.event})
    }

    /// The same in words.
    pub fn words(&self) -> String {
        match (&self.commit, &self.event) {
            (Some(commit), _) => format!("commit {} of {}", &commit.to_string()[..10], self.at),
            (None, Some(event)) => format!("event {event} of {}", self.at),
            (None, None) => self.at.to_string(),
        }
    }
}

/// The commit of the state branch that a store looks at: its tip, or that of the past it has gone back to.
pub fn commit_in_view(store: &Store) -> Result<Option<Oid>, Fault> {
    match store.point() {
        Some(Point::Commit(oid)) => Ok(Some(*oid)),
        _ => Ok(store.tip()?),
    }
}

/// Turns a session to the point that `text` means: a time, a revision of the state branch, or an event.
pub fn go_back(session: &mut Session, text: &str) -> Result<AsOf, Fault> {
    let (point, as_of) = point(&session.store, text)?;
    session.store.go_back(point)?;
    Ok(as_of)
}

fn point(store: &Store, text: &str) -> Result<(Point, AsOf), Fault> {
    let text = text.trim();
    let hexadecimal = text.len() >= SURELY_A_COMMIT && text.bytes().all(|b| b.is_ascii_hexdigit());
    if hexadecimal && let Some(found) = commit(store, text)? {
        return Ok(found);
    }
    if text == "now" {
        // All that is known: a clock that is ahead has stamped some of it later.
        let as_of = AsOf { at: Timestamp::from_millis(clock::now_millis()), commit: None, event: None };
        return Ok((Point::Time(i64::MAX), as_of));
    }
    if let Ok(ms) = when::parse(text, clock::now_millis()) {
        let as_of = AsOf { at: Timestamp::from_millis(ms), commit: None, event: None };
        return Ok((Point::Time(ms), as_of));
    }
    if text.starts_with("evt-") {
        return event(store, text)?.ok_or_else(|| unknown(text));
    }
    if let Some(found) = commit(store, text)? {
        return Ok(found);
    }
    event(store, text)?.ok_or_else(|| unknown(text))
}

fn unknown(text: &str) -> Fault {
    Fault::not_found(format!("{} is no time, no commit of the state branch and no event", quoted(text)))
        .hint("a time is 2h, 3d, yesterday, 2026-01-06 or '2026-01-06 12:00'")
        .hint("commits and events: git vermas log")
}

/// The commit of the state branch that a revision names; `None` where it names no commit.
fn commit(store: &Store, text: &str) -> Result<Option<(Point, AsOf)>, Fault> {
    let repo = store.repo();
    // What a sync fetched from a remote stands beside git's own places; `origin/vermas/state` means that, too: the newer one.
    let fetched = repo.commit_named(&format!("refs/vermas/remotes/{text}"));
    let named = match (repo.commit_named(text), fetched) {
        (Some(theirs), Some(ours)) if repo.merge_base(theirs, ours) == Some(theirs) => Some(ours),
        (theirs, ours) => theirs.or(ours),
    };
    let Some(oid) = named else { return Ok(None) };
    if !store.is_of_the_state(oid)? {
        return Err(Fault::not_found(format!("{} is no commit of the state branch: it holds no events", quoted(text)))
            .hint(format!("see the state's commits: git log {}", store.places().branch())));
    }
    let info = repo.commit(oid)?;
    let at = Timestamp::from_millis(info.author.seconds.saturating_mul(1000));
    Ok(Some((Point::Commit(oid), AsOf { at, commit: Some(oid), event: None })))
}

/// The event that an id, or the beginning of one, means; `None` where there is none.
fn event(store: &Store, text: &str) -> Result<Option<(Point, AsOf)>, Fault> {
    let Some(e) = one_event(store, text)? else { return Ok(None) };
    let as_of = AsOf { at: e.at, commit: None, event: Some(e.id.clone()) };
    Ok(Some((Point::Event(e.key()), as_of)))
}

/// Like [`event`], the event itself. `evt-` may be left away.
pub fn one_event(store: &Store, text: &str) -> Result<Option<Event>, Fault> {
    if text.is_empty() {
        return Ok(None);
    }
    let mut found = store.events_named(text, MOST + 1)?;
    if found.is_empty() && !text.starts_with("evt-") {
        found = store.events_named(&format!("evt-{text}"), MOST + 1)?;
    }
    match found.as_slice() {
        [] => Ok(None),
        [one] => Ok(Some(one.clone())),
        many => {
            let fault = Fault::conflict(format!("{} is ambiguous: several events begin so", quoted(text)));
            Err(many.iter().take(MOST).fold(fault, |f, e| f.hint(format!("{}  {}  {}", e.id, e.at, e.kind))))
        }
    }
}
