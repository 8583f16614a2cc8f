//! The sections of the main manual page that no command's help contains.

/// Heading, then term and meaning of each entry; an entry without a term is a paragraph.
pub const SECTIONS: &[(&str, &[(&str, &str)])] =
    &[("EXIT STATUS", EXIT), ("ENVIRONMENT", ENVIRONMENT), ("FILES", FILES), ("CONFIGURATION", CONFIGURATION)];

const EXIT: &[(&str, &str)] = &[
    ("0", "Done."),
    ("1", "Failed."),
    ("2", "Wrong arguments."),
    ("3", "Not found."),
    ("4", "Not permitted."),
    ("5", "Conflict: claimed by another, an ambiguous id, a merge that is blocked."),
    ("6", "It is not known whether it was done: the disk failed in the middle. Look before trying again."),
    ("128", "git itself refused; the message is git's own."),
    ("", "With --json an error is {\"error\":{\"kind\",\"message\",\"hint\"}} on standard error."),
];

const ENVIRONMENT: &[(&str, &str)] = &[
    ("AGENT_ID", "Who acts, where --as does not say so."),
    ("NO_COLOR, CLICOLOR_FORCE", "No colours; colours also into a pipe. --color has the first word."),
    ("COLUMNS, LINES", "The size of the terminal, where it is not to be asked."),
    ("GIT_PAGER, PAGER, LESS", "The pager for long output, as git chooses it; LESS is FRX where it is not set."),
    ("VERMAS_DEBUG", "Show a backtrace when the program itself is at fault."),
    ("VERMAS_CLOCK, VERMAS_SEED", "A fixed time and a fixed sequence of random numbers, for tests."),
];

const FILES: &[(&str, &str)] = &[
    (
        ".work/",
        "The state as files: the log of events, and what is derived from it. Shared with other implementations.",
    ),
    ("vermas/ under the common git directory", "What belongs to this machine: locks, caches, logs of sessions."),
    ("refs/heads/vermas/state", "The state branch, which travels with sync."),
    ("refs/vermas/rescue/", "What was in a worktree before it was removed or reset."),
];

const CONFIGURATION: &[(&str, &str)] = &[
    ("", "Settings are git's, of this machine; git vermas config lists them all with their values."),
    ("vermas.branch, vermas.remote", "The state branch and where it travels: vermas/state, origin."),
    ("vermas.workDir, vermas.workersDir", "Places, relative to the main worktree: .work, workers."),
    ("vermas.worktree", "The main worktree, where git itself cannot tell; init sets it."),
    ("vermas.factory, vermas.identity", "Names: that of the directory, ceo."),
    ("vermas.slots, vermas.base", "How many workers (5), and the branch that their work lands on."),
    ("vermas.agentDefault", "The agent that dispatch starts without --agent."),
    ("vermas.agent.NAME.command", "How an agent is started; also .prompt, .headless, .resume and .env."),
    ("vermas.launcher", "tmux, or process where tmux is missing."),
    ("vermas.tmuxSocket", "The tmux server to use, by its -L name."),
    ("vermas.qa.test, vermas.qa.timeout, vermas.qa.merge", "What the merge queue runs, how long, and how it lands."),
    ("vermas.claims", "local, or remote: every claim is arbitrated by a push."),
    ("vermas.durability", "full, or log: only the log line is synced before success."),
    ("vermas.pack", "auto, or off: whether the branch's loose objects are packed in the background."),
    ("vermas.projections", "patch, or replace: the lists of orders and messages are never changed in place."),
    ("vermas.worker.setup, vermas.worker.env", "What prepares a fresh worktree; more variables to pass on."),
    ("color.vermas, color.ui, core.pager", "As for every command of git."),
];

/// Pages that are written by hand, and their sections: what the files and the branch look like.
pub const FORMATS: [(&str, u8); 1] = [("git-vermas-format", 5)];
