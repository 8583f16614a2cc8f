//! Killed before any call that changes something: nothing is lost or torn, and the next command works unaided.

use super::scene::{CHANGES, Scene};
use super::tally::Tally;
use super::trace::{Point, calls, has_strace, own_points, stopped};
use super::{is_long, is_wanted};

/// How many commands the short form tries, of all.
const SHORT: usize = 5;

#[test]
fn killed_before_any_call_of_any_changing_command_nothing_is_lost_and_the_next_command_works() {
    let scene = Scene::new();
    let mut tally = Tally::default();
    let traced = is_long() && has_strace();
    let few = CHANGES.len().div_ceil(SHORT);
    for (i, case) in CHANGES.iter().enumerate().filter(|(_, c)| is_wanted(c.words)) {
        if !is_long() && i % few != 0 {
            continue;
        }
        scene.restore();
        let args = scene.words(*case);
        let mut all: Vec<(Point, &str)> = Vec::new();
        for p in own_points(&scene, case.dir, &args) {
            if p.text.starts_with("Write") {
                all.push((p.clone(), "torn"));
            }
            all.push((p, "kill"));
        }
        if traced {
            scene.restore();
            all.extend(calls(&scene, case.dir, &args, false).into_iter().map(|p| (p, "kill")));
        }
        if !is_long() {
            // Another place in each command.
            all = all.get((i * 37 + 11) % all.len().max(1)).cloned().into_iter().collect();
        }
        for (point, how) in all {
            scene.restore();
            let before = scene.log(case.dir);
            let at = format!("{}: {how} at {point}", case.words);
            if let Some(said) = stopped(&scene, case.dir, &args, &point, how) {
                tally.look(&scene, *case, &before, &said, &at);
            }
        }
    }
    tally.prove("killed");
}
