//! This clone's own name, under which its events are kept on the branch.

use super::error::{Result, StoreError};
use super::places::Places;
use crate::domain::crockford;
use crate::sys::{fs, random};
use crate::wire::segment;

/// The id in force, made where there is none.
pub fn current(places: &Places) -> Result<String> {
    match own(places)?.into_iter().next() {
        Some(id) => Ok(id),
        None => renew(places),
    }
}

/// The id in force, and behind it those whose folders this clone has filled.
fn own(places: &Places) -> Result<Vec<String>> {
    let text = fs::read_if_there(&places.replica()).map_err(StoreError::io("read the replica id"))?.unwrap_or_default();
    let text = String::from_utf8_lossy(&text).into_owned();
    let ids: Vec<String> = text.lines().map(|l| l.trim().to_owned()).collect();
    // Of a file that something else stands in, nothing is believed.
    Ok(if ids.iter().all(|id| segment::is_replica(id)) { ids } else { Vec::new() })
}

/// Whether the segment with this path below `events/` was written by this clone.
pub fn is_own(places: &Places, home: &str) -> Result<bool> {
    let folder = home.split('/').next().unwrap_or_default();
    Ok(own(places)?.iter().any(|id| id == folder))
}

/// Takes a new id: for a fresh clone, or one that was copied.
pub fn renew(places: &Places) -> Result<String> {
    note(places, Vec::new())
}

/// Takes a new id because the folder of the present one is full. What stands there stays this clone's.
pub fn go_on(places: &Places) -> Result<String> {
    note(places, own(places)?)
}

fn note(places: &Places, former: Vec<String>) -> Result<String> {
    let id = crockford::encode(random::bits(), 10);
    let text: String = std::iter::once(&id).chain(&former).map(|id| format!("{id}\n")).collect();
    fs::replace_durably(&places.replica(), text.as_bytes()).map_err(StoreError::io("write the replica id"))?;
    Ok(id)
}
