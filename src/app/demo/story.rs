//! What happens in the demonstration, in order.

use std::time::Duration;

use serde_json::Value;

use super::Beat;
use super::stage::Stage;
use crate::app::fault::Fault;
use crate::launch::Kind;
use crate::sys::fs;
use crate::sys::process::shell_quote;

/// The repository in which the work is done, and the clone that sees the result.
pub const HOME: &str = "greet";
pub const SECOND: &str = "second";
/// How the project is tested.
pub const TESTS: &str = "sh tests/run.sh";

const FLAG: &str = "Add a --version flag";
const SEVERAL: &str = "Greet several people at once";
const DOCUMENT: &str = "Document the flag";
const AGENT: &str = include_str!("agent.sh");
const PROJECT: &[(&str, &str)] = &[
    ("greet", include_str!("project/greet")),
    ("README.md", include_str!("project/README.md")),
    ("tests/run.sh", include_str!("project/run.sh")),
    ("tests/default.sh", include_str!("project/default.sh")),
    ("tests/name.sh", include_str!("project/name.sh")),
];
/// A scripted worker needs a second; a machine that is busy, some more.
const PATIENCE: Duration = Duration::from_secs(60);

/// The ids of the three orders.
pub struct Orders {
    pub flag: String,
    pub several: String,
    pub document: String,
}

/// Plays it, and gives the orders.
pub fn play(stage: &mut Stage<'_>) -> Result<Orders, Fault> {
    project(stage)?;
    let orders = plan(stage)?;
    work(stage, &orders)?;
    merge(stage, &orders)?;
    share(stage)?;
    Ok(orders)
}

/// A project with tests, a remote, and the settings that say how it is tested and who works.
fn project(stage: &Stage<'_>) -> Result<(), Fault> {
    stage.say(Beat::Scene("A project with tests, and a remote"));
    for (name, text) in PROJECT {
        let path = stage.root().join(HOME).join(name);
        fs::create_dir_all(path.parent().unwrap_or(stage.root()))?;
        fs::replace(&path, text.as_bytes())?;
    }
    let agent = stage.root().join("agent.sh");
    fs::replace(&agent, AGENT.as_bytes())?;
    stage.quietly("", "git init -q --bare -b main remote.git && git init -q -b main greet")?;
    stage.quietly(HOME, "git config user.name Demo && git config user.email demo@localhost")?;
    stage.quietly(HOME, "git add -A && git commit -q -m 'Say hello' && git remote add origin ../remote.git")?;
    stage.quietly(HOME, "git push -q -u origin main && git remote set-head origin main")?;
    stage.type_line(HOME, "git ls-files")?;
    stage.type_line(HOME, TESTS)?;

    stage.say(Beat::Scene("Set up: once in a repository"));
    stage.type_line(HOME, "git vermas init")?;
    stage.type_line(HOME, &format!("git config vermas.qa.test '{TESTS}'"))?;
    let command = shell_quote(&format!("sh {}", shell_quote(&agent.display().to_string())));
    stage.say(Beat::Word("The agent is a script here; claude, codex, gemini, aider and others are known by name."));
    stage.type_line(HOME, &format!("git config vermas.agent.scripted.command {command}"))?;
    stage.type_line(HOME, "git config vermas.agentDefault scripted")?;
    if stage.launcher() == Kind::Process {
        stage.type_line(HOME, "git config vermas.launcher process")?;
    }
    Ok(())
}

/// Three orders, one of which waits for another.
fn plan(stage: &Stage<'_>) -> Result<Orders, Fault> {
    stage.say(Beat::Scene("What is to be done: three work orders"));
    let create =
        |title: &str, more: &str| stage.type_line(HOME, format!("git vermas wo create \"{title}\" {more}").trim_end());
    let flag = create(FLAG, "--type feature --priority 1")?;
    let several = create(SEVERAL, "--type feature")?;
    let document = create(DOCUMENT, &format!("--dep {flag}"))?;
    stage.say(Beat::Word("The third waits for the first, so two can be begun now."));
    stage.type_line(HOME, "git vermas wo ready")?;
    Ok(Orders { flag, several, document })
}

/// Two workers at once, each in a worktree and a session of its own.
fn work(stage: &Stage<'_>, orders: &Orders) -> Result<(), Fault> {
    stage.say(Beat::Scene("Two workers at once"));
    stage.type_line(HOME, &format!("git vermas dispatch {} {}", orders.flag, orders.several))?;
    let limit = "two workers at work at the same time";
    stage.wait(limit, PATIENCE, || {
        let workers = stage.ask(HOME, "workers")?;
        let busy = workers.as_array().into_iter().flatten().filter(|w| w["session_state"] == "running").count();
        Ok((busy == 2).then_some(()))
    })?;
    stage.type_line(HOME, "git vermas workers")?;
    fs::replace(&stage.root().join("seen"), b"")?;
    stage.say(Beat::Word("They read their orders, edit, test, commit and hand in; this is what one of them printed:"));
    handed_in(stage, &[&orders.flag, &orders.several])?;
    stage.type_line(HOME, "git vermas worker logs slot0")?;
    Ok(())
}

/// Waits until these orders, and no fewer, are handed in.
fn handed_in(stage: &Stage<'_>, ids: &[&str]) -> Result<(), Fault> {
    stage.wait("the workers' handing in", PATIENCE, || {
        let queue = stage.ask(HOME, "qa status")?;
        let queued = |id: &&&str| queue.as_array().into_iter().flatten().any(|e| e["work_order_id"] == ***id);
        if ids.iter().all(|id| queued(&id)) {
            return Ok(Some(()));
        }
        let workers = stage.ask(HOME, "workers")?;
        let dead = |w: &&Value| w["state"] == "dead" && w["session_state"] != "running";
        match workers.as_array().into_iter().flatten().find(dead) {
            Some(w) => Err(Fault::failed(format!("{} stopped before {} was done", w["agent"], w["work_order_id"]))),
            None => Ok(None),
        }
    })
}

/// QA: one order lands, one is sent back and mended; then the third, which waited, is done as well.
fn merge(stage: &Stage<'_>, orders: &Orders) -> Result<(), Fault> {
    stage.say(Beat::Scene("QA tests each merge before it lands"));
    stage.type_for(1, HOME, "git vermas qa run")?;
    stage.say(Beat::Word(
        "One worker had not run the tests. It got them back, in the same worktree, and mends its work.",
    ));
    stage.say(Beat::Word("The flag is there now, so the order that waited for it can be done meanwhile."));
    stage.type_line(HOME, "git vermas wo ready")?;
    stage.type_line(HOME, &format!("git vermas dispatch {}", orders.document))?;
    handed_in(stage, &[&orders.several, &orders.document])?;
    stage.type_line(HOME, "git vermas worker diff slot1")?;
    stage.type_line(HOME, "git vermas qa run")?;
    stage.type_line(HOME, "git log --oneline --graph")?;
    stage.type_line(HOME, TESTS)?;
    Ok(())
}

/// The result and its history travel by git.
fn share(stage: &Stage<'_>) -> Result<(), Fault> {
    stage.say(Beat::Scene("Shared by git, seen on another machine"));
    stage.type_line(HOME, "git push -q origin main && git vermas sync")?;
    stage.type_line("", "git clone -q remote.git second")?;
    stage.type_line(SECOND, "git vermas init --no-hooks")?;
    stage.type_line(SECOND, "git vermas wo list")?;
    stage.type_line(SECOND, TESTS)?;
    Ok(())
}
