//! What an agent needs at the start of a session, gathered in one look. Nothing is written.

use serde_json::{Value, json};

use super::assignments::{self, Found};
use super::fault::Fault;
use super::session::Session;
use super::{mail, orders};
use crate::domain::message::Message;
use crate::domain::{AgentId, OrderId};

/// What an agent is for, as its address says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Role {
    Worker,
    Supervisor,
    Qa,
    Ceo,
    Operations,
    Other,
}

impl Role {
    pub fn of(agent: &AgentId) -> Self {
        let parts: Vec<&str> = agent.as_str().split('/').collect();
        match parts.as_slice() {
            ["ceo"] => Self::Ceo,
            ["operations"] => Self::Operations,
            [_, "supervisor"] => Self::Supervisor,
            [_, "qa", ..] => Self::Qa,
            [_, "workers", _] => Self::Worker,
            _ => Self::Other,
        }
    }

    /// The word that stands in a worker's environment, too.
    pub fn name(self) -> &'static str {
        match self {
            Self::Worker => "worker",
            Self::Supervisor => "supervisor",
            Self::Qa => "qa",
            Self::Ceo => "ceo",
            Self::Operations => "operations",
            Self::Other => "agent",
        }
    }
}

/// An order that this one waits for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Need {
    pub id: String,
    pub status: String,
    pub title: String,
}

/// The start of a session.
#[derive(Debug, Clone)]
pub struct Prime {
    pub agent: AgentId,
    pub role: Role,
    pub factory: String,
    pub assignment: Found,
    /// The assigned order, or the one that a handoff is about, as `wo show` gives it.
    pub order: Option<Value>,
    pub needs: Vec<Need>,
    /// The assigned mail.
    pub message: Option<Message>,
    /// Unread mail, urgent first; the assigned one is not among it.
    pub unread: Vec<Message>,
}

pub fn gather(session: &mut Session) -> Result<Prime, Fault> {
    let agent = session.actor.clone();
    let assignment = assignments::look(session, &agent, false)?;
    let target = assignment.target.clone();
    let mut unread = mail::inbox(session, &agent, true, false)?;
    let message = match target.as_ref().filter(|t| t.ref_type == "mail") {
        Some(t) => session.view()?.message(&t.ref_id)?,
        None => None,
    };
    unread.retain(|m| message.as_ref().is_none_or(|a| a.id != m.id));
    let work = message.as_ref().and_then(mail::work_before).or(target);
    let work: Option<OrderId> = work.filter(|t| t.ref_type == "work_order").map(|t| t.ref_id);
    let (mut order, mut needs) = (None, Vec::new());
    if let Some(id) = work
        && session.view()?.order_row(id.as_str())?.is_some()
    {
        order = Some(orders::detail(session, &id)?);
        needs = needs_of(session, &id)?;
    }
    let factory = session.factory().to_owned();
    Ok(Prime { role: Role::of(&agent), agent, factory, assignment, order, needs, message, unread })
}

fn needs_of(session: &mut Session, id: &OrderId) -> Result<Vec<Need>, Fault> {
    let all = session.view()?.dependencies(id.as_str())?;
    let need = |(id, row): (String, Option<crate::store::OrderRow>)| match row {
        Some(row) => Need { id, status: row.status, title: row.title },
        None => Need { id, status: "unknown".to_owned(), title: String::new() },
    };
    Ok(all.into_iter().map(need).collect())
}

impl Prime {
    /// The record for a program; `rules` are the words for an agent.
    pub fn record(&self, rules: &[String]) -> Value {
        json!({
            "agent": self.agent,
            "role": self.role.name(),
            "factory": self.factory,
            "assignment": self.assignment.record(),
            "work_order": self.order,
            "message": self.message.as_ref().map(mail::record),
            "unread": self.unread.iter().map(mail::record).collect::<Vec<_>>(),
            "rules": rules,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_says_the_role() {
        let role = |a: &str| Role::of(&a.parse().unwrap()).name();
        assert_eq!(role("ceo"), "ceo");
        assert_eq!(role("app/workers/slot0"), "worker");
        assert_eq!(role("app/qa/judge"), "qa");
        assert_eq!(role("app/teams/docs"), "agent");
        assert_eq!(role("supervisor"), "agent", "a role belongs to a factory");
    }
}
