//! Where the bytes of events are read from: the log, or memory for a state that is not the present one. And how the lines
//! of a file are gone through that may be of any size.

use std::fs::File;
use std::io;

use crate::sys::fs;
use crate::wire::line;

/// Bytes that an offset and a length lead to.
pub trait Lines {
    fn read_at(&self, offset: u64, len: usize) -> io::Result<Vec<u8>>;
}

impl Lines for File {
    fn read_at(&self, offset: u64, len: usize) -> io::Result<Vec<u8>> {
        fs::read_at(self, offset, len)
    }
}

impl Lines for Vec<u8> {
    fn read_at(&self, offset: u64, len: usize) -> io::Result<Vec<u8>> {
        let start = usize::try_from(offset).unwrap_or(usize::MAX);
        let part = self.get(start..start.saturating_add(len));
        part.map(<[u8]>::to_vec).ok_or_else(|| io::ErrorKind::UnexpectedEof.into())
    }
}

/// Reads pieces that follow each other, many with one call.
pub struct Window<'a> {
    lines: &'a dyn Lines,
    /// Behind this there is nothing to read.
    end: u64,
    at: u64,
    bytes: Vec<u8>,
}

impl<'a> Window<'a> {
    pub fn new(lines: &'a dyn Lines, end: u64) -> Self {
        Self { lines, end, at: 0, bytes: Vec::new() }
    }

    pub fn read(&mut self, offset: u64, len: usize) -> io::Result<&[u8]> {
        let holds = offset >= self.at && offset + len as u64 <= self.at + self.bytes.len() as u64;
        if !holds {
            let rest = usize::try_from(self.end.saturating_sub(offset)).unwrap_or(usize::MAX);
            (self.at, self.bytes) = (offset, self.lines.read_at(offset, PART.min(rest).max(len))?);
        }
        let from = usize::try_from(offset - self.at).unwrap_or_default();
        Ok(&self.bytes[from..from + len])
    }
}

/// How much of a file is read at once, in bytes.
const PART: usize = 1 << 20;
/// Of a line that is longer than this only the last of it is given: an event may stand behind what somebody left
/// unfinished. What may be read is a sixteenth of it.
const LONGEST: usize = 16 << 20;

/// The complete lines of a file, a part at a time, so that neither a long file nor one without newlines fills the memory.
#[derive(Debug)]
pub struct Parts {
    /// Complete lines.
    bytes: Vec<u8>,
    /// Where these begin.
    at: u64,
    /// Where the next ones do.
    next: u64,
}

impl Parts {
    /// Begins at an offset, which is that of a line.
    pub fn from(offset: u64) -> Self {
        Self { bytes: Vec::new(), at: offset, next: offset }
    }

    /// Reads on. False where no complete line follows.
    pub fn read(&mut self, file: &File) -> io::Result<bool> {
        self.at = self.next;
        let mut most = PART;
        loop {
            self.bytes = fs::read_up_to(file, self.at, most)?;
            if let Some(end) = last_newline(&self.bytes) {
                self.bytes.truncate(end);
                self.next = self.at + end as u64;
                return Ok(true);
            }
            if self.bytes.len() < most {
                self.bytes.clear();
                return Ok(false);
            }
            if most >= LONGEST {
                return self.cut(file);
            }
            most *= 2;
        }
    }

    /// The end of a line stands for all of it, if it ends at all.
    fn cut(&mut self, file: &File) -> io::Result<bool> {
        let mut from = self.at + self.bytes.len() as u64;
        loop {
            self.bytes = fs::read_up_to(file, from, PART)?;
            if let Some(end) = memchr::memchr(b'\n', &self.bytes) {
                self.next = from + end as u64 + 1;
                self.at = self.next - LONGEST as u64 - 1;
                self.bytes = fs::read_at(file, self.at, LONGEST + 1)?;
                return Ok(true);
            }
            if self.bytes.is_empty() {
                return Ok(false);
            }
            from += self.bytes.len() as u64;
        }
    }

    /// What follows the last complete line: its end, if it is longer than [`LONGEST`].
    pub fn rest(&self, file: &File) -> io::Result<Vec<u8>> {
        let size = file.metadata()?.len();
        fs::read_up_to(file, self.next.max(size.saturating_sub(LONGEST as u64)), LONGEST)
    }

    /// The lines of this part: (offset in the file, bytes without the newline).
    pub fn lines(&self) -> impl Iterator<Item = (u64, &[u8])> {
        line::complete(&self.bytes).map(|(at, raw)| (self.at + at as u64, raw))
    }

    /// The lines of this part in which a text stands.
    pub fn lines_with(&self, text: &[u8]) -> impl Iterator<Item = &[u8]> {
        let finder = memchr::memmem::Finder::new(text).into_owned();
        self.lines().map(|(_, raw)| raw).filter(move |raw| finder.find(raw).is_some())
    }

    /// The offset behind the lines that were given.
    pub fn end(&self) -> u64 {
        self.next
    }
}

fn last_newline(bytes: &[u8]) -> Option<usize> {
    memchr::memrchr(b'\n', bytes).map(|p| p + 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn file_of(bytes: &[u8]) -> File {
        let mut file = tempfile::tempfile().unwrap();
        fs::append(&mut file, bytes).unwrap();
        file
    }

    /// What is given of a file, and where that ends.
    fn given(file: &File, from: u64) -> (Vec<(u64, usize)>, u64) {
        let (mut parts, mut all) = (Parts::from(from), Vec::new());
        while parts.read(file).unwrap() {
            all.extend(parts.lines().map(|(at, raw)| (at, raw.len())));
        }
        (all, parts.end())
    }

    #[test]
    fn lines_are_given_whole_wherever_a_part_ends() {
        let text: Vec<u8> = (0..300_000).flat_map(|n| format!("{n}\n").into_bytes()).collect();
        let file = file_of(&[&text[..], b"torn"].concat());
        let (lines, end) = given(&file, 0);
        assert_eq!(end, text.len() as u64);
        assert_eq!(lines.len(), 300_000);
        assert_eq!(lines.last(), Some(&(end - 7, 6)));
        assert_eq!(given(&file, end), (Vec::new(), end));
    }

    #[test]
    fn a_line_longer_than_a_part_is_given_whole_and_the_end_of_one_without_measure() {
        let long = [vec![b'x'; 3 * PART], b"\n".to_vec()].concat();
        let endless = [vec![0; 2 * LONGEST + 9], b"\nlast\n".to_vec()].concat();
        let file = file_of(&[&b"first\n"[..], &long, &endless].concat());
        let behind = 6 + long.len() as u64;
        let last = behind + 2 * LONGEST as u64 + 10;
        let (lines, end) = given(&file, 0);
        assert_eq!(lines, [(0, 5), (6, 3 * PART), (last - LONGEST as u64 - 1, LONGEST), (last, 4)]);
        assert_eq!(end, last + 5);
    }

    #[test]
    fn what_never_ends_is_no_line() {
        let endless = file_of(&[vec![0; LONGEST + PART], b"end".to_vec()].concat());
        assert_eq!(given(&endless, 0), (Vec::new(), 0));
        let rest = Parts::from(0).rest(&endless).unwrap();
        assert!(rest.len() == LONGEST && rest.ends_with(b"\0end"));
        assert_eq!(Parts::from(0).rest(&file_of(b"torn")).unwrap(), b"torn");
        assert_eq!(given(&file_of(b""), 0), (Vec::new(), 0));
    }
}
