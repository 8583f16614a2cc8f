//! The commits that say they belong to a work order.

use serde::Serialize;

use super::fault::Fault;
use super::session::Session;
use crate::domain::AgentId;
use crate::domain::order::Order;
use crate::git::{Oid, Repo};

/// How many commits are looked through.
const MOST_LOOKED_AT: usize = 2_000;

/// A commit with a `Work-Order:` trailer.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct OrderCommit {
    pub commit: String,
    pub subject: String,
    pub author: String,
}

/// Commits with this order's trailer that are on its worker's branch or came in with its merge; newest first.
pub fn of_order(session: &Session, order: &Order) -> Result<Vec<OrderCommit>, Fault> {
    let repo = session.store.repo();
    let mut starts: Vec<Oid> =
        order.landings.iter().filter_map(|l| crate::git::objects::parse_oid(&l.commit)).collect();
    let worker = order.assignee().and_then(|a| a.parse::<AgentId>().ok());
    if let Some((factory, slot)) = worker.as_ref().and_then(AgentId::as_worker)
        && factory == session.factory()
        && !order.is_closed()
    {
        starts.extend(repo.ref_target(&format!("refs/heads/vermas/slot{slot}")).ok().flatten());
    }
    Ok(walk(repo, starts, &order.id))
}

/// Follows all parents from the starts, newest first, to commits that are older than what can matter.
fn walk(repo: &Repo, mut open: Vec<Oid>, id: &str) -> Vec<OrderCommit> {
    let mark = format!("Work-Order: {id}");
    let mut seen = std::collections::BTreeSet::new();
    let (mut found, mut misses) = (Vec::new(), 0);
    open.reverse();
    while let Some(oid) = open.pop() {
        if !seen.insert(oid) || seen.len() > MOST_LOOKED_AT || misses > MOST_MISSES {
            continue;
        }
        let Ok(commit) = repo.commit(oid) else { continue };
        if commit.message.lines().any(|l| l.trim() == mark) {
            misses = 0;
            if commit.parents.len() < 2 {
                let subject = commit.message.lines().next().unwrap_or_default().to_owned();
                found.push(OrderCommit { commit: oid.to_string(), subject, author: commit.author.name });
            }
        } else {
            misses += 1;
        }
        open.extend(commit.parents);
    }
    found
}

/// After so many commits of others in a row the search ends: an order's commits stand together.
const MOST_MISSES: usize = 64;
