//! Every command that there is, read from the program's own tree, with typical arguments.

use super::world::{EVIL, World};

/// Commands that are not run here, and why.
const LEFT_OUT: &[(&str, &str)] = &[
    ("demo", "makes a world of its own and waits for it"),
    ("hook", "called by git and agents; tested with their words in tests/hook.rs"),
];

/// Typical arguments. `{good}` is an order that must stay usable, `{evil}` the hostile one, `{mail}` a message.
const TYPICAL: &[(&str, &[&str])] = &[
    ("archive", &["{mail}"]),
    ("assignment attach", &["{mail}"]),
    ("assignment clear", &["app/workers/slot1"]),
    ("assignment set", &["ceo", "work_order:{evil}", "--replace"]),
    ("completions", &["bash"]),
    ("config get", &["vermas.slots"]),
    ("config set", &["vermas.slots", "5"]),
    ("config unset", &["vermas.slots"]),
    ("dispatch", &["{evil}", "--dry-run"]),
    ("doctor", &["--json"]),
    ("doctor", &["--fix"]),
    ("events emit", &["test.said", "--data", "{}"]),
    ("events replay", &["{evil}"]),
    ("events export", &["--json"]),
    ("handoff", &["-m", "text"]),
    ("inbox", &["--all"]),
    ("log", &["{evil}"]),
    ("log", &["--oneline"]),
    ("man", &["{out}"]),
    ("merge-driver", &["{file}", "{file}", "{file}", "work_orders.jsonl"]),
    ("qa approve", &["{evil}"]),
    ("read", &["msg-evil1"]),
    ("send", &["ceo", "-s", "subject", "-m", "body"]),
    ("supervise", &["--once"]),
    ("undo", &[]),
    ("wo claim", &["{evil}"]),
    ("wo close", &["{evil}"]),
    ("wo comment", &["{evil}", "-m", "text"]),
    ("wo create", &["New"]),
    ("wo dep add", &["{evil}", "{good}"]),
    ("wo dep remove", &["{evil}", "{good}"]),
    ("wo dep tree", &["{evil}"]),
    ("wo list", &["--json"]),
    ("wo search", &["x"]),
    ("wo show", &["{evil}", "--json"]),
    ("wo update", &["{evil}", "--title", "New"]),
    ("worker done", &["--no-changes"]),
    ("worker nudge", &["slot1", "-m", "text"]),
    ("worker wait", &["slot1"]),
];

/// One way of calling one command.
#[derive(Debug, Clone)]
pub struct Call {
    pub args: Vec<String>,
}

/// Every command at least once: as in the table, and else bare or with what its required arguments are called.
pub fn all(w: &World) -> Vec<Call> {
    let mut leaves = Vec::new();
    walk(&git_vermas::cli::tree(), &mut Vec::new(), &mut leaves);
    let file = w.root().join("t/merged");
    std::fs::write(&file, "").unwrap();
    let fill = |word: &str| {
        word.replace("{good}", &w.good[0])
            .replace("{evil}", EVIL)
            .replace("{mail}", &w.mail)
            .replace("{out}", &w.root().join("t/man").display().to_string())
            .replace("{file}", &file.display().to_string())
    };
    let mut calls = Vec::new();
    for (path, needed) in leaves {
        if LEFT_OUT.iter().any(|(name, _)| *name == path[0]) {
            continue;
        }
        let name = path.join(" ");
        let known: Vec<_> = TYPICAL.iter().filter(|(n, _)| *n == name).collect();
        let words = |args: Vec<String>| Call { args: path.iter().cloned().chain(args).collect() };
        if known.is_empty() {
            calls.push(words(needed));
        } else {
            calls.extend(known.iter().map(|(_, args)| words(args.iter().map(|a| fill(a)).collect())));
        }
    }
    // As text for a person, whatever the table says.
    for extra in [&["wo", "show", EVIL][..], &["wo", "list"], &["wo", "ready", "--json"], &["events", "tail", "--json"]]
    {
        calls.push(Call { args: extra.iter().map(|a| (*a).to_owned()).collect() });
    }
    // What changes the state comes last.
    calls.sort_by_key(|c| changes(&c.args.join(" ")));
    calls
}

fn changes(call: &str) -> bool {
    let reads = [
        "status",
        "prime",
        "assignment show",
        "assignment list",
        "inbox",
        "mail list",
        "config get",
        "config list",
        "events list",
        "events tail",
        "events stats",
        "events export",
        "events replay",
        "fsck",
        "hooks status",
        "log",
        "qa status",
        "version",
        "wo list",
        "wo ready",
        "wo blocked",
        "wo search",
        "wo show",
        "wo stats",
        "wo dep tree",
        "worker list",
        "workers",
        "worker status",
        "worker logs",
        "worker diff",
        "worktree list",
        "doctor --json",
    ];
    !reads.iter().any(|r| call.starts_with(r))
}

fn walk(command: &clap::Command, path: &mut Vec<String>, leaves: &mut Vec<(Vec<String>, Vec<String>)>) {
    let below: Vec<_> = command.get_subcommands().filter(|c| c.get_name() != "help").collect();
    if below.is_empty() && !path.is_empty() {
        let needed = command.get_positionals().filter(|a| a.is_required_set());
        let value = |a: &clap::Arg| {
            let name = a.get_value_names().and_then(<[_]>::first).map_or(a.get_id().as_str(), |n| n.as_str());
            match name.to_ascii_lowercase().as_str() {
                n if n.contains("slot") || n.contains("worker") => "slot1".to_owned(),
                n if n.contains("agent") => "app/workers/slot1".to_owned(),
                n if n.contains("mail") || n.contains("message") => "msg-evil1".to_owned(),
                _ => EVIL.to_owned(),
            }
        };
        leaves.push((path.clone(), needed.map(value).collect()));
        return;
    }
    for c in below {
        path.push(c.get_name().to_owned());
        walk(c, path, leaves);
        path.pop();
    }
}
