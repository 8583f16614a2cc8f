//! What each step does: the use cases of a person, through the real code.

use serde_json::{Map, json};

use super::oracle::Broken;
use super::plan::{Numbers, REPLICAS, Step, What};
use super::town::{End, HUBS, Town};
use super::{mischief, plain_merge};
use crate::app::fault::Fault;
use crate::app::session::Session;
use crate::app::{assignments, exclusive, mail, orders, sync};
use crate::domain::AgentId;
use crate::domain::assignment::Target;
use crate::domain::decide::mail::NewMail;
use crate::domain::decide::order::{Changes, NewOrder};
use crate::sys::fs;

/// Creates an order and gives its id.
pub fn create_titled(s: &mut Session, title: &str) -> Result<String, Fault> {
    let wish =
        orders::Wish { order: NewOrder { title: title.to_owned(), ..NewOrder::default() }, ..Default::default() };
    orders::create(s, wish).map(|id| id.to_string())
}

/// Does one step. What went wrong by plan is mended by the next command, which is run at once.
pub fn step(town: &mut Town, step: &Step) -> Result<(), Broken> {
    let on = step.on % town.machines.len();
    town.now_ms += i64::try_from(step.chance % 2000).unwrap_or(0);
    town.tally.steps += 1;
    let mut n = Numbers::new(step.chance);
    let mark = format!("mark-{:x}", step.chance >> 24);
    let before = (town.tally.crashes, town.tally.power_cuts, town.tally.errors);
    match step.what {
        What::Wait(ms) => town.now_ms += ms,
        What::SetClock(by) => town.machines[on].skew_ms += by,
        What::Line(line) => town.machines[on].line = line,
        What::PlainMerge => plain_merge::step(town, on, &mut n)?,
        _ if !mischief::step(town, on, step.what, &mut n, &mark)? => use_case(town, on, step, &mut n, &mark)?,
        _ => {}
    }
    if before != (town.tally.crashes, town.tally.power_cuts, town.tally.errors) {
        let id = town.healthy(on, |s| create_titled(s, &format!("after {mark}")))?;
        town.oracle.mark(id);
    }
    Ok(())
}

/// Any order, as often one that is new as one that all know.
fn an_order(town: &Town, n: &mut Numbers) -> String {
    let recent = town.orders.len().saturating_sub(6);
    if n.one_in(3) {
        town.orders[n.index(town.orders.len())].clone()
    } else {
        town.orders[recent + n.index(town.orders.len() - recent)].clone()
    }
}

fn use_case(town: &mut Town, on: usize, step: &Step, n: &mut Numbers, mark: &str) -> Result<(), Broken> {
    let (id, other) = (an_order(town, n), an_order(town, n));
    let (ids, text) = ([id.clone()], mark.to_owned());
    let harm = step.harm;
    // What the use case leaves a trace of: Ok means that the trace stays.
    let done = match step.what {
        What::Create => {
            let title = format!("Order {mark}");
            let made = town.command(on, harm, |s| create_titled(s, &title))?;
            town.know(made, mark);
            return Ok(());
        }
        What::Batch => {
            let deps = if n.one_in(2) { format!(",\"deps\":[\"{id}\"]") } else { String::new() };
            let lines = format!(
                "{{\"title\":\"One {mark}\",\"ref\":\"a\"}}\n{{\"title\":\"Two\",\"priority\":1{deps}}}\n{{\"title\":\"Three\",\"deps\":[\"a\"]}}\n"
            );
            let made = town.command(on, harm, |s| orders::create_batch(s, "batch", &lines, false))?;
            if let Ok(ids) = made {
                town.orders.extend(ids.iter().map(ToString::to_string));
                town.oracle.mark(text);
            }
            return Ok(());
        }
        What::Update => {
            let wish = changes(n, mark);
            town.command(on, harm, |s| orders::update(s, &ids, &wish).map(|d| d.iter().any(|(_, c)| *c)))?
        }
        What::Comment => town.command(on, harm, |s| orders::comment(s, &id, mark, false).map(|_| true))?,
        What::Close => town.command(on, harm, |s| orders::close(s, &ids, mark).map(|d| d.iter().any(|(_, c)| *c)))?,
        What::Reopen => town.command(on, harm, |s| orders::reopen(s, &ids).map(|_| false))?,
        What::Claim => town.command(on, harm, |s| orders::claim(s, &id).map(|_| false))?,
        What::Release => town.command(on, harm, |s| orders::release(s, &id).map(|_| false))?,
        What::Depend => town.command(on, harm, |s| orders::add_dependencies(s, &id, &[other]).map(|_| false))?,
        What::Undepend => town.command(on, harm, |s| orders::remove_dependency(s, &id, &other).map(|_| false))?,
        What::Assign => {
            let agent: AgentId =
                n.pick(&["app/workers/slot0", "app/workers/slot1", "ceo"]).parse().unwrap_or_else(|_| AgentId::ceo());
            town.command(on, harm, |s| {
                let target = Target { ref_type: "work_order".to_owned(), ref_id: s.order_id(&id)? };
                assignments::set(s, &agent, &target, true).map(|_| false)
            })?
        }
        What::Unassign => town.command(on, harm, |s| assignments::clear(s, &AgentId::ceo()).map(|_| false))?,
        What::Mail => {
            let wish = letter(n, mark);
            let sent = town.command(on, harm, |s| mail::send(s, &wish).map(|m| m.id))?;
            if let Ok(id) = sent {
                town.mails.push(id);
                town.oracle.mark(text);
            }
            return Ok(());
        }
        What::ReadMail | What::ArchiveMail if town.mails.is_empty() => return Ok(()),
        What::ReadMail => {
            let id = town.mails[n.index(town.mails.len())].clone();
            town.command(on, harm, |s| mail::read(s, &id, false).map(|_| false))?
        }
        What::ArchiveMail => {
            let id = [town.mails[n.index(town.mails.len())].clone()];
            town.command(on, harm, |s| mail::archive(s, &id).map(|_| false))?
        }
        What::EditTemplate => {
            let file = town.places(on)?.templates().join("feature.toml");
            let old =
                fs::read_if_there(&file)?.unwrap_or_else(|| include_bytes!("../../../templates/feature.toml").to_vec());
            town.be_on(on);
            fs::create_dir_all(&town.places(on)?.templates())?;
            fs::replace(&file, &[old, format!("# {mark}\n").into_bytes()].concat())?;
            town.command(on, harm, |s| s.view().map(|_| false))?
        }
        What::Checkpoint => town.command(on, harm, |s| Ok(s.store.checkpoint().map(|_| false)?))?,
        What::Rebuild => town.command(on, harm, |s| Ok(s.store.rebuild().map(|_| false)?))?,
        What::Sync => {
            // The second remote is for some machines only; the first is for all.
            let hub = if town.hubs.len() > 1 && on.is_multiple_of(2) && n.one_in(2) { HUBS[1] } else { HUBS[0] };
            town.tally.syncs += 1;
            town.command(on, harm, |s| sync::sync(s, hub, false, &|_| {}).map(|_| false))?
        }
        What::ClaimExclusive => {
            let prize = town.prizes[n.index(town.prizes.len())].clone();
            let won = town.command(on, harm, |s| exclusive::claim(s, &prize).map(|_| false))?;
            if won.is_ok() {
                town.tally.claims_won += 1;
                town.oracle.won(&prize, &Town::agent(on))?;
            }
            return Ok(());
        }
        _ => town.command(on, harm, |s| s.view().map(|_| false))?,
    };
    if let Ok(true) = done {
        town.oracle.mark(text);
    }
    Ok(())
}

impl Town {
    /// Remembers an order that was made.
    fn know(&mut self, made: Result<String, End>, mark: &str) {
        if let Ok(id) = made {
            self.orders.push(id);
            self.oracle.mark(mark.to_owned());
        }
    }
}

/// A change of one field or several; always of something that shows the mark.
fn changes(n: &mut Numbers, mark: &str) -> Changes {
    let mut wish = Changes::default();
    match n.below(4) {
        0 => wish.title = Some(format!("Title {mark}")),
        1 => wish.description = Some(format!("About {mark}")),
        2 => wish.add_labels = vec![mark.to_owned()],
        _ => wish.metadata = Map::from_iter([("k".to_owned(), mark.into())]),
    }
    if n.one_in(3) {
        wish.priority = Some(i64::try_from(n.below(5)).unwrap_or(2));
    }
    if n.one_in(4) {
        wish.status = Some(n.pick(&["open", "in_progress"]).to_owned());
    }
    if n.one_in(4) {
        wish.issue_type = Some(n.pick(&["task", "bug", "feature"]).to_owned());
    }
    if n.one_in(4) {
        wish.assignee = Some((!n.one_in(2)).then(AgentId::ceo));
    }
    if n.one_in(4) {
        wish.remove_labels = vec!["theirs".to_owned()];
    }
    wish
}

fn letter(n: &mut Numbers, mark: &str) -> NewMail {
    let to = Town::agent(n.index(REPLICAS));
    NewMail {
        to: to.parse().unwrap_or_else(|_| AgentId::ceo()),
        subject: format!("About {mark}"),
        body: "as said".to_owned(),
        message_type: None,
        priority: n.one_in(2).then(|| "urgent".to_owned()),
        metadata: json!({"n": n.below(9)}).as_object().cloned().unwrap_or_default(),
        allow_secret: false,
    }
}
