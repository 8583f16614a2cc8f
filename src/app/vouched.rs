//! Which hand-ins this machine vouches for.
//!
//! The state says that work was handed in; anybody who can push can make it say so, of any commit. What is merged into
//! the person's branch, and run by the tests on the way, is what a worker handed in here, or what a person here approved.
//! The note is this machine's own and never travels; where it is lost, everything waits for a word once more.

use super::fault::Fault;
use super::qa_queue::{self, Entry};
use super::session::Session;
use crate::domain::OrderId;
use crate::sys::fs;

/// Notes that this commit of an order may be tested and landed here. Noted before the hand-in is recorded.
pub fn vouch(session: &Session, order: &OrderId, commit: &str) -> Result<(), Fault> {
    fs::create_private_dir(&session.store.places().private)?;
    let mut file = fs::open_append(&session.store.places().vouched())?;
    Ok(fs::append(&mut file, format!("{order} {commit}\n").as_bytes())?)
}

/// Whether a hand-in was made or approved on this machine, or `vermas.qa.trust` takes those of others, too.
pub fn is_vouched(session: &Session, entry: &Entry) -> Result<bool, Fault> {
    if session.setting("vermas.qa.trust").as_deref() == Some("remote") {
        return Ok(true);
    }
    let notes = fs::read_if_there(&session.store.places().vouched())?.unwrap_or_default();
    let line = format!("{} {}", entry.work_order_id, entry.commit);
    Ok(notes.split(|b| *b == b'\n').any(|l| l == line.as_bytes()))
}

/// The fewest digits that tell a commit from another.
const FEWEST_DIGITS: usize = 7;

/// A person has looked at what was handed in elsewhere, and takes it: `commit`, where they say which, and no other that was
/// handed in since they looked.
pub fn approve(session: &mut Session, text: &str, commit: Option<&str>) -> Result<Entry, Fault> {
    if session.actor.as_worker().is_some() {
        return Err(Fault::not_permitted(format!("you are {}, and a worker approves no work", session.actor)));
    }
    let id = session.order_id(text)?;
    let order = session.view()?.order(&id)?;
    let entry = order.and_then(|o| qa_queue::entry(&id, &o));
    let entry = entry.ok_or_else(|| Fault::failed(format!("{id} was not handed in")).hint("git vermas qa status"))?;
    if let Some(meant) = commit.map(str::to_ascii_lowercase) {
        if meant.len() < FEWEST_DIGITS || !meant.bytes().all(|b| b.is_ascii_hexdigit()) {
            let digits = format!("a commit is named by its id here: {FEWEST_DIGITS} digits of it, or more");
            return Err(Fault::usage(digits).hint("git vermas qa status"));
        }
        if !entry.commit.starts_with(&meant) {
            return Err(Fault::conflict(format!("what is handed in for {id} is {}, not {meant}", entry.commit))
                .hint("look at that one, then approve it"));
        }
    }
    vouch(session, &id, &entry.commit)?;
    Ok(entry)
}
