//! Making everything derived anew from the log and the branch.

use super::adopt::Table;
use super::cache::Cache;
use super::error::{Result, StoreError};
use super::open::Store;
use crate::sys::fs;

/// What a rebuilt state holds.
#[derive(Debug, Clone, Default, PartialEq, Eq, serde::Serialize)]
pub struct Rebuilt {
    pub events: i64,
    pub orders: i64,
    pub messages: i64,
    /// Events that only the log had, and that went to the branch now.
    pub published: i64,
}

impl Store {
    /// Throws the cache away and makes it anew, then writes the projections. What foreign writers left is taken in first. A
    /// branch that cannot be read to its beginning is mended, as it is by any publishing that cannot read its tip.
    ///
    /// Nothing is lost by a crash at any point: the next command goes on where this one was.
    pub fn rebuild(&mut self) -> Result<Rebuilt> {
        if let Err(StoreError::Cache { .. }) = self.read_anew() {
            // A file that cannot even be emptied is no cache: another takes its place.
            self.drop_cache()?;
            self.read_anew()?;
        }
        let published = self.present()?.count_loose()?;
        let _lock = self.lock_publishing()?;
        self.thorough = true;
        let done = self.publish_locked(false);
        self.thorough = false;
        done?;
        self.clear_leftovers()?;
        let view = self.present()?;
        Ok(Rebuilt {
            events: view.count_events()?,
            orders: view.count_by("status")?.values().sum(),
            messages: i64::try_from(view.messages()?.len()).unwrap_or(i64::MAX),
            published,
        })
    }

    /// What is wrong with the cache; `None` where it is sound, or not there yet.
    pub fn cache_fault(&self) -> Option<String> {
        let Some(cache) = &self.cache else {
            return fs::exists(&self.places.cache()).then(|| "it cannot be opened".to_owned());
        };
        let answer = cache.db.query_row("PRAGMA quick_check(1)", [], |r| r.get::<_, String>(0));
        match answer {
            Ok(text) if text == "ok" => None,
            Ok(text) => Some(text),
            Err(e) => Some(e.to_string()),
        }
    }

    fn read_anew(&mut self) -> Result<()> {
        self.rebuild = true;
        self.with_state(|tx| {
            for table in Table::BOTH {
                tx.cache.set_meta(table.rewrite_key(), "1")?;
            }
            tx.finish().map(|_| ())
        })
    }

    /// Removes the cache with its journal, which would be played back into the next one.
    pub fn drop_cache(&mut self) -> Result<()> {
        self.cache = None;
        let _lock = self.lock_state()?;
        Cache::discard(&self.places.cache())
    }
}
