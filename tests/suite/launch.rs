//! What both launchers promise, on a tmux server of the test's own and with background processes.

use std::path::{Path, PathBuf};
use std::time::Duration;

use git_vermas::agents::EnvChange;
use git_vermas::launch::{
    Kind, Launch, LaunchError, Launcher, ProcessLauncher, SessionState, Tags, TmuxLauncher, watch_start,
};
use git_vermas::sys::{env, fs, running};
use git_vermas::tmux::Server;

use crate::session::{end_server, until};

/// A launcher in a temporary directory; every session of it ends with the test.
struct Bench {
    dir: tempfile::TempDir,
    launcher: Box<dyn Launcher>,
}

fn both() -> [Bench; 2] {
    let dir = || tempfile::Builder::new().prefix("v").tempdir().unwrap();
    let (tmux, plain) = (dir(), dir());
    let server = Server::private(tmux.path());
    let launchers: [Box<dyn Launcher>; 2] = [
        Box::new(TmuxLauncher::new(server, tmux.path().join("run")).unwrap()),
        Box::new(ProcessLauncher::new(plain.path().join("run"))),
    ];
    let [a, b] = launchers;
    [Bench { dir: tmux, launcher: a }, Bench { dir: plain, launcher: b }]
}

impl Bench {
    fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    fn launch(&self, name: &str, argv: &[&str]) -> Launch {
        Launch {
            name: name.to_owned(),
            cwd: self.dir.path().to_owned(),
            argv: argv.iter().map(|&a| a.to_owned()).collect(),
            log: self.path(&format!("logs/{name}.log")),
            tags: Tags { slot: "slot0".into(), agent: "app/workers/slot0".into(), factory: "app".into() },
            ..Launch::default()
        }
    }

    fn start(&self, name: &str, argv: &[&str]) -> u32 {
        self.launcher.start(&self.launch(name, argv)).unwrap().pid
    }

    fn until_ended(&self, name: &str) -> Option<i32> {
        until(|| match self.launcher.state(name).unwrap() {
            SessionState::Running { .. } => None,
            SessionState::Exited { code } => Some(code),
            SessionState::Gone => panic!("{name} is gone"),
        })
    }

    /// Runs a program to its end and returns what it wrote to a file of its own.
    fn written(&self, launch: &Launch, file: &str) -> String {
        self.launcher.start(launch).unwrap();
        assert_eq!(self.until_ended(&launch.name), Some(0), "{:?}", self.launcher.tail(&launch.name, 9));
        String::from_utf8(fs::read(&self.path(file)).unwrap()).unwrap()
    }
}

impl Drop for Bench {
    fn drop(&mut self) {
        for session in self.launcher.list("").unwrap_or_default() {
            let _ = self.launcher.stop(&session.name);
        }
        if self.launcher.kind() == Kind::Tmux {
            end_server(self.dir.path());
        }
    }
}

#[test]
fn a_session_runs_is_listed_ends_and_is_gone() {
    for b in both() {
        assert_eq!(b.launcher.state("worker-1").unwrap(), SessionState::Gone);
        let pid = b.start("worker-1", &["sleep", "60"]);
        b.start("qa-1", &["sleep", "60"]);
        assert_eq!(b.launcher.state("worker-1").unwrap(), SessionState::Running { pid });
        let list = b.launcher.list("worker-").unwrap();
        assert_eq!(list.len(), 1);
        assert_eq!((list[0].name.as_str(), list[0].state), ("worker-1", SessionState::Running { pid }));
        assert_eq!((list[0].tags.agent.as_str(), list[0].attached), ("app/workers/slot0", 0));
        assert!(list[0].started > 1_600_000_000_000);
        assert!(b.launcher.stop("worker-1").unwrap());
        assert!(!running::alive(pid));
        assert_eq!(b.launcher.state("worker-1").unwrap(), SessionState::Gone);
        assert!(!b.launcher.stop("worker-1").unwrap());
    }
}

#[test]
fn a_name_that_is_a_prefix_does_not_hit_its_neighbour() {
    for b in both() {
        b.start("worker-10", &["sleep", "60"]);
        assert_eq!(b.launcher.state("worker-1").unwrap(), SessionState::Gone);
        assert!(!b.launcher.stop("worker-1").unwrap());
        assert!(matches!(b.launcher.state("worker-10").unwrap(), SessionState::Running { .. }));
    }
}

#[test]
fn a_second_start_of_a_running_session_is_refused_and_of_an_ended_one_is_not() {
    for b in both() {
        let first = b.start("a", &["sh", "-c", "echo the first; exit 4"]);
        assert_eq!(b.until_ended("a"), Some(4));
        let second = b.start("a", &["sh", "-c", "echo the second; exec sleep 60"]);
        assert_ne!(first, second);
        let again = b.launcher.start(&b.launch("a", &["true"]));
        assert!(matches!(again, Err(LaunchError::Running { .. })), "{again:?}");
        until(|| (b.launcher.tail("a", 9).unwrap() == ["the second"]).then_some(()));
    }
}

#[test]
fn the_words_of_a_command_arrive_as_they_are() {
    for b in both() {
        let odd = ["end;", ";", "-t", "#(touch pwned)", "$(touch pwned)", "it's \"x\"", "two\nlines", "", "%H #S ü"];
        let argv = [&["sh", "-c", r#"printf '[%s]' "$@" >out"#, "sh"], &odd[..]].concat();
        let expected: String = odd.iter().map(|w| format!("[{w}]")).collect();
        assert_eq!(b.written(&b.launch("a", &argv), "out"), expected);
        assert!(!b.path("pwned").exists());
    }
}

#[test]
fn the_environment_is_changed_as_asked() {
    for b in both() {
        let mut launch = b.launch("a", &["sh", "-c", r#"printf '%s|' "$ODD" "${HOME-none}" "${TMUX-none}" >out"#]);
        let path = env::var("PATH").unwrap();
        launch.env = EnvChange {
            set: vec![("ODD".into(), "a;\nb #(touch pwned) 'c'".into()), ("PATH".into(), format!("/opt/x:{path}"))],
            unset: ["HOM*", "GIT_DIR", "TMUX"].map(str::to_owned).to_vec(),
        };
        assert_eq!(b.written(&launch, "out"), "a;\nb #(touch pwned) 'c'|none|none|");
    }
}

#[test]
fn a_program_reads_what_it_was_given() {
    for b in both() {
        let mut launch = b.launch("a", &["sh", "-c", "cat >out; echo done"]);
        launch.stdin = Some("it's\n$(touch pwned)\n".to_owned());
        assert_eq!(b.written(&launch, "out"), "it's\n$(touch pwned)\n");
    }
    let [_, b] = both();
    assert_eq!(b.written(&b.launch("a", &["sh", "-c", "cat >out"]), "out"), "");
}

#[test]
fn a_program_that_dies_at_once_is_an_error_with_its_last_lines() {
    for b in both() {
        b.start("a", &["sh", "-c", "echo one; echo why it failed >&2; exit 7"]);
        let e = watch_start(&*b.launcher, "a", Duration::from_secs(10)).unwrap_err();
        assert_eq!(e.to_string(), "the session a ended at once, with exit code 7:\none\nwhy it failed");
        assert_eq!(b.launcher.state("a").unwrap(), SessionState::Exited { code: Some(7) });
    }
}

#[test]
fn a_program_that_is_done_at_once_and_one_that_goes_on_are_no_errors() {
    for b in both() {
        b.start("a", &["true"]);
        let done = watch_start(&*b.launcher, "a", Duration::from_secs(10)).unwrap();
        assert_eq!(done, SessionState::Exited { code: Some(0) });
        let pid = b.start("b", &["sleep", "60"]);
        let runs = watch_start(&*b.launcher, "b", Duration::from_millis(50)).unwrap();
        assert_eq!(runs, SessionState::Running { pid });
    }
}

#[test]
fn a_program_ended_by_a_signal_has_a_code_that_says_so() {
    for b in both() {
        b.start("a", &["sh", "-c", "kill -9 $$"]);
        assert_eq!(b.until_ended("a"), Some(137));
    }
}

#[test]
fn what_cannot_be_started_is_said_before_anything_is_made() {
    for b in both() {
        let start = |launch: &Launch| b.launcher.start(launch).unwrap_err().to_string();
        let gone = start(&b.launch("a", &["no-such-agent"]));
        assert_eq!(gone, "no-such-agent is not installed, or not on the worker's PATH");
        assert!(start(&b.launch("a", &["./no-such-agent"])).contains("not installed"));
        assert_eq!(start(&b.launch("a", &[])), "there is no command to start");
        assert!(start(&b.launch("a.b", &["true"])).contains("cannot be the name of a session"));
        assert!(start(&b.launch("../a", &["true"])).contains("cannot be the name of a session"));
        assert!(start(&Launch { cwd: b.path("none"), ..b.launch("a", &["true"]) }).contains("not a directory"));
        assert!(start(&b.launch("a", &["echo", "a\0b"])).contains("NUL"));
        assert_eq!(b.launcher.list("").unwrap(), []);
        assert!(b.launcher.stop("../a").is_err() && b.launcher.state("").is_err());
    }
}

#[test]
fn everything_in_a_session_ends_with_it_even_what_does_not_want_to() {
    for b in both() {
        let script = "trap '' HUP TERM; sh -c 'trap \"\" HUP TERM; echo $$ >child; while :; do sleep 1; done' & wait";
        let pid = b.start("a", &["sh", "-c", script]);
        let text = until(|| fs::read_if_there(&b.path("child")).unwrap().filter(|t| t.ends_with(b"\n")));
        let child: u32 = String::from_utf8(text).unwrap().trim().parse().unwrap();
        assert!(running::alive(child));
        assert!(b.launcher.stop("a").unwrap());
        until(|| (!running::alive(child) && !running::alive(pid)).then_some(()));
    }
}

#[test]
fn a_program_may_put_its_things_in_order_before_it_is_ended() {
    for b in both() {
        let script = "trap 'echo tidy >out; exit 0' HUP TERM; : >ready; while :; do sleep 0.05; done";
        b.start("a", &["sh", "-c", script]);
        until(|| b.path("ready").exists().then_some(()));
        b.launcher.stop("a").unwrap();
        assert_eq!(fs::read(&b.path("out")).unwrap(), b"tidy\n");
    }
}

#[test]
fn the_log_holds_what_was_said() {
    for b in both() {
        b.start("a", &["sh", "-c", "echo out; echo err >&2"]);
        b.until_ended("a");
        let text = until(|| {
            let text = String::from_utf8(fs::read(&b.path("logs/a.log")).unwrap()).unwrap().replace('\r', "");
            text.contains("err").then_some(text)
        });
        assert_eq!(text, "out\nerr\n");
        assert_eq!(b.launcher.tail("a", 1).unwrap(), ["err"]);
        assert_eq!(b.launcher.tail("nobody", 1).unwrap(), Vec::<String>::new());
    }
}

#[test]
fn a_background_process_whose_number_was_given_away_is_not_touched() {
    let [_, b] = both();
    let pid = b.start("a", &["sleep", "60"]);
    let file = b.path("run/a.json");
    let text = fs::read_to_string(&file).unwrap();
    let start = format!("\"start_time\": {}", running::start_time(pid).unwrap());
    assert!(text.contains(&start), "{text}");
    fs::replace(&file, text.replace(&start, "\"start_time\": 1").as_bytes()).unwrap();
    assert_eq!(b.launcher.state("a").unwrap(), SessionState::Exited { code: None });
    assert!(b.launcher.stop("a").unwrap());
    assert!(running::alive(pid));
    running::end_group(pid);
}

#[test]
fn a_broken_record_is_an_error_and_not_a_session_that_is_gone() {
    let [_, b] = both();
    fs::create_dir_all(&b.path("run")).unwrap();
    fs::replace(&b.path("run/a.json"), b"{").unwrap();
    let e = b.launcher.state("a").unwrap_err();
    assert!(e.to_string().starts_with("cannot read the record of a session"), "{e}");
    fs::remove_file(&b.path("run/a.json")).unwrap();
}

#[test]
fn following_a_background_process_ends_with_it() {
    let [_, b] = both();
    b.start("a", &["sh", "-c", "echo first; while ! test -e go; do sleep 0.02; done; echo last"]);
    fs::replace(&b.path("go"), b"").unwrap();
    let mut out = Vec::new();
    b.launcher.attach("a", &mut out).unwrap();
    assert_eq!(String::from_utf8(out).unwrap(), "first\nlast\n");
    assert!(matches!(b.launcher.attach("none", &mut Vec::new()), Err(LaunchError::NoSession { .. })));
}

#[test]
fn text_is_delivered_where_somebody_can_read_it() {
    let [tmux, plain] = both();
    let script = "stty -echo; echo ready; read -r line; printf '%s' \"$line\" >out; exec sleep 60";
    tmux.start("a", &["sh", "-c", script]);
    until(|| (tmux.launcher.tail("a", 3).unwrap() == ["ready"]).then_some(()));
    tmux.launcher.deliver("a", "hello;\u{1b}[2J #(touch pwned)").unwrap();
    let got = until(|| fs::read_if_there(&tmux.path("out")).unwrap().filter(|t| !t.is_empty()));
    assert_eq!(String::from_utf8(got).unwrap(), "hello;<U+001B>[2J #(touch pwned)");
    plain.start("a", &["sleep", "60"]);
    assert!(matches!(plain.launcher.deliver("a", "x"), Err(LaunchError::NotTold { .. })));
    for b in [&tmux, &plain] {
        assert!(matches!(b.launcher.deliver("none", "x"), Err(LaunchError::NoSession { .. })));
    }
}

#[test]
fn sixteen_starts_of_one_background_session_start_it_once() {
    let [_, b] = both();
    let Bench { dir, .. } = &b;
    let dir: &Path = dir.path();
    let launch = b.launch("a", &["sh", "-c", "echo x >>count; exec sleep 60"]);
    let started: usize = std::thread::scope(|scope| {
        let start = || ProcessLauncher::new(dir.join("run")).start(&launch);
        let threads: Vec<_> = (0..16).map(|_| scope.spawn(start)).collect();
        threads.into_iter().map(|t| usize::from(t.join().unwrap().is_ok())).sum()
    });
    assert_eq!(started, 1);
    until(|| fs::read_if_there(&dir.join("count")).unwrap().filter(|t| t == b"x\n"));
}
