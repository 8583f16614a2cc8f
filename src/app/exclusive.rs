//! Exclusive changes: the remote's acceptance of a push is the only thing that makes them so.
//!
//! The change's commit is built on the remote's tip without being written anywhere. Accepted, it becomes ours; refused, no
//! trace of it is left but objects that git collects.

use std::time::Duration;

use super::fault::{Fault, Kind};
use super::session::Session;
use super::sync;
use crate::domain::decide::order as decide;
use crate::domain::{Draft, OrderId};
use crate::git::push::{self, Pushed};
use crate::store::Tx;
use crate::sys::{clock, random};

/// How often it is tried when others push in between.
const MOST_ROUNDS: u32 = 32;

/// Takes an order on, arbitrated by the remote. False where this machine had it already: two machines that act under one
/// name are two.
pub fn claim(session: &mut Session, text: &str) -> Result<(OrderId, bool), Fault> {
    let id = match session.order_id(text) {
        // What was created a moment ago on another machine is known when the remote was asked.
        Err(fault) if fault.kind == Kind::NotFound => {
            let remote = sync::remote_name(session);
            sync::sync(session, &remote, false, &|_| {}).map_err(|_| fault)?;
            session.order_id(text)?
        }
        found => found?,
    };
    let actor = session.actor.clone();
    let done = exclusively(session, |tx| {
        let order = super::orders::require(tx, &id)?;
        let mut drafts = decide::claim(&order, &id, &actor, &actor)?;
        if let Some(held) = order.claims().first().filter(|_| drafts.is_empty()) {
            if tx.is_from_elsewhere(&held.key.id)? {
                return Err(Fault::conflict(format!("{id} is held by {actor}, who claimed it on another machine")));
            }
            // Until now it was tentative.
            if !held.exclusive {
                drafts.push(decide::assigned(&id, &actor, &actor));
            }
        }
        tx.emit_all(&decided_by_remote(drafts))?;
        Ok(order.assignee() != Some(actor.as_str()))
    })?;
    Ok((id, done))
}

/// Claims that count before those that no remote has decided for.
pub(super) fn decided_by_remote(mut drafts: Vec<Draft>) -> Vec<Draft> {
    for claim in drafts.iter_mut().filter(|d| d.kind == "work_order.assigned") {
        claim.data.insert("exclusive".to_owned(), true.into());
    }
    drafts
}

/// Runs a decision on the state that the remote has, and lets a push decide. A refusal by the decision itself (somebody
/// holds it) is final; a push that came too late is tried again on the new state.
pub fn exclusively<T>(
    session: &mut Session,
    mut decide: impl FnMut(&mut Tx<'_>) -> Result<T, Fault>,
) -> Result<T, Fault> {
    let remote = sync::remote_name(session);
    let there = session.remote(&remote, sync::asking());
    for round in 0..MOST_ROUNDS {
        sync::sync(session, &remote, false, &|_| {}).map_err(|f| {
            f.hint("an exclusive claim needs the remote; without --exclusive it would be tentative, and may turn out contested")
        })?;
        let Some(on) = session.store.tip()? else { return Err(Fault::failed("there is no state to claim in")) };
        let change = session.store.detached(on, &mut decide)?;
        let Some(commit) = change.commit else { return Ok(change.value) };
        let places = session.store.places().clone();
        let (new, old) = (commit.to_string(), on.to_string());
        match push::push_to(&*there, &new, &places.state_ref, Some(&old))? {
            Pushed::Done => {
                session.store.take_over(commit, on).or_else(|e| settle_later(session, &remote, e))?;
                return Ok(change.value);
            }
            Pushed::Stale { .. } => {
                let base = 5_u64 << round.min(5);
                clock::sleep(Duration::from_millis(base + random::bits() % (base * 4)));
            }
            Pushed::Refused(text) => return Err(Fault::failed(format!("{remote} refused the claim: {text}"))),
            Pushed::Unreachable(text) => {
                let what = format!("outcome unknown: {remote} cannot be asked whether the claim arrived: {text}");
                return Err(Fault::new(Kind::Unknown, what)
                    .hint("once it can be reached, claim again: if it did arrive, the order is yours already"));
            }
        }
    }
    Err(Fault::conflict(format!("somebody was faster {MOST_ROUNDS} times in a row")))
}

/// The remote has our claim, but our branch moved meanwhile: the next join takes it in.
fn settle_later(session: &mut Session, remote: &str, e: crate::store::StoreError) -> Result<(), Fault> {
    match e {
        crate::store::StoreError::Repo(crate::git::RepoError::Moved { .. }) => {
            sync::sync(session, remote, false, &|_| {}).map(|_| ())
        }
        other => {
            let fault = Fault::from(other);
            let message = format!("{remote} has taken the claim, but it is not taken in here: {}", fault.message);
            let new = Fault::new(Kind::Unknown, message).hint("claim again: the order is yours already");
            Err(fault.hints.into_iter().fold(new, Fault::hint))
        }
    }
}
