//! Starting a worker's session in its slot.

use std::path::PathBuf;
use std::time::Duration;

use serde_json::json;

use super::base::Base;
use super::fault::Fault;
use super::prompt::{self, Again};
use super::session::Session;
use super::slots::{self, Slot};
use crate::agents::{self, Backend, Invocation, Prompt, PromptFile, Role, Worker};
use crate::domain::event::Draft;
use crate::domain::order::Order;
use crate::domain::{AgentId, OrderId};
use crate::launch::{Launch, LaunchError, Launcher, Tags, watch_start};
use crate::sys::process::Cmd;
use crate::sys::{env, fs, random, running};

/// How long a fresh session is watched for dying at once.
const WATCH: Duration = Duration::from_millis(250);
/// How long `vermas.worker.setup` may take.
const SETUP_TIMEOUT: Duration = Duration::from_secs(30 * 60);
/// The longest directory in which a tmux socket still fits into its 107 bytes.
const LONGEST_SOCKET_DIR: usize = 80;

/// A session that runs, or has done its work already.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Running {
    pub session: String,
    pub backend: String,
    pub pid: u32,
    pub log: PathBuf,
}

/// The agent that is started: what was asked for, else the setting, else the first that is installed.
pub fn backend(session: &Session, asked: Option<&str>) -> Result<Backend, Fault> {
    let name = asked.map(str::to_owned).or_else(|| session.setting("vermas.agentDefault"));
    let name = name.unwrap_or_else(|| agents::pick_default(|p| env::which(p).is_some()).to_owned());
    let get = |key: &str| session.setting(key);
    let backend = Backend::named(&name, &get)?;
    if env::which(backend.program()).is_none() {
        return Err(Fault::failed(format!("the agent '{name}' cannot be started: {} is not installed", backend.program()))
            .hint(format!("install it, choose another with --agent, or say how it is started: git vermas config set vermas.agent.{name}.command ...")));
    }
    if name == "claude"
        && let Some(top) = session.store.repo().main_worktree()
    {
        agents::check_trust(top, &|v| env::var(v))?;
    }
    Ok(backend)
}

/// Starts the worker of a slot on an order. Its assignment is recorded already, its worktree is there.
///
/// When this fails nothing runs; the caller gives the slot back.
pub fn start(
    session: &mut Session,
    slot: &Slot,
    order: &Order,
    backend: &Backend,
    base: &Base,
    again: &Again,
) -> Result<Running, Fault> {
    let launcher = slots::launcher(session)?;
    let invocation = words(session, slot, order, backend, base, again)?;
    if let Some(PromptFile { path, text }) = &invocation.prompt_file {
        fs::replace_durably(path, text.as_bytes())?;
    }
    let launch = Launch {
        name: slot.session.clone(),
        cwd: slot.path.clone(),
        argv: invocation.argv.clone(),
        env: environment(session, slot, &order.id, &invocation)?,
        log: slot.log.clone(),
        tags: Tags {
            slot: format!("slot{}", slot.number),
            agent: slot.agent.to_string(),
            factory: session.factory().to_owned(),
        },
        stdin: invocation.stdin.clone(),
    };
    fs::create_private_dir(&session.store.places().logs())?;
    let started = launcher.start(&launch)?;
    if let Err(e) = watch_start(&*launcher, &slot.session, WATCH)
        // A quick worker is done and gone before anybody looks.
        && !has_handed_in(session, &order.id)?
    {
        let _ = launcher.stop(&slot.session);
        return Err(died(e, &backend.name));
    }
    Ok(Running {
        session: slot.session.clone(),
        backend: backend.name.clone(),
        pid: started.pid,
        log: slot.log.clone(),
    })
}

fn has_handed_in(session: &mut Session, id: &str) -> Result<bool, Fault> {
    let order = session.view()?.order(&id.parse()?)?;
    Ok(order.is_some_and(|o| o.is_closed() || o.metadata("submitted").is_some()))
}

fn died(e: LaunchError, backend: &str) -> Fault {
    let fault = Fault::failed(format!("the agent '{backend}' did not stay: {e}"));
    fault.hint("the slot is free again; try the agent's command by hand in a worktree, or choose another with --agent")
}

/// Notes that a worker is being started on its order. Recorded before the session is: a quick worker's own events come
/// after it, and a crash in between leaves a worker that the next look finds gone.
pub fn record_start(session: &mut Session, slot: &Slot, order: &OrderId, backend: &Backend) -> Result<(), Fault> {
    let (actor, agent) = (session.actor.clone(), slot.agent.clone());
    session.write(|tx| {
        let present = super::orders::require(tx, order)?;
        tx.emit(&started_event(&agent, slot, order, &backend.name))?;
        if matches!(present.status(), "open" | "assigned") {
            tx.emit(&crate::domain::decide::order::status(order, present.status(), "in_progress", &actor))?;
        }
        Ok(())
    })
}

fn started_event(agent: &AgentId, slot: &Slot, order: &OrderId, backend: &str) -> Draft {
    let data = json!({
        "agent": agent, "session_name": slot.session, "worktree": slot.path, "profile": backend,
        "assigned_work_order": order, "branch": slot.branch,
    });
    Draft::new("agent.started", agent, data)
}

fn words(
    session: &Session,
    slot: &Slot,
    order: &Order,
    backend: &Backend,
    base: &Base,
    again: &Again,
) -> Result<Invocation, Fault> {
    let dir = session.store.places().sessions().join(format!("slot{}", slot.number));
    fs::create_private_dir(&session.store.places().private)?;
    fs::create_private_dir(&session.store.places().sessions())?;
    fs::create_private_dir(&dir)?;
    let role =
        agents::role_text(&Role { agent_id: slot.agent.as_str(), work_order_id: Some(&order.id), base: &base.branch });
    let (role_file, settings_file) = (dir.join("ROLE.md"), dir.join("settings.json"));
    fs::replace_durably(&role_file, role.as_bytes())?;
    fs::replace_durably(&settings_file, agents::settings().as_bytes())?;
    let prompt = Prompt {
        text: prompt::of(order, slot.agent.as_str(), &base.branch, again),
        show: format!("wo show {}", order.id),
        role_file: Some(role_file),
        role_text: Some(role),
        settings_file: Some(settings_file),
        session_id: Some(uuid()),
        session_label: Some(slot.branch.clone()),
        prompt_file: Some(dir.join("PROMPT.md")),
        git_dir: Some(session.store.repo().common_dir().to_owned()),
    };
    Ok(backend.start(&prompt)?)
}

/// A random UUID (version 4), the form in which Claude Code takes session ids.
fn uuid() -> String {
    let (a, b) = (random::bits(), random::bits());
    format!(
        "{:08x}-{:04x}-4{:03x}-{:04x}-{:012x}",
        a >> 32,
        a >> 16 & 0xffff,
        a & 0xfff,
        0x8000 | (b >> 48 & 0x3fff),
        b & 0xffff_ffff_ffff
    )
}

fn environment(
    session: &Session,
    slot: &Slot,
    order: &str,
    invocation: &Invocation,
) -> Result<crate::agents::EnvChange, Fault> {
    let places = session.store.places();
    agents::shims(&places.bin(), &env::current_exe()?)?;
    let extra: Vec<String> = session
        .setting("vermas.worker.env")
        .map(|t| t.split_whitespace().map(str::to_owned).collect())
        .unwrap_or_default();
    let tmux_dir = tmux_dir(session)?;
    let worker = Worker {
        agent_id: slot.agent.as_str(),
        work_order_id: Some(order),
        factory: &places.factory,
        role: "worker",
        session: &slot.session,
        shims: &places.bin(),
        tmux_dir: &tmux_dir,
        tmux_socket: &slots::tmux_server(session).socket(),
        extra: &extra,
    };
    let mut change = agents::worker_env(&worker, &|v| env::var(v))?;
    // Where the person has told git no name, the worker's commits get ours rather than none.
    for (name, value) in session.git().identity()? {
        change.put(&name, value);
    }
    for (name, value) in &invocation.env {
        change.put(name, value.clone());
    }
    Ok(change)
}

/// A private directory, short enough for sockets, so that an agent's own tmux never reaches the person's server.
fn tmux_dir(session: &Session) -> Result<PathBuf, Fault> {
    let own = session.store.places().private.join("tmux");
    let dir = if own.as_os_str().len() <= LONGEST_SOCKET_DIR {
        own
    } else {
        let sum: u64 = own.to_string_lossy().bytes().fold(0, |h, b| h.wrapping_mul(31).wrapping_add(u64::from(b)));
        PathBuf::from(format!("/tmp/vermas-{}-{sum:x}", running::user_id()))
    };
    fs::create_private_dir(&dir)?;
    Ok(dir)
}

/// Prepares a fresh worktree by `vermas.worker.setup`, where that is set. Its output goes to the slot's log.
pub fn set_up(session: &Session, slot: &Slot, order: &str) -> Result<(), Fault> {
    let Some(command) = session.setting("vermas.worker.setup") else { return Ok(()) };
    let log = session.store.places().logs().join(format!("slot{}-setup.log", slot.number));
    fs::create_private_dir(&session.store.places().logs())?;
    let change = environment(session, slot, order, &Invocation::default())?;
    let mut cmd = Cmd::new("sh").args(["-c", &command]).cwd(&slot.path).timeout(Some(SETUP_TIMEOUT)).log_to(&log);
    let names = env::names();
    for name in change.names_to_unset(names.iter().map(String::as_str)) {
        cmd = cmd.env_remove(name);
    }
    for (name, value) in &change.set {
        cmd = cmd.env(name, value);
    }
    cmd.run().map_err(|e| {
        Fault::failed(format!("git config vermas.worker.setup failed: {e}"))
            .hint(format!("its output: {}", log.display()))
    })?;
    Ok(())
}

/// Stops whatever runs in a slot. False where nothing did.
pub fn stop(session: &Session, slot: &Slot) -> Result<bool, Fault> {
    let launcher: Box<dyn Launcher> = slots::launcher_of(session, &slot.session)?;
    Ok(launcher.stop(&slot.session)?)
}
