//! Dispatch: an order gets a slot, a worktree, a branch, an assignment and a session, in this order.
//!
//! The assignment is recorded before anything is started. What fails afterwards gives slot and order back.

use serde::Serialize;

use super::base::{self, Base};
use super::fault::{Fault, Kind};
use super::launching;
use super::prompt::Again;
use super::session::Session;
use super::slots::{self, Slot};
use crate::domain::OrderId;
use crate::domain::decide::work as decide;
use crate::domain::order::Order;
use crate::git::{rescue_read, slot as worktree_slot, worktree};
use crate::sys::lock::FileLock;

/// How a dispatch is wanted.
#[derive(Debug, Clone, Default)]
pub struct Wish {
    pub slot: Option<String>,
    pub agent: Option<String>,
    pub base: Option<String>,
    pub dry_run: bool,
    pub exclusive: bool,
}

/// An order that was given to a worker.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Dispatched {
    /// Of the slot.
    #[serde(skip)]
    pub number: u32,
    pub work_order_id: String,
    pub title: String,
    pub agent: String,
    pub slot: String,
    pub worktree: String,
    pub branch: String,
    pub base: String,
    pub session: String,
    pub backend: String,
    pub dry_run: bool,
}

/// Gives orders to workers, one after the other, an order that is named twice once. Ends at the first that fails: what
/// was given until then is given.
pub fn dispatch_all(session: &mut Session, texts: &[String], wish: &Wish) -> (Vec<Dispatched>, Option<Fault>) {
    let mut done: Vec<Dispatched> = Vec::new();
    for text in texts {
        let one = session.order_id(text).and_then(|id| {
            if done.iter().any(|d| d.work_order_id == id.as_str()) {
                return Ok(None);
            }
            let passed: Vec<u32> = done.iter().filter(|_| wish.dry_run).map(|d| d.number).collect();
            dispatch(session, &id, wish, &passed).map(Some)
        });
        match one {
            Ok(one) => done.extend(one),
            Err(fault) => return (done, Some(fault)),
        }
    }
    (done, None)
}

/// Gives one order to a worker, in none of the slots that are `passed`.
fn dispatch(session: &mut Session, id: &OrderId, wish: &Wish, passed: &[u32]) -> Result<Dispatched, Fault> {
    let base = base::of(session, wish.base.as_deref())?;
    let backend = launching::backend(session, wish.agent.as_deref())?;
    let title = look_first(session, id)?.title().to_owned();
    let (slot, _held) = match wish.dry_run {
        true => choose(session, wish, &base, passed)?,
        false => reserve(session, id, wish, &base)?,
    };
    let result = Dispatched {
        number: slot.number,
        work_order_id: id.to_string(),
        title,
        agent: slot.agent.to_string(),
        slot: format!("slot{}", slot.number),
        worktree: slot.path.display().to_string(),
        branch: slot.branch.clone(),
        base: base.branch.clone(),
        session: slot.session.clone(),
        backend: backend.name.clone(),
        dry_run: wish.dry_run,
    };
    if wish.dry_run {
        return Ok(result);
    }
    let begin = |session: &mut Session| -> Result<launching::Running, Fault> {
        let order = present(session, id)?;
        make_worktree(session, &slot, &base, id.as_str())?;
        launching::set_up(session, &slot, id.as_str())?;
        let again = Again { rescue: saved_work(session, &order)?, rejection: None };
        launching::record_start(session, &slot, id, &backend)?;
        launching::start(session, &slot, &order, &backend, &base, &again)
    };
    match begin(session) {
        Ok(_) => Ok(result),
        Err(fault) => {
            give_back(session, &slot, id, &fault.message)?;
            Err(fault)
        }
    }
}

/// Refusals that need no slot: closed, blocked, held by another.
fn look_first(session: &mut Session, id: &OrderId) -> Result<Order, Fault> {
    let order = present(session, id)?;
    let blockers = session.view()?.open_blockers(id.as_str())?;
    let holder = order.assignee().and_then(|a| a.parse().ok());
    let nobody = crate::domain::AgentId::ceo();
    let worker = holder.as_ref().unwrap_or(&nobody);
    decide::dispatch(&order, id, worker, &blockers, &session.actor)?;
    if let Some(h) = holder
        && (h.as_worker().is_some() || h != session.actor)
    {
        return Err(Fault::conflict(format!("{id} is already with {h}")).hint(format!(
            "see how it goes: git vermas worker status {h}; how to take it back: git vermas wo release -h"
        )));
    }
    Ok(order)
}

fn present(session: &mut Session, id: &OrderId) -> Result<Order, Fault> {
    session.view()?.order(id)?.ok_or_else(|| Fault::not_found(format!("there is no work order {id}")))
}

/// Slots in the order in which they are tried.
fn candidates(session: &Session, wish: &Wish) -> Result<Vec<Slot>, Fault> {
    match &wish.slot {
        Some(text) => Ok(vec![slots::configured(session, text)?]),
        None => Ok((0..session.slots()).map(|n| slots::slot(session, n)).collect()),
    }
}

/// The first slot in which something may begin, kept for us but for a dry run. One that another command has just now is waited
/// for where it was asked for, or no other is free.
fn choose(session: &mut Session, wish: &Wish, base: &Base, passed: &[u32]) -> Result<(Slot, Option<FileLock>), Fault> {
    let launcher = slots::launcher(session)?;
    let mut open: Vec<Slot> = candidates(session, wish)?;
    open.retain(|s| !passed.contains(&s.number));
    let mut reasons = Vec::new();
    for waits in [wish.slot.is_some(), true] {
        let mut busy = Vec::new();
        for slot in open {
            let mut why = taken_by(session, &slot)?;
            let mut held = None;
            if why.is_none() && !wish.dry_run {
                held = if waits { Some(slots::hold(session, &slot)?) } else { slots::try_hold(session, &slot)? };
                if held.is_none() {
                    busy.push(slot);
                    continue;
                }
                why = taken_by(session, &slot)?;
            }
            if why.is_none() {
                why = slots::obstacle(session, &slot, base, &*launcher)?;
            }
            match why {
                None => return Ok((slot, held)),
                Some(why) => reasons.push((slot.number, why)),
            }
        }
        open = busy;
    }
    reasons.sort();
    let fault =
        Fault::new(Kind::Conflict, if wish.slot.is_some() { "the slot is not free" } else { "no slot is free" });
    let fault = reasons.into_iter().fold(fault, |fault, (n, why)| fault.hint(format!("slot{n}: {why}")));
    Err(fault.hint("see them all: git vermas workers; more slots: git vermas config set vermas.slots N"))
}

fn taken_by(session: &mut Session, slot: &Slot) -> Result<Option<String>, Fault> {
    Ok(session.view()?.assignment(&slot.agent)?.target().map(|t| t.to_string()))
}

/// Records the assignment to the first free slot. Somebody may assign something to it in between: then the next is tried.
fn reserve(session: &mut Session, id: &OrderId, wish: &Wish, base: &Base) -> Result<(Slot, Option<FileLock>), Fault> {
    let mut passed = Vec::new();
    loop {
        let (slot, held) = choose(session, wish, base, &passed)?;
        let actor = session.actor.clone();
        let decide = |tx: &mut crate::store::Tx<'_>| {
            if tx.assignment(&slot.agent)?.target().is_some() {
                return Ok(false);
            }
            let order = super::orders::require(tx, id)?;
            let blockers = tx.view()?.open_blockers(id.as_str())?;
            if order.assignee().is_some_and(|a| a != slot.agent.as_str() && a != actor.as_str()) {
                let holder = order.assignee().unwrap_or_default();
                return Err(Fault::conflict(format!("{id} is already with {holder}")));
            }
            if order.assignee() == Some(actor.as_str()) && *actor.as_str() != *slot.agent.as_str() {
                let claim = order.claims().first().map(|c| c.key.id.clone());
                if claim.map(|c| tx.is_from_elsewhere(&c)).transpose()? == Some(true) {
                    let what = format!("{id} is held by {actor}, who claimed it on another machine");
                    let hint = format!("dispatch it there, or give it back first: git vermas wo release {id}");
                    return Err(Fault::conflict(what).hint(hint));
                }
                let data = serde_json::json!({"work_order_id": id, "changes": {"assignee": slot.agent}});
                tx.emit(&crate::domain::Draft::new("work_order.updated", &actor, data))?;
            }
            let order = super::orders::require(tx, id)?;
            let drafts = decide::dispatch(&order, id, &slot.agent, &blockers, &actor)?;
            tx.emit_all(&if wish.exclusive { super::exclusive::decided_by_remote(drafts) } else { drafts })?;
            Ok(true)
        };
        let taken =
            if wish.exclusive { super::exclusive::exclusively(session, decide)? } else { session.write(decide)? };
        if taken {
            return Ok((slot, held));
        }
        passed.push(slot.number);
    }
}

/// The slot's worktree on the base's tip: made, or started over where it is there and clean.
pub fn make_worktree(session: &Session, slot: &Slot, base: &Base, reason: &str) -> Result<(), Fault> {
    let git = session.git();
    let start = base.oid.to_string();
    match worktree::find(&git, &slot.path)? {
        Some(t) if !t.lost => {
            // What has landed as another commit (a squash) is on the base in substance; a rescue ref keeps the original.
            let now = crate::sys::clock::now_millis();
            let rescued = crate::git::rescue::snapshot(&git, &slot.path, slot.agent.as_str(), now, &start)?;
            worktree_slot::restart(&git, &slot.path, &slot.branch, &start, rescued.as_ref())?;
        }
        _ => {
            crate::sys::fs::create_dir_all(&session.store.places().workers)?;
            worktree_slot::add(&git, &slot.path, &slot.branch, &start, reason)?;
        }
    }
    Ok(())
}

/// How to bring in what an earlier worker on this order left unfinished.
fn saved_work(session: &Session, order: &Order) -> Result<Option<String>, Fault> {
    let Some(name) = order.metadata("rescue").and_then(serde_json::Value::as_str) else { return Ok(None) };
    Ok(rescue_read::get(&session.git(), name)?.map(|r| {
        // A snapshot is of the form that stash makes: what was committed is its first parent.
        if r.is_snapshot() {
            format!("git merge {0}^1 && git stash apply {0}", r.name)
        } else {
            format!("git merge {}", r.name)
        }
    }))
}

/// Makes order and slot free again after a start that failed.
pub fn give_back(session: &mut Session, slot: &Slot, id: &OrderId, reason: &str) -> Result<(), Fault> {
    let actor = session.actor.clone();
    let agent = slot.agent.clone();
    session.write(|tx| {
        let order = super::orders::require(tx, id)?;
        let short = crate::domain::text::headline(reason, 200);
        tx.emit_all(&decide::undispatch(&order, id, &agent, &short, &actor))?;
        Ok(())
    })
}
