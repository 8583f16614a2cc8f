//! Where the demonstration takes place: a temporary directory, an environment of its own, and a caretaker.

use std::cell::RefCell;
use std::path::{Path, PathBuf};
use std::time::Duration;

use serde_json::Value;

use super::{Beat, Narrator, Step, Wish};
use crate::app::fault::{Fault, Kind as FaultKind};
use crate::launch::Kind;
use crate::sys::clock::{Deadline, sleep};
use crate::sys::process::{Cmd, Output};
use crate::sys::{env, fs, lock, marked, random};
use crate::tmux::Server;

/// Set in everything that is started, to the temporary directory: by it all of it is found again.
const MARK: &str = "VERMAS_DEMO";
/// How the name of the temporary directory begins.
const PREFIX: &str = "vermas-demo-";
/// Held as long as we live.
const ALIVE: &str = "alive.lock";
/// The longest directory for temporary files in which a tmux socket below still fits into its 107 bytes.
const LONGEST_TEMP: usize = 36;
/// What of the person's environment is passed on: where programs are, and how text is written.
const PASSED: &[&str] =
    &["PATH", "USER", "LOGNAME", "LANG", "LC_ALL", "LC_CTYPE", "TERM", "TZ", "LD_LIBRARY_PATH", "GIT_EXEC_PATH"];
const FALLBACK_PATH: &str = "/usr/local/bin:/usr/bin:/bin";
/// No command of the story takes nearly this long.
const LIMIT: Duration = Duration::from_secs(60);
const PAUSE: Duration = Duration::from_millis(25);
/// How many of a worker's last lines an error shows.
const LAST_LINES: usize = 15;

/// The stage. Dropping it takes everything away.
pub struct Stage<'a> {
    root: PathBuf,
    environment: Vec<(String, String)>,
    launcher: Kind,
    keep: bool,
    narrate: Narrator<'a>,
    steps: RefCell<Vec<Step>>,
    _alive: lock::FileLock,
}

impl<'a> Stage<'a> {
    /// Makes the directory and starts the caretaker.
    pub fn set_up(wish: &Wish, narrate: Narrator<'a>) -> Result<Self, Fault> {
        if env::which("git").is_none() && env::var_os("PATH").is_some() {
            return Err(Fault::failed("git is not installed, or not on PATH"));
        }
        let root = temporary_directory()?;
        for name in ["bin", "home", "tmp", "tmux"] {
            fs::create_private_dir(&root.join(name))?;
        }
        let alive = lock::try_acquire(&root.join(ALIVE))?
            .ok_or_else(|| Fault::failed(format!("{} is taken", root.display())))?;
        let program = env::current_exe()?;
        fs::symlink(&program, &root.join("bin/git-vermas"))?;
        let stage = Self {
            environment: environment(&root),
            launcher: launcher(wish.launcher, &root, narrate)?,
            keep: wish.keep,
            narrate,
            steps: RefCell::new(Vec::new()),
            _alive: alive,
            root,
        };
        let keep = wish.keep.then_some("--keep");
        let sweeper = stage.program(&stage.root, &program).args(["demo", "--sweep"]).arg(&stage.root).args(keep);
        sweeper.spawn_detached(&stage.root.join("caretaker.log"))?;
        Ok(stage)
    }

    pub fn root(&self) -> &Path {
        &self.root
    }

    pub fn launcher(&self) -> Kind {
        self.launcher
    }

    pub fn take_steps(&self) -> Vec<Step> {
        self.steps.take()
    }

    pub fn say(&self, beat: Beat<'_>) {
        (self.narrate)(beat);
    }

    fn program(&self, cwd: &Path, program: impl AsRef<std::ffi::OsStr>) -> Cmd {
        let cmd = Cmd::new(program).cwd(cwd).env_clear().timeout(Some(LIMIT));
        self.environment.iter().fold(cmd, |c, (name, value)| c.env(name, value))
    }

    /// Runs a line as a person would type it in `place`, tells what it printed, and gives that. An exit code other than
    /// `code` ends the story.
    pub fn type_for(&self, code: i32, place: &str, line: &str) -> Result<String, Fault> {
        self.say(Beat::Typed { place, line });
        let output = self.shell(place, line)?;
        let (text, words) = (output.text(), output.stderr_text());
        for printed in text.lines().chain(words.lines()) {
            self.say(Beat::Printed(printed));
        }
        let exit_code = output.code.unwrap_or(-1);
        self.steps.borrow_mut().push(Step { place: place.to_owned(), command: line.to_owned(), exit_code });
        if exit_code == code {
            return Ok(text);
        }
        Err(Fault::failed(format!("`{line}` ended with exit code {exit_code}, not {code}: {}", last(&words, &text))))
    }

    /// Like [`Self::type_for`], for a command that is to succeed.
    pub fn type_line(&self, place: &str, line: &str) -> Result<String, Fault> {
        self.type_for(0, place, line)
    }

    /// Runs a line without telling of it, and gives what it printed.
    pub fn quietly(&self, place: &str, line: &str) -> Result<String, Fault> {
        let output = self.shell(place, line)?;
        if output.success() {
            return Ok(output.text());
        }
        Err(Fault::failed(format!("`{line}` in {place} failed: {}", last(&output.stderr_text(), &output.text()))))
    }

    fn shell(&self, place: &str, line: &str) -> Result<Output, Fault> {
        Ok(self.program(&self.root.join(place), "sh").args(["-c", line]).output()?)
    }

    /// What a command of ours says with `--json`.
    pub fn ask(&self, place: &str, words: &str) -> Result<Value, Fault> {
        let text = self.quietly(place, &format!("git vermas {words} --json"))?;
        serde_json::from_str(&text).map_err(|e| Fault::failed(format!("`git vermas {words} --json`: {e}: {text}")))
    }

    /// Asks again and again until there is an answer.
    pub fn wait<T>(
        &self,
        what: &str,
        limit: Duration,
        mut ask: impl FnMut() -> Result<Option<T>, Fault>,
    ) -> Result<T, Fault> {
        let deadline = Deadline::after(limit);
        loop {
            if let Some(answer) = ask()? {
                return Ok(answer);
            }
            if deadline.passed() {
                return Err(Fault::failed(format!("{what} did not come to pass within {} seconds", limit.as_secs())));
            }
            sleep(PAUSE);
        }
    }

    /// An error with where to look: the workers' last words, and the directory where it is kept.
    pub fn explain(&self, fault: Fault) -> Fault {
        let mut fault = fault;
        for slot in ["slot0", "slot1"] {
            let log = self.root.join(super::story::HOME).join(format!(".git/vermas/logs/{slot}.log"));
            let text = String::from_utf8_lossy(&fs::read(&log).unwrap_or_default()).into_owned();
            let lines: Vec<&str> = text.lines().map(str::trim_end).collect();
            if !lines.is_empty() {
                let tail = lines[lines.len().saturating_sub(LAST_LINES)..].join("\n");
                fault = fault.hint(format!("the last words of {slot}:\n{tail}"));
            }
        }
        let place = self.root.display();
        fault.hint(if self.keep {
            format!("everything is as it was: {place}; the workers' output is in greet/.git/vermas/logs")
        } else {
            "to look at what is there when it fails: git vermas demo --keep".to_owned()
        })
    }

    /// Takes everything away, or says what could not be.
    pub fn strike(self) -> Result<(), Fault> {
        clear(&self.root, self.keep)
    }
}

impl Drop for Stage<'_> {
    fn drop(&mut self) {
        // What cannot be taken away now, the caretaker tries again.
        let _ = clear(&self.root, self.keep);
    }
}

fn last(words: &str, text: &str) -> String {
    let said = if words.is_empty() { text } else { words };
    let lines: Vec<&str> = said.lines().collect();
    lines[lines.len().saturating_sub(LAST_LINES)..].join("\n")
}

fn temporary_directory() -> Result<PathBuf, Fault> {
    let wanted = env::var("TMPDIR").map(PathBuf::from).filter(|d| d.is_absolute() && d.is_dir());
    let top = wanted.unwrap_or_else(|| PathBuf::from("/tmp"));
    let mut top = fs::canonicalize(&top)?;
    if top.as_os_str().len() > LONGEST_TEMP {
        top = fs::canonicalize(Path::new("/tmp"))?;
    }
    let root = top.join(format!("{PREFIX}{:08x}", random::bits() >> 32));
    if fs::exists(&root) {
        return Err(Fault::failed(format!("{} is there already", root.display())));
    }
    fs::create_private_dir(&root)?;
    Ok(root)
}

/// The environment of everything that is run. It holds nothing of the person's settings, of a hook, or of a worker we may
/// have been called by.
fn environment(root: &Path) -> Vec<(String, String)> {
    let mut all: Vec<(String, String)> =
        PASSED.iter().filter_map(|name| env::var(name).map(|value| ((*name).to_owned(), value))).collect();
    let path = env::var("PATH").unwrap_or_else(|| FALLBACK_PATH.to_owned());
    let mut put = |name: &str, value: String| {
        all.retain(|(n, _)| n != name);
        all.push((name.to_owned(), value));
    };
    let place = |name: &str| root.join(name).display().to_string();
    put("PATH", format!("{}:{path}", place("bin")));
    put("HOME", place("home"));
    put("TMPDIR", place("tmp"));
    put("TMUX_TMPDIR", place("tmux"));
    put("GIT_CONFIG_NOSYSTEM", "1".to_owned());
    put("GIT_TERMINAL_PROMPT", "0".to_owned());
    put("GIT_PAGER", "cat".to_owned());
    put("NO_COLOR", "1".to_owned());
    put(MARK, root.display().to_string());
    all
}

/// The launcher that is used: what was asked for, else tmux where that is there and new enough.
fn launcher(wish: Option<Kind>, root: &Path, narrate: Narrator<'_>) -> Result<Kind, Fault> {
    match (wish, Server::private(root.join("tmux")).version()) {
        (Some(Kind::Process), _) => Ok(Kind::Process),
        (_, Ok(_)) => Ok(Kind::Tmux),
        (Some(Kind::Tmux), Err(e)) => {
            let _ = fs::remove_dir_all(root);
            Err(Fault::failed(e.to_string()).hint("run it without tmux: git vermas demo --launcher process"))
        }
        (None, Err(e)) => {
            narrate(Beat::Word(&format!("Workers run as background processes, not in tmux: {e}.")));
            Ok(Kind::Process)
        }
    }
}

/// Ends every session and process of the demonstration, and removes its directory unless it is to be kept.
fn clear(root: &Path, keep: bool) -> Result<(), Fault> {
    // Only our own server: its socket is in our directory.
    let ended = Server::private(root.join("tmux")).end_private();
    marked::end(MARK, &root.display().to_string());
    if !keep {
        fs::remove_dir_all(root)?;
    }
    Ok(ended.map_err(crate::launch::LaunchError::from)?)
}

/// The caretaker: waits until the demonstration in `root` is over, however it ended, and takes away what is left.
pub fn sweep(root: &Path, keep: bool) -> Result<(), Fault> {
    let is_ours = root.file_name().and_then(|n| n.to_str()).is_some_and(|n| n.starts_with(PREFIX));
    let alive = root.join(ALIVE);
    if !is_ours || !root.is_absolute() || !fs::exists(&alive) {
        return Err(Fault::new(FaultKind::NotFound, format!("{} is no place of a demonstration", root.display())));
    }
    // A directory that is gone was taken away by the demonstration itself.
    while fs::exists(&alive) {
        if let Some(_over) = lock::try_acquire(&alive)? {
            return clear(root, keep);
        }
        sleep(PAUSE);
    }
    Ok(())
}
