//! Projections of a large state: one record is changed at a cost that does not depend on the others, and no reader ever
//! finds two halves of different lines.

use std::fs::File;
use std::io::{Read, Write};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use git_vermas::domain::decide::order::{self, NewOrder};
use git_vermas::domain::{AgentId, Draft, OrderId};
use git_vermas::git::Repo;
use git_vermas::store::{Store, StoreError, init};
use git_vermas::sys::readers;
use serde_json::{Value, json};

struct Place {
    _dir: tempfile::TempDir,
    path: PathBuf,
    ids: Vec<OrderId>,
}

fn git(dir: &Path, args: &[&str]) -> String {
    let out = Command::new("git").arg("-C").arg(dir).args(args).output().unwrap();
    assert!(out.status.success(), "git {args:?}: {}", String::from_utf8_lossy(&out.stderr));
    String::from_utf8_lossy(&out.stdout).into_owned()
}

impl Place {
    fn new() -> (Self, Store) {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("app");
        std::fs::create_dir(&path).unwrap();
        git(&path, &["init", "-q", "-b", "main"]);
        let (mut store, _) = init(Repo::discover(&path).unwrap(), None).unwrap();
        let create = |tx: &mut git_vermas::store::Tx<'_>| -> Result<Vec<OrderId>, StoreError> {
            let make = |n: usize| -> Result<OrderId, StoreError> {
                let wish = NewOrder { title: format!("order {n}"), ..NewOrder::default() };
                let id = tx.new_id("wo");
                tx.emit_all(&order::create(&id, &wish, &AgentId::ceo())?)?;
                Ok(id)
            };
            (0..500).map(make).collect()
        };
        let ids = store.write(create).unwrap().value;
        (Self { _dir: dir, path, ids }, store)
    }

    fn file(&self) -> PathBuf {
        self.path.join(".work/work_orders.jsonl")
    }

    fn inode(&self) -> u64 {
        std::fs::metadata(self.file()).unwrap().ino()
    }

    /// Every id once, each with this status.
    fn statuses(&self) -> Vec<String> {
        let text = std::fs::read_to_string(self.file()).unwrap();
        let records: Vec<Value> = text.lines().map(|l| serde_json::from_str(l).unwrap()).collect();
        assert_eq!(records.len(), self.ids.len());
        let find = |id: &OrderId| records.iter().find(|r| r["id"] == id.as_str()).unwrap();
        self.ids.iter().map(|id| find(id)["status"].as_str().unwrap().to_owned()).collect()
    }

    /// Whether the file system tells who reads.
    fn tells(&self) -> bool {
        let probe = self.path.join("probe");
        std::fs::write(&probe, "x").unwrap();
        readers::expect_none(&probe).unwrap()
    }
}

fn emit(store: &mut Store, kind: &str, data: Value) {
    let draft = Draft::new(kind, &AgentId::ceo(), data);
    store.write::<_, StoreError>(|tx| tx.emit(&draft)).unwrap();
}

fn start(store: &mut Store, id: &OrderId) {
    let data = json!({"work_order_id": id, "from_status": "open", "to_status": "in_progress"});
    emit(store, "work_order.status_changed", data);
}

#[test]
fn a_record_is_changed_where_it_stands_until_somebody_reads_the_file() {
    let (p, mut store) = Place::new();
    start(&mut store, &p.ids[0]);
    let (inode, size) = (p.inode(), std::fs::metadata(p.file()).unwrap().len());
    for id in &p.ids[1..40] {
        start(&mut store, id);
    }
    assert_eq!(std::fs::metadata(p.file()).unwrap().len(), size);
    assert_eq!(p.inode() == inode, p.tells());
    let mut reader = File::open(p.file()).unwrap();
    let mut begun = vec![0; 1000];
    reader.read_exact(&mut begun).unwrap();
    for id in &p.ids[40..80] {
        start(&mut store, id);
    }
    let mut text = String::from_utf8(begun).unwrap();
    reader.read_to_string(&mut text).unwrap();
    let started = |l: &str| serde_json::from_str::<Value>(l).unwrap()["status"] == "in_progress";
    assert_eq!(text.lines().filter(|l| started(l)).count(), 40, "whoever reads sees the file as it was at first");
    let statuses = p.statuses();
    assert!(statuses.iter().enumerate().all(|(n, s)| (s == "in_progress") == (n < 80)), "{statuses:?}");
}

#[test]
fn a_record_that_outgrows_its_room_and_new_ones_find_their_place() {
    let (mut p, mut store) = Place::new();
    start(&mut store, &p.ids[7]);
    for n in 1..6 {
        let long = "x".repeat(n * 400);
        let data = json!({"work_order_id": p.ids[9], "changes": {"description": long}});
        emit(&mut store, "work_order.updated", data);
        let wish = NewOrder { title: format!("new {n}"), ..NewOrder::default() };
        let add = |tx: &mut git_vermas::store::Tx<'_>| -> Result<OrderId, StoreError> {
            let id = tx.new_id("wo");
            tx.emit_all(&order::create(&id, &wish, &AgentId::ceo())?)?;
            Ok(id)
        };
        p.ids.push(store.write(add).unwrap().value);
        start(&mut store, p.ids.last().unwrap());
    }
    let statuses = p.statuses();
    assert_eq!(statuses.iter().filter(|s| *s == "in_progress").count(), 6);
    assert!(std::fs::read_to_string(p.file()).unwrap().contains(&"x".repeat(2000)));
}

#[test]
fn what_others_write_into_a_roomy_file_is_taken_in() {
    let (mut p, mut store) = Place::new();
    start(&mut store, &p.ids[0]);
    start(&mut store, &p.ids[1]);
    let line = json!({"id": "wo-py1", "title": "Theirs", "status": "open"});
    let mut file = std::fs::OpenOptions::new().append(true).open(p.file()).unwrap();
    file.write_all(format!("{line}\n").as_bytes()).unwrap();
    start(&mut store, &p.ids[2]);
    p.ids.push("wo-py1".parse().unwrap());
    assert_eq!(p.statuses()[..4], ["in_progress", "in_progress", "in_progress", "open"]);
    // In place, and not longer than before.
    start(&mut store, &p.ids[3]);
    let text = std::fs::read_to_string(p.file()).unwrap().replace("order 77\"", "other 77\"");
    let mut file = std::fs::OpenOptions::new().write(true).open(p.file()).unwrap();
    file.write_all(text.as_bytes()).unwrap();
    start(&mut store, &p.ids[4]);
    let title = store.view().unwrap().order(&p.ids[77]).unwrap().unwrap().title().to_owned();
    assert_eq!((title.as_str(), p.statuses().iter().filter(|s| *s == "in_progress").count()), ("other 77", 5));
}

#[test]
fn a_change_that_was_cut_short_is_no_change_of_somebody_else() {
    let (p, mut store) = Place::new();
    start(&mut store, &p.ids[0]);
    start(&mut store, &p.ids[1]);
    let (log, before) = (p.path.join(".work/events.jsonl"), std::fs::read_to_string(p.file()).unwrap());
    start(&mut store, &p.ids[2]);
    let events = std::fs::read_to_string(&log).unwrap().lines().count();
    // The cache as it was before the file was changed, as after a crash in between.
    std::fs::remove_file(p.path.join(".git/vermas/cache.sqlite")).unwrap();
    drop(store);
    let mut store = Store::open(Repo::discover(&p.path).unwrap()).unwrap();
    store.view().unwrap();
    assert_eq!(std::fs::read_to_string(&log).unwrap().lines().count(), events);
    std::fs::write(p.file(), before).unwrap();
    start(&mut store, &p.ids[3]);
    assert_eq!(std::fs::read_to_string(&log).unwrap().lines().count(), events + 1);
    assert_eq!(p.statuses().iter().filter(|s| *s == "in_progress").count(), 4);
}

#[test]
fn a_checkpoint_leaves_the_file_as_it_is_on_every_machine() {
    let (p, mut store) = Place::new();
    start(&mut store, &p.ids[3]);
    start(&mut store, &p.ids[4]);
    store.checkpoint().unwrap();
    let text = std::fs::read_to_string(p.file()).unwrap();
    assert_eq!(git(&p.path, &["show", "vermas/state:work_orders.jsonl"]), text);
    assert!(text.lines().all(|l| l == l.trim()));
}

#[test]
fn a_line_that_was_half_written_over_is_nobodys_change() {
    let (p, mut store) = Place::new();
    if !p.tells() {
        return;
    }
    let unnoticed = || {
        let mut text = String::new();
        readers::open_unnoticed(&p.file()).unwrap().read_to_string(&mut text).unwrap();
        text
    };
    start(&mut store, &p.ids[0]);
    let (cache, copy) = (p.path.join(".git/vermas/cache.sqlite"), p.path.join("copy"));
    std::fs::copy(&cache, &copy).unwrap();
    let before = unnoticed();
    start(&mut store, &p.ids[2]);
    let after = unnoticed();
    assert_eq!(before.len(), after.len());
    let differ: Vec<usize> = (0..before.len()).filter(|i| before.as_bytes()[*i] != after.as_bytes()[*i]).collect();
    drop(store);
    for at in [differ[0] + 1, differ[differ.len() / 2], *differ.last().unwrap()] {
        let half = format!("{}{}", &after[..at], &before[at..]);
        std::fs::copy(&copy, &cache).unwrap();
        let mut file = std::fs::OpenOptions::new().write(true).open(p.file()).unwrap();
        file.write_all(half.as_bytes()).unwrap();
        let log = p.path.join(".work/events.jsonl");
        let events = std::fs::read_to_string(&log).unwrap().lines().count();
        let mut store = Store::open(Repo::discover(&p.path).unwrap()).unwrap();
        assert_eq!(store.view().unwrap().order(&p.ids[2]).unwrap().unwrap().status(), "in_progress");
        assert_eq!(std::fs::read_to_string(&log).unwrap().lines().count(), events, "cut at {at}");
        assert_eq!(store.take_warnings(), [""; 0]);
        assert_eq!(p.statuses()[2], "in_progress");
    }
}

#[test]
fn a_snapshot_by_hard_links_does_not_change() {
    let (mut p, mut store) = Place::new();
    start(&mut store, &p.ids[0]);
    start(&mut store, &p.ids[1]);
    for n in 0..2 {
        let snapshot = p.path.join(format!("snapshot-{n}"));
        std::fs::hard_link(p.file(), &snapshot).unwrap();
        // Only what is not looked at by a read of ours could still be changed in place.
        let before = std::fs::metadata(&snapshot).unwrap();
        if n == 0 {
            start(&mut store, &p.ids[2]);
            start(&mut store, &p.ids[3]);
        } else {
            let wish = NewOrder { title: "new".to_owned(), ..NewOrder::default() };
            let add = |tx: &mut git_vermas::store::Tx<'_>| -> Result<OrderId, StoreError> {
                let id = tx.new_id("wo");
                tx.emit_all(&order::create(&id, &wish, &AgentId::ceo())?)?;
                Ok(id)
            };
            p.ids.push(store.write(add).unwrap().value);
        }
        let after = std::fs::metadata(&snapshot).unwrap();
        assert_eq!((before.mtime(), before.mtime_nsec()), (after.mtime(), after.mtime_nsec()), "snapshot {n}");
        assert_eq!(before.len(), after.len());
    }
    assert_eq!(p.statuses().iter().filter(|s| *s == "in_progress").count(), 4);
}

#[test]
fn a_reader_that_is_not_seen_finds_whole_lines_in_whole_pages() {
    let (p, mut store) = Place::new();
    start(&mut store, &p.ids[0]);
    let reader = readers::open_unnoticed(&p.file()).unwrap();
    let (mut text, mut ids) = (Vec::new(), p.ids[1..].iter().step_by(3));
    loop {
        let mut piece = vec![0; 4096];
        let read = std::os::unix::fs::FileExt::read_at(&reader, &mut piece, text.len() as u64).unwrap();
        text.extend_from_slice(&piece[..read]);
        if read == 0 {
            break;
        }
        ids.by_ref().take(4).for_each(|id| start(&mut store, id));
    }
    let text = String::from_utf8(text).unwrap();
    let records: Vec<Value> = text.lines().map(|l| serde_json::from_str(l).unwrap()).collect();
    assert_eq!(records.len(), p.ids.len());
}

#[test]
fn a_file_is_never_changed_in_place_where_a_setting_says_so() {
    let (p, store) = Place::new();
    drop(store);
    git(&p.path, &["config", "vermas.projections", "replace"]);
    let mut store = Store::open(Repo::discover(&p.path).unwrap()).unwrap();
    for id in &p.ids[..5] {
        let before = File::open(p.file()).unwrap();
        start(&mut store, id);
        assert_ne!(before.metadata().unwrap().ino(), p.inode());
        assert!(!std::fs::read_to_string(p.file()).unwrap().contains(" \n"));
    }
}
