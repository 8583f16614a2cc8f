//! Taking in assignment files that foreign writers wrote, emptied or removed.

use rusqlite::{OptionalExtension, params};
use serde_json::json;

use super::error::{Result, StoreError};
use super::tx::Tx;
use crate::domain::AgentId;
use crate::domain::assignment::Target;
use crate::domain::causal::Folded;
use crate::domain::event::Draft;
use crate::sys::fs::{self, Stamp};

/// The largest assignment file that is looked at, in bytes.
const LARGEST_ASSIGNMENT: u64 = 4096;
/// In the place of a file's stamp, before the time at which it was missed first.
const MISSING: &str = "missing since ";
/// By how much the time of a file may lag behind the clock, in milliseconds: systems count it in ticks.
const TICK_MS: i64 = 20;
/// The same where a file system keeps every other second only.
const WHOLE_SECONDS_MS: i64 = 2000;
/// How long it may take to remove everything below `.work`, in milliseconds.
const SWEEP_MS: i64 = 1000;

impl Tx<'_> {
    pub(super) fn adopt_assignments(&mut self) -> Result<()> {
        let names: Vec<String> = fs::list(&self.places.work)
            .map_err(StoreError::io("look into .work"))?
            .into_iter()
            .filter(|n| n.starts_with(".assignment-"))
            .collect();
        let known = self.known_files()?;
        for name in &names {
            let row = known.iter().find(|(n, ..)| n == name);
            self.adopt_assignment_file(name, row)?;
        }
        let taken_away = self.restored.log_was_gone || self.rebuilt || self.cache.was_swept(self.now_ms)?;
        for (name, agent, content, stamp) in known.iter().filter(|(n, ..)| !names.contains(n)) {
            if !taken_away && !content.is_empty() && !self.is_long_gone(name, stamp.as_deref())? {
                continue;
            }
            if taken_away {
                self.cache
                    .db
                    .prepare_cached("INSERT OR IGNORE INTO pending(subject) VALUES(?)")?
                    .execute([format!("assignment/{agent}")])?;
            } else if !content.is_empty() {
                self.adopt_target(&agent.parse().unwrap_or_else(|_| AgentId::foreign()), None)?;
            }
            self.cache.db.prepare_cached("DELETE FROM files WHERE name=?")?.execute([name])?;
        }
        Ok(())
    }

    /// Whether a file was missing a while ago already. Somebody who removes everything takes one file after the other: what
    /// is missed first may be the beginning of that, and then comes back with the log.
    fn is_long_gone(&self, name: &str, stamp: Option<&str>) -> Result<bool> {
        let since = stamp.and_then(|s| s.strip_prefix(MISSING)).and_then(|t| t.parse::<i64>().ok());
        if let Some(since) = since {
            return Ok(!(0..SWEEP_MS).contains(&(self.now_ms - since)));
        }
        let mut q = self.cache.db.prepare_cached("UPDATE files SET stamp=? WHERE name=?")?;
        q.execute(params![format!("{MISSING}{}", self.now_ms), name])?;
        Ok(false)
    }

    #[expect(clippy::type_complexity, reason = "the columns of one table, used by the function above alone")]
    fn known_files(&self) -> Result<Vec<(String, String, String, Option<String>)>> {
        let mut q = self.cache.db.prepare_cached("SELECT name, agent, content, stamp FROM files")?;
        let rows = q.query_map([], |r| Ok((r.get(0)?, r.get(1)?, r.get(2)?, r.get(3)?)))?;
        Ok(rows.collect::<std::result::Result<_, _>>()?)
    }

    fn adopt_assignment_file(
        &mut self,
        name: &str,
        row: Option<&(String, String, String, Option<String>)>,
    ) -> Result<()> {
        let path = self.places.work.join(name);
        let Some(stamp) = Stamp::of(&path).filter(|s| s.size <= LARGEST_ASSIGNMENT) else { return Ok(()) };
        let shown = serde_json::to_string(&stamp).unwrap_or_default();
        if row.is_some_and(|(_, _, _, s)| s.as_deref() == Some(&shown)) {
            return Ok(());
        }
        let bytes = fs::read(&path).map_err(StoreError::io(format!("read .work/{name}")))?;
        let content = String::from_utf8_lossy(&bytes).trim().to_owned();
        let agent = match row {
            Some((_, agent, ..)) => agent.parse().ok(),
            None => self.agent_of_file(name)?,
        };
        let Some(agent) = agent else {
            return self.set_aside(name, 1, &bytes, "no agent has an assignment file of this name");
        };
        if row.is_none_or(|(_, _, old, _)| *old != content) {
            let target = if content.is_empty() { None } else { content.parse::<Target>().ok() };
            if target.is_none() && !content.is_empty() {
                self.set_aside(name, 1, &bytes, "no assignment: write work_order:ID, mail:ID or process:ID")?;
            } else if !self.is_stale(&agent, &stamp)? && !self.is_put_back(&agent, target.as_ref())? {
                self.adopt_target(&agent, target)?;
            } else {
                self.cache
                    .db
                    .prepare_cached("INSERT OR IGNORE INTO pending(subject) VALUES(?)")?
                    .execute([format!("assignment/{agent}")])?;
            }
        }
        self.cache
            .db
            .prepare_cached("INSERT OR REPLACE INTO files(name, agent, content, stamp) VALUES(?,?,?,?)")?
            .execute(params![name, agent.as_str(), content, shown])?;
        Ok(())
    }

    /// Whether the file is older than what the events say: a projection that was not brought up to date, or that somebody put
    /// back. Where a clock ran ahead that cannot be told.
    fn is_stale(&mut self, agent: &AgentId, stamp: &Stamp) -> Result<bool> {
        let subject = format!("assignment/{agent}");
        let mut q = self.cache.db.prepare_cached("SELECT fold FROM others WHERE subject=?")?;
        let text: Option<String> = q.query_row([&subject], |r| r.get(0)).optional()?;
        let Some(text) = text else { return Ok(false) };
        let f: Folded<crate::domain::assignment::Assignment> = super::fold::parse(&text)?;
        let (file, event) = (stamp.mtime_ns / 1_000_000, f.last.at.millis());
        let exact = if file % 1000 == 0 { WHOLE_SECONDS_MS } else { TICK_MS };
        Ok(event <= self.now_ms && file + exact < event)
    }

    /// Whether the file came with a log that was replaced, and says what the agent's assignment was before: somebody put all of
    /// `.work` back, and gave its files the present time.
    fn is_put_back(&self, agent: &AgentId, target: Option<&Target>) -> Result<bool> {
        if !self.restored.log_was_replaced && !self.is_other_log {
            return Ok(false);
        }
        let events = super::fold::events_of(self.cache, &self.log, &format!("assignment/{agent}"))?;
        let said = |e: &crate::domain::event::Event| match e.kind.as_str() {
            "assignment.set" => Some(format!("{}:{}", e.text("ref_type")?, e.text("ref_id")?)),
            _ => None,
        };
        let now = target.map(Target::to_string);
        Ok(now.is_some() && events.iter().any(|e| said(e) == now))
    }

    fn adopt_target(&mut self, agent: &AgentId, target: Option<Target>) -> Result<()> {
        let current = self.assignment(agent)?.target();
        if current == target {
            return Ok(());
        }
        let draft = match (&target, &current) {
            (Some(t), _) => Draft::new(
                "assignment.set",
                &AgentId::foreign(),
                json!({"agent": agent, "ref_type": t.ref_type, "ref_id": t.ref_id, "adopted": true}),
            ),
            (None, old) => Draft::new(
                "assignment.cleared",
                &AgentId::foreign(),
                json!({"agent": agent, "previous_ref": old.as_ref().map(Target::to_string), "adopted": true}),
            ),
        };
        self.emit_adopted(&draft)?;
        Ok(())
    }

    /// Which agent an assignment file of this name belongs to: one we know, or what the name can only mean.
    fn agent_of_file(&mut self, name: &str) -> Result<Option<AgentId>> {
        for agent in self.view()?.agents()? {
            if agent.assignment_file() == name {
                return Ok(Some(agent));
            }
        }
        let plain = name.strip_prefix(".assignment-").unwrap_or_default();
        Ok(guess_agent(plain))
    }
}

/// An agent from a file name in which `-` stands for `/`: the known roles first, then a name of one part.
fn guess_agent(plain: &str) -> Option<AgentId> {
    for (mark, path) in [("-workers-", "/workers/"), ("-qa-", "/qa/"), ("-teams-", "/teams/")] {
        if let Some((factory, rest)) = plain.rsplit_once(mark) {
            return format!("{factory}{path}{rest}").parse().ok();
        }
    }
    for role in ["supervisor", "qa"] {
        if let Some(factory) = plain.strip_suffix(role).and_then(|f| f.strip_suffix('-')) {
            return format!("{factory}/{role}").parse().ok();
        }
    }
    plain.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_name_leads_back_to_its_agent() {
        for agent in ["ceo", "my-app/workers/slot2", "my-app/supervisor", "my-app/qa", "my-app/qa/judge", "a/teams/x-y"]
        {
            let id: AgentId = agent.parse().unwrap();
            let plain = id.assignment_file();
            assert_eq!(guess_agent(plain.strip_prefix(".assignment-").unwrap()), Some(id));
        }
    }

    #[test]
    fn what_a_replaced_file_gained_is_taken_in_again_where_recording_it_failed() {
        let (_dir, mut store) = crate::store::fresh();
        let (folder, now) = (store.places.retired(), crate::sys::clock::now_millis());
        fs::create_dir_all(&folder).unwrap();
        let lines = [("wo-py1", now), ("wo-py2", now - 60_000)];
        for (id, since) in lines {
            let line = format!("{{\"id\":\"{id}\",\"title\":\"Theirs\"}}\n");
            fs::replace(&folder.join(format!("orders-1-0-{since}")), line.as_bytes()).unwrap();
        }
        let cache = store.cache.as_ref().unwrap();
        cache.begin().unwrap();
        let mut tx = Tx::begin(&store, cache, crate::store::places::Restored::default()).unwrap();
        tx.see_tip(store.tip().unwrap());
        tx.catch_up().unwrap();
        tx.adopt().unwrap();
        assert_eq!(tx.unsaved.len(), 2);
        drop(tx);
        cache.rollback();
        for (id, _) in lines {
            assert!(store.view().unwrap().order(&id.parse().unwrap()).unwrap().is_some(), "{id}");
        }
        assert!(fs::list(&folder).unwrap().iter().all(|n| !n.ends_with(&format!("-0-{now}"))));
    }
}
