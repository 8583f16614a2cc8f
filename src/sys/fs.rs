//! Where a byte reaches the disk.
//!
//! Functions that write say what survives a crash. Files under `.work/` are opened without following links.

use std::fs::{File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::{FileExt, MetadataExt as _, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};

use rustix::fs::OFlags;

pub use super::stamp::Stamp;
use super::world::{self, Act};

/// The largest file that is read whole, in bytes.
pub const MAX_WHOLE_FILE: u64 = 1 << 30;

/// No link is followed, no child inherits it, and a FIFO that stands where a file should keeps nobody waiting.
pub(super) fn guarded() -> i32 {
    i32::try_from((OFlags::NOFOLLOW | OFlags::CLOEXEC | OFlags::NONBLOCK).bits()).unwrap_or_default()
}

fn regular(file: File) -> io::Result<File> {
    if file.metadata()?.is_file() { Ok(file) } else { Err(not_regular()) }
}

/// Adds the path to an error, which the system leaves out.
pub fn named(path: &Path, e: &io::Error) -> io::Error {
    io::Error::new(e.kind(), format!("{}: {}", path.display(), plain(e)))
}

/// The system's own error for a disk without room, where somebody else told of one.
pub fn no_room() -> io::Error {
    rustix::io::Errno::NOSPC.into()
}

/// An error of the system in its own words, without the number.
pub fn plain(e: &io::Error) -> String {
    let text = e.to_string();
    text.split(" (os error").next().unwrap_or(&text).to_owned()
}

/// Reads a regular file whole; links are not followed, and a file over [`MAX_WHOLE_FILE`] is refused.
pub fn read(path: &Path) -> io::Result<Vec<u8>> {
    let file = OpenOptions::new().read(true).custom_flags(guarded()).open(path).map_err(|e| named(path, &e))?;
    let meta = file.metadata()?;
    if !meta.is_file() {
        return Err(named(path, &not_regular()));
    }
    let size = meta.len();
    if size > MAX_WHOLE_FILE {
        return Err(io::Error::new(io::ErrorKind::FileTooLarge, format!("{}: {size} bytes", path.display())));
    }
    // What is appended meanwhile is read, too; and those below /proc say that they are empty.
    let (want, most) = (usize::try_from(size).unwrap_or(0) + 1, usize::try_from(MAX_WHOLE_FILE).unwrap_or(usize::MAX));
    read_on(&file, 0, want, most).map_err(|e| named(path, &e))
}

fn not_regular() -> io::Error {
    io::Error::other("not a regular file")
}

/// Reads from `offset` to the end, `want` bytes as it is expected and `most` if there are more.
fn read_on(file: &File, offset: u64, want: usize, most: usize) -> io::Result<Vec<u8>> {
    let (mut bytes, mut done) = (vec![0; want.min(most)], 0);
    loop {
        if done == bytes.len() {
            if done == most {
                break;
            }
            bytes.resize((done * 2).max(4096).min(most), 0);
        }
        match file.read_at(&mut bytes[done..], offset + done as u64) {
            Ok(0) => break,
            Ok(n) => done += n,
            Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
            Err(e) => return Err(e),
        }
    }
    bytes.truncate(done);
    Ok(bytes)
}

/// Like [`read`]; a file that is not there is `None`.
pub fn read_if_there(path: &Path) -> io::Result<Option<Vec<u8>>> {
    match read(path) {
        Ok(b) => Ok(Some(b)),
        Err(e) if e.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(e) => Err(e),
    }
}

/// Reads a text file whole, following links (for `/proc` and the person's own files).
pub fn read_to_string(path: &Path) -> io::Result<String> {
    #[expect(clippy::disallowed_methods, reason = "this is the one door to files")]
    std::fs::read_to_string(path).map_err(|e| named(path, &e))
}

/// Reads a file that a person names, following links, up to `most` bytes and one more: a pipe or a device, too.
pub fn read_following(path: &Path, most: usize) -> io::Result<Vec<u8>> {
    use std::io::Read as _;
    let mut bytes = Vec::new();
    let limit = u64::try_from(most).unwrap_or(u64::MAX).saturating_add(1);
    let read = File::open(path).and_then(|f| f.take(limit).read_to_end(&mut bytes));
    read.map(|_| bytes).map_err(|e| named(path, &e))
}

/// Whether what stands at a path can be read: an error where the system or the disk refuses, and none where nothing is
/// there, or no file.
pub fn check_readable(path: &Path) -> io::Result<()> {
    use rustix::io::Errno;
    let not_there = |e: &io::Error| {
        Errno::from_io_error(e).is_none_or(|e| matches!(e, Errno::NOENT | Errno::NOTDIR | Errno::LOOP | Errno::NXIO))
    };
    match open_read(path).and_then(|file| read_up_to(&file, 0, 4096)) {
        Err(e) if !not_there(&e) => Err(named(path, &e)),
        _ => Ok(()),
    }
}

/// Opens a regular file for reading; a link is refused.
pub fn open_read(path: &Path) -> io::Result<File> {
    regular(OpenOptions::new().read(true).custom_flags(guarded()).open(path)?)
}

/// Opens for appending, creating it with mode 0600 where it is missing; a link is refused.
pub fn open_append(path: &Path) -> io::Result<File> {
    let mut o = OpenOptions::new();
    o.append(true).read(true).create(true).mode(0o600).custom_flags(guarded());
    world::point(Act::Open, path).and_then(|()| o.open(path)).and_then(regular).map_err(|e| named(path, &e))
}

/// Opens a file of `.work/` for appending, creating it with mode 0644 (other implementations share it).
pub fn open_append_shared(path: &Path) -> io::Result<File> {
    let mut o = OpenOptions::new();
    o.append(true).read(true).create(true).mode(0o644).custom_flags(guarded());
    world::point(Act::Open, path).and_then(|()| o.open(path)).and_then(regular).map_err(|e| named(path, &e))
}

/// Like [`open_append_shared`], a file that is there.
pub fn open_append_there(path: &Path) -> io::Result<File> {
    let mut o = OpenOptions::new();
    o.append(true).read(true).custom_flags(guarded());
    world::point(Act::Open, path).and_then(|()| o.open(path)).and_then(regular).map_err(|e| named(path, &e))
}

/// Reads exactly `len` bytes at `offset`.
pub fn read_at(file: &File, offset: u64, len: usize) -> io::Result<Vec<u8>> {
    let mut bytes = vec![0; len];
    file.read_exact_at(&mut bytes, offset)?;
    Ok(bytes)
}

/// Reads from `offset` to the end.
pub fn read_from(file: &File, offset: u64) -> io::Result<Vec<u8>> {
    read_up_to(file, offset, usize::MAX)
}

/// Reads from `offset` to the end, `most` bytes at the most.
pub fn read_up_to(file: &File, offset: u64, most: usize) -> io::Result<Vec<u8>> {
    let size = file.metadata()?.len();
    let want = usize::try_from(size.saturating_sub(offset)).unwrap_or(0).min(most);
    read_on(file, offset, want, want)
}

/// Replaces a file by writing a sibling and renaming it. After a crash of the process the file holds the old bytes or
/// the new bytes, never a mix. Not synced: for what can be rebuilt.
pub fn replace(path: &Path, bytes: &[u8]) -> io::Result<()> {
    replace_with(path, bytes, 0o644, false).map(|_| ())
}

/// Like [`replace`], `synced` or not; gives the stamp of the new file, and none where somebody has changed it since.
pub fn replace_stamped(path: &Path, bytes: &[u8], synced: bool) -> io::Result<Option<Stamp>> {
    replace_with(path, bytes, 0o644, synced).map(|written| written.unchanged_at(path))
}

/// Like [`replace`], and synced before the rename: after a power cut, too, the file holds the old bytes or the new ones. For
/// what an empty file in its place would be taken for a person's wish.
pub fn replace_synced(path: &Path, bytes: &[u8]) -> io::Result<()> {
    replace_with(path, bytes, 0o644, true).map(|_| ())
}

/// Like [`replace_synced`], private to the user.
pub fn replace_durably(path: &Path, bytes: &[u8]) -> io::Result<()> {
    replace_with(path, bytes, 0o600, true).map(|_| ())
}

fn replace_with(path: &Path, bytes: &[u8], mode: u32, sync: bool) -> io::Result<Stamp> {
    let mut name = std::ffi::OsString::from(".");
    name.push(path.file_name().unwrap_or_default());
    name.push(format!(".{}.{:x}.tmp", std::process::id(), super::random::bits() & 0xff_ffff));
    replace_by(&path.with_file_name(name), path, bytes, mode, sync)
}

/// Makes a file that will never change, by a temporary name beside it, so that nobody may write to it. After a crash it is
/// there whole or not at all. Not synced. Where the folder is missing the error says so.
pub fn make_final(path: &Path, temporary: &str, bytes: &[u8]) -> io::Result<()> {
    replace_by(&path.with_file_name(temporary), path, bytes, 0o444, false).map(|_| ())
}

/// Gives the file's stamp from before it got its name.
fn replace_by(temporary: &Path, path: &Path, bytes: &[u8], mode: u32, sync: bool) -> io::Result<Stamp> {
    let write = || -> io::Result<Stamp> {
        let mut o = OpenOptions::new();
        o.write(true).create_new(true).mode(mode).custom_flags(guarded());
        world::point(Act::Open, temporary)?;
        let mut file = o.open(temporary)?;
        write_whole(&mut file, temporary, bytes)?;
        if sync {
            sync_data(&file, temporary)?;
        }
        let stamp = Stamp::of_file(&file)?;
        world::point(Act::Rename, path)?;
        #[expect(clippy::disallowed_methods, reason = "this is the one door to files")]
        std::fs::rename(temporary, path)?;
        Ok(stamp)
    };
    write().map_err(|e| {
        let _ = remove_file(temporary);
        named(path, &e)
    })
}

/// Writes where a file stands that nobody else writes to.
pub(super) fn write_whole(file: &mut File, path: &Path, bytes: &[u8]) -> io::Result<()> {
    let (arrives, refused) = world::allowance(path, bytes.len());
    file.write_all(&bytes[..arrives])?;
    match refused {
        None => world::stamp(file),
        Some(e) => Err(cut_off(e)),
    }
}

/// The error of a write of which a part was let through.
fn cut_off(e: io::Error) -> io::Error {
    if cfg!(debug_assertions) {
        super::fault::after_a_part();
    }
    e
}

/// A part of a file that a disk gives out at once, in bytes; none is known to give less.
const BLOCK: u64 = 4096;

/// Sees to it that the disk has room for so many bytes behind `end`, without changing the file's size, so that a write of
/// them does not come back short. Where the file system cannot say, all goes on as if it had room.
pub fn make_room(file: &File, end: u64, bytes: u64) -> io::Result<()> {
    use rustix::io::Errno;
    let behind = end.saturating_add(bytes);
    let most = rustix::process::getrlimit(rustix::process::Resource::Fsize).current;
    if most.is_some_and(|most| behind > most) {
        return Err(Errno::FBIG.into());
    }
    if !end.is_multiple_of(BLOCK) && end / BLOCK == behind.saturating_sub(1) / BLOCK {
        return Ok(());
    }
    #[cfg(target_os = "linux")]
    if let Err(e @ (Errno::NOSPC | Errno::DQUOT | Errno::FBIG)) =
        rustix::fs::fallocate(file, rustix::fs::FallocateFlags::KEEP_SIZE, end, bytes)
    {
        return Err(e.into());
    }
    #[cfg(not(target_os = "linux"))]
    let _ = file;
    Ok(())
}

/// Appends in one `write`. Either the whole line is there afterwards, or an error says that it is not known.
pub fn append(file: &mut File, bytes: &[u8]) -> io::Result<()> {
    let (arrives, mut refused) = world::allowance(Path::new("the end of a file"), bytes.len());
    loop {
        let written = file.write(&bytes[..arrives]);
        if let Some(e) = refused.take() {
            return Err(cut_off(e));
        }
        match written {
            Ok(n) if n == bytes.len() => return world::stamp(file),
            Ok(_) => return Err(io::Error::new(io::ErrorKind::StorageFull, "only a part was written")),
            Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
            Err(e) => return Err(e),
        }
    }
}

/// Flushes what was written to an open file to the disk.
pub fn sync_data(file: &File, path: &Path) -> io::Result<()> {
    world::point(Act::Sync, path)?;
    if world::synced(file)? { Ok(()) } else { file.sync_data() }
}

/// Flushes a file's data to the disk.
pub fn sync_path(path: &Path) -> io::Result<()> {
    let sync = || -> io::Result<()> {
        let file = File::open(path)?;
        world::point(Act::Sync, path)?;
        if world::synced(&file)? { Ok(()) } else { file.sync_all() }
    };
    sync().map_err(|e| named(path, &e))
}

/// Flushes files to the disk; one that is not there is passed over. All are set going before the first is waited for, so
/// that a journalling file system needs one commit for them and not one for each.
pub fn sync_paths(paths: &[PathBuf]) -> io::Result<()> {
    let mut open = Vec::with_capacity(paths.len());
    for path in paths {
        world::point(Act::Sync, path).map_err(|e| named(path, &e))?;
        match File::open(path) {
            Ok(file) => {
                #[cfg(target_os = "linux")]
                let _ = rustix::fs::fadvise(&file, 0, None, rustix::fs::Advice::DontNeed);
                open.push((path, file));
            }
            Err(e) if e.kind() == io::ErrorKind::NotFound => {}
            Err(e) => return Err(named(path, &e)),
        }
    }
    let sync = |file: &File| if world::synced(file)? { Ok(()) } else { file.sync_all() };
    open.iter().try_for_each(|(path, file)| sync(file).map_err(|e| named(path, &e)))
}

/// Sets what stands in a file from `offset` on going to the disk, and does not wait for it: a sync of another file, or a later
/// one of this, takes it along.
pub fn set_going(path: &Path, offset: u64) {
    #[cfg(target_os = "linux")]
    if let Ok(file) = open_read(path) {
        let _ = rustix::fs::fadvise(&file, offset, None, rustix::fs::Advice::DontNeed);
    }
    #[cfg(not(target_os = "linux"))]
    let _ = (path, offset);
}

/// Writes over the beginning of a private file, which is made where it is missing. After a crash the file may be there
/// without the bytes.
pub fn put(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let mut o = OpenOptions::new();
    o.write(true).create(true).truncate(false).mode(0o600).custom_flags(guarded());
    let file = world::point(Act::Open, path).and_then(|()| o.open(path));
    file.and_then(|mut f| write_whole(&mut f, path, bytes)).map_err(|e| named(path, &e))
}

/// Creates a directory and its parents.
pub fn create_dir_all(path: &Path) -> io::Result<()> {
    world::point(Act::MakeDir, path).map_err(|e| named(path, &e))?;
    #[expect(clippy::disallowed_methods, reason = "this is the one door to files")]
    std::fs::create_dir_all(path).map_err(|e| named(path, &e))
}

/// Creates a directory, or leaves the one that is there; that it stands in must be there.
pub fn create_dir(path: &Path) -> io::Result<()> {
    world::point(Act::MakeDir, path).map_err(|e| named(path, &e))?;
    #[expect(clippy::disallowed_methods, reason = "this is the one door to files")]
    let made = std::fs::create_dir(path);
    match made {
        Err(e) if e.kind() == io::ErrorKind::AlreadyExists && is_folder(path) => Ok(()),
        made => made.map_err(|e| named(path, &e)),
    }
}

/// Creates the directories of a path below one that is there; links to others on the way are followed.
pub fn create_dirs_in(root: &Path, below: &Path) -> io::Result<()> {
    let mut path = root.to_owned();
    below.iter().try_for_each(|name| {
        path.push(name);
        if canonicalize(&path).is_ok_and(|real| is_folder(&real)) { Ok(()) } else { create_dir(&path) }
    })
}

/// Creates a directory that only its owner may enter, with the one that it stands in and no more: what that stands in may have
/// been moved away. A link in its place is refused.
pub fn create_private_dir(path: &Path) -> io::Result<()> {
    // Hardly ever is it to be made.
    let meta = match metadata(path) {
        Ok(meta) => meta,
        Err(_) => {
            match (create_dir(path), path.parent()) {
                (Err(e), Some(parent)) if e.kind() == io::ErrorKind::NotFound => {
                    create_dir(parent)?;
                    create_dir(path)?;
                }
                (made, _) => made?,
            }
            metadata(path)?
        }
    };
    if !meta.is_dir() {
        return Err(io::Error::other(format!("{}: not a folder", path.display())));
    }
    if meta.permissions().mode() & 0o777 != 0o700 {
        set_mode(path, 0o700)?;
    }
    Ok(())
}

pub fn set_mode(path: &Path, mode: u32) -> io::Result<()> {
    world::point(Act::Mark, path).map_err(|e| named(path, &e))?;
    #[expect(clippy::disallowed_methods, reason = "this is the one door to files")]
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(mode)).map_err(|e| named(path, &e))
}

/// Metadata, without following a link at the end of the path.
pub fn metadata(path: &Path) -> io::Result<std::fs::Metadata> {
    #[expect(clippy::disallowed_methods, reason = "this is the one door to files")]
    std::fs::symlink_metadata(path).map_err(|e| named(path, &e))
}

/// Whether something is there, a dangling link included.
pub fn exists(path: &Path) -> bool {
    metadata(path).is_ok()
}

/// Whether a folder is there, also by a link.
pub fn is_folder(path: &Path) -> bool {
    std::fs::metadata(path).is_ok_and(|m| m.is_dir())
}

/// Whether a file stands under another name, too.
pub fn has_other_names(path: &Path) -> bool {
    metadata(path).is_ok_and(|m| m.nlink() > 1)
}

/// Removes a file; one that is not there is no error.
pub fn remove_file(path: &Path) -> io::Result<()> {
    world::point(Act::Remove, path).map_err(|e| named(path, &e))?;
    #[expect(clippy::disallowed_methods, reason = "this is the one door to files")]
    match std::fs::remove_file(path) {
        Err(e) if e.kind() != io::ErrorKind::NotFound => Err(named(path, &e)),
        _ => Ok(()),
    }
}

/// Removes a directory tree that we made; links inside are removed, never followed.
pub fn remove_dir_all(path: &Path) -> io::Result<()> {
    world::point(Act::Remove, path).map_err(|e| named(path, &e))?;
    #[expect(clippy::disallowed_methods, reason = "this is the one door to files")]
    match std::fs::remove_dir_all(path) {
        Err(e) if e.kind() != io::ErrorKind::NotFound => Err(named(path, &e)),
        _ => Ok(()),
    }
}

/// Removes an empty directory; one that is not empty or not there is left as it is.
pub fn remove_dir_if_empty(path: &Path) {
    if world::point(Act::Remove, path).is_err() {
        return;
    }
    #[expect(clippy::disallowed_methods, reason = "this is the one door to files")]
    let _ = std::fs::remove_dir(path);
}

/// Gives a file a second name; an existing second name is an error.
pub fn hard_link(existing: &Path, new: &Path) -> io::Result<()> {
    world::point(Act::Link, new).map_err(|e| named(new, &e))?;
    #[expect(clippy::disallowed_methods, reason = "this is the one door to files")]
    std::fs::hard_link(existing, new).map_err(|e| named(new, &e))
}

/// Copies a file's bytes and its time of change, which an index needs: git tells from it which entries to look at twice.
/// After a crash the copy may be there in part; it is for files that only their maker reads.
pub fn copy_with_time(from: &Path, to: &Path) -> io::Result<()> {
    world::point(Act::Open, to).map_err(|e| named(to, &e))?;
    let mut source = open_read(from).map_err(|e| named(from, &e))?;
    let mut write = || -> io::Result<()> {
        let mut o = OpenOptions::new();
        let mut copy = o.write(true).create_new(true).mode(0o600).custom_flags(guarded()).open(to)?;
        io::copy(&mut source, &mut copy)?;
        copy.set_modified(source.metadata()?.modified()?)
    };
    write().map_err(|e| named(to, &e))
}

pub fn rename(from: &Path, to: &Path) -> io::Result<()> {
    world::point(Act::Rename, from).map_err(|e| named(from, &e))?;
    #[expect(clippy::disallowed_methods, reason = "this is the one door to files")]
    std::fs::rename(from, to).map_err(|e| named(from, &e))
}

pub fn symlink(target: &Path, link: &Path) -> io::Result<()> {
    world::point(Act::Link, link).map_err(|e| named(link, &e))?;
    std::os::unix::fs::symlink(target, link).map_err(|e| named(link, &e))
}

/// Where a link points; `None` where there is no link.
pub fn read_link(path: &Path) -> Option<PathBuf> {
    std::fs::read_link(path).ok()
}

/// The names in a directory, sorted; a directory that is not there has none.
pub fn list(path: &Path) -> io::Result<Vec<String>> {
    #[expect(clippy::disallowed_methods, reason = "this is the one door to files")]
    let entries = match std::fs::read_dir(path) {
        Ok(e) => e,
        Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(e) => return Err(named(path, &e)),
    };
    let mut names = Vec::new();
    for entry in entries {
        if let Ok(name) = entry?.file_name().into_string() {
            names.push(name);
        }
    }
    names.sort();
    Ok(names)
}

/// The absolute path with links resolved.
pub fn canonicalize(path: &Path) -> io::Result<PathBuf> {
    #[expect(clippy::disallowed_methods, reason = "this is the one door to files")]
    std::fs::canonicalize(path).map_err(|e| named(path, &e))
}

/// The identifier of this boot, which changes with every power cut; empty where the system does not say.
pub fn boot_id() -> String {
    if let Some(world) = world::entered() {
        return world.boot_id();
    }
    static ID: std::sync::OnceLock<String> = std::sync::OnceLock::new();
    let read = || read_to_string(Path::new("/proc/sys/kernel/random/boot_id")).unwrap_or_default().trim().to_owned();
    ID.get_or_init(read).clone()
}
