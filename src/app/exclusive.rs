//! Exclusive changes: the remote's acceptance of a push is the only thing that makes them so.
//!
//! The change's commit is built on the remote's tip without being written anywhere. Accepted, it becomes ours; refused, no
//! trace of it is left but objects that git collects.

use std::time::Duration;

use super::fault::Fault;
use super::session::Session;
use super::sync;
use crate::domain::OrderId;
use crate::domain::decide::order as decide;
use crate::git::push::{self, Asking, Pushed};
use crate::store::Tx;
use crate::sys::{clock, random};

/// How often it is tried when others push in between.
const MOST_ROUNDS: u32 = 32;

/// Takes an order on, arbitrated by the remote. False where it was ours already.
pub fn claim(session: &mut Session, text: &str) -> Result<(OrderId, bool), Fault> {
    let id = session.order_id(text)?;
    let actor = session.actor.clone();
    let done = exclusively(session, |tx| {
        let order = super::orders::require(tx, &id)?;
        let drafts = decide::claim(&order, &id, &actor, &actor)?;
        tx.emit_all(&drafts)?;
        Ok(!drafts.is_empty())
    })?;
    Ok((id, done))
}

/// Runs a decision on the state that the remote has, and lets a push decide. A refusal by the decision itself (somebody
/// holds it) is final; a push that came too late is tried again on the new state.
pub fn exclusively<T>(
    session: &mut Session,
    mut decide: impl FnMut(&mut Tx<'_>) -> Result<T, Fault>,
) -> Result<T, Fault> {
    let remote = sync::remote_name(session);
    for round in 0..MOST_ROUNDS {
        sync::sync(session, &remote, false, &|_| {}).map_err(|f| {
            f.hint("an exclusive claim needs the remote; without --exclusive it would be tentative, and may turn out contested")
        })?;
        let Some(on) = session.store.tip()? else { return Err(Fault::failed("there is no state to claim in")) };
        let change = session.store.detached(on, &mut decide)?;
        let Some(commit) = change.commit else { return Ok(change.value) };
        let places = session.store.places().clone();
        let (new, old) = (commit.to_string(), on.to_string());
        match push::push(&session.git(), &remote, &new, &places.state_ref, Some(&old), Asking::Allowed)? {
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
                return Err(Fault::failed(format!("{remote} cannot be reached, so nothing was claimed: {text}"))
                    .hint("if the line broke after the push arrived, git vermas sync will show the claim as yours"));
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
        other => Err(other.into()),
    }
}
