//! What was unpacked lately. Segments lie in a pack as long chains of deltas: without this each one read would unpack all
//! before it anew.

use std::collections::{HashMap, VecDeque};

use gix::objs::Kind;
use gix::odb::pack::cache::DecodeEntry;

/// How many bytes are kept at the most.
const MOST_BYTES: usize = 8 << 20;

struct Unpacked {
    kind: Kind,
    data: Vec<u8>,
    compressed_size: usize,
}

/// The objects unpacked last, by pack and place.
#[derive(Default)]
pub(super) struct PackCache {
    all: HashMap<(u32, u64), Unpacked>,
    oldest_first: VecDeque<(u32, u64)>,
    bytes: usize,
}

impl DecodeEntry for PackCache {
    fn put(&mut self, pack_id: u32, offset: u64, data: &[u8], kind: Kind, compressed_size: usize) {
        let key = (pack_id, offset);
        if data.len() > MOST_BYTES / 8 || self.all.contains_key(&key) {
            return;
        }
        self.bytes += data.len();
        self.all.insert(key, Unpacked { kind, data: data.to_vec(), compressed_size });
        self.oldest_first.push_back(key);
        while self.bytes > MOST_BYTES
            && let Some(oldest) = self.oldest_first.pop_front()
        {
            self.bytes -= self.all.remove(&oldest).map_or(0, |u| u.data.len());
        }
    }

    fn get(&mut self, pack_id: u32, offset: u64, out: &mut Vec<u8>) -> Option<(Kind, usize)> {
        let found = self.all.get(&(pack_id, offset))?;
        out.clear();
        out.extend_from_slice(&found.data);
        Some((found.kind, found.compressed_size))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_unpacked_first_goes_first() {
        let (mut cache, mut out) = (PackCache::default(), Vec::new());
        for offset in 0..20 {
            cache.put(1, offset, &[u8::try_from(offset).unwrap(); MOST_BYTES / 8], Kind::Blob, 7);
        }
        assert_eq!(cache.get(1, 19, &mut out), Some((Kind::Blob, 7)));
        assert_eq!((out.len(), out[0]), (MOST_BYTES / 8, 19));
        assert!(cache.get(1, 12, &mut out).is_some());
        assert!(cache.get(1, 11, &mut out).is_none());
        assert!(cache.get(2, 19, &mut out).is_none());
        assert!(cache.bytes <= MOST_BYTES);
    }
}
