//! `git vermas man`, and the manual pages themselves.
//!
//! **Invariant:** the same source gives the same bytes: the date is a constant, the order that of the tree.

use std::path::PathBuf;

use clap_mangen::Man;
use clap_mangen::roff::{Inline, Roff, bold, italic, roman};

use super::{Context, man_text, overview};
use crate::app::fault::Fault;
use crate::sys::process::Cmd;
use crate::sys::{env, fs};

/// The date of the last change to these pages that a reader would notice.
const DATE: &str = "2026-11-22";

/// Show the manual page, or write all pages to a directory
///
/// With a directory: git-vermas.1, and a page for each command.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Where to write the pages
    #[arg(value_hint = clap::ValueHint::DirPath)]
    dir: Option<PathBuf>,
}

impl Args {
    pub fn run(self, ctx: &Context) -> Result<(), Fault> {
        let Some(dir) = self.dir else { return show(ctx) };
        if !fs::is_folder(&dir) {
            let page = dir.display().to_string();
            let fault = Fault::not_found(format!("there is no folder {page} to write the pages to"));
            return Err(fault
                .hint(format!("make it first: mkdir -p {page}"))
                .hint("to read of a command: git vermas help COMMAND"));
        }
        let mut written = Vec::new();
        for (name, bytes) in pages() {
            let path = dir.join(name);
            fs::replace(&path, &bytes)?;
            written.push(path.display().to_string());
        }
        if ctx.ui.is_json() {
            ctx.ui.json(&serde_json::json!(written));
        } else {
            ctx.ui.note(&format!("wrote {} pages to {}", written.len(), dir.display()));
        }
        Ok(())
    }
}

/// Through `man`, which knows the reader's width and pager; as plain help where there is no `man`.
fn show(ctx: &Context) -> Result<(), Fault> {
    let page = pages().into_iter().next().map(|(_, bytes)| bytes).unwrap_or_default();
    if env::which("man").is_some() && Cmd::new("man").args(["-l", "-"]).piped_into(&page)?.success() {
        return Ok(());
    }
    ctx.ui.page(&overview::help(super::tree(), true).to_string());
    Ok(())
}

/// Every manual page: file name and contents, the one of the whole program first.
pub fn pages() -> Vec<(String, Vec<u8>)> {
    let tree = super::tree();
    let mut pages = vec![("git-vermas.1".to_owned(), main_page(&tree).into_bytes())];
    for command in tree.get_subcommands().filter(|c| !c.is_hide_set() && c.get_name() != "help") {
        pages.push((format!("git-vermas-{}.1", command.get_name()), command_page(command).into_bytes()));
    }
    pages
}

fn main_page(tree: &clap::Command) -> String {
    let mut page = Page::new(tree);
    page.part(tree, Man::render_name_section);
    page.roff.control("SH", ["SYNOPSIS"]);
    page.roff.text([bold("git vermas"), roman(" ["), italic("options"), roman("] "), italic("command"), roman(" ...")]);
    for (alias, meaning) in [("co", "git vermas"), ("wo", "git vermas wo")] {
        page.roff.control("br", []);
        page.roff.text([bold(alias), roman(" ... (the same as "), bold(meaning), roman(" ... in a worker's session)")]);
    }
    page.flush();
    page.part(tree, Man::render_description_section);
    page.part(tree, Man::render_options_section);
    page.roff.control("SH", ["COMMANDS"]);
    for (purpose, commands) in overview::by_purpose(tree) {
        page.roff.control("SS", [purpose]);
        for (name, about) in commands {
            page.roff.control("TP", []);
            page.roff.text([bold(format!("git vermas {name}"))]);
            page.roff.text([roman(about)]);
        }
    }
    for (heading, items) in man_text::SECTIONS {
        page.list(heading, items);
    }
    let pages: Vec<String> = tree
        .get_subcommands()
        .filter(|c| !c.is_hide_set() && c.get_name() != "help")
        .map(|c| format!("git-vermas-{}", c.get_name()))
        .collect();
    let programs = pages.iter().map(String::as_str).chain(["git", "git-worktree", "git-config", "tmux"]);
    page.see_also(programs.map(|name| (name, 1)).chain(man_text::FORMATS));
    page.finish()
}

fn command_page(command: &clap::Command) -> String {
    let mut page = Page::new(command);
    page.part(command, Man::render_name_section);
    page.body(command);
    for sub in command.get_subcommands().filter(|c| !c.is_hide_set() && c.get_name() != "help") {
        page.roff.control("SH", [sub.get_bin_name().unwrap_or(sub.get_name())]);
        page.flush();
        page.nested(sub);
    }
    page.roff.control("SH", ["GLOBAL OPTIONS"]);
    page.roff.text([bold("--json"), roman(", "), bold("--jsonl"), roman(", "), bold("--color"), roman(", ")]);
    page.roff.text([bold("--as"), roman(", "), bold("-C"), roman(" and "), bold("-q"), roman(", described in ")]);
    page.roff.text([bold("git-vermas"), roman("(1), may stand anywhere on the line.")]);
    page.see_also([("git-vermas", 1)]);
    page.finish()
}

/// One section of a page, as clap_mangen renders it.
type Render = fn(&Man, &mut dyn std::io::Write) -> std::io::Result<()>;

/// A page under construction.
struct Page {
    out: String,
    roff: Roff,
}

impl Page {
    fn new(command: &clap::Command) -> Self {
        let mut page = Self { out: Roff::new().render(), roff: Roff::new() };
        page.part(command, Man::render_title);
        page
    }

    /// Adds a section without the preamble that clap_mangen puts before each.
    fn part(&mut self, command: &clap::Command, render: Render) {
        let man = Man::new(readable(command))
            .title(command.get_display_name().unwrap_or(command.get_name()).to_uppercase())
            .date(DATE)
            .source(concat!("git-vermas ", env!("CARGO_PKG_VERSION")))
            .manual("Git VerMAS");
        let mut bytes = Vec::new();
        // Writing to a Vec cannot fail.
        let _ = render(&man, &mut bytes);
        let text = String::from_utf8_lossy(&bytes).into_owned();
        let preamble = Roff::new().render();
        self.out.push_str(text.strip_prefix(&preamble).unwrap_or(&text));
    }

    /// Synopsis, description and options of a command, its options apart from the global ones.
    fn body(&mut self, command: &clap::Command) {
        let own = without_globals(command);
        self.part(&own, Man::render_synopsis_section);
        self.part(&own, Man::render_description_section);
        if own.get_arguments().any(|a| !a.is_hide_set()) {
            self.part(&own, Man::render_options_section);
        }
    }

    /// The same under a heading of the parent's page: the section headings of its own fall away.
    fn nested(&mut self, command: &clap::Command) {
        let start = self.out.len();
        self.body(command);
        let text = self.out.split_off(start);
        for line in text.lines() {
            match line.strip_prefix(".SH ") {
                Some("SYNOPSIS") => {}
                Some("DESCRIPTION") => self.out.push_str(".PP\n"),
                Some(heading) => self.out.push_str(&format!(".SS {heading}\n")),
                None => self.out.push_str(&format!("{line}\n")),
            }
        }
        for sub in command.get_subcommands().filter(|c| !c.is_hide_set() && c.get_name() != "help") {
            self.roff.control("SS", [sub.get_bin_name().unwrap_or(sub.get_name())]);
            self.flush();
            self.nested(sub);
        }
    }

    fn list(&mut self, heading: &str, items: &[(&str, &str)]) {
        self.roff.control("SH", [heading]);
        for (term, meaning) in items {
            if term.is_empty() {
                self.roff.control("PP", []);
            } else {
                self.roff.control("TP", []);
                self.roff.text([bold(*term)]);
            }
            self.roff.text([roman(*meaning)]);
        }
    }

    /// Names of pages, each with its section.
    fn see_also<'a>(&mut self, pages: impl IntoIterator<Item = (&'a str, u8)>) {
        self.roff.control("SH", ["SEE ALSO"]);
        let mut line: Vec<Inline> = Vec::new();
        for (name, section) in pages {
            if !line.is_empty() {
                line.push(roman(", "));
            }
            line.extend([bold(name), roman(format!("({section})"))]);
        }
        self.roff.text(line);
    }

    fn flush(&mut self) {
        let preamble = Roff::new().render();
        let text = std::mem::take(&mut self.roff).render();
        self.out.push_str(text.strip_prefix(&preamble).unwrap_or(&text));
    }

    fn finish(mut self) -> String {
        self.flush();
        self.out
    }
}

/// The command with its help as a page wants it: the description does not repeat the line under NAME, and words to
/// choose from stand in the sentence.
fn readable(command: &clap::Command) -> clap::Command {
    let about = command.get_about().map(ToString::to_string).unwrap_or_default();
    let long = command.get_long_about().map(ToString::to_string);
    let rest = long.as_deref().and_then(|l| l.strip_prefix(&about)).map(|l| l.trim_start_matches('\n').to_owned());
    let command = match rest.filter(|r| !r.is_empty()) {
        Some(rest) => command.clone().long_about(rest),
        None => command.clone(),
    };
    command.mut_args(|a| {
        let values = a.get_possible_values();
        let names: Vec<&str> = values.iter().filter(|v| !v.is_hide_set()).map(|v| v.get_name()).collect();
        if names.is_empty() || a.is_hide_possible_values_set() || values.iter().any(|v| v.get_help().is_some()) {
            return a;
        }
        let help = a.get_long_help().or(a.get_help()).map(ToString::to_string).unwrap_or_default();
        let help = format!("{help}: {}", names.join(", "));
        a.long_help(help).hide_possible_values(true)
    })
}

fn without_globals(command: &clap::Command) -> clap::Command {
    command.clone().mut_args(|a| {
        let everywhere = a.is_global_set() || matches!(a.get_id().as_str(), "help" | "version");
        if everywhere { a.hide(true) } else { a }
    })
}
