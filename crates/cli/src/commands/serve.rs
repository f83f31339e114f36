//! `cairn serve`: the server alone.

use std::path::PathBuf;

use crate::App;
use crate::config::ConfigFile;
use crate::error::{CliError, CliResult};
use crate::home::DEFAULT_LISTEN;
use crate::hosting::{self, Stores};
use crate::logging::{self, LogFormat};
use crate::signals;
use crate::telemetry::Telemetry;
use crate::texts;

/// Options of `cairn serve`.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// The folder that holds everything; made when it is missing
    #[arg(long, value_name = "DIR")]
    data: Option<PathBuf>,
    /// Address and port [default: 127.0.0.1:8321]
    #[arg(long, value_name = "ADDR")]
    listen: Option<String>,
    /// A configuration file
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// Certificate chain in PEM format; without one, a self-signed certificate is made where TLS is needed
    #[arg(long, value_name = "FILE", requires = "tls_key")]
    tls_cert: Option<PathBuf>,
    /// Key of the certificate in PEM format
    #[arg(long, value_name = "FILE", requires = "tls_cert")]
    tls_key: Option<PathBuf>,
    /// How lines of the log are written
    #[arg(long, value_enum, default_value_t)]
    log_format: LogFormat,
}

pub(crate) async fn run(app: &App, args: Args) -> CliResult {
    let config = match &args.config {
        Some(path) => ConfigFile::read(path)?,
        None => ConfigFile::default(),
    };
    let (telemetry, spans) = Telemetry::start(&config.telemetry)?.unzip();
    logging::start_beside("info", args.log_format, spans)?;
    let served = Box::pin(serve(app, args, config)).await;
    if let Some(telemetry) = telemetry {
        telemetry.end().await;
    }
    served
}

async fn serve(app: &App, args: Args, mut config: ConfigFile) -> CliResult {
    if args.tls_cert.is_some() {
        config.tls.cert = args.tls_cert;
        config.tls.key = args.tls_key;
    }
    let data = args.data.or_else(|| config.data.clone()).ok_or_else(|| {
        CliError::usage("the data folder is not said")
            .next("name it with --data DIR, or as \"data\" in the configuration")
    })?;
    let address = args
        .listen
        .as_deref()
        .or(config.listen.as_deref())
        .unwrap_or(DEFAULT_LISTEN);
    let files = match (&config.tls.cert, &config.tls.key) {
        (Some(certificate), Some(key)) => Some((certificate.as_path(), key.as_path())),
        (None, None) => None,
        _ => {
            return Err(CliError::usage(
                "a certificate needs its key: [tls] has only one of cert and key",
            ));
        }
    };
    let mail = config.mail_config()?;
    let oidc = config.oidc_config()?;

    let stop = signals::stop_token()?;
    let stores = Stores::open(&data, &app.runtime).await?;
    let listener = hosting::listen(address).await?;
    let address = listener
        .local_addr()
        .map_err(|error| CliError::failed("the address is unknown").because(error))?;
    let tls = hosting::certificate(&stores.folder, address, files, config.tls.behind_proxy)?;
    app.ui.done(format!(
        "Serving {} on {}",
        stores.folder.path().display(),
        hosting::local_url(address, tls.is_some())
    ))?;
    if let (Some(tls), None) = (&tls, files) {
        app.ui
            .done(format!("Certificate fingerprint: {}", tls.fingerprint()))?;
    }
    let server = stores.server(config.server_config(), &app.runtime);
    if let Some(mail) = mail {
        let used = server.use_mail(&mail);
        used.map_err(|error| CliError::usage(error.to_string()).next("see [mail] in docs/cli.md"))?;
    }
    if let Some(oidc) = oidc {
        let used = server.use_oidc(oidc);
        used.map_err(|error| CliError::usage(error.to_string()).next("see [oidc] in docs/cli.md"))?;
    }
    texts::index(&stores, &server, config.search.indexes_texts())?;
    let served = hosting::serve(&stores, server, listener, tls, &app.runtime, stop).await;
    served.and(stores.close().await)
}
