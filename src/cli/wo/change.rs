//! `git vermas wo update`, `comment`, `close`, `reopen`, `claim`, `release`

use std::path::PathBuf;

use serde_json::Value;

use crate::app::candidates::Kind;
use crate::app::fault::Fault;
use crate::app::{Session, orders};
use crate::cli::{Context, complete};
use crate::domain::OrderId;
use crate::domain::decide::order::Changes;
use crate::domain::text::quoted;

/// Shows the orders that a command changed: one as an object, several as an array.
pub(super) fn changed(ctx: &Context, session: &mut Session, done: &[(OrderId, bool)], word: &str) -> Result<(), Fault> {
    if ctx.ui.is_json() {
        let mut records: Vec<Value> = Vec::with_capacity(done.len());
        for (id, _) in done {
            records.push(orders::detail(session, id).map_err(|f| f.behind_a_change(&format!("the change of {id}")))?);
        }
        match records.as_slice() {
            [one] => ctx.one(one, |_| String::new()),
            _ => ctx.many(records, |_| String::new()),
        }
    } else {
        for (id, anew) in done {
            if *anew {
                ctx.ui.note(&format!("{word} {id}"));
            } else {
                ctx.ui.note(&format!("{id} was so already"));
            }
        }
    }
    ctx.finish(session);
    Ok(())
}

/// Change fields of work orders
#[derive(Debug, clap::Args)]
pub struct Update {
    /// The work orders
    #[arg(required = true, value_name = "ID", add = complete::ids(Kind::WorkOrder))]
    ids: Vec<String>,
    /// A new title
    #[arg(long, value_name = "TEXT")]
    title: Option<String>,
    /// New details
    #[arg(short, long, value_name = "TEXT")]
    description: Option<String>,
    /// Read new details from a file ('-' is standard input)
    #[arg(short = 'F', long, value_name = "FILE", value_hint = clap::ValueHint::FilePath)]
    file: Option<PathBuf>,
    /// open, assigned, in_progress or closed
    #[arg(short, long, value_name = "STATUS")]
    status: Option<String>,
    /// 0 (critical) to 4 (backlog)
    #[arg(short, long, value_name = "N", allow_negative_numbers = true)]
    priority: Option<i64>,
    /// task, bug, feature, epic or merge-request
    #[arg(short = 't', long = "type", value_name = "TYPE")]
    issue_type: Option<String>,
    /// Who holds it; an empty word releases it
    #[arg(short, long, value_name = "AGENT", add = complete::ids(Kind::Agent))]
    assignee: Option<String>,
    /// Add a label; may be repeated
    #[arg(long = "add-label", value_name = "LABEL")]
    add_labels: Vec<String>,
    /// Remove a label; may be repeated
    #[arg(long = "remove-label", value_name = "LABEL")]
    remove_labels: Vec<String>,
    /// Set further data, key=value; an empty value removes it; may be repeated
    #[arg(short, long, value_name = "KEY=VALUE")]
    metadata: Vec<String>,
    /// Write it although it looks like a key or token
    #[arg(long)]
    allow_secret: bool,
}

impl Update {
    pub fn run(self, ctx: &Context) -> Result<(), Fault> {
        let mut session = ctx.session()?;
        let assignee = match self.assignee.as_deref() {
            None => None,
            Some("") => Some(None),
            Some(name) => Some(Some(session.agent_id(name)?)),
        };
        let wish = Changes {
            title: self.title,
            description: super::text_from(self.description, self.file.as_deref())?,
            status: self.status,
            priority: self.priority,
            issue_type: self.issue_type,
            assignee,
            add_labels: self.add_labels,
            remove_labels: self.remove_labels,
            metadata: super::metadata(&self.metadata)?,
            allow_secret: self.allow_secret,
        };
        if is_empty(&wish) {
            return Err(Fault::usage("nothing to change was given").hint("git vermas wo update -h"));
        }
        if let Some(both) = wish.add_labels.iter().find(|l| wish.remove_labels.contains(l)) {
            return Err(Fault::usage(format!("the label {} is to be added and to be removed", quoted(both))));
        }
        let done = orders::update(&mut session, &self.ids, &wish)?;
        changed(ctx, &mut session, &done, "updated")
    }
}

fn is_empty(w: &Changes) -> bool {
    w.title.is_none()
        && w.description.is_none()
        && w.status.is_none()
        && w.priority.is_none()
        && w.issue_type.is_none()
        && w.assignee.is_none()
        && w.add_labels.is_empty()
        && w.remove_labels.is_empty()
        && w.metadata.is_empty()
}

/// Comment on a work order
#[derive(Debug, clap::Args)]
pub struct Comment {
    /// The work order
    #[arg(value_name = "ID", add = complete::ids(Kind::WorkOrder))]
    id: String,
    /// What to say
    #[arg(short, long, value_name = "TEXT", required_unless_present = "file")]
    message: Option<String>,
    /// Read it from a file ('-' is standard input)
    #[arg(short = 'F', long, value_name = "FILE", value_hint = clap::ValueHint::FilePath)]
    file: Option<PathBuf>,
    /// Write it although it looks like a key or token
    #[arg(long)]
    allow_secret: bool,
}

impl Comment {
    pub fn run(self, ctx: &Context) -> Result<(), Fault> {
        let body = super::text_from(self.message, self.file.as_deref())?.unwrap_or_default();
        let mut session = ctx.session()?;
        let id = orders::comment(&mut session, &self.id, &body, self.allow_secret)?;
        changed(ctx, &mut session, &[(id, true)], "commented on")
    }
}

/// Close work orders
#[derive(Debug, clap::Args)]
pub struct Close {
    /// The work orders
    #[arg(required = true, value_name = "ID", add = complete::ids(Kind::WorkOrder))]
    ids: Vec<String>,
    /// Why
    #[arg(short, long, value_name = "TEXT", default_value = "", hide_default_value = true)]
    reason: String,
}

impl Close {
    pub fn run(self, ctx: &Context) -> Result<(), Fault> {
        let mut session = ctx.session()?;
        let done = orders::close(&mut session, &self.ids, &self.reason)?;
        changed(ctx, &mut session, &done, "closed")
    }
}

/// Open closed work orders again
#[derive(Debug, clap::Args)]
pub struct Reopen {
    /// The work orders
    #[arg(required = true, value_name = "ID", add = complete::ids(Kind::WorkOrder))]
    ids: Vec<String>,
}

impl Reopen {
    pub fn run(self, ctx: &Context) -> Result<(), Fault> {
        let mut session = ctx.session()?;
        let done = orders::reopen(&mut session, &self.ids)?;
        changed(ctx, &mut session, &done, "opened")
    }
}

/// Take a work order on
///
/// Refused with exit code 5 when somebody else holds it.
#[derive(Debug, clap::Args)]
pub struct Claim {
    /// The work order
    #[arg(value_name = "ID", add = complete::ids(Kind::WorkOrder))]
    id: String,
    /// Let the remote decide: the claim holds only once its push is accepted
    #[arg(long)]
    exclusive: bool,
}

impl Claim {
    pub fn run(self, ctx: &Context) -> Result<(), Fault> {
        let mut session = ctx.session()?;
        let exclusive = self.exclusive || session.setting("vermas.claims").as_deref() == Some("remote");
        let done = if exclusive {
            crate::app::exclusive::claim(&mut session, &self.id)?
        } else {
            orders::claim(&mut session, &self.id)?
        };
        changed(ctx, &mut session, &[done], "claimed")
    }
}

/// Give a work order back
#[derive(Debug, clap::Args)]
pub struct Release {
    /// The work order
    #[arg(value_name = "ID", add = complete::ids(Kind::WorkOrder))]
    id: String,
}

impl Release {
    pub fn run(self, ctx: &Context) -> Result<(), Fault> {
        let mut session = ctx.session()?;
        let id = orders::release(&mut session, &self.id)?;
        changed(ctx, &mut session, &[(id, true)], "released")
    }
}
