//! How the program is linked.
//!
//! An agent's hook and a shell's prompt wait for the program to begin, and half of that time is the loader's: it looks for
//! libraries and relocates them and us. A release build for the C library of the machine that it is built on is therefore one
//! piece at a fixed address. `GIT_VERMAS_LINK=dynamic` leaves that to the loader, as packages of a distribution want it.
#![expect(
    clippy::disallowed_methods,
    reason = "a build script is told what is built by the environment, and runs the linker"
)]

use std::path::{Path, PathBuf};
use std::process::Command;
use std::{env, fs};

/// The libraries that rustc names for the C library of GNU, but for the one of mathematics.
const OF_C: [&str; 6] = ["gcc_s", "util", "rt", "pthread", "dl", "c"];

fn main() {
    println!("cargo::rerun-if-changed=build.rs");
    println!("cargo::rerun-if-env-changed=GIT_VERMAS_LINK");
    let is = |key: &str, value: &str| env::var(key).is_ok_and(|v| v == value);
    let is_static = env::var("CARGO_CFG_TARGET_FEATURE").is_ok_and(|f| f.split(',').any(|f| f == "crt-static"));
    let is_gnu = is("CARGO_CFG_TARGET_OS", "linux") && is("CARGO_CFG_TARGET_ENV", "gnu");
    if !is("PROFILE", "release") || !is_gnu || is_static || is("GIT_VERMAS_LINK", "dynamic") {
        return;
    }
    println!("cargo::rustc-link-arg-bins=-no-pie");
    if env::var_os("HOST") == env::var_os("TARGET")
        && let Some(out) = env::var_os("OUT_DIR").map(PathBuf::from)
        && stand_in(&out).is_some()
    {
        println!("cargo::rustc-link-search=native={}", out.display());
        println!("cargo::rustc-link-arg-bins=-static");
    }
}

/// Puts a text for the linker, which names the static library, in place of each shared one that rustc asks for: its own
/// `crt-static` cannot be had beside procedural macros. `None` where the linker cannot make a static program here.
fn stand_in(out: &Path) -> Option<()> {
    let linker = env::var_os("RUSTC_LINKER").unwrap_or_else(|| "cc".into());
    let (source, program) = (out.join("trial.c"), out.join("trial"));
    fs::write(&source, "#include <math.h>\nint main(int n, char **v) { return v[0] == 0 || cos(n) > 2; }\n").ok()?;
    let tried = Command::new(&linker).arg("-static").arg(&source).arg("-lm").arg("-o").arg(&program).output().ok()?;
    if !tried.status.success() || !Command::new(&program).status().ok()?.success() {
        return None;
    }
    let place = |name: &str| {
        let asked = Command::new(&linker).arg(format!("-print-file-name={name}")).output().ok()?;
        let path = PathBuf::from(String::from_utf8(asked.stdout).ok()?.trim());
        (path.is_absolute() && path.exists()).then(|| path.display().to_string())
    };
    let (c, math) = (place("libc.a")?, place("libm.a")?);
    let (unwinding, compiler) = (place("libgcc_eh.a")?, place("libgcc.a")?);
    for name in OF_C {
        fs::write(out.join(format!("lib{name}.so")), format!("GROUP ( {c} {unwinding} {compiler} )\n")).ok()?;
    }
    fs::write(out.join("libm.so"), format!("GROUP ( {math} )\n")).ok()
}
