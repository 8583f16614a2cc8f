//! Packing the state branch, in a process of its own that nobody waits for.

use super::fault::Fault;
use super::session::repository;
use crate::store::{Packed, Store};
use crate::sys::process::Cmd;
use crate::sys::{env, running};

/// Starts a packing in the background where one is due. A start that fails is made up for by the next.
pub(super) fn start_if_due(store: &mut Store) {
    if !store.packing_is_due() {
        return;
    }
    let Ok(program) = env::current_exe() else { return };
    let places = store.places();
    let cmd = Cmd::new(program).cwd(store.repo().common_dir()).args(["--quiet", "doctor", "--pack"]);
    let _ = cmd.spawn_detached(&places.private.join("pack.log"));
}

/// Packs what is due and what is not.
pub fn pack() -> Result<Packed, Fault> {
    running::be_modest();
    Ok(Store::open(repository()?)?.pack()?)
}
