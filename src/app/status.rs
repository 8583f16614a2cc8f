//! The factory on one screen: who does what, what could be done, what has to travel, and what needs a person.

use std::collections::{BTreeMap, BTreeSet};

use serde::Serialize;
use serde_json::Value;

use super::assignments::Found;
use super::attention::{self, Attention};
use super::fault::Fault;
use super::session::Session;
use super::{assignments, mail, orders};
use crate::domain::agent::Agent;
use crate::domain::decide::order as decide;
use crate::domain::order::Order;
use crate::domain::{AgentId, Timestamp};
use crate::launch::SessionState;
use crate::store::Pick;

/// What is known of the sessions of slots, by slot: `running`, `exited` and the like. A slot that is not in it has none.
pub type Live = BTreeMap<u32, String>;

/// How many ready orders and how much mail is shown.
pub const MOST_SHOWN: usize = 5;

/// A worker's line.
#[derive(Debug, Clone, Serialize)]
pub struct Worker {
    pub slot: u32,
    pub agent: AgentId,
    /// `free`, `assigned`, `working`, `idle`, `stopped`, or `submitted` once the work is handed in.
    pub state: String,
    /// Why it stopped, or what it waits for.
    pub reason: Option<String>,
    /// Its session, where somebody looked; `none` where there is none.
    pub session: Option<String>,
    pub ref_type: Option<String>,
    pub ref_id: Option<String>,
    pub title: Option<String>,
    pub since: Option<Timestamp>,
}

/// How the state branch stands to the remote's, as of the last sync.
#[derive(Debug, Clone, Serialize)]
pub struct Sync {
    pub branch: String,
    pub commit: Option<String>,
    pub remote: String,
    pub synced: bool,
    pub ahead: Option<usize>,
    pub behind: Option<usize>,
    /// Events that are recorded and not on the branch yet.
    pub unpublished: i64,
}

#[derive(Debug, Clone, Serialize)]
pub struct Counts {
    pub total: i64,
    pub open: i64,
    pub assigned: i64,
    pub in_progress: i64,
    pub closed: i64,
    /// Those with a status that only other programs know, by that.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub other: BTreeMap<String, i64>,
    pub ready: i64,
    pub blocked: i64,
}

#[derive(Debug, Clone, Serialize)]
pub struct Mail {
    pub unread: usize,
    /// The first few.
    pub messages: Vec<Value>,
}

#[derive(Debug, Clone, Serialize)]
pub struct Status {
    pub factory: String,
    pub repository: String,
    pub actor: AgentId,
    pub state: Sync,
    pub workers: Vec<Worker>,
    pub orders: Counts,
    /// The first few.
    pub ready: Vec<Value>,
    pub mail: Mail,
    pub attention: Vec<Attention>,
}

/// Looks at everything. `live` is what the launcher knows of sessions; `None` where it was not asked.
pub fn of(session: &mut Session, live: Option<&Live>) -> Result<Status, Fault> {
    let actor = session.actor.clone();
    let unread = mail::inbox(session, &actor, true, false)?;
    let workers = workers(session, live)?;
    let orders = counts(session)?;
    let view = session.view()?;
    let ready = view
        .rows(&Pick::Ready(Some(MOST_SHOWN)))?
        .iter()
        .filter_map(|r| serde_json::from_str(&orders::listed(r)).ok())
        .collect();
    let attention = attention::of(session, &workers, &unread)?;
    let repo = session.store.repo();
    let repository = repo.main_worktree().unwrap_or_else(|| repo.common_dir()).display().to_string();
    Ok(Status {
        factory: session.factory().to_owned(),
        repository,
        actor,
        state: sync(session)?,
        workers,
        orders,
        ready,
        mail: Mail { unread: unread.len(), messages: unread.iter().take(MOST_SHOWN).map(mail::record).collect() },
        attention,
    })
}

/// What the launcher of this machine knows of this factory's sessions; `None` where it cannot be asked.
pub fn sessions(session: &Session) -> Option<Live> {
    let prefix = format!("worker-{}-slot", session.factory());
    let listed = super::slots::launcher(session).ok()?.list(&prefix).ok()?;
    let word = |state: SessionState| match state {
        SessionState::Running { .. } => Some("running"),
        SessionState::Exited { .. } => Some("exited"),
        SessionState::Gone => None,
    };
    let slot = |name: &str| name.strip_prefix(&prefix).and_then(|n| n.parse().ok());
    Some(listed.iter().filter_map(|s| Some((slot(&s.name)?, word(s.state)?.to_owned()))).collect())
}

fn counts(session: &mut Session) -> Result<Counts, Fault> {
    let view = session.view()?;
    let by = view.count_by("status")?;
    let of = |status: &str| by.get(status).copied().unwrap_or(0);
    Ok(Counts {
        total: by.values().sum(),
        open: of("open"),
        assigned: of("assigned"),
        in_progress: of("in_progress"),
        closed: of("closed"),
        ready: view.count_ready()?,
        blocked: view.count_blocked()?,
        other: by.into_iter().filter(|(status, _)| decide::check_status(status).is_err()).collect(),
    })
}

fn sync(session: &mut Session) -> Result<Sync, Fault> {
    if let Some(point) = session.store.point() {
        let commit = if let crate::store::Point::Commit(oid) = point { Some(oid.to_string()) } else { None };
        let branch = session.store.places().branch().to_owned();
        let remote = session.setting("vermas.remote").unwrap_or_else(|| "origin".to_owned());
        return Ok(Sync { branch, commit, remote, synced: false, ahead: None, behind: None, unpublished: 0 });
    }
    let unpublished = session.view()?.count_loose()?;
    let remote = session.setting("vermas.remote").unwrap_or_else(|| "origin".to_owned());
    let branch = session.store.places().branch().to_owned();
    let tip = session.store.tip()?;
    let repo = session.store.repo();
    let theirs = repo.ref_target(&format!("refs/vermas/remotes/{remote}/{branch}")).ok().flatten();
    let apart = match (tip, theirs) {
        (Some(ours), Some(theirs)) => Some(repo.apart(ours, theirs)?),
        _ => None,
    };
    Ok(Sync {
        branch,
        commit: tip.map(|t| t.to_string()),
        remote,
        synced: theirs.is_some(),
        ahead: apart.map(|a| a.0),
        behind: apart.map(|a| a.1),
        unpublished,
    })
}

/// Every slot of this factory, and workers beyond them that something is known of.
fn workers(session: &mut Session, live: Option<&Live>) -> Result<Vec<Worker>, Fault> {
    let (factory, slots) = (session.factory().to_owned(), session.slots());
    let mine = |id: &str| {
        let agent: AgentId = id.parse().ok()?;
        agent.as_worker().filter(|(f, _)| *f == factory).map(|(_, slot)| slot)
    };
    let assigned = assignments::list(session)?;
    let states: BTreeMap<u32, Agent> =
        session.view()?.agent_states()?.into_iter().filter_map(|a| Some((mine(&a.id)?, a))).collect();
    let in_hand = in_hand(session, &assigned)?;
    let mut all: BTreeSet<u32> = (0..slots).collect();
    all.extend(assigned.iter().filter_map(|f| mine(f.agent.as_str())));
    all.extend(states.iter().filter(|(_, a)| is_up(&a.state)).map(|(slot, _)| *slot));
    let worker = |slot: u32| {
        let agent = AgentId::worker(&factory, slot);
        let found = assigned.iter().find(|f| f.agent == agent);
        let known = states.get(&slot);
        let order = in_hand.get(&agent);
        let has_run = |a: &Agent| order.is_none_or(|o| a.has_run_for(&o.id));
        let state = match (found, known.map_or("", |a| a.state.as_str())) {
            (Some(_), _) if order.is_some_and(|o| !o.is_closed() && o.metadata("submitted").is_some()) => "submitted",
            (_, state) if is_up(state) => state,
            (Some(_), "stopped") if known.is_some_and(has_run) => "stopped",
            (Some(_), _) => "assigned",
            (None, _) => "free",
        };
        let target = found.and_then(|f| f.target.as_ref());
        Worker {
            slot,
            state: state.to_owned(),
            reason: known.and_then(|a| a.reason.clone()).filter(|_| matches!(state, "stopped" | "idle")),
            session: live.map(|l| l.get(&slot).cloned().unwrap_or_else(|| "none".to_owned())),
            ref_type: target.map(|t| t.ref_type.clone()),
            ref_id: target.map(|t| t.ref_id.to_string()),
            title: found.and_then(|f| f.title.clone()),
            since: found.and_then(|f| f.since).or(known.filter(|_| state != "free").map(|a| a.last.at)),
            agent,
        }
    };
    Ok(all.into_iter().map(worker).collect())
}

/// The orders that workers are assigned to, a handoff aside.
fn in_hand(session: &mut Session, assigned: &[Found]) -> Result<BTreeMap<AgentId, Order>, Fault> {
    let view = session.view()?;
    let mut all = BTreeMap::new();
    for found in assigned.iter().filter(|f| f.agent.as_worker().is_some()) {
        let order = mail::order_in_hand_of(&view, &found.agent)?.map(|id| view.order(&id)).transpose()?.flatten();
        all.extend(order.map(|o| (found.agent.clone(), o)));
    }
    Ok(all)
}

/// Whether an agent in this state has a session, as far as its events say.
fn is_up(state: &str) -> bool {
    matches!(state, "starting" | "working" | "idle")
}
