//! What a process finds under a name.

use std::ffi::OsStr;
use std::io;

use cairn_client::fs::disk::{Access, Stat};
use cairn_client::fs::{FileKind, Fingerprint, Metadata};
use cairn_core::node::NodeKind;

use crate::disk::inode::{Body, Inode, Uid, instant};
use crate::disk::state::{State, Who, failure};

/// What a call says of an inode.
pub(super) fn stat_of(state: &State, inode: &Inode) -> Stat {
    let mode = state.shown_mode(inode);
    Stat {
        metadata: Metadata {
            kind: match &inode.body {
                Body::File(_) => FileKind::Node(NodeKind::File),
                Body::Folder(_) => FileKind::Node(NodeKind::Directory),
                Body::Link(_) => FileKind::Node(NodeKind::Symlink),
                Body::Pipe => FileKind::Special,
            },
            fingerprint: Fingerprint {
                inode: inode.number,
                born_ns: state.options.has_birth_time.then_some(inode.born_ns),
                size: inode.size(),
                mtime: inode.mtime(),
                ctime: instant(inode.attributes.ctime_ns),
            },
            executable: mode & 0o100 != 0,
        },
        mode,
    }
}

/// Finds or makes the file that is opened.
pub(super) fn file_to_open(state: &mut State, folder: Uid, name: &OsStr, access: Access) -> io::Result<Uid> {
    let mode = match access {
        Access::CreateEmpty => 0o600,
        Access::Read | Access::Write | Access::Create => 0o666,
    };
    let makes = matches!(access, Access::Create | Access::CreateEmpty);
    let uid = match state.lookup(folder, name, Who::Process) {
        Err(error) if makes && error.kind() == io::ErrorKind::NotFound => {
            return state.make_file(folder, name, mode, Who::Process);
        }
        found => found?,
    };
    if makes && state.inode(uid)?.is_folder() {
        return failure(io::ErrorKind::IsADirectory);
    }
    state.file(uid)?;
    if state.inode(uid)?.is_denied {
        return failure(io::ErrorKind::PermissionDenied);
    }
    if access != Access::Read {
        state.check_writable()?;
    }
    if access == Access::CreateEmpty {
        state.set_len(uid, 0)?;
    }
    Ok(uid)
}
