//! The page of section 5, which others build on: its examples are read back by the program's own parsers, and the names it
//! gives are held against those in the source.

use std::collections::{BTreeMap, BTreeSet};
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use git_vermas::domain::{assignment, event::Event, kinds, message, order, record};
use git_vermas::wire::{json, line, projection, segment};

const LOG: &str = "The log";
const ORDERS: &str = "The work orders";
const MESSAGES: &str = "The messages";
const FOREIGN: &str = "What the Go program appended";
const QUARANTINE: &str = "The quarantine";

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn page_path() -> PathBuf {
    root().join("man/git-vermas-format.5")
}

/// The page as a reader sees it, near enough: escapes resolved, requests left in.
fn page() -> String {
    let text = std::fs::read_to_string(page_path()).unwrap();
    text.replace("\\-", "-").replace("\\(dq", "\"").replace("\\e", "\\")
}

/// The JSON lines between `.EX` and `.EE`, by the heading above them.
fn examples() -> BTreeMap<String, Vec<String>> {
    let (mut heading, mut inside) = (String::new(), false);
    let mut found: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for line in page().lines() {
        match line.split_once(' ') {
            Some((".SH" | ".SS", words)) => heading = words.to_owned(),
            _ if line == ".EX" || line == ".EE" => inside = line == ".EX",
            _ if inside && line.starts_with('{') => found.entry(heading.clone()).or_default().push(line.to_owned()),
            _ => {}
        }
    }
    found
}

/// The events of the log on the page, torn lines salvaged, and how many were torn.
fn events() -> (Vec<Event>, usize) {
    let mut torn = 0;
    let mut read = |text: &String| {
        line::event(text.as_bytes()).unwrap_or_else(|reason| {
            torn += 1;
            line::events_in(text.as_bytes()).pop().unwrap_or_else(|| panic!("{reason}: {text}"))
        })
    };
    let events = examples()[LOG].iter().map(&mut read).collect();
    (events, torn)
}

fn bytes_of(heading: &str) -> String {
    examples()[heading].iter().map(|l| format!("{l}\n")).collect()
}

#[test]
fn every_example_is_one_that_this_test_knows() {
    let headings: Vec<String> = examples().into_keys().collect();
    let mut known = vec![LOG, ORDERS, MESSAGES, FOREIGN, QUARANTINE];
    known.sort_unstable();
    assert_eq!(headings, known, "JSON on the page that nothing reads back");
}

#[test]
fn the_events_on_the_page_are_events() {
    let (events, torn) = events();
    assert!(events.len() > 10 && torn == 1, "{} events, {torn} torn", events.len());
    for e in &events {
        assert!(kinds::is_known(&e.kind), "{} has no meaning", e.kind);
        assert!(e.subject().is_some(), "{} is about nothing", e.id);
    }
    let ids: BTreeSet<&str> = events.iter().map(|e| e.id.as_str()).collect();
    for e in &events {
        for p in e.prev.iter().flatten() {
            assert!(ids.contains(p.as_str()), "{} knows {p}, which is not there", e.id);
        }
    }
    // Ours are written as the program writes now: the same members in the same order.
    let ours: Vec<&Event> = events.iter().filter(|e| e.prev.is_some()).collect();
    for e in ours {
        let draft = git_vermas::domain::Draft {
            kind: e.kind.clone(),
            actor: e.actor.parse().unwrap(),
            data: e.data.clone(),
            correlation_id: None,
            caused_by: None,
        };
        let again = line::written(&draft, e.id.clone(), e.at, e.prev.clone().unwrap_or_default()).raw;
        assert_eq!(String::from_utf8(again).unwrap(), String::from_utf8_lossy(&e.raw));
    }
}

#[test]
fn the_records_on_the_page_are_what_its_events_add_up_to() {
    for (heading, faults) in [
        (ORDERS, record::order_faults as fn(&_) -> Vec<String>),
        (FOREIGN, record::order_faults),
        (MESSAGES, record::message_faults),
    ] {
        for text in &examples()[heading] {
            assert_eq!(faults(&json::object(text.as_bytes()).unwrap()), Vec::<String>::new(), "{text}");
        }
    }
    let state = projection::of(&events().0);
    assert_eq!(String::from_utf8(state.orders_bytes()).unwrap(), bytes_of(ORDERS));
    assert_eq!(String::from_utf8(state.messages_bytes()).unwrap(), bytes_of(MESSAGES));
    assert_eq!(state.assignment_files(), BTreeMap::new());
    // The adopted creation is the foreign record, its id first.
    let foreign = json::object(examples()[FOREIGN][0].as_bytes()).unwrap();
    let adopted = record::adopted_order(&foreign);
    assert!(events().0.iter().any(|e| e.data == adopted.data && e.actor == adopted.actor.as_str()));
    // What was torn off is what the quarantine has.
    let set_aside = json::object(examples()[QUARANTINE][0].as_bytes()).unwrap();
    let torn = examples()[LOG].iter().find(|l| line::event(l.as_bytes()).is_err()).unwrap().clone();
    assert!(torn.starts_with(set_aside["text"].as_str().unwrap()));
}

#[test]
fn every_name_that_has_a_meaning_is_on_the_page() {
    let page = page();
    let is_part = |c: char| c.is_ascii_alphanumeric() || "_.-".contains(c);
    let words: BTreeSet<&str> = page.split(|c| !is_part(c)).map(|w| w.trim_matches('.')).collect();
    let names = [kinds::KNOWN, order::STATUSES, order::TYPES, message::MESSAGE_TYPES, message::PRIORITIES]
        .into_iter()
        .chain([assignment::REF_TYPES])
        .flatten();
    let missing: Vec<&&str> = names.filter(|n| !words.contains(*n)).collect();
    assert!(missing.is_empty(), "not on the page: {missing:?}");
    for number in [segment::LARGEST, line::LONGEST_WRITTEN, json::LONGEST_LINE, segment::MOST_SEGMENTS as usize] {
        assert!(words.contains(number.to_string().as_str()), "{number} is not on the page");
    }
}

#[test]
fn the_tests_that_stand_behind_the_promises_are_there() {
    let page = page();
    let (_, rest) = page.split_once("\n.SH PROMISES\n").unwrap();
    let (promises, _) = rest.split_once("\n.SH ").unwrap();
    for n in 1..=10 {
        assert!(promises.contains(&format!("\n.B G{n}\n")), "nothing about G{n}");
    }
    let (mut sources, mut names) = (String::new(), BTreeSet::new());
    for word in promises.split_whitespace().map(|w| w.trim_end_matches(['.', ',', ';', ':'])) {
        if word.starts_with("tests/") || word.starts_with("src/") {
            let file = root().join(word);
            sources.push_str(&std::fs::read_to_string(&file).unwrap_or_else(|e| panic!("{word}: {e}")));
        } else if word.matches('_').count() > 2 {
            names.insert(word);
        }
    }
    assert!(names.len() > 8, "{names:?}");
    for name in names {
        assert!(sources.contains(&format!("fn {name}(")), "there is no test {name}");
    }
}

#[test]
fn the_root_commit_has_the_names_that_the_page_gives() {
    let dir = crate::place::scratch();
    let git = |format: &str, args: &[&str], input: &str| {
        let mut c = Command::new("git");
        c.arg("-C").arg(dir.path().join(format)).args(args).env("GIT_CONFIG_GLOBAL", "/dev/null");
        c.env("GIT_CONFIG_SYSTEM", "/dev/null").env_remove("GIT_DIR").stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut child = c.spawn().unwrap();
        child.stdin.take().unwrap().write_all(input.as_bytes()).unwrap();
        let out = child.wait_with_output().unwrap();
        assert!(out.status.success(), "git {args:?}");
        String::from_utf8(out.stdout).unwrap().trim().to_owned()
    };
    for format in ["sha1", "sha256"] {
        std::fs::create_dir(dir.path().join(format)).unwrap();
        git(format, &["init", "-q", &format!("--object-format={format}")], "");
        let tree = git(format, &["hash-object", "-t", "tree", "-w", "--stdin"], "");
        let by = "vermas <vermas@localhost> 1767225600 +0000";
        let text = format!("tree {tree}\nauthor {by}\ncommitter {by}\n\nvermas: begin\n");
        let oid = git(format, &["hash-object", "-t", "commit", "--stdin"], &text);
        assert!(page().contains(&oid), "{format}: {oid}");
    }
}

#[test]
fn the_page_is_well_formed() {
    let Ok(out) = Command::new("groff").args(["-man", "-Tutf8", "-ww", "-z"]).arg(page_path()).output() else {
        return;
    };
    assert_eq!(String::from_utf8_lossy(&out.stderr), "", "groff has nothing to complain about");
}
