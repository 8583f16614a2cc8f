//! `git vermas completions`

use super::Context;
use crate::app::fault::Fault;

const BASH: &str = include_str!("completions/git-vermas.bash");
const ZSH: &str = include_str!("completions/_git-vermas");
const FISH: &str = include_str!("completions/git-vermas.fish");

#[derive(Debug, Clone, Copy, clap::ValueEnum)]
pub enum Shell {
    Bash,
    Zsh,
    Fish,
}

/// Print the completion script of a shell
///
/// The script completes git vermas, git-vermas, co and wo: commands, options, and the ids
/// that there are at this moment, with their titles. Where it goes:
///
///   bash  ~/.local/share/bash-completion/completions/git-vermas
///   zsh   a file _git-vermas in a directory of $fpath
///   fish  ~/.config/fish/completions/git-vermas.fish
#[derive(Debug, clap::Args)]
#[command(verbatim_doc_comment)]
pub struct Args {
    /// The shell
    shell: Shell,
}

impl Args {
    pub fn run(self, ctx: &Context) -> Result<(), Fault> {
        let script = match self.shell {
            Shell::Bash => BASH,
            Shell::Zsh => ZSH,
            Shell::Fish => FISH,
        };
        ctx.ui.bytes(script.as_bytes());
        Ok(())
    }
}
