//! What is at the other end of a stream, and writing to it.

use std::io;

use rustix::fd::{AsFd, BorrowedFd};

use crate::sys::env;

/// The narrowest and the widest terminal that is believed, in cells.
const BELIEVABLE: std::ops::RangeInclusive<usize> = 20..=1000;

/// One of the two streams a person reads.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stream {
    Out,
    Err,
}

impl Stream {
    fn fd(self) -> BorrowedFd<'static> {
        match self {
            Self::Out => rustix::stdio::stdout(),
            Self::Err => rustix::stdio::stderr(),
        }
    }

    pub fn is_terminal(self) -> bool {
        rustix::termios::isatty(self.fd())
    }

    /// Whether escape codes make sense there: a terminal that is not dumb, or git's own pager behind a pipe.
    pub fn understands_colour(self) -> bool {
        let dumb = env::var("TERM").is_none_or(|t| t == "dumb");
        let gits_pager = || self == Self::Out && env::var("GIT_PAGER_IN_USE").is_some_and(|v| v == "true" || v == "1");
        !dumb && (self.is_terminal() || gits_pager())
    }

    /// Width and height in cells. `COLUMNS` and `LINES` have the first word; a terminal that says nothing has 80 by 24.
    pub fn size(self) -> (usize, usize) {
        let said = |name| env::var(name).and_then(|v| v.parse::<usize>().ok()).filter(|n| *n > 0);
        let real = rustix::termios::tcgetwinsize(self.fd()).ok().filter(|s| s.ws_col > 0 && s.ws_row > 0);
        let width = said("COLUMNS").or(real.map(|s| usize::from(s.ws_col))).unwrap_or(80);
        let height = said("LINES").or(real.map(|s| usize::from(s.ws_row))).unwrap_or(24);
        (width.clamp(*BELIEVABLE.start(), *BELIEVABLE.end()), height)
    }

    /// Writes all of it, in one call where the system takes it in one.
    pub fn write(self, bytes: &[u8]) -> io::Result<()> {
        write_all(self.fd(), bytes)
    }
}

fn write_all(fd: impl AsFd, mut bytes: &[u8]) -> io::Result<()> {
    while !bytes.is_empty() {
        match rustix::io::write(&fd, bytes) {
            Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
            Ok(n) => bytes = &bytes[n..],
            Err(rustix::io::Errno::INTR) => {}
            // A stream that somebody else made non-blocking (ssh and node do): wait until it takes more.
            Err(rustix::io::Errno::AGAIN) => crate::sys::clock::sleep(std::time::Duration::from_millis(1)),
            Err(e) => return Err(e.into()),
        }
    }
    Ok(())
}

/// Whether a terminal can be handed to another program.
pub fn at_a_terminal() -> bool {
    rustix::termios::isatty(rustix::stdio::stdin()) && Stream::Out.is_terminal()
}

/// Whether a person can be asked something: there is a keyboard, and a screen for the question.
pub fn has_person() -> bool {
    rustix::termios::isatty(rustix::stdio::stdin()) && Stream::Err.is_terminal()
}
