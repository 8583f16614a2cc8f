//! What a worker is told when it starts.

use crate::agents::fence;
use crate::domain::order::Order;

/// Further words for a worker that begins again.
#[derive(Debug, Clone, Default)]
pub struct Again {
    /// Why QA sent the work back.
    pub rejection: Option<String>,
    /// The commands that bring in what an earlier worker on this order left unfinished.
    pub rescue: Option<String>,
}

/// The first prompt: the order is the assignment, and an agent that finds an assignment executes it at once.
pub fn of(order: &Order, agent: &str, base: &str, again: &Again) -> String {
    let id = &order.id;
    let mut text = format!(
        "You are {agent}, and {id} is your assignment: execute it now, without asking for leave.\n\n{}\n",
        fence(order.created_by(), id, &whole(order))
    );
    for c in order.comments() {
        text.push_str(&format!("\n{}\n", fence(&c.by, &format!("comment on {id}"), &c.body)));
    }
    if let Some(reason) = &again.rejection {
        text.push_str("\nQA tested your work merged into the base and sent it back. Your commits are still on your branch; mend it there.\n\n");
        text.push_str(&fence("qa", &format!("rejection of {id}"), reason));
        text.push('\n');
    }
    if let Some(rescue) = &again.rescue {
        text.push_str(&format!(
            "\nAn earlier worker's unfinished work is saved. If it helps, bring it into your worktree: {rescue}\n"
        ));
    }
    text.push_str(&format!(
        "\nWork in this directory, a worktree of its own that started from {base}. Commit what you do. When the work is whole \
         and its tests pass, run `co worker done` as your last command. If you cannot go on, say why: \
         `co send supervisor -s \"Blocked\" -m \"...\" --type HELP`.\n"
    ));
    text
}

fn whole(order: &Order) -> String {
    let mut text = order.title().to_owned();
    if !order.description().is_empty() {
        text.push_str("\n\n");
        text.push_str(order.description());
    }
    text
}
