//! The one door to other programs.
//!
//! Every child is started by an argument vector (never through a shell, unless the program asked for is a shell), in its
//! own process group, without the variables that bind git to a repository, and with a deadline at which the whole group
//! is ended. A failure is a value that carries the command line, the exit code and what the child said.

use std::collections::BTreeMap;
use std::ffi::{OsStr, OsString};
use std::fs::File;
use std::io::{self, Write};
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::Arc;
use std::time::Duration;

use super::clock::{Deadline, sleep};
use super::pipes::Pipes;
use super::running::end_group;

/// How long a child may run where nothing else was said.
pub const DEFAULT_TIMEOUT: Duration = Duration::from_secs(120);
const POLL_FIRST: Duration = Duration::from_micros(200);
const POLL_LONGEST: Duration = Duration::from_millis(10);
/// How long those whom a child left behind may still say something.
const AFTERMATH: Duration = Duration::from_millis(300);

/// A command line under construction.
#[derive(Debug, Clone)]
pub struct Cmd {
    program: OsString,
    args: Vec<OsString>,
    env: BTreeMap<OsString, Option<OsString>>,
    clear_env: bool,
    cwd: Option<PathBuf>,
    stdin: Option<Vec<u8>>,
    timeout: Option<Duration>,
    log: Option<PathBuf>,
    foreground: bool,
    stdin_file: Option<Arc<File>>,
}

/// What a finished child left.
#[derive(Debug, Clone)]
pub struct Output {
    /// The exit code; `None` when a signal ended it.
    pub code: Option<i32>,
    pub signal: Option<i32>,
    pub stdout: Vec<u8>,
    pub stderr: Vec<u8>,
}

impl Output {
    pub fn success(&self) -> bool {
        self.code == Some(0)
    }

    /// Standard output as text, without its final newline; bytes that are not UTF-8 become U+FFFD.
    pub fn text(&self) -> String {
        let mut s = String::from_utf8_lossy(&self.stdout).into_owned();
        while s.ends_with('\n') || s.ends_with('\r') {
            s.pop();
        }
        s
    }

    pub fn stderr_text(&self) -> String {
        String::from_utf8_lossy(&self.stderr).trim_end().to_owned()
    }
}

/// Why a child did not do what it was asked.
#[derive(Debug, thiserror::Error)]
pub enum ProcessError {
    #[error("{program} is not installed, or not on PATH")]
    NotFound { program: String },
    #[error("cannot start `{command}`: {source}")]
    Start { command: String, source: io::Error },
    #[error("`{command}` did not end within {limit:?} and was stopped")]
    TimedOut { command: String, limit: Duration, output: Box<Output> },
    #[error("`{command}` {}{}", how(output), said(output))]
    Failed { command: String, output: Box<Output> },
    #[error("cannot talk to `{command}`: {source}")]
    Io { command: String, source: io::Error },
}

fn how(o: &Output) -> String {
    match (o.code, o.signal) {
        (Some(c), _) => format!("ended with exit code {c}"),
        (None, Some(s)) => format!("was ended by signal {s}"),
        (None, None) => "ended".to_owned(),
    }
}

fn said(o: &Output) -> String {
    let err = o.stderr_text();
    let text = if err.is_empty() { o.text() } else { err };
    if text.is_empty() { String::new() } else { format!(": {text}") }
}

impl ProcessError {
    /// The output of a child that ran but failed.
    pub fn output(&self) -> Option<&Output> {
        match self {
            Self::Failed { output, .. } | Self::TimedOut { output, .. } => Some(output),
            _ => None,
        }
    }
}

impl Cmd {
    pub fn new(program: impl AsRef<OsStr>) -> Self {
        let mut env = BTreeMap::new();
        for name in super::env::GIT_LOCAL {
            env.insert(OsString::from(name), None);
        }
        Self {
            program: program.as_ref().to_owned(),
            args: Vec::new(),
            env,
            clear_env: false,
            cwd: None,
            stdin: None,
            timeout: Some(DEFAULT_TIMEOUT),
            log: None,
            foreground: false,
            stdin_file: None,
        }
    }

    #[must_use]
    pub fn arg(mut self, a: impl AsRef<OsStr>) -> Self {
        self.args.push(a.as_ref().to_owned());
        self
    }

    #[must_use]
    pub fn args<S: AsRef<OsStr>>(mut self, list: impl IntoIterator<Item = S>) -> Self {
        self.args.extend(list.into_iter().map(|a| a.as_ref().to_owned()));
        self
    }

    #[must_use]
    pub fn env(mut self, name: impl AsRef<OsStr>, value: impl AsRef<OsStr>) -> Self {
        self.env.insert(name.as_ref().to_owned(), Some(value.as_ref().to_owned()));
        self
    }

    #[must_use]
    pub fn env_remove(mut self, name: impl AsRef<OsStr>) -> Self {
        self.env.insert(name.as_ref().to_owned(), None);
        self
    }

    /// Starts from an empty environment instead of ours.
    #[must_use]
    pub fn env_clear(mut self) -> Self {
        self.clear_env = true;
        self
    }

    #[must_use]
    pub fn cwd(mut self, dir: impl AsRef<Path>) -> Self {
        self.cwd = Some(dir.as_ref().to_owned());
        self
    }

    /// Bytes for the child's standard input; without it the child reads from the null device.
    #[must_use]
    pub fn stdin(mut self, bytes: impl Into<Vec<u8>>) -> Self {
        self.stdin = Some(bytes.into());
        self
    }

    /// A file for the child's standard input, in place of bytes.
    #[must_use]
    pub fn stdin_from(mut self, file: File) -> Self {
        self.stdin_file = Some(Arc::new(file));
        self
    }

    /// The time after which the child's whole process group is ended; `None` waits for ever.
    #[must_use]
    pub fn timeout(mut self, limit: Option<Duration>) -> Self {
        self.timeout = limit;
        self
    }

    /// Sends standard output and standard error, interleaved, to the end of this file instead of keeping them.
    #[must_use]
    pub fn log_to(mut self, file: impl AsRef<Path>) -> Self {
        self.log = Some(file.as_ref().to_owned());
        self
    }

    /// Keeps the child in our own process group and without a deadline, so that it may ask the person on the terminal (a
    /// password, a host key): a group of its own would be stopped at its first read.
    #[must_use]
    pub fn foreground(mut self) -> Self {
        self.foreground = true;
        self.timeout = None;
        self
    }

    /// The command line for a message, quoted where a shell would need it.
    pub fn display(&self) -> String {
        let mut out = quote(&self.program);
        for a in &self.args {
            out.push(' ');
            out.push_str(&quote(a));
        }
        out
    }

    fn command(&self) -> io::Result<Command> {
        super::world::point(super::world::Act::Start, Path::new(&self.program))?;
        #[expect(clippy::disallowed_methods, reason = "this is the one door to other programs")]
        let mut c = Command::new(&self.program);
        c.args(&self.args);
        if self.clear_env {
            c.env_clear();
        }
        for (name, value) in &self.env {
            match value {
                Some(v) => c.env(name, v),
                None => c.env_remove(name),
            };
        }
        if let Some(d) = &self.cwd {
            c.current_dir(d);
        }
        Ok(c)
    }

    fn start_error(&self, source: io::Error) -> ProcessError {
        if source.kind() == io::ErrorKind::NotFound && self.cwd.as_ref().is_none_or(|d| d.is_dir()) {
            ProcessError::NotFound { program: self.program.to_string_lossy().into_owned() }
        } else {
            ProcessError::Start { command: self.display(), source }
        }
    }

    /// Runs to the end and returns what it left, whatever its exit code.
    pub fn output(&self) -> Result<Output, ProcessError> {
        let mut c = self.command().map_err(|e| self.start_error(e))?;
        if !self.foreground {
            c.process_group(0);
        }
        c.stdin(match (&self.stdin, &self.stdin_file) {
            (Some(_), _) => Stdio::piped(),
            (None, Some(file)) => file.try_clone().map_err(|e| self.start_error(e))?.into(),
            (None, None) => Stdio::null(),
        });
        if let Some(log) = &self.log {
            let (out, err) = open_log(log).map_err(|e| self.start_error(e))?;
            c.stdout(out).stderr(err);
        } else {
            c.stdout(Stdio::piped()).stderr(Stdio::piped());
        }
        let child = c.spawn().map_err(|e| self.start_error(e))?;
        self.collect(child)
    }

    /// Runs to the end; an exit code other than 0 is an error that carries the output.
    pub fn run(&self) -> Result<Output, ProcessError> {
        let output = self.output()?;
        if output.success() {
            Ok(output)
        } else {
            Err(ProcessError::Failed { command: self.display(), output: Box::new(output) })
        }
    }

    /// Runs with our own standard streams (an editor, `tmux attach`, a pager) and no deadline.
    pub fn interactive(&self) -> Result<ExitStatus, ProcessError> {
        let mut c = self.command().map_err(|e| self.start_error(e))?;
        c.status().map_err(|e| self.start_error(e))
    }

    /// Runs to the end with standard output and error passed through, standard input as given, and no deadline.
    pub fn piped_into(&self, bytes: &[u8]) -> Result<ExitStatus, ProcessError> {
        let mut c = self.command().map_err(|e| self.start_error(e))?;
        c.stdin(Stdio::piped());
        let mut child = c.spawn().map_err(|e| self.start_error(e))?;
        if let Some(mut pipe) = child.stdin.take() {
            // A reader that leaves early (`less` and q) is no failure.
            let _ = pipe.write_all(bytes);
        }
        child.wait().map_err(|source| ProcessError::Io { command: self.display(), source })
    }

    /// Starts a background process in a session of its own, with its output appended to `log`, and returns its id. It
    /// outlives us.
    pub fn spawn_detached(&self, log: &Path) -> Result<u32, ProcessError> {
        if super::world::entered().is_some() {
            // It would outlive that world, and tell nobody how it ended.
            return Err(self.start_error(io::ErrorKind::Unsupported.into()));
        }
        let mut c = self.command().map_err(|e| self.start_error(e))?;
        c.process_group(0);
        let (out, err) = open_log(log).map_err(|e| self.start_error(e))?;
        c.stdin(Stdio::null()).stdout(out).stderr(err);
        let child = c.spawn().map_err(|e| self.start_error(e))?;
        Ok(child.id())
    }

    /// Replaces this process by the command; returns only when that failed.
    pub fn exec(&self) -> ProcessError {
        let source = match self.command() {
            Ok(mut c) => c.exec(),
            Err(e) => e,
        };
        self.start_error(source)
    }

    fn collect(&self, mut child: Child) -> Result<Output, ProcessError> {
        let io_error = |source| ProcessError::Io { command: self.display(), source };
        let mut pipes = Pipes::of(&mut child, self.stdin.as_deref()).map_err(io_error)?;
        let limit = self.timeout.filter(|_| !self.foreground);
        let (status, timed_out) = wait(&mut child, &mut pipes, limit).map_err(io_error)?;
        let grace = Deadline::after(AFTERMATH);
        loop {
            let moved = pipes.turn();
            if !pipes.may_say_more() || grace.passed() {
                break;
            }
            if !moved {
                sleep(POLL_LONGEST.min(grace.left()));
            }
        }
        let (stdout, stderr) = pipes.said();
        let output = Output { code: status.code(), signal: status.signal(), stdout, stderr };
        match (timed_out, limit) {
            (true, Some(limit)) => {
                Err(ProcessError::TimedOut { command: self.display(), limit, output: Box::new(output) })
            }
            _ => Ok(output),
        }
    }
}

/// Serves the pipes until the child ends, or is ended.
fn wait(child: &mut Child, pipes: &mut Pipes<'_>, limit: Option<Duration>) -> io::Result<(ExitStatus, bool)> {
    let deadline = limit.map(Deadline::after);
    let mut pause = POLL_FIRST;
    loop {
        let moved = pipes.turn();
        if let Some(status) = child.try_wait()? {
            return Ok((status, false));
        }
        match deadline {
            Some(d) if d.passed() => {
                end_group(child.id());
                return Ok((child.wait()?, true));
            }
            None if !pipes.are_open() => return Ok((child.wait()?, false)),
            _ if moved => pause = POLL_FIRST,
            _ => {
                sleep(deadline.map_or(pause, |d| pause.min(d.left())));
                pause = (pause * 2).min(POLL_LONGEST);
            }
        }
    }
}

fn open_log(path: &Path) -> io::Result<(File, File)> {
    let out = super::fs::open_append(path)?;
    let err = out.try_clone()?;
    Ok((out, err))
}

fn quote(word: &OsStr) -> String {
    let text = word.to_string_lossy();
    let plain = |c: char| c.is_ascii_alphanumeric() || "-_./=:,@%+".contains(c);
    if !text.is_empty() && text.chars().all(plain) {
        text.into_owned()
    } else {
        format!("'{}'", text.replace('\'', r"'\''"))
    }
}

/// One word, quoted for a POSIX shell.
pub fn shell_quote(word: &str) -> String {
    quote(OsStr::new(word))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_child_that_hangs_is_ended_with_its_whole_group() {
        let r = Cmd::new("sh").args(["-c", "sleep 60 & sleep 60"]).timeout(Some(Duration::from_millis(50))).run();
        assert!(matches!(r, Err(ProcessError::TimedOut { .. })), "{r:?}");
    }

    #[test]
    fn whoever_a_child_leaves_behind_with_its_pipes_is_not_waited_for() {
        let output = Cmd::new("sh").args(["-c", "sleep 5 & echo $!; echo said >&2"]).run().unwrap();
        let left = output.text();
        assert!(super::super::running::alive(left.parse().unwrap()), "it was waited for");
        Cmd::new("kill").arg(&left).run().unwrap();
        assert_eq!(output.stderr_text(), "said");
    }

    #[test]
    fn a_missing_program_is_named() {
        let r = Cmd::new("no-such-program-here").run();
        assert_eq!(r.unwrap_err().to_string(), "no-such-program-here is not installed, or not on PATH");
    }

    #[test]
    fn input_and_output_larger_than_a_pipe_pass_through() {
        let big = vec![b'x'; 1 << 20];
        assert_eq!(Cmd::new("cat").stdin(big.clone()).run().unwrap().stdout, big);
    }

    #[test]
    fn words_are_quoted_for_a_shell() {
        assert_eq!(shell_quote("it's"), r"'it'\''s'");
        assert_eq!(shell_quote(""), "''");
        assert_eq!(shell_quote("a/b-c"), "a/b-c");
    }
}
