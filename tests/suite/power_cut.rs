//! Power cuts: nothing that was acknowledged is lost, and the repository is sound after one command.
//!
//! Needs root, ext4 and a loop device, and takes a while: only with `VERMAS_LONG=1`. It prints the figure that it proves.

use std::process::Command;

#[test]
fn nothing_acknowledged_is_lost_by_a_power_cut() {
    if std::env::var_os("VERMAS_LONG").is_none() {
        println!("left out: set VERMAS_LONG=1 (as root, with mkfs.ext4 and a loop device)");
        return;
    }
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/power_cut/power_cut.py");
    let out = Command::new("python3")
        .args([script, "--program", env!("CARGO_BIN_EXE_git-vermas"), "--cuts", "60", "--writers", "8"])
        .output()
        .unwrap();
    println!("{}", String::from_utf8_lossy(&out.stdout));
    assert!(out.status.success(), "{}{}", String::from_utf8_lossy(&out.stdout), String::from_utf8_lossy(&out.stderr));
}
