//! States that are small to push and large to read: refused before anything is built on them, and put aside where somebody
//! moved the branch there.

use std::path::Path;

use super::objects::{Row, commit, put, rows_of, sorted, tree};
use super::set_ref;
use super::world::World;

/// A commit on the tip in whose root these rows take the place of those with their names.
fn on_tip(w: &World, repo: &Path, rows: Vec<Row>) -> String {
    let tip = w.git_in(repo, &["rev-parse", "vermas/state"]);
    let mut all = rows_of(w, repo, &tip);
    all.retain(|(_, name, _)| !rows.iter().any(|(_, n, _)| n == name));
    all.extend(rows);
    let root = tree(w, repo, &sorted(all));
    commit(w, repo, &root, &[&tip])
}

/// A tree of trees: so many levels, in each of which one tree stands under so many long names.
fn bush(w: &World, repo: &Path, levels: usize, names: usize) -> String {
    let name = |n: usize| format!("{n:04}-{}", "n".repeat(120)).into_bytes();
    let leaf = put(w, repo, "blob", b"x\n");
    let mut below = tree(w, repo, &[("100644", b"f".to_vec(), leaf)]);
    for _ in 0..levels {
        let rows: Vec<Row> = (0..names).map(|n| ("40000", name(n), below.clone())).collect();
        below = tree(w, repo, &rows);
    }
    below
}

fn folder(name: &str, oid: String) -> Row {
    ("40000", name.as_bytes().to_vec(), oid)
}

/// The state is refused by a sync, which leaves everything usable, and put aside where the branch was moved there.
fn is_refused(make: impl Fn(&World, &Path) -> String, says: &str) {
    let w = World::new();
    let bad = make(&w, &w.remote);
    set_ref(&w.remote, &bad);
    let before = w.git(&["rev-parse", "vermas/state"]);
    let said = w.say(&["sync"]);
    assert_eq!(said.code, Some(1), "{}", said.err_text());
    assert!(said.err_text().contains(says) && said.err_text().contains("hint: "), "{}", said.err_text());
    assert_eq!(w.git(&["rev-parse", "vermas/state"]), before, "the branch has not moved");
    set_ref(&w.app, &bad);
    let listed = w.say(&["wo", "list"]);
    assert!(listed.code == Some(0) && listed.out_text().contains(&w.good[0]), "{}", listed.err_text());
    let said = w.say(&["wo", "comment", &w.good[0], "-m", "still usable"]);
    assert_eq!(said.code, Some(0), "{}", said.err_text());
    assert_ne!(w.git(&["rev-parse", "vermas/state~1"]), bad, "nothing is built on it");
}

#[test]
fn evidence_without_end_is_refused_before_the_branch_moves() {
    is_refused(
        |w, repo| on_tip(w, repo, vec![folder("evidence", bush(w, repo, 5, 60))]),
        "1000000 files beside events/",
    );
}

#[test]
fn segments_without_end_are_refused_before_the_branch_moves() {
    let make = |w: &World, repo: &Path| {
        let oid = put(w, repo, "blob", b"\n");
        let rows = (0..90_000).map(|n| ("100644", format!("{:06}.jsonl", n + 1).into_bytes(), oid.clone()));
        let one = tree(w, repo, &rows.collect::<Vec<Row>>());
        let rows: Vec<Row> = ["0123456780", "0123456781", "0123456782"].map(|name| folder(name, one.clone())).into();
        on_tip(w, repo, vec![folder("events", tree(w, repo, &rows))])
    };
    is_refused(make, "with events/0123456782 more than 250000 files below events/");
}

#[test]
fn one_large_text_in_many_places_is_refused_before_it_is_read() {
    let make = |w: &World, repo: &Path| {
        let oid = put(w, repo, "blob", &vec![b'\n'; 40 << 20]);
        let rows = (1..4).map(|n| ("100644", format!("{n:06}.jsonl").into_bytes(), oid.clone()));
        let one = tree(w, repo, &rows.collect::<Vec<Row>>());
        on_tip(w, repo, vec![folder("events", tree(w, repo, &[folder("0123456789", one)]))])
    };
    is_refused(make, "with events/0123456789/000002.jsonl more than 64 MiB");
}

#[test]
fn a_folder_that_stands_in_itself_many_times_is_looked_at_once() {
    let w = World::new();
    set_ref(&w.app, &on_tip(&w, &w.app, vec![folder("junk", bush(&w, &w.app, 12, 60))]));
    // What was published last is not known any more: all of the tip is looked at.
    std::fs::remove_dir_all(w.app.join(".git/vermas")).unwrap();
    let said = w.say(&["wo", "list"]);
    assert!(said.code == Some(0) && said.out_text().contains(&w.good[0]), "{}", said.err_text());
    let said = w.say(&["wo", "comment", &w.good[0], "-m", "goes on"]);
    assert_eq!(said.code, Some(0), "{}", said.err_text());
}

#[test]
fn evidence_that_is_too_large_stays_on_the_branch() {
    let w = World::new();
    let large = put(&w, &w.remote, "blob", &vec![0; 5 << 20]);
    let small = put(&w, &w.remote, "blob", b"small\n");
    let rows = [("100644", b"large".to_vec(), large), ("100644", b"small".to_vec(), small)];
    let order = tree(&w, &w.remote, &rows);
    let evidence = tree(&w, &w.remote, &[folder("wo-x", order)]);
    set_ref(&w.remote, &on_tip(&w, &w.remote, vec![folder("evidence", evidence)]));
    let said = w.say(&["sync"]);
    assert_eq!(said.code, Some(0), "{}", said.err_text());
    assert!(
        said.err_text().contains("texts of the branch are not put below .work, for their size or number: 1"),
        "{}",
        said.err_text()
    );
    assert!(w.work("evidence/wo-x/small").exists() && !w.work("evidence/wo-x/large").exists());
    // It is nobody's deletion.
    w.say(&["wo", "comment", &w.good[0], "-m", "goes on"]);
    assert!(w.git(&["ls-tree", "-r", "--name-only", "vermas/state"]).contains("evidence/wo-x/large"));
}

/// Segments of one line each, about one order, whose lines are as long as any that is read.
fn heavy(w: &World, repo: &Path, lines: usize, line: impl Fn(usize) -> String) -> String {
    let rows = (0..lines).map(|n| {
        let oid = put(w, repo, "blob", format!("{}\n", line(n)).as_bytes());
        ("100644", format!("{:06}.jsonl", n + 1).into_bytes(), oid)
    });
    let one = tree(w, repo, &rows.collect::<Vec<Row>>());
    let tip = w.git_in(repo, &["rev-parse", "vermas/state:events"]);
    let mut folders = rows_of(w, repo, &tip);
    folders.push(folder("0123456789", one));
    on_tip(w, repo, vec![folder("events", tree(w, repo, &sorted(folders)))])
}

#[test]
fn an_order_that_many_long_lines_are_about_is_folded_within_bounds() {
    let w = World::new();
    let line = |n: usize| {
        let text = "x".repeat(1 << 19);
        format!(
            r#"{{"event_id":"evt-{n:012}","event_type":"work_order.updated","timestamp":"2026-01-06T12:00:00.000Z","actor":"ceo","data":{{"work_order_id":"wo-bad","changes":{{"f{n}":"{text}"}}}},"prev":["","","a","a"]}}"#
        )
    };
    set_ref(&w.remote, &heavy(&w, &w.remote, 100, line));
    let said = w.say(&["sync"]);
    assert_eq!(said.code, Some(0), "{}", said.err_text());
    let said = w.say(&["wo", "comment", &w.good[0], "-m", "goes on"]);
    assert_eq!(said.code, Some(0), "{}", said.err_text());
}
