//! The routes of `/2`: one list, of which the router and [`super::openapi`] are made.
//!
//! To add a route: its handler, and a line here. Argument and result are written down from the handler's types; `fails` names
//! the union of its errors, which stands in [`super::unions`].

use cairn_metadata::Scope;

use super::files::{self, answers};
use super::routes::{Route, by_cursor, by_token, document, download, rpc, upload};
use super::unions::{
    AppendBatchError, AppendError, CreateFolderError, DeleteError, FinishError, FolderError, LookupError,
    PollError, RelocationError, RestoreError, SearchError, StartError, ThumbnailError, UploadError, ZipError,
};
use super::{cairn, openapi, token, unions, upload_links, users};

const INFO: Scope = Scope::AccountInfoRead;
const SEE: Scope = Scope::FilesMetadataRead;
const READ: Scope = Scope::FilesContentRead;
const WRITE: Scope = Scope::FilesContentWrite;

/// All routes.
pub(super) fn all() -> Vec<Route> {
    let groups = [
        account(),
        looking(),
        tags(),
        contents(),
        writing(),
        sessions(),
        batches(),
        cairn::routes(),
        about(),
    ];
    groups.into_iter().flatten().collect()
}

fn account() -> Vec<Route> {
    use users::{account, accounts, check_user, current_account, space_usage};
    const SHARE: Scope = Scope::SharingRead;
    vec![
        by_token(
            "auth/token/revoke",
            "Unlinks the app that asks, with all its tokens.",
            token::revoke,
        ),
        rpc("check/user", INFO, "Gives back what it is asked.", check_user),
        rpc(
            "users/get_account",
            SHARE,
            "Says whose account an id is.",
            account,
        )
        .fails::<unions::GetAccountError>(),
        rpc(
            "users/get_account_batch",
            SHARE,
            "Says whose accounts ids are.",
            accounts,
        )
        .fails::<unions::GetAccountsError>(),
        rpc(
            "users/get_current_account",
            INFO,
            "Says whose account it is.",
            current_account,
        ),
        rpc(
            "users/get_space_usage",
            INFO,
            "Says how much the account holds.",
            space_usage,
        ),
    ]
}

fn looking() -> Vec<Route> {
    vec![
        rpc(
            "files/get_metadata",
            SEE,
            "Tells what stands on a path.",
            files::get_metadata,
        )
        .fails::<LookupError>(),
        rpc(
            "files/list_folder",
            SEE,
            "Begins to list a folder.",
            files::list_folder,
        )
        .fails::<FolderError>(),
        rpc(
            "files/list_folder/continue",
            SEE,
            "Goes on with a listing, and with what has changed since.",
            files::list_folder_continue,
        )
        .fails::<FolderError>(),
        rpc(
            "files/list_folder/get_latest_cursor",
            SEE,
            "Gives the cursor that a listing would end with.",
            files::latest_cursor,
        )
        .fails::<FolderError>(),
        by_cursor(
            "files/list_folder/longpoll",
            "Waits until something has changed behind a cursor.",
            files::longpoll,
        )
        .fails::<PollError>(),
        rpc(
            "files/list_revisions",
            SEE,
            "Lists earlier states of a file.",
            files::list_revisions,
        )
        .fails::<LookupError>(),
        rpc(
            "files/search_v2",
            SEE,
            "Finds by name and by what files hold.",
            files::search,
        )
        .fails::<SearchError>(),
        rpc(
            "files/search/continue_v2",
            SEE,
            "Goes on with a search.",
            files::search_continue,
        )
        .fails::<SearchError>(),
    ]
}

fn tags() -> Vec<Route> {
    const MARK: Scope = Scope::FilesMetadataWrite;
    vec![
        rpc("files/tags/add", MARK, "Gives something a tag.", files::tags::add)
            .fails::<unions::AddTagError>(),
        rpc(
            "files/tags/get",
            SEE,
            "Tells the tags of things.",
            files::tags::get,
        )
        .fails::<LookupError>(),
        rpc(
            "files/tags/remove",
            MARK,
            "Takes a tag from something.",
            files::tags::remove,
        )
        .fails::<unions::RemoveTagError>(),
    ]
}

fn contents() -> Vec<Route> {
    const PICTURES: &[&str] = &["image/jpeg", "image/png", "image/webp"];
    vec![
        download("files/download", READ, "Gives a file.", files::download)
            .gives::<answers::File>()
            .in_parts()
            .fails::<LookupError>(),
        download(
            "files/download_zip",
            READ,
            "Gives a folder as an archive.",
            files::download_zip,
        )
        .gives::<answers::Wrapped>()
        .media(&["application/zip"])
        .in_parts()
        .fails::<ZipError>(),
        download(
            "files/get_thumbnail",
            READ,
            "Gives a small picture of a picture.",
            files::get_thumbnail,
        )
        .gives::<answers::File>()
        .media(PICTURES)
        .fails::<ThumbnailError>(),
        download(
            "files/get_thumbnail_v2",
            READ,
            "Gives a small picture of a picture.",
            files::get_thumbnail_v2,
        )
        .gives::<answers::Preview>()
        .media(PICTURES)
        .fails::<ThumbnailError>(),
        rpc(
            "files/get_thumbnail_batch",
            READ,
            "Gives small pictures of pictures.",
            files::thumbnail_batch,
        )
        .fails::<unions::TooManyFiles>(),
        rpc(
            "files/get_temporary_link",
            READ,
            "Gives an address under which a file can be fetched for four hours.",
            files::temporary_link,
        )
        .fails::<LookupError>(),
        rpc(
            "files/get_temporary_upload_link",
            WRITE,
            "Gives an address to which a file can be sent once.",
            upload_links::get,
        ),
        rpc(
            "files/copy_reference/get",
            WRITE,
            "Gives a text that stands for a file or folder.",
            files::get_reference,
        )
        .fails::<LookupError>(),
        rpc(
            "files/copy_reference/save",
            WRITE,
            "Copies what such a text stands for.",
            files::save_reference,
        )
        .fails::<unions::SaveReferenceError>(),
    ]
}

fn writing() -> Vec<Route> {
    vec![
        upload("files/upload", WRITE, "Puts a file.", files::upload).fails::<UploadError>(),
        rpc(
            "files/create_folder_v2",
            WRITE,
            "Makes a folder.",
            files::create_folder,
        )
        .fails::<CreateFolderError>(),
        rpc(
            "files/delete_v2",
            WRITE,
            "Deletes a file, or a folder with all that is in it.",
            files::delete,
        )
        .fails::<DeleteError>(),
        rpc("files/move_v2", WRITE, "Moves or renames.", files::move_to).fails::<RelocationError>(),
        rpc("files/copy_v2", WRITE, "Copies.", files::copy_to).fails::<RelocationError>(),
        rpc(
            "files/restore",
            WRITE,
            "Brings an earlier state of a file back.",
            files::restore,
        )
        .fails::<RestoreError>(),
    ]
}

fn sessions() -> Vec<Route> {
    vec![
        upload(
            "files/upload_session/start",
            WRITE,
            "Begins an upload in pieces.",
            files::start,
        )
        .fails::<StartError>(),
        upload(
            "files/upload_session/append_v2",
            WRITE,
            "Adds a piece.",
            files::append,
        )
        .fails::<AppendError>(),
        upload(
            "files/upload_session/finish",
            WRITE,
            "Adds a last piece and puts the file where it goes.",
            files::finish,
        )
        .fails::<FinishError>(),
        rpc(
            "files/upload_session/start_batch",
            WRITE,
            "Begins several uploads.",
            files::start_batch,
        ),
        upload(
            "files/upload_session/append_batch",
            WRITE,
            "Adds pieces to several uploads.",
            files::append_batch,
        )
        .fails::<AppendBatchError>(),
        rpc(
            "files/upload_session/finish_batch_v2",
            WRITE,
            "Puts several files where they go.",
            files::finish_batch,
        ),
        rpc(
            "files/upload_session/finish_batch",
            WRITE,
            "The same; it is done when it answers.",
            files::finish_batch_v1,
        ),
        check("files/upload_session/finish_batch/check"),
    ]
}

fn batches() -> Vec<Route> {
    vec![
        rpc(
            "files/create_folder_batch",
            WRITE,
            "Makes several folders.",
            files::create_folders,
        ),
        check("files/create_folder_batch/check"),
        rpc(
            "files/delete_batch",
            WRITE,
            "Deletes several files and folders.",
            files::delete_all,
        ),
        check("files/delete_batch/check"),
        rpc(
            "files/copy_batch_v2",
            WRITE,
            "Copies several files and folders.",
            files::copy_all,
        ),
        check("files/copy_batch/check_v2"),
        rpc(
            "files/move_batch_v2",
            WRITE,
            "Moves several files and folders.",
            files::move_all,
        ),
        check("files/move_batch/check_v2"),
    ]
}

/// Asks how far a batch is.
fn check(path: &'static str) -> Route {
    let summary = "Asks how far a batch is: none is ever under way, so there is no job to ask for.";
    rpc(path, WRITE, summary, files::check).fails::<unions::PollJobError>()
}

fn about() -> Vec<Route> {
    vec![document::<serde_json::Map<String, serde_json::Value>, _, _>(
        "cairn/openapi.json",
        "Describes these routes as OpenAPI 3.1.",
        openapi::answer,
    )]
}
