//! A change that is made on the branch's tip without being written anywhere: what an exclusive claim pushes.

use std::collections::BTreeMap;

use super::adopt::Table;
use super::error::{Result, StoreError};
use super::open::Store;
use super::project;
use super::publish::{Base, Load};
use super::tx::Tx;
use crate::git::Oid;
use crate::git::refs::RefMove;

/// A commit that only its maker knows.
#[derive(Debug, Clone)]
pub struct Detached<T> {
    pub value: T,
    /// `None` where the decision adds nothing.
    pub commit: Option<Oid>,
    pub parent: Oid,
}

impl Store {
    /// Runs a decision and builds the commit it would lead to, on the tip `on`, which is the branch's. Nothing but objects is
    /// written: neither log nor branch, cache nor projections know of it.
    pub fn detached<T, E: From<StoreError>>(
        &mut self,
        on: Oid,
        decide: impl FnOnce(&mut Tx<'_>) -> std::result::Result<T, E>,
    ) -> std::result::Result<Detached<T>, E> {
        let mut taken = None;
        // An error is what takes the change back: the transaction of the cache is undone, and nothing was appended.
        let undone: std::result::Result<(), Undo<E>> = self.with_state(|tx| {
            let value = decide(tx).map_err(Undo::Refused)?;
            tx.view()?;
            // The commit shows what it leads to: otherwise each machine that takes it in would add a commit that does, and
            // all would join these.
            let shown =
                [project::canonical(tx.cache, Table::Orders)?.0, project::canonical(tx.cache, Table::Messages)?.0];
            taken = Some((value, std::mem::take(&mut tx.unsaved), shown));
            Err(Undo::Done)
        });
        let (value, events, shown) = match (undone, taken) {
            (Err(Undo::Refused(e)), _) => return Err(e),
            (Err(Undo::Store(e)), _) => return Err(e.into()),
            (_, Some(t)) => t,
            (_, None) => return Err(StoreError::NotInitialised.into()),
        };
        if events.is_empty() {
            return Ok(Detached { value, commit: None, parent: on });
        }
        let commit = self.build_detached(on, events, shown)?;
        Ok(Detached { value, commit: Some(commit), parent: on })
    }

    fn build_detached(&mut self, on: Oid, events: Vec<crate::domain::Event>, shown: [Vec<u8>; 2]) -> Result<Oid> {
        let mut assignments = BTreeMap::new();
        for e in events.iter().filter(|e| e.kind == "assignment.set") {
            let agent: Option<crate::domain::AgentId> = e.text("agent").and_then(|a| a.parse().ok());
            if let (Some(agent), Some(kind), Some(id)) = (agent, e.text("ref_type"), e.text("ref_id")) {
                assignments.insert(agent.assignment_file(), Some(format!("{kind}:{id}\n")));
            }
        }
        let mut load = Load::of_events(events, assignments);
        load.projections = Some(shown);
        let root = self.repo.tree(self.repo.commit(on)?.tree)?;
        let base = Base { parents: vec![on], root, message: None };
        let commit = self.build_on(&load, base)?;
        // It stands in our own folder: should this clone go on before the remote has taken it, it is no copy's doing.
        let claimed = commit.segments.last().map(|(_, oid)| oid.to_string()).unwrap_or_default();
        self.with_state(|tx| tx.cache.set_meta(super::union::CLAIMED, &claimed))?;
        Ok(commit.oid)
    }

    /// Takes over a commit that the remote has accepted: the branch moves to it, and its events become ours.
    pub fn take_over(&mut self, commit: Oid, parent: Oid) -> Result<()> {
        {
            let _lock = self.lock_publishing()?;
            let state = RefMove { name: self.places.state_ref.clone(), new: commit, old: Some(parent) };
            self.move_refs_noted(&[state], "vermas: claim")?;
        }
        let end = self.with_state(|tx| tx.finish().map(|(_, end)| end))?;
        self.publish_through(end)
    }
}

/// Why a detached change ends without being recorded.
enum Undo<E> {
    Done,
    Refused(E),
    Store(StoreError),
}

impl<E> From<StoreError> for Undo<E> {
    fn from(e: StoreError) -> Self {
        Self::Store(e)
    }
}
