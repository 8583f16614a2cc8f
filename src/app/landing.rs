//! Whether work has landed: computed from ancestry each time it is asked, never believed.

use serde_json::{Map, Value, json};

use super::fault::Fault;
use super::session::Session;
use crate::domain::order::Order;

/// Adds `merged`, `merge_commit`, `base` and `commits` to a record.
pub fn add_computed(session: &mut Session, order: &Order, map: &mut Map<String, Value>) -> Result<(), Fault> {
    let landing = order.landings.last();
    let repo = session.store.repo();
    let merged = landing.map(|l| {
        let commit = crate::git::objects::parse_oid(&l.commit);
        let base = repo.ref_target(&format!("refs/heads/{}", l.base)).ok().flatten();
        match (commit, base) {
            (Some(c), Some(b)) => c == b || repo.merge_base(c, b) == Some(c),
            _ => false,
        }
    });
    map.insert("merged".into(), merged.unwrap_or(false).into());
    if let Some(l) = landing {
        map.insert("merge_commit".into(), l.commit.clone().into());
        map.insert("base".into(), l.base.clone().into());
    }
    map.insert("commits".into(), super::commits::of_order(session, order)?.into_iter().map(|c| json!(c)).collect());
    Ok(())
}
