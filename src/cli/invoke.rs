//! From the process's arguments to the words of a command line.

use std::ffi::OsString;
use std::path::Path;

use super::usage::Said;
use crate::app::fault::Fault;

/// The words to read: the name the program was called by decides what stands before them. `co` is `git vermas`, `wo` is
/// `git vermas wo`; agents and templates written for other implementations call those two.
pub fn words(args: &[OsString]) -> Result<Vec<String>, Said> {
    let mut words = vec!["git-vermas".to_owned()];
    if called_wo(args) {
        words.push("wo".to_owned());
    }
    for (i, arg) in args.iter().enumerate().skip(1) {
        match arg.to_str() {
            Some(word) => words.push(word.to_owned()),
            None => return Err(Said::Fault(not_text(i, arg))),
        }
    }
    Ok(words)
}

/// Whether the program was called under the name `wo`.
pub fn called_wo(args: &[OsString]) -> bool {
    args.first().and_then(|name| Path::new(name).file_name()).is_some_and(|name| name == "wo")
}

fn not_text(position: usize, arg: &OsString) -> Fault {
    Fault::usage(format!("argument {position} is not UTF-8 text: {arg:?}"))
        .hint("give bytes that are no text in a file (-F), or rename the file")
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::ffi::OsStringExt as _;

    fn read(args: &[&str]) -> Vec<String> {
        words(&args.iter().map(OsString::from).collect::<Vec<_>>()).unwrap_or_default()
    }

    #[test]
    fn the_name_decides_what_stands_before() {
        assert_eq!(read(&["/usr/bin/git-vermas", "sync"]), ["git-vermas", "sync"]);
        assert_eq!(read(&["co", "inbox"]), ["git-vermas", "inbox"]);
        assert_eq!(read(&["./bin/wo", "ready"]), ["git-vermas", "wo", "ready"]);
        assert_eq!(read(&["wo"]), ["git-vermas", "wo"]);
        assert_eq!(read(&[]), ["git-vermas"]);
    }

    #[test]
    fn bytes_that_are_no_text_are_named_by_place() {
        let args = [OsString::from("co"), OsString::from_vec(vec![b'a', 0xff])];
        let Err(Said::Fault(fault)) = words(&args) else { panic!("that was read") };
        assert_eq!(fault.message, "argument 1 is not UTF-8 text: \"a\\xFF\"");
    }
}
