//! What waits for QA, and how it stands.

use serde::Serialize;
use serde_json::Value;

use super::fault::Fault;
use super::session::Session;
use crate::domain::OrderId;
use crate::domain::order::Order;
use crate::store::{Filter, Pick};

/// Work that was handed in.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Entry {
    pub work_order_id: OrderId,
    pub title: String,
    pub agent: Option<String>,
    pub commit: String,
    pub branch: String,
    pub priority: i64,
    /// When it was handed in.
    pub since: String,
    /// How often QA has sent it back.
    pub rejections: usize,
    #[serde(skip)]
    pub no_changes: bool,
}

/// Orders that were handed in and not settled, the most urgent first, then the earliest handed in.
pub fn queue(session: &mut Session) -> Result<Vec<Entry>, Fault> {
    let filter = Filter { statuses: vec!["in_progress".into(), "assigned".into(), "open".into()], ..Filter::default() };
    let view = session.view()?;
    let mut all = Vec::new();
    let mut handed_in: Vec<String> = Vec::new();
    view.each_record(&Pick::Matching(filter.into()), |l| {
        if l.record.contains("\"submitted\"") {
            handed_in.push(l.id.to_owned());
        }
    })?;
    for id in handed_in {
        let id: OrderId = id.parse()?;
        if let Some(order) = view.order(&id)? {
            all.extend(entry(&id, &order));
        }
    }
    all.sort_by(|a, b| (a.priority, &a.since, &a.work_order_id).cmp(&(b.priority, &b.since, &b.work_order_id)));
    Ok(all)
}

/// The entry of an order, where it was handed in.
pub fn entry(id: &OrderId, order: &Order) -> Option<Entry> {
    let text = |key: &str| order.metadata(key).and_then(Value::as_str).map(str::to_owned);
    let commit = text("submitted")?;
    Some(Entry {
        work_order_id: id.clone(),
        title: order.title().to_owned(),
        agent: order.assignee().map(str::to_owned),
        branch: text("branch").unwrap_or_default(),
        commit,
        priority: order.priority(),
        since: order.updated_at().to_string(),
        rejections: order.rejections.len(),
        no_changes: order.metadata("no_changes") == Some(&Value::Bool(true)),
    })
}
