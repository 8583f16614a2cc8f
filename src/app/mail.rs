//! Mail between agents and people: sending, reading, putting away, and handing over to oneself.

use serde_json::Value;

use super::assignments;
use super::fault::Fault;
use super::session::Session;
use crate::domain::assignment::Target;
use crate::domain::decide::mail as decide;
use crate::domain::message::Message;
use crate::domain::{AgentId, OrderId, RefId};
use crate::store::{Tx, View};

pub use crate::domain::decide::mail::NewMail;

/// The record of a message, with what the record of FORMATS leaves out.
pub fn record(message: &Message) -> Value {
    let mut map = message.record();
    map.insert("archived".into(), message.archived.into());
    Value::Object(map)
}

fn missing(id: &RefId) -> Fault {
    Fault::not_found(format!("there is no message {id}")).hint("see them all: git vermas mail list")
}

fn require(tx: &mut Tx<'_>, id: &RefId) -> Result<Message, Fault> {
    tx.message(id)?.ok_or_else(|| missing(id))
}

/// Sends a message. For a recipient that nobody has heard of it is stored as undeliverable, and the sender is told.
pub fn send(session: &mut Session, wish: &NewMail) -> Result<Message, Fault> {
    let slots = session.slots();
    let known = session.store.is_known_agent(&wish.to, slots)?;
    let actor = session.actor.clone();
    let message = session.write(|tx| {
        let id = tx.new_id("msg");
        tx.emit_all(&decide::send(&id, wish, &actor, known)?)?;
        require(tx, &id)
    })?;
    if !known {
        session.warn(format!(
            "nobody has heard of {} here: {} is kept as undeliverable until an agent of that name reads it",
            wish.to, message.id
        ));
    }
    Ok(message)
}

/// An agent's mail: urgent first, then oldest first.
pub fn inbox(session: &mut Session, agent: &AgentId, unread: bool, archived: bool) -> Result<Vec<Message>, Fault> {
    Ok(session.view()?.inbox(agent, unread, archived)?)
}

/// A message in full. Where its recipient reads it, it counts as read from then on; a disk that cannot be written keeps
/// nobody from reading.
pub fn read(session: &mut Session, text: &str, peek: bool) -> Result<Message, Fault> {
    let id = session.message_id(text)?;
    let message = session.view()?.message(&id)?.ok_or_else(|| missing(&id))?;
    let reader = session.actor.clone();
    if peek || session.store.point().is_some() || message.to != reader.as_str() || message.read_at.is_some() {
        return Ok(message);
    }
    let noted = session.write(|tx| {
        let now = tx.now();
        let drafts = decide::read(&require(tx, &id)?, &id, &reader, now);
        tx.emit_all(&drafts)?;
        require(tx, &id)
    });
    noted.or_else(|e| {
        session.warn(format!("it could not be recorded that {id} was read: {e}"));
        Ok(message)
    })
}

/// Puts messages away, all or none. Gives each with whether that changed anything.
pub fn archive(session: &mut Session, ids: &[String]) -> Result<Vec<(RefId, bool)>, Fault> {
    let mut all: Vec<RefId> = Vec::with_capacity(ids.len());
    for text in ids {
        let id = session.message_id(text)?;
        if !all.contains(&id) {
            all.push(id);
        }
    }
    let actor = session.actor.clone();
    session.write(|tx| {
        let mut done = Vec::with_capacity(all.len());
        for id in all {
            let drafts = decide::archive(&require(tx, &id)?, &id, &actor);
            tx.emit_all(&drafts)?;
            done.push((id, !drafts.is_empty()));
        }
        Ok(done)
    })
}

/// Which messages a list shows; everything `None` shows all.
#[derive(Debug, Clone, Default)]
pub struct Filter {
    pub to: Option<AgentId>,
    pub from: Option<AgentId>,
    pub message_type: Option<String>,
    pub unread: bool,
}

/// Mail of all agents, oldest first, what was put away included.
pub fn list(session: &mut Session, filter: &Filter) -> Result<Vec<Message>, Fault> {
    let is = |wanted: &Option<AgentId>, has: &str| wanted.as_ref().is_none_or(|w| w.as_str() == has);
    let mut all = session.view()?.messages()?;
    all.retain(|m| {
        is(&filter.to, &m.to)
            && is(&filter.from, &m.from)
            && filter.message_type.as_ref().is_none_or(|t| m.message_type.as_ref() == Some(t))
            && !(filter.unread && m.read_at.is_some())
    });
    Ok(all)
}

/// The type of mail that an agent leaves for the session that comes after it.
pub const HANDOFF: &str = "HANDOFF";
/// The metadata of a handoff that names what the agent had to do until then.
pub const PREVIOUS: &str = "previous_assignment";

/// Leaves a message to oneself and makes it one's assignment, in one change, so that neither is there without the other.
/// The assignment that it takes the place of is named in the message.
pub fn handoff(session: &mut Session, subject: &str, body: &str, allow_secret: bool) -> Result<Message, Fault> {
    let actor = session.actor.clone();
    session.write(|tx| {
        let id = tx.new_id("msg");
        let mut metadata = serde_json::Map::new();
        if let Some(previous) = previous(tx, &actor)? {
            metadata.insert(PREVIOUS.to_owned(), previous.to_string().into());
        }
        let wish = NewMail {
            to: actor.clone(),
            subject: subject.to_owned(),
            body: body.to_owned(),
            message_type: Some(HANDOFF.to_owned()),
            priority: None,
            metadata,
            allow_secret,
        };
        tx.emit_all(&decide::send(&id, &wish, &actor, true)?)?;
        let target = Target { ref_type: "mail".to_owned(), ref_id: id.clone() };
        assignments::set_in(tx, &actor, &target, &actor, true)?;
        require(tx, &id)
    })
}

/// What a handoff takes the place of. After several in a row that is still the work, and not the handoff before.
fn previous(tx: &mut Tx<'_>, agent: &AgentId) -> Result<Option<Target>, Fault> {
    let target = tx.assignment(agent)?.target();
    through_handoff(target, |id| Ok(tx.message(id)?))
}

/// The order that an agent has in hand: its assignment, or what the handoff is about that is its assignment.
pub fn order_in_hand(tx: &mut Tx<'_>, agent: &AgentId) -> Result<Option<OrderId>, Fault> {
    Ok(previous(tx, agent)?.filter(|t| t.ref_type == "work_order").map(|t| t.ref_id))
}

/// Like [`order_in_hand`], for whoever only looks.
pub fn order_in_hand_of(view: &View<'_>, agent: &AgentId) -> Result<Option<OrderId>, Fault> {
    let target = through_handoff(view.assignment(agent)?.target(), |id| Ok(view.message(id)?))?;
    Ok(target.filter(|t| t.ref_type == "work_order").map(|t| t.ref_id))
}

fn through_handoff(
    target: Option<Target>,
    mut message: impl FnMut(&RefId) -> Result<Option<Message>, Fault>,
) -> Result<Option<Target>, Fault> {
    let Some(mail) = target.as_ref().filter(|t| t.ref_type == "mail") else { return Ok(target) };
    let earlier = message(&mail.ref_id)?.as_ref().and_then(work_before);
    Ok(earlier.or(target))
}

/// The work that a handoff is about.
pub fn work_before(message: &Message) -> Option<Target> {
    let is_handoff = message.message_type.as_deref() == Some(HANDOFF);
    message.metadata.get(PREVIOUS).filter(|_| is_handoff)?.as_str()?.parse().ok()
}
