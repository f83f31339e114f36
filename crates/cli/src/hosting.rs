//! A server over the stores of one data folder.

use std::net::{IpAddr, SocketAddr};
use std::path::Path;
use std::sync::Arc;

use cairn_chunks::{ChunkError, ChunkStore, PackChunks};
use cairn_client::control::ControlServer;
use cairn_core::runtime::Runtime;
use cairn_metadata::{MetadataStore, SqliteMetadata};
use cairn_server::tls::Tls;
use cairn_server::{DataFolder, DataFolderError, Server, ServerConfig};
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

use crate::administration;
use crate::error::{CliError, CliResult};
use crate::home;

/// The stores of a data folder, held by this process.
pub(crate) struct Stores {
    pub(crate) folder: DataFolder,
    pub(crate) metadata: Arc<SqliteMetadata>,
    chunks: Arc<PackChunks>,
}

impl Stores {
    /// Opens the stores, making what is missing.
    pub(crate) async fn open(path: &Path, runtime: &Runtime) -> CliResult<Self> {
        let folder = DataFolder::open(path)?;
        let metadata = open_metadata(&folder).await?;
        let chunks = PackChunks::open(&folder.chunks_folder(), runtime.clone(), Default::default()).await?;
        Ok(Self {
            folder,
            metadata,
            chunks: Arc::new(chunks),
        })
    }

    /// Puts a server over the stores.
    pub(crate) fn server(&self, config: ServerConfig, runtime: &Runtime) -> Server {
        let metadata: Arc<dyn MetadataStore> = Arc::clone(&self.metadata) as Arc<dyn MetadataStore>;
        let chunks: Arc<dyn ChunkStore> = Arc::clone(&self.chunks) as Arc<dyn ChunkStore>;
        Server::open(config, metadata, chunks, runtime.clone())
    }

    /// Writes what is under way and lets go of the folder.
    pub(crate) async fn close(self) -> CliResult {
        let closed = self.chunks.close().await;
        self.metadata.close().await;
        Ok(closed?)
    }
}

/// Opens the metadata alone, for those who hold the folder.
pub(crate) async fn open_metadata(folder: &DataFolder) -> CliResult<Arc<SqliteMetadata>> {
    let path = folder.metadata_file();
    let opened = SqliteMetadata::open(&path, Default::default()).await;
    let metadata = opened.map_err(|error| CliError::failed(error.to_string()).because(error))?;
    Ok(Arc::new(metadata))
}

/// Serves devices and `cairn admin` until `stop`.
pub(crate) async fn serve(
    stores: &Stores,
    server: Server,
    listener: TcpListener,
    tls: Option<Tls>,
    runtime: &Runtime,
    stop: CancellationToken,
) -> CliResult {
    let socket = ControlServer::bind(&administration::socket_of(stores.folder.path())).await?;
    let end_of_socket = stop.child_token();
    let administering = administration::serve(
        socket,
        Arc::clone(&stores.metadata),
        server.clone(),
        runtime,
        end_of_socket.clone(),
    );
    let serving = async {
        let served = cairn_server::serve(listener, tls, server, stop.clone()).await;
        end_of_socket.cancel();
        served.map_err(|error| CliError::failed(error.to_string()).because(error))
    };
    let (served, ()) = tokio::join!(serving, administering);
    served
}

/// Takes the port.
pub(crate) async fn listen(address: &str) -> CliResult<TcpListener> {
    TcpListener::bind(address).await.map_err(|error| {
        CliError::failed(format!("cannot listen on {address}"))
            .because(error)
            .next("name another address with --listen")
    })
}

/// The certificate for an address: the operator's, else none on this machine alone, else one of our own.
pub(crate) fn certificate(
    folder: &DataFolder,
    address: SocketAddr,
    files: Option<(&Path, &Path)>,
    behind_proxy: bool,
) -> CliResult<Option<Tls>> {
    let failed = |error: cairn_server::tls::TlsError| CliError::failed(error.to_string()).because(error);
    if let Some((certificate, key)) = files {
        return Tls::from_files(certificate, key).map(Some).map_err(failed);
    }
    if behind_proxy || address.ip().is_loopback() {
        return Ok(None);
    }
    Tls::self_signed(&folder.tls_folder(), &hosts(address.ip()))
        .map(Some)
        .map_err(failed)
}

/// Names and addresses under which this machine is asked.
fn hosts(address: IpAddr) -> Vec<String> {
    let mut hosts = vec![
        home::host_name(),
        "localhost".to_owned(),
        "127.0.0.1".to_owned(),
        "::1".to_owned(),
    ];
    let address = address.to_string();
    if !hosts.contains(&address) && address != "0.0.0.0" && address != "::" {
        hosts.push(address);
    }
    hosts
}

/// The address under which this machine reaches a server that listens on `address`.
pub(crate) fn local_url(address: SocketAddr, is_tls: bool) -> String {
    let ip = match address.ip() {
        IpAddr::V4(ip) if ip.is_unspecified() => "127.0.0.1".to_owned(),
        IpAddr::V6(ip) if ip.is_unspecified() => "[::1]".to_owned(),
        IpAddr::V4(ip) => ip.to_string(),
        IpAddr::V6(ip) => format!("[{ip}]"),
    };
    format!(
        "{}://{ip}:{}",
        if is_tls { "https" } else { "http" },
        address.port()
    )
}

impl From<DataFolderError> for CliError {
    fn from(error: DataFolderError) -> Self {
        Self::failed(error.to_string()).because(error)
    }
}

impl From<ChunkError> for CliError {
    fn from(error: ChunkError) -> Self {
        Self::failed(error.to_string()).because(error)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_server_is_reached_where_it_listens() {
        let url = |address: &str, is_tls| local_url(address.parse().unwrap(), is_tls);
        assert_eq!(url("127.0.0.1:8321", false), "http://127.0.0.1:8321");
        assert_eq!(url("0.0.0.0:443", true), "https://127.0.0.1:443");
        assert_eq!(url("[::]:443", true), "https://[::1]:443");
        assert_eq!(url("192.168.1.4:8321", true), "https://192.168.1.4:8321");
    }
}
