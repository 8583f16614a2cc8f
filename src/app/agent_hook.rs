//! What an agent's own hooks tell us, and what they hand over to it: its assignment and new mail, once.
//!
//! A hook runs in the middle of an agent's work: it is fast, it writes only where something changed, and it never fails
//! the agent. Mail counts as read when it has been handed over, so [`acknowledge`] comes after the words are out: a hook
//! that is killed in between hands the same mail over again.

use serde_json::{Map, Value, json};

use super::assignments;
use super::fault::Fault;
use super::session::Session;
use crate::agents::fence;
use crate::domain::RefId;
use crate::domain::agent::Agent;
use crate::domain::assignment::Target;
use crate::domain::decide::mail;
use crate::domain::event::Draft;
use crate::domain::message::Message;
use crate::domain::text::headline;
use crate::sys::{clock, fs};

/// The longest text of one mail or order that is handed over, in bytes; the rest is there to be asked for.
const LONGEST_TEXT: usize = 8 * 1024;
/// All that one hook hands over, in bytes.
const LONGEST_ANSWER: usize = 32 * 1024;
/// The log of failed hooks is begun anew above this size, in bytes.
const LONGEST_LOG: u64 = 256 * 1024;

/// What a hook answers.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Reply {
    /// For standard output.
    pub text: String,
    /// The mail in it.
    pub handed_over: Vec<RefId>,
}

/// Answers one event of Claude Code. `input` is what it wrote to the hook's standard input.
pub fn claude(session: &mut Session, event: &str, input: &Map<String, Value>) -> Result<Reply, Fault> {
    if input.contains_key("agent_id") {
        // A helper of the agent's, which is not the worker.
        return Ok(Reply::default());
    }
    match event {
        "SessionStart" => {
            note(session, |_| true, "agent.working", &json!({"confirmed": true, "source": input.get("source")}))?;
            start(session)
        }
        "UserPromptSubmit" => {
            note(session, |a| a.state != "working", "agent.working", &json!({}))?;
            Ok(in_json("UserPromptSubmit", new_mail(session, &[])?))
        }
        "PreToolUse" | "PostToolUse" => {
            note(session, |a| a.state != "working", "agent.working", &json!({}))?;
            Ok(Reply::default())
        }
        "Stop" => stop(session, input),
        "StopFailure" => waiting(session, &format!("error: {}", word(input, "error"))),
        "PermissionRequest" => waiting(session, &format!("waiting: permission for {}", word(input, "tool_name"))),
        "Notification" => match word(input, "notification_type").as_str() {
            "idle_prompt" => idle(session),
            kind => waiting(session, &format!("waiting: {kind}")),
        },
        "SessionEnd" => ended(session, &word(input, "reason")),
        _ => Ok(Reply::default()),
    }
}

/// Records that the mail of a reply was handed over.
pub fn acknowledge(session: &mut Session, reply: &Reply) -> Result<(), Fault> {
    if reply.handed_over.is_empty() {
        return Ok(());
    }
    let reader = session.actor.clone();
    session.write(|tx| {
        for id in &reply.handed_over {
            if let Some(m) = tx.message(id)? {
                let now = tx.now();
                tx.emit_all(&mail::read(&m, id, &reader, now))?;
            }
        }
        Ok(())
    })
}

/// Keeps the reason why a hook could not do its work, where a person who looks for it finds it. Never fails.
pub fn keep_failure(event: &str, fault: &Fault) {
    let Ok(repo) = super::session::repository() else { return };
    let folder = crate::store::Places::of(&repo).logs();
    let file = folder.join("hook.log");
    let at = crate::domain::Timestamp::from_millis(clock::now_millis());
    let line = format!("{at} {}: {}\n", headline(event, 40), headline(&fault.message, 400));
    let write = || -> std::io::Result<()> {
        fs::create_private_dir(&folder)?;
        if fs::metadata(&file).is_ok_and(|m| m.len() > LONGEST_LOG) {
            fs::replace(&file, b"")?;
        }
        fs::append(&mut fs::open_append(&file)?, line.as_bytes())
    };
    // There is nobody left to tell.
    let _ = write();
}

/// A short text of the input, made one line.
fn word(input: &Map<String, Value>, name: &str) -> String {
    headline(input.get(name).and_then(Value::as_str).unwrap_or("unknown"), 80)
}

/// Emits an event about the agent itself, where `when` finds that it says something new.
fn note(session: &mut Session, when: impl Fn(&Agent) -> bool, kind: &str, more: &Value) -> Result<(), Fault> {
    let actor = session.actor.clone();
    let known = session.view()?.agent(&actor)?.unwrap_or_default();
    if !when(&known) {
        return Ok(());
    }
    let mut data = json!({"agent": actor, "session_name": known.session_name, "work_order_id": known.work_order});
    if let (Some(all), Some(more)) = (data.as_object_mut(), more.as_object()) {
        all.extend(more.iter().map(|(k, v)| (k.clone(), v.clone())));
        all.retain(|_, v| !v.is_null());
    }
    session.write(|tx| {
        // Decided again under the lock: another hook may have said it meanwhile.
        if when(&tx.agent(&actor)?) {
            tx.emit(&Draft::new(kind, &actor, data))?;
        }
        Ok(())
    })
}

fn idle(session: &mut Session) -> Result<Reply, Fault> {
    let now = crate::domain::Timestamp::from_millis(clock::now_millis());
    note(session, |a| a.state == "working" || a.state.is_empty(), "agent.idle", &json!({"idle_since": now}))?;
    Ok(Reply::default())
}

fn waiting(session: &mut Session, reason: &str) -> Result<Reply, Fault> {
    let now = crate::domain::Timestamp::from_millis(clock::now_millis());
    let is_new = |a: &Agent| a.state != "idle" || a.reason.as_deref() != Some(reason);
    note(session, is_new, "agent.idle", &json!({"reason": reason, "idle_since": now}))?;
    Ok(Reply::default())
}

fn ended(session: &mut Session, reason: &str) -> Result<Reply, Fault> {
    // These two are followed by a new start in the same session.
    if reason != "clear" && reason != "resume" {
        note(session, |a| a.state != "stopped", "agent.stopped", &json!({"reason": reason}))?;
    }
    Ok(Reply::default())
}

/// The agent has come to an end of its turn: mail that came meanwhile makes it go on, once.
fn stop(session: &mut Session, input: &Map<String, Value>) -> Result<Reply, Fault> {
    let in_background = input.get("background_tasks").and_then(Value::as_array).is_some_and(|t| !t.is_empty());
    let goes_on_already = input.get("stop_hook_active").and_then(Value::as_bool).unwrap_or(false);
    if !goes_on_already {
        let reply = in_json("Stop", new_mail(session, &[])?);
        if !reply.handed_over.is_empty() {
            return Ok(reply);
        }
    }
    if in_background { Ok(Reply::default()) } else { idle(session) }
}

/// What an agent gets to see at the start: who it is, what it is to do, and its mail.
fn start(session: &mut Session) -> Result<Reply, Fault> {
    let actor = session.actor.clone();
    let mut reply =
        Reply { text: format!("You are {actor} in the factory {}.\n", session.factory()), ..Reply::default() };
    // It is handed its assignment here, so it has found it.
    match assignments::look(session, &actor, true)?.target {
        Some(target) => {
            reply.text.push_str(&format!("Your assignment is {target}.\n"));
            assignment(session, &target, &mut reply)?;
        }
        None => reply.text.push_str("You have no assignment. Your mail: co inbox\n"),
    }
    let mail = new_mail(session, &reply.handed_over)?;
    reply.text.push_str(&mail.text);
    reply.handed_over.extend(mail.handed_over);
    Ok(reply)
}

/// Shows what an assignment points at, and for a handoff the work that it is about, too.
fn assignment(session: &mut Session, target: &Target, reply: &mut Reply) -> Result<(), Fault> {
    let view = session.view()?;
    let mut work = Some(target.clone());
    if target.ref_type == "mail" {
        work = None;
        if let Some(m) = view.message(&target.ref_id)? {
            reply.text.push_str(&shown(&m.from, &format!("mail {}", m.id), &format!("{}\n\n{}", m.subject, m.body)));
            reply.handed_over.push(target.ref_id.clone());
            work = super::mail::work_before(&m);
        }
    }
    match work {
        Some(t) if t.ref_type == "work_order" => {
            if let Some(order) = view.order(&t.ref_id)? {
                let words = format!("{}\n\n{}", order.title(), order.description());
                reply.text.push_str(&shown(order.created_by(), &format!("work order {}", order.id), &words));
                let id = &order.id;
                reply
                    .text
                    .push_str(&format!("All of it: wo show {id}. When it is done and committed: co worker done\n"));
            }
        }
        Some(t) if t.ref_type == "process" => {
            reply.text.push_str(&format!("Its steps: co process steps {}\n", t.ref_id));
        }
        _ => {}
    }
    Ok(())
}

/// Mail that the agent has not been given yet, urgent first, as much as fits.
fn new_mail(session: &mut Session, given: &[RefId]) -> Result<Reply, Fault> {
    let actor = session.actor.clone();
    let mut unread: Vec<Message> = session.view()?.inbox(&actor, true, false)?;
    unread.retain(|m| given.iter().all(|id| id.as_str() != m.id));
    let mut reply = Reply::default();
    for (n, m) in unread.iter().enumerate() {
        let kind = m.message_type.as_deref().map(|t| format!("{t}, ")).unwrap_or_default();
        let origin = format!("mail {}, {kind}{}, sent {}", m.id, m.priority, m.timestamp);
        let part = shown(&m.from, &origin, &format!("{}\n\n{}", m.subject, m.body));
        if n > 0 && reply.text.len() + part.len() > LONGEST_ANSWER {
            reply.text.push_str(&format!("{} more: co inbox\n", unread.len() - n));
            break;
        }
        let Ok(id) = m.id.parse() else { continue };
        if n == 0 {
            reply.text.push_str("New mail for you.\n");
        }
        reply.text.push_str(&part);
        reply.handed_over.push(id);
    }
    Ok(reply)
}

/// A text by somebody else, cut where it is long, fenced as data.
fn shown(author: &str, origin: &str, text: &str) -> String {
    let mut end = text.len().min(LONGEST_TEXT);
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    let mut out = fence(author, origin, text[..end].trim_end());
    if end < text.len() {
        out.push_str(&format!("({} bytes more: the commands co read and wo show give all of it.)\n", text.len() - end));
    }
    out
}

/// The form in which these events take words for the model.
fn in_json(event: &str, mail: Reply) -> Reply {
    if mail.handed_over.is_empty() {
        return Reply::default();
    }
    let answer = json!({"hookSpecificOutput": {"hookEventName": event, "additionalContext": mail.text}});
    Reply { text: format!("{answer}\n"), handed_over: mail.handed_over }
}
