//! Making a session, and ending one.

use std::path::Path;

use tmux_interface::{
    KillSession, NewSession as NewSessionCommand, PipePane, SetOption, SourceFile, StartServer, TmuxCommand,
};

use super::words::{self, bad, check_word};
use super::{Server, Tags, TmuxError, check_name};
use crate::sys::fs;
use crate::sys::process::shell_quote;

/// Columns and rows of a session nobody is attached to.
const SIZE: (usize, usize) = (200, 50);

/// Variables that tmux itself puts into a pane. A worker's own use of tmux must not reach the person's server.
const OF_TMUX: [&str; 2] = ["TMUX", "TMUX_PANE"];

/// What runs in the pane: the program, as the words after it, and a tenth of a second of silence. tmux drops what a
/// program wrote in its last instant if it hears of the end before the kernel has handed the text over; with the silence
/// it never does. The shell reads none of the words, outlives the keys that a terminal turns into signals for both, and
/// passes the exit code on. A hang-up ends it: the kernel sends one to the first process of a pane only, and to the rest
/// when that one is gone.
const LAST_WORDS: &str = r#"trap : INT QUIT TERM; "$@"; code=$?; sleep 0.1 2>/dev/null; exit $code"#;

/// A session to be made.
#[derive(Debug, Clone)]
pub struct NewSession<'a> {
    pub name: &'a str,
    pub cwd: &'a Path,
    /// The program and its arguments, run as they are: no shell splits or expands them.
    pub argv: &'a [String],
    /// Variables to set.
    pub env: &'a [(String, String)],
    /// Variables that the program must not see although the server has them.
    pub unset: &'a [String],
    /// The file to which everything the pane shows is appended, with mode 0600.
    pub log: Option<&'a Path>,
    pub tags: &'a Tags,
}

/// A session that was made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Made {
    /// tmux's own id of the session, `$3`.
    pub session: String,
    /// tmux's own id of the pane, `%7`.
    pub pane: String,
    pub pid: u32,
}

impl Server {
    /// Makes a session and starts the program in it.
    ///
    /// Everything happens in one list of commands, which the server carries out before it looks at the program's output
    /// or its end: nothing the program says is lost, and one that dies at once leaves its last lines. When a later
    /// command of the list fails, the session is taken away again.
    pub fn new_session(&self, new: &NewSession<'_>) -> Result<Made, TmuxError> {
        check_name(new.name)?;
        if !new.cwd.is_dir() {
            return Err(TmuxError::NoDirectory(new.cwd.to_owned()));
        }
        if self.has_session(new.name)? {
            return Err(TmuxError::Exists { name: new.name.to_owned() });
        }
        if let Some(log) = new.log {
            fs::open_append(log).map_err(TmuxError::Io)?;
        }
        let script = script(&commands(new)?);
        let start = [StartServer::new().build(), SourceFile::new().path("-").build()];
        let output = self.call(&start).stdin(script).output()?;
        let made = parse_made(&output.text());
        match made {
            Ok(made) if output.success() => Ok(made),
            Ok(made) => {
                self.run(KillSession::new().target_session(made.session).build())?;
                Err(refused(new, &output.stderr_text()))
            }
            // A race for the name is judged by looking again.
            Err(_) if self.has_session(new.name)? => Err(TmuxError::Exists { name: new.name.to_owned() }),
            Err(_) => Err(refused(new, &output.stderr_text())),
        }
    }

    /// Ends the session with exactly this name, and with it the program in it; `false` when there is none. A session
    /// that does not carry our tags is left alone.
    pub fn kill_session(&self, name: &str) -> Result<bool, TmuxError> {
        let Some(session) = self.find(name)? else {
            return if self.has_session(name)? { Err(TmuxError::NotOurs { name: name.to_owned() }) } else { Ok(false) };
        };
        match self.run(KillSession::new().target_session(session.id).build()) {
            Ok(_) => Ok(true),
            // It may have ended by itself in between.
            Err(_) if self.find(name)?.is_none() => Ok(true),
            Err(e) => Err(e),
        }
    }
}

fn refused(new: &NewSession<'_>, said: &str) -> TmuxError {
    TmuxError::Answer(format!("{}: {said}", new.name))
}

fn parse_made(text: &str) -> Result<Made, TmuxError> {
    let line = text.lines().next().unwrap_or_default();
    let answer = || TmuxError::Answer(text.to_owned());
    let mut fields = line.split('|');
    let mut next = |sign: char| fields.next().filter(|f| f.starts_with(sign)).map(str::to_owned).ok_or_else(answer);
    let (session, pane) = (next('$')?, next('%')?);
    let pid = fields.next().and_then(|f| f.parse().ok()).ok_or_else(answer)?;
    Ok(Made { session, pane, pid })
}

/// The list of commands that makes a session.
fn commands(new: &NewSession<'_>) -> Result<Vec<TmuxCommand<'static>>, TmuxError> {
    let pane = format!("={}:", new.name);
    let set = |option: &'static str, value: String| {
        SetOption::new().target_pane(pane.clone()).option(option).value(value).build()
    };
    let window = |quiet: bool, option: &'static str, value: &'static str| {
        let c = SetOption::new().window().target_pane(pane.clone()).option(option).value(value);
        if quiet { c.quiet().build() } else { c.build() }
    };
    let mut list = vec![
        create(new)?,
        window(false, "remain-on-exit", "on"),
        // Without the line "Pane is dead", which would push the program's own last line away. Not known before 3.3.
        window(true, "remain-on-exit-format", ""),
        set("update-environment", String::new()),
        // A person's global `destroy-unattached on` would end the session before anybody has seen it.
        set("destroy-unattached", "off".to_owned()),
        SetOption::new().format().target_pane(pane.clone()).option("@vermas_pane").value("#{pane_id}").build(),
    ];
    for (option, value) in
        [("@vermas_slot", &new.tags.slot), ("@vermas_agent", &new.tags.agent), ("@vermas_factory", &new.tags.factory)]
    {
        list.push(set(option, words::tag_encode(value)));
    }
    // With a pipe tmux looks whether there is something left to read before it closes a pane.
    let path =
        new.log.map_or(Some("/dev/null"), Path::to_str).ok_or_else(|| bad("the log's path", "it is not Unicode"))?;
    let command = words::literal_with_time(&format!("exec cat >> {}", shell_quote(path)));
    list.push(PipePane::new().target_pane(pane).shell_command(command).build());
    Ok(list)
}

/// The command that creates the session. The program is started by `env`, which takes away what tmux puts into every
/// pane and what must not be inherited from the server, and sets `PATH`, which tmux would replace by its caller's.
fn create(new: &NewSession<'_>) -> Result<TmuxCommand<'static>, TmuxError> {
    if new.argv.first().is_none_or(String::is_empty) {
        return Err(bad("an empty command", "there is no program"));
    }
    let cwd = new.cwd.to_str().ok_or_else(|| bad("the directory", "it is not Unicode"))?;
    check_word("the directory", cwd)?;
    let mut command = NewSessionCommand::new()
        .detached()
        .not_update_env()
        .print()
        .format("#{session_id}|#{pane_id}|#{pane_pid}")
        .session_name(new.name.to_owned())
        .start_directory(words::literal(cwd))
        .width(SIZE.0)
        .height(SIZE.1);
    let mut path = None;
    for (name, value) in new.env {
        check_variable(name)?;
        check_word(name, value)?;
        command = command.environment(name.clone(), value.clone());
        if name == "PATH" {
            path = Some(format!("PATH={value}"));
        }
    }
    let mut command = command.build();
    command.push_param("--").push_param("env");
    let kept = |name: &&str| !new.env.iter().any(|(set, _)| set == name);
    for name in OF_TMUX.into_iter().chain(new.unset.iter().map(String::as_str)).filter(kept) {
        check_variable(name)?;
        command.push_param("-u").push_param(name.to_owned());
    }
    command.push_param("--");
    if let Some(path) = path {
        command.push_param(path);
    }
    for word in ["/bin/sh", "-c", LAST_WORDS, "sh"] {
        command.push_param(word);
    }
    for word in new.argv {
        check_word("an argument of the command", word)?;
        command.push_param(word.clone());
    }
    Ok(command)
}

fn check_variable(name: &str) -> Result<(), TmuxError> {
    let ok = |c: char| c.is_ascii_alphanumeric() || c == '_';
    if !name.is_empty() && name.chars().all(ok) {
        Ok(())
    } else {
        Err(bad(&format!("the variable {name:?}"), "its name is not one of letters, digits and `_`"))
    }
}

/// The commands as one line for tmux's parser, so that after a failed one the rest is not carried out.
fn script(list: &[TmuxCommand<'_>]) -> String {
    let line = |c: &TmuxCommand<'_>| c.to_vec().iter().map(|w| words::quoted(w)).collect::<Vec<_>>().join(" ");
    list.iter().map(line).collect::<Vec<_>>().join(" ; ") + "\n"
}
