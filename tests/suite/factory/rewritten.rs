//! Files that a person or another program put back, rewrote or took away: what was acknowledged stays, and what they really
//! changed counts.

use std::fs;
use std::path::Path;
use std::time::Duration;

use super::common::Place;

/// How long what is missed below `.work` may still come back.
const SETTLED: Duration = Duration::from_millis(1100);

fn append(file: &Path, text: &str) {
    use std::io::Write as _;
    fs::OpenOptions::new().append(true).open(file).unwrap().write_all(text.as_bytes()).unwrap();
}

fn said(event: &str, subject: &str, data: &str) -> String {
    format!(
        r#"{{"event_id":"py-{event}-{subject}","event_type":"{event}","timestamp":"2026-01-06T12:00:00Z","actor":"py","data":{data}}}"#
    )
}

/// How many orders the events on the branch create.
fn created_on_branch(p: &Place) -> usize {
    p.git(&["grep", "-h", "work_order.created", "vermas/state", "--", "events"]).lines().count()
}

fn priority(p: &Place, id: &str) -> i64 {
    p.show(id)["priority"].as_i64().unwrap()
}

#[test]
fn a_restore_that_is_killed_takes_nothing_for_a_wish() {
    let p = Place::new();
    let id = p.create("held");
    p.vermas(&["assignment", "set", "ceo", &format!("work_order:{id}")]).ok();
    fs::copy(p.work().join("templates/feature.toml"), p.work().join("templates/mine.toml")).unwrap();
    p.create("published");
    for point in [3, 5, 8, 12] {
        fs::remove_dir_all(p.work()).unwrap();
        let mut killed = p.command_in(&p.app, &["wo", "list"]);
        killed.env("VERMAS_FAULT", format!("kill:{point}")).output().unwrap();
        std::thread::sleep(SETTLED);
        p.vermas(&["wo", "list"]).ok();
        p.vermas(&["wo", "comment", &id, "-m", "on"]).ok();
        assert_eq!(p.json(&["assignment", "list"]).as_array().unwrap().len(), 1, "killed at {point}");
        let branch = p.git(&["ls-tree", "-r", "--name-only", "vermas/state"]);
        for path in ["templates/mine.toml", "config.toml", ".assignment-ceo"] {
            assert!(branch.contains(path) && p.work().join(path).exists(), "killed at {point}: {path} in {branch}");
        }
    }
}

/// Records an order while another publishes, and lets something befall the log before it is this one's turn.
fn recorded_meanwhile(p: &Place, befalls: impl FnOnce(&Path)) -> (String, String) {
    let publishing = fs::File::open(p.app.join(".git/vermas/publish.lock")).unwrap();
    publishing.lock().unwrap();
    let log = p.work().join("events.jsonl");
    let size = fs::metadata(&log).unwrap().len();
    let mut create = p.command_in(&p.app, &["wo", "create", "victim"]);
    let create = create.stdout(std::process::Stdio::piped()).stderr(std::process::Stdio::piped()).spawn().unwrap();
    super::common::until("it is in the log", || fs::metadata(&log).unwrap().len() > size);
    befalls(&log);
    publishing.unlock().unwrap();
    let said = create.wait_with_output().unwrap();
    assert!(said.status.success(), "{said:?}");
    (String::from_utf8(said.stdout).unwrap().trim().to_owned(), String::from_utf8(said.stderr).unwrap())
}

#[test]
fn what_waits_to_be_published_outlives_a_log_that_is_emptied_or_set_back() {
    let p = Place::new();
    p.create("base");
    let earlier = fs::read(p.work().join("events.jsonl")).unwrap();
    p.create("later");
    for with_a_look in [true, false] {
        for content in [&b""[..], &earlier] {
            let (id, said) = recorded_meanwhile(&p, |log| {
                fs::write(log, content).unwrap();
                if with_a_look {
                    p.vermas(&["wo", "list"]);
                }
            });
            assert_eq!((p.show(&id)["title"].as_str(), said.as_str()), (Some("victim"), ""), "{with_a_look}");
            let subjects = p.git(&["log", "--format=%s", "vermas/state"]);
            assert!(!p.git(&["grep", "-l", &id, "vermas/state", "--", "events"]).is_empty(), "{id}: {subjects}");
        }
    }
    assert_eq!(p.json(&["wo", "list"]).as_array().unwrap().len(), 6);
}

#[test]
fn what_cannot_go_to_the_branch_goes_to_the_copy_beside_it() {
    let p = Place::new();
    p.create("base");
    p.git(&["branch", "-m", "vermas/state", "vermas"]);
    let said = p.vermas(&["wo", "create", "victim"]);
    assert!(said.code == Some(0) && said.err.contains("recorded, but not yet on vermas/state"), "{said:?}");
    fs::write(p.work().join("events.jsonl"), "").unwrap();
    let shown = p.vermas(&["wo", "show", said.out.trim()]);
    assert!(shown.out.contains("victim"), "{shown:?}");
    p.git(&["branch", "-m", "vermas", "vermas-old"]);
    let said = p.vermas(&["wo", "comment", said.out.trim(), "-m", "on"]);
    assert!(said.code == Some(0) && said.err.contains("put back"), "{said:?}");
    assert_eq!(created_on_branch(&p), 2);
}

#[test]
fn a_log_that_is_rewritten_in_place_is_read_anew() {
    let p = Place::new();
    let ids = ["short", "one with a longer title", "last"].map(|t| p.create(t));
    let log = p.work().join("events.jsonl");
    let text = fs::read_to_string(&log).unwrap();
    let mut lines: Vec<&str> = text.lines().collect();
    let last = lines.len() - 1;
    lines[..last].reverse();
    fs::write(&log, lines.join("\n") + "\n").unwrap();
    p.vermas(&["wo", "close", &ids[0]]).ok();
    let titles: Vec<String> = ids.iter().map(|id| p.show(id)["title"].as_str().unwrap().to_owned()).collect();
    assert_eq!(titles, ["short", "one with a longer title", "last"]);
    assert_eq!(p.json(&["wo", "list"]).as_array().unwrap().len(), 3);
    assert_eq!((created_on_branch(&p), p.vermas(&["fsck"]).code), (3, Some(0)));
}

#[test]
fn a_file_that_an_editor_read_before_something_came_by_sync_takes_it_back_for_nobody() {
    let p = Place::new();
    p.remote();
    let b = p.clone_of_remote("b");
    let id = p.create("an order");
    p.vermas(&["sync"]).ok();
    p.vermas_in(&b, &["sync"]).ok();
    // Closed there before it is changed here, and learned of here after that.
    p.vermas_in(&b, &["wo", "close", &id]).ok();
    p.vermas(&["wo", "update", &id, "-p", "3"]).ok();
    let list = p.work().join("work_orders.jsonl");
    let read = fs::read_to_string(&list).unwrap();
    p.vermas_in(&b, &["sync"]).ok();
    p.vermas(&["sync"]).ok();
    fs::write(&list, read.replace(r#""description":"""#, r#""description":"typed""#)).unwrap();
    let order = p.show(&id);
    assert_eq!((&order["status"], &order["description"]), (&"closed".into(), &"typed".into()));
}

#[test]
fn where_a_clock_ran_ahead_edits_count_and_old_files_take_nothing_back() {
    let p = Place::new();
    let id = p.create("an order");
    // Another program that writes its local time without an offset, two hours ahead.
    let ahead = std::process::Command::new("date").args(["-u", "-d", "+2 hours", "+%FT%T"]).output().unwrap();
    let ahead = String::from_utf8(ahead.stdout).unwrap();
    let event = said("note.made", "1", "{}").replace("2026-01-06T12:00:00Z", ahead.trim());
    append(&p.work().join("events.jsonl"), &(event + "\n"));
    p.vermas(&["wo", "update", &id, "-p", "1"]).ok();
    let list = p.work().join("work_orders.jsonl");
    let read = fs::read_to_string(&list).unwrap();
    p.vermas(&["wo", "update", &id, "--add-label", "keep"]).ok();
    fs::write(&list, read.replace(r#""description":"""#, r#""description":"typed""#)).unwrap();
    let order = p.show(&id);
    assert_eq!((&order["labels"][0], &order["description"]), (&"keep".into(), &"typed".into()));
    // Whoever gives the time of their own clock may set a value back to what it was.
    let now = std::process::Command::new("date").args(["-u", "+%FT%TZ"]).output().unwrap();
    let mut record: serde_json::Value = serde_json::from_str(fs::read_to_string(&list).unwrap().trim()).unwrap();
    record["priority"] = 2.into();
    record["updated_at"] = String::from_utf8(now.stdout).unwrap().trim().into();
    let beside = p.work().join("beside");
    fs::write(&beside, format!("{record}\n")).unwrap();
    fs::rename(beside, list).unwrap();
    assert_eq!(priority(&p, &id), 2);
}

#[test]
fn an_older_work_folder_that_is_put_back_undoes_no_assignment() {
    let p = Place::new();
    let [a, b] = ["a", "b"].map(|t| p.create(t));
    p.vermas(&["assignment", "set", "ceo", &format!("work_order:{a}")]).ok();
    let away = p.root().join("away");
    fs::rename(p.work(), &away).unwrap();
    std::thread::sleep(Duration::from_millis(60));
    p.vermas(&["assignment", "set", "--replace", "ceo", &format!("work_order:{b}")]).ok();
    fs::remove_dir_all(p.work()).unwrap();
    fs::rename(&away, p.work()).unwrap();
    assert!(p.vermas(&["assignment", "show", "ceo"]).ok().contains(&b));
    assert!(fs::read_to_string(p.work().join(".assignment-ceo")).unwrap().contains(&b));
}

#[test]
fn a_branch_that_is_set_back_takes_no_template_with_it() {
    let p = Place::new();
    let template = p.work().join("templates/feature.toml");
    append(&template, "# my edit\n");
    p.create("one");
    p.create("two");
    p.git(&["update-ref", "refs/heads/vermas/state", "vermas/state~2"]);
    p.create("three");
    assert!(fs::read_to_string(&template).unwrap().ends_with("# my edit\n"));
    assert!(p.git(&["show", "vermas/state:templates/feature.toml"]).ends_with("# my edit"));
    assert_eq!(created_on_branch(&p), 3);
}

#[test]
fn a_lost_folder_of_templates_is_filled_anew_and_stops_nothing() {
    let p = Place::new();
    p.create("one");
    let tree = p.git(&["rev-parse", "vermas/state:templates"]);
    p.create("two");
    p.git(&["update-ref", "refs/heads/vermas/state", "vermas/state~1"]);
    fs::remove_file(p.app.join(".git/objects").join(&tree[..2]).join(&tree[2..])).unwrap();
    p.create("three");
    assert_eq!(p.git(&["rev-parse", "vermas/state:templates"]), tree);
    assert_eq!((created_on_branch(&p), p.vermas(&["fsck"]).code), (3, Some(0)));
}

#[test]
fn an_object_that_is_missing_here_is_asked_of_the_remote_again() {
    let p = Place::new();
    p.remote();
    let b = p.clone_of_remote("b");
    p.create("first");
    p.vermas(&["sync"]).ok();
    p.vermas_in(&b, &["sync"]).ok();
    p.vermas_in(&b, &["wo", "create", "of b"]).ok();
    p.vermas_in(&b, &["sync"]).ok();
    p.vermas_in(&b, &["wo", "create", "unsent"]).ok();
    p.vermas(&["sync"]).ok();
    p.create("second");
    p.vermas(&["sync"]).ok();
    let replica = fs::read_to_string(b.join(".git/vermas/replica")).unwrap();
    let tree = format!("refs/vermas/remotes/origin/vermas/state:events/{}", replica.trim());
    let oid = p.git_in(&b, &["rev-parse", &tree]);
    fs::remove_file(b.join(".git/objects").join(&oid[..2]).join(&oid[2..])).unwrap();
    p.vermas_in(&b, &["sync"]).ok();
    p.vermas(&["sync"]).ok();
    assert_eq!(p.json(&["wo", "list"]).as_array().unwrap().len(), 4);
}

#[test]
fn a_commit_that_is_replaced_for_somebodys_eyes_is_still_what_it_is() {
    let p = Place::new();
    for n in 0..3 {
        p.create(&n.to_string());
    }
    let tip = p.git(&["rev-parse", "vermas/state"]);
    let other = p.git(&["commit-tree", "-m", "r", "main^{tree}"]);
    p.git(&["replace", &tip, &other]);
    p.create("meanwhile");
    p.git(&["replace", "-d", &tip]);
    p.create("afterwards");
    p.vermas(&["sync"]);
    assert_eq!(created_on_branch(&p), 5);
}

#[test]
fn events_and_records_without_a_newline_between_them_all_count() {
    let p = Place::new();
    let created = |id: &str| said("work_order.created", id, &format!(r#"{{"work_order_id":"{id}","title":"{id}"}}"#));
    let log = p.work().join("events.jsonl");
    append(&log, &created("wo-first"));
    p.create("ours");
    append(&log, &format!("\n{}{}\n", created("wo-second"), created("wo-third")));
    let list = p.work().join("work_orders.jsonl");
    append(&list, "{\"id\":\"wo-fourth\",\"title\":\"4\"}{\"id\":\"wo-fifth\",\"title\":\"5\"}\n");
    let all = p.json(&["wo", "list"]);
    let ids: Vec<&str> = all.as_array().unwrap().iter().map(|o| o["id"].as_str().unwrap()).collect();
    for id in ["wo-first", "wo-second", "wo-third", "wo-fourth", "wo-fifth"] {
        assert!(ids.contains(&id), "{id} is not in {ids:?}");
    }
    assert_eq!(p.json(&["doctor"])["quarantine"].as_array().map_or(0, Vec::len), 0);
}

#[test]
fn a_line_from_an_older_reading_that_was_taken_in_before_takes_nothing_back_where_a_clock_is_ahead() {
    let p = Place::new();
    let (one, two) = (p.create("one"), p.create("two"));
    let ahead = chrono::Utc::now() + chrono::Duration::hours(1);
    let comment = said("work_order.commented", &one, &format!(r#"{{"work_order_id":"{one}","body":"x"}}"#));
    let comment = comment.replace("2026-01-06T12:00:00Z", &ahead.format("%Y-%m-%dT%H:%M:%SZ").to_string());
    append(&p.work().join("events.jsonl"), &format!("{comment}\n"));
    p.vermas(&["wo", "update", &one, "-d", "A"]).ok();
    let list = p.work().join("work_orders.jsonl");
    let mut read = fs::read_to_string(&list).unwrap();
    p.vermas(&["wo", "update", &one, "-d", "B"]).ok();
    for (id, title) in [(&one, "E"), (&two, "F")] {
        let old = if id == &one { "\"title\":\"one\"" } else { "\"title\":\"two\"" };
        read = read.replace(old, &format!("\"title\":\"{title}\""));
        fs::write(p.work().join("x"), &read).unwrap();
        fs::rename(p.work().join("x"), &list).unwrap();
        p.vermas(&["status"]).ok();
        assert_eq!(p.show(id)["title"], title);
        let shown = p.show(&one);
        assert_eq!((&shown["title"], &shown["description"]), (&"E".into(), &"B".into()));
    }
}

#[test]
fn a_copy_of_everything_that_is_put_back_with_new_times_sets_no_assignment_back() {
    for in_place in [false, true] {
        let p = Place::new();
        let (old, new) = (p.create("old"), p.create("new"));
        p.vermas(&["assignment", "set", "slot0", &old]).ok();
        let copy = p.app.join("copy");
        let shell = |line: &str| {
            assert!(
                std::process::Command::new("sh").current_dir(&p.app).args(["-c", line]).status().unwrap().success()
            );
        };
        shell("cp -r .work copy");
        p.vermas(&["assignment", "set", "--replace", "slot0", &new]).ok();
        shell(if in_place { "cp -r copy/. .work/" } else { "rm -rf .work; cp -r copy .work" });
        assert_eq!(p.json(&["assignment", "show", "slot0"])["ref_id"], new.as_str(), "in place: {in_place}");
        let file = p.work().join(".assignment-app-workers-slot0");
        assert_eq!(fs::read_to_string(&file).unwrap(), format!("work_order:{new}\n"));
        // Set back by hand later on it counts.
        fs::write(&file, format!("work_order:{old}\n")).unwrap();
        assert_eq!(p.json(&["assignment", "show", "slot0"])["ref_id"], old.as_str());
        assert!(copy.exists());
    }
}

#[test]
fn what_no_text_and_no_float_can_hold_is_read_and_its_bytes_are_kept() {
    let p = Place::new();
    let list = p.work().join("work_orders.jsonl");
    let mut file = fs::OpenOptions::new().append(true).open(&list).unwrap();
    std::io::Write::write_all(&mut file, b"{\"id\":\"wo-latin\",\"title\":\"caf\xe9\"}\n").unwrap();
    append(&list, "{\"id\":\"wo-huge\",\"title\":\"huge\",\"z\":1e400}\n");
    let huge = said("work_order.commented", "h", r#"{"work_order_id":"wo-huge","body":"on","z":[1e400,-1e400]}"#);
    append(&p.work().join("events.jsonl"), &format!("{huge}\n"));
    assert!(p.vermas(&["status"]).err.contains("no UTF-8"));
    assert_eq!(p.show("wo-latin")["title"], "caf\u{fffd}");
    assert_eq!(p.show("wo-huge")["comments"][0]["body"], "on");
    p.create("another");
    assert!(
        p.git(&["grep", "-h", "py-work_order.commented-h", "vermas/state", "--", "events"]).contains("[1e400,-1e400]")
    );
    let kept = fs::read_to_string(p.app.join(".git/vermas/quarantine.jsonl")).unwrap();
    assert!(kept.contains("636166e9") && kept.lines().count() == 1, "{kept}");
}

#[test]
fn a_record_that_names_another_order_is_not_that_order() {
    let p = Place::new();
    let victim = p.vermas(&["wo", "create", "Victim", "-p", "0", "-d", "plan"]).ok();
    let line =
        format!(r#"{{"id":"mr-a1","title":"merge it","issue_type":"merge-request","work_order_id":"{victim}"}}"#);
    append(&p.work().join("work_orders.jsonl"), &(line + "\n"));
    let (request, order) = (p.show("mr-a1"), p.show(&victim));
    assert_eq!((&request["title"], &request["work_order_id"]), (&"merge it".into(), &victim.as_str().into()));
    assert_eq!((&order["title"], &order["description"]), (&"Victim".into(), &"plan".into()));
}

#[test]
fn a_mail_whose_event_says_little_keeps_what_its_record_says() {
    let p = Place::new();
    let event = said("mail.sent", "1", r#"{"message_id":"msg-q1","from":"py","to":"ceo","subject":"Help"}"#);
    append(&p.work().join("events.jsonl"), &(event + "\n"));
    let record = r#"{"id":"msg-q1","from":"py","to":"ceo","subject":"Help","body":"It is broken","message_type":"HELP","priority":"urgent","timestamp":"2026-01-06T12:00:00Z","read_at":null}"#;
    append(&p.work().join("messages.jsonl"), &format!("{record}\n"));
    let mail = p.json(&["mail", "list"]);
    assert_eq!((&mail[0]["body"], &mail[0]["message_type"]), (&"It is broken".into(), &"HELP".into()));
    p.vermas(&["rebuild"]).ok();
    assert_eq!(p.json(&["mail", "list"]), mail);
    assert!(fs::read_to_string(p.work().join("messages.jsonl")).unwrap().contains("It is broken"));
}

#[test]
fn a_record_that_nobody_could_read_again_is_set_aside_at_once() {
    let p = Place::new();
    p.create("good");
    let long = format!(r#"{{"id":"wo-big1","title":"big","description":"{}"}}"#, "y".repeat(1_048_450));
    let deep = format!(r#"{{"id":"wo-deep","title":"deep","x":{}{}}}"#, "[".repeat(63), "]".repeat(63));
    append(&p.work().join("work_orders.jsonl"), &format!("{long}\n{deep}\n"));
    let said = p.vermas(&["wo", "list"]);
    assert!(said.err.contains("work_orders.jsonl, line 2") && said.err.contains("line 3"), "{said:?}");
    let before = p.json(&["wo", "list"]);
    assert_eq!(before.as_array().unwrap().len(), 1);
    p.vermas(&["rebuild"]);
    assert_eq!(p.json(&["wo", "list"]), before);
}

#[test]
fn who_gives_up_a_contested_order_leaves_it_to_the_other() {
    let p = Place::new();
    p.remote();
    let b = p.clone_of_remote("b");
    let id = p.create("wanted");
    p.vermas(&["sync"]).ok();
    p.vermas_in(&b, &["sync"]).ok();
    p.vermas_in(&b, &["wo", "claim", &id, "--as", "x/qa"]).ok();
    p.vermas(&["wo", "claim", &id]).ok();
    p.vermas_in(&b, &["sync"]).ok();
    p.vermas(&["sync"]).ok();
    assert_eq!(p.show(&id)["assignee"], "x/qa");
    p.vermas(&["wo", "release", &id, "--as", "x/qa"]).ok();
    let order = p.show(&id);
    assert_eq!((&order["assignee"], &order["status"]), (&"ceo".into(), &"assigned".into()));
    p.vermas(&["wo", "release", &id]).ok();
    let order = p.show(&id);
    assert_eq!((&order["assignee"], &order["status"]), (&serde_json::Value::Null, &"open".into()));
}

#[test]
fn an_order_that_is_claimed_on_another_machine_is_not_dispatched_here() {
    let p = Place::new();
    p.remote();
    let b = p.clone_of_remote("b");
    let id = p.create("wanted");
    p.vermas(&["sync"]).ok();
    p.vermas(&["wo", "claim", &id, "--exclusive"]).ok();
    for words in [&["dispatch", &id, "--exclusive", "--agent", "shell"][..], &["dispatch", &id, "--agent", "shell"]] {
        p.vermas_in(&b, &["sync"]).ok();
        let said = p.vermas_in(&b, words);
        assert_eq!((said.code, said.err.contains("claimed it on another machine")), (Some(5), true), "{said:?}");
    }
    assert_eq!(p.show(&id)["assignee"], "ceo");
}

/// Changes a record in its list as another program does.
fn edited(p: &Place, id: &str, change: impl Fn(&mut serde_json::Map<String, serde_json::Value>)) {
    let list = p.work().join("work_orders.jsonl");
    let lines = fs::read_to_string(&list).unwrap();
    let lines: String = lines
        .lines()
        .map(|l| {
            let mut record: serde_json::Map<_, _> = serde_json::from_str(l).unwrap();
            if record["id"] == id {
                change(&mut record);
            }
            format!("{}\n", serde_json::Value::Object(record))
        })
        .collect();
    fs::write(&list, lines).unwrap();
}

#[test]
fn an_edit_that_gives_what_stood_between_two_events_of_one_command_counts() {
    let p = Place::new();
    let (claimed, changed) = (p.create("claimed"), p.create("changed"));
    p.vermas(&["wo", "claim", &claimed]).ok();
    edited(&p, &claimed, |r| {
        r.insert("assignee".into(), serde_json::Value::Null);
        r.insert("status".into(), "open".into());
    });
    p.vermas(&["status"]).ok();
    assert_eq!(
        (&p.show(&claimed)["assignee"], p.show(&claimed)["status"].as_str()),
        (&serde_json::Value::Null, Some("open"))
    );
    p.vermas(&["wo", "update", &changed, "--title", "new", "-s", "in_progress"]).ok();
    edited(&p, &changed, |r| drop(r.insert("status".into(), "open".into())));
    p.vermas(&["status"]).ok();
    assert_eq!((p.show(&changed)["title"].as_str(), p.show(&changed)["status"].as_str()), (Some("new"), Some("open")));
}

#[test]
fn an_edit_stamped_with_whole_seconds_counts_in_the_second_of_the_change_before_it() {
    let p = Place::new();
    let id = p.create("title");
    std::thread::sleep(Duration::from_millis(1000));
    p.vermas(&["wo", "update", &id, "-s", "in_progress"]).ok();
    edited(&p, &id, |r| {
        let second = format!("{}Z", &r["updated_at"].as_str().unwrap()[..19]);
        r.insert("status".into(), "open".into());
        r.insert("updated_at".into(), second.into());
    });
    p.vermas(&["status"]).ok();
    assert_eq!(p.show(&id)["status"], "open");
}
