//! From a set of events to the bytes of the projections: what the store keeps up to date, made in one go.

use std::collections::BTreeMap;

use super::json;
use crate::domain::assignment::Assignment;
use crate::domain::causal::{Folded, fold};
use crate::domain::event::Event;
use crate::domain::message::Message;
use crate::domain::order::Order;
use crate::domain::{AgentId, OrderId};

/// Everything that events of all subjects add up to.
#[derive(Debug, Clone, Default)]
pub struct Projection {
    pub orders: BTreeMap<OrderId, Order>,
    pub messages: Vec<Message>,
    pub assignments: Vec<Assignment>,
}

/// Folds events given in any order; the same event twice counts once.
pub fn of(events: &[Event]) -> Projection {
    let mut subjects: BTreeMap<String, Vec<&Event>> = BTreeMap::new();
    for e in events {
        if let Some(s) = e.subject() {
            subjects.entry(s).or_default().push(e);
        }
    }
    let mut all = Projection::default();
    for (subject, events) in subjects {
        let events = || events.iter().map(|e| (*e).clone()).collect();
        match subject.split_once('/') {
            Some(("order", id)) => {
                let f: Folded<Order> = fold(events());
                if let (true, Ok(id)) = (f.state.created, id.parse()) {
                    all.orders.insert(id, f.state);
                }
            }
            Some(("mail", _)) => {
                let f: Folded<Message> = fold(events());
                all.messages.extend(Some(f.state).filter(|m| m.sent));
            }
            Some(("assignment", _)) => {
                let f: Folded<Assignment> = fold(events());
                all.assignments.push(f.state);
            }
            _ => {}
        }
    }
    all
}

impl Projection {
    /// `work_orders.jsonl`, oldest first.
    pub fn orders_bytes(&self) -> Vec<u8> {
        let mut list: Vec<&Order> = self.orders.values().collect();
        list.sort_by_cached_key(|o| (o.created_at().millis(), o.id.clone()));
        list.iter().flat_map(|o| (json::line(&o.record()) + "\n").into_bytes()).collect()
    }

    /// `messages.jsonl`, oldest first.
    pub fn messages_bytes(&self) -> Vec<u8> {
        let mut list: Vec<&Message> = self.messages.iter().collect();
        list.sort_by_cached_key(|m| (m.timestamp.millis(), m.id.clone()));
        list.iter().flat_map(|m| (json::line(&m.record()) + "\n").into_bytes()).collect()
    }

    /// The assignment files that there should be, by name.
    pub fn assignment_files(&self) -> BTreeMap<String, String> {
        let file = |a: &Assignment| {
            let agent: AgentId = a.agent.parse().ok()?;
            Some((agent.assignment_file(), format!("{}\n", a.target()?)))
        };
        self.assignments.iter().filter_map(file).collect()
    }
}
