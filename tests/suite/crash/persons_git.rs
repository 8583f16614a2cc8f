//! What a person's own git, `rm` and `mv` do around the state: the next command shows everything.

use std::process::Command;

use super::{is_long, is_wanted};
use crate::factory::common::{Place, Said, program, run};

/// Something a person does, and which of the four places that hold all events it takes: (l)og, (p)in, (b)ranch, back(u)p;
/// (h)istory that nothing can bring back, of which `fsck` rightly speaks.
type Deed = (&'static str, &'static str);

const DEEDS: &[Deed] = &[
    ("git clean -ffdxq", "l"),
    ("git stash -u -q", "l"),
    ("rm -rf .work", "l"),
    ("rm .work/events.jsonl", "l"),
    ("rm .work/work_orders.jsonl .work/messages.jsonl", ""),
    ("rm .work/feed.jsonl .work/config.toml", ""),
    ("mv .work elsewhere", "l"),
    (": >.work/events.jsonl", "lp"),
    ("truncate -s -200 .work/events.jsonl", "lp"),
    (": >.work/work_orders.jsonl", ""),
    ("truncate -s -100 .work/work_orders.jsonl", ""),
    ("printf '{\"event_id\":\"evt-' >>.work/events.jsonl", ""),
    ("cp .work/events.jsonl x; mv x .work/events.jsonl", "p"),
    ("sed -i '$d' .work/events.jsonl", "l"),
    ("rm -rf .git/vermas", "p"),
    ("rm -f .git/vermas/cache.sqlite*", ""),
    ("echo garbage >.git/vermas/cache.sqlite", ""),
    ("rm .git/vermas/events.pin", "p"),
    ("rm .git/vermas/committed .git/vermas/replica", ""),
    (": >.git/vermas/committed; : >.git/vermas/replica", ""),
    ("rm .git/vermas/*.lock", ""),
    ("rm -rf .work .git/vermas", "lp"),
    ("git branch -qD vermas/state", "b"),
    ("git update-ref -d refs/heads/vermas/state", "b"),
    ("git update-ref -d refs/vermas/backup", "u"),
    ("git branch -qD vermas/state; git update-ref -d refs/vermas/backup", "bu"),
    ("git branch -qD vermas/state; rm -rf .work", "lb"),
    ("git branch -qD vermas/state; rm -rf .git/vermas", "pb"),
    ("git update-ref refs/heads/vermas/state vermas/state~3", "b"),
    ("git update-ref refs/heads/vermas/state main", "b"),
    ("git branch -qm vermas/state vermas/other", "b"),
    ("git gc -q --prune=now", ""),
    ("git reflog expire --expire=now --all; git gc -q --prune=now", ""),
    ("git branch -qD vermas/state; git reflog expire --expire=now --all; git gc -q --prune=now", "b"),
    ("git pack-refs --all", ""),
    ("git repack -adfq", ""),
    ("git prune --expire=now", ""),
    ("git worktree prune", ""),
    ("git worktree add -q --detach ../tree vermas/state && git worktree remove --force ../tree", ""),
    ("git checkout -q vermas/state && git commit -qm mine --allow-empty && git checkout -q main", ""),
    ("git add -f .work && git commit -qm oops && git checkout -q HEAD~1 && git checkout -q main", "l"),
    ("git add -f .work && git commit -qm oops && git reset -q --hard HEAD~1", "l"),
    (": >.git/refs/heads/vermas/state", "b"),
    ("echo 0123456789012345678901234567890123456789 >.git/refs/heads/vermas/state", "b"),
    ("c=$(git rev-parse vermas/state); rm -f .git/objects/$(echo $c | sed 's,^..,&/,')", "bu"),
    ("c=$(git rev-parse vermas/state^{tree}); rm -f .git/objects/$(echo $c | sed 's,^..,&/,')", "bu"),
    ("find .git/objects -type f | sort | sed -n 9p | xargs rm -f", "buh"),
    ("find .git/objects -type f | sort | sed -n 9p | xargs truncate -s 0", "buh"),
    ("git ls-tree -r vermas/state | grep -o '[0-9a-f]\\{40\\}' | sed 's,^..,.git/objects/&/,' | xargs rm -f", "bu"),
    ("touch .git/refs/heads/vermas/state.lock.x", ""),
    ("rm -rf .git && mv ../old.git .git", "pbu"),
    ("rm -rf .work && mv ../old.work .work", "l"),
    ("rm -rf .git/hooks .git/info", ""),
    ("rm -rf .git/logs", ""),
    ("git config --unset-all core.bare", ""),
];

fn sh(p: &Place, script: &str) -> Said {
    let mut c: Command = program(p.root(), &p.app, "sh");
    c.args(["-c", script]);
    run(c)
}

/// A repository with some orders, saved in the middle and at the end.
fn stage() -> (Place, Vec<String>) {
    let p = Place::new();
    let first = p.create("order 1");
    sh(&p, "cp -a .git ../old.git && cp -a .work ../old.work");
    for i in 2..=4 {
        p.create(&format!("order {i}"));
    }
    p.vermas(&["wo", "comment", &first, "-m", "seen"]).ok();
    p.vermas(&["send", "ceo", "-s", "hello", "-m", "there"]).ok();
    assert_eq!(sh(&p, "mkdir ../saved && cp -a ../app ../old.git ../old.work ../saved").code, Some(0));
    let list = p.json(&["wo", "list"]);
    let ids = list.as_array().unwrap().iter().map(|o| o["id"].as_str().unwrap().to_owned()).collect();
    (p, ids)
}

/// Does these deeds on the saved repository, then looks; gives what is not as it was.
fn after(p: &Place, ids: &[String], deeds: &[Deed]) -> Vec<String> {
    sh(p, "cd .. && rm -rf app old.git old.work elsewhere tree && cp -a saved/. . && cd app && git vermas wo list");
    let script: Vec<&str> = deeds.iter().map(|(script, _)| *script).collect();
    sh(p, &script.join("\n"));
    let mut wrong = Vec::new();
    let list = p.vermas(&["wo", "list", "--json"]);
    let missing: Vec<&String> = ids.iter().filter(|id| !list.out.contains(*id)).collect();
    if list.code != Some(0) || !missing.is_empty() {
        wrong.push(format!("wo list lacks {missing:?}: {:?} {}", list.code, list.err));
    }
    let first = ids.first().unwrap();
    let told = p.vermas(&["wo", "comment", first, "-m", "after"]);
    if told.code != Some(0) {
        wrong.push(format!("the next command: {told:?}"));
    }
    let show = p.vermas(&["wo", "show", first, "--json"]);
    if !(show.out.contains("seen") && show.out.contains("after")) {
        wrong.push(format!("comments are gone: {show:?}"));
    }
    let on_branch = sh(p, "git ls-tree -r --format='%(objectname)' vermas/state -- events | git cat-file --batch");
    let unpublished: Vec<&String> = ids.iter().filter(|id| !on_branch.out.contains(*id)).collect();
    if !unpublished.is_empty() || !on_branch.out.contains("\"subject\":\"hello\"") {
        wrong.push(format!("the branch lacks {unpublished:?}, or the mail"));
    }
    let sound = p.vermas(&["fsck"]);
    if sound.code != Some(0) && !deeds.iter().any(|(_, takes)| takes.contains('h')) {
        wrong.push(format!("fsck: {sound:?}"));
    }
    wrong
}

/// Pairs after which the branch once lacked what the log had, or had a gap in its history; by how they begin.
const ONCE_TOO_MUCH: &[(&str, &str)] = &[
    ("c=$(git rev-parse vermas/state);", "rm -rf .git/logs"),
    ("rm .git/vermas/committed .git/vermas/replica", "git ls-tree -r"),
    (": >.git/vermas/committed", "git ls-tree -r"),
    ("rm -rf .git/logs", "git update-ref refs/heads/vermas/state main"),
    ("c=$(git rev-parse vermas/state^{tree});", "git reflog expire"),
    ("git update-ref refs/heads/vermas/state vermas/state~3", "c=$(git rev-parse vermas/state);"),
];

/// The short form tries one deed in five.
const SHORT_STEP: usize = 5;

#[test]
fn whatever_a_persons_git_and_rm_take_away_the_next_command_shows_everything() {
    let (p, ids) = stage();
    let (mut tried, mut wrong) = (0, Vec::new());
    let mut try_it = |deeds: &[Deed]| {
        tried += 1;
        let found = after(&p, &ids, deeds);
        if !found.is_empty() {
            println!("BROKEN after {deeds:?}: {found:#?}");
            wrong.push((deeds.to_vec(), found));
        }
    };
    for deed in DEEDS.iter().filter(|d| is_wanted(d.0)).step_by(if is_long() { 1 } else { SHORT_STEP }) {
        try_it(&[*deed]);
    }
    for pair in ONCE_TOO_MUCH.iter().filter(|_| !is_long()) {
        let deed = |script: &str| *DEEDS.iter().find(|d| d.0.starts_with(script)).unwrap();
        try_it(&[deed(pair.0), deed(pair.1)]);
    }
    // Two at once, as long as one whole copy is left.
    let leaves_one = |a: &Deed, b: &Deed| {
        let puts_back_twice = a == b && a.0.contains("mv ../old");
        !puts_back_twice && !"lpbu".chars().all(|c| a.1.contains(c) || b.1.contains(c))
    };
    for a in DEEDS.iter().filter(|a| is_long() && is_wanted(a.0)) {
        for b in DEEDS.iter().filter(|b| leaves_one(a, b)) {
            try_it(&[*a, *b]);
        }
    }
    println!("the person's git: {tried} deeds, {} after which something was missing", wrong.len());
    assert!(wrong.is_empty(), "{wrong:#?}");
}

#[test]
fn collecting_garbage_while_commands_write_takes_nothing() {
    let p = Place::new();
    let rounds = if is_long() { 40 } else { 3 };
    let script = format!(
        "for i in $(seq {rounds}); do git gc -q --prune=now & git vermas wo create a$i; git vermas wo create b$i; wait; done"
    );
    let made = sh(&p, &script).out.lines().count();
    assert_eq!(made, 2 * rounds);
    assert_eq!(p.json(&["wo", "list"]).as_array().unwrap().len(), made);
    assert_eq!(p.vermas(&["fsck"]).code, Some(0));
    assert_eq!(sh(&p, "git fsck --strict --no-dangling --no-progress").code, Some(0));
    println!("gc while writing: {made} orders made, all there");
}

#[test]
fn work_removed_by_hand_in_any_combination_comes_back_whole() {
    let p = Place::new();
    let order = p.create("kept");
    std::fs::copy(p.work().join("templates/feature.toml"), p.work().join("templates/own.toml")).unwrap();
    p.vermas(&["wo", "comment", &order, "-m", "seen"]).ok();
    let before = p.git(&["ls-tree", "-r", "--name-only", "vermas/state"]);
    let remove_work = || std::fs::remove_dir_all(p.work()).unwrap();
    let remove_private = || std::fs::remove_dir_all(p.app.join(".git/vermas")).unwrap();
    let remove_branch = || drop(p.git(&["branch", "-qD", "vermas/state"]));
    type Step<'a> = &'a dyn Fn();
    let removals: [(&str, Vec<Step<'_>>); 6] = [
        (".work", vec![&remove_work]),
        ("the branch", vec![&remove_branch]),
        (".work and the branch", vec![&remove_work, &remove_branch]),
        ("the private folder", vec![&remove_private]),
        (".work and the private folder", vec![&remove_work, &remove_private]),
        ("the branch and the private folder", vec![&remove_branch, &remove_private]),
    ];
    for (what, steps) in removals {
        for step in steps {
            step();
        }
        let said = p.vermas(&["wo", "create", what]);
        assert_eq!(said.code, Some(0), "without {what}: {said:?}");
        let after = p.git(&["ls-tree", "-r", "--name-only", "vermas/state"]);
        let lost: Vec<_> = before.lines().filter(|l| !l.starts_with("events/") && !after.contains(*l)).collect();
        assert!(lost.is_empty(), "without {what} the branch lost {lost:?}");
        assert!(p.work().join("templates/own.toml").exists() && p.work().join("config.toml").exists(), "{what}");
        assert!(p.work().join("feed.jsonl").exists(), "{what}");
        assert_eq!(p.show(&order)["comments"][0]["body"], "seen", "{what}");
    }
    assert_eq!(p.json(&["wo", "list"]).as_array().unwrap().len(), 7);
    assert_eq!(p.vermas(&["fsck"]).code, Some(0));
}

#[test]
fn a_gap_in_the_history_is_mended_by_rebuild_from_what_the_log_has() {
    let p = Place::new();
    let ids: Vec<String> = (1..=3).map(|i| p.create(&format!("order {i}"))).collect();
    let gap = p.git(&["rev-parse", "vermas/state~1"]);
    let (folder, name) = gap.trim().split_at(2);
    std::fs::remove_file(p.app.join(".git/objects").join(folder).join(name)).unwrap();
    let found = p.vermas(&["fsck"]);
    assert!(found.code == Some(1) && found.out.contains("git vermas rebuild"), "{found:?}");
    let said = p.vermas(&["rebuild"]);
    assert!(said.code == Some(0) && said.err.contains("could not be read"), "{said:?}");
    let on_branch = sh(&p, "git ls-tree -r --format='%(objectname)' vermas/state -- events | git cat-file --batch");
    assert!(ids.iter().all(|id| on_branch.out.contains(id)), "{on_branch:?}");
    assert_eq!(p.vermas(&["fsck"]).code, Some(0));
    assert_eq!(sh(&p, "git log vermas/state && git gc -q").code, Some(0));
}
