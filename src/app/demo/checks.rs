//! What the demonstration claims, looked at.

use std::time::Duration;

use serde_json::Value;

use super::stage::Stage;
use super::story::{HOME, Orders, SECOND, TESTS};
use super::{Beat, Order};
use crate::app::fault::Fault;

/// A session ends within three seconds after its worker has handed in.
const SESSIONS_END: Duration = Duration::from_secs(15);

/// Looks at everything; the first thing that is not so is an error. Gives the orders and what was seen.
pub fn all(stage: &mut Stage<'_>, ids: &Orders) -> Result<(Vec<Order>, Vec<String>), Fault> {
    stage.say(Beat::Scene("What was just claimed, looked at"));
    let mut seen = Vec::new();
    let mut orders = Vec::new();
    for place in [HOME, SECOND] {
        orders = [&ids.flag, &ids.several, &ids.document]
            .into_iter()
            .map(|id| order(stage, place, id))
            .collect::<Result<_, _>>()?;
        let closed = orders.iter().all(|o: &Order| o.status == "closed" && o.merged);
        holds(stage, &mut seen, closed, &format!("{place}: all three orders are closed and merged"))?;
        let [flag, several, document] = orders.as_slice() else { return Err(Fault::failed("an order is missing")) };
        let once = (flag.rejections, several.rejections, document.rejections) == (0, 1, 0);
        holds(stage, &mut seen, once, &format!("{place}: one was sent back once, and mended"))?;
        stage.quietly(place, TESTS)?;
        holds(stage, &mut seen, true, &format!("{place}: the tests are green on main"))?;
        let clean = stage.quietly(place, "git status --porcelain")?.is_empty();
        holds(stage, &mut seen, clean, &format!("{place}: git status is clean"))?;
        stage.quietly(place, "git fsck --no-dangling --strict")?;
        holds(stage, &mut seen, true, &format!("{place}: git fsck finds nothing"))?;
    }
    let trailers = stage.quietly(HOME, "git log --no-merges --format='%(trailers:key=Work-Order,valueonly)' main")?;
    let named = [&ids.flag, &ids.several, &ids.document].into_iter().all(|id| trailers.contains(id.as_str()));
    holds(stage, &mut seen, named, "every order's commits name it")?;
    for branch in ["main", "vermas/state"] {
        let tip = |place: &str| stage.quietly(place, &format!("git rev-parse refs/heads/{branch}"));
        let same = tip(HOME)? == tip(SECOND)? && tip(HOME)? == tip("remote.git")?;
        holds(stage, &mut seen, same, &format!("{branch} is the same in both clones and on the remote"))?;
    }
    stage.wait("the end of all sessions", SESSIONS_END, || {
        let workers = stage.ask(HOME, "workers")?;
        let free = |w: &Value| w["session_state"] == "none" && w["state"] == "free";
        Ok(workers.as_array().is_some_and(|all| all.iter().all(free)).then_some(()))
    })?;
    holds(stage, &mut seen, true, "no session is left, and every slot is free again")?;
    Ok((orders, seen))
}

fn holds(stage: &Stage<'_>, seen: &mut Vec<String>, so: bool, what: &str) -> Result<(), Fault> {
    if !so {
        return Err(Fault::failed(format!("this should be so, and is not: {what}")));
    }
    stage.say(Beat::Holds(what));
    seen.push(what.to_owned());
    Ok(())
}

fn order(stage: &Stage<'_>, place: &str, id: &str) -> Result<Order, Fault> {
    let record = stage.ask(place, &format!("wo show {id}"))?;
    let text = |name: &str| record[name].as_str().unwrap_or_default().to_owned();
    Ok(Order {
        id: text("id"),
        title: text("title"),
        status: text("status"),
        merged: record["merged"] == true,
        rejections: record["rejections"].as_array().map_or(0, Vec::len),
    })
}
