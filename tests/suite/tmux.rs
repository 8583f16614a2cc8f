//! Sessions in a real tmux, on a server of the test's own: the person's server is never asked.

use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use git_vermas::sys::process::Cmd;
use git_vermas::tmux::{Made, NewSession, PaneState, Server, Tags, TmuxError};

use crate::session::{end_server, until};

/// A tmux server with its socket in a temporary directory, ended with the test.
struct Bench {
    dir: tempfile::TempDir,
    server: Server,
}

impl Bench {
    fn new() -> Self {
        let dir = crate::place::scratch();
        let server = Server::private(dir.path());
        Self { dir, server }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    /// The tmux program on the private server, for what a person would do there.
    fn by_hand(&self, args: &[&str]) -> String {
        let tmux = Cmd::new("tmux").args(["-u", "-f", "/dev/null"]).args(args);
        tmux.env("TMUX_TMPDIR", self.dir.path()).env_remove("TMUX").env_remove("TMUX_PANE").run().unwrap().text()
    }

    fn start(&self, name: &str, argv: &[&str]) -> Result<Made, TmuxError> {
        self.start_with(name, self.dir.path(), argv, &[], &[], None)
    }

    fn start_with(
        &self,
        name: &str,
        cwd: &Path,
        argv: &[&str],
        env: &[(&str, &str)],
        unset: &[&str],
        log: Option<&Path>,
    ) -> Result<Made, TmuxError> {
        let argv: Vec<String> = argv.iter().map(|&s| s.to_owned()).collect();
        let env: Vec<(String, String)> = env.iter().map(|&(k, v)| (k.to_owned(), v.to_owned())).collect();
        let unset: Vec<String> = unset.iter().map(|&s| s.to_owned()).collect();
        let tags = Tags { slot: "slot0".into(), agent: "app/workers/slot0".into(), factory: "a|b #(x)".into() };
        self.server.new_session(&NewSession { name, cwd, argv: &argv, env: &env, unset: &unset, log, tags: &tags })
    }

    fn until_dead(&self, name: &str) -> Option<i32> {
        until(|| match self.server.find(name).unwrap().unwrap().state {
            PaneState::Dead { code } => Some(code),
            PaneState::Running { .. } => None,
        })
    }

    /// Starts a program, waits for its end, and returns the lines it left.
    fn lines_of(&self, name: &str, argv: &[&str]) -> Vec<String> {
        self.start(name, argv).unwrap();
        self.until_dead(name);
        self.server.capture(name, 20).unwrap()
    }
}

impl Drop for Bench {
    fn drop(&mut self) {
        end_server(self.dir.path());
    }
}

const SHOW: &str = r#"for a in "$@"; do printf '[%s]\n' "$a"; done"#;

#[test]
fn the_installed_tmux_is_new_enough() {
    assert!(Server::own().version().unwrap().is_enough());
}

#[test]
fn no_server_means_no_sessions() {
    let b = Bench::new();
    assert!(!b.server.is_running().unwrap());
    assert_eq!(b.server.list_sessions("").unwrap(), []);
    assert!(!b.server.has_session("worker-1").unwrap());
    assert!(!b.server.kill_session("worker-1").unwrap());
}

#[test]
fn arguments_arrive_as_they_are() {
    let b = Bench::new();
    let pwned = b.path("pwned");
    let format = format!("#(touch {})", pwned.display());
    let lines = b.lines_of(
        "a",
        &["sh", "-c", SHOW, "sh", "end;", ";", "\\;", "-t", "it's \"x\" $HOME ~", "two\nlines", "", &format, "%H #S ü"],
    );
    let shown = format!("[{format}]");
    let expected =
        ["[end;]", "[;]", "[\\;]", "[-t]", "[it's \"x\" $HOME ~]", "[two", "lines]", "[]", &shown, "[%H #S ü]"];
    assert_eq!(lines, expected);
    assert!(!pwned.exists());
}

#[test]
fn an_argument_of_100_kib_arrives_whole() {
    let b = Bench::new();
    let long = "x;".repeat(50 * 1024);
    assert_eq!(b.lines_of("a", &["sh", "-c", "echo ${#1}", "sh", &long]), ["102400"]);
}

#[test]
fn a_single_word_is_a_program_and_no_shell_line() {
    let b = Bench::new();
    b.start("a", &["echo hello; touch pwned"]).unwrap();
    assert_eq!(b.until_dead("a"), Some(127));
    assert!(!b.path("pwned").exists());
}

#[test]
fn a_directory_with_hashes_spaces_and_quotes_is_stood_in() {
    let b = Bench::new();
    let pwned = b.path("pwned");
    let cwd = b.path("it's \"a\" #(touch pwned) #S %H; ");
    std::fs::DirBuilder::new().create(&cwd).unwrap();
    b.start_with("a", &cwd, &["sh", "-c", "pwd; exit 3"], &[], &[], None).unwrap();
    assert_eq!(b.until_dead("a"), Some(3));
    assert_eq!(b.server.capture("a", 5).unwrap(), [cwd.to_str().unwrap().trim_end()]);
    assert!(!pwned.exists());
}

#[test]
fn a_directory_that_is_not_there_is_an_error_and_not_the_home() {
    let b = Bench::new();
    let r = b.start_with("a", &b.path("gone"), &["true"], &[], &[], None);
    assert!(matches!(r, Err(TmuxError::NoDirectory(_))), "{r:?}");
    assert_eq!(b.server.list_sessions("").unwrap(), []);
}

#[test]
fn the_environment_is_what_was_asked_for() {
    let b = Bench::new();
    b.by_hand(&["new-session", "-d", "-s", "person", "cat"]);
    b.by_hand(&["set-environment", "-g", "SECRET", "of another session"]);
    assert!(b.server.environment_names().unwrap().contains(&"SECRET".to_owned()));
    let path = "/opt/shims:/usr/bin:/bin";
    let set = [("ODD", "a;\nb #(touch pwned)"), ("PATH", path), ("TMUX_TMPDIR", "/nowhere")];
    let show = r#"printf '%s\n' "$ODD" "$PATH" "$TMUX_TMPDIR" "${TMUX-no}${TMUX_PANE-no}${SECRET-no}""#;
    b.start_with("a", b.dir.path(), &["sh", "-c", show], &set, &["SECRET"], None).unwrap();
    b.until_dead("a");
    assert_eq!(b.server.capture("a", 9).unwrap(), ["a;", "b #(touch pwned)", path, "/nowhere", "nonono"]);
}

#[test]
fn the_log_holds_everything_from_the_first_byte_on() {
    let b = Bench::new();
    let log = b.path("it's #S %H.log;");
    b.start_with("a", b.dir.path(), &["sh", "-c", "echo first; echo last; exit 1"], &[], &[], Some(&log)).unwrap();
    assert_eq!(b.until_dead("a"), Some(1));
    let text = until(|| {
        let bytes = git_vermas::sys::fs::read(&log).unwrap();
        String::from_utf8(bytes).ok().filter(|t| t.contains("last"))
    });
    assert_eq!(text.replace("\r\n", "\n"), "first\nlast\n");
    assert_eq!(git_vermas::sys::fs::metadata(&log).unwrap().permissions().mode() & 0o777, 0o600);
}

#[test]
fn a_program_that_dies_at_once_leaves_its_code_and_its_last_lines() {
    let b = Bench::new();
    b.start("a", &["sh", "-c", "echo why it failed; exit 7"]).unwrap();
    assert_eq!(b.until_dead("a"), Some(7));
    assert_eq!(b.server.capture("a", 3).unwrap(), ["why it failed"]);
    b.start("b", &["sh", "-c", "kill -9 $$"]).unwrap();
    assert_eq!(b.until_dead("b"), Some(137));
}

#[test]
fn a_name_that_is_a_prefix_does_not_hit_its_neighbour() {
    let b = Bench::new();
    b.start("worker-10", &["cat"]).unwrap();
    assert!(!b.server.has_session("worker-1").unwrap());
    assert_eq!(b.server.find("worker-1").unwrap(), None);
    assert!(!b.server.kill_session("worker-1").unwrap());
    assert!(b.server.has_session("worker-10").unwrap());
    b.start("worker-1", &["cat"]).unwrap();
    assert!(b.server.kill_session("worker-1").unwrap());
    let left: Vec<String> = b.server.list_sessions("worker-").unwrap().into_iter().map(|s| s.name).collect();
    assert_eq!(left, ["worker-10"]);
}

#[test]
fn a_session_of_ours_is_listed_with_its_tags() {
    let b = Bench::new();
    let made = b.start("worker-app-slot0", &["cat"]).unwrap();
    b.start("qa-app", &["cat"]).unwrap();
    let list = b.server.list_sessions("worker-").unwrap();
    assert_eq!(list.len(), 1);
    let s = &list[0];
    assert_eq!((s.id.as_str(), s.pane.as_str()), (made.session.as_str(), made.pane.as_str()));
    assert_eq!(s.state, PaneState::Running { pid: made.pid });
    assert_eq!((s.tags.slot.as_str(), s.tags.agent.as_str()), ("slot0", "app/workers/slot0"));
    assert_eq!(s.tags.factory, "a|b #(x)");
    assert_eq!(b.by_hand(&["show-options", "-v", "-t", "worker-app-slot0:", "@vermas_slot"]), "slot0");
}

#[test]
fn a_session_somebody_else_made_is_left_alone() {
    let b = Bench::new();
    b.by_hand(&["new-session", "-d", "-s", "worker-1", "cat"]);
    assert_eq!(b.server.list_sessions("").unwrap(), []);
    assert!(matches!(b.server.kill_session("worker-1"), Err(TmuxError::NotOurs { .. })));
    assert!(matches!(b.start("worker-1", &["true"]), Err(TmuxError::Exists { .. })));
    assert!(matches!(b.server.capture("worker-1", 1), Err(TmuxError::NoSession { .. })));
    assert_eq!(b.by_hand(&["show-options", "-t", "worker-1:"]), "");
}

#[test]
fn a_second_window_of_a_person_does_not_hide_the_program() {
    let b = Bench::new();
    let made = b.start("a", &["cat"]).unwrap();
    b.by_hand(&["split-window", "-t", "a:", "cat"]);
    b.by_hand(&["new-window", "-t", "a:", "cat"]);
    let s = b.server.find("a").unwrap().unwrap();
    assert_eq!((s.pane, s.state), (made.pane, PaneState::Running { pid: made.pid }));
}

#[test]
fn options_of_the_server_are_not_touched() {
    let b = Bench::new();
    b.by_hand(&["new-session", "-d", "-s", "person", "cat"]);
    let before = (b.by_hand(&["show-options", "-g"]), b.by_hand(&["show-options", "-gw"]), b.by_hand(&["list-keys"]));
    b.start("a", &["cat"]).unwrap();
    b.server.kill_session("a").unwrap();
    let after = (b.by_hand(&["show-options", "-g"]), b.by_hand(&["show-options", "-gw"]), b.by_hand(&["list-keys"]));
    assert!(before == after);
    assert_eq!(b.by_hand(&["list-sessions", "-F", "#S"]), "person");
}

#[test]
fn pasted_text_is_one_line_of_input_and_nothing_else() {
    let b = Bench::new();
    let log = b.path("got");
    let read = format!("stty -echo; read -r line; printf '%s' \"$line\" > '{}'; exec cat", log.display());
    b.start("a", &["sh", "-c", &format!("printf 'ready\\n'; {read}")]).unwrap();
    until(|| b.server.capture("a", 5).unwrap().contains(&"ready".to_owned()).then_some(()));
    b.server.paste("a", "-t hello; #(touch pwned) C-c Enter ü", &b.path("locks")).unwrap();
    let got = until(|| git_vermas::sys::fs::read_if_there(&log).unwrap().filter(|g| !g.is_empty()));
    assert_eq!(String::from_utf8(got).unwrap(), "-t hello; #(touch pwned) C-c Enter ü");
    assert_eq!(b.by_hand(&["list-buffers"]), "");
}

#[test]
fn nothing_is_pasted_where_it_would_do_harm() {
    let b = Bench::new();
    let locks = b.path("locks");
    b.start("dead", &["true"]).unwrap();
    b.until_dead("dead");
    assert!(matches!(b.server.paste("dead", "x", &locks), Err(TmuxError::Dead { .. })));
    assert!(matches!(b.server.paste("none", "x", &locks), Err(TmuxError::NoSession { .. })));
    b.start("a", &["cat"]).unwrap();
    assert!(matches!(b.server.paste("a", "x\u{1b}[201~y", &locks), Err(TmuxError::BadWord { .. })));
    b.by_hand(&["copy-mode", "-t", "a:"]);
    assert!(matches!(b.server.paste("a", "x", &locks), Err(TmuxError::InMode { .. })));
}

#[test]
fn nothing_is_pasted_while_a_person_is_attached() {
    let b = Bench::new();
    b.start("a", &["cat"]).unwrap();
    // A terminal of a person: a tmux client within another pane of the same private server.
    let client = format!("exec env -u TMUX TMUX_TMPDIR='{}' tmux -f /dev/null attach -t =a", b.dir.path().display());
    b.by_hand(&["new-session", "-d", "-s", "person", &client]);
    until(|| (b.server.find("a").unwrap().unwrap().attached == 1).then_some(()));
    let r = b.server.paste("a", "x", &b.path("locks"));
    assert!(matches!(r, Err(TmuxError::Attached { .. })), "{r:?}");
}
