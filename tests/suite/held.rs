//! What others hold, and what cannot be read just now, stays as it is.

use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};
use std::path::Path;
use std::process::{Child, Stdio};

use super::place::{Place, binary, scrubbed};

/// A program that is ended when this goes.
struct Running(Child);

impl Running {
    fn start(dir: &Path, script: &str) -> Self {
        let mut sh = scrubbed("sh", dir);
        Self(sh.args(["-c", script]).stdin(Stdio::piped()).stdout(Stdio::null()).spawn().unwrap())
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn said(p: &Place, args: &[&str]) -> (bool, String) {
    let out = p.vermas(args).output().unwrap();
    (out.status.success(), String::from_utf8_lossy(&[out.stdout, out.stderr].concat()).into_owned())
}

#[test]
fn an_empty_lock_that_somebody_holds_stays_until_it_is_given_back() {
    let p = Place::new();
    p.git(&["pack-refs", "--all"]);
    let (lock, intent) = (p.path.join(".git/refs/heads/vermas/state.lock"), p.path.join(".git/vermas/intent"));
    std::fs::create_dir_all(lock.parent().unwrap()).unwrap();
    let before = p.git(&["rev-parse", "vermas/state"]);
    std::fs::write(&intent, format!("1 0 another-boot {before}\n")).unwrap();
    std::fs::write(&lock, "").unwrap();
    let a_while_ago = std::time::SystemTime::now() - std::time::Duration::from_secs(5);
    for file in [&intent, &lock] {
        std::fs::File::options().write(true).open(file).unwrap().set_modified(a_while_ago).unwrap();
    }
    let mut holder = Running::start(&p.path, &format!("exec 9<'{}'; echo; read x", lock.display()));
    while !Path::new(&format!("/proc/{}/fd/9", holder.0.id())).exists() && Path::new("/proc/self/fd").exists() {
        assert_eq!(holder.0.try_wait().unwrap(), None);
        std::thread::sleep(std::time::Duration::from_millis(2));
    }
    let (fine, text) = said(&p, &["wo", "create", "Meanwhile"]);
    assert!(fine && text.contains("not yet on"), "{text}");
    assert!(lock.exists() && intent.exists());
    drop(holder);
    let (fine, text) = said(&p, &["wo", "create", "Afterwards"]);
    assert!(fine && !text.contains("not yet on"), "{text}");
    assert!(!lock.exists() && !intent.exists());
}

#[test]
fn a_branch_that_cannot_be_read_is_not_taken_for_a_broken_one() {
    let p = Place::new();
    p.order("Before");
    let before = p.git(&["rev-parse", "vermas/state"]);
    let hidden = [".git/refs/heads/vermas/state", ".git/refs/vermas/backup"].map(|r| p.path.join(r));
    let show = |mode| {
        for file in &hidden {
            std::fs::set_permissions(file, std::fs::Permissions::from_mode(mode)).unwrap();
        }
    };
    show(0);
    // The superuser reads whatever the mode says, unless that is taken from it.
    let is_root = p.path.metadata().unwrap().uid() == 0;
    let mut cmd = scrubbed(if is_root { "setpriv".into() } else { binary() }, &p.path);
    if is_root {
        cmd.args(["--inh-caps=-all", "--bounding-set=-dac_override,-dac_read_search", "--"]).arg(binary());
    }
    let Ok(out) = cmd.args(["wo", "create", "Meanwhile"]).output() else {
        println!("left out: setpriv is not installed");
        return show(0o644);
    };
    let text = String::from_utf8_lossy(&out.stderr).into_owned();
    show(0o644);
    assert!(out.status.success() && text.contains("not yet on"), "{out:?}");
    assert_eq!(p.git(&["rev-parse", "vermas/state"]), before);
    p.order("Afterwards");
    p.git(&["merge-base", "--is-ancestor", &before, "vermas/state"]);
    for title in ["Before", "Meanwhile", "Afterwards"] {
        p.git(&["grep", "-q", title, "vermas/state", "--", "events"]);
    }
}

#[test]
fn where_git_gc_keeps_a_commit_waiting_the_command_says_so_and_a_left_note_keeps_nobody() {
    let p = Place::new();
    let before = p.git(&["rev-parse", "vermas/state"]);
    let gc = Running::start(&p.path, "read x");
    let note = p.path.join(".git/gc.pid");
    let host = git_vermas::sys::running::host_name();
    std::fs::write(&note, format!("{} {host}", gc.0.id())).unwrap();
    let (fine, text) = said(&p, &["wo", "create", "Meanwhile"]);
    assert!(fine && text.contains("git gc is at work"), "{text}");
    assert_eq!(p.git(&["rev-parse", "vermas/state"]), before);
    let long_ago = std::time::SystemTime::now() - std::time::Duration::from_secs(13 * 3600);
    std::fs::File::options().write(true).open(&note).unwrap().set_modified(long_ago).unwrap();
    let (fine, text) = said(&p, &["wo", "create", "The note is stale"]);
    assert!(fine && !text.contains("not yet on"), "{text}");
    assert_ne!(p.git(&["rev-parse", "vermas/state"]), before);
    std::fs::write(&note, format!("4194399 {host}")).unwrap();
    assert!(p.json(&["doctor", "--pack"]).to_string().contains("commits"));
    assert!(p.git(&["count-objects", "-v"]).contains("packs: 1"));
}

#[test]
fn where_nothing_can_be_written_what_is_recorded_is_shown_also_without_the_log() {
    let p = Place::new();
    p.order("Recorded");
    let log = p.path.join(".work/events.jsonl");
    let folders = [".work", ".git/vermas", ".git"].map(|f| p.path.join(f));
    let files = [".git/vermas/state.lock", ".git/vermas/cache.sqlite"].map(|f| p.path.join(f));
    let allow = |folder, file| {
        let set = |path: &std::path::PathBuf, mode| {
            std::fs::set_permissions(path, std::fs::Permissions::from_mode(mode)).unwrap();
        };
        folders.iter().for_each(|f| set(f, folder));
        files.iter().filter(|f| f.exists()).for_each(|f| set(f, file));
    };
    let is_root = p.path.metadata().unwrap().uid() == 0;
    for gone in [true, false] {
        if gone {
            std::fs::remove_file(&log).unwrap();
        } else {
            std::fs::write(&log, "").unwrap();
        }
        allow(0o555, 0o444);
        let mut cmd = scrubbed(if is_root { "setpriv".into() } else { binary() }, &p.path);
        if is_root {
            cmd.args(["--inh-caps=-all", "--bounding-set=-dac_override,-dac_read_search", "--"]).arg(binary());
        }
        let out = cmd.args(["wo", "list"]).output();
        allow(0o755, 0o600);
        let Ok(out) = out else { return println!("left out: setpriv is not installed") };
        let said = String::from_utf8_lossy(&[out.stdout, out.stderr].concat()).into_owned();
        assert!(
            out.status.success() && said.contains("Recorded") && said.contains("cannot be written"),
            "{gone}: {said}"
        );
        assert!(said_of(&p, &["wo", "list"]).contains("Recorded"));
    }
}

fn said_of(p: &Place, args: &[&str]) -> String {
    let (fine, text) = said(p, args);
    assert!(fine, "{text}");
    text
}

/// Whether an order can be seen, whatever has been taken away.
fn is_seen(p: &Place, id: &str) -> bool {
    said(p, &["wo", "show", id]).0
}

#[test]
fn what_waits_for_a_git_gc_outlives_the_loss_of_our_folders_while_it_runs_and_after() {
    let p = Place::new();
    p.said(&["wo", "create", "before"]);
    let gc = p.path.join(".git/gc.pid");
    for ends_first in [true, false] {
        let mut running = Running::start(&p.path, "read x");
        let host = scrubbed("hostname", &p.path).output().unwrap().stdout;
        std::fs::write(&gc, format!("{} {}", running.0.id(), String::from_utf8_lossy(&host))).unwrap();
        let (fine, text) = said(&p, &["wo", "create", "meanwhile"]);
        let id = text.lines().find(|l| l.starts_with("wo-")).unwrap().to_owned();
        assert!(fine && text.contains("git gc is at work"), "{text}");
        if ends_first {
            running.0.kill().unwrap();
            running.0.wait().unwrap();
            std::fs::remove_file(&gc).unwrap();
            // Whoever only looks takes what waited to the branch.
            assert!(said(&p, &["wo", "list"]).0);
            assert!(p.git(&["log", "--format=%s", "vermas/state"]).contains(&id));
        }
        std::fs::remove_dir_all(p.path.join(".work")).unwrap();
        std::fs::remove_dir_all(p.path.join(".git/vermas")).unwrap();
        assert!(is_seen(&p, &id), "{ends_first}");
        let _ = std::fs::remove_file(&gc);
    }
}

#[test]
fn mending_the_branch_does_not_set_the_copy_back() {
    let p = Place::new();
    let (lock, branch) =
        (p.path.join(".git/refs/heads/vermas/state.lock"), p.path.join(".git/refs/heads/vermas/state"));
    std::fs::write(&lock, "").unwrap();
    let (fine, text) = said(&p, &["wo", "create", "in the copy"]);
    assert!(fine && text.contains("not yet on"), "{text}");
    let id = text.lines().find(|l| l.starts_with("wo-")).unwrap();
    std::fs::remove_file(&lock).unwrap();
    std::fs::write(&branch, "").unwrap();
    // A command that is killed in the middle of it: whichever point it is at, the copy has it.
    for point in 1..12 {
        let mut killed = p.vermas(&["wo", "create", "killed"]);
        killed.env("VERMAS_FAULT", format!("kill:{point}")).output().unwrap();
        let copy = p.git(&["grep", "-c", id, "refs/vermas/backup", "--", "events"]);
        assert!(!copy.is_empty(), "killed at {point}");
    }
    assert!(is_seen(&p, id));
}

#[test]
fn what_can_go_to_no_ref_outlives_the_log() {
    let p = Place::new();
    let locks = [".git/refs/heads/vermas/state.lock", ".git/refs/vermas/backup.lock"].map(|l| p.path.join(l));
    for lock in &locks {
        std::fs::write(lock, "").unwrap();
    }
    let (fine, text) = said(&p, &["wo", "create", "waits"]);
    assert!(fine && text.contains("recorded, but not yet on"), "{text}");
    let id = text.lines().find(|l| l.starts_with("wo-")).unwrap();
    std::fs::write(p.work("events.jsonl"), "").unwrap();
    for lock in &locks {
        std::fs::remove_file(lock).unwrap();
    }
    assert!(is_seen(&p, id));
    p.order("the next");
    assert!(p.git(&["log", "--format=%s", "vermas/state"]).contains(id));
    assert!(!p.path.join(".git/vermas.waiting").exists());
}

#[test]
fn a_copy_that_cannot_be_moved_keeps_nothing_from_the_branch() {
    for spoil in ["touch .git/refs/vermas/backup.lock", "git symbolic-ref refs/vermas/backup refs/heads/main"] {
        let p = Place::new();
        let main = p.git(&["rev-parse", "main"]);
        assert!(scrubbed("sh", &p.path).args(["-c", spoil]).status().unwrap().success());
        let (fine, text) = said(&p, &["wo", "create", "on the branch"]);
        let id = text.lines().find(|l| l.starts_with("wo-")).unwrap();
        assert!(fine && p.git(&["log", "--format=%s", "vermas/state"]).contains(id), "{spoil}: {text}");
        assert_eq!(p.git(&["rev-parse", "main"]), main, "{spoil}");
    }
}

#[test]
fn what_is_recorded_is_published_although_our_own_folder_goes_meanwhile() {
    let p = Place::new();
    let private = p.path.join(".git/vermas");
    let publishing = std::fs::File::open(private.join("publish.lock")).unwrap();
    publishing.lock().unwrap();
    let size = || std::fs::metadata(p.work("events.jsonl")).unwrap().len();
    let before = size();
    let mut create = scrubbed(binary(), &p.path);
    let mut create = create.args(["wo", "create", "victim"]).stdout(Stdio::null()).spawn().unwrap();
    while size() == before {
        assert_eq!(create.try_wait().unwrap(), None);
        std::thread::sleep(std::time::Duration::from_millis(1));
    }
    // The command may be putting something there at this moment.
    while std::fs::remove_dir_all(&private).is_err_and(|e| e.kind() == std::io::ErrorKind::DirectoryNotEmpty) {}
    assert!(create.wait().unwrap().success());
    drop(publishing);
    std::fs::remove_dir_all(p.path.join(".work")).unwrap();
    assert!(p.said(&["wo", "list"]).contains("victim"));
}

#[test]
fn who_looks_sees_the_state_although_our_own_folder_is_taken_away_again_and_again() {
    let p = Place::new();
    let id = p.order("there").to_string();
    let private = p.path.join(".git/vermas");
    let stop = std::sync::atomic::AtomicBool::new(false);
    std::thread::scope(|s| {
        s.spawn(|| {
            while !stop.load(std::sync::atomic::Ordering::Relaxed) {
                let _ = std::fs::remove_dir_all(&private);
                std::thread::sleep(std::time::Duration::from_millis(7));
            }
        });
        let codes: Vec<_> = (0..25).map(|_| p.vermas(&["wo", "show", &id]).output().unwrap().status.code()).collect();
        stop.store(true, std::sync::atomic::Ordering::Relaxed);
        assert!(!codes.contains(&Some(3)), "{codes:?}");
    });
}

#[test]
fn in_a_repository_with_reftable_revisions_have_names_and_no_symbolic_ref_is_followed() {
    let dir = crate::place::scratch();
    let (made, _) = crate::place::try_git(dir.path(), &["init", "-q", "-b", "main", "--ref-format=reftable", "app"]);
    if !made {
        // A git that does not know it.
        return;
    }
    let path = dir.path().join("app");
    crate::place::git(&path, &["commit", "-q", "--allow-empty", "-m", "begin"]);
    let p = Place { dir, path };
    p.said(&["init"]);
    p.said(&["wo", "create", "A"]);
    assert!(p.said(&["wo", "list", "--at", "vermas/state"]).contains("A"));
    assert!(!said(&p, &["wo", "list", "--at", "vermas/state~1"]).1.contains("  A  "));
    let main = p.git(&["rev-parse", "main"]);
    p.git(&["symbolic-ref", "refs/vermas/backup", "refs/heads/main"]);
    p.said(&["wo", "create", "B"]);
    assert_eq!(p.git(&["rev-parse", "main"]), main);
}

#[test]
fn a_branch_whose_tip_is_gone_is_read_at_its_parent_although_the_log_was_emptied() {
    let p = Place::new();
    let id = p.order("before").to_string();
    p.order("last");
    let tip = p.git(&["rev-parse", "vermas/state"]);
    std::fs::remove_file(p.path.join(".git/objects").join(&tip[..2]).join(&tip[2..])).unwrap();
    std::fs::write(p.work("events.jsonl"), "").unwrap();
    assert!(is_seen(&p, &id));
    p.said(&["wo", "create", "after"]);
    p.git(&["fsck", "--no-dangling"]);
}

#[test]
fn an_emptied_copy_is_mended_by_the_next_change_packed_or_not() {
    for packed in [true, false] {
        let p = Place::new();
        if packed {
            p.git(&["pack-refs", "--all"]);
        }
        std::fs::create_dir_all(p.path.join(".git/refs/vermas")).unwrap();
        std::fs::write(p.path.join(".git/refs/vermas/backup"), "").unwrap();
        let (fine, text) = said(&p, &["wo", "create", "next"]);
        assert!(fine && !text.contains("warning"), "{packed}: {text}");
        p.git(&["gc", "-q"]);
        assert_eq!(p.git(&["rev-parse", "refs/vermas/backup"]), p.git(&["rev-parse", "vermas/state"]));
    }
}

#[test]
fn a_branch_of_which_no_line_can_be_read_is_an_empty_state_and_no_missing_one() {
    let p = Place::new();
    let there = p.checkout();
    let folder = there.join("events/0123456789");
    std::fs::create_dir_all(&folder).unwrap();
    std::fs::write(folder.join("000001.jsonl"), "nothing that can be read\n").unwrap();
    crate::place::git(&there, &["add", "events"]);
    crate::place::git(&there, &["commit", "-q", "--no-verify", "-m", "junk"]);
    let (fine, text) = said(&p, &["wo", "list"]);
    assert!(fine && text.contains("no work orders match"), "{text}");
    let id = p.said(&["wo", "create", "first"]);
    assert!(is_seen(&p, id.trim()));
}

#[test]
fn a_cache_that_is_spoiled_anywhere_is_made_anew_without_a_word() {
    let p = Place::new();
    for n in 0..30 {
        p.order(&format!("Order {n} {}", "with a long title ".repeat(4)));
    }
    let cache = p.path.join(".git/vermas/cache.sqlite");
    let sound = std::fs::read(&cache).unwrap();
    let step = if std::env::var_os("VERMAS_LONG").is_some() { 1 } else { 6 };
    for page in (0..sound.len() / 4096).step_by(step) {
        for args in [&["wo", "list", "--json"][..], &["wo", "comment", "@", "-m", "on"], &["wo", "show", "@"]] {
            p.said(&["wo", "list"]);
            let id = p.json(&["wo", "list"])[7]["id"].as_str().unwrap().to_owned();
            let mut spoiled = std::fs::read(&cache).unwrap();
            let end = spoiled.len().min((page + 1) * 4096);
            spoiled[page * 4096..end].fill(0x5a);
            std::fs::write(&cache, &spoiled).unwrap();
            let args: Vec<&str> = args.iter().map(|a| if *a == "@" { id.as_str() } else { a }).collect();
            let out = p.vermas(&args).output().unwrap();
            let told = String::from_utf8_lossy(&out.stderr).into_owned();
            assert!(
                out.status.success() && !told.contains("error") && !told.contains("warning"),
                "page {page}, {args:?}: {out:?}"
            );
        }
    }
    assert_eq!(p.json(&["wo", "list"]).as_array().unwrap().len(), 30);
}
