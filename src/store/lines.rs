//! Where the bytes of events are read from: the log, or memory for a state that is not the present one.

use std::fs::File;
use std::io;

use crate::sys::fs;

/// Bytes that an offset and a length lead to.
pub trait Lines {
    fn read_at(&self, offset: u64, len: usize) -> io::Result<Vec<u8>>;

    /// Everything.
    fn read_all(&self) -> io::Result<Vec<u8>>;
}

impl Lines for File {
    fn read_at(&self, offset: u64, len: usize) -> io::Result<Vec<u8>> {
        fs::read_at(self, offset, len)
    }

    fn read_all(&self) -> io::Result<Vec<u8>> {
        fs::read_from(self, 0)
    }
}

impl Lines for Vec<u8> {
    fn read_at(&self, offset: u64, len: usize) -> io::Result<Vec<u8>> {
        let start = usize::try_from(offset).unwrap_or(usize::MAX);
        let part = self.get(start..start.saturating_add(len));
        part.map(<[u8]>::to_vec).ok_or_else(|| io::ErrorKind::UnexpectedEof.into())
    }

    fn read_all(&self) -> io::Result<Vec<u8>> {
        Ok(self.clone())
    }
}
