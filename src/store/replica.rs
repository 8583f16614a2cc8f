//! This clone's own name, under which its events are kept on the branch.

use super::error::{Result, StoreError};
use super::places::Places;
use crate::domain::crockford;
use crate::sys::{fs, random};
use crate::wire::segment;

/// The id in force, made where there is none.
pub fn current(places: &Places) -> Result<String> {
    let text = fs::read_if_there(&places.replica()).map_err(StoreError::io("read the replica id"))?;
    let id = text.map(|b| String::from_utf8_lossy(&b).trim().to_owned()).unwrap_or_default();
    if segment::is_replica(&id) { Ok(id) } else { renew(places) }
}

/// Takes a new id: for a fresh clone, one that was copied, or one whose folder has grown full.
pub fn renew(places: &Places) -> Result<String> {
    let id = crockford::encode(random::bits(), 10);
    fs::replace_durably(&places.replica(), format!("{id}\n").as_bytes())
        .map_err(StoreError::io("write the replica id"))?;
    Ok(id)
}
