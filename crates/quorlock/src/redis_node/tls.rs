//! TLS around a TCP stream, verified against the certificates that the system trusts. Other roots are not offered yet.

use std::io;
use std::sync::Arc;

use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;
use tokio_rustls::rustls::pki_types::ServerName;
use tokio_rustls::rustls::{ClientConfig, RootCertStore};

use super::wire::TcpWire;

pub(super) async fn wrap(host: &str, tcp: TcpWire) -> io::Result<TlsStream<TcpWire>> {
    let name = ServerName::try_from(host.to_owned()).map_err(io::Error::other)?;
    let config = tokio::task::spawn_blocking(config).await.map_err(io::Error::other)??;
    TlsConnector::from(config).connect(name, tcp).await
}

/// Reads files. Read anew for every connection: connections are few, and the system's certificates change under long-lived processes.
fn config() -> io::Result<Arc<ClientConfig>> {
    let mut roots = RootCertStore::empty();
    let found = rustls_native_certs::load_native_certs();
    let (added, _) = roots.add_parsable_certificates(found.certs);
    if added == 0 {
        return Err(io::Error::other("the system trusts no certificate that can be read"));
    }
    let provider = Arc::new(tokio_rustls::rustls::crypto::ring::default_provider());
    let config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(io::Error::other)?
        .with_root_certificates(roots)
        .with_no_client_auth();
    Ok(Arc::new(config))
}
