//! What a person sees when the program has a fault of its own: one sentence, no backtrace.

use std::backtrace::Backtrace;
use std::panic::PanicHookInfo;

use crate::sys::env;
use crate::ui::{Stream, escape};

/// The exit code of a program that broke.
const CODE: i32 = 1;

/// Makes a panic end the process with one sentence on standard error. `VERMAS_DEBUG` adds the backtrace.
pub fn install() {
    std::panic::set_hook(Box::new(|info| {
        let mut text = sentence(&message(info), info.location().map(ToString::to_string).as_deref());
        if env::var_os("VERMAS_DEBUG").is_some() {
            text.push_str(&format!("{}\n", Backtrace::force_capture()));
        }
        let _ = Stream::Err.write(text.as_bytes());
        std::process::exit(CODE);
    }));
}

fn message(info: &PanicHookInfo<'_>) -> String {
    let payload = info.payload();
    let text = payload.downcast_ref::<&str>().map(|s| (*s).to_owned());
    text.or_else(|| payload.downcast_ref::<String>().cloned()).unwrap_or_else(|| "no message".to_owned())
}

fn sentence(message: &str, place: Option<&str>) -> String {
    format!(
        "internal error in git-vermas {} at {}: {}; please report it with the command that led to it\n",
        env!("CARGO_PKG_VERSION"),
        place.unwrap_or("an unknown place"),
        escape::line(message),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_sentence_is_one_line_whatever_the_message() {
        let text = sentence("a\nb\x1b[2J", Some("src/x.rs:1:2"));
        assert_eq!(text.lines().count(), 1);
        assert!(text.contains("at src/x.rs:1:2: a\\nb\\x1b[2J; please report it"), "{text}");
    }
}
