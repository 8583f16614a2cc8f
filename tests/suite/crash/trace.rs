//! The places at which a command can be stopped: its calls to the kernel, by strace, and the points that a debug build
//! knows of itself (`VERMAS_FAULT`).

use std::collections::BTreeMap;
use std::os::unix::process::ExitStatusExt as _;
use std::process::{Command, Stdio};

use super::scene::Scene;
use crate::factory::common::{Said, binary, program};

/// Calls that change something on the disk, or wait for a lock.
const CHANGING: &[&str] = &[
    "write",
    "pwrite64",
    "openat",
    "rename",
    "renameat",
    "renameat2",
    "link",
    "linkat",
    "unlink",
    "unlinkat",
    "mkdir",
    "fsync",
    "fdatasync",
    "ftruncate",
    "flock",
    "symlink",
    "chmod",
    "fchmod",
    "utimensat",
    "sync_file_range",
];

/// One place in one command's run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Point {
    /// The system call; `None` for a point of the program's own.
    pub call: Option<String>,
    pub nth: u32,
    /// What is about to happen.
    pub text: String,
}

impl std::fmt::Display for Point {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}#{} {}", self.call.as_deref().unwrap_or("point"), self.nth, self.text)
    }
}

impl Point {
    /// Whether it is the command's answer that is written here.
    pub fn is_answer(&self) -> bool {
        self.call.as_deref() == Some("write") && ["1, ", "2, "].iter().any(|fd| self.text.starts_with(fd))
    }
}

/// Whether strace is here; says what is left out where it is not.
pub fn has_strace() -> bool {
    let found = Command::new("strace").arg("-V").stdout(Stdio::null()).status().is_ok_and(|s| s.success());
    if !found {
        println!("left out, as strace is not installed: the system calls; the program's own points are tried");
    }
    found
}

/// Whether the program knows its own points: in debug builds only.
const KNOWS_ITS_POINTS: bool = cfg!(debug_assertions);

fn strace(scene: &Scene, dir: &str, options: &[&str], args: &[String]) -> Command {
    let mut c = program(scene.root(), &scene.dir(dir), "strace");
    c.args(["-qq", "-s", "24"]).args(options).arg(binary()).args(args).stdout(Stdio::piped()).stderr(Stdio::piped());
    c
}

/// The program's own points in a command.
pub fn own_points(scene: &Scene, dir: &str, args: &[String]) -> Vec<Point> {
    if !KNOWS_ITS_POINTS {
        return Vec::new();
    }
    let list = scene.root().join("points");
    let _ = std::fs::remove_file(&list);
    let mut c = program(scene.root(), &scene.dir(dir), binary());
    c.args(args).env("VERMAS_FAULT", format!("list:{}", list.display())).output().unwrap();
    let text = std::fs::read_to_string(&list).unwrap_or_default();
    let mut all: Vec<Point> = Vec::new();
    for line in text.lines() {
        let (nth, text) = line.split_once(' ').unwrap_or((line, ""));
        // A child of the program counts its own.
        if nth.parse() == Ok(all.len() + 1) {
            all.push(Point { call: None, nth: nth.parse().unwrap(), text: text.to_owned() });
        }
    }
    all
}

/// The calls of a command that change something; with `reading`, those too that open and read files of the scene.
pub fn calls(scene: &Scene, dir: &str, args: &[String], reading: bool) -> Vec<Point> {
    let record = scene.root().join("trace");
    let more = if reading { ",read,pread64" } else { "" };
    let wanted = format!("trace={}{more}", CHANGING.join(","));
    let out = strace(scene, dir, &["-o", record.to_str().unwrap(), "-e", &wanted], args).output().unwrap();
    assert!(out.status.code().is_some(), "{out:?}");
    let text = String::from_utf8_lossy(&std::fs::read(&record).unwrap()).into_owned();
    let root = scene.root().to_str().unwrap();
    let mut seen = BTreeMap::<String, u32>::new();
    let (mut all, mut is_ours) = (Vec::new(), false);
    for line in text.lines() {
        let Some((call, rest)) = line.split_once('(') else { continue };
        let nth = seen.entry(call.to_owned()).or_default();
        *nth += 1;
        // Before its first own file the program is the loader's.
        is_ours |= line.contains(root);
        let changes = !matches!(call, "openat" | "read" | "pread64") || rest.contains("O_CREAT");
        let reads = reading && (call != "openat" || rest.contains(root));
        if is_ours && (changes || reads) {
            all.push(Point { call: Some(call.to_owned()), nth: *nth, text: rest.to_owned() });
        }
    }
    all
}

/// Runs a command that is stopped at a point: `kill`, or with an error (`eio`). `None` where it never came there.
pub fn stopped(scene: &Scene, dir: &str, args: &[String], point: &Point, how: &str) -> Option<Said> {
    let (out, came_there) = match &point.call {
        None => {
            let mut c = program(scene.root(), &scene.dir(dir), binary());
            let (how, onwards) = how.strip_suffix('+').map_or((how, ""), |how| (how, "+"));
            c.args(args).env("VERMAS_FAULT", format!("{how}:{}{onwards}", point.nth));
            (c.output().unwrap(), true)
        }
        Some(call) => {
            let record = scene.root().join("trace");
            let what = if how == "kill" { "signal=KILL".to_owned() } else { format!("error={}", how.to_uppercase()) };
            let inject = format!("inject={call}:{what}:when={}", point.nth);
            let trace = format!("trace={call}");
            let options = ["-o", record.to_str().unwrap(), "-e", &trace, "-e", &inject];
            let out = strace(scene, dir, &options, args).output().unwrap();
            let traced = String::from_utf8_lossy(&std::fs::read(&record).unwrap()).into_owned();
            (out, traced.contains("(INJECTED)"))
        }
    };
    let killed = out.status.signal() == Some(9) || out.status.code() == Some(137);
    let came_there = if how == "kill" { killed } else { came_there };
    came_there.then(|| Said {
        code: out.status.code(),
        out: String::from_utf8_lossy(&out.stdout).into_owned(),
        err: String::from_utf8_lossy(&out.stderr).into_owned(),
    })
}
