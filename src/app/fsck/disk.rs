//! `.work/` and the private folder, against the branch.

use std::collections::{BTreeSet, HashSet};
use std::io::ErrorKind;

use super::{Finding, Report, Severity, Sums};
use crate::app::fault::Fault;
use crate::app::session::Session;
use crate::domain::assignment::Target;
use crate::domain::event::Event;
use crate::domain::text::quoted;
use crate::store::{Parts, Places, StoreError, quarantined};
use crate::sys::fs::{self, Stamp};
use crate::wire::check::flaws;
use crate::wire::{line, projection};

/// How many findings of one sort are listed.
const MOST_NAMED: usize = 20;
const NAME_ONE: &str = "write work_order:ID into it, or empty it";
const TAKE_IN: &str = "any command takes it in: git vermas status";
const REBUILD: &str = "git vermas rebuild";

/// Checks the files on disk; gives the events of the log and of the branch together.
pub fn check(session: &Session, branch: Vec<Event>, report: &mut Report) -> Result<Vec<Event>, Fault> {
    let places = session.store.places();
    pin(places, report);
    let log = log(places, report)?;
    let sums = Sums::default();
    let (on_disk, on_branch) = (sums.of_all(&log), sums.of_all(&branch));
    let missing: Vec<Event> = branch.into_iter().filter(|e| !on_disk.contains(&sums.of(e))).collect();
    if let Some(first) = missing.first() {
        let what = format!("{} events of the branch are not in the log, the first is {}", missing.len(), first.id);
        report.add(Severity::Warning, ".work/events.jsonl", what, Some(TAKE_IN));
    }
    let loose = log.iter().filter(|e| !on_branch.contains(&sums.of(e))).count();
    report.loose = loose;
    if loose > 0 {
        let what = format!("{loose} events wait to be put on the branch");
        report.add(Severity::Info, ".work/events.jsonl", what, Some(REBUILD));
    }
    let mut all = log;
    all.extend(missing);
    let aside = quarantined(places)?;
    let mend = if session.store.is_caught_up() { REBUILD } else { TAKE_IN };
    projections(places, &all, (&aside.iter().map(|q| q.file.as_str()).collect(), mend), report)?;
    texts(places, report)?;
    for q in aside.iter().take(MOST_NAMED) {
        let place = if q.line > 0 { format!(".work/{}:{}", q.file, q.line) } else { format!(".work/{}", q.file) };
        // A line of the log stays there, and was named above.
        let file = format!(".work/{}", q.file);
        let is_named = |f: &Finding| f.place == place || (q.file.starts_with(".assignment-") && f.place == file);
        if report.findings.iter().any(is_named) {
            continue;
        }
        let mend = "write the line again as it should be; this one is kept in vermas/quarantine.jsonl, and no longer \
                    named once that file is moved away";
        report.add(Severity::Warning, place, format!("set aside: {}", q.reason), Some(mend));
    }
    Ok(all)
}

fn pin(places: &Places, report: &mut Report) {
    let (log, pin) = (Stamp::of(&places.log()), Stamp::of(&places.pin()));
    match (log, pin) {
        (None, _) => report.add(Severity::Warning, ".work/events.jsonl", "the log is not there", Some(REBUILD)),
        (Some(_), None) => {
            report.add(Severity::Info, "vermas/events.pin", "the log is not pinned", Some(REBUILD));
        }
        (Some(a), Some(b)) if a.inode != b.inode => {
            report.add(
                Severity::Warning,
                ".work/events.jsonl",
                "somebody put another file in the log's place",
                Some(REBUILD),
            );
        }
        _ => {}
    }
}

/// The events of the log, each line looked at.
fn log(places: &Places, report: &mut Report) -> Result<Vec<Event>, Fault> {
    let failed = |e| StoreError::io("read .work/events.jsonl")(e);
    let (sums, mut seen, mut events) = (Sums::default(), HashSet::new(), Vec::new());
    let (mut parts, mut number, mut bad) = (Parts::from(0), 0, 0);
    let file = match fs::open_read(&places.log()) {
        // That it is not there is said already.
        Err(e) if e.kind() == ErrorKind::NotFound => return Ok(events),
        opened => opened.map_err(failed)?,
    };
    while parts.read(&file).map_err(failed)? {
        for (_, raw) in parts.lines() {
            number += 1;
            if raw.trim_ascii().is_empty() {
                continue;
            }
            let here = line::events_in(raw);
            if here.is_empty() {
                bad += 1;
                if bad <= MOST_NAMED {
                    let (reason, mend) = (line::event(raw).err(), "it stays there and is passed over");
                    let place = format!(".work/events.jsonl:{number}");
                    report.add(Severity::Warning, place, reason.unwrap_or_default(), Some(mend));
                }
            }
            events.extend(here.into_iter().filter(|e| seen.insert(sums.of(e))));
        }
    }
    if Stamp::of_file(&file).map_err(failed)?.size > parts.end() {
        let what = "the last line has no end: a writer is at work, or was killed";
        report.add(Severity::Info, ".work/events.jsonl", what, None);
    }
    Ok(events)
}

/// Templates and settings that are not shared, because whoever gets them could not use them.
fn texts(places: &Places, report: &mut Report) -> Result<(), Fault> {
    let failed = |e| StoreError::io("look into .work")(e);
    let templates = fs::list(&places.templates()).map_err(failed)?;
    let names = templates.into_iter().filter(|n| n.ends_with(".toml")).map(|n| format!("templates/{n}"));
    for name in names.chain(["config.toml".to_owned(), "routes.jsonl".to_owned()]) {
        let Ok(Some(bytes)) = fs::read_if_there(&places.work.join(&name)) else { continue };
        for flaw in flaws(&name, &bytes, None).into_iter().take(MOST_NAMED) {
            let line = flaw.line.map(|n| format!(":{n}")).unwrap_or_default();
            let what = format!("{}; not shared until it is mended", flaw.reason);
            report.add(Severity::Warning, format!(".work/{name}{line}"), what, Some("mend it, then: git vermas sync"));
        }
    }
    Ok(())
}

/// The projections on disk say what the events say; of those that are set aside, that was said. With what mends it.
fn projections(
    places: &Places,
    events: &[Event],
    (aside, mend_all): (&BTreeSet<&str>, &str),
    report: &mut Report,
) -> Result<(), Fault> {
    let says = projection::of(events);
    let files = [(places.orders(), says.orders_bytes()), (places.messages(), says.messages_bytes())];
    for (path, wanted) in files {
        let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        let there = fs::read_if_there(&path).map_err(StoreError::io(format!("read .work/{name}")))?;
        let lines = |bytes: &[u8]| -> BTreeSet<Vec<u8>> {
            bytes
                .split(|b| *b == b'\n')
                .map(<[u8]>::trim_ascii_end)
                .filter(|l| !l.is_empty())
                .map(<[u8]>::to_vec)
                .collect()
        };
        let differing = lines(&there.unwrap_or_default()).symmetric_difference(&lines(&wanted)).count();
        if differing > 0 {
            let what = format!("{differing} lines are not what the events say");
            report.add(Severity::Warning, format!(".work/{name}"), what, Some(mend_all));
        }
    }
    let wanted = says.assignment_files();
    let there: Vec<String> = fs::list(&places.work).map_err(StoreError::io("look into .work"))?;
    let there = there.into_iter().filter(|n| n.starts_with(".assignment-"));
    for name in there.chain(wanted.keys().cloned()).collect::<BTreeSet<_>>() {
        let content = fs::read_if_there(&places.work.join(&name)).ok().flatten().unwrap_or_default();
        let content = String::from_utf8_lossy(&content).trim().to_owned();
        let expected = wanted.get(&name).map(|t| t.trim_end()).unwrap_or_default();
        if content != expected {
            let what = match (content.is_empty(), expected.is_empty()) {
                (false, true) => "an assignment that no event knows".to_owned(),
                (true, _) => format!("is missing; the events say {expected}"),
                _ => format!("not what the events say, which is {expected}"),
            };
            let means_nothing = !content.is_empty() && content.parse::<Target>().is_err();
            if aside.contains(name.as_str()) && !means_nothing {
                // Why it is not taken in is said there.
                continue;
            }
            let (what, mend) = match means_nothing {
                true => (format!("{} names nothing that can be assigned", quoted(&content)), NAME_ONE),
                false => (what, mend_all),
            };
            report.add(Severity::Warning, format!(".work/{name}"), what, Some(mend));
        }
    }
    Ok(())
}
