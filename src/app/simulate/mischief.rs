//! What befalls a machine from outside: other programs, lost files, remotes and branches that somebody sets back.

use std::path::Path;

use serde_json::Value;

use super::oracle::Broken;
use super::plan::{Numbers, REPLICAS, What};
use super::town::{Machine, STATE, Town};
use super::{foreign, remote};
use crate::git::{Entry, EntryKind, Oid, Repo};
use crate::store::Places;
use crate::sys::fs;
use crate::wire::line;

/// Does a step of this sort. False where it is none.
pub fn step(town: &mut Town, on: usize, what: What, n: &mut Numbers, mark: &str) -> Result<bool, Broken> {
    let places = town.places(on)?;
    let ms = town.be_on(on);
    match what {
        What::ForeignOrder => {
            let id =
                if n.one_in(3) { format!("wo-py{}", n.below(4)) } else { format!("wo-{}", mark.replace('-', "_")) };
            let text = foreign::order(n, &id, mark, ms);
            if append(&places.orders(), &text, "\n")? && !town.orders.contains(&id) {
                town.oracle.mark_pending(on, mark.to_owned());
                town.orders.push(id);
            }
        }
        What::ForeignMessage => {
            let id = format!("msg-{}", mark.replace('-', "_"));
            if append(&places.messages(), &foreign::message(n, &id, mark, ms), "\n")? {
                town.oracle.mark_pending(on, mark.to_owned());
                town.mails.push(id);
            }
        }
        What::ForeignEvent => {
            let order = town.orders[n.index(town.orders.len())].clone();
            let id = format!("evt-{}", mark.replace('-', "_"));
            if append(&places.log(), &foreign::event(n, &id, &order, mark, ms), "\n")? {
                town.oracle.mark_pending(on, mark.to_owned());
            }
        }
        What::ForeignEdit => {
            let replaced = edit(&places, n, mark, ms)?;
            town.oracle.forget_replaced(on, &replaced);
        }
        What::ForeignAssignment => {
            let name = n.pick(&[".assignment-ceo", ".assignment-app-workers-slot0", ".assignment-app-workers-slot1"]);
            let order = &town.orders[n.index(town.orders.len())];
            let text = if n.one_in(3) { String::new() } else { format!("work_order:{order}") };
            if fs::exists(&places.work) {
                fs::replace(&places.work.join(name), text.as_bytes())?;
            }
        }
        What::TornLine => {
            let order = town.orders[n.index(town.orders.len())].clone();
            let whole = foreign::event(n, &format!("evt-{}", mark.replace('-', "_")), &order, mark, ms);
            let file = match n.below(3) {
                0 => places.orders(),
                1 => places.messages(),
                _ => places.log(),
            };
            append(&file, &whole[..1 + n.index(whole.len() - 1)], "")?;
        }
        What::SameLineTwice => again(&places.log(), &places, n, 1)?,
        What::LinesOfAnother => {
            let other = n.index(town.machines.len());
            let log = town.places(other)?.log();
            again(&log, &places, n, 5)?;
        }
        What::RemoteRewound => {
            let hub = remote::open(&town.hubs[n.index(town.hubs.len())])?;
            let back = earlier(&hub, hub.ref_target(STATE)?, 1 + n.below(5))?;
            if back.is_some() {
                remote::set(&hub, STATE, back)?;
            }
            town.oracle.arbiter_betrayed = true;
        }
        What::RemoteReplaced => replace_remote(town, n)?,
        What::RemoteDeleted => {
            let hub = remote::open(&town.hubs[n.index(town.hubs.len())])?;
            remote::set(&hub, STATE, None)?;
            town.oracle.arbiter_betrayed = true;
        }
        What::BranchDeleted => {
            let repo = town.repo(on)?;
            remote::set(&repo, STATE, None)?;
            if n.one_in(2) {
                remote::set(&repo, Places::BACKUP_REF, None)?;
            }
        }
        What::BranchRewound => {
            let repo = town.repo(on)?;
            let back = earlier(&repo, repo.ref_target(STATE)?, 1 + n.below(4))?;
            if back.is_some() {
                remote::set(&repo, STATE, back)?;
            }
        }
        What::CacheLost if n.one_in(3) => fs::replace(&places.cache(), b"this is no cache")?,
        What::CacheLost => fs::remove_file(&places.cache())?,
        What::WorkLost => {
            fs::remove_dir_all(&places.work)?;
            town.oracle.forget_pending(on);
        }
        What::CopyClone => copy_clone(town, on)?,
        _ => return Ok(false),
    }
    Ok(true)
}

/// Appends as another program does. False where somebody took the folder away: it has nowhere to write.
fn append(path: &Path, text: &str, end: &str) -> Result<bool, Broken> {
    if !path.parent().is_some_and(fs::exists) {
        return Ok(false);
    }
    fs::append(&mut fs::open_append_shared(path)?, format!("{text}{end}").as_bytes())?;
    Ok(true)
}

/// Changes a field of one record in place, the way an editor does: the whole file is written anew. Gives the text that stood
/// there before.
fn edit(places: &Places, n: &mut Numbers, mark: &str, ms: i64) -> Result<String, Broken> {
    let Some(bytes) = fs::read_if_there(&places.orders())? else { return Ok(String::new()) };
    let text = String::from_utf8_lossy(&bytes).into_owned();
    let mut lines: Vec<String> = text.lines().map(str::to_owned).collect();
    if lines.is_empty() {
        return Ok(String::new());
    }
    let at = n.index(lines.len());
    let Ok(mut record) = crate::wire::json::object(lines[at].as_bytes()) else { return Ok(String::new()) };
    if record.get("title").and_then(Value::as_str).is_some_and(|t| t.contains("prize")) {
        return Ok(String::new());
    }
    let (field, value) = match n.below(4) {
        0 => ("title", Value::from(format!("Edited {mark}"))),
        1 => ("status", n.pick(&["closed", "in_progress", "open"]).into()),
        2 => ("priority", n.below(5).into()),
        _ => ("x_note", mark.into()),
    };
    let replaced = record.insert(field.to_owned(), value);
    if !n.one_in(3) {
        record.insert("updated_at".to_owned(), foreign::time(n, ms).into());
    }
    lines[at] = foreign::line(n, record);
    fs::replace(&places.orders(), (lines.join("\n") + "\n").as_bytes())?;
    Ok(replaced.and_then(|v| v.as_str().map(str::to_owned)).unwrap_or_default())
}

/// Some lines of a log are appended to a machine's log, for the second time or by a second way.
fn again(from: &Path, to: &Places, n: &mut Numbers, most: u64) -> Result<(), Broken> {
    let bytes = fs::read_if_there(from)?.unwrap_or_default();
    let lines: Vec<&[u8]> = line::complete(&bytes).map(|(_, l)| l).filter(|l| line::event(l).is_ok()).collect();
    if lines.is_empty() {
        return Ok(());
    }
    for _ in 0..1 + n.below(most) {
        append(&to.log(), &String::from_utf8_lossy(lines[n.index(lines.len())]), "\n")?;
    }
    Ok(())
}

/// A commit some first parents before another.
fn earlier(repo: &Repo, tip: Option<Oid>, steps: u64) -> Result<Option<Oid>, Broken> {
    let mut at = tip;
    for _ in 0..steps {
        let Some(parent) = at.map(|a| repo.commit(a)).transpose()?.and_then(|c| c.parents.first().copied()) else {
            break;
        };
        at = Some(parent);
    }
    Ok(at)
}

/// Somebody forces another history onto a remote: an unrelated one, or what one machine has.
fn replace_remote(town: &mut Town, n: &mut Numbers) -> Result<(), Broken> {
    let hub = remote::open(&town.hubs[n.index(town.hubs.len())])?;
    town.oracle.arbiter_betrayed = true;
    if n.one_in(2) {
        let blob = hub.write_blob(b"not a state\n")?;
        let tree = hub.write_tree(&[Entry { name: "README".to_owned(), kind: EntryKind::File, oid: blob }])?;
        let by = hub.author(town.now_ms / 1000);
        let commit = hub.write_commit(tree, &[], "something else\n", &by)?;
        return Ok(remote::set(&hub, STATE, Some(commit))?);
    }
    let repo = town.repo(n.index(town.machines.len()))?;
    if let Some(tip) = repo.ref_target(STATE)? {
        hub.copy_from(&repo, tip)?;
        remote::set(&hub, STATE, Some(tip))?;
    }
    Ok(())
}

/// `cp -r` of a clone with its git directory: both have the same replica id from then on.
fn copy_clone(town: &mut Town, on: usize) -> Result<(), Broken> {
    if town.machines.len() > REPLICAS {
        return Ok(());
    }
    let path = town.top.join(format!("m{}", town.machines.len()));
    copy_folder(&town.machines[on].path, &path)?;
    let of = town.machines[on].clone();
    town.machines.push(Machine { path, ..of });
    town.tally.clones_copied += 1;
    Ok(())
}

fn copy_folder(from: &Path, to: &Path) -> Result<(), Broken> {
    fs::create_dir_all(to)?;
    for name in fs::list(from)? {
        let (a, b) = (from.join(&name), to.join(&name));
        if fs::metadata(&a)?.is_dir() {
            copy_folder(&a, &b)?;
        } else {
            fs::copy_with_time(&a, &b)?;
        }
    }
    Ok(())
}
