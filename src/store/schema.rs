//! The cache's tables. A change here raises [`VERSION`], and every cache of another version is made anew.
//!
//! Orders lie in the order in which lists show them, each with its finished record and nothing else that is long: a list
//! reads one page after the other. What only the rules need of an order is in `folds`.

/// Kept in `PRAGMA user_version`.
pub const VERSION: i64 = 10;

pub const CREATE: &str = "
CREATE TABLE meta(k TEXT PRIMARY KEY, v) WITHOUT ROWID;
CREATE TABLE events(off INTEGER PRIMARY KEY, len INTEGER NOT NULL, id TEXT NOT NULL, sum INTEGER NOT NULL,
    subject TEXT, home TEXT);
CREATE INDEX events_id ON events(id);
CREATE INDEX events_subject ON events(subject) WHERE subject IS NOT NULL;
CREATE INDEX events_home ON events(home) WHERE home IS NOT NULL;
CREATE INDEX events_loose ON events(off) WHERE home IS NULL;
CREATE TABLE segments(path TEXT PRIMARY KEY, oid TEXT NOT NULL) WITHOUT ROWID;
CREATE TABLE orders(priority INTEGER NOT NULL, created INTEGER NOT NULL, id TEXT NOT NULL, status TEXT NOT NULL,
    type TEXT NOT NULL, assignee TEXT, updated INTEGER NOT NULL, ready INTEGER NOT NULL, conflicts INTEGER NOT NULL,
    shown INTEGER NOT NULL, parent TEXT, title TEXT NOT NULL, waits TEXT, proj INTEGER, rec TEXT NOT NULL,
    PRIMARY KEY(priority, created, id)) WITHOUT ROWID;
CREATE UNIQUE INDEX orders_id ON orders(id);
CREATE INDEX orders_ready ON orders(priority, created, id, status, type, assignee, updated, conflicts, title)
    WHERE ready = 1;
CREATE INDEX orders_waiting ON orders(status) WHERE waits IS NOT NULL;
CREATE INDEX orders_disputed ON orders(updated) WHERE conflicts > 0;
CREATE INDEX orders_status ON orders(status) WHERE shown = 1;
CREATE INDEX orders_assignee ON orders(assignee) WHERE assignee IS NOT NULL;
CREATE TABLE folds(id TEXT PRIMARY KEY, fold TEXT NOT NULL);
CREATE TABLE deps(id TEXT NOT NULL, dep TEXT NOT NULL, PRIMARY KEY(id, dep)) WITHOUT ROWID;
CREATE INDEX deps_dep ON deps(dep);
CREATE TABLE messages(id TEXT PRIMARY KEY, recipient TEXT NOT NULL, unread INTEGER NOT NULL, archived INTEGER NOT NULL,
    rank INTEGER NOT NULL, ts INTEGER NOT NULL, rec TEXT NOT NULL, fold TEXT NOT NULL, proj INTEGER,
    shown INTEGER NOT NULL);
CREATE INDEX messages_inbox ON messages(recipient, archived, unread, rank, ts);
CREATE TABLE others(subject TEXT PRIMARY KEY, fold TEXT NOT NULL) WITHOUT ROWID;
CREATE TABLE files(name TEXT PRIMARY KEY, agent TEXT NOT NULL, content TEXT NOT NULL, stamp TEXT) WITHOUT ROWID;
CREATE TABLE texts(path TEXT PRIMARY KEY, stamp TEXT NOT NULL) WITHOUT ROWID;
CREATE TABLE pending(subject TEXT PRIMARY KEY) WITHOUT ROWID;
";

/// Empties every table; the structure stays.
pub const CLEAR: &str = "
DELETE FROM meta; DELETE FROM events; DELETE FROM segments; DELETE FROM orders; DELETE FROM folds;
DELETE FROM deps; DELETE FROM messages;
DELETE FROM others; DELETE FROM files; DELETE FROM texts; DELETE FROM pending;
";
