//! Questions about commits: what is reachable, what a branch adds, what a worktree changed.
//!
//! Reads only (one loose object apart, see [`same_patch_on`]). Revisions are taken after `--end-of-options`.

use std::path::Path;
use std::time::Duration;

use super::program::{Git, GitError, failed, with_identity, yes_or_no};
use super::status::head;

/// The limit for a walk through a whole history.
const WALK_TIMEOUT: Duration = Duration::from_secs(900);

/// A commit, as lists show it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CommitInfo {
    pub oid: String,
    pub subject: String,
    /// `Name <email>`.
    pub author: String,
    /// When it was written, in seconds since the Unix epoch.
    pub time: i64,
    /// In their order, unfolded.
    pub trailers: Vec<(String, String)>,
}

impl CommitInfo {
    /// The values of a trailer; its key is compared without case, as git does.
    pub fn trailer<'a>(&'a self, key: &'a str) -> impl Iterator<Item = &'a str> {
        self.trailers.iter().filter(move |(k, _)| k.eq_ignore_ascii_case(key)).map(|(_, v)| v.as_str())
    }
}

/// The commit that a revision names; `None` where it names none.
pub fn rev_parse(git: &Git, revision: &str) -> Result<Option<String>, GitError> {
    resolve(git, &format!("{revision}^{{commit}}"))
}

/// The object that a revision expression names; `None` where it names none.
pub(super) fn resolve(git: &Git, expression: &str) -> Result<Option<String>, GitError> {
    let cmd = git.cmd().args(["rev-parse", "--verify", "--quiet", "--end-of-options", expression]);
    match cmd.output()? {
        o if o.success() => Ok(Some(o.text())),
        // 128: an expression such as `a:b` that git will not resolve quietly.
        o if matches!(o.code, Some(1 | 128)) => Ok(None),
        o => Err(failed(&cmd, &o)),
    }
}

pub(super) fn must_resolve(git: &Git, expression: &str) -> Result<String, GitError> {
    resolve(git, expression)?.ok_or_else(|| GitError::NotFound { what: expression.to_owned() })
}

/// Whether `old` is `new` or one of its ancestors.
pub fn is_ancestor(git: &Git, old: &str, new: &str) -> Result<bool, GitError> {
    yes_or_no(&git.cmd().args(["merge-base", "--is-ancestor", "--end-of-options", old, new]))
}

/// Whether a commit's whole history can be read, trees and files included: what a push or a `git gc` walks. Where a shallow or
/// partial clone ends is no fault. Takes time in proportion to the history.
pub fn is_complete(git: &Git, commit: &str) -> Result<bool, GitError> {
    // A boundary of a partial clone is not to be fetched for this question.
    let walk = ["rev-list", "--objects", "--quiet", "--exclude-promisor-objects", "--end-of-options", commit, "--"];
    if git.cmd().args(walk).timeout(Some(WALK_TIMEOUT)).output()?.success() {
        return Ok(true);
    }
    // A git that will not work here at all has not found a gap.
    git.cmd().args(["rev-parse", "--git-dir"]).run().map(|_| false).map_err(GitError::from)
}

/// Takes the commits that cannot be read to their beginning out of a ref's reflog, and no others.
pub fn forget_broken(git: &Git, name: &str) -> Result<(), GitError> {
    let keep = ["--stale-fix", "--expire=never", "--expire-unreachable=never"];
    git.cmd().args(["reflog", "expire"]).args(keep).arg(name).timeout(Some(WALK_TIMEOUT)).run()?;
    Ok(())
}

/// The best common ancestor; `None` for unrelated histories.
pub fn merge_base(git: &Git, a: &str, b: &str) -> Result<Option<String>, GitError> {
    let cmd = git.cmd().args(["merge-base", "--end-of-options", a, b]);
    match cmd.output()? {
        o if o.success() => Ok(Some(o.text())),
        o if o.code == Some(1) => Ok(None),
        o => Err(failed(&cmd, &o)),
    }
}

/// Whether what `branch` adds is on `base` under whatever commits: reachable, cherry-picked commit by commit, or squashed
/// into one. Judged by patch id, so a change that was edited on its way is not recognised. May leave one unreferenced
/// commit object, always the same for the same question.
pub fn same_patch_on(git: &Git, base: &str, branch: &str) -> Result<bool, GitError> {
    let base = must_resolve(git, &format!("{base}^{{commit}}"))?;
    let branch = must_resolve(git, &format!("{branch}^{{commit}}"))?;
    if is_ancestor(git, &branch, &base)? {
        return Ok(true);
    }
    let Some(fork) = merge_base(git, &base, &branch)? else { return Ok(false) };
    if cherry(git, &base, &branch)? == Some(true) {
        return Ok(true);
    }
    let tree = must_resolve(git, &format!("{branch}^{{tree}}"))?;
    if tree == must_resolve(git, &format!("{fork}^{{tree}}"))? {
        return Ok(true);
    }
    let fixed = ["AUTHOR", "COMMITTER"].into_iter().flat_map(|role| {
        [("NAME", "vermas"), ("EMAIL", "vermas@localhost"), ("DATE", "@0 +0000")]
            .map(|(part, v)| (format!("GIT_{role}_{part}"), v.to_owned()))
    });
    let make = git.cmd().args(["commit-tree", "-p", &fork, "-m", "squashed", &tree]);
    let squashed = with_identity(make, &fixed.collect::<Vec<_>>()).run()?.text();
    Ok(cherry(git, &base, &squashed)? == Some(true))
}

/// Whether every commit that `tip` has over `base` has its patch there; `None` when there are none but merges.
fn cherry(git: &Git, base: &str, tip: &str) -> Result<Option<bool>, GitError> {
    let text = git.cmd().args(["cherry", base, tip]).run()?.text();
    Ok((!text.is_empty()).then(|| text.lines().all(|l| l.starts_with('-'))))
}

/// The commits reachable from `tip` and not from `base`, newest first.
pub fn commits_between(git: &Git, base: Option<&str>, tip: &str) -> Result<Vec<CommitInfo>, GitError> {
    commits(git, base, tip, None)
}

/// Those of [`commits_between`] that carry the trailer `key: value`.
pub fn commits_with_trailer(
    git: &Git,
    base: Option<&str>,
    tip: &str,
    key: &str,
    value: &str,
) -> Result<Vec<CommitInfo>, GitError> {
    let mut found = commits(git, base, tip, Some(value))?;
    found.retain(|c| c.trailer(key).any(|v| v == value));
    Ok(found)
}

fn commits(git: &Git, base: Option<&str>, tip: &str, grep: Option<&str>) -> Result<Vec<CommitInfo>, GitError> {
    const FIELDS: usize = 5;
    let mut cmd = git.cmd().args(["-c", "trailer.separators=:", "rev-list", "--no-commit-header", "--encoding=UTF-8"]);
    // NUL cannot occur in what is printed between: git cuts a commit's text at the first one.
    cmd = cmd.arg("--format=%H%x00%an <%ae>%x00%at%x00%s%x00%(trailers:only=true,unfold=true)%x00");
    if let Some(text) = grep {
        cmd = cmd.arg("--fixed-strings").arg(format!("--grep={text}"));
    }
    cmd = cmd.args(["--end-of-options", tip]);
    if let Some(base) = base {
        cmd = cmd.arg(format!("^{base}"));
    }
    let out = cmd.arg("--").run()?;
    let text = String::from_utf8_lossy(&out.stdout).into_owned();
    let fields: Vec<&str> = text.split('\0').collect();
    let record = |f: &[&str]| -> Option<CommitInfo> {
        let trailers = f[4].lines().filter_map(|l| l.split_once(':'));
        Some(CommitInfo {
            oid: f[0].trim_start().to_owned(),
            author: f[1].to_owned(),
            time: f[2].parse().ok()?,
            subject: f[3].to_owned(),
            trailers: trailers.map(|(k, v)| (k.trim().to_owned(), v.trim().to_owned())).collect(),
        })
    };
    let found: Option<Vec<_>> = fields.chunks_exact(FIELDS).map(record).collect();
    found.ok_or_else(|| GitError::unreadable("git rev-list", "a commit without a date"))
}

/// What a worktree changed since it left `base`: commits, index and files together, as a patch or (`stat`) a summary.
/// Untracked files are not part of a diff; [`super::status::status`] names them.
pub fn diff(git: &Git, worktree: &Path, base: &str, stat: bool) -> Result<Vec<u8>, GitError> {
    let from = match head(git, worktree)? {
        Some(tip) => merge_base(git, base, &tip)?.unwrap_or(tip),
        None => return Ok(Vec::new()),
    };
    let form = if stat { "--stat" } else { "--patch" };
    let cmd = git.cmd_in(worktree).args(["diff", form, "--no-ext-diff", "--no-textconv", "--no-color", &from, "--"]);
    Ok(cmd.run()?.stdout)
}

/// The full ref name of a remote's default branch on our side (`refs/remotes/origin/main`), as the last clone or
/// `git remote set-head` recorded it.
pub fn default_branch(git: &Git, remote: &str) -> Result<Option<String>, GitError> {
    super::name::check_remote(remote)?;
    let cmd = git.cmd().args(["symbolic-ref", "--quiet", &format!("refs/remotes/{remote}/HEAD")]);
    match cmd.output()? {
        o if o.success() => Ok(Some(o.text())),
        o if o.code == Some(1) => Ok(None),
        o => Err(failed(&cmd, &o)),
    }
}
