//! The store on real repositories: what is written is there, on disk and on the branch.

use std::path::{Path, PathBuf};
use std::process::Command;

use git_vermas::domain::decide::order::{self, NewOrder};
use git_vermas::domain::{AgentId, OrderId};
use git_vermas::git::Repo;
use git_vermas::store::{Store, StoreError, init};
use git_vermas::sys::world::Act;

struct Place {
    _dir: tempfile::TempDir,
    path: PathBuf,
}

fn git(dir: &Path, args: &[&str]) -> String {
    let out = Command::new("git")
        .arg("-C")
        .arg(dir)
        .args(args)
        .env("GIT_CONFIG_GLOBAL", "/dev/null")
        .env("GIT_CONFIG_SYSTEM", "/dev/null")
        .output()
        .unwrap();
    assert!(out.status.success(), "git {args:?}: {}", String::from_utf8_lossy(&out.stderr));
    String::from_utf8_lossy(&out.stdout).trim().to_owned()
}

fn place() -> Place {
    let dir = crate::place::scratch();
    let path = dir.path().join("app");
    std::fs::create_dir(&path).unwrap();
    git(&path, &["init", "-q", "-b", "main"]);
    Place { _dir: dir, path }
}

fn open(p: &Path) -> Store {
    Store::open(Repo::discover(p).unwrap()).unwrap()
}

fn create(store: &mut Store, title: &str) -> OrderId {
    let wish = NewOrder { title: title.to_owned(), ..NewOrder::default() };
    let done = store
        .write::<_, StoreError>(|tx| {
            let id = tx.new_id("wo");
            let drafts = order::create(&id, &wish, &AgentId::ceo())?;
            tx.emit_all(&drafts)?;
            Ok(id)
        })
        .unwrap();
    assert!(done.warnings.iter().all(|w| w.contains("put back")), "{:?}", done.warnings);
    done.value
}

fn set_up() -> (Place, Store) {
    let p = place();
    let (store, report) = init(Repo::discover(&p.path).unwrap(), None).unwrap();
    assert!(!report.made.is_empty());
    (p, store)
}

#[test]
fn a_created_order_is_in_the_log_the_projection_the_feed_and_on_the_branch() {
    let (p, mut store) = set_up();
    let id = create(&mut store, "Add a flag");
    let read = |name: &str| std::fs::read_to_string(p.path.join(".work").join(name)).unwrap();
    for name in ["events.jsonl", "work_orders.jsonl", "feed.jsonl"] {
        assert!(read(name).contains(id.as_str()), "{name}");
    }
    let tree = git(&p.path, &["ls-tree", "-r", "--name-only", "vermas/state"]);
    let segment = tree.lines().find(|l| l.starts_with("events/")).unwrap();
    assert!(git(&p.path, &["show", &format!("vermas/state:{segment}")]).contains(id.as_str()));
    assert!(git(&p.path, &["log", "-1", "--format=%s", "vermas/state"]).starts_with("ceo: create"));
    assert_eq!(git(&p.path, &["status", "--porcelain"]), "");
    git(&p.path, &["fsck", "--strict"]);
}

#[test]
fn locks_that_a_killed_publisher_left_are_taken_away_and_those_of_others_are_not() {
    let (p, mut store) = set_up();
    git(&p.path, &["pack-refs", "--all"]);
    let (lock, intent) = (p.path.join(".git/packed-refs.lock"), store.places().intent());
    let tip = git(&p.path, &["rev-parse", "vermas/state"]);
    std::fs::write(&intent, format!("1 0 another-boot {tip}\n")).unwrap();
    std::fs::write(&lock, "").unwrap();
    create(&mut store, "After a crash");
    assert!(!lock.exists() && !intent.exists());
    std::fs::write(&lock, "").unwrap();
    let wish = NewOrder { title: "While git packs refs".to_owned(), ..NewOrder::default() };
    let done = store.write::<_, StoreError>(|tx| {
        let drafts = order::create(&tx.new_id("wo"), &wish, &AgentId::ceo())?;
        tx.emit_all(&drafts)
    });
    assert!(lock.exists(), "nobody of ours left that one");
    // A ref of its own file is moved all the same, as git does.
    assert_eq!(done.unwrap().warnings, Vec::<String>::new());
    assert!(git(&p.path, &["log", "-1", "--format=%s", "vermas/state"]).ends_with("While git packs refs"));
}

#[test]
fn an_old_lock_of_which_no_note_is_left_is_taken_away_where_it_was_to_move_the_branch_to_a_state() {
    let (p, mut store) = set_up();
    let tip = git(&p.path, &["rev-parse", "vermas/state"]);
    let lock = p.path.join(".git/refs/heads/vermas/state.lock");
    let long_ago = std::time::SystemTime::now() - std::time::Duration::from_secs(61);
    let code = ["-c", "user.name=a", "-c", "user.email=a@b", "commit", "-q", "--allow-empty", "-m", "code"];
    git(&p.path, &code);
    let mut left = |content: &str, old: bool| {
        std::fs::write(&lock, content).unwrap();
        if old {
            std::fs::File::options().append(true).open(&lock).unwrap().set_modified(long_ago).unwrap();
        }
        let done = store.write::<_, StoreError>(|tx| {
            let wish = NewOrder { title: "On".to_owned(), ..NewOrder::default() };
            let drafts = order::create(&tx.new_id("wo"), &wish, &AgentId::ceo())?;
            tx.emit_all(&drafts)
        });
        let warned = !done.unwrap().warnings.is_empty();
        let is_left = lock.exists();
        let _ = std::fs::remove_file(&lock);
        assert_eq!(warned, is_left);
        is_left
    };
    assert!(!left(&format!("{tip}\n"), true));
    assert!(left(&format!("{tip}\n"), false), "somebody may hold it");
    assert!(left(&format!("{}\n", git(&p.path, &["rev-parse", "main"])), true), "somebody else's");
    assert!(left("", true), "nobody can tell");
}

#[test]
fn a_lock_that_was_left_under_another_setting_of_the_branch_is_taken_away() {
    let (p, mut store) = set_up();
    let tip = git(&p.path, &["rev-parse", "vermas/state"]);
    let lock = p.path.join(".git/refs/heads/vermas/other.lock");
    std::fs::write(&lock, format!("{tip}\n")).unwrap();
    let intent = store.places().intent();
    std::fs::write(&intent, format!("1 0 another-boot {tip} refs/heads/vermas/other refs/vermas/backup\n")).unwrap();
    create(&mut store, "On");
    assert!(!lock.exists() && !intent.exists());
}

#[test]
fn a_branch_that_stands_in_the_way_of_ours_is_named_and_what_waits_is_published_once_it_is_gone() {
    let (p, mut store) = set_up();
    git(&p.path, &["branch", "-q", "-D", "vermas/state"]);
    git(&p.path, &["update-ref", "-d", "refs/vermas/backup"]);
    git(&p.path, &["-c", "user.name=a", "-c", "user.email=a@b", "commit", "-q", "--allow-empty", "-m", "begin"]);
    for other in ["vermas/state/mine", "vermas"] {
        git(&p.path, &["branch", other]);
        let wish = NewOrder { title: "In the meantime".to_owned(), ..NewOrder::default() };
        let done = store.write::<_, StoreError>(|tx| {
            let drafts = order::create(&tx.new_id("wo"), &wish, &AgentId::ceo())?;
            tx.emit_all(&drafts)
        });
        let said = done.unwrap().warnings.join("\n");
        assert!(said.contains("not yet on") && said.contains(&format!("refs/heads/{other} stands")), "{said}");
        git(&p.path, &["branch", "-q", "-m", other, "elsewhere"]);
        git(&p.path, &["branch", "-q", "-D", "elsewhere"]);
    }
    let id = create(&mut store, "Afterwards");
    let published = git(&p.path, &["grep", "-h", "In the meantime\\|Afterwards", "vermas/state", "--", "events"]);
    assert!(published.contains(id.as_str()) && published.lines().count() == 3, "{published}");
}

#[test]
fn a_power_cut_that_leaves_of_the_intent_an_empty_file_leaves_no_ref_locked() {
    let (p, mut store) = set_up();
    let tip = git(&p.path, &["rev-parse", "vermas/state"]);
    std::fs::write(store.places().intent(), "").unwrap();
    let locks = ["heads/vermas/state", "vermas/backup"].map(|r| p.path.join(".git/refs").join(format!("{r}.lock")));
    for lock in &locks {
        std::fs::write(lock, format!("{tip}\n")).unwrap();
    }
    create(&mut store, "After the cut");
    assert!(!locks.iter().any(|l| l.exists()) && !store.places().intent().exists());
    git(&p.path, &["gc", "-q"]);
}

#[test]
fn where_the_git_directory_is_apart_all_worktrees_share_one_log() {
    for named in [false, true] {
        let dir = crate::place::scratch();
        let top = std::fs::canonicalize(dir.path()).unwrap();
        let (main, linked, apart) = (top.join("main"), top.join("linked"), top.join("apart"));
        let path = |p: &Path| p.to_str().unwrap().to_owned();
        git(&top, &["init", "-q", "-b", "main", "--separate-git-dir", &path(&apart), &path(&main)]);
        git(&main, &["-c", "user.name=a", "-c", "user.email=a@b", "commit", "-q", "--allow-empty", "-m", "begin"]);
        if named {
            git(&main, &["config", "core.worktree", &path(&main)]);
        }
        git(&main, &["worktree", "add", "-q", &path(&linked)]);
        let (mut store, report) = init(Repo::discover(&main).unwrap(), None).unwrap();
        assert_eq!(report.made.iter().any(|m| m.starts_with("vermas.worktree")), !named);
        assert_eq!(git(&main, &["status", "--porcelain"]), "");
        assert_eq!(init(Repo::discover(&main).unwrap(), None).unwrap().1.made, Vec::<String>::new());
        let id = create(&mut store, "From the main one");
        let mut there = open(&linked);
        assert!(there.view().unwrap().order(&id).unwrap().is_some());
        create(&mut there, "From the linked one");
        let has_log = |p: &Path| p.join(".work/events.jsonl").exists();
        assert_eq!((has_log(&main), has_log(&apart), has_log(&linked)), (true, false, false));
    }
}

#[test]
fn setting_up_twice_changes_nothing() {
    let (p, store) = set_up();
    let before = git(&p.path, &["rev-parse", "vermas/state"]);
    drop(store);
    let (_, report) = init(Repo::discover(&p.path).unwrap(), None).unwrap();
    assert_eq!(report.made, Vec::<String>::new());
    assert_eq!(git(&p.path, &["rev-parse", "vermas/state"]), before);
}

#[test]
fn what_was_removed_is_put_back() {
    let (p, mut store) = set_up();
    let id = create(&mut store, "Keep me");
    drop(store);
    for gone in [vec![".work"], vec![".git/vermas"], vec![".work", ".git/vermas"]] {
        for g in &gone {
            std::fs::remove_dir_all(p.path.join(g)).unwrap();
        }
        let mut store = open(&p.path);
        assert!(store.view().unwrap().order(&id).unwrap().is_some(), "{gone:?}");
        assert!(std::fs::read_to_string(p.path.join(".work/work_orders.jsonl")).unwrap().contains(id.as_str()));
        assert!(p.path.join(".work/templates/feature.toml").exists(), "{gone:?}");
    }
    git(&p.path, &["branch", "-D", "vermas/state"]);
    let mut store = open(&p.path);
    let other = create(&mut store, "And me");
    for i in [&id, &other] {
        assert!(store.view().unwrap().order(i).unwrap().is_some());
    }
    assert!(git(&p.path, &["log", "--format=%s", "vermas/state"]).contains("Keep me"));
}

#[test]
fn a_foreign_line_is_adopted_and_a_changed_one_too() {
    let (p, mut store) = set_up();
    let id = create(&mut store, "Ours");
    let file = p.path.join(".work/work_orders.jsonl");
    let mut text = std::fs::read_to_string(&file).unwrap();
    text = text.replace("\"status\":\"open\"", "\"status\":\"in_progress\"");
    text.push_str(
        "{\"id\":\"wo-py1\",\"title\":\"Theirs\",\"description\":\"\",\"status\":\"open\",\"priority\":1,\"issue_type\":\"bug\",\
         \"created_at\":\"2026-01-06T12:00:00\",\"updated_at\":\"2026-01-06T12:00:00\",\"created_by\":\"ceo\",\"x\":1}\n",
    );
    std::fs::write(&file, text).unwrap();
    let view = store.view().unwrap();
    assert_eq!(view.order(&id).unwrap().unwrap().status(), "in_progress");
    let theirs = view.order(&"wo-py1".parse().unwrap()).unwrap().unwrap();
    assert_eq!((theirs.title(), theirs.priority()), ("Theirs", 1));
    let tree = git(&p.path, &["ls-tree", "-r", "--name-only", "vermas/state"]);
    let segment = tree.lines().find(|l| l.starts_with("events/")).unwrap();
    assert!(git(&p.path, &["show", &format!("vermas/state:{segment}")]).contains("wo-py1"));
    // Taken in once: looking again adds nothing.
    let count = store.view().unwrap().count_events().unwrap();
    assert_eq!(store.view().unwrap().count_events().unwrap(), count);
    assert!(std::fs::read_to_string(&file).unwrap().contains("\"x\":1"));
}

#[test]
fn a_list_that_is_written_back_as_it_was_read_takes_nothing_back_where_a_clock_is_ahead() {
    let (p, mut store) = set_up();
    let hour = git_vermas::domain::Timestamp::from_millis(git_vermas::sys::clock::now_millis() + 3_600_000);
    let data = serde_json::json!({"work_order_id": "wo-py1", "title": "Ahead"});
    let ahead = serde_json::json!({"event_id": "evt-0009x3k7q2mz", "event_type": "work_order.created", "actor": "py",
        "timestamp": hour, "data": data});
    let mut log = std::fs::OpenOptions::new().append(true).open(store.places().log()).unwrap();
    std::io::Write::write_all(&mut log, format!("{ahead}\n").as_bytes()).unwrap();
    let id = create(&mut store, "Closed soon");
    let change = |store: &mut Store, key: &str, value: &str| {
        let data = serde_json::json!({"work_order_id": id, "changes": {key: value}});
        let draft = git_vermas::domain::event::Draft::new("work_order.updated", &AgentId::ceo(), data);
        store.write::<_, StoreError>(|tx| tx.emit(&draft)).unwrap();
    };
    change(&mut store, "title", "First");
    let file = p.path.join(".work/work_orders.jsonl");
    let read = std::fs::read_to_string(&file).unwrap();
    change(&mut store, "title", "Second");
    change(&mut store, "description", "at length");
    std::fs::write(&file, read).unwrap();
    let order = store.view().unwrap().order(&id).unwrap().unwrap();
    assert_eq!((order.title(), order.record()["description"].as_str()), ("Second", Some("at length")));
}

#[test]
fn writers_at_once_lose_nothing() {
    let (p, store) = set_up();
    drop(store);
    let threads: Vec<_> = (0..8)
        .map(|n| {
            let path = p.path.clone();
            std::thread::spawn(move || {
                (0..10).map(|i| create(&mut open(&path), &format!("order {n}.{i}"))).collect::<Vec<_>>()
            })
        })
        .collect();
    let ids: Vec<OrderId> = threads.into_iter().flat_map(|t| t.join().unwrap()).collect();
    let mut store = open(&p.path);
    let view = store.view().unwrap();
    assert!(ids.iter().all(|id| view.order(id).unwrap().is_some()));
    assert_eq!(view.count_loose().unwrap(), 0);
    let lines = std::fs::read_to_string(p.path.join(".work/work_orders.jsonl")).unwrap();
    assert_eq!(lines.lines().count(), 80);
    git(&p.path, &["fsck", "--strict"]);
}

#[test]
fn a_branch_that_is_put_back_gets_no_event_twice() {
    let (p, mut store) = set_up();
    let ids = [create(&mut store, "One"), create(&mut store, "Two")];
    drop(store);
    let harms: [fn(&Path); 2] = [
        |p| drop(git(p, &["update-ref", "-d", "refs/heads/vermas/state"])),
        |p| std::fs::write(p.join(".git/refs/heads/vermas/state"), "").unwrap(),
    ];
    for harm in harms {
        harm(&p.path);
        create(&mut open(&p.path), "Another");
        let tree = git(&p.path, &["ls-tree", "-r", "--name-only", "vermas/state"]);
        let segments = tree.lines().filter(|l| l.starts_with("events/"));
        let all: String = segments.map(|s| git(&p.path, &["show", &format!("vermas/state:{s}")]) + "\n").collect();
        for id in &ids {
            assert_eq!(all.lines().filter(|l| l.contains(id.as_str())).count(), 1, "{all}");
        }
    }
}

#[test]
fn a_branch_that_holds_code_is_not_written_to() {
    let (p, mut store) = set_up();
    create(&mut store, "Ours");
    std::fs::write(p.path.join("code"), "").unwrap();
    git(&p.path, &["add", "code"]);
    git(&p.path, &["-c", "user.name=A", "-c", "user.email=a@b", "commit", "-qm", "code"]);
    let code = git(&p.path, &["rev-parse", "main"]);
    git(&p.path, &["config", "vermas.branch", "main"]);
    let mut wrong = open(&p.path);
    let wish = NewOrder { title: "Nowhere".to_owned(), ..NewOrder::default() };
    let refused = wrong.write::<_, StoreError>(|tx| {
        let drafts = order::create(&tx.new_id("wo"), &wish, &AgentId::ceo())?;
        tx.emit_all(&drafts)
    });
    assert!(refused.is_err_and(|e| e.to_string().contains("main holds no state")));
    assert_eq!(git(&p.path, &["rev-parse", "main"]), code);
    assert!(!std::fs::read_to_string(p.path.join(".work/events.jsonl")).unwrap().contains("Nowhere"));
    git(&p.path, &["config", "vermas.branch", "vermas/state"]);
    // One of ours that somebody moved there is put right.
    git(&p.path, &["update-ref", "refs/heads/vermas/state", "main"]);
    create(&mut open(&p.path), "And more");
}

/// A world like the real one, in which somebody does something right before a thing happens.
struct Meddled<F: Fn(Act, &Path)> {
    before: F,
    synced: std::cell::RefCell<Vec<u64>>,
}

impl<F: Fn(Act, &Path)> Meddled<F> {
    fn new(before: F) -> std::rc::Rc<Self> {
        std::rc::Rc::new(Self { before, synced: std::cell::RefCell::default() })
    }
}

impl<F: Fn(Act, &Path)> git_vermas::sys::world::World for Meddled<F> {
    fn now_millis(&self) -> i64 {
        1_767_700_000_000
    }
    fn instant(&self) -> std::time::Instant {
        std::time::Instant::now()
    }
    fn pause(&self, d: std::time::Duration) {
        std::thread::sleep(d);
    }
    fn random_bits(&self) -> u64 {
        0x0123_4567_89ab_cdef
    }
    fn var(&self, name: &str) -> Option<std::ffi::OsString> {
        std::env::var_os(name)
    }
    fn boot_id(&self) -> String {
        "boot".to_owned()
    }
    fn before(&self, act: Act, path: &Path) -> git_vermas::sys::world::Ruling {
        (self.before)(act, path);
        git_vermas::sys::world::Ruling::Go
    }
    fn stamp(&self, _: &std::fs::File) -> std::io::Result<()> {
        Ok(())
    }
    fn synced(&self, file: &std::fs::File) -> std::io::Result<()> {
        use std::os::unix::fs::MetadataExt;
        self.synced.borrow_mut().push(file.metadata()?.ino());
        Ok(())
    }
}

#[test]
fn a_log_that_is_unlinked_behind_the_append_is_synced_and_put_back() {
    use std::os::unix::fs::MetadataExt;
    let (p, mut store) = set_up();
    let pin = std::fs::metadata(p.path.join(".git/vermas/events.pin")).unwrap().ino();
    let log = store.places().log();
    // As it is opened the second time: behind the append.
    let opened = std::cell::Cell::new(0);
    let world = {
        let log = log.clone();
        Meddled::new(move |act, path| {
            if act == Act::Open && path == log && opened.replace(opened.get() + 1) == 1 {
                std::fs::remove_file(path).unwrap();
            }
        })
    };
    let id = {
        let _stay = git_vermas::sys::world::enter(world.clone());
        create(&mut store, "kept")
    };
    assert!(world.synced.borrow().contains(&pin), "another file was synced");
    assert_eq!(std::fs::metadata(&log).unwrap().ino(), pin);
    assert!(std::fs::read_to_string(&log).unwrap().contains(id.as_str()));
}

#[test]
fn objects_that_a_git_prune_takes_before_a_ref_names_them_are_written_again() {
    let (p, mut store) = set_up();
    let dir = p.path.clone();
    let pruned = std::rc::Rc::new(std::cell::Cell::new(false));
    let world = {
        let pruned = pruned.clone();
        Meddled::new(move |act, _| {
            if act == Act::Ref && !pruned.replace(true) {
                git(&dir, &["prune", "--expire=now"]);
            }
        })
    };
    let id = {
        let _stay = git_vermas::sys::world::enter(world);
        create(&mut store, "kept")
    };
    assert!(pruned.get());
    assert_eq!(store.take_warnings(), Vec::<String>::new());
    assert!(git(&p.path, &["grep", "-h", id.as_str(), "vermas/state", "--", "events"]).contains("kept"));
    git(&p.path, &["fsck", "--full", "--strict"]);
}
