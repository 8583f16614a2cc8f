//! A plain `git merge` of two states gives what a sync would give.

use crate::place::{Place, create, git, open};
use git_vermas::git::Repo;
use git_vermas::store::init;

/// Another clone of the same state, with the same driver.
fn clone_of(p: &Place, name: &str) -> std::path::PathBuf {
    let path = p.dir.path().join(name);
    git(p.dir.path(), &["clone", "-q", "app", name]);
    let repo = Repo::discover(&path).unwrap();
    let tip = repo.ref_target("refs/remotes/origin/vermas/state").unwrap();
    init(repo, tip).unwrap();
    path
}

fn set_driver(path: &std::path::Path) {
    git(path, &["config", "merge.vermas.driver", "git-vermas merge-driver %O %A %B %P"]);
}

/// Puts the projections onto the branch, as a checkpoint does.
fn checkpoint(path: &std::path::Path) {
    init(Repo::discover(path).unwrap(), None).unwrap();
}

#[test]
fn plain_git_merge_writes_the_projections_of_all_events() {
    let p = Place::new();
    p.order("Both have this");
    checkpoint(&p.path);
    let other = clone_of(&p, "other");
    p.order("Ours");
    p.mail("ceo", "from us", "x");
    checkpoint(&p.path);
    create(
        &mut open(&other),
        git_vermas::domain::decide::order::NewOrder { title: "Theirs".into(), ..Default::default() },
    );
    checkpoint(&other);
    set_driver(&p.path);
    let there = p.checkout();
    git(&there, &["fetch", "-q", other.to_str().unwrap(), "vermas/state"]);
    git(&there, &["merge", "-q", "-m", "join", "FETCH_HEAD"]);
    let orders = std::fs::read_to_string(there.join("work_orders.jsonl")).unwrap();
    for title in ["Both have this", "Ours", "Theirs"] {
        assert_eq!(orders.matches(title).count(), 1, "{orders}");
    }
    // The same bytes as the events give.
    let report = p.json(&["fsck", "--rev", "vermas/state"]);
    assert_eq!(report["findings"].as_array().unwrap(), &Vec::<serde_json::Value>::new(), "{report}");
    assert_eq!(report["orders"], 3);
}

#[test]
fn plain_git_merge_of_one_agents_assignment_is_what_the_events_say() {
    let p = Place::new();
    let id = p.order("Both have this");
    checkpoint(&p.path);
    let other = clone_of(&p, "other");
    let theirs = create(
        &mut open(&other),
        git_vermas::domain::decide::order::NewOrder { title: "Theirs".into(), ..Default::default() },
    );
    for (path, id) in [(&p.path, &id), (&other, &theirs)] {
        let mut set = assert_cmd::Command::from_std(crate::place::scrubbed(crate::place::binary(), path));
        set.args(["assignment", "set", "ceo", &format!("work_order:{id}")]).assert().code(0);
    }
    set_driver(&p.path);
    let there = p.checkout();
    git(&there, &["fetch", "-q", other.to_str().unwrap(), "vermas/state"]);
    git(&there, &["merge", "-q", "-m", "join", "FETCH_HEAD"]);
    let merged = std::fs::read_to_string(there.join(".assignment-ceo")).unwrap();
    // The later one of the two, as after a sync.
    assert_eq!(merged, format!("work_order:{theirs}\n"));
}

#[test]
fn without_the_events_records_are_joined_one_by_one() {
    let dir = crate::place::scratch();
    let write = |name: &str, text: &str| std::fs::write(dir.path().join(name), text).unwrap();
    write("o", "");
    write("a", "{\"id\":\"wo-b\",\"created_at\":\"2026-01-02T00:00:00Z\"}\n");
    write("b", "{\"id\":\"wo-a\",\"created_at\":\"2026-01-01T00:00:00Z\"}\n");
    let mut c = assert_cmd::Command::from_std(crate::place::scrubbed(crate::place::binary(), dir.path()));
    c.args(["merge-driver", "o", "a", "b", "work_orders.jsonl"]).assert().code(0).stdout("").stderr("");
    let merged = std::fs::read_to_string(dir.path().join("a")).unwrap();
    assert_eq!(merged.lines().map(|l| &l[7..11]).collect::<Vec<_>>(), ["wo-a", "wo-b"]);
}
