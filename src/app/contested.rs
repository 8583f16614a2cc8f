//! Claims that came second: whoever made one here is told, by mail.

use serde_json::json;

use super::fault::Fault;
use super::session::Session;
use crate::domain::decide::mail::{self, NewMail};
use crate::domain::{AgentId, RefId};

/// At most so many orders are looked at.
const MOST: u32 = 1000;

/// Tells the agents of claims that were recorded on this clone and are contested now, each once. Those of other clones are
/// told there.
pub fn tell(session: &mut Session) -> Result<(), Fault> {
    let mut lost = Vec::new();
    let view = session.view()?;
    for row in view.conflicted(MOST)? {
        let Some(order) = row.id.parse().ok().map(|id| view.order(&id)).transpose()?.flatten() else { continue };
        for claim in order.contested() {
            // The same whenever it is looked at.
            let message = RefId::new("msg", crate::store::number_of(&claim.key.id));
            if view.message(&message)?.is_none() {
                let holder = order.assignee().unwrap_or_default().to_owned();
                lost.push((message, claim.clone(), order.id.clone(), holder));
            }
        }
    }
    if lost.is_empty() {
        return Ok(());
    }
    let supervisor = AgentId::supervisor(session.factory());
    session.write(|tx| {
        for (message, claim, order, holder) in &lost {
            let Ok(agent) = claim.agent.parse::<AgentId>() else { continue };
            if tx.is_from_elsewhere(&claim.key.id)? || tx.message(message)?.is_some() {
                continue;
            }
            let wish = NewMail {
                to: agent,
                subject: format!("{order} is held by {holder}, whose claim counts before yours"),
                body: format!(
                    "Both of you claimed it, on machines that had not met. Stop working on it.\n\
                     Give your claim up: git vermas wo release {order}\n\
                     What else is free: git vermas wo ready"
                ),
                message_type: Some("NUDGE".to_owned()),
                priority: Some("urgent".to_owned()),
                metadata: json!({"work_order_id": order, "claim": claim.key.id})
                    .as_object()
                    .cloned()
                    .unwrap_or_default(),
                allow_secret: true,
            };
            tx.emit_all(&mail::send(message, &wish, &supervisor, true)?)?;
        }
        Ok(())
    })
}
