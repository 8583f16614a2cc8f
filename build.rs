//! How the program is linked.
#![expect(clippy::disallowed_methods, reason = "a build script is told what is built by the environment")]

use std::env;

fn main() {
    println!("cargo::rerun-if-changed=build.rs");
    let is = |key: &str, value: &str| env::var(key).is_ok_and(|v| v == value);
    // At a fixed address there is nothing to relocate: a third of the time that an agent's hook or a shell's prompt waits for
    // the program to begin is the loader's work on a position-independent one.
    if is("PROFILE", "release") && is("CARGO_CFG_TARGET_OS", "linux") && is("CARGO_CFG_TARGET_ENV", "gnu") {
        println!("cargo::rustc-link-arg-bins=-no-pie");
    }
}
