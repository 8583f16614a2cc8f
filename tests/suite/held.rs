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
