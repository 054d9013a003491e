//! Nodes behind TLS, and a client that trusts who signed for them, or does not.

use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;

use quorlock_testkit::Cluster;
use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair};
use tokio::io::copy_bidirectional;
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::ServerConfig;
use tokio_rustls::rustls::crypto::ring;
use tokio_rustls::rustls::pki_types::PrivateKeyDer;

use crate::other_process::OtherProcess;
use crate::support::{cluster, eventually, holders};

/// A signer, written down for the client, and what it signed for `localhost`.
struct Trust {
    signer: tempfile::NamedTempFile,
    acceptor: TlsAcceptor,
}

impl Trust {
    fn new() -> Self {
        let mut params = CertificateParams::new([]).expect("no names, no problem");
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let key = KeyPair::generate().expect("a key");
        let signer = params.self_signed(&key).expect("it signs itself");
        let issuer = Issuer::new(params, key);
        let node_key = KeyPair::generate().expect("a key");
        let names = ["localhost".to_owned()];
        let node = CertificateParams::new(names).expect("a name").signed_by(&node_key, &issuer);
        let config = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
            .with_safe_default_protocol_versions()
            .expect("the provider knows them")
            .with_no_client_auth()
            .with_single_cert(
                vec![node.expect("it is signed").der().clone()],
                PrivateKeyDer::try_from(node_key.serialize_der()).expect("the key was made here"),
            );
        let file = tempfile::NamedTempFile::new().expect("a place for the signer");
        std::fs::write(file.path(), signer.pem()).expect("it can be written");
        let acceptor = TlsAcceptor::from(Arc::new(config.expect("key and name belong together")));
        Self { signer: file, acceptor }
    }

    /// TLS in front of each node; the URLs of that.
    async fn in_front_of(&self, cluster: &Cluster) -> Vec<String> {
        let mut urls = Vec::new();
        for node in cluster.nodes() {
            let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
            urls.push(format!(
                "rediss://localhost:{}",
                listener.local_addr().expect("it is bound").port()
            ));
            tokio::spawn(serve(listener, self.acceptor.clone(), node.addr()));
        }
        urls
    }
}

async fn serve(listener: TcpListener, acceptor: TlsAcceptor, node: SocketAddr) {
    while let Ok((client, _)) = listener.accept().await {
        let acceptor = acceptor.clone();
        tokio::spawn(async move {
            let mut client = acceptor.accept(client).await?;
            let mut server = TcpStream::connect(node).await?;
            copy_bidirectional(&mut client, &mut server).await
        });
    }
}

fn client(urls: &[String], trusted: &Path) -> OtherProcess {
    let options = [("--resource", "secret"), ("--ttl", "2000")];
    let trusted = trusted.to_str().expect("temporary names are plain");
    OtherProcess::start_with("hold", urls, &options, &[("SSL_CERT_FILE", trusted)])
}

#[tokio::test]
async fn nodes_behind_tls_are_locked_by_a_client_that_trusts_their_signer() {
    let (cluster, trust) = (cluster(3).await, Trust::new());
    let urls = trust.in_front_of(&cluster).await;
    let mut client = client(&urls, trust.signer.path());
    client.expect("acquired").await;
    eventually("every node holds it", || async { holders(&cluster, "secret").await == "111" })
        .await;
    client.tell("release").await;
    client.end().await;
}

#[tokio::test]
async fn a_client_that_does_not_trust_the_signer_sends_no_lock_and_says_why() {
    let (cluster, trust) = (cluster(3).await, Trust::new());
    let urls = trust.in_front_of(&cluster).await;
    let stranger = Trust::new();
    let mut client = client(&urls, stranger.signer.path());
    let error = client.expect("error").await;
    assert!(error.contains("certificate"), "{error}");
    client.end().await;
    for node in cluster.nodes() {
        assert!(node.keys().await.unwrap().is_empty(), "{} has nothing", node.name());
    }
}
