//! What others write to the files in moments that are no good ones: between two looks of ours, from what they read long ago,
//! or while everything is being removed.

use std::io::Write as _;
use std::time::Duration;

use super::common::Place;

fn list_of(p: &Place) -> String {
    std::fs::read_to_string(p.work().join("work_orders.jsonl")).unwrap()
}

fn write_list(p: &Place, text: &str) {
    let beside = p.work().join("beside");
    std::fs::write(&beside, text).unwrap();
    std::fs::rename(beside, p.work().join("work_orders.jsonl")).unwrap();
}

#[test]
fn a_record_longer_than_what_is_read_at_once_stops_no_list() {
    let p = Place::new();
    let long = "x".repeat(20_000);
    p.vermas(&["wo", "create", "long", "--description", &long]).ok();
    let (small, _) = (p.create("small"), p.create("other"));
    p.vermas(&["wo", "update", &small, "--title", "another title"]).ok();
    assert!(list_of(&p).contains("another title"));
    p.vermas(&["assignment", "set", "ceo", &format!("work_order:{small}")]).ok();
    assert!(p.work().join(".assignment-ceo").exists());
}

#[test]
fn an_edit_of_a_list_that_was_read_before_takes_back_no_other_change() {
    let p = Place::new();
    let id = p.create("first title");
    let read = list_of(&p);
    p.vermas(&["wo", "update", &id, "--title", "acknowledged"]).ok();
    p.vermas(&["wo", "close", &id]).ok();
    write_list(&p, &read.replace("\"priority\":2", "\"priority\":0"));
    let order = p.show(&id);
    assert_eq!((&order["title"], &order["status"]), (&"acknowledged".into(), &"closed".into()));
    assert_eq!(order["priority"], 0);
}

#[test]
fn a_value_that_somebody_sets_back_in_place_counts() {
    let p = Place::new();
    let id = p.create("an order");
    p.vermas(&["wo", "update", &id, "--priority", "1"]).ok();
    write_list(&p, &list_of(&p).replace("\"priority\":1", "\"priority\":2"));
    assert_eq!(p.show(&id)["priority"], 2);
}

#[test]
fn an_assignment_that_is_emptied_and_written_a_moment_later_is_taken_in() {
    let p = Place::new();
    let [a, b] = ["a", "b"].map(|t| p.create(t));
    p.vermas(&["assignment", "set", "ceo", &format!("work_order:{a}")]).ok();
    let mut file = std::fs::File::create(p.work().join(".assignment-ceo")).unwrap();
    p.vermas(&["wo", "list"]).ok();
    writeln!(file, "work_order:{b}").unwrap();
    drop(file);
    assert!(p.vermas(&["assignment", "show", "ceo"]).ok().contains(&b));
}

#[test]
fn what_goes_missing_file_by_file_comes_back_with_the_log() {
    let p = Place::new();
    let id = p.create("an order");
    for n in 0..4 {
        p.vermas(&["assignment", "set", &format!("slot{n}"), &format!("work_order:{id}")]);
    }
    let held = p.json(&["assignment", "list"]).as_array().unwrap().len();
    assert!(held >= 1);
    let mut files: Vec<_> = std::fs::read_dir(p.work()).unwrap().map(|e| e.unwrap().path()).collect();
    // As `rm -rf` may find them: the small ones first, the log last.
    files.sort_by_key(|f| f.file_name().unwrap() == "events.jsonl");
    for file in files {
        let _ = if file.is_dir() { std::fs::remove_dir_all(&file) } else { std::fs::remove_file(&file) };
        p.vermas(&["wo", "list"]).ok();
    }
    assert_eq!(p.json(&["assignment", "list"]).as_array().unwrap().len(), held);
    let names = p.git(&["ls-tree", "-r", "--name-only", "vermas/state"]);
    assert!(names.contains("templates/feature.toml") && names.contains("config.toml"), "{names}");
    assert!(p.work().join("templates/feature.toml").exists());
}

#[test]
fn an_assignment_file_that_stays_away_is_cleared() {
    let p = Place::new();
    let id = p.create("an order");
    p.vermas(&["assignment", "set", "ceo", &format!("work_order:{id}")]).ok();
    std::fs::remove_file(p.work().join(".assignment-ceo")).unwrap();
    p.vermas(&["wo", "list"]).ok();
    std::thread::sleep(Duration::from_millis(1100));
    assert_eq!(p.json(&["assignment", "list"]).as_array().unwrap().len(), 0);
}
