//! Lists of work orders: which ones, in which order, and as much of each as is shown.
//!
//! A list hands over one row after the other and keeps none: a state of any size is listed in the same memory.

use rusqlite::{OptionalExtension, Row, ToSql, params_from_iter};

use super::cache::Cache;
use super::error::{Result, StoreError};
use super::fold::parse;
use super::view::View;
use crate::domain::causal::Folded;
use crate::domain::order::{Conflict, Order};

/// A work order's row: what lists show, and the whole record as JSON.
#[derive(Debug, Clone, PartialEq)]
pub struct OrderRow {
    pub id: String,
    pub status: String,
    pub title: String,
    pub ready: bool,
    /// The ids that it waits for.
    pub waits: Vec<String>,
    /// The fields on which concurrent writers disagree, as `wo show` gives them.
    pub disputed: Vec<Conflict>,
    /// The record of FORMATS as one line of JSON.
    pub record: String,
}

/// What a table shows of an order.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Line<'a> {
    pub id: &'a str,
    pub status: &'a str,
    pub priority: i64,
    pub issue_type: &'a str,
    pub assignee: Option<&'a str>,
    /// Milliseconds since the epoch.
    pub updated: i64,
    pub conflicts: i64,
    pub title: &'a str,
    /// The ids that it waits for, as a JSON array; `None` where it waits for nothing.
    pub waits: Option<&'a str>,
}

/// A whole record, and what is computed beside it.
#[derive(Debug, Clone, PartialEq)]
pub struct Listed<'a> {
    pub id: &'a str,
    pub record: &'a str,
    pub ready: bool,
    /// See [`Line::waits`].
    pub waits: Option<&'a str>,
    pub disputed: Vec<Conflict>,
}

/// How a list of orders is sorted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Sort {
    /// Urgent first, then oldest first.
    #[default]
    Priority,
    /// Oldest first.
    Created,
    /// Newest change first.
    Updated,
    Title,
}

/// Which orders a list shows; everything `None` shows all.
#[derive(Debug, Clone, Default)]
pub struct Filter {
    pub statuses: Vec<String>,
    pub types: Vec<String>,
    pub priorities: Vec<i64>,
    pub assignee: Option<String>,
    pub label: Option<String>,
    pub parent: Option<String>,
    /// Created at or after, in milliseconds since the epoch.
    pub since: Option<i64>,
    /// Not changed since, in milliseconds since the epoch.
    pub older_than: Option<i64>,
    /// Words that all stand in title, description, labels or id.
    pub words: Vec<String>,
    pub sort: Sort,
    pub limit: Option<usize>,
}

/// A list that somebody asks for.
#[derive(Debug, Clone)]
pub enum Pick {
    Matching(Box<Filter>),
    /// What can be done now, urgent first, then oldest first; at most so many.
    Ready(Option<usize>),
    /// What is not closed and waits for others that are not.
    Blocked,
}

const BY_URGENCY: &str = " ORDER BY priority, created, id";

pub(super) const COLUMNS: &str = "id, status, title, ready, waits, rec, conflicts";
const LINE: &str = "id, status, priority, type, assignee, updated, conflicts, title, waits";
/// What is ready waits for nothing: its lines are read from the index alone.
const READY_LINE: &str = "id, status, priority, type, assignee, updated, conflicts, title, NULL";
const LISTED: &str = "rec, ready, waits, conflicts, id";

impl Cache {
    /// The conflicts of an order that has some.
    fn disputed(&self, id: &str, conflicts: i64) -> rusqlite::Result<Vec<Conflict>> {
        if conflicts == 0 {
            return Ok(Vec::new());
        }
        let mut q = self.db.prepare_cached("SELECT fold FROM folds WHERE id=?")?;
        let fold: Option<String> = q.query_row([id], |r| r.get(0)).optional()?;
        let order = fold.and_then(|t| parse::<Folded<Order>>(&t).ok());
        Ok(order.map(|f| f.state.conflicts()).unwrap_or_default())
    }
}

pub(super) fn order_row(cache: &Cache, r: &Row<'_>) -> rusqlite::Result<OrderRow> {
    let id: String = r.get(0)?;
    let waits: Option<String> = r.get(4)?;
    Ok(OrderRow {
        status: r.get(1)?,
        title: r.get(2)?,
        ready: r.get(3)?,
        waits: waits.and_then(|t| serde_json::from_str(&t).ok()).unwrap_or_default(),
        record: r.get(5)?,
        disputed: cache.disputed(&id, r.get(6)?)?,
        id,
    })
}

fn line<'r>(r: &'r Row<'_>) -> rusqlite::Result<Line<'r>> {
    Ok(Line {
        id: r.get_ref(0)?.as_str()?,
        status: r.get_ref(1)?.as_str()?,
        priority: r.get(2)?,
        issue_type: r.get_ref(3)?.as_str()?,
        assignee: r.get_ref(4)?.as_str_or_null()?,
        updated: r.get(5)?,
        conflicts: r.get(6)?,
        title: r.get_ref(7)?.as_str()?,
        waits: r.get_ref(8)?.as_str_or_null()?,
    })
}

fn listed<'r>(cache: &Cache, r: &'r Row<'_>) -> rusqlite::Result<Listed<'r>> {
    let id = r.get_ref(4)?.as_str()?;
    Ok(Listed {
        id,
        record: r.get_ref(0)?.as_str()?,
        ready: r.get(1)?,
        waits: r.get_ref(2)?.as_str_or_null()?,
        disputed: cache.disputed(id, r.get(3)?)?,
    })
}

impl View<'_> {
    pub fn order_row(&self, id: &str) -> Result<Option<OrderRow>> {
        let sql = format!("SELECT {COLUMNS} FROM orders WHERE id=? AND shown");
        let mut q = self.cache.db.prepare_cached(&sql)?;
        Ok(q.query_row([id], |r| order_row(self.cache, r)).optional()?)
    }

    /// Hands over the lines of a list.
    pub fn each_line(&self, pick: &Pick, mut take: impl FnMut(Line<'_>)) -> Result<()> {
        let columns = if matches!(pick, Pick::Ready(_)) { READY_LINE } else { LINE };
        self.each(columns, pick, |r| {
            take(line(r)?);
            Ok(())
        })
    }

    /// Hands over the whole records of a list.
    pub fn each_record(&self, pick: &Pick, mut take: impl FnMut(Listed<'_>)) -> Result<()> {
        self.each(LISTED, pick, |r| {
            take(listed(self.cache, r)?);
            Ok(())
        })
    }

    /// The rows of a list; for few.
    pub fn rows(&self, pick: &Pick) -> Result<Vec<OrderRow>> {
        let mut all = Vec::new();
        self.each(COLUMNS, pick, |r| {
            all.push(order_row(self.cache, r)?);
            Ok(())
        })?;
        Ok(all)
    }

    fn each(&self, columns: &str, pick: &Pick, mut take: impl FnMut(&Row<'_>) -> rusqlite::Result<()>) -> Result<()> {
        let (sql, args) = question(columns, pick);
        let mut q = self.cache.db.prepare(&sql)?;
        let mut rows = q.query(params_from_iter(args.iter().map(|a| &**a)))?;
        while let Some(r) = rows.next().map_err(StoreError::from)? {
            take(r)?;
        }
        Ok(())
    }

    /// The ids that an order waits for and that are not closed.
    pub fn open_blockers(&self, id: &str) -> Result<Vec<String>> {
        Ok(self.order_row(id)?.map(|r| r.waits).unwrap_or_default())
    }
}

/// A value of a question.
type Argument = Box<dyn ToSql>;

fn question(columns: &str, pick: &Pick) -> (String, Vec<Argument>) {
    match pick {
        Pick::Matching(filter) => matching(columns, filter),
        Pick::Ready(limit) => {
            let most = limit.and_then(|l| i64::try_from(l).ok()).unwrap_or(-1);
            let sql = format!("SELECT {columns} FROM orders WHERE ready=1{BY_URGENCY} LIMIT ?");
            (sql, vec![Box::new(most)])
        }
        Pick::Blocked => {
            let sql = format!(
                "SELECT {columns} FROM orders WHERE +waits IS NOT NULL AND status<>'closed' AND shown{BY_URGENCY}"
            );
            (sql, Vec::new())
        }
    }
}

fn matching(columns: &str, f: &Filter) -> (String, Vec<Argument>) {
    let mut sql = format!("SELECT {columns} FROM orders WHERE shown");
    let mut args: Vec<Argument> = Vec::new();
    let mut any_of = |column: &str, values: Vec<Argument>| {
        if !values.is_empty() {
            let marks = vec!["?"; values.len()].join(",");
            sql.push_str(&format!(" AND {column} IN ({marks})"));
            args.extend(values);
        }
    };
    let texts = |v: &[String]| v.iter().map(|s| Box::new(s.clone()) as Argument).collect();
    any_of("status", texts(&f.statuses));
    any_of("type", texts(&f.types));
    any_of("priority", f.priorities.iter().map(|p| Box::new(*p) as Argument).collect());
    any_of("assignee", texts(f.assignee.as_slice()));
    any_of("parent", texts(f.parent.as_slice()));
    let mut and = |condition: &str, value: Argument| {
        sql.push_str(" AND ");
        sql.push_str(condition);
        args.push(value);
    };
    if let Some(label) = &f.label {
        and("EXISTS(SELECT 1 FROM json_each(rec, '$.labels') l WHERE l.value=?)", Box::new(label.clone()));
    }
    if let Some(ms) = f.since {
        and("created >= ?", Box::new(ms));
    }
    if let Some(ms) = f.older_than {
        and("updated < ?", Box::new(ms));
    }
    for word in &f.words {
        let pattern = format!("%{}%", word.replace('\\', "\\\\").replace('%', "\\%").replace('_', "\\_"));
        and(
            "(title || char(10) || id || char(10) || coalesce(json_extract(rec,'$.description'),'') || char(10) ||
              coalesce(json_extract(rec,'$.labels'),'')) LIKE ? ESCAPE '\\'",
            Box::new(pattern),
        );
    }
    sql.push_str(match f.sort {
        Sort::Priority => BY_URGENCY,
        Sort::Created => " ORDER BY created, id",
        Sort::Updated => " ORDER BY updated DESC, id",
        Sort::Title => " ORDER BY title, id",
    });
    if let Some(limit) = f.limit {
        sql.push_str(&format!(" LIMIT {limit}"));
    }
    (sql, args)
}
