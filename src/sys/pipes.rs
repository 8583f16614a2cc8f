//! The pipes to a child, served without ever waiting for whoever else holds their other ends.
//!
//! A child may leave somebody behind that keeps its pipes open: a multiplexing ssh, a server that a hook started. What the
//! child itself wrote is in the pipes when it ends, and is taken then; nobody waits for the rest.

use std::collections::VecDeque;
use std::io::{self, Read, Write};
use std::os::fd::AsFd;
use std::process::{Child, ChildStderr, ChildStdin, ChildStdout};

use rustix::fs::{OFlags, fcntl_getfl, fcntl_setfl};

/// How much is read at once, and how often in one turn: more than a pipe holds, and not for ever.
const CHUNK: usize = 64 * 1024;
const MOST_READS: usize = 64;
/// What is kept of standard error, which anybody at the other end of a line can fill: its beginning, and its end.
const HEAD: usize = 4 * 1024;
const TAIL: usize = 12 * 1024;

/// Our ends of a child's pipes, and what came through them.
pub(super) struct Pipes<'a> {
    input: Option<(ChildStdin, &'a [u8])>,
    out: Option<ChildStdout>,
    err: Option<ChildStderr>,
    stdout: Vec<u8>,
    stderr: Ends,
}

impl<'a> Pipes<'a> {
    /// Takes the pipes of a child that was just started.
    pub fn of(child: &mut Child, input: Option<&'a [u8]>) -> io::Result<Self> {
        let pipes = Self {
            input: child.stdin.take().zip(input),
            out: child.stdout.take(),
            err: child.stderr.take(),
            stdout: Vec::new(),
            stderr: Ends::default(),
        };
        pipes.input.as_ref().map_or(Ok(()), |(p, _)| never_block(p))?;
        pipes.out.as_ref().map_or(Ok(()), never_block)?;
        pipes.err.as_ref().map_or(Ok(()), never_block)?;
        Ok(pipes)
    }

    /// Passes on what can be passed on at once. True where something was.
    pub fn turn(&mut self) -> bool {
        let mut moved = false;
        if let Some((pipe, left)) = &mut self.input {
            match pipe.write(left) {
                Ok(n) => {
                    *left = &left[n..];
                    moved = true;
                }
                Err(e) if is_momentary(&e) => {}
                // A child that does not read its input to the end is judged by its exit code.
                Err(_) => *left = &[],
            }
            if left.is_empty() {
                self.input = None;
            }
        }
        let stdout = &mut self.stdout;
        moved |= take(&mut self.out, |bytes| stdout.extend_from_slice(bytes));
        moved |= take(&mut self.err, |bytes| self.stderr.add(bytes));
        moved
    }

    /// Whether there is anybody at the other end of a pipe.
    pub fn are_open(&self) -> bool {
        self.input.is_some() || self.may_say_more()
    }

    /// Whether somebody could still say something.
    pub fn may_say_more(&self) -> bool {
        self.out.is_some() || self.err.is_some()
    }

    /// What came through standard output and standard error.
    pub fn said(self) -> (Vec<u8>, Vec<u8>) {
        (self.stdout, self.stderr.bytes())
    }
}

fn never_block(pipe: &impl AsFd) -> io::Result<()> {
    Ok(fcntl_setfl(pipe, fcntl_getfl(pipe)? | OFlags::NONBLOCK)?)
}

fn is_momentary(e: &io::Error) -> bool {
    matches!(e.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::Interrupted)
}

/// Takes what is in a pipe, and lets go of one that is closed. True where something came.
fn take<P: Read>(pipe: &mut Option<P>, mut keep: impl FnMut(&[u8])) -> bool {
    let Some(open) = pipe else { return false };
    let mut buffer = [0; CHUNK];
    for n in 0..MOST_READS {
        match open.read(&mut buffer) {
            Ok(0) => break,
            Ok(len) => keep(&buffer[..len]),
            Err(e) if is_momentary(&e) => return n > 0,
            // What was read before an error is still what the child said.
            Err(_) => break,
        }
        if n + 1 == MOST_READS {
            return true;
        }
    }
    *pipe = None;
    true
}

/// The beginning and the end of a text of any length.
#[derive(Default)]
struct Ends {
    head: Vec<u8>,
    tail: VecDeque<u8>,
    left_out: usize,
}

impl Ends {
    fn add(&mut self, bytes: &[u8]) {
        let (head, rest) = bytes.split_at(bytes.len().min(HEAD - self.head.len()));
        self.head.extend_from_slice(head);
        self.tail.extend(rest);
        let over = self.tail.len().saturating_sub(TAIL);
        self.tail.drain(..over);
        self.left_out += over;
    }

    fn bytes(self) -> Vec<u8> {
        let mut all = self.head;
        if self.left_out > 0 {
            all.extend_from_slice(format!("\n[{} bytes left out]\n", self.left_out).as_bytes());
        }
        all.extend(self.tail);
        all
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn of_a_long_text_beginning_and_end_are_kept() {
        let mut ends = Ends::default();
        ends.add(b"first\n");
        for _ in 0..100 {
            ends.add(&[b'x'; 1000]);
        }
        ends.add(b"\nlast");
        let text = String::from_utf8(ends.bytes()).unwrap();
        assert!(text.starts_with("first\n") && text.ends_with("\nlast") && text.len() < HEAD + TAIL + 100, "{text}");
        assert!(text.contains("bytes left out"), "{text}");
        let mut short = Ends::default();
        short.add(&[b'y'; HEAD + TAIL]);
        assert_eq!(short.bytes(), [b'y'; HEAD + TAIL]);
    }
}
