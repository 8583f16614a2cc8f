//! Transport: fetching, pushing and asking a remote, by the git program, which knows ssh, https and the person's
//! credentials.
//!
//! **Invariant:** remotes are reached by configured name only, refs by their full names, and a push never replaces
//! anything but what its caller expected to find.
//!
//! **Invariant:** what went wrong is judged by asking the remote again, never by the wording of a message.

use std::cell::OnceCell;
use std::collections::BTreeSet;
use std::time::Duration;

use super::Oid;
use super::error::RepoError;
use super::history::rev_parse;
use super::name::{check_oid, check_ref, check_remote};
use super::program::{Git, GitError, failed};
use super::repo::Repo;
use crate::sys::lock;
use crate::sys::process::{Cmd, Output, ProcessError};

/// How long a transport may take that nobody watches.
pub const TRANSPORT_TIMEOUT: Duration = Duration::from_secs(300);
/// How long another fetch of this clone is waited for.
const TURN_WAIT: Duration = Duration::from_secs(60);
/// How long a question for one ref may take that nobody watches.
const QUESTION_TIMEOUT: Duration = Duration::from_secs(60);

/// Whether somebody sits at the terminal to be asked for a password.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Asking {
    Never,
    /// On the terminal, for as long as it takes: there is no deadline.
    Allowed,
}

/// What a fetch brought.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Fetched {
    /// The remote's commit, now at [`tracking_ref`].
    At(String),
    /// The remote answers and has no such ref; ours stays where it was.
    NoSuchRef,
    /// The remote has the ref, but it was not taken: objects that fail the check, for one.
    Refused(String),
    Unreachable(String),
}

/// What a push did.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Pushed {
    /// The remote's ref is at our commit.
    Done,
    /// Somebody was faster; the remote is here now (`None`: the ref is gone).
    Stale {
        now: Option<String>,
    },
    /// The remote would not have it: a hook, a protected branch, a full disk. Its words.
    Refused(String),
    Unreachable(String),
}

/// What a remote has.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum RemoteRef {
    At(String),
    Missing,
    Unreachable(String),
}

/// Where a fetched branch is kept: `refs/vermas/remotes/<remote>/<branch>`.
pub fn tracking_ref(remote: &str, branch_ref: &str) -> String {
    format!("refs/vermas/remotes/{remote}/{}", branch_ref.trim_start_matches("refs/heads/"))
}

/// A remote, as the exchange of states sees it. Each call may be lost on the way, and so may its answer.
pub trait Remote {
    /// Brings one branch (a full ref name) into its [`tracking_ref`] and gives the commit; the inner error is what was
    /// said where that failed.
    fn bring(&self, branch_ref: &str) -> Result<Result<String, String>, GitError>;
    /// Sends one commit to one ref, which must be at `expected` (`None`: must not exist); the inner error is what was said.
    fn send(&self, oid: &str, remote_ref: &str, expected: Option<&str>) -> Result<Result<(), String>, GitError>;
    /// Asks for one ref.
    fn ask(&self, name: &str) -> Result<RemoteRef, GitError>;
    /// Notes that the remote has our commit, so that the next fetch does not bring it back.
    fn note(&self, remote_ref: &str, oid: &str) -> Result<(), GitError>;
}

/// Fetches one branch from a remote; see [`fetch`].
pub fn fetch_from(remote: &dyn Remote, branch_ref: &str) -> Result<Fetched, GitError> {
    let text = match remote.bring(branch_ref) {
        Ok(Ok(oid)) => return Ok(Fetched::At(oid)),
        Ok(Err(text)) => text,
        // A remote that has been silent for so long is not asked why.
        Err(GitError::Process(ProcessError::TimedOut { limit, .. })) => return Ok(Fetched::Unreachable(silent(limit))),
        Err(e) => return Err(e),
    };
    Ok(match remote.ask(branch_ref)? {
        RemoteRef::Missing => Fetched::NoSuchRef,
        RemoteRef::At(_) => Fetched::Refused(text),
        RemoteRef::Unreachable(_) => Fetched::Unreachable(text),
    })
}

/// Pushes one commit to a remote; see [`push`].
pub fn push_to(remote: &dyn Remote, oid: &str, name: &str, expected: Option<&str>) -> Result<Pushed, GitError> {
    let done = || {
        // The remote has it: without the note the next fetch says so, and no more.
        let _ = remote.note(name, oid);
        Pushed::Done
    };
    let text = match remote.send(oid, name, expected)? {
        Ok(()) => return Ok(done()),
        Err(text) => text,
    };
    // Our push may have arrived although we were told otherwise, or somebody else's; the remote knows.
    Ok(match remote.ask(name)? {
        RemoteRef::At(now) if now == oid => done(),
        RemoteRef::At(now) if Some(now.as_str()) != expected => Pushed::Stale { now: Some(now) },
        RemoteRef::Missing if expected.is_some() => Pushed::Stale { now: None },
        RemoteRef::At(_) | RemoteRef::Missing => Pushed::Refused(text),
        RemoteRef::Unreachable(_) => Pushed::Unreachable(text),
    })
}

/// A configured remote, reached by the git program.
pub struct Configured {
    git: Git,
    name: String,
    asking: Asking,
    /// What is set of remotes and of ssh, asked once.
    keys: OnceCell<BTreeSet<String>>,
}

impl Configured {
    pub fn new(git: &Git, name: &str, asking: Asking) -> Self {
        Self { git: git.clone(), name: name.to_owned(), asking, keys: OnceCell::new() }
    }

    /// Which of the settings are there that a transport depends on, as git itself reads them.
    fn keys(&self) -> Result<&BTreeSet<String>, GitError> {
        if let Some(keys) = self.keys.get() {
            return Ok(keys);
        }
        let which = r"^(remote\..*\.(url|pushurl|promisor)|core\.sshcommand)$";
        let out = self.git.cmd().args(["config", "-z", "--name-only", "--get-regexp", which]).output()?;
        let text = String::from_utf8_lossy(&out.stdout).into_owned();
        Ok(self.keys.get_or_init(|| text.split('\0').map(str::to_owned).collect()))
    }

    /// A call to the remote, which must be configured under this name.
    fn transport(&self) -> Result<Cmd, GitError> {
        check_remote(&self.name)?;
        let keys = self.keys()?;
        if !keys.contains(&format!("remote.{}.url", self.name)) {
            return Err(GitError::NotFound { what: format!("a remote named {}", self.name) });
        }
        let cmd = self.git.cmd();
        if self.asking == Asking::Allowed {
            let cmd = match self.git.var("GIT_TERMINAL_PROMPT") {
                Some(theirs) => cmd.env("GIT_TERMINAL_PROMPT", theirs),
                None => cmd.env_remove("GIT_TERMINAL_PROMPT"),
            };
            return Ok(cmd.foreground());
        }
        let is_set = |name| self.git.var(name).is_some();
        let own_ssh = keys.contains("core.sshcommand") || is_set("GIT_SSH_COMMAND") || is_set("GIT_SSH");
        // ssh asks on the terminal by itself, past git: in the background that would hang until the deadline.
        let cmd = if own_ssh { cmd } else { cmd.env("GIT_SSH_COMMAND", "ssh -o BatchMode=yes") };
        Ok(cmd.timeout(Some(TRANSPORT_TIMEOUT)))
    }

    /// Where a ref of ours is now, if the commit is there.
    fn at(&self, name: &str) -> Result<Option<String>, GitError> {
        let look = || -> Result<Option<Oid>, RepoError> {
            let repo = Repo::open(self.git.common_dir(), None)?;
            Ok(repo.ref_target(name)?.filter(|oid| repo.has_object(*oid)))
        };
        // What cannot be read here, git may yet make something of, or say better why it cannot.
        look().map_or_else(|_| rev_parse(&self.git, name), |oid| Ok(oid.map(|o| o.to_string())))
    }
}

impl Configured {
    /// Fetches one branch; `again` asks for all of it, also for what git takes for known.
    fn fetch(&self, branch_ref: &str, again: bool) -> Result<Result<String, String>, GitError> {
        check_ref(branch_ref)?;
        let ours = tracking_ref(&self.name, branch_ref);
        check_ref(&ours)?;
        // Only the state is offered as known: what else is here is no help, and in a partial clone it is not even here.
        let (negotiation, known) = match self.at(&ours)? {
            Some(_) if !again => ("fetch.negotiationAlgorithm=default", Some(format!("--negotiation-tip={ours}"))),
            _ => ("fetch.negotiationAlgorithm=noop", None),
        };
        let cmd = self
            .transport()?
            .args(["-c", "fetch.fsckObjects=true", "-c", negotiation, "fetch", "--quiet", "--no-write-fetch-head"])
            .args(["--no-tags", "--no-prune", "--no-recurse-submodules", "--no-filter", "--refmap="])
            .args(["--no-show-forced-updates", "--no-auto-maintenance", "--no-write-commit-graph"])
            .args(known)
            .args(again.then_some("--refetch"))
            .args(["--end-of-options", &self.name])
            .arg(format!("+{branch_ref}:{ours}"));
        // Of two that fetch at once git refuses one. Where nobody can be waited for it may come to that.
        let turn = self.git.common_dir().join("vermas").join("fetch.lock");
        let _turn = lock::acquire(&turn, TURN_WAIT).ok().flatten();
        match cmd.output()? {
            o if o.success() => {
                let at = self.at(&ours)?;
                at.map(Ok).ok_or_else(|| GitError::unreadable("git fetch", format!("no {ours} came")))
            }
            o => Ok(Err(reason(&cmd, &o))),
        }
    }

    /// Whether objects are missing here of what was last seen of a branch there: git takes them for known, and asks for
    /// nothing that it could put them back from.
    fn has_gaps(&self, branch_ref: &str) -> Result<bool, GitError> {
        let ours = tracking_ref(&self.name, branch_ref);
        match self.at(&ours)? {
            Some(oid) => Ok(!super::history::is_complete(&self.git, &oid).unwrap_or(true)),
            None => Ok(rev_parse(&self.git, &ours)?.is_some()),
        }
    }

    /// Whether a commit came without its files: in a partial clone, where the person's own fetch was there first.
    fn is_hollow(&self, oid: &str) -> Result<bool, GitError> {
        let key = format!("remote.{}.promisor", self.name);
        if !self.keys()?.contains(&key)
            || self.git.cmd().args(["config", "--type=bool", "--get", &key]).output()?.text() != "true"
        {
            return Ok(false);
        }
        let walk = ["rev-list", "--objects", "--no-walk", "--missing=print", "--end-of-options", oid, "--"];
        Ok(self.git.cmd().args(walk).run()?.text().lines().any(|l| l.starts_with('?')))
    }
}

impl Remote for Configured {
    fn bring(&self, branch_ref: &str) -> Result<Result<String, String>, GitError> {
        match self.fetch(branch_ref, false)? {
            Ok(oid) if self.is_hollow(&oid)? => self.fetch(branch_ref, true),
            Err(_) if self.has_gaps(branch_ref)? => self.fetch(branch_ref, true),
            other => Ok(other),
        }
    }

    fn send(&self, oid: &str, remote_ref: &str, expected: Option<&str>) -> Result<Result<(), String>, GitError> {
        check_oid(oid)?;
        check_ref(remote_ref)?;
        expected.map_or(Ok(()), check_oid)?;
        let cmd = self
            .transport()?
            // A mirror pushes all or nothing, and refuses to push one ref.
            .args(["-c", &format!("remote.{}.mirror=false", self.name)])
            .args(["push", "--porcelain", "--no-verify", "--no-follow-tags", "--no-signed", "--recurse-submodules=no"])
            .arg(format!("--force-with-lease={remote_ref}:{}", expected.unwrap_or_default()))
            .args(["--no-force-if-includes", "--end-of-options", &self.name])
            .arg(format!("{oid}:{remote_ref}"));
        Ok(match ran(&cmd)? {
            Ok(o) if o.success() => Ok(()),
            Ok(o) => Err(refusal(&o)),
            Err(late) => Err(late),
        })
    }

    fn ask(&self, name: &str) -> Result<RemoteRef, GitError> {
        check_ref(name)?;
        let cmd = self.transport()?;
        let cmd = if self.asking == Asking::Never { cmd.timeout(Some(QUESTION_TIMEOUT)) } else { cmd };
        let cmd = cmd.args(["ls-remote", "--quiet", "--refs", "--end-of-options", &self.name, name]);
        let out = match ran(&cmd)? {
            Ok(o) if o.success() => o,
            Ok(o) => return Ok(RemoteRef::Unreachable(reason(&cmd, &o))),
            Err(late) => return Ok(RemoteRef::Unreachable(late)),
        };
        // A name matches at the end of longer ones too.
        let text = out.text();
        let found =
            text.lines().filter_map(|l| l.split_once('\t')).find(|(_, n)| *n == name).map(|(o, _)| o.to_owned());
        Ok(match found {
            Some(oid) => {
                check_oid(&oid)?;
                RemoteRef::At(oid)
            }
            None => RemoteRef::Missing,
        })
    }

    fn note(&self, remote_ref: &str, oid: &str) -> Result<(), GitError> {
        if remote_ref.starts_with("refs/heads/") {
            let ours = tracking_ref(&self.name, remote_ref);
            self.git.cmd().args(["update-ref", "-m", "vermas: push", &ours, oid]).run()?;
        }
        Ok(())
    }
}

/// Fetches one branch (a full ref name) into its [`tracking_ref`], whole also in a partial clone, and nothing else: no
/// tags, no submodules, none of the person's own tracking refs.
///
/// After a crash the tracking ref is at the old or the new commit.
pub fn fetch(git: &Git, remote: &str, branch_ref: &str, asking: Asking) -> Result<Fetched, GitError> {
    fetch_from(&Configured::new(git, remote, asking), branch_ref)
}

/// Pushes one commit to one ref, under the condition that the remote has `expected` there (`None`: that it has no such
/// ref), and notes a success in the [`tracking_ref`]. No hook of this repository runs.
///
/// After a crash, or with the connection cut, the remote has the old or the new commit; asking again tells.
pub fn push(
    git: &Git,
    remote: &str,
    oid: &str,
    remote_ref: &str,
    expected: Option<&str>,
    asking: Asking,
) -> Result<Pushed, GitError> {
    push_to(&Configured::new(git, remote, asking), oid, remote_ref, expected)
}

/// Asks a remote for one ref.
pub fn ls_remote(git: &Git, remote: &str, name: &str, asking: Asking) -> Result<RemoteRef, GitError> {
    Configured::new(git, remote, asking).ask(name)
}

/// The remote's own words: the porcelain line of the refused ref, with what it said on the way.
fn refusal(out: &Output) -> String {
    let said = out.text();
    let refused = said.lines().find(|l| l.starts_with('!')).and_then(|l| l.rsplit('\t').next()).unwrap_or_default();
    let remote: Vec<String> =
        out.stderr_text().lines().filter(|l| l.starts_with("remote: ")).map(|l| l.trim().to_owned()).collect();
    match (refused.is_empty(), remote.is_empty()) {
        (true, _) => out.stderr_text(),
        (false, true) => refused.to_owned(),
        (false, false) => format!("{refused}\n{}", remote.join("\n")),
    }
}

/// Why git could not do it, in its own words; the call with its options is no help to a person.
fn reason(cmd: &Cmd, out: &Output) -> String {
    let said = out.stderr_text();
    if said.is_empty() { failed(cmd, out).to_string() } else { said }
}

fn silent(limit: Duration) -> String {
    format!("no answer within {} seconds", limit.as_secs())
}

/// Runs; a passed deadline is an answer (the inner error), a git that cannot be started is none.
fn ran(cmd: &Cmd) -> Result<Result<Output, String>, GitError> {
    match cmd.output() {
        Ok(o) => Ok(Ok(o)),
        Err(ProcessError::TimedOut { limit, .. }) => Ok(Err(silent(limit))),
        Err(e) => Err(e.into()),
    }
}
