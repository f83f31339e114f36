//! `/2/files`: the routes of files and folders.

mod history;
mod list;
mod poll;
mod read;
mod write;

pub(super) use history::{list_revisions, restore};
pub(super) use list::{latest_cursor, list_folder, list_folder_continue};
pub(super) use poll::longpoll;
pub(super) use read::{download, get_metadata};
pub(super) use write::{copy_to, create_folder, delete, move_to, upload};
