//! `git vermas wo`, and `wo` by itself.

mod change;
mod create;
mod deps;
mod history;
mod list;
mod show;

pub(super) use history::changes;

use super::Context;
use crate::app::fault::Fault;
use crate::domain::text::LONGEST_BODY;

/// Create, find and change work orders
///
/// A work order is one piece of work: what is to be done, how urgent it is, who holds it, and what it waits for. Ids may be
/// shortened to any unique beginning.
#[derive(Debug, clap::Args)]
pub struct Args {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, clap::Subcommand)]
#[command(defer = true)]
enum Command {
    Create(create::Args),
    List(list::List),
    Search(list::Search),
    Ready(list::Ready),
    Blocked(list::Blocked),
    Show(show::Args),
    Stats(show::Stats),
    Update(change::Update),
    Comment(change::Comment),
    Close(change::Close),
    Reopen(change::Reopen),
    Claim(change::Claim),
    Release(change::Release),
    Dep(deps::Args),
}

impl Args {
    pub fn run(self, ctx: &Context) -> Result<(), Fault> {
        match self.command {
            Command::Create(a) => a.run(ctx),
            Command::List(a) => a.run(ctx),
            Command::Search(a) => a.run(ctx),
            Command::Ready(a) => a.run(ctx),
            Command::Blocked(a) => a.run(ctx),
            Command::Show(a) => a.run(ctx),
            Command::Stats(a) => a.run(ctx),
            Command::Update(a) => a.run(ctx),
            Command::Comment(a) => a.run(ctx),
            Command::Close(a) => a.run(ctx),
            Command::Reopen(a) => a.run(ctx),
            Command::Claim(a) => a.run(ctx),
            Command::Release(a) => a.run(ctx),
            Command::Dep(a) => a.run(ctx),
        }
    }
}

/// Reads `key=value` words into a record's metadata; an empty value removes the entry.
fn metadata(words: &[String]) -> Result<serde_json::Map<String, serde_json::Value>, Fault> {
    let mut map = serde_json::Map::new();
    for w in words {
        let (key, value) = w
            .split_once('=')
            .filter(|(k, _)| !k.is_empty() && !k.chars().any(|c| c.is_control() || c == '.'))
            .ok_or_else(|| Fault::usage(format!("'{w}' is no metadata")).hint("write it as key=value"))?;
        let value = if value.is_empty() { serde_json::Value::Null } else { value.into() };
        map.insert(key.to_owned(), value);
    }
    Ok(map)
}

/// Text given by `-d`, or read from a file (`-` is standard input).
pub fn text_from(given: Option<String>, file: Option<&std::path::Path>) -> Result<Option<String>, Fault> {
    match (given, file) {
        (Some(_), Some(_)) => Err(Fault::usage("text was given twice, on the line and by a file")),
        (Some(t), None) => Ok(Some(t)),
        (None, Some(p)) => {
            let text = super::body::read(p, LONGEST_BODY)?;
            Ok(Some(text.trim_end_matches('\n').to_owned()))
        }
        (None, None) => Ok(None),
    }
}
