//! Assignments: finding one's own, setting, clearing. An agent that finds one does it at once.

use serde_json::{Value, json};

use super::fault::Fault;
use super::orders::require;
use super::session::Session;
use crate::domain::assignment::{REF_TYPES, Target};
use crate::domain::decide::assignment as decide;
use crate::domain::order::Conflict;
use crate::domain::text::quoted;
use crate::domain::{AgentId, Draft, RefId, Timestamp};
use crate::store::{Tx, View};

/// An agent's assignment, or that it has none.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Found {
    pub agent: AgentId,
    pub target: Option<Target>,
    /// `None` where what it points at is not known here.
    pub title: Option<String>,
    pub since: Option<Timestamp>,
    /// When the agent found it; `None` until it looked.
    pub checked: Option<Timestamp>,
    /// What others set at the same time, until somebody sets or clears it again.
    pub conflicts: Vec<Conflict>,
}

impl Found {
    /// The record for a program, every field always there.
    pub fn record(&self) -> Value {
        let target = self.target.as_ref();
        json!({
            "agent": self.agent,
            "ref_type": target.map(|t| &t.ref_type),
            "ref_id": target.map(|t| &t.ref_id),
            "title": self.title,
            "since": self.since,
            "checked_at": self.checked,
            "next": self.next(),
            "conflicts": self.conflicts,
        })
    }

    /// The command that shows what is to be done. A worker has the short names on its PATH.
    pub fn next(&self) -> Option<String> {
        let target = self.target.as_ref()?;
        let (vermas, orders) =
            if self.agent.as_worker().is_some() { ("co", "wo") } else { ("git vermas", "git vermas wo") };
        Some(match target.ref_type.as_str() {
            "mail" => format!("{vermas} read {}", target.ref_id),
            "process" => format!("{vermas} process steps {}", target.ref_id),
            _ => format!("{orders} show {}", target.ref_id),
        })
    }
}

fn found(view: &View<'_>, agent: &AgentId) -> Result<Found, Fault> {
    let assignment = view.assignment(agent)?;
    let conflicts = assignment.conflicts();
    let Some(target) = assignment.target() else {
        return Ok(Found { agent: agent.clone(), target: None, title: None, since: None, checked: None, conflicts });
    };
    let checked = view.agent(agent)?.and_then(|a| a.checked).filter(|c| assignment.since.as_ref() < Some(c));
    Ok(Found {
        agent: agent.clone(),
        title: title(view, &target)?,
        target: Some(target),
        since: assignment.since.map(|k| k.at),
        checked: checked.map(|k| k.at),
        conflicts,
    })
}

/// The name of what an assignment points at; `None` where that is not known here.
pub fn title(view: &View<'_>, target: &Target) -> Result<Option<String>, Fault> {
    Ok(match target.ref_type.as_str() {
        "mail" => view.message(&target.ref_id)?.map(|m| m.subject),
        "process" => {
            let events = view.events_of(&format!("process/{}", target.ref_id))?;
            events.iter().find_map(|e| e.text("template")).map(str::to_owned)
        }
        _ => view.order_row(target.ref_id.as_str())?.map(|r| r.title),
    })
}

/// What an agent is to do. Where the agent `itself` looks and finds something for the first time, that is recorded; a
/// disk that cannot be written keeps nobody from work.
pub fn look(session: &mut Session, agent: &AgentId, itself: bool) -> Result<Found, Fault> {
    let seen = found(&session.view()?, agent)?;
    if itself && seen.target.is_some() && seen.checked.is_none() {
        if let Err(e) = note_checked(session, agent) {
            session.warn(format!("it could not be recorded that {agent} found its assignment: {e}"));
        }
        // What was seen is to be done, whether it can be read a second time or not.
        let noted = session.view().and_then(|view| found(&view, agent));
        return Ok(noted.unwrap_or(seen));
    }
    Ok(seen)
}

fn note_checked(session: &mut Session, agent: &AgentId) -> Result<(), Fault> {
    session.write(|tx| {
        let (assignment, checked) = (tx.assignment(agent)?, tx.agent(agent)?.checked);
        // Somebody may have taken it away, or noted the same, since we looked.
        let since = assignment.since.clone().filter(|_| assignment.target().is_some());
        let Some(since) = since.filter(|s| checked.as_ref().is_none_or(|c| c < s)) else { return Ok(()) };
        let response = tx.now().millis().saturating_sub(since.at.millis()).max(0);
        let data = json!({"agent": agent, "found": true, "response_ms": response, "action": "execute"});
        tx.emit(&Draft::new("agent.assignment_checked", agent, data))?;
        Ok(())
    })
}

/// Every agent that has an assignment.
pub fn list(session: &mut Session) -> Result<Vec<Found>, Fault> {
    let view = session.view()?;
    let agents = view.assignments()?.into_iter().filter_map(|a| a.agent.parse().ok());
    agents.collect::<Vec<AgentId>>().iter().map(|a| found(&view, a)).collect()
}

/// What `type:id` means, ids abbreviated; a bare `wo-…`, `msg-…` or `proc-…` says its type by its prefix.
pub fn target(session: &mut Session, text: &str) -> Result<Target, Fault> {
    let (kind, id) = match text.split_once(':') {
        Some((kind, id)) => (kind, id),
        None if text.starts_with("msg-") => ("mail", text),
        None if text.starts_with("proc-") => ("process", text),
        None => ("work_order", text),
    };
    let ref_id = match kind {
        "work_order" => session.order_id(id)?,
        "mail" => session.message_id(id)?,
        "process" => process_id(session, id)?,
        _ => {
            return Err(Fault::usage(format!("{} is no assignment", quoted(text)))
                .hint(format!("write TYPE:ID with one of the types {}", REF_TYPES.join(", "))));
        }
    };
    Ok(Target { ref_type: kind.to_owned(), ref_id })
}

fn process_id(session: &mut Session, text: &str) -> Result<RefId, Fault> {
    let full = if text.contains('-') { text.to_owned() } else { format!("proc-{text}") };
    full.parse::<RefId>()?;
    let mut found = session.view()?.subjects(&format!("process/{full}"), 9)?;
    found.iter_mut().for_each(|s| *s = s.trim_start_matches("process/").to_owned());
    match found.as_slice() {
        [] => Err(Fault::not_found(format!("there is no process {full}")).hint("git vermas process list")),
        [one] => Ok(one.parse()?),
        many if many.contains(&full) => Ok(full.parse()?),
        many => Err(many.iter().take(8).fold(Fault::conflict(format!("{full} is ambiguous")), |f, id| f.hint(id))),
    }
}

/// What came of setting an assignment.
#[derive(Debug, Clone)]
pub struct Set {
    pub found: Found,
    /// False where it was so already.
    pub changed: bool,
    pub replaced: Option<Target>,
}

/// Gives an agent its one assignment. An agent that nobody has heard of here gets it, too, with a warning.
pub fn set(session: &mut Session, agent: &AgentId, target: &Target, replace: bool) -> Result<Set, Fault> {
    let slots = session.slots();
    let known = session.store.is_known_agent(agent, slots)?;
    let actor = session.actor.clone();
    let set = session.write(|tx| {
        if target.ref_type == "work_order" && require(tx, &target.ref_id)?.is_closed() {
            return Err(Fault::failed(format!("{} is closed", target.ref_id))
                .hint(format!("to open it again: git vermas wo reopen {}", target.ref_id)));
        }
        let (changed, replaced) = set_in(tx, agent, target, &actor, replace)?;
        // Read before it is recorded: afterwards an error would look as if it were not.
        Ok(Set { found: found(&tx.view()?, agent)?, changed, replaced })
    })?;
    if !known {
        session.warn(format!("nobody has heard of {agent} here: is the name right?"));
    }
    Ok(set)
}

/// Sets an assignment as part of a larger change. Tells whether anything changed, and what was pushed out.
pub fn set_in(
    tx: &mut Tx<'_>,
    agent: &AgentId,
    target: &Target,
    actor: &AgentId,
    replace: bool,
) -> Result<(bool, Option<Target>), Fault> {
    let current = tx.assignment(agent)?;
    let others: Vec<AgentId> = tx.view()?.assignments()?.iter().filter_map(|a| a.agent.parse().ok()).collect();
    let drafts = decide::set(&current, agent, target, actor, replace, &others)?;
    tx.emit_all(&drafts)?;
    Ok((!drafts.is_empty(), current.target().filter(|old| old != target)))
}

/// Takes an agent's assignment away; gives what it was.
pub fn clear(session: &mut Session, agent: &AgentId) -> Result<Option<Target>, Fault> {
    let actor = session.actor.clone();
    session.write(|tx| {
        let current = tx.assignment(agent)?;
        tx.emit_all(&decide::clear(&current, agent, &actor))?;
        Ok(current.target())
    })
}
