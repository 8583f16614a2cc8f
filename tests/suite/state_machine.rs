//! What must hold when clones, foreign writers and crashes meet: one test for each way in which it once did not.

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
    let dir = crate::place::scratch();
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
    // Recorded, and the projection is behind: as in the moment between the two.
    let event = serde_json::json!({"event_id": "evt-closed", "event_type": "work_order.status_changed", "actor": "ceo",
        "timestamp": now(), "data": {"work_order_id": id, "from_status": "open", "to_status": "closed"}});
    let mut log = std::fs::OpenOptions::new().append(true).open(p.path.join(".work/events.jsonl")).unwrap();
    std::io::Write::write_all(&mut log, format!("{event}\n").as_bytes()).unwrap();
    edit(&p.path.join(".work/work_orders.jsonl"), &id, &[("title", "Theirs"), ("updated_at", &now())]);
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

/// A commit on `parent` whose tree is the parent's with one more file.
fn with_file(repo: &Path, parent: &str, path: &str, bytes: &[u8]) -> String {
    let blob = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(blob.path(), bytes).unwrap();
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
        let theirs = with_file(&p.path, "vermas/state", path, &vec![b'x'; (64 << 20) + 1]);
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

/// QA's look at work that is handed in while its tests run, which do `more` and end with `code`. Gives the place, the
/// order, and what was handed in last.
fn handed_in_anew(code: i32) -> (Place, OrderId, String) {
    let (p, mut store) = set_up();
    git(&p.path, &["commit", "-q", "--allow-empty", "-m", "begin"]);
    let commit = |text: &str| git(&p.path, &["commit-tree", "main^{tree}", "-p", "main", "-m", text]);
    let (first, second) = (commit("first"), commit("second"));
    let id = create(&mut store, "Work");
    let handed = |c: &str| serde_json::json!({"metadata.submitted": c, "metadata.branch": "vermas/slot0"});
    emit(&mut store, "work_order.updated", serde_json::json!({"work_order_id": id, "changes": handed(&first)}));
    let event = serde_json::json!({"event_id": "evt-foreign", "event_type": "work_order.updated", "timestamp": now(),
        "actor": "app/workers/slot0", "data": {"work_order_id": id, "changes": handed(&second)}});
    std::fs::write(p.path.join(".git/anew"), format!("{event}\n")).unwrap();
    let root = p.path.display();
    let command = format!("cat {root}/.git/anew >> {root}/.work/events.jsonl; exit {code}");
    git(&p.path, &["config", "vermas.qa.test", &command]);
    // Handed in by hand here: QA is told to take that.
    git(&p.path, &["config", "vermas.qa.trust", "remote"]);
    let mut session = git_vermas::app::session::Session::with_store(open(&p.path), Some("ceo")).unwrap();
    git_vermas::app::qa::run(&mut session, true, &|_| {}).unwrap();
    (p, id, second)
}

#[test]
fn work_that_is_handed_in_anew_while_it_is_tested_stays_in_the_queue() {
    for code in [0, 1] {
        let (p, id, second) = handed_in_anew(code);
        let mut store = open(&p.path);
        let order = store.view().unwrap().order(&id).unwrap().unwrap();
        assert_eq!(order.metadata("submitted"), Some(&second.into()), "exit {code}");
        assert!(!order.is_closed() && order.rejections.is_empty(), "exit {code}");
        assert_eq!(git(&p.path, &["log", "-1", "--format=%s", "main"]), "begin");
    }
}

/// A clone of a state with its own git directory, as `git clone` and `init` make it.
fn clone_of(place: &Path, name: &str) -> PathBuf {
    let path = place.parent().unwrap().join(name);
    std::fs::create_dir(&path).unwrap();
    git(&path, &["init", "-q", "-b", "main"]);
    let tip = fetch(&path, place);
    init(Repo::discover(&path).unwrap(), Some(tip)).unwrap();
    path
}

fn fetch(path: &Path, from: &Path) -> git_vermas::git::Oid {
    git(path, &["fetch", "-q", from.to_str().unwrap(), "+refs/heads/vermas/state:refs/vermas/theirs"]);
    git_vermas::git::objects::parse_oid(&git(path, &["rev-parse", "refs/vermas/theirs"])).unwrap()
}

fn merge(path: &Path, from: &Path) {
    let tip = fetch(path, from);
    open(path).merge(tip).unwrap();
}

/// All lines of all segments on a clone's branch.
fn published(path: &Path) -> Vec<String> {
    let tree = git(path, &["ls-tree", "-r", "--name-only", "vermas/state"]);
    let segments = tree.lines().filter(|l| l.starts_with("events/"));
    segments
        .flat_map(|s| git(path, &["show", &format!("vermas/state:{s}")]).lines().map(str::to_owned).collect::<Vec<_>>())
        .collect()
}

#[test]
fn a_checkpoint_shows_what_another_clone_published_without_one() {
    let (p, mut store) = set_up();
    let id = create(&mut store, "Ours");
    store.checkpoint().unwrap();
    drop(store);
    let other = clone_of(&p.path, "other");
    close(&mut open(&other), &id);
    merge(&p.path, &other);
    open(&p.path).checkpoint().unwrap();
    assert!(git(&p.path, &["show", "vermas/state:work_orders.jsonl"]).contains("\"closed\""));
}

#[test]
fn what_a_failed_merge_brought_reaches_the_branch_all_the_same() {
    let (p, mut store) = set_up();
    let other = clone_of(&p.path, "other");
    create(&mut open(&other), "Theirs");
    create(&mut store, "Ours");
    drop(store);
    let tip = fetch(&p.path, &other);
    let lock = p.path.join(".git/refs/heads/vermas/state.lock");
    std::fs::write(&lock, "somebody else's").unwrap();
    assert!(open(&p.path).merge(tip).is_err());
    std::fs::remove_file(&lock).unwrap();
    create(&mut open(&p.path), "Another");
    let log = std::fs::read_to_string(p.path.join(".work/events.jsonl")).unwrap();
    let there = published(&p.path);
    for line in log.lines() {
        assert!(there.iter().any(|l| l == line), "{line}");
    }
}

#[test]
fn every_move_of_the_branch_is_noted_before_the_ref_is_locked() {
    let (p, store) = set_up();
    drop(store);
    let other = clone_of(&p.path, "other");
    create(&mut open(&other), "Theirs");
    let tip = fetch(&p.path, &other);
    let lock = p.path.join(".git/refs/heads/vermas/state.lock");
    std::fs::write(&lock, "somebody else's").unwrap();
    let path = p.path.clone();
    let sync = std::thread::spawn(move || open(&path).merge(tip).is_err());
    let intent = p.path.join(".git/vermas/intent");
    let mut noted = String::new();
    while !sync.is_finished() {
        if noted.is_empty() {
            noted = std::fs::read_to_string(&intent).unwrap_or_default();
        }
        std::thread::sleep(std::time::Duration::from_millis(5));
    }
    assert!(sync.join().unwrap());
    assert!(noted.contains(&format!(" {tip} refs/heads/vermas/state")), "{noted:?}");
    // A killed sync leaves its note and the lock: the next command takes both away.
    std::fs::write(&intent, noted).unwrap();
    std::fs::write(&lock, tip.to_string()).unwrap();
    merge(&p.path, &other);
    assert_eq!(git(&p.path, &["rev-parse", "vermas/state"]), tip.to_string());
}

/// Numbers that look random and are the same each time.
struct Numbers(u64);

impl Numbers {
    fn below(&mut self, n: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        usize::try_from(self.0 >> 33).unwrap() % n
    }
}

/// One thing that happens to a clone.
fn happen(n: &mut Numbers, path: &Path, ids: &mut Vec<OrderId>) {
    let mut store = open(path);
    let id = ids[n.below(ids.len())].clone();
    let known = store.view().unwrap().order(&id).unwrap().is_some();
    let file = path.join(".work/work_orders.jsonl");
    let text = format!("{}", n.below(1000));
    match n.below(9) {
        0 => ids.push(create(&mut store, &text)),
        1 if known => emit(
            &mut store,
            "work_order.updated",
            serde_json::json!({"work_order_id": id, "changes": {"title": text, "metadata.k": text}}),
        ),
        2 if known => close(&mut store, &id),
        3 if known => emit(
            &mut store,
            "work_order.labels_changed",
            serde_json::json!({"work_order_id": id, "added": [text], "removed": ["1", "2"]}),
        ),
        4 => emit(
            &mut store,
            "assignment.set",
            serde_json::json!({"agent": "app/workers/slot0", "ref_type": "work_order", "ref_id": id}),
        ),
        5 => emit(&mut store, "assignment.cleared", serde_json::json!({"agent": "app/workers/slot0"})),
        6 if known => edit(&file, &id, &[("title", &text), ("updated_at", &now())]),
        7 => {
            let line = serde_json::json!({"event_id": format!("evt-{text}"), "event_type": "work_order.commented",
                "timestamp": now().replace('Z', "456Z"), "actor": "go", "data": {"work_order_id": id, "body": text}});
            let mut log = std::fs::OpenOptions::new().append(true).open(path.join(".work/events.jsonl")).unwrap();
            std::io::Write::write_all(&mut log, format!("{line}\n").as_bytes()).unwrap();
        }
        _ => {
            let id: OrderId = format!("wo-py{}", n.below(4)).parse().unwrap();
            let line = serde_json::json!({"id": id, "title": text, "status": "open", "created_at": now(), "updated_at": now()});
            let mut orders = std::fs::OpenOptions::new().append(true).open(&file).unwrap();
            std::io::Write::write_all(&mut orders, format!("{line}\n").as_bytes()).unwrap();
            ids.push(id);
        }
    }
    store.view().unwrap();
}

fn shown(path: &Path) -> (String, String, String) {
    let read = |name: &str| std::fs::read_to_string(path.join(".work").join(name)).unwrap_or_default();
    (read("work_orders.jsonl"), read("messages.jsonl"), read(".assignment-app-workers-slot0"))
}

#[test]
fn clones_that_met_in_any_order_hold_the_same() {
    let seeds: u64 = if std::env::var_os("VERMAS_LONG").is_some() { 60 } else { 2 };
    for seed in 1..=seeds {
        let mut n = Numbers(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15));
        let (p, mut store) = set_up();
        let mut ids = vec![create(&mut store, "First")];
        drop(store);
        let clones = [p.path.clone(), clone_of(&p.path, "b"), clone_of(&p.path, "c")];
        for _ in 0..40 {
            let at = n.below(3);
            match n.below(6) {
                0 => merge(&clones[at], &clones[(at + 1) % 3]),
                1 => merge(&clones[at], &clones[(at + 2) % 3]),
                2 if n.below(4) == 0 => {
                    // A branch that was set back by hand.
                    let all = git(&clones[at], &["rev-list", "--first-parent", "-n", "4", "vermas/state"]);
                    git(&clones[at], &["update-ref", "refs/heads/vermas/state", all.lines().last().unwrap()]);
                }
                _ => happen(&mut n, &clones[at], &mut ids),
            }
        }
        for _ in 0..2 {
            for (a, b) in [(0, 1), (0, 2), (1, 0), (2, 0)] {
                merge(&clones[a], &clones[b]);
            }
        }
        let tree = |c: &Path| git(c, &["rev-parse", "vermas/state^{tree}"]);
        let there: std::collections::BTreeSet<String> = published(&clones[0]).into_iter().collect();
        for c in &clones {
            open(c).checkpoint().unwrap();
            assert_eq!(tree(c), tree(&clones[0]), "seed {seed} {}", c.display());
            assert_eq!(shown(c), shown(&clones[0]), "seed {seed} {}", c.display());
            let log = std::fs::read_to_string(c.join(".work/events.jsonl")).unwrap();
            for line in log.lines().filter(|l| !l.is_empty()) {
                assert!(there.contains(line), "seed {seed} {}: {line}", c.display());
            }
            let before = shown(c);
            open(c).rebuild().unwrap();
            assert_eq!(shown(c), before, "seed {seed}, rebuilt {}", c.display());
        }
        let orders = git(&clones[0], &["show", "vermas/state:work_orders.jsonl"]);
        assert_eq!(orders.trim(), shown(&clones[0]).0.trim(), "seed {seed}");
    }
    println!("{seeds} seeds, each of 40 steps on 3 clones: the same trees, the same projections");
}

#[test]
fn two_merges_of_the_same_are_not_merged_once_more() {
    let (p, mut store) = set_up();
    create(&mut store, "Common");
    drop(store);
    let other = clone_of(&p.path, "other");
    create(&mut open(&p.path), "Here");
    create(&mut open(&other), "There");
    let (here, there) = (fetch(&other, &p.path), fetch(&p.path, &other));
    open(&p.path).merge(there).unwrap();
    open(&other).merge(here).unwrap();
    let tip = |c: &Path| git(c, &["rev-parse", "vermas/state"]);
    assert_ne!(tip(&p.path), tip(&other), "each has a merge of its own");
    // With two remotes, one more merge of these two would meet yet another, and so for ever.
    merge(&p.path, &other);
    assert_eq!(tip(&p.path), tip(&other));
}

#[test]
fn a_cache_that_a_power_cut_spoiled_is_made_anew() {
    let (p, mut store) = set_up();
    let id = create(&mut store, "Ours");
    drop(store);
    let path = p.path.join(".git/vermas/cache.sqlite");
    let db = rusqlite::Connection::open(&path).unwrap();
    db.execute("UPDATE meta SET v='an earlier boot' WHERE k='boot'", []).unwrap();
    let page: u16 = db.query_row("PRAGMA page_size", [], |r| r.get(0)).unwrap();
    drop(db);
    let mut bytes = std::fs::read(&path).unwrap();
    bytes[2 * usize::from(page)..].fill(0xa5);
    std::fs::write(&path, bytes).unwrap();
    let mut store = open(&p.path);
    assert_eq!(status(&mut store, &id), "open");
    create(&mut store, "Another");
}

#[test]
fn a_work_folder_that_somebody_began_anew_gets_its_texts_back() {
    let (p, mut store) = set_up();
    create(&mut store, "Ours");
    drop(store);
    let work = p.path.join(".work");
    std::fs::remove_dir_all(&work).unwrap();
    std::fs::create_dir(&work).unwrap();
    std::fs::write(work.join("events.jsonl"), "").unwrap();
    create(&mut open(&p.path), "Another");
    assert!(work.join("config.toml").exists() && work.join("templates/feature.toml").exists());
}

#[test]
fn a_remote_full_of_junk_does_not_fill_the_machine() {
    let (p, mut store) = set_up();
    create(&mut store, "Ours");
    let junk: String = (0..200_000).map(|n| format!("junk {n}\n")).collect();
    let theirs = with_file(&p.path, "vermas/state", "events/0123456789/000001.jsonl", junk.as_bytes());
    store.refresh_objects();
    store.merge(git_vermas::git::objects::parse_oid(&theirs).unwrap()).unwrap();
    let aside = std::fs::metadata(p.path.join(".git/vermas/quarantine.jsonl")).unwrap().len();
    assert!(aside < 1 << 20, "{aside} bytes set aside");
    assert!(store.take_warnings().len() < 100);
    drop(store);
    std::fs::remove_file(p.path.join(".git/vermas/cache.sqlite")).unwrap();
    open(&p.path).view().unwrap();
    assert!(std::fs::metadata(p.path.join(".git/vermas/quarantine.jsonl")).unwrap().len() < 1 << 20);
}

#[test]
fn a_claim_that_others_here_overtook_is_no_copied_clone() {
    let (p, mut store) = set_up();
    let id = create(&mut store, "Ours");
    let on = store.checkpoint().unwrap().unwrap();
    let data = serde_json::json!({"work_order_id": id, "agent": "ceo"});
    let decide =
        |tx: &mut git_vermas::store::Tx<'_>| tx.emit(&Draft::new("work_order.assigned", &AgentId::ceo(), data));
    let claim = store.detached::<_, StoreError>(on, decide).unwrap().commit.unwrap();
    let replica = || std::fs::read_to_string(p.path.join(".git/vermas/replica")).unwrap();
    let before = replica();
    create(&mut open(&p.path), "Meanwhile");
    // The remote took the claim; here it is joined like any other machine's commit.
    let mut store = open(&p.path);
    assert!(store.take_over(claim, on).is_err());
    store.merge(claim).unwrap();
    assert_eq!(replica(), before, "{:?}", store.take_warnings());
    assert_eq!(store.view().unwrap().order(&id).unwrap().unwrap().assignee(), Some("ceo"));
    let all = published(&p.path);
    let once: std::collections::BTreeSet<&String> = all.iter().collect();
    assert_eq!(once.len(), all.len(), "every event stands on the branch once");
}
