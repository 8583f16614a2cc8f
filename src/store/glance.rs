//! Short looks at the state: names to complete, and what a summary counts.

use rusqlite::params;

use super::error::Result;
use super::lists::{COLUMNS, OrderRow, order_row};
use super::view::View;

/// Where the names that begin with a prefix end.
fn end(prefix: &str) -> String {
    format!("{prefix}\u{10ffff}")
}

impl View<'_> {
    /// Work orders whose id begins with `prefix`, with their titles: what is not closed first, then the latest changed.
    pub fn order_names(&self, prefix: &str, most: u32) -> Result<Vec<(String, String)>> {
        let sql = "SELECT id, title FROM orders WHERE id >= ?1 AND id < ?2 AND shown
                   ORDER BY status='closed', updated DESC, id LIMIT ?3";
        self.names(sql, prefix, most)
    }

    /// Messages whose id begins with `prefix`, with their subjects: unread first, then the newest.
    pub fn message_names(&self, prefix: &str, most: u32) -> Result<Vec<(String, String)>> {
        let sql = "SELECT id, coalesce(json_extract(rec, '$.subject'), '') FROM messages
                   WHERE id >= ?1 AND id < ?2 AND shown ORDER BY archived, unread=0, ts DESC, id LIMIT ?3";
        self.names(sql, prefix, most)
    }

    fn names(&self, sql: &str, prefix: &str, most: u32) -> Result<Vec<(String, String)>> {
        let mut q = self.cache.db.prepare_cached(sql)?;
        let rows = q.query_map(params![prefix, end(prefix), most], |r| Ok((r.get(0)?, r.get(1)?)))?;
        Ok(rows.collect::<std::result::Result<_, _>>()?)
    }

    /// The subjects that begin with `prefix` (`process/proc-3`), in order, at most `most`.
    pub fn subjects(&self, prefix: &str, most: u32) -> Result<Vec<String>> {
        let mut q = self.cache.db.prepare_cached(
            "SELECT DISTINCT subject FROM events WHERE subject >= ?1 AND subject < ?2 ORDER BY subject LIMIT ?3",
        )?;
        let rows = q.query_map(params![prefix, end(prefix), most], |r| r.get(0))?;
        Ok(rows.collect::<std::result::Result<_, _>>()?)
    }

    /// How many orders that are not closed wait for others that are not.
    pub fn count_blocked(&self) -> Result<i64> {
        let sql = "SELECT count(*) FROM orders WHERE waits IS NOT NULL AND status<>'closed' AND shown";
        Ok(self.cache.db.query_row(sql, [], |r| r.get(0))?)
    }

    /// Orders on which concurrent writers disagree, the latest changed first.
    pub fn conflicted(&self, most: u32) -> Result<Vec<OrderRow>> {
        let sql = format!("SELECT {COLUMNS} FROM orders WHERE conflicts>0 AND shown ORDER BY updated DESC, id LIMIT ?");
        let mut q = self.cache.db.prepare_cached(&sql)?;
        Ok(q.query_map([most], |r| order_row(self.cache, r))?.collect::<std::result::Result<_, _>>()?)
    }
}
