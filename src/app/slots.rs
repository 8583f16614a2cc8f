//! Slots: the places where workers work, and whether one is free.

use std::path::PathBuf;
use std::time::Duration;

use serde::Serialize;

use super::base::Base;
use super::fault::Fault;
use super::session::Session;
use crate::domain::{AgentId, OrderId};
use crate::git::status::{Untracked, operation, status};
use crate::git::{history, slot as worktree_slot, worktree};
use crate::launch::{Kind, Launcher, ProcessLauncher, SessionState, TmuxLauncher};
use crate::sys::fs;
use crate::sys::lock::{self, FileLock};
use crate::tmux::Server;

/// One slot's names.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Slot {
    pub number: u32,
    pub agent: AgentId,
    pub path: PathBuf,
    /// The short name of its branch.
    pub branch: String,
    pub session: String,
    pub log: PathBuf,
}

/// The names of a slot of this factory.
pub fn slot(session: &Session, number: u32) -> Slot {
    let places = session.store.places();
    let factory = &places.factory;
    Slot {
        number,
        agent: AgentId::worker(factory, number),
        path: places.workers.join(format!("slot{number}")),
        branch: format!("vermas/slot{number}"),
        session: format!("worker-{factory}-slot{number}"),
        log: places.logs().join(format!("slot{number}.log")),
    }
}

/// A slot as a person writes it: `slot0`, `0`, or the worker's full name.
pub fn parse(session: &Session, text: &str) -> Result<Slot, Fault> {
    let agent = session.agent_id(text)?;
    match agent.as_worker() {
        Some((factory, n)) if factory == session.factory() => Ok(slot(session, n)),
        _ => Err(Fault::usage(format!("'{text}' is no slot of {}", session.factory())).hint("write it as slot0")),
    }
}

/// Like [`parse`]; a slot beyond `vermas.slots` is an error.
pub fn configured(session: &Session, text: &str) -> Result<Slot, Fault> {
    let slot = parse(session, text)?;
    if slot.number < session.slots() {
        return Ok(slot);
    }
    let what = format!("there is no slot{}, only {}", slot.number, session.slots());
    Err(Fault::not_found(what).hint("more slots: git vermas config set vermas.slots N"))
}

/// How long another command that starts, stops or removes what is in a slot is waited for.
const SLOT_WAIT: Duration = Duration::from_secs(20);

/// Keeps a slot for one command that starts, stops or removes what is in it, until the lock is dropped. Taken before any lock
/// of the state.
pub fn hold(session: &Session, slot: &Slot) -> Result<FileLock, Fault> {
    let held = lock::acquire(&lock_of(session, slot)?, SLOT_WAIT)?.ok_or_else(|| {
        let what = format!("another command has been preparing or clearing slot{} for {SLOT_WAIT:?}", slot.number);
        Fault::conflict(what).hint("see what runs there: git vermas workers; vermas.worker.setup may take its time")
    })?;
    worktree_slot::bring_back(&session.git(), &slot.path)?;
    Ok(held)
}

/// The same for whoever can do without: `None` where another command has it.
pub fn try_hold(session: &Session, slot: &Slot) -> Result<Option<FileLock>, Fault> {
    let held = lock::try_acquire(&lock_of(session, slot)?)?;
    if held.is_some() {
        worktree_slot::bring_back(&session.git(), &slot.path)?;
    }
    Ok(held)
}

fn lock_of(session: &Session, slot: &Slot) -> Result<PathBuf, Fault> {
    let places = session.store.places();
    fs::create_private_dir(&places.private)?;
    Ok(places.private.join(format!("slot{}.lock", slot.number)))
}

/// How a slot stands.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Standing {
    pub slot: u32,
    pub agent: String,
    pub worktree: Option<String>,
    pub branch: String,
    pub session: String,
    /// `running`, `exited`, or `none`.
    pub session_state: String,
    pub exit_code: Option<i32>,
    pub attached: bool,
    /// `free`, `assigned` (and no worker was started), `working`, `submitted`, `rework`, `stopped`, `dead`, `elsewhere`, or
    /// `held`.
    pub state: String,
    /// Why it is not free, where nobody works in it.
    pub reason: Option<String>,
    pub work_order_id: Option<String>,
    pub title: Option<String>,
    pub profile: Option<String>,
    /// Since when the worker has been at it.
    pub since: Option<String>,
    pub log: Option<String>,
}

/// The tmux server on which workers run.
pub fn tmux_server(session: &Session) -> Server {
    Server { socket_name: session.setting("vermas.tmuxSocket"), private_dir: None }
}

/// The way sessions are run on this machine: `vermas.launcher`, else tmux where it is there, else processes.
pub fn launcher(session: &Session) -> Result<Box<dyn Launcher>, Fault> {
    let dir = session.store.places().sessions();
    let tmux = || -> Result<Box<dyn Launcher>, Fault> {
        TmuxLauncher::new(tmux_server(session), &dir).map(|l| Box::new(l) as Box<dyn Launcher>).map_err(|e| {
            Fault::from(e).hint(
                "install tmux, or run workers as background processes: git vermas config set vermas.launcher process",
            )
        })
    };
    let process = || Box::new(ProcessLauncher::new(&dir)) as Box<dyn Launcher>;
    match session.setting("vermas.launcher").as_deref() {
        Some("process") => Ok(process()),
        Some("tmux") => tmux(),
        Some(other) => {
            Err(Fault::usage(format!("git config vermas.launcher is '{other}', which is neither tmux nor process")))
        }
        None if crate::sys::env::which("tmux").is_some() => tmux(),
        None => Ok(process()),
    }
}

/// The launcher that knows a session: the configured one, or the other where the setting has changed since.
pub fn launcher_of(session: &Session, name: &str) -> Result<Box<dyn Launcher>, Fault> {
    let first = launcher(session)?;
    if first.state(name)? != SessionState::Gone {
        return Ok(first);
    }
    let dir = session.store.places().sessions();
    let other: Option<Box<dyn Launcher>> = match first.kind() {
        Kind::Tmux => Some(Box::new(ProcessLauncher::new(&dir))),
        Kind::Process => TmuxLauncher::new(tmux_server(session), &dir).ok().map(|l| Box::new(l) as Box<dyn Launcher>),
    };
    match other {
        Some(o) if o.state(name).is_ok_and(|s| s != SessionState::Gone) => Ok(o),
        _ => Ok(first),
    }
}

/// The work order that a slot's worker is assigned to; a handoff to itself does not change that.
pub fn order_of(session: &mut Session, agent: &AgentId) -> Result<Option<OrderId>, Fault> {
    super::mail::order_in_hand_of(&session.view()?, agent)
}

/// Why nothing new may begin in a slot; `None` where it is free. Its assignment is not looked at here: that is decided
/// under the state lock.
pub fn obstacle(session: &Session, slot: &Slot, base: &Base, launcher: &dyn Launcher) -> Result<Option<String>, Fault> {
    if let SessionState::Running { .. } = launcher.state(&slot.session)? {
        return Ok(Some(format!("the session {} is running", slot.session)));
    }
    let git = session.git();
    let branch = format!("refs/heads/{}", slot.branch);
    let all = worktree::list(&git)?;
    let tree = worktree::at(&all, &slot.path);
    let holder = all.iter().find(|t| t.branch.as_ref() == Some(&branch));
    if let Some(holder) = holder.filter(|h| Some(*h) != tree) {
        return Ok(Some(format!("its branch {} is checked out in {}", slot.branch, holder.path.display())));
    }
    if let Some(t) = tree.filter(|t| !t.lost) {
        if let Some(op) = operation(&git, &t.path)? {
            return Ok(Some(format!("a {} is in progress in {}", op.name(), t.path.display())));
        }
        if let Some(entry) = status(&git, &t.path, Untracked::Folded)?.first() {
            return Ok(Some(format!("{} has uncommitted work: {}", t.path.display(), entry.path.display())));
        }
    } else if fs::exists(&slot.path) {
        return Ok(Some(format!("{} is there and is no worktree of ours", slot.path.display())));
    }
    if let Some(tip) = session.store.repo().ref_target(&branch)? {
        let (tip, base) = (tip.to_string(), base.oid.to_string());
        if !history::is_ancestor(&git, &tip, &base)? && !history::same_patch_on(&git, &base, &tip)? {
            return Ok(Some(format!("the branch {} holds commits that have not landed", slot.branch)));
        }
    }
    Ok(None)
}

/// How every slot stands: the configured ones, and others that hold something.
pub fn standings(session: &mut Session) -> Result<Vec<Standing>, Fault> {
    let mut numbers: std::collections::BTreeSet<u32> = (0..session.slots()).collect();
    let factory = session.factory().to_owned();
    let view = session.view()?;
    for a in view.assignments()? {
        let agent: Option<AgentId> = a.agent.parse().ok();
        numbers.extend(agent.as_ref().and_then(AgentId::as_worker).filter(|(f, _)| *f == factory).map(|(_, n)| n));
    }
    if session.store.point().is_some() {
        return numbers.into_iter().map(|n| standing_then(session, n)).collect();
    }
    let launcher = launcher(session)?;
    let sessions = launcher.list(&format!("worker-{factory}-slot"))?;
    let base = super::base::of(session, None).ok();
    let mut all = Vec::new();
    for n in numbers {
        all.push(standing(session, n, &sessions, base.as_ref(), &*launcher)?);
    }
    Ok(all)
}

/// How a slot stood, as far as the events say: of sessions, worktrees and logs of then nobody knows.
fn standing_then(session: &mut Session, number: u32) -> Result<Standing, Fault> {
    let slot = slot(session, number);
    let order = order_of(session, &slot.agent)?;
    let view = session.view()?;
    let agent = view.agent(&slot.agent)?.unwrap_or_default();
    let row = order.as_ref().map(|id| view.order(id)).transpose()?.flatten();
    let state = match &row {
        Some(o) if o.metadata("submitted").is_some() => "submitted",
        Some(o) if !o.rejections.is_empty() => "rework",
        Some(o) if !agent.has_run_for(&o.id) => "assigned",
        Some(_) if agent.state == "stopped" => "stopped",
        Some(_) => "working",
        None if order.is_some() => "held",
        None => "free",
    };
    Ok(Standing {
        slot: number,
        agent: slot.agent.to_string(),
        worktree: None,
        branch: slot.branch,
        session: slot.session,
        session_state: "none".to_owned(),
        exit_code: None,
        attached: false,
        state: state.to_owned(),
        reason: agent.reason.filter(|_| state == "stopped"),
        title: row.as_ref().map(|o| o.title().to_owned()),
        work_order_id: order.map(|o| o.to_string()),
        profile: agent.profile,
        since: agent.started.map(|k| k.at.to_string()),
        log: None,
    })
}

/// Whether the worker of a slot was started on another clone, which goes by the same name: of its session and its worktree
/// nothing can be said here.
pub fn is_elsewhere(session: &mut Session, slot: &Slot) -> Result<bool, Fault> {
    let started = session.view()?.agent(&slot.agent)?.and_then(|a| a.started);
    Ok(started.map(|k| session.store.is_from_elsewhere(&k.id)).transpose()?.unwrap_or(false) && !fs::exists(&slot.path))
}

fn standing(
    session: &mut Session,
    number: u32,
    sessions: &[crate::launch::Listed],
    base: Option<&Base>,
    launcher: &dyn Launcher,
) -> Result<Standing, Fault> {
    let slot = slot(session, number);
    let order = order_of(session, &slot.agent)?;
    let view = session.view()?;
    let agent = view.agent(&slot.agent)?.unwrap_or_default();
    let row = order.as_ref().map(|id| view.order(id)).transpose()?.flatten();
    let listed = sessions.iter().find(|s| s.name == slot.session);
    let (session_state, exit_code) = match listed.map(|l| l.state) {
        Some(SessionState::Running { .. }) => ("running", None),
        Some(SessionState::Exited { code }) => ("exited", code),
        _ => ("none", None),
    };
    let running = session_state == "running";
    let submitted = row.as_ref().is_some_and(|o| o.metadata("submitted").is_some());
    let reason = match (&order, base) {
        (None, Some(b)) if !running => obstacle(session, &slot, b, launcher)?,
        _ => None,
    };
    let elsewhere = !running && is_elsewhere(session, &slot)?;
    let state = match (&row, running) {
        (Some(_), _) if submitted => "submitted",
        (Some(o), true) if !o.rejections.is_empty() => "rework",
        (Some(_), true) => "working",
        (Some(o), false) if !elsewhere && !agent.has_run_for(&o.id) => "assigned",
        (Some(_), false) if agent.state == "stopped" => "stopped",
        (Some(_), false) if elsewhere => "elsewhere",
        (Some(_), false) => "dead",
        (None, _) if order.is_some() => "held",
        (None, true) => "held",
        (None, false) if reason.is_some() => "held",
        (None, false) => "free",
    };
    Ok(Standing {
        slot: number,
        agent: slot.agent.to_string(),
        worktree: fs::exists(&slot.path).then(|| slot.path.display().to_string()),
        branch: slot.branch,
        session: slot.session,
        session_state: session_state.to_owned(),
        exit_code,
        attached: listed.is_some_and(|l| l.attached > 0),
        state: state.to_owned(),
        reason,
        title: row.as_ref().map(|o| o.title().to_owned()),
        work_order_id: order.map(|o| o.to_string()),
        profile: agent.profile,
        since: agent.started.map(|k| k.at.to_string()),
        log: fs::exists(&slot.log).then(|| slot.log.display().to_string()),
    })
}
