//! `git vermas worker attach`, `logs`, `diff`

use crate::app::candidates::Kind;
use crate::app::fault::Fault;
use crate::app::{base, slots};
use crate::cli::{Context, complete};
use crate::git::{history, worktree};
use crate::launch::SessionState;
use crate::sys::{clock, fs};

/// Go into a worker's session
///
/// In tmux, leave it with the prefix key and d; the worker goes on. A background process shows its output until it ends.
#[derive(Debug, clap::Args)]
pub struct Attach {
    /// The slot, or the worker's full name
    #[arg(value_name = "SLOT", add = complete::ids(Kind::Slot))]
    slot: String,
}

impl Attach {
    pub fn run(self, ctx: &Context) -> Result<(), Fault> {
        let session = ctx.session()?;
        let slot = slots::parse(&session, &self.slot)?;
        let launcher = slots::launcher_of(&session, &slot.session)?;
        if launcher.state(&slot.session)? == SessionState::Gone {
            return Err(Fault::not_found(format!("nothing runs in slot{}", slot.number))
                .hint(format!("what it said last: git vermas worker logs slot{}", slot.number)));
        }
        if launcher.kind() == crate::launch::Kind::Tmux && !crate::ui::at_a_terminal() {
            return Err(Fault::failed("a tmux session can only be shown on a terminal")
                .hint(format!("read along instead: git vermas worker logs -f slot{}", slot.number)));
        }
        launcher.attach(&slot.session, &mut ctx.ui.stream())?;
        Ok(())
    }
}

/// Show what a worker's session has printed
#[derive(Debug, clap::Args)]
pub struct Logs {
    /// The slot, or the worker's full name
    #[arg(value_name = "SLOT", add = complete::ids(Kind::Slot))]
    slot: String,
    /// Go on with what comes, until the session ends
    #[arg(short, long)]
    follow: bool,
    /// Only the last N lines
    #[arg(short = 'n', long, value_name = "N")]
    lines: Option<usize>,
}

impl Logs {
    pub fn run(self, ctx: &Context) -> Result<(), Fault> {
        let session = ctx.session()?;
        let slot = slots::parse(&session, &self.slot)?;
        let bytes = fs::read_if_there(&slot.log)?;
        let Some(bytes) = bytes else {
            return Err(Fault::not_found(format!("slot{} has printed nothing yet", slot.number)));
        };
        let text = String::from_utf8_lossy(&bytes);
        let plain = crate::ui::escape::without_codes(&text);
        let lines: Vec<&str> = plain.lines().collect();
        let from = self.lines.map_or(0, |n| lines.len().saturating_sub(n));
        let shown = lines[from..].join("\n");
        if !self.follow {
            ctx.ui.page(&shown);
            return Ok(());
        }
        ctx.ui.out(&shown);
        let launcher = slots::launcher_of(&session, &slot.session)?;
        let mut at = bytes.len() as u64;
        loop {
            let running = matches!(launcher.state(&slot.session)?, SessionState::Running { .. });
            let file = fs::open_read(&slot.log)?;
            let more = fs::read_from(&file, at)?;
            at += more.len() as u64;
            ctx.ui.out(crate::ui::escape::without_codes(&String::from_utf8_lossy(&more)).trim_end_matches('\n'));
            if !running && more.is_empty() {
                return Ok(());
            }
            clock::sleep(FOLLOW_PAUSE);
        }
    }
}

const FOLLOW_PAUSE: std::time::Duration = std::time::Duration::from_millis(200);

/// Show what a worker has changed, uncommitted work included
#[derive(Debug, clap::Args)]
pub struct Diff {
    /// The slot, or the worker's full name
    #[arg(value_name = "SLOT", add = complete::ids(Kind::Slot))]
    slot: String,
    /// Only which files, and how much
    #[arg(long)]
    stat: bool,
}

impl Diff {
    pub fn run(self, ctx: &Context) -> Result<(), Fault> {
        let session = ctx.session()?;
        let slot = slots::parse(&session, &self.slot)?;
        let git = session.git();
        if worktree::find(&git, &slot.path)?.is_none_or(|t| t.lost) {
            return Err(Fault::not_found(format!("slot{} has no worktree", slot.number)));
        }
        let base = base::of(&session, None)?;
        let diff = history::diff(&git, &slot.path, &base.oid.to_string(), self.stat)?;
        if ctx.ui.is_json() {
            let text = String::from_utf8_lossy(&diff).into_owned();
            ctx.one(&serde_json::json!({"slot": slot.number, "base": base.branch, "diff": text}), |_| String::new());
        } else {
            ctx.ui.page(&String::from_utf8_lossy(&diff));
        }
        Ok(())
    }
}
