//! Long text on a terminal goes through the pager that git would use.

use unicode_width::UnicodeWidthChar as _;

use crate::sys::{env, process::Cmd};

/// The pager's command line, chosen as git does (git-var, GIT_PAGER): `GIT_PAGER`, `core.pager`, `PAGER`, `less`. `None`
/// where the person wants none. It comes from this machine's environment and settings only, never from the state.
pub fn pager(core_pager: Option<String>) -> Option<String> {
    let chosen =
        env::var("GIT_PAGER").or(core_pager).or_else(|| env::var("PAGER")).unwrap_or_else(|| "less".to_owned());
    let chosen = chosen.trim();
    (!chosen.is_empty() && chosen != "cat").then(|| chosen.to_owned())
}

/// Shows text in the pager; `false` where there is none to be had, so that the caller prints it.
pub fn show(pager: &str, text: &str) -> bool {
    // As git does: the setting is a line for the shell, and `less` leaves short text on the screen, colours in it.
    let mut command = Cmd::new("sh").args(["-c", pager]);
    if env::var_os("LESS").is_none() {
        command = command.env("LESS", "FRX");
    }
    if env::var_os("LV").is_none() {
        command = command.env("LV", "-c");
    }
    // 126 and 127 are the shell's way to say that it could not start the pager.
    command.piped_into(text.as_bytes()).is_ok_and(|status| !matches!(status.code(), Some(126 | 127)))
}

/// How many rows of a terminal the text takes, wrapped lines counted, colour codes not.
pub fn rows(text: &str, width: usize) -> usize {
    let cells = |line: &str| {
        let mut in_code = false;
        let visible = line.chars().filter(|c| {
            let hidden = in_code || *c == '\x1b';
            in_code = hidden && *c != 'm';
            !hidden
        });
        visible.map(|c| c.width().unwrap_or(0)).sum::<usize>()
    };
    text.lines().map(|line| cells(line).div_ceil(width.max(1)).max(1)).sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_count_wrapped_lines_and_no_colour_codes() {
        assert_eq!(rows("", 10), 0);
        assert_eq!(rows("a\n\nb\n", 10), 3);
        assert_eq!(rows("0123456789012", 10), 2);
        assert_eq!(rows("\x1b[1;31m0123456789\x1b[0m", 10), 1);
    }

    #[test]
    fn a_pager_that_cannot_be_started_is_no_pager() {
        assert!(!show("/no/such/pager", "text"));
        assert!(show("cat >/dev/null", "text"));
    }
}
