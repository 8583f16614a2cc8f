//! Reads `src/` and holds it to the map in the crate's documentation: which room may name which, who may use git, tmux
//! and SQLite, who prints, and that every file says what it is for.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

/// A room, and the rooms its files may name.
type Map = BTreeMap<String, BTreeSet<String>>;

/// Crates with one user.
const OWNED: &[(&str, &str)] =
    &[("gix", "git"), ("rusqlite", "store"), ("tmux_interface", "tmux"), ("clap_mangen", "cli")];
/// What `domain` must not reach for: a clock, a file, a process, the environment, chance.
const IMPURE: &[&str] = &["SystemTime", "Instant", "Utc", "Local", "getrandom", "rustix", "tokio", "notify"];
const IMPURE_STD: &[&str] = &["fs", "env", "process", "net", "io", "thread"];
const PRINTING: &[&str] = &["print", "println", "eprint", "eprintln", "dbg"];
/// All of `app` that `ui` may name.
const SHOWN_BY_UI: &[&str] = &["fault", "Fault", "Kind"];

/// Reads the map out of the crate's documentation: lines of the form `room → rooms   what it is`.
fn map_of(lib: &str) -> Map {
    let mut map = Map::new();
    for line in lib.lines() {
        let Some((room, rest)) = line.trim_start_matches("//!").split_once('→') else { continue };
        let room = room.trim().to_owned();
        if room.is_empty() || !room.chars().all(|c| c.is_ascii_lowercase()) {
            continue;
        }
        let allowed = rest.trim_start().split("  ").next().unwrap_or_default().trim();
        let allowed = match allowed {
            "nothing of ours" => BTreeSet::new(),
            "all above" => map.keys().cloned().collect(),
            list => list.split(' ').map(str::to_owned).collect(),
        };
        map.insert(room, allowed);
    }
    map
}

/// The words and signs of a source text, without comments, strings and characters.
fn tokens(source: &str) -> Vec<String> {
    let chars: Vec<char> = source.chars().collect();
    let at = |i: usize| chars.get(i).copied().unwrap_or('\0');
    let mut out: Vec<String> = Vec::new();
    let mut i = 0;
    while i < chars.len() {
        let c = chars[i];
        if c == '/' && at(i + 1) == '/' {
            while i < chars.len() && chars[i] != '\n' {
                i += 1;
            }
        } else if c == '/' && at(i + 1) == '*' {
            let mut depth = 0;
            loop {
                match (at(i), at(i + 1)) {
                    ('/', '*') => (depth, i) = (depth + 1, i + 2),
                    ('*', '/') => (depth, i) = (depth - 1, i + 2),
                    _ => i += 1,
                }
                if depth == 0 || i >= chars.len() {
                    break;
                }
            }
        } else if let Some(end) = raw_string_end(&chars, i) {
            i = end;
        } else if c == '"' {
            i += 1;
            while i < chars.len() && chars[i] != '"' {
                i += if chars[i] == '\\' { 2 } else { 1 };
            }
            i += 1;
        } else if c == '\'' {
            // A character is closed by a quote, a lifetime is not.
            if at(i + 1) == '\\' {
                i += 3;
                while i < chars.len() && chars[i] != '\'' {
                    i += 1;
                }
                i += 1;
            } else if at(i + 2) == '\'' {
                i += 3;
            } else {
                i += 1;
            }
        } else if c.is_alphabetic() || c == '_' {
            let start = i;
            while at(i).is_alphanumeric() || at(i) == '_' {
                i += 1;
            }
            out.push(chars[start..i].iter().collect());
        } else if c == ':' && at(i + 1) == ':' {
            out.push("::".to_owned());
            i += 2;
        } else {
            if !c.is_whitespace() {
                out.push(c.to_string());
            }
            i += 1;
        }
    }
    out
}

/// Where a raw string that starts here ends: `r"…"`, `r#"…"#`, `br"…"`. `None` where none starts.
fn raw_string_end(chars: &[char], start: usize) -> Option<usize> {
    if start > 0 && (chars[start - 1].is_alphanumeric() || chars[start - 1] == '_') {
        return None;
    }
    let mut i = start + usize::from(chars[start] == 'b');
    if chars.get(i) != Some(&'r') {
        return None;
    }
    i += 1;
    let hashes = chars[i..].iter().take_while(|c| **c == '#').count();
    i += hashes;
    if chars.get(i) != Some(&'"') {
        return None;
    }
    i += 1;
    while i < chars.len() {
        if chars[i] == '"' && chars[i + 1..].iter().take(hashes).filter(|c| **c == '#').count() == hashes {
            return Some(i + 1 + hashes);
        }
        i += 1;
    }
    Some(i)
}

/// The paths that a use tree spells out, each joined to what stands before it.
fn tree(words: &[String], mut i: usize, before: &[String], out: &mut Vec<Vec<String>>) -> usize {
    let mut path = before.to_vec();
    loop {
        match words.get(i).map(String::as_str) {
            Some("{") => {
                i += 1;
                while i < words.len() && words[i] != "}" {
                    i = tree(words, i, &path, out);
                    if words.get(i).is_some_and(|w| w == ",") {
                        i += 1;
                    }
                }
                return i + 1;
            }
            Some("super") => {
                path.pop();
            }
            Some(word) if word == "*" || word.chars().all(|c| c.is_alphanumeric() || c == '_') => {
                path.push(word.to_owned())
            }
            _ => {
                out.push(path);
                return i;
            }
        }
        i += 1;
        if words.get(i).is_some_and(|w| w == "::") {
            i += 1;
            // A turbofish ends the path.
            if words.get(i).is_some_and(|w| w == "<") {
                out.push(path);
                return i;
            }
        } else {
            // `x as y`: the new name is no path.
            if words.get(i).is_some_and(|w| w == "as") {
                i += 2;
            }
            out.push(path);
            return i;
        }
    }
}

/// Every path from the crate's root that a file names, `super` chains resolved from the module they stand in.
fn named(words: &[String], file: &[&str]) -> Vec<Vec<String>> {
    let mut module: Vec<String> = file.iter().map(|s| (*s).to_owned()).collect();
    let mut open: Vec<bool> = Vec::new();
    let mut out = Vec::new();
    let mut i = 0;
    while i < words.len() {
        let word = words[i].as_str();
        let starts_path = words.get(i + 1).is_some_and(|w| w == "::") && (i == 0 || words[i - 1] != "::");
        match word {
            "mod" if words.get(i + 2).is_some_and(|w| w == "{") => {
                module.push(words[i + 1].clone());
                open.push(true);
                i += 3;
                continue;
            }
            "{" => open.push(false),
            "}" if open.pop() == Some(true) => {
                module.pop();
            }
            "crate" if starts_path => {
                tree(words, i + 2, &[], &mut out);
            }
            "super" | "self" if starts_path => {
                let mut base = module.clone();
                let mut at = i;
                if word == "self" {
                    at += 2;
                }
                while words.get(at).is_some_and(|w| w == "super") {
                    base.pop();
                    at += 2;
                }
                tree(words, at, &base, &mut out);
            }
            _ => {}
        }
        i += 1;
    }
    out
}

/// What is wrong with one file; `path` is relative to `src/`.
fn faults(map: &Map, path: &str, source: &str) -> Vec<String> {
    let mut out = Vec::new();
    let parts: Vec<&str> = path.trim_end_matches(".rs").split('/').filter(|p| *p != "mod").collect();
    let room = if parts.len() == 1 && !map.contains_key(parts[0]) { "" } else { parts[0] };
    if path != "main.rs" && !source.starts_with("//! ") {
        out.push(format!("{path}: has no module documentation"));
    }
    let words = tokens(source);
    if room.is_empty() {
        return out;
    }
    let empty = BTreeSet::new();
    let allowed = map.get(room).unwrap_or(&empty);
    for target in named(&words, &parts) {
        let Some(first) = target.first() else { continue };
        if map.contains_key(first) && first != room && !allowed.contains(first) {
            out.push(format!("{path}: `{room}` names `{}`", target.join("::")));
        }
        if room == "ui" && first == "app" && !target.get(1).is_some_and(|t| SHOWN_BY_UI.contains(&t.as_str())) {
            out.push(format!("{path}: `ui` names `{}`, more of `app` than its error", target.join("::")));
        }
    }
    for (i, word) in words.iter().enumerate() {
        let next = words.get(i + 1).map(String::as_str);
        for (krate, owner) in OWNED {
            if word == krate && room != *owner && next == Some("::") {
                out.push(format!("{path}: `{krate}` is used outside `{owner}`"));
            }
        }
        if PRINTING.contains(&word.as_str()) && next == Some("!") && room != "ui" {
            out.push(format!("{path}: `{word}!` outside `ui`"));
        }
        let impure_std = word == "std" && words.get(i + 2).is_some_and(|w| IMPURE_STD.contains(&w.as_str()));
        if room == "domain" && (IMPURE.contains(&word.as_str()) || impure_std && next == Some("::")) {
            out.push(format!("{path}: `domain` reaches for `{word}`"));
        }
    }
    out
}

fn sources(dir: &Path, out: &mut Vec<PathBuf>) {
    for entry in std::fs::read_dir(dir).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            sources(&path, out);
        } else if path.extension().is_some_and(|e| e == "rs") {
            out.push(path);
        }
    }
}

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("src")
}

#[test]
fn the_map_names_every_room() {
    let lib = std::fs::read_to_string(root().join("lib.rs")).unwrap();
    let map = map_of(&lib);
    let rooms: BTreeSet<String> =
        lib.lines().filter_map(|l| l.strip_prefix("pub mod ")?.strip_suffix(';')).map(str::to_owned).collect();
    assert_eq!(map.keys().cloned().collect::<BTreeSet<_>>(), rooms);
    for (room, allowed) in &map {
        assert!(allowed.is_subset(&rooms), "{room} → {allowed:?}");
    }
    assert!(map["domain"].is_empty() && map["sys"].is_empty());
    assert!(!map["git"].contains("tmux") && !map["tmux"].contains("git"), "git and tmux never name each other");
    assert!(!map["app"].contains("cli") && !map["app"].contains("ui"), "app knows nothing of text");
}

#[test]
fn every_file_keeps_to_the_map() {
    let map = map_of(&std::fs::read_to_string(root().join("lib.rs")).unwrap());
    let mut files = Vec::new();
    sources(&root(), &mut files);
    files.sort();
    assert!(files.len() > 20, "src/ was not read");
    let mut wrong = Vec::new();
    for file in files {
        let path = file.strip_prefix(root()).unwrap().to_string_lossy().into_owned();
        wrong.extend(faults(&map, &path, &std::fs::read_to_string(&file).unwrap()));
    }
    assert!(wrong.is_empty(), "\n{}\n", wrong.join("\n"));
}

/// A small house with one fault of each sort, and the same words where they are no fault.
#[test]
fn this_test_can_fail() {
    let map = map_of(
        "//! domain → nothing of ours    x\n//! sys → nothing of ours   x\n//! git → sys domain   x\n//! ui → domain app  x\n//! app → all above  x\n",
    );
    let check = |path: &str, source: &str| faults(&map, path, &format!("//! Doc.\n{source}"));
    let names = |path: &str, source: &str| check(path, source).join("; ");

    assert_eq!(names("domain/id.rs", "use crate::sys::fs;"), "domain/id.rs: `domain` names `sys::fs`");
    assert_eq!(
        names("domain/id.rs", "fn f() { crate::git::open::<u8>() }"),
        "domain/id.rs: `domain` names `git::open`"
    );
    assert_eq!(
        names("sys/fs.rs", "use crate::{sys::lock as git, domain::{id::{Id, Kind}, event}};"),
        "sys/fs.rs: `sys` names `domain::id::Id`; sys/fs.rs: `sys` names `domain::id::Kind`; sys/fs.rs: `sys` names `domain::event`"
    );
    assert_eq!(names("sys/fs.rs", "use super::super::git::x;"), "sys/fs.rs: `sys` names `git::x`");
    assert_eq!(names("sys/fs.rs", "use super::{lock, super::git};"), "sys/fs.rs: `sys` names `git`");
    assert_eq!(names("sys/mod.rs", "mod tests { use super::super::git; }"), "sys/mod.rs: `sys` names `git`");
    assert_eq!(names("sys/fs.rs", "mod tests { use super::super::git::x; }"), "");
    assert_eq!(names("ui/mod.rs", "use crate::app::{Fault, dispatch::Plan};").matches("more of `app`").count(), 1);
    assert_eq!(names("app/x.rs", "fn f() { gix::open(p) }"), "app/x.rs: `gix` is used outside `git`");
    assert_eq!(names("app/x.rs", "fn f() { println!() }"), "app/x.rs: `println!` outside `ui`");
    assert_eq!(names("domain/id.rs", "use std::fs;"), "domain/id.rs: `domain` reaches for `std`");
    assert_eq!(faults(&map, "sys/fs.rs", "use std::fs;"), ["sys/fs.rs: has no module documentation"]);

    let innocent = r##"
        /* crate::git::x /* nested */ gix::y */
        // use crate::git;
        const A: &str = "crate::git::x \" gix::y"; const B: &str = r#"println! " crate::git"#;
        const C: char = '"'; const D: char = '\''; fn f<'a>(x: &'a str) { x; }
        use crate::sys::lock; use super::fs::read;
    "##;
    assert_eq!(names("sys/fs.rs", innocent), "");
    assert_eq!(names("git/mod.rs", "use crate::{domain::Id, sys}; fn f() { gix::open(p) }"), "");
    assert_eq!(names("sys/fs.rs", &format!("{innocent} use crate::git;")), "sys/fs.rs: `sys` names `git`");
}
