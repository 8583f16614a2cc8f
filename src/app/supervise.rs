//! One deterministic round of what a supervisor does.

use serde::Serialize;
use serde_json::json;

use super::fault::Fault;
use super::session::Session;
use super::slots;
use crate::domain::AgentId;
use crate::domain::decide::mail::{self, NewMail};
use crate::domain::event::Draft;

/// What a round did.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Round {
    pub workers_checked: usize,
    /// Orders that were handed to QA.
    pub ready_for_qa: Vec<String>,
    /// Workers whose session is gone although their order is not done.
    pub dead: Vec<String>,
    /// Workers that were given an order and never started.
    pub unstarted: Vec<String>,
    /// Messages of workers that a person should look at.
    pub for_a_person: Vec<String>,
}

/// Takes WORKER_DONE and passes it on to QA, and notices sessions that are gone.
///
/// Everything it does is recorded in one commit; running it again finds nothing to do.
pub fn round(session: &mut Session) -> Result<Round, Fault> {
    let supervisor = AgentId::supervisor(session.factory());
    let qa = AgentId::qa(session.factory());
    let standings = slots::standings(session)?;
    let mut round = Round { workers_checked: standings.len(), ..Round::default() };
    let unread = session.view()?.inbox(&supervisor, true, false)?;
    let done: Vec<_> = unread.iter().filter(|m| m.message_type.as_deref() == Some("WORKER_DONE")).cloned().collect();
    let help = unread.iter().filter(|m| matches!(m.message_type.as_deref(), Some("HELP" | "ESCALATION")));
    round.for_a_person = help.map(|m| m.id.clone()).collect();
    round.unstarted = standings.iter().filter(|s| s.state == "assigned").map(|s| s.agent.clone()).collect();
    let dead: Vec<_> = standings.into_iter().filter(|s| s.state == "dead").collect();
    round.dead = dead.iter().map(|s| s.agent.clone()).collect();
    round.ready_for_qa = done
        .iter()
        .filter_map(|m| m.metadata.get("work_order_id").and_then(serde_json::Value::as_str).map(str::to_owned))
        .collect();
    if done.is_empty() && dead.is_empty() {
        return Ok(round);
    }
    let checked = round.workers_checked;
    session.write(|tx| {
        for m in &done {
            let id = m.id.parse()?;
            let now = tx.now();
            // Another round may have been faster.
            if tx.message(&id)?.is_none_or(|now| now.read_at.is_some()) {
                continue;
            }
            tx.emit_all(&mail::read(m, &id, &supervisor, now))?;
            let wish = NewMail {
                to: qa.clone(),
                subject: m.subject.clone(),
                body: m.body.clone(),
                message_type: Some("READY_FOR_QA".to_owned()),
                priority: None,
                metadata: m.metadata.clone(),
                allow_secret: true,
            };
            let new = tx.new_id("msg");
            tx.emit_all(&mail::send(&new, &wish, &supervisor, true)?)?;
        }
        for s in &dead {
            let agent: AgentId = s.agent.parse()?;
            if tx.agent(&agent)?.state == "stopped" {
                continue;
            }
            let order = s.work_order_id.as_deref().unwrap_or_default();
            let data = json!({"agent": agent, "reason": "its session is gone", "exit_code": s.exit_code, "work_order_id": order});
            tx.emit(&Draft::new("agent.stopped", &supervisor, data))?;
            let wish = NewMail {
                to: AgentId::ceo(),
                subject: format!("{agent} stopped before {order} was done"),
                body: format!("start it again: git vermas worker spawn slot{}\nits output: git vermas worker logs slot{}", s.slot, s.slot),
                message_type: Some("ESCALATION".to_owned()),
                priority: Some("urgent".to_owned()),
                metadata: json!({"work_order_id": order, "agent": agent}).as_object().cloned().unwrap_or_default(),
                allow_secret: true,
            };
            let new = tx.new_id("msg");
            tx.emit_all(&mail::send(&new, &wish, &supervisor, true)?)?;
        }
        let data = json!({"workers_checked": checked, "idle_found": 0, "nudges_sent": 0, "kills_executed": 0, "dead_found": dead.len()});
        tx.emit(&Draft::new("patrol.completed", &supervisor, data))?;
        Ok(())
    })?;
    Ok(round)
}
