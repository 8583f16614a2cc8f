//! The demonstration: it passes in both kinds of session, in whatever environment, and leaves nothing behind.

use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::time::Duration;

use serde_json::Value;

const MOST_LOOKS: usize = 6_000;
const BETWEEN_LOOKS: Duration = Duration::from_millis(10);

/// A directory in which the demonstration has its temporary files; short, because tmux sockets are below it.
fn place() -> tempfile::TempDir {
    tempfile::Builder::new().prefix("d").tempdir_in("/tmp").unwrap()
}

/// The demonstration with nothing in its environment but where programs are and where temporary files go.
fn demo(tmp: &Path, args: &[&str]) -> Command {
    let mut c = Command::new(assert_cmd::cargo::cargo_bin!("git-vermas"));
    c.env_clear().env("PATH", std::env::var_os("PATH").unwrap()).env("TMPDIR", tmp).current_dir("/");
    c.arg("demo").args(args).stdin(Stdio::null());
    c
}

fn report(o: &Output) -> Value {
    assert!(o.status.success(), "{}{}", String::from_utf8_lossy(&o.stdout), String::from_utf8_lossy(&o.stderr));
    serde_json::from_slice(&o.stdout).unwrap()
}

fn listing(dir: &Path) -> Vec<PathBuf> {
    std::fs::read_dir(dir).unwrap().map(|e| e.unwrap().path()).collect()
}

/// The processes that a demonstration with its temporary files there has started and that still run.
fn running(tmp: &Path) -> Vec<String> {
    let mark = format!("VERMAS_DEMO={}/", tmp.display()).into_bytes();
    let numbers = std::fs::read_dir("/proc").unwrap().map(|e| e.unwrap().path());
    let marked = numbers.filter(|p| {
        let environ = std::fs::read(p.join("environ")).unwrap_or_default();
        environ.windows(mark.len()).any(|w| w == mark)
    });
    marked.map(|p| std::fs::read_to_string(p.join("cmdline")).unwrap_or_default().replace('\0', " ")).collect()
}

fn until(what: &str, mut so: impl FnMut() -> bool) {
    let came = (0..MOST_LOOKS).any(|n| {
        if n > 0 {
            std::thread::sleep(BETWEEN_LOOKS);
        }
        so()
    });
    assert!(came, "{what} did not come to pass");
}

#[test]
fn it_passes_twice_at_once_in_both_kinds_of_session_and_leaves_nothing() {
    let (one, two) = (place(), place());
    let children = [
        demo(one.path(), &["--json"]),
        // Called from a hook, by a worker, in a terminal of tmux: nothing of that is heeded.
        {
            let mut c = demo(two.path(), &["--json", "--launcher", "process"]);
            c.env("GIT_DIR", "/nowhere").env("GIT_INDEX_FILE", "/nowhere/index").env("AGENT_ID", "x/workers/slot9");
            c.env("VERMAS_SESSION", "worker-x-slot9").env("VERMAS_TMUX", "/nowhere/s").env("VERMAS_NESTED", "1");
            c.env("TMUX", "/nowhere/tmux,1,0").env("HOME", "/nowhere").env("GIT_CONFIG_GLOBAL", "/nowhere/config");
            c
        },
    ];
    let started = children.map(|mut c| c.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap());
    let [first, second] = started.map(|c| report(&c.wait_with_output().unwrap()));
    let has_tmux = Command::new("tmux").arg("-V").output().is_ok_and(|o| o.status.success());
    assert_eq!(first["launcher"], if has_tmux { "tmux" } else { "process" });
    assert_eq!(second["launcher"], "process");
    for r in [first, second] {
        let orders = r["orders"].as_array().unwrap();
        let rejections: Vec<u64> = orders.iter().map(|o| o["rejections"].as_u64().unwrap()).collect();
        assert_eq!(rejections, [0, 1, 0]);
        assert!(orders.iter().all(|o| o["status"] == "closed" && o["merged"] == true), "{orders:?}");
        assert_eq!((r["checks"].as_array().unwrap().len(), &r["kept"]), (14, &Value::Null));
        let sent_back = r["steps"].as_array().unwrap().iter().filter(|s| s["exit_code"] == 1).count();
        assert_eq!(sent_back, 1);
    }
    for tmp in [&one, &two] {
        assert_eq!(listing(tmp.path()), [] as [PathBuf; 0]);
        assert_eq!(running(tmp.path()), [] as [String; 0]);
    }
}

#[test]
fn killed_in_the_middle_it_leaves_nothing_either() {
    let tmp = place();
    let mut child = demo(tmp.path(), &[]).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
    let at_work = |root: &PathBuf| root.join("greet/.git/vermas/logs/slot1.log").exists();
    until("a second worker", || listing(tmp.path()).iter().any(at_work));
    child.kill().unwrap();
    child.wait().unwrap();
    until("an empty directory", || listing(tmp.path()).is_empty());
    until("the end of every process", || running(tmp.path()).is_empty());
}

#[test]
fn a_reader_that_leaves_does_not_leave_the_mess_to_others() {
    let tmp = place();
    let mut child = demo(tmp.path(), &[]).stdout(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap();
    drop(child.stdout.take());
    child.wait().unwrap();
    until("an empty directory", || listing(tmp.path()).is_empty());
    until("the end of every process", || running(tmp.path()).is_empty());
}

#[test]
fn what_is_kept_can_be_worked_with_and_no_process_is() {
    let tmp = place();
    let o = demo(tmp.path(), &["--keep", "--launcher", "process"]).output().unwrap();
    let said = String::from_utf8(o.stdout).unwrap();
    assert!(o.status.success(), "{said}{}", String::from_utf8_lossy(&o.stderr));
    let roots = listing(tmp.path());
    assert_eq!(roots.len(), 1);
    assert!(said.contains(&format!("It is kept in {}: ", roots[0].display())), "{said}");
    assert_eq!(running(tmp.path()), [] as [String; 0]);
    let mut list = Command::new(assert_cmd::cargo::cargo_bin!("git-vermas"));
    list.env_clear().env("PATH", std::env::var_os("PATH").unwrap()).current_dir(roots[0].join("greet"));
    let o = list.args(["wo", "list", "--status", "closed", "--json"]).output().unwrap();
    let orders: Value = serde_json::from_slice(&o.stdout).unwrap();
    assert_eq!(orders.as_array().unwrap().len(), 3);
}

#[test]
fn what_is_missing_is_said_and_nothing_is_left() {
    let (tmp, bin) = (place(), place());
    let mut without_git = demo(tmp.path(), &[]);
    let o = without_git.env("PATH", bin.path()).output().unwrap();
    assert_eq!(o.status.code(), Some(1));
    assert_eq!(String::from_utf8_lossy(&o.stderr), "error: git is not installed, or not on PATH\n");
    std::os::unix::fs::symlink("/bin/true", bin.path().join("git")).unwrap();
    let mut without_tmux = demo(tmp.path(), &["--launcher", "tmux"]);
    let o = without_tmux.env("PATH", bin.path()).output().unwrap();
    let words = String::from_utf8_lossy(&o.stderr).into_owned();
    assert!(words.ends_with("hint: run it without tmux: git vermas demo --launcher process\n"), "{words}");
    assert_eq!(listing(tmp.path()), [] as [PathBuf; 0]);
}

#[test]
fn only_the_place_of_a_demonstration_is_swept() {
    let tmp = place();
    std::fs::write(tmp.path().join("mine"), "").unwrap();
    let o = demo(tmp.path(), &["--sweep", tmp.path().to_str().unwrap()]).output().unwrap();
    assert_eq!(o.status.code(), Some(3));
    assert_eq!(listing(tmp.path()).len(), 1);
}
