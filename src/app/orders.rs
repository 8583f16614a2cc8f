//! Work orders: from wishes in words to records, and what is computed beside a record.

use serde_json::{Map, Value, json};

use super::fault::Fault;
use super::session::Session;
use crate::domain::decide::order::{self as decide, Changes, NewOrder};
use crate::domain::order::{Conflict, Order};
use crate::domain::record::whole_number;
use crate::domain::{AgentId, OrderId, Refusal, Why};
use crate::store::{Filter, OrderRow, Pick, Tx, View};

/// Writes a record with what is computed beside it, as JSON. The record is not taken apart for that: lists are long.
fn put_listed(out: &mut String, record: &str, ready: bool, waits: &str, disputed: &[Conflict]) {
    let Some(fields) = record.strip_suffix('}') else { return out.push_str(record) };
    out.push_str(fields);
    out.push_str(if ready { ",\"ready\":true,\"blocked_by\":" } else { ",\"ready\":false,\"blocked_by\":" });
    out.push_str(waits);
    out.push_str(",\"conflicts\":");
    if disputed.is_empty() {
        out.push_str("[]}");
    } else {
        out.push_str(&json!(disputed).to_string());
        out.push('}');
    }
}

/// A record with what is computed beside it, as one line of JSON.
pub fn listed(row: &OrderRow) -> String {
    let mut out = String::with_capacity(row.record.len() + 64);
    put_listed(&mut out, &row.record, row.ready, &json!(row.waits).to_string(), &row.disputed);
    out
}

/// Hands over the records of a list, each as one line of JSON.
pub fn each_listed(session: &mut Session, pick: &Pick, mut take: impl FnMut(&str)) -> Result<(), Fault> {
    let mut line = String::new();
    session.view()?.each_record(pick, |l| {
        line.clear();
        put_listed(&mut line, l.record, l.ready, l.waits.unwrap_or("[]"), &l.disputed);
        take(&line);
    })?;
    Ok(())
}

/// One order with everything: record, readiness, what waits for it, conflicts, comments, how it was closed and landed.
pub fn detail(session: &mut Session, id: &OrderId) -> Result<Value, Fault> {
    let view = session.view()?;
    let order = view.order(id)?.ok_or_else(|| missing(id))?;
    let row = view.order_row(id.as_str())?.ok_or_else(|| missing(id))?;
    let blocks = view.dependents(id.as_str())?;
    let mut map = order.record();
    map.insert("ready".into(), row.ready.into());
    map.insert("blocked_by".into(), row.waits.into());
    map.insert("blocks".into(), blocks.into());
    map.insert("conflicts".into(), serde_json::to_value(order.conflicts()).unwrap_or_default());
    let comment =
        |c: &crate::domain::order::Comment| json!({"at": c.key.at, "by": c.by, "body": c.body, "event_id": c.key.id});
    map.insert("comments".into(), order.comments().map(comment).collect());
    if order.is_closed() {
        let last = order.closings.last();
        map.insert("closed_at".into(), last.map(|c| c.key.at.to_string()).into());
        map.insert("closed_by".into(), last.map(|c| c.by.clone()).into());
        map.insert("close_reason".into(), last.map(|c| c.reason.clone()).into());
    }
    let rejections = order.rejections.iter().map(|r| json!({"at": r.key.at, "branch": r.branch, "reason": r.reason}));
    map.insert("rejections".into(), rejections.collect());
    super::landing::add_computed(session, &order, &mut map)?;
    Ok(Value::Object(map))
}

fn missing(id: &OrderId) -> Fault {
    Fault::not_found(format!("there is no work order {id}")).hint("see them all: git vermas wo list")
}

/// The order, or the refusal that names it.
pub fn require(tx: &mut Tx<'_>, id: &OrderId) -> Result<Order, Fault> {
    tx.order(id)?.ok_or_else(|| missing(id))
}

/// The wish for an order with ids as a person abbreviates them.
#[derive(Debug, Clone, Default)]
pub struct Wish {
    pub order: NewOrder,
    pub parent: Option<String>,
    pub dependencies: Vec<String>,
}

/// Creates one order and gives its id.
pub fn create(session: &mut Session, wish: Wish) -> Result<OrderId, Fault> {
    let mut new = wish.order;
    new.parent = wish.parent.map(|p| session.order_id(&p)).transpose()?;
    for d in &wish.dependencies {
        let id = session.order_id(d)?;
        if !new.dependencies.contains(&id) {
            new.dependencies.push(id);
        }
    }
    let actor = session.actor.clone();
    session.write(|tx| {
        let id = tx.new_id("wo");
        tx.emit_all(&decide::create(&id, &new, &actor)?)?;
        Ok(id)
    })
}

/// Creates many orders from JSONL, all or none, in one commit. Dependencies name ids of the state, or of other lines by
/// the `id` or `ref` they carry.
pub fn create_batch(session: &mut Session, file: &str, text: &str, allow_secret: bool) -> Result<Vec<OrderId>, Fault> {
    let mut wishes = Vec::new();
    for (number, line) in text.trim_start_matches('\u{feff}').lines().enumerate().filter(|(_, l)| !l.trim().is_empty())
    {
        let at = |message: String| Fault::usage(format!("{file}, line {}: {message}", number + 1));
        let map = crate::wire::json::object(line.as_bytes()).map_err(at)?;
        wishes.push((number + 1, batch_wish(&map, allow_secret).map_err(at)?));
    }
    if wishes.is_empty() {
        return Err(Fault::usage(format!("{file} holds no work order"))
            .hint("one JSON object a line, at least with a \"title\""));
    }
    let actor = session.actor.clone();
    session.write(|tx| {
        let mut names = std::collections::BTreeMap::new();
        let mut ids = Vec::with_capacity(wishes.len());
        for (number, (_, name, _, _)) in &wishes {
            let id = tx.new_id("wo");
            if let Some(n) = name
                && names.insert(n.clone(), id.clone()).is_some()
            {
                return Err(Fault::usage(format!("{file}, line {number}: '{n}' names two lines")));
            }
            ids.push(id);
        }
        for ((number, (wish, _, parent, deps)), id) in wishes.iter().zip(&ids) {
            let place = |f: Fault| Fault { message: format!("{file}, line {number}: {}", f.message), ..f };
            let mut wish = wish.clone();
            let mut resolve = |text: &String| -> Result<OrderId, Fault> {
                match names.get(text) {
                    Some(id) => Ok(id.clone()),
                    None => {
                        let unknown = |_| {
                            Fault::not_found(format!(
                                "{} names no line of this file and no work order",
                                crate::domain::text::quoted(text)
                            ))
                            .hint("a line is named by its \"ref\", a work order by its whole id")
                        };
                        let id: OrderId = text.parse().map_err(unknown)?;
                        require(tx, &id)?;
                        Ok(id)
                    }
                }
            };
            wish.parent = parent.as_ref().map(&mut resolve).transpose().map_err(place)?;
            wish.dependencies = deps.iter().map(resolve).collect::<Result<_, _>>().map_err(place)?;
            let drafts = decide::create(id, &wish, &actor).map_err(|r| place(r.into()))?;
            tx.emit_all(&drafts).map_err(|e| place(e.into()))?;
        }
        if names.len() > 1
            && let Some(id) = tx.view()?.cycles()?.into_iter().find(|c| ids.iter().any(|i| i.as_str() == c))
        {
            let at = ids.iter().position(|i| i.as_str() == id).unwrap_or_default();
            return Err(Fault::failed(format!("{file}, line {}: its dependencies form a cycle", wishes[at].0)));
        }
        Ok(ids)
    })
}

#[expect(
    clippy::type_complexity,
    reason = "wish, name, parent and dependencies of one line, taken apart by the one caller"
)]
fn batch_wish(
    map: &Map<String, Value>,
    allow_secret: bool,
) -> Result<(NewOrder, Option<String>, Option<String>, Vec<String>), String> {
    let text = |name: &str| match map.get(name) {
        None | Some(Value::Null) => Ok(None),
        Some(Value::String(s)) => Ok(Some(s.clone())),
        Some(_) => Err(format!("'{name}' is no text")),
    };
    let list = |name: &str| match map.get(name) {
        None | Some(Value::Null) => Ok(Vec::new()),
        Some(Value::Array(a)) => a
            .iter()
            .map(|v| match v {
                Value::String(s) => Ok(s.clone()),
                Value::Object(o) => o
                    .get("depends_on_id")
                    .and_then(Value::as_str)
                    .map(str::to_owned)
                    .ok_or_else(|| format!("an entry of '{name}' names no 'depends_on_id'")),
                _ => Err(format!("an entry of '{name}' is no text")),
            })
            .collect(),
        Some(_) => Err(format!("'{name}' is no list")),
    };
    let known = [
        "id",
        "ref",
        "title",
        "description",
        "type",
        "issue_type",
        "priority",
        "labels",
        "parent",
        "dependencies",
        "deps",
        "metadata",
        "assignee",
        "status",
        "created_at",
        "updated_at",
        "created_by",
    ];
    if let Some(other) = map.keys().find(|k| !known.contains(&k.as_str())) {
        return Err(format!("'{other}' is no field of a new work order (known: {})", known.join(", ")));
    }
    let told =
        ["created_at", "updated_at", "created_by"].into_iter().find(|k| map.get(*k).is_some_and(|v| !v.is_null()));
    if let Some(told) = told {
        return Err(format!("'{told}' cannot be given, a new work order says what is true of it; leave it out"));
    }
    if text("status")?.is_some_and(|s| s != "open") {
        return Err("a new work order is open: leave 'status' out, and change it with git vermas wo update".to_owned());
    }
    let order = NewOrder {
        title: text("title")?.ok_or("'title' is missing")?,
        description: text("description")?.unwrap_or_default(),
        issue_type: text("issue_type")?.or(text("type")?),
        priority: match map.get("priority") {
            None | Some(Value::Null) => None,
            Some(v) => Some(whole_number(v).and_then(|v| v.as_i64()).ok_or("'priority' is no whole number")?),
        },
        labels: list("labels")?,
        metadata: match map.get("metadata") {
            None | Some(Value::Null) => Map::new(),
            Some(Value::Object(m)) => m.clone(),
            Some(_) => return Err("'metadata' is no object".to_owned()),
        },
        assignee: text("assignee")?.map(|a| a.parse::<AgentId>().map_err(|e| e.to_string())).transpose()?,
        allow_secret,
        ..NewOrder::default()
    };
    let mut deps = list("dependencies")?;
    deps.extend(list("deps")?);
    Ok((order, text("ref")?.or(text("id")?), text("parent")?, deps))
}

/// Applies one decision to each of several orders, all or none. Gives the ids that changed.
pub fn each(
    session: &mut Session,
    ids: &[String],
    decide: impl Fn(&mut Tx<'_>, &Order, &OrderId, &AgentId) -> Result<Vec<crate::domain::Draft>, Fault>,
) -> Result<Vec<(OrderId, bool)>, Fault> {
    let mut all = Vec::with_capacity(ids.len());
    for text in ids {
        let id = session.order_id(text)?;
        if !all.contains(&id) {
            all.push(id);
        }
    }
    let actor = session.actor.clone();
    session.write(|tx| {
        let mut done = Vec::with_capacity(all.len());
        for id in all {
            let order = require(tx, &id)?;
            let drafts = decide(tx, &order, &id, &actor)?;
            tx.emit_all(&drafts)?;
            done.push((id, !drafts.is_empty()));
        }
        Ok(done)
    })
}

/// So many orders above one are looked at for a circle.
const MOST_LEVELS: usize = 1000;

pub fn update(session: &mut Session, ids: &[String], wish: &Changes) -> Result<Vec<(OrderId, bool)>, Fault> {
    let mut wish = wish.clone();
    let parent = match wish.metadata.get_mut("parent") {
        Some(Value::String(named)) => {
            let parent = session.order_id(named)?;
            parent.as_str().clone_into(named);
            Some(parent)
        }
        _ => None,
    };
    each(session, ids, |tx, o, id, actor| {
        let mut above = parent.clone();
        for _ in 0..MOST_LEVELS {
            let Some(order) = above else { break };
            if order == *id {
                return Err(Fault::usage(format!("{id} cannot be part of itself")));
            }
            let next = tx.order(&order)?.and_then(|o| o.metadata("parent").cloned());
            above = next.and_then(|p| p.as_str()?.parse().ok());
        }
        Ok(decide::update(o, id, &wish, actor)?)
    })
}

pub fn comment(session: &mut Session, id: &str, body: &str, allow_secret: bool) -> Result<OrderId, Fault> {
    let ids = [id.to_owned()];
    let done = each(session, &ids, |_, _, id, actor| Ok(decide::comment(id, body, allow_secret, actor)?))?;
    first(done)
}

fn first(done: Vec<(OrderId, bool)>) -> Result<OrderId, Fault> {
    done.into_iter().next().map(|(id, _)| id).ok_or_else(|| Fault::usage("no work order was named"))
}

pub fn close(session: &mut Session, ids: &[String], reason: &str) -> Result<Vec<(OrderId, bool)>, Fault> {
    each(session, ids, |_, o, id, actor| Ok(decide::close(o, id, reason, actor)?))
}

pub fn reopen(session: &mut Session, ids: &[String]) -> Result<Vec<(OrderId, bool)>, Fault> {
    each(session, ids, |_, o, id, actor| Ok(decide::reopen(o, id, actor)?))
}

/// Takes an order on, for `agent` or oneself.
pub fn claim(session: &mut Session, id: &str) -> Result<(OrderId, bool), Fault> {
    let ids = [id.to_owned()];
    let done = each(session, &ids, |tx, o, id, actor| {
        let open = tx.view()?.open_blockers(id.as_str())?;
        if !open.is_empty() && o.assignee() != Some(actor.as_str()) {
            return Err(Fault::failed(format!("{id} is blocked by {}", open.join(", ")))
                .hint("see what can be done now: git vermas wo ready"));
        }
        Ok(decide::claim(o, id, actor, actor)?)
    })?;
    done.into_iter().next().ok_or_else(|| Fault::usage("no work order was named"))
}

pub fn release(session: &mut Session, id: &str) -> Result<OrderId, Fault> {
    let ids = [id.to_owned()];
    first(each(session, &ids, |_, o, id, actor| Ok(decide::release(o, id, actor)?))?)
}

/// Makes one order wait for others. False where it did already.
pub fn add_dependencies(session: &mut Session, id: &str, on: &[String]) -> Result<(OrderId, bool), Fault> {
    let targets = on.iter().map(|t| session.order_id(t)).collect::<Result<Vec<_>, _>>()?;
    let ids = [id.to_owned()];
    let done = each(session, &ids, |tx, _, id, actor| {
        let mut drafts = Vec::new();
        for on in &targets {
            let order = require(tx, id)?;
            let circle = tx.view()?.reaches(on, id)?;
            drafts.extend(decide::add_dependency(&order, id, on, actor, |_, _| circle)?);
        }
        Ok(drafts)
    })?;
    done.into_iter().next().ok_or_else(|| Fault::usage("no work order was named"))
}

pub fn remove_dependency(session: &mut Session, id: &str, on: &str) -> Result<OrderId, Fault> {
    // A dependency on an order that is not known here can be taken away, too.
    let on = session.order_id(on).or_else(|e| on.parse::<OrderId>().map_err(|_| e))?;
    let ids = [id.to_owned()];
    first(each(session, &ids, |_, o, id, actor| Ok(decide::remove_dependency(o, id, &on, actor)?))?)
}

/// One node of a tree of dependencies.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Node {
    pub id: String,
    pub title: String,
    pub status: String,
    /// Already shown above, or a circle: its own dependencies are left out.
    pub again: bool,
    pub needs: Vec<Node>,
}

/// What an order waits for, directly and through others.
pub fn tree(session: &mut Session, id: &OrderId) -> Result<Node, Fault> {
    let view = session.view()?;
    let mut seen = std::collections::BTreeSet::new();
    build(&view, id.as_str(), &mut seen)
}

fn build(view: &View<'_>, id: &str, seen: &mut std::collections::BTreeSet<String>) -> Result<Node, Fault> {
    let row = view.order_row(id)?;
    let again = !seen.insert(id.to_owned());
    let mut node = Node {
        id: id.to_owned(),
        title: row.as_ref().map(|r| r.title.clone()).unwrap_or_else(|| "(not known here)".to_owned()),
        status: row.as_ref().map(|r| r.status.clone()).unwrap_or_else(|| "unknown".to_owned()),
        again,
        needs: Vec::new(),
    };
    if !again {
        for (dep, _) in view.dependencies(id)? {
            node.needs.push(build(view, &dep, seen)?);
        }
    }
    Ok(node)
}

/// Refuses a word to look for that is no status, type or priority, unless some other program has given it to an order.
pub fn check_words(view: &View<'_>, filter: &Filter) -> Result<(), Fault> {
    let check = |column: &'static str, word: &str, checked: Result<(), Refusal>| match checked {
        Err(refusal) if !view.count_by(column)?.contains_key(word) => Err(Fault::from(refusal)),
        _ => Ok(()),
    };
    filter.statuses.iter().try_for_each(|s| check("status", s, decide::check_status(s)))?;
    filter.types.iter().try_for_each(|t| check("type", t, decide::check_type(t)))?;
    filter.priorities.iter().try_for_each(|p| check("priority", &p.to_string(), decide::check_priority(*p)))
}

/// A refusal because something is not there.
pub fn not_found(what: &str) -> Fault {
    Refusal::new(Why::NotFound, what).into()
}
