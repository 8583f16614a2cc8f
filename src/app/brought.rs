//! What a commit of the state branch brought: the events that it has and none of its parents has.
//!
//! It is read from the commit itself. Its message names events, too, but anybody who can push writes messages.

use std::collections::hash_map::RandomState;
use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::hash::BuildHasher;
use std::rc::Rc;

use super::fault::Fault;
use super::past;
use super::session::Session;
use crate::domain::event::Event;
use crate::git::objects::CommitInfo;
use crate::git::{Entry, Oid, Repo};
use crate::store::{Segment, StoreError, folders, segments_in, segments_of};
use crate::wire::line;

/// How many texts are held, and how many folders: a commit's are its child's earlier ones.
const MOST_TEXTS: usize = 16;
/// No text is held that is larger than any that we write: somebody's may be very large.
const LARGEST_HELD: usize = 128 * 1024;
const MOST_FOLDERS: usize = 1024;

/// The folders of a commit's replicas.
type Folders = BTreeMap<String, Entry>;

/// Reads commit after commit, keeping what neighbours share.
pub struct Reader {
    folders: HashMap<Oid, Rc<Vec<Segment>>>,
    texts: HashMap<Oid, Rc<Vec<u8>>>,
    /// The lines of each path's segment, as far as they were asked for.
    lines: HashMap<String, (Oid, HashSet<u64>)>,
    hasher: RandomState,
    /// Whether a line may stand in two segments: of everything a commit adds, all that was there must be looked through.
    has_doubles: bool,
}

impl Default for Reader {
    fn default() -> Self {
        Self {
            folders: HashMap::new(),
            texts: HashMap::new(),
            lines: HashMap::new(),
            hasher: RandomState::new(),
            has_doubles: true,
        }
    }
}

impl Reader {
    /// For a walk through the history that the session looks at: what can be left out there is found out first.
    pub fn for_walk(session: &mut Session) -> Result<Self, Fault> {
        let known = session.view()?.bytes_on_branch()?;
        let repo = session.store.repo();
        let mut there = 0;
        if let Some(tip) = past::commit_in_view(&session.store)? {
            for segment in segments_of(repo, repo.commit(tip)?.tree)?.values() {
                there += repo.blob_size(segment.oid)?;
            }
        }
        Ok(Self { has_doubles: there != known, ..Self::default() })
    }

    /// What a commit brought, in the total order. One whose parents are not here, where a clone is shallow, brought all it
    /// has.
    pub fn events(&mut self, repo: &Repo, commit: &CommitInfo) -> Result<Vec<Event>, StoreError> {
        let (now, before) = sides(repo, commit)?;
        let mut fresh: BTreeSet<Vec<u8>> = BTreeSet::new();
        for segment in self.changed(repo, &now, &before)? {
            let mut earlier = Vec::new();
            for b in &before {
                let was = self.segments(repo, b.get(&segment.replica))?;
                for old in was.iter().filter(|o| o.number == segment.number) {
                    earlier.push(self.text(repo, old.oid)?);
                }
            }
            let old: HashSet<&[u8]> = earlier.iter().flat_map(|t| t.split(|b| *b == b'\n')).collect();
            let text = self.text(repo, segment.oid)?;
            let new = text.split(|b| *b == b'\n').filter(|l| !l.is_empty() && !old.contains(l));
            let new = new.filter(|l| line::event(l).is_ok());
            fresh.extend(new.map(<[u8]>::to_vec));
        }
        // A line may have stood in another segment before: of a clone that was copied, or because somebody put it there again.
        let everywhere = self.has_doubles || commit.parents.len() > 1;
        for b in &before {
            if fresh.is_empty() {
                break;
            }
            let olds = if everywhere { self.all(repo, b)? } else { self.changed(repo, b, std::slice::from_ref(&now))? };
            for old in olds {
                self.strike_out(repo, &old, &mut fresh)?;
            }
        }
        let mut events: Vec<Event> = fresh.into_iter().filter_map(|l| line::event(&l).ok()).collect();
        events.sort_by(Event::order);
        Ok(events)
    }

    /// The replicas whose segments a commit changed.
    pub fn replicas(&mut self, repo: &Repo, commit: &CommitInfo) -> Result<BTreeSet<String>, StoreError> {
        let (now, before) = sides(repo, commit)?;
        Ok(self.changed(repo, &now, &before)?.into_iter().map(|s| s.replica).collect())
    }

    /// The segments of one side that no other side has.
    fn changed(&mut self, repo: &Repo, side: &Folders, others: &[Folders]) -> Result<Vec<Segment>, StoreError> {
        let mut all = Vec::new();
        for (replica, folder) in side {
            let others: Vec<&Entry> = others.iter().filter_map(|o| o.get(replica)).collect();
            if others.iter().any(|o| o.oid == folder.oid) {
                continue;
            }
            let mut mine = self.segments(repo, Some(folder))?.to_vec();
            for other in others {
                let theirs = self.segments(repo, Some(other))?;
                mine.retain(|s| !theirs.contains(s));
            }
            all.append(&mut mine);
        }
        Ok(all)
    }

    fn all(&mut self, repo: &Repo, side: &Folders) -> Result<Vec<Segment>, StoreError> {
        self.changed(repo, side, &[])
    }

    fn segments(&mut self, repo: &Repo, folder: Option<&Entry>) -> Result<Rc<Vec<Segment>>, StoreError> {
        let Some(folder) = folder else { return Ok(Rc::default()) };
        if let Some(known) = self.folders.get(&folder.oid).filter(|f| f.iter().all(|s| s.replica == folder.name)) {
            return Ok(Rc::clone(known));
        }
        let read = Rc::new(segments_in(repo, folder)?);
        if self.folders.len() >= MOST_FOLDERS {
            self.folders.clear();
        }
        self.folders.insert(folder.oid, Rc::clone(&read));
        Ok(read)
    }

    fn text(&mut self, repo: &Repo, oid: Oid) -> Result<Rc<Vec<u8>>, StoreError> {
        if let Some(known) = self.texts.get(&oid) {
            return Ok(Rc::clone(known));
        }
        let read = Rc::new(repo.blob(oid)?);
        if self.texts.len() >= MOST_TEXTS {
            self.texts.clear();
        }
        if read.len() <= LARGEST_HELD {
            self.texts.insert(oid, Rc::clone(&read));
        }
        Ok(read)
    }

    /// Takes away the lines that a segment has.
    fn strike_out(&mut self, repo: &Repo, old: &Segment, fresh: &mut BTreeSet<Vec<u8>>) -> Result<(), StoreError> {
        let path = old.path();
        if self.lines.get(&path).is_none_or(|(known, _)| *known != old.oid) {
            let text = self.text(repo, old.oid)?;
            let lines = text.split(|b| *b == b'\n').map(|l| self.hasher.hash_one(l)).collect();
            self.lines.insert(path.clone(), (old.oid, lines));
        }
        if let Some((_, known)) = self.lines.get(&path) {
            fresh.retain(|l| !known.contains(&self.hasher.hash_one(l.as_slice())));
        }
        Ok(())
    }
}

/// The folders of a commit, and those of its parents, as far as they are here.
fn sides(repo: &Repo, commit: &CommitInfo) -> Result<(Folders, Vec<Folders>), StoreError> {
    let read = |tree| -> Result<Folders, StoreError> {
        Ok(folders(repo, tree)?.into_iter().map(|e| (e.name.clone(), e)).collect())
    };
    let parents = commit.parents.iter().filter_map(|p| repo.commit(*p).ok());
    Ok((read(commit.tree)?, parents.map(|p| read(p.tree)).collect::<Result<_, _>>()?))
}
