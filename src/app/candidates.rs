//! The live names a shell may complete: ids of work orders, mails, agents and so on, each with its title.
//!
//! Whoever can read the state registers one provider before a completion is answered; without one there are no
//! candidates, which is also the answer outside a repository. A provider never fails and never writes: a shell waits.

use std::sync::OnceLock;

/// What sort of name an argument takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Kind {
    WorkOrder,
    Mail,
    Agent,
    Slot,
    Sprint,
    Process,
    Template,
    EventType,
    Setting,
    /// A moment in the past: times, and the newest commits of the state branch.
    Point,
    /// The newest commits of the state branch.
    Commit,
    /// What an assignment may point at: work orders and mail.
    Target,
}

/// Gives the names of a kind that begin with the second argument, each with its title (which may be empty).
pub type Provider = fn(Kind, &str) -> Vec<(String, String)>;

static PROVIDER: OnceLock<Provider> = OnceLock::new();

/// Names the provider, once per process; a second call changes nothing.
pub fn register(provider: Provider) {
    let _ = PROVIDER.set(provider);
}

/// The names of this kind that begin with `prefix`.
pub fn of(kind: Kind, prefix: &str) -> Vec<(String, String)> {
    PROVIDER.get().map(|provider| provider(kind, prefix)).unwrap_or_default()
}
