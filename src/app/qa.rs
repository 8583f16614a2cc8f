//! QA: what was handed in is merged in a scratch worktree, tested there, and landed only by a fast-forward of the base.
//!
//! Landing happens before its event can be recorded; a QA that died in between finds the work on the base and records it.

use std::time::Duration;

use serde::Serialize;
use serde_json::json;

use super::base::{self, Base};
use super::fault::Fault;
use super::prompt::Again;
use super::qa_queue::{self, Entry};
use super::session::Session;
use super::{launching, slots, vouched};
use crate::domain::decide::mail::{self, NewMail};
use crate::domain::decide::work as decide;
use crate::domain::event::Draft;
use crate::domain::order::Order;
use crate::domain::{AgentId, OrderId};
use crate::git::land::{Landing, land};
use crate::git::merge::{MergeOutcome, merge_result};
use crate::git::{history, scratch};
use crate::store::Tx;
use crate::sys::process::{Cmd, ProcessError};
use crate::sys::{fs, lock};

/// How long a test run may take where `vermas.qa.timeout` says nothing, in seconds.
const DEFAULT_TIMEOUT: u64 = 30 * 60;
/// How much of a test's output a rejection holds.
const LAST_LINES: usize = 40;
const LONGEST_REASON: usize = 6_000;
/// How much of a test's output is kept as evidence, in bytes.
const LARGEST_EVIDENCE: usize = 256 * 1024;
/// How often the base may move between merging and landing.
const MOST_RACES: usize = 8;

/// What became of one order.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case", tag = "outcome")]
pub enum Outcome {
    Merged { work_order_id: String, title: String, commit: String, base: String, tested: bool },
    Rejected { work_order_id: String, title: String, reason: String, agent: Option<String>, restarted: bool },
    Waits { work_order_id: String, title: String, reason: String },
}

/// The result of testing a merge.
enum Verdict {
    Pass,
    Fail(String),
}

/// Works through the queue: all of it, or the first entry only. `say` hears what is being done.
pub fn run(session: &mut Session, once: bool, say: &dyn Fn(&str)) -> Result<Vec<Outcome>, Fault> {
    let path = session.store.places().private.join("qa.lock");
    let Some(_lock) = lock::try_acquire(&path)? else {
        return Err(Fault::conflict("another QA is running here").hint("git vermas qa status"));
    };
    let mut outcomes: Vec<Outcome> = Vec::new();
    let mut settled: Vec<OrderId> = Vec::new();
    loop {
        let next = qa_queue::queue(session)?.into_iter().find(|e| !settled.contains(&e.work_order_id));
        let Some(entry) = next else { break };
        settled.push(entry.work_order_id.clone());
        say(&format!("{} {}", entry.work_order_id, entry.title));
        outcomes.push(judge(session, &entry, say)?);
        if once {
            break;
        }
    }
    Ok(outcomes)
}

fn judge(session: &mut Session, entry: &Entry, say: &dyn Fn(&str)) -> Result<Outcome, Fault> {
    let git = session.git();
    let squash = match session.setting("vermas.qa.merge").as_deref() {
        None | Some("merge") => false,
        Some("squash") => true,
        Some(other) => {
            return Err(Fault::usage(format!(
                "git config vermas.qa.merge is '{other}', which is neither merge nor squash"
            )));
        }
    };
    if crate::git::objects::parse_oid(&entry.commit).is_none() {
        return Ok(waits(entry, "what was handed in is no commit".to_owned()));
    }
    if !vouched::is_vouched(session, entry)? {
        let (id, commit) = (&entry.work_order_id, &entry.commit[..10]);
        let reason = format!(
            "it was handed in on another machine, or by hand: look at it, and say so here \
             (git vermas qa approve {id} --commit {commit})"
        );
        return Ok(waits(entry, reason));
    }
    if history::rev_parse(&git, &entry.commit)?.is_none() {
        let reason =
            format!("the commit {} is not in this repository: fetch it, or run QA where it was made", entry.commit);
        return Ok(waits(entry, reason));
    }
    for _ in 0..MOST_RACES {
        let base = base::of(session, None)?;
        let old = base.oid.to_string();
        let result = match merge_result(&git, &old, &entry.commit, &message(entry), squash) {
            Ok(result) => result,
            // What git will not merge (another history, an object that is broken) keeps nobody else waiting.
            Err(e) => return Ok(waits(entry, e.to_string())),
        };
        let merged = match result {
            MergeOutcome::UpToDate => return landed(session, entry, &base, None, false),
            MergeOutcome::Conflict { files } => {
                let list: Vec<String> = files.iter().map(|f| f.display().to_string()).collect();
                let reason = format!(
                    "merging into {} conflicts in: {}\nmerge {} into your branch, settle the conflicts, and hand in again",
                    base.branch,
                    list.join(", "),
                    base.branch
                );
                return rejected(session, entry, &base, &reason);
            }
            MergeOutcome::Commit(oid) => oid,
        };
        let tested = session.setting("vermas.qa.test").is_some();
        if let Verdict::Fail(reason) = test(session, entry, &merged, say)? {
            return rejected(session, entry, &base, &reason);
        }
        let present = session.view()?.order(&entry.work_order_id)?;
        if !present.is_some_and(|o| stands(&o, entry)) {
            return Ok(overtaken(entry));
        }
        say(&format!("landing on {}", base.branch));
        match land(&git, &base.name, &old, &merged)? {
            Landing::Landed => return landed(session, entry, &base, Some(merged), tested),
            Landing::Moved { .. } => {}
            Landing::Waits { reason, .. } => return Ok(waits(entry, reason)),
        }
    }
    Ok(waits(entry, "the base moved each time while the tests ran; run QA again".to_owned()))
}

fn waits(entry: &Entry, reason: String) -> Outcome {
    Outcome::Waits { work_order_id: entry.work_order_id.to_string(), title: entry.title.clone(), reason }
}

/// Whether what was looked at is still what is handed in: tests take their time, and the work may have been handed in
/// anew, or taken from its worker, meanwhile.
fn stands(order: &Order, entry: &Entry) -> bool {
    let now = qa_queue::entry(&entry.work_order_id, order);
    !order.is_closed() && now.is_some_and(|n| n.commit == entry.commit && n.agent == entry.agent)
}

fn overtaken(entry: &Entry) -> Outcome {
    waits(entry, "it was handed in anew, or taken back, while it was looked at; run QA again".to_owned())
}

fn message(entry: &Entry) -> String {
    let id = &entry.work_order_id;
    let subject = crate::domain::text::headline(&format!("Merge {id}: {}", entry.title), 72);
    format!("{subject}\n\n{}\n\nWork-Order: {id}\n", entry.title)
}

/// Runs the project's tests on the merged commit, in a worktree of their own. Without a test command everything passes.
fn test(session: &mut Session, entry: &Entry, merged: &str, say: &dyn Fn(&str)) -> Result<Verdict, Fault> {
    let Some(command) = session.setting("vermas.qa.test") else { return Ok(Verdict::Pass) };
    let git = session.git();
    let places = session.store.places().clone();
    fs::create_private_dir(&places.scratch())?;
    let path = places.scratch().join("qa");
    scratch::checkout_scratch(&git, &path, merged)?;
    let log = places.logs().join("qa-test.log");
    fs::create_private_dir(&places.logs())?;
    fs::replace_durably(&log, b"")?;
    say(&format!("testing: {command}"));
    let seconds = timeout(session)?;
    let result = Cmd::new("sh")
        .args(["-c", &command])
        .cwd(&path)
        .env("WORK_ORDER_ID", entry.work_order_id.as_str())
        .env("VERMAS_QA", "1")
        .env_remove("AGENT_ID")
        .timeout(Some(Duration::from_secs(seconds)))
        .log_to(&log)
        .run();
    let output = fs::read(&log).unwrap_or_default();
    let number = entry.rejections + 1;
    let kept = &output[output.len().saturating_sub(LARGEST_EVIDENCE)..];
    let mut evidence = format!("$ {command}\n# on {merged}\n").into_bytes();
    evidence.extend_from_slice(kept);
    let tail = tail(&output);
    let verdict = match result {
        Ok(_) => Verdict::Pass,
        Err(ProcessError::TimedOut { .. }) => Verdict::Fail(format!(
            "the tests did not end within {seconds} seconds (git config vermas.qa.timeout)\n{tail}"
        )),
        Err(ProcessError::Failed { output, .. }) => {
            let code = output.code.map_or_else(|| "by a signal".to_owned(), |c| format!("with exit code {c}"));
            Verdict::Fail(format!(
                "`{command}` failed {code} on your work merged into the base; its last lines:\n{tail}"
            ))
        }
        Err(other) => return Err(Fault::failed(format!("the tests could not be started: {other}"))),
    };
    let passed = matches!(verdict, Verdict::Pass);
    evidence.extend_from_slice(if passed { b"\n# passed\n" } else { b"\n# failed\n" });
    session.store.add_evidence(entry.work_order_id.as_str(), &format!("qa-{number}.log"), &evidence)?;
    Ok(verdict)
}

fn timeout(session: &Session) -> Result<u64, Fault> {
    let Some(text) = session.setting("vermas.qa.timeout") else { return Ok(DEFAULT_TIMEOUT) };
    super::settings_table::duration(&text).map(|d| d.as_secs()).ok_or_else(|| {
        Fault::usage(format!("git config vermas.qa.timeout is '{text}'")).hint("write 90 s, 30 min or 2 h")
    })
}

/// The last lines of an output, as text.
fn tail(output: &[u8]) -> String {
    let text = String::from_utf8_lossy(output);
    let lines: Vec<&str> = text.lines().collect();
    let mut last = lines[lines.len().saturating_sub(LAST_LINES)..].join("\n");
    if last.len() > LONGEST_REASON {
        let mut from = last.len() - LONGEST_REASON;
        while !last.is_char_boundary(from) {
            from += 1;
        }
        last = last.split_off(from);
    }
    last
}

/// Records that the work is on the base, frees the slot, and tells everybody.
fn landed(
    session: &mut Session,
    entry: &Entry,
    base: &Base,
    merged: Option<String>,
    tested: bool,
) -> Result<Outcome, Fault> {
    let id = entry.work_order_id.clone();
    let commit = match merged {
        Some(oid) => oid,
        // It is on the base already: landed by a QA that died before it could say so, by hand, or without changes.
        None => found_on_base(session, entry, base)?,
    };
    let qa = AgentId::qa(session.factory());
    let agent: Option<AgentId> = entry.agent.as_deref().and_then(|a| a.parse().ok());
    let (title, branch) = (entry.title.clone(), entry.branch.clone());
    let base_name = base.branch.clone();
    let commit_in = commit.clone();
    let looked_at = entry.clone();
    session.write(move |tx| {
        let order = super::orders::require(tx, &id)?;
        let drafts = decide::merged(&order, &id, &branch, &base_name, &commit_in, &qa);
        if !stands(&order, &looked_at) {
            // It is on the base, and said to be; what was handed in since is still to be looked at.
            tx.emit_all(&drafts[..1])?;
            return Ok(());
        }
        tx.emit_all(&drafts)?;
        let clear = json!({"metadata.submitted": null, "metadata.no_changes": null});
        tx.emit(&Draft::new("work_order.updated", &qa, json!({"work_order_id": id, "changes": clear})))?;
        if let Some(worker) = &agent
            && super::mail::order_in_hand(tx, worker)?.as_ref() == Some(&id)
        {
            let current = tx.assignment(worker)?;
            tx.emit_all(&crate::domain::decide::assignment::clear(&current, worker, &qa))?;
        }
        let body = format!("{id} is on {base_name} as {commit_in}");
        let mut told: Vec<AgentId> = vec![AgentId::supervisor(tx.factory())];
        told.extend(order.created_by().parse().ok());
        told.extend(agent.clone());
        told.sort();
        told.dedup();
        for to in told.into_iter().filter(|t| *t != qa) {
            tell(tx, &qa, &to, "MERGED", &format!("{id} has landed: {title}"), &body, &id)?;
        }
        Ok(())
    })?;
    Ok(Outcome::Merged {
        work_order_id: entry.work_order_id.to_string(),
        title: entry.title.clone(),
        commit,
        base: base.branch.clone(),
        tested,
    })
}

/// The commit of the base that carries this order's trailer, else the handed-in commit itself.
fn found_on_base(session: &Session, entry: &Entry, base: &Base) -> Result<String, Fault> {
    let git = session.git();
    let tip = base.oid.to_string();
    let out = git
        .cmd()
        .args([
            "log",
            "--first-parent",
            "-n",
            "500",
            "--format=%H %(trailers:key=Work-Order,valueonly,separator=%x20)",
            &tip,
        ])
        .run()?;
    let id = entry.work_order_id.as_str();
    let found = out
        .text()
        .lines()
        .find(|l| l.split(' ').skip(1).any(|w| w == id))
        .and_then(|l| l.split(' ').next().map(str::to_owned));
    Ok(found.unwrap_or_else(|| entry.commit.clone()))
}

fn tell(
    tx: &mut Tx<'_>,
    from: &AgentId,
    to: &AgentId,
    kind: &str,
    subject: &str,
    body: &str,
    id: &OrderId,
) -> Result<(), Fault> {
    let wish = NewMail {
        to: to.clone(),
        subject: crate::domain::text::headline(subject, 200),
        body: body.to_owned(),
        message_type: Some(kind.to_owned()),
        priority: (kind == "REWORK_REQUEST").then(|| "urgent".to_owned()),
        metadata: json!({"work_order_id": id}).as_object().cloned().unwrap_or_default(),
        allow_secret: true,
    };
    let mail_id = tx.new_id("msg");
    tx.emit_all(&mail::send(&mail_id, &wish, from, true)?)?;
    Ok(())
}

/// Sends the work back: the same slot, worktree and branch get a new session with the reason.
fn rejected(session: &mut Session, entry: &Entry, base: &Base, reason: &str) -> Result<Outcome, Fault> {
    let id = entry.work_order_id.clone();
    let qa = AgentId::qa(session.factory());
    let agent: Option<AgentId> = entry.agent.as_deref().and_then(|a| a.parse().ok());
    let (branch, text) = (entry.branch.clone(), reason.to_owned());
    let (to, looked_at) = (agent.clone(), entry.clone());
    let stood = session.write(move |tx| {
        let order = super::orders::require(tx, &id)?;
        if !stands(&order, &looked_at) {
            return Ok(false);
        }
        tx.emit_all(&decide::rejected(&order, &id, &branch, &text, &qa))?;
        let clear = json!({"metadata.submitted": null, "metadata.no_changes": null});
        tx.emit(&Draft::new("work_order.updated", &qa, json!({"work_order_id": id, "changes": clear})))?;
        if let Some(worker) = to {
            let subject = format!("{id} needs more work: {}", order.title());
            tell(tx, &qa, &worker, "REWORK_REQUEST", &subject, &text, &id)?;
        }
        Ok(true)
    })?;
    if !stood {
        return Ok(overtaken(entry));
    }
    let restarted = match agent.as_ref().and_then(AgentId::as_worker) {
        Some((factory, n)) if factory == session.factory() => {
            match restart(session, n, &entry.work_order_id, base, reason) {
                Ok(()) => true,
                Err(f) => {
                    session.warn(format!("slot{n} was not started again: {}", f.message));
                    false
                }
            }
        }
        _ => false,
    };
    Ok(Outcome::Rejected {
        work_order_id: entry.work_order_id.to_string(),
        title: entry.title.clone(),
        reason: reason.to_owned(),
        agent: entry.agent.clone(),
        restarted,
    })
}

/// Starts the worker of a slot again on the order it has, with QA's words.
fn restart(session: &mut Session, number: u32, id: &OrderId, base: &Base, reason: &str) -> Result<(), Fault> {
    let slot = slots::slot(session, number);
    let _held = slots::hold(session, &slot)?;
    // Whoever works there on something else now is left alone.
    if slots::order_of(session, &slot.agent)?.as_ref() != Some(id) {
        return Err(Fault::failed(format!("{} has another order now", slot.agent)));
    }
    let profile = session.view()?.agent(&slot.agent)?.and_then(|a| a.profile);
    let backend = launching::backend(session, profile.as_deref())?;
    let order = session.view()?.order(id)?.ok_or_else(|| Fault::not_found(format!("there is no work order {id}")))?;
    launching::stop(session, &slot)?;
    let again = Again { rejection: Some(reason.to_owned()), rescue: None };
    launching::record_start(session, &slot, id, &backend)?;
    launching::start(session, &slot, &order, &backend, base, &again).map(|_| ())
}
