//! The live names that a shell completes, from the state as it was last seen.
//!
//! **Invariant:** nothing here writes, waits for a lock of ours, or fails: whoever types a word gets what there is.

use std::collections::BTreeMap;

use super::assignments;
use super::candidates::Kind;
use super::fault::Fault;
use super::session::{DEFAULT_SLOTS, repository};
use super::settings_table as table;
use crate::domain::{AgentId, kinds};
use crate::git::Repo;
use crate::store::{Places, Store, View};
use crate::sys::fs;

/// How many names a shell is offered; whoever has more types another letter.
const MOST: u32 = 200;

/// How many commits are offered, and with how many digits.
const MOST_COMMITS: usize = 30;
const SHORT: usize = 10;

type Names = Vec<(String, String)>;

/// The names of this kind that begin with `prefix`, each with its title; the provider for [`super::candidates`].
pub fn candidates(kind: Kind, prefix: &str) -> Names {
    named(kind, prefix).unwrap_or_default()
}

fn named(kind: Kind, prefix: &str) -> Result<Names, Fault> {
    match kind {
        Kind::EventType => return Ok(plain(kinds::KNOWN.iter().map(|t| (*t).to_owned()), prefix)),
        Kind::Setting => return Ok(settings(&repository()?, prefix)),
        Kind::Template => return Ok(templates(&Places::of(&repository()?), prefix)),
        Kind::Commit => return Ok(commits(&repository()?, prefix)),
        Kind::Point => {
            let times = plain(["1h", "1d", "1w", "yesterday"].map(str::to_owned), prefix);
            return Ok([times, commits(&repository()?, prefix)].concat());
        }
        _ => {}
    }
    let repo = repository()?;
    let set = repo.settings().get("vermas.slots").and_then(|s| s.trim().parse().ok());
    let slots = set.unwrap_or(DEFAULT_SLOTS).min(MOST);
    let mut store = Store::open(repo)?;
    let factory = store.places().factory.clone();
    let view = store.glance()?;
    Ok(match kind {
        Kind::WorkOrder => view.order_names(prefix, MOST)?,
        Kind::Mail => view.message_names(prefix, MOST)?,
        Kind::Target => targets(&view, prefix)?,
        Kind::Agent => agents(&view, &factory, slots, prefix)?,
        Kind::Slot => {
            short(&view, &factory, slots, prefix)?.into_iter().filter(|(n, _)| n.starts_with("slot")).collect()
        }
        Kind::Process => subjects(&view, "process/", prefix)?,
        Kind::Sprint => subjects(&view, "sprint/", prefix)?,
        Kind::EventType | Kind::Setting | Kind::Template | Kind::Point | Kind::Commit => Vec::new(),
    })
}

fn plain(names: impl IntoIterator<Item = String>, prefix: &str) -> Names {
    names.into_iter().filter(|n| n.starts_with(prefix)).map(|n| (n, String::new())).collect()
}

/// The newest commits of the state branch with what they say.
fn commits(repo: &Repo, prefix: &str) -> Names {
    let mut all = Names::new();
    let mut next = repo.ref_target(&Places::of(repo).state_ref).ok().flatten();
    while let Some(commit) =
        next.filter(|_| all.len() < MOST_COMMITS).and_then(|oid| repo.commit(oid).ok().map(|c| (oid, c)))
    {
        let (oid, info) = commit;
        let id = oid.to_string();
        let id = if prefix.len() > SHORT { id } else { id.chars().take(SHORT).collect() };
        all.push((id, info.message.lines().next().unwrap_or_default().to_owned()));
        next = info.parents.first().copied();
    }
    all.retain(|(name, _)| name.starts_with(prefix));
    all
}

fn subjects(view: &View<'_>, family: &str, prefix: &str) -> Result<Names, Fault> {
    let all = view.subjects(&format!("{family}{prefix}"), MOST)?;
    Ok(plain(all.iter().map(|s| s.trim_start_matches(family).to_owned()), prefix))
}

/// Work orders and mail by their bare ids, or behind the type that was typed.
fn targets(view: &View<'_>, prefix: &str) -> Result<Names, Fault> {
    let typed = |kind: &str, names: Names| names.into_iter().map(|(id, t)| (format!("{kind}:{id}"), t)).collect();
    Ok(match prefix.split_once(':') {
        Some(("work_order", id)) => typed("work_order", view.order_names(id, MOST)?),
        Some(("mail", id)) => typed("mail", view.message_names(id, MOST)?),
        Some(("process", id)) => typed("process", subjects(view, "process/", id)?),
        Some(_) => Vec::new(),
        None => {
            let mut all = view.order_names(prefix, MOST)?;
            // Mail stands back until its prefix is begun: there is much more of it than is ever assigned.
            if !prefix.is_empty() {
                all.extend(view.message_names(prefix, MOST)?);
            }
            all
        }
    })
}

/// The short names of this factory's agents, each with what it has to do.
fn short(view: &View<'_>, factory: &str, slots: u32, prefix: &str) -> Result<Names, Fault> {
    let busy = busy(view)?;
    let title = |agent: &AgentId| busy.get(agent.as_str()).cloned().unwrap_or_default();
    let mut all: Names = (0..slots).map(|n| (format!("slot{n}"), title(&AgentId::worker(factory, n)))).collect();
    all.push(("supervisor".to_owned(), title(&AgentId::supervisor(factory))));
    all.push(("qa".to_owned(), title(&AgentId::qa(factory))));
    all.retain(|(name, _)| name.starts_with(prefix));
    Ok(all)
}

/// What each agent has to do.
fn busy(view: &View<'_>) -> Result<BTreeMap<String, String>, Fault> {
    let mut all = BTreeMap::new();
    for assignment in view.assignments()? {
        if let Some(target) = assignment.target() {
            all.insert(assignment.agent, assignments::title(view, &target)?.unwrap_or_else(|| target.to_string()));
        }
    }
    Ok(all)
}

/// Short names first, then everybody else who was ever named; the full names of short ones only when they are begun.
fn agents(view: &View<'_>, factory: &str, slots: u32, prefix: &str) -> Result<Names, Fault> {
    let mut all = short(view, factory, slots, prefix)?;
    let mut known = view.agents()?;
    known.extend(["ceo", "operations"].iter().filter_map(|n| n.parse::<AgentId>().ok()));
    known.extend((0..slots).map(|n| AgentId::worker(factory, n)));
    known.extend([AgentId::supervisor(factory), AgentId::qa(factory)]);
    let own = format!("{factory}/");
    let begun = prefix.starts_with(&own) || !prefix.is_empty() && own.starts_with(prefix);
    let busy = busy(view)?;
    for agent in known.iter().map(AgentId::as_str) {
        if agent.starts_with(prefix) && (begun || !agent.starts_with(&own)) {
            all.push((agent.to_owned(), busy.get(agent).cloned().unwrap_or_default()));
        }
    }
    Ok(all)
}

fn templates(places: &Places, prefix: &str) -> Names {
    let folder = places.templates();
    let mut names = fs::list(&folder).unwrap_or_default();
    names.sort();
    let about = |file: &str| {
        let text = fs::read_to_string(&folder.join(file)).unwrap_or_default();
        crate::wire::toml::template(&text).map(|t| t.description).unwrap_or_default()
    };
    let templates = names.iter().filter_map(|f| Some((f.strip_suffix(".toml")?.to_owned(), about(f))));
    templates.filter(|(name, _)| name.starts_with(prefix)).collect()
}

/// Settings in full, or without `vermas.` where something else was begun.
fn settings(repo: &Repo, prefix: &str) -> Names {
    let mut keys: Vec<String> = table::known().iter().map(|s| s.key.to_owned()).collect();
    for name in repo.settings().agent_names() {
        keys.extend(table::AGENT_FIELDS.iter().map(|(field, _)| format!("vermas.agent.{name}.{field}")));
    }
    let in_full = "vermas.".starts_with(prefix) || prefix.starts_with("vermas.");
    let shown = |key: &str| if in_full { key.to_owned() } else { key.trim_start_matches("vermas.").to_owned() };
    let all = keys.iter().map(|k| (shown(k), table::meaning(k).unwrap_or_default().to_owned()));
    all.filter(|(key, _)| key.starts_with(prefix)).collect()
}
