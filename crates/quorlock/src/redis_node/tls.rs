//! TLS around a TCP stream: whom we trust, and who we are.

use std::fmt::Display;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;
use tokio_rustls::rustls::pki_types::pem::PemObject;
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use tokio_rustls::rustls::{ClientConfig, RootCertStore};

use super::wire::TcpWire;

/// Files of certificates. They are read anew for every connection: connections are few, and certificates change under
/// long-lived processes.
#[derive(Clone, Debug, Default)]
pub(crate) struct Certificates {
    /// Who may have signed for a node; the system's, if it is not said.
    pub(crate) roots: Option<PathBuf>,
    /// What we show to nodes that ask: certificates, and their key.
    pub(crate) identity: Option<(PathBuf, PathBuf)>,
}

pub(super) async fn wrap(
    host: &str,
    tcp: TcpWire,
    certificates: Certificates,
) -> io::Result<TlsStream<TcpWire>> {
    let name = ServerName::try_from(host.to_owned()).map_err(io::Error::other)?;
    let config = tokio::task::spawn_blocking(move || config(&certificates));
    let config = config.await.map_err(io::Error::other)??;
    TlsConnector::from(config).connect(name, tcp).await
}

/// Reads files.
fn config(certificates: &Certificates) -> io::Result<Arc<ClientConfig>> {
    let provider = Arc::new(tokio_rustls::rustls::crypto::ring::default_provider());
    let config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(io::Error::other)?
        .with_root_certificates(roots(certificates.roots.as_deref())?);
    let config = match &certificates.identity {
        None => config.with_no_client_auth(),
        Some((chain, key)) => {
            let shown = read_certificates(chain)?;
            let secret = PrivateKeyDer::from_pem_file(key).map_err(|error| in_file(key, error))?;
            config.with_client_auth_cert(shown, secret).map_err(|error| in_file(key, error))?
        }
    };
    Ok(Arc::new(config))
}

fn roots(file: Option<&Path>) -> io::Result<RootCertStore> {
    let mut roots = RootCertStore::empty();
    let Some(file) = file else {
        let found = rustls_native_certs::load_native_certs();
        let (added, _) = roots.add_parsable_certificates(found.certs);
        return match added {
            0 => Err(io::Error::other("the system trusts no certificate that can be read")),
            _ => Ok(roots),
        };
    };
    for certificate in read_certificates(file)? {
        roots.add(certificate).map_err(|error| in_file(file, error))?;
    }
    Ok(roots)
}

fn read_certificates(file: &Path) -> io::Result<Vec<CertificateDer<'static>>> {
    let all = CertificateDer::pem_file_iter(file).map_err(|error| in_file(file, error))?;
    let all: Result<Vec<_>, _> = all.collect();
    let all = all.map_err(|error| in_file(file, error))?;
    if all.is_empty() {
        return Err(in_file(file, "there is no certificate in it"));
    }
    Ok(all)
}

fn in_file(file: &Path, error: impl Display) -> io::Error {
    io::Error::other(format!("{}: {error}", file.display()))
}
