//! `/2/files`: the routes of files and folders.

pub(super) mod answers;
mod batches;
mod ends;
mod history;
mod list;
mod poll;
mod read;
mod references;
mod search;
mod sessions;
pub(super) mod tags;
mod thumbnails;
mod write;
mod zip;

pub(super) use batches::{check, copy_all, create_folders, delete as delete_all, move_all};
pub(super) use ends::{finish_batch, finish_batch_v1};
pub(super) use history::{list_revisions, restore};
pub(super) use list::{latest_cursor, list_folder, list_folder_continue};
pub(super) use poll::longpoll;
pub(super) use read::{RESULT, body_of, download, file, get_metadata, respond_with, send, temporary_link};
pub(super) use references::{get_reference, save_reference};
pub(super) use search::{search, search_continue};
pub(super) use sessions::{Cursor, append, append_batch, closed, finish, start, start_batch};
pub(super) use thumbnails::{batch as thumbnail_batch, get_thumbnail, get_thumbnail_v2, picture_of};
pub(super) use write::{
    CommitInfo, copy_to, create_folder, delete, mode, modified, move_to, upload, write_mode,
};
pub(super) use zip::download_zip;

/// Reads an argument as each kind that comes in a header.
#[cfg(any(fuzzing, test))]
pub(super) fn read_any(parts: &axum::http::request::Parts) {
    use super::call::header_argument;
    let _ = header_argument::<read::Download>(parts);
    let _ = header_argument::<zip::DownloadZip>(parts);
    let _ = header_argument::<thumbnails::GetThumbnail>(parts);
    let _ = header_argument::<thumbnails::GetThumbnailV2>(parts);
    let _ = header_argument::<write::Upload>(parts);
    let _ = header_argument::<sessions::Start>(parts);
    let _ = header_argument::<sessions::Append>(parts);
    let _ = header_argument::<sessions::AppendBatch>(parts);
    let _ = header_argument::<sessions::Finish>(parts);
}
