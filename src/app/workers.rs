//! What can be done with a worker beside giving it work: start it again, stop it, take its place away.

use serde::Serialize;
use serde_json::json;

use super::fault::Fault;
use super::prompt::Again;
use super::session::Session;
use super::slots::{self, Slot};
use super::{base, dispatch, launching};
use crate::domain::decide::order as decide;
use crate::domain::event::Draft;
use crate::git::rescue::{Rescue, snapshot};
use crate::git::{slot as worktree_slot, worktree};
use crate::launch::SessionState;
use crate::sys::clock;

/// What stopping a worker did.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Killed {
    pub agent: String,
    pub session_stopped: bool,
    /// The order that is free again.
    pub released: Option<String>,
    /// Where its unfinished work was saved.
    pub rescue: Option<String>,
    /// The command that brings it back, on a branch of its own.
    pub restore: Option<String>,
}

/// Starts the worker of a slot on the order it is assigned to, where no session of it runs.
pub fn spawn(session: &mut Session, slot: &Slot, agent: Option<&str>) -> Result<launching::Running, Fault> {
    let _held = slots::hold(session, slot)?;
    let id = slots::order_of(session, &slot.agent)?.ok_or_else(|| {
        Fault::failed(format!("slot{} has no work order", slot.number))
            .hint(format!("give it one: git vermas dispatch ID --slot {}", slot.number))
    })?;
    if let SessionState::Running { .. } = slots::launcher_of(session, &slot.session)?.state(&slot.session)? {
        return Err(Fault::conflict(format!("the session {} is running already", slot.session))
            .hint(format!("look at it: git vermas worker attach slot{}", slot.number)));
    }
    let order = session.view()?.order(&id)?.ok_or_else(|| Fault::not_found(format!("there is no work order {id}")))?;
    let before = session.view()?.agent(&slot.agent)?.unwrap_or_default();
    let backend = launching::backend(session, agent.or(before.profile.as_deref()))?;
    let base = base::of(session, None)?;
    let git = session.git();
    if worktree::find(&git, &slot.path)?.is_none_or(|t| t.lost) {
        dispatch::make_worktree(session, slot, &base, id.as_str())?;
        launching::set_up(session, slot, id.as_str())?;
    } else if !before.has_run_for(id.as_str()) {
        // A dispatch that was stopped in the middle may not have come to it, or not through it.
        launching::set_up(session, slot, id.as_str())?;
    }
    let rejection = order.rejections.last().map(|r| r.reason.clone());
    let again = Again { rejection, rescue: None };
    launching::record_start(session, slot, &id, &backend)?;
    launching::start(session, slot, &order, &backend, &base, &again)
}

/// Stops a worker and frees its slot. Everything that is in its worktree or on its branch and not on the base is saved
/// under a rescue ref first, whose name goes into the order and the next worker's prompt.
pub fn kill(session: &mut Session, slot: &Slot, keep: bool) -> Result<Killed, Fault> {
    let _held = slots::hold(session, slot)?;
    let order = slots::order_of(session, &slot.agent)?;
    if let Some(id) = order.as_ref().filter(|_| !keep)
        && slots::is_elsewhere(session, slot)?
    {
        let what = format!("slot{} works on {id} in another clone, which goes by the same name", slot.number);
        let fault = Fault::conflict(what).hint("stop it there");
        return Err(fault.hint(format!(
            "where that clone is gone for good: git vermas wo release {id} && git vermas assignment clear {}",
            slot.agent
        )));
    }
    let session_stopped = launching::stop(session, slot)?;
    let rescue = if keep { None } else { rescue(session, slot)? };
    let name = rescue.as_ref().map(|r| r.name.clone());
    if order.is_some() || session_stopped {
        let (actor, agent) = (session.actor.clone(), slot.agent.clone());
        let (id, saved) = (order.clone(), name.clone());
        session.write(|tx| {
            if let (Some(id), false) = (&id, keep) {
                if let Some(order) = tx.order(id)?.filter(|o| !o.is_closed()) {
                    if let Some(ref_name) = &saved {
                        let changes = json!({"metadata.rescue": ref_name, "metadata.submitted": null});
                        let data = json!({"work_order_id": id, "changes": changes});
                        tx.emit(&Draft::new("work_order.updated", &actor, data))?;
                    }
                    if order.assignee() == Some(agent.as_str()) {
                        let data = json!({"work_order_id": id, "changes": {"assignee": null}});
                        tx.emit(&Draft::new("work_order.updated", &actor, data))?;
                        tx.emit(&decide::status(id, order.status(), "open", &actor))?;
                    }
                }
                let current = tx.assignment(&agent)?;
                tx.emit_all(&crate::domain::decide::assignment::clear(&current, &agent, &actor))?;
            }
            let data = json!({"agent": agent, "reason": "killed", "work_order_id": id, "rescue": saved});
            tx.emit(&Draft::new("agent.stopped", &actor, data))?;
            Ok(())
        })?;
    }
    if let (Some(r), false) = (&rescue, keep) {
        clean(session, slot, r)?;
    }
    Ok(Killed {
        agent: slot.agent.to_string(),
        session_stopped,
        released: order.filter(|_| !keep).map(|o| o.to_string()),
        rescue: name,
        restore: rescue.as_ref().map(restore),
    })
}

/// Saves what a slot's worktree holds beyond the base; `None` where that is nothing.
pub fn rescue(session: &Session, slot: &Slot) -> Result<Option<Rescue>, Fault> {
    let git = session.git();
    if worktree::find(&git, &slot.path)?.is_none_or(|t| t.lost) {
        return Ok(None);
    }
    let base = base::of(session, None)?;
    Ok(snapshot(&git, &slot.path, slot.agent.as_str(), clock::now_millis(), &base.oid.to_string())?)
}

/// The command with which a person gets everything back that was saved, commits too.
fn restore(saved: &Rescue) -> String {
    let command = if saved.is_snapshot() { "git stash branch" } else { "git branch" };
    format!("{command} rescued {}", saved.name)
}

/// Takes the slot's worktree away, now that everything in it is saved; its next order gets a fresh one.
fn clean(session: &mut Session, slot: &Slot, rescue: &Rescue) -> Result<(), Fault> {
    let git = session.git();
    let base = base::of(session, None)?.oid.to_string();
    worktree_slot::remove(&git, &slot.path, &base, Some(rescue))?;
    let late = worktree_slot::start_over(&git, &slot.branch, &base, rescue, clock::now_millis())?;
    if let Some(late) = late {
        session.warn(format!(
            "somebody committed to {} in the meantime; that is saved as {}: {}",
            slot.branch,
            late.name,
            restore(&late)
        ));
    }
    Ok(())
}

/// Removes a slot's worktree. What it holds beyond the base is saved under a rescue ref first, whose name is given, with the
/// command that brings it back.
pub fn remove_worktree(session: &mut Session, slot: &Slot) -> Result<Option<(String, String)>, Fault> {
    let _held = slots::hold(session, slot)?;
    if let Some(id) = slots::order_of(session, &slot.agent)? {
        return Err(Fault::conflict(format!("slot{} is at work on {id}", slot.number))
            .hint("how it goes: git vermas workers; how to stop it first: git vermas worker kill -h"));
    }
    if let SessionState::Running { .. } = slots::launcher_of(session, &slot.session)?.state(&slot.session)? {
        return Err(Fault::conflict(format!("the session {} is running", slot.session)));
    }
    let git = session.git();
    if worktree::find(&git, &slot.path)?.is_none() {
        return Err(Fault::not_found(format!("slot{} has no worktree", slot.number)));
    }
    let rescue = rescue(session, slot)?;
    let base = base::of(session, None)?;
    worktree_slot::remove(&git, &slot.path, &base.oid.to_string(), rescue.as_ref())?;
    Ok(rescue.map(|r| (r.name.clone(), restore(&r))))
}
