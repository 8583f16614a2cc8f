//! What a person, another program or a bad disk may leave in our places on this machine.

use std::os::unix::fs::{PermissionsExt as _, symlink};
use std::path::{Path, PathBuf};

use super::objects::{plant_loose, stored};
use super::world::World;

/// What commands are to make of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Then {
    /// The good orders stay listed and can be changed.
    Usable,
    /// Either is right; the rules for all hold.
    Either,
}

pub struct Disk {
    pub name: String,
    pub make: Box<dyn Fn(&World) + Send + Sync>,
    pub then: Then,
}

fn disk(name: impl Into<String>, then: Then, make: impl Fn(&World) + Send + Sync + 'static) -> Disk {
    Disk { name: name.into(), make: Box::new(make), then }
}

/// Takes away whatever stands at a path.
fn clear(path: &Path) {
    match std::fs::symlink_metadata(path) {
        Ok(m) if m.is_dir() => std::fs::remove_dir_all(path).unwrap(),
        Ok(_) => std::fs::remove_file(path).unwrap(),
        Err(_) => {}
    }
}

fn fifo(path: &Path) {
    assert!(std::process::Command::new("mkfifo").arg(path).status().unwrap().success());
}

/// Every kind of thing that may stand where a file of ours should.
fn replaced() -> Vec<Disk> {
    let ours = [
        ".work",
        ".work/events.jsonl",
        ".work/feed.jsonl",
        ".work/work_orders.jsonl",
        ".work/messages.jsonl",
        ".work/config.toml",
        ".work/templates",
        ".work/templates/feature.toml",
        ".work/routes.jsonl",
        ".work/evidence",
        ".work/.assignment-ceo",
        ".work/.assignment-app-workers-slot1",
        ".work/evil",
        "workers",
        "workers/slot1",
        ".git/vermas",
        ".git/vermas/cache.sqlite",
        ".git/vermas/replica",
        ".git/vermas/events.pin",
        ".git/vermas/committed",
        ".git/vermas/state.lock",
        ".git/vermas/publish.lock",
        ".git/vermas/quarantine.jsonl",
        ".git/vermas/retired",
        ".git/vermas/intent",
        ".git/vermas/sessions",
        ".git/vermas/logs",
        ".git/vermas/bin",
        ".git/vermas/scratch",
        ".git/vermas/cache.sqlite-wal",
        ".git/vermas/cache.sqlite-shm",
    ];
    let mut all = Vec::new();
    for path in ours {
        let at = move |w: &World| -> PathBuf {
            let p = w.app.join(path);
            std::fs::create_dir_all(p.parent().unwrap()).unwrap();
            clear(&p);
            p
        };
        all.push(disk(format!("{path} is a link to a folder outside"), Then::Either, move |w| {
            symlink(w.root().join("outside"), at(w)).unwrap();
        }));
        all.push(disk(format!("{path} is a link to a file outside"), Then::Either, move |w| {
            symlink(w.root().join("outside/secret.txt"), at(w)).unwrap();
        }));
        all.push(disk(format!("{path} is a link to nothing"), Then::Either, move |w| {
            symlink(w.root().join("outside/none"), at(w)).unwrap();
        }));
        all.push(disk(format!("{path} is a link to itself"), Then::Either, move |w| {
            let p = at(w);
            symlink(&p, &p).unwrap();
        }));
        all.push(disk(format!("{path} is a FIFO"), Then::Either, move |w| fifo(&at(w))));
        all.push(disk(format!("{path} is a folder"), Then::Either, move |w| {
            let p = at(w);
            std::fs::create_dir_all(p.join("inner")).unwrap();
            std::fs::write(p.join("inner/file"), "x").unwrap();
        }));
        all.push(disk(format!("{path} is a link to /dev/zero"), Then::Either, move |w| {
            symlink("/dev/zero", at(w)).unwrap();
        }));
        all.push(disk(format!("{path} is an empty file"), Then::Either, move |w| std::fs::write(at(w), "").unwrap()));
        all.push(disk(format!("{path} is a file of junk"), Then::Either, move |w| {
            std::fs::write(at(w), b"\x1b[2J\0\xff junk; $(touch pwned)\n".repeat(100)).unwrap();
        }));
        all.push(disk(format!("{path} is a sparse file of 2 GiB"), Then::Either, move |w| {
            std::fs::File::create(at(w)).unwrap().set_len(2 << 30).unwrap();
        }));
        all.push(disk(format!("{path} may not be touched"), Then::Either, move |w| {
            let p = w.app.join(path);
            if p.exists() {
                std::fs::set_permissions(&p, std::fs::Permissions::from_mode(0o0)).unwrap();
            }
        }));
        all.push(disk(format!("{path} is gone"), Then::Usable, move |w| drop(at(w))));
    }
    all
}

/// Assignment files of odd names and contents.
fn assignments() -> Vec<Disk> {
    let names = [
        ".assignment-",
        ".assignment-..",
        ".assignment--x",
        ".assignment-\u{1b}[2J",
        ".assignment-a\nb",
        ".assignment-$(touch pwned)",
        ".assignment-\u{202e}",
        ".assignment-CEO",
        ".assignment-app-workers-slot999",
    ];
    let mut all = Vec::new();
    for name in names {
        all.push(disk(format!("the file {}", name.escape_default()), Then::Usable, move |w| {
            std::fs::write(w.work(name), "work_order:wo-evil1\n").unwrap();
        }));
    }
    for content in super::lines::payloads() {
        let shown: String = content.escape_default().take(24).collect();
        all.push(disk(format!("an assignment of {shown}"), Then::Usable, move |w| {
            std::fs::write(w.work(".assignment-ceo"), &content).unwrap();
            std::fs::write(w.work(".assignment-app-workers-slot1"), format!("work_order:{content}\nmail:{content}"))
                .unwrap();
        }));
    }
    all.push(disk("2,000 assignment files", Then::Usable, |w| {
        for n in 0..2_000 {
            std::fs::write(w.work(&format!(".assignment-app-workers-slot{n}")), "work_order:wo-none").unwrap();
        }
    }));
    all
}

/// Refs and objects.
fn refs() -> Vec<Disk> {
    let write = |w: &World, name: &str, text: &str| {
        let path = w.app.join(".git").join(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, text).unwrap();
    };
    let none = "0123456789012345678901234567890123456789\n";
    let state = "refs/heads/vermas/state";
    let mut all = vec![
        disk("the state ref is symbolic, to main", Then::Either, move |w| write(w, state, "ref: refs/heads/main\n")),
        disk("the state ref is symbolic, to itself", Then::Either, move |w| {
            write(w, state, "ref: refs/heads/vermas/state\n")
        }),
        disk("the state ref is symbolic, to nothing", Then::Either, move |w| write(w, state, "ref: refs/heads/none\n")),
        disk("the state ref is symbolic, to a path", Then::Either, move |w| {
            write(w, state, "ref: ../../outside/secret.txt\n")
        }),
        disk("the state ref names nothing", Then::Usable, move |w| write(w, state, none)),
        disk("the state ref is empty", Then::Usable, move |w| write(w, state, "")),
        disk("the state ref is NULs", Then::Usable, move |w| write(w, state, "\0\0\0\0")),
        disk("the state ref is junk", Then::Usable, move |w| write(w, state, "\u{1b}[2J junk\n")),
        disk("the state ref names main", Then::Usable, move |w| {
            write(w, state, &(w.git(&["rev-parse", "main"]) + "\n"))
        }),
        disk("the state ref names a tree", Then::Usable, move |w| {
            write(w, state, &(w.git(&["rev-parse", "main^{tree}"]) + "\n"))
        }),
        disk("the state ref names a file", Then::Usable, move |w| {
            write(w, state, &(w.git(&["rev-parse", "main:src/main.txt"]) + "\n"))
        }),
        disk("the backup ref is symbolic, to main", Then::Usable, move |w| {
            write(w, "refs/vermas/backup", "ref: refs/heads/main\n")
        }),
        disk("the backup ref names nothing", Then::Usable, move |w| write(w, "refs/vermas/backup", none)),
        disk("the backup ref is junk", Then::Usable, move |w| write(w, "refs/vermas/backup", "junk\n")),
        disk("the reflog is junk", Then::Usable, move |w| {
            write(w, "logs/refs/heads/vermas/state", "\u{1b}[2J junk\n\0\n")
        }),
        disk("packed-refs is junk", Then::Either, |w| {
            std::fs::write(w.app.join(".git/packed-refs"), "\u{1b}[2J junk\n").unwrap();
        }),
        disk("the remote's URL is an option", Then::Usable, |w| {
            drop(w.git(&["config", "remote.origin.url", "--upload-pack=touch pwned"]))
        }),
        disk("the remote's URL is a command", Then::Usable, |w| {
            drop(w.git(&["config", "remote.origin.url", "ext::sh -c touch% pwned"]))
        }),
        disk("the remote is called by an option", Then::Usable, |w| {
            drop(w.git(&["config", "vermas.remote", "--upload-pack=touch pwned"]))
        }),
        disk("the state branch is called by an option", Then::Either, |w| {
            drop(w.git(&["config", "vermas.branch", "--force"]))
        }),
        disk("the state branch is main", Then::Either, |w| drop(w.git(&["config", "vermas.branch", "main"]))),
        disk("the base is called by an option", Then::Usable, |w| drop(w.git(&["config", "vermas.base", "--orphan"]))),
        disk("the factory is a path", Then::Usable, |w| drop(w.git(&["config", "vermas.factory", "../../x"]))),
        disk("the slots are without number", Then::Usable, |w| drop(w.git(&["config", "vermas.slots", "99999999999"]))),
    ];
    for (what, kind, size) in
        [("empty", "", 0), ("cut short", "blob", 1000), ("of another kind", "tree", 5), ("junk", "junk", 5)]
    {
        for object in ["", "^{tree}", ":events", ":work_orders.jsonl", ":.gitattributes"] {
            let shown = if object.is_empty() { "the commit" } else { object };
            all.push(disk(format!("{shown} of the tip is {what}"), Then::Either, move |w| {
                let oid = w.git(&["rev-parse", &format!("vermas/state{object}")]);
                let bytes =
                    if kind.is_empty() { Vec::new() } else { stored(format!("{kind} {size}\0hello").as_bytes()) };
                plant_loose(&w.app, &oid, &bytes);
            }));
        }
    }
    all
}

pub fn all() -> Vec<Disk> {
    [replaced(), assignments(), refs()].into_iter().flatten().collect()
}
