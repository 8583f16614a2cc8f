//! A worker hands in its work.

use serde::Serialize;
use serde_json::json;

use super::base;
use super::fault::Fault;
use super::session::Session;
use super::slots::{self, Slot};
use crate::domain::decide::mail::{self, NewMail};
use crate::domain::event::Draft;
use crate::domain::text::counted;
use crate::domain::{AgentId, OrderId};
use crate::git::status::{Untracked, head, operation, status};
use crate::git::{history, merge};
use crate::launch::SessionState;
use crate::sys::process::Cmd;
use crate::sys::{clock, env};

/// What was handed in.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct HandedIn {
    pub work_order_id: String,
    pub agent: String,
    pub commit: String,
    pub branch: String,
    pub base: String,
    /// How many commits the branch has beyond the base.
    pub commits: usize,
}

/// How many uncommitted files are named.
const MOST_NAMED: usize = 10;

/// Hands the work of the worker that asks in. `commit` commits what is uncommitted first; `no_changes` says that nothing
/// had to be done.
pub fn done(session: &mut Session, commit: bool, no_changes: bool, message: Option<&str>) -> Result<HandedIn, Fault> {
    let slot = own_slot(session)?;
    let id = slots::order_of(session, &slot.agent)?.ok_or_else(|| {
        Fault::failed(format!("{} has no work order to hand in", slot.agent)).hint("git vermas assignment")
    })?;
    let order = session.view()?.order(&id)?.ok_or_else(|| Fault::not_found(format!("there is no work order {id}")))?;
    let git = session.git();
    if let Some(op) = operation(&git, &slot.path)? {
        return Err(Fault::failed(format!("a {} is in progress in {}", op.name(), slot.path.display()))
            .hint("finish it first, then hand in"));
    }
    let dirty = status(&git, &slot.path, Untracked::Folded)?;
    if !dirty.is_empty() {
        if !commit {
            let files: Vec<String> = dirty.iter().take(MOST_NAMED).map(|e| e.path.display().to_string()).collect();
            let more = if dirty.len() > MOST_NAMED {
                format!(" and {} more", dirty.len() - MOST_NAMED)
            } else {
                String::new()
            };
            return Err(Fault::failed(format!("not everything is committed: {}{more}", files.join(", ")))
                .hint("commit it, or hand in with --commit"));
        }
        let text = message.map_or_else(|| order.title().to_owned(), str::to_owned);
        let text = format!("{text}\n\nWork-Order: {id}\n");
        merge::commit_all(&git.clone().with_env("WORK_ORDER_ID", id.as_str()), &slot.path, &text)?;
    }
    let base = base::of(session, None)?;
    let tip = head(&git, &slot.path)?.ok_or_else(|| Fault::failed("the worktree has no commit"))?;
    let from = history::merge_base(&git, &base.oid.to_string(), &tip)?;
    let commits = history::commits_between(&git, from.as_deref(), &tip)?.len();
    if commits == 0 && !no_changes {
        return Err(Fault::failed(format!("nothing was committed for {id}"))
            .hint("commit your work, or say that nothing had to be changed: --no-changes"));
    }
    let branch_tip = session.store.repo().ref_target(&format!("refs/heads/{}", slot.branch))?.map(|o| o.to_string());
    if branch_tip.as_deref() != Some(&tip) {
        return Err(Fault::failed(format!("the worktree is not on its branch {}", slot.branch))
            .hint(format!("bring your commits there: git switch {}", slot.branch)));
    }
    let handed = HandedIn {
        work_order_id: id.to_string(),
        agent: slot.agent.to_string(),
        commit: tip,
        branch: slot.branch.clone(),
        base: base.branch,
        commits,
    };
    // Looked at before it is recorded: afterwards QA may be fast, and what runs be the work on what it sent back.
    let program = own_program(session, &slot)?;
    super::vouched::vouch(session, &id, &handed.commit)?;
    record(session, &slot, &id, &handed, no_changes)?;
    if let Some(pid) = program
        && let Err(e) = end_session_later(session, &slot, pid)
    {
        session.warn(format!("the work is handed in, but this session does not end by itself: {e}"));
    }
    Ok(handed)
}

/// The slot of the worker that asks.
pub fn own_slot(session: &Session) -> Result<Slot, Fault> {
    match session.actor.as_worker() {
        Some((factory, n)) if factory == session.factory() => Ok(slots::slot(session, n)),
        _ => Err(Fault::not_permitted(format!("you are {}, no worker of {}", session.actor, session.factory()))
            .hint("only a worker hands work in: stand in its worktree, or say --as its name")),
    }
}

fn record(session: &mut Session, slot: &Slot, id: &OrderId, h: &HandedIn, no_changes: bool) -> Result<(), Fault> {
    let supervisor = AgentId::supervisor(session.factory());
    let agent = slot.agent.clone();
    session.write(|tx| {
        let order = super::orders::require(tx, id)?;
        // Somebody may have stopped the worker, or closed the order, since it was looked at.
        if order.is_closed() || order.assignee().is_some_and(|a| a != agent.as_str()) {
            let holder = order.assignee().unwrap_or("nobody");
            return Err(Fault::conflict(format!(
                "{id} is {} and with {holder}, so it cannot be handed in",
                order.status()
            ))
            .hint(
                "your commits are safe on your branch; ask the supervisor: co send supervisor -s \"...\" --type HELP",
            ));
        }
        let changes = json!({
            "metadata.submitted": h.commit, "metadata.branch": h.branch,
            "metadata.no_changes": if no_changes { json!(true) } else { json!(null) },
        });
        tx.emit(&Draft::new("work_order.updated", &agent, json!({"work_order_id": id, "changes": changes})))?;
        if matches!(order.status(), "open" | "assigned") {
            tx.emit(&crate::domain::decide::order::status(id, order.status(), "in_progress", &agent))?;
        }
        let wish = NewMail {
            to: supervisor.clone(),
            subject: crate::domain::text::headline(&format!("{id} is done: {}", order.title()), 200),
            body: format!("{} on {} at {}", counted(h.commits, "commit"), h.branch, h.commit),
            message_type: Some("WORKER_DONE".to_owned()),
            priority: None,
            metadata: json!({"work_order_id": id, "commit": h.commit, "branch": h.branch})
                .as_object()
                .cloned()
                .unwrap_or_default(),
            allow_secret: true,
        };
        let mail_id = tx.new_id("msg");
        tx.emit_all(&mail::send(&mail_id, &wish, &agent, true)?)?;
        let data = json!({"agent": agent, "reason": "done", "exit_code": null, "work_order_id": id});
        tx.emit(&Draft::new("agent.stopped", &agent, data))?;
        Ok(())
    })
}

/// The program of the session in which this is called; `None` outside of it.
fn own_program(session: &Session, slot: &Slot) -> Result<Option<u32>, Fault> {
    if env::var("VERMAS_SESSION").as_deref() != Some(slot.session.as_str()) {
        return Ok(None);
    }
    match slots::launcher_of(session, &slot.session)?.state(&slot.session)? {
        SessionState::Running { pid } => Ok(Some(pid)),
        _ => Ok(None),
    }
}

/// The session ends after this command has returned, so that the agent sees that it was heard.
fn end_session_later(session: &Session, slot: &Slot, pid: u32) -> Result<(), Fault> {
    let log = session.store.places().logs().join("end.log");
    crate::sys::fs::create_private_dir(&session.store.places().logs())?;
    Cmd::new(env::current_exe()?)
        .args(["worker", "end-session", &format!("slot{}", slot.number), &pid.to_string()])
        .cwd(session.store.repo().main_worktree().unwrap_or_else(|| session.store.repo().common_dir()))
        .env_remove("VERMAS_SESSION")
        .env_remove("AGENT_ID")
        .spawn_detached(&log)?;
    Ok(())
}

/// Waits a little for this program of a session to end by itself, then ends the session. Called in the background by
/// [`done`]. A session that was started anew meanwhile (work that QA sent back) has another program, and stays.
pub fn end_session(session: &Session, slot: &Slot, pid: u32) -> Result<(), Fault> {
    let launcher = slots::launcher_of(session, &slot.session)?;
    let state = || launcher.state(&slot.session);
    let deadline = clock::Deadline::after(GRACE);
    while !deadline.passed() && state()? == (SessionState::Running { pid }) {
        clock::sleep(PAUSE);
    }
    match state()? {
        SessionState::Running { pid: other } if other != pid => {}
        _ => {
            launcher.stop(&slot.session)?;
        }
    }
    Ok(())
}

/// How long an agent may go on after it has handed its work in.
const GRACE: std::time::Duration = std::time::Duration::from_secs(3);
const PAUSE: std::time::Duration = std::time::Duration::from_millis(50);
