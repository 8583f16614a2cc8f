//! What may be done with mail.

use serde_json::{Map, Value, json};

use crate::domain::event::Draft;
use crate::domain::id::{AgentId, RefId};
use crate::domain::message::{MESSAGE_TYPES, Message, PRIORITIES};
use crate::domain::refusal::Refusal;
use crate::domain::text::{body_fault, is_steering, quoted};
use crate::domain::time::Timestamp;

/// The wish to send something.
#[derive(Debug, Clone)]
pub struct NewMail {
    pub to: AgentId,
    pub subject: String,
    pub body: String,
    pub message_type: Option<String>,
    pub priority: Option<String>,
    pub metadata: Map<String, Value>,
    pub allow_secret: bool,
}

/// The longest subject, in characters.
const LONGEST_SUBJECT: usize = 200;

/// Sends a message; `known` tells whether the recipient has ever been heard of here.
pub fn send(id: &RefId, wish: &NewMail, from: &AgentId, known: bool) -> Result<Vec<Draft>, Refusal> {
    let length = wish.subject.chars().count();
    if wish.subject.trim().is_empty() || length > LONGEST_SUBJECT || wish.subject.chars().any(is_steering) {
        return Err(Refusal::usage(format!(
            "a subject is one line of 1 to {LONGEST_SUBJECT} characters without control characters"
        )));
    }
    if let Some(fault) = body_fault("the body", &wish.body) {
        return Err(Refusal::usage(fault));
    }
    super::order::check_secret("the message", &wish.subject, wish.allow_secret)?;
    super::order::check_secret("the message", &wish.body, wish.allow_secret)?;
    if let Some(t) = wish.message_type.as_deref().filter(|t| !MESSAGE_TYPES.contains(t)) {
        return Err(Refusal::usage(format!("{} is no message type", quoted(t)))
            .hint(format!("use one of: {}, or none", MESSAGE_TYPES.join(", "))));
    }
    let priority = wish.priority.as_deref().unwrap_or("normal");
    if !PRIORITIES.contains(&priority) {
        return Err(Refusal::usage(format!("{} is no priority of mail", quoted(priority)))
            .hint(format!("use one of: {}", PRIORITIES.join(", "))));
    }
    let mut metadata = wish.metadata.clone();
    if !known {
        metadata.insert("undeliverable".to_owned(), true.into());
    }
    let data = json!({
        "message_id": id, "from": from, "to": wish.to, "subject": wish.subject, "body": wish.body,
        "message_type": wish.message_type, "priority": priority, "metadata": metadata,
    });
    Ok(vec![Draft::new("mail.sent", from, data)])
}

/// Marks as read, once; reading again changes nothing.
pub fn read(message: &Message, id: &RefId, reader: &AgentId, now: Timestamp) -> Vec<Draft> {
    if message.read_at.is_some() {
        return Vec::new();
    }
    vec![Draft::new("mail.read", reader, json!({"message_id": id, "reader": reader, "read_at": now}))]
}

pub fn archive(message: &Message, id: &RefId, actor: &AgentId) -> Vec<Draft> {
    if message.archived {
        return Vec::new();
    }
    vec![Draft::new("mail.archived", actor, json!({"message_id": id}))]
}
