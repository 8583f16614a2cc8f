//! What must hold when clones, foreign writers and crashes meet: one test for each way in which it once did not.
#![expect(clippy::disallowed_methods, reason = "tests stand outside the house")]

use std::path::{Path, PathBuf};
use std::process::Command;

use git_vermas::domain::decide::order::{self, NewOrder};
use git_vermas::domain::{AgentId, Draft, OrderId};
use git_vermas::git::Repo;
use git_vermas::store::{Store, StoreError, init};

struct Place {
    _dir: tempfile::TempDir,
    path: PathBuf,
}

fn git_in(dir: &Path, args: &[&str], stdin: Option<&Path>) -> String {
    let mut c = Command::new("git");
    c.arg("-C").arg(dir).args(args).env("GIT_CONFIG_GLOBAL", "/dev/null").env("GIT_CONFIG_SYSTEM", "/dev/null");
    for who in ["AUTHOR", "COMMITTER"] {
        c.env(format!("GIT_{who}_NAME"), "A Person").env(format!("GIT_{who}_EMAIL"), "person@example.com");
    }
    if let Some(path) = stdin {
        c.stdin(std::fs::File::open(path).unwrap());
    }
    let out = c.output().unwrap();
    assert!(out.status.success(), "git {args:?}: {}", String::from_utf8_lossy(&out.stderr));
    String::from_utf8_lossy(&out.stdout).trim().to_owned()
}

fn git(dir: &Path, args: &[&str]) -> String {
    git_in(dir, args, None)
}

fn open(p: &Path) -> Store {
    Store::open(Repo::discover(p).unwrap()).unwrap()
}

fn set_up() -> (Place, Store) {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("app");
    std::fs::create_dir(&path).unwrap();
    git(&path, &["init", "-q", "-b", "main"]);
    let (store, _) = init(Repo::discover(&path).unwrap(), None).unwrap();
    (Place { _dir: dir, path }, store)
}

fn create(store: &mut Store, title: &str) -> OrderId {
    let wish = NewOrder { title: title.to_owned(), ..NewOrder::default() };
    let decide = |tx: &mut git_vermas::store::Tx<'_>| {
        let id = tx.new_id("wo");
        tx.emit_all(&order::create(&id, &wish, &AgentId::ceo())?)?;
        Ok(id)
    };
    store.write::<_, StoreError>(decide).unwrap().value
}

fn emit(store: &mut Store, kind: &str, data: serde_json::Value) {
    store.write::<_, StoreError>(|tx| tx.emit(&Draft::new(kind, &AgentId::ceo(), data))).unwrap();
}

fn close(store: &mut Store, id: &OrderId) {
    let data = serde_json::json!({"work_order_id": id, "from_status": "open", "to_status": "closed"});
    emit(store, "work_order.status_changed", data);
}

fn status(store: &mut Store, id: &OrderId) -> String {
    store.view().unwrap().order(id).unwrap().unwrap().status().to_owned()
}

fn title(store: &mut Store, id: &OrderId) -> String {
    store.view().unwrap().order(id).unwrap().unwrap().title().to_owned()
}

/// Changes one record's line as a foreign program would: what it read, with other fields and a new `updated_at`.
fn edit(file: &Path, id: &OrderId, fields: &[(&str, &str)]) {
    let text = std::fs::read_to_string(file).unwrap();
    let lines = text.lines().map(|l| {
        let mut record: serde_json::Map<String, serde_json::Value> = serde_json::from_str(l).unwrap();
        if record["id"] == id.as_str() {
            for (k, v) in fields {
                record.insert((*k).to_owned(), (*v).into());
            }
        }
        serde_json::to_string(&record).unwrap() + "\n"
    });
    std::fs::write(file, lines.collect::<String>()).unwrap();
}

fn now() -> String {
    let ms = git_vermas::sys::clock::now_millis() + 1;
    git_vermas::domain::Timestamp::from_millis(ms).to_string()
}

#[test]
fn a_foreign_change_to_a_line_that_was_not_projected_yet_takes_nothing_back() {
    let (p, mut store) = set_up();
    let id = create(&mut store, "Ours");
    drop(store);
    git(&p.path, &["config", "vermas.durability", "log"]);
    let mut store = open(&p.path);
    close(&mut store, &id);
    let file = p.path.join(".work/work_orders.jsonl");
    assert!(std::fs::read_to_string(&file).unwrap().contains("\"open\""), "the projection is behind");
    edit(&file, &id, &[("title", "Theirs"), ("updated_at", &now())]);
    assert_eq!(title(&mut store, &id), "Theirs");
    assert_eq!(status(&mut store, &id), "closed");
}

#[test]
fn a_file_written_back_from_an_older_read_takes_nothing_back() {
    let (p, mut store) = set_up();
    let (one, two) = (create(&mut store, "One"), create(&mut store, "Two"));
    let file = p.path.join(".work/work_orders.jsonl");
    let older = std::fs::read_to_string(&file).unwrap();
    std::thread::sleep(std::time::Duration::from_millis(3));
    close(&mut store, &one);
    std::fs::write(&file, older).unwrap();
    edit(&file, &two, &[("title", "Theirs"), ("updated_at", &now())]);
    assert_eq!(title(&mut store, &two), "Theirs");
    assert_eq!(status(&mut store, &one), "closed");
}

/// A commit on `parent` whose tree is the parent's with one more file of `size` bytes.
fn with_large_file(repo: &Path, parent: &str, path: &str, size: usize) -> String {
    let blob = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(blob.path(), vec![b'x'; size]).unwrap();
    let oid = git_in(repo, &["hash-object", "-w", "--stdin"], Some(blob.path()));
    let index = repo.join(".git/hostile-index");
    let run = |args: &[&str]| {
        let out = Command::new("git").arg("-C").arg(repo).args(args).env("GIT_INDEX_FILE", &index).output().unwrap();
        assert!(out.status.success(), "{args:?}");
        String::from_utf8_lossy(&out.stdout).trim().to_owned()
    };
    run(&["read-tree", parent]);
    run(&["update-index", "--add", "--cacheinfo", &format!("100644,{oid},{path}")]);
    let tree = run(&["write-tree"]);
    git(repo, &["commit-tree", &tree, "-p", parent, "-m", "large"])
}

#[test]
fn a_remote_with_a_file_that_is_too_large_stops_nobody() {
    for path in ["events/0123456789/000001.jsonl", "evidence/wo-1/large.log"] {
        let (p, mut store) = set_up();
        let id = create(&mut store, "Ours");
        let theirs = with_large_file(&p.path, "vermas/state", path, (64 << 20) + 1);
        store.refresh_objects();
        let tip = git_vermas::git::objects::parse_oid(&theirs).unwrap();
        let _ = store.merge(tip);
        let mut store = open(&p.path);
        assert_eq!(status(&mut store, &id), "open", "{path}");
        create(&mut store, "Another");
        drop(store);
        std::fs::remove_file(p.path.join(".git/vermas/cache.sqlite")).unwrap();
        create(&mut open(&p.path), "A third");
    }
}

#[test]
fn a_lost_segment_of_another_clone_is_mended_from_the_log() {
    let (p, mut store) = set_up();
    let id = create(&mut store, "Ours");
    drop(store);
    // The clone goes on under another name, so that the old folder is nobody's.
    std::fs::write(p.path.join(".git/vermas/replica"), "0123456789\n").unwrap();
    create(&mut open(&p.path), "Ours, too");
    let tree = git(&p.path, &["ls-tree", "-r", "vermas/state"]);
    let line = tree.lines().find(|l| l.contains("events/") && !l.contains("0123456789")).unwrap();
    let oid = line.split_whitespace().nth(2).unwrap();
    std::fs::remove_file(p.path.join(".git/objects").join(&oid[..2]).join(&oid[2..])).unwrap();
    std::fs::remove_file(p.path.join(".git/vermas/cache.sqlite")).unwrap();
    let mut store = open(&p.path);
    assert_eq!(status(&mut store, &id), "open");
    create(&mut store, "Another");
    git(&p.path, &["fsck", "--connectivity-only", "refs/heads/vermas/state"]);
}

#[test]
fn a_log_that_was_cut_short_in_place_does_not_count_as_published() {
    let (p, mut store) = set_up();
    let id = create(&mut store, "Ours");
    for _ in 0..5 {
        emit(&mut store, "work_order.commented", serde_json::json!({"work_order_id": id, "body": "x".repeat(2000)}));
    }
    drop(store);
    let log = p.path.join(".work/events.jsonl");
    let covered = || -> u64 {
        let text = std::fs::read_to_string(p.path.join(".git/vermas/committed")).unwrap();
        text.split_whitespace().nth(1).unwrap().parse().unwrap()
    };
    assert_eq!(covered(), std::fs::metadata(&log).unwrap().len());
    for name in ["refs/heads/vermas/state", "refs/vermas/backup"] {
        git(&p.path, &["update-ref", "-d", name]);
    }
    std::fs::OpenOptions::new().write(true).open(&log).unwrap().set_len(0).unwrap();
    git(&p.path, &["config", "vermas.durability", "log"]);
    create(&mut open(&p.path), "One more");
    let size = std::fs::metadata(&log).unwrap().len();
    assert!(covered() <= size, "{} of {size}", covered());
}
