//! Nodes behind TLS, and a client that trusts who signed for them, or does not.

use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;

use quorlock::{Error, Redlock};
use quorlock_testkit::{Cluster, Node, Tls, USER};
use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair};
use tempfile::NamedTempFile;
use tokio::io::copy_bidirectional;
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::crypto::ring;
use tokio_rustls::rustls::pki_types::PrivateKeyDer;
use tokio_rustls::rustls::server::WebPkiClientVerifier;
use tokio_rustls::rustls::{RootCertStore, ServerConfig};

use crate::other_process::OtherProcess;
use crate::support::{MAX_TTL, by, cluster, cluster_in_plain, eventually, holders, node_names};

/// A signer, written down for the client, and what it signed: for `localhost`, and for a client.
struct Trust {
    signer: NamedTempFile,
    client: NamedTempFile,
    client_key: NamedTempFile,
    acceptor: TlsAcceptor,
}

/// Whether nodes want to see who connects.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Asks {
    Nothing,
    ForCertificate,
}

impl Trust {
    fn new() -> Self {
        Self::that(Asks::Nothing)
    }

    fn that(asks: Asks) -> Self {
        let mut params = CertificateParams::new([]).expect("no names, no problem");
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let key = KeyPair::generate().expect("a key");
        let signer = params.self_signed(&key).expect("it signs itself");
        let issuer = Issuer::new(params, key);
        let node_key = KeyPair::generate().expect("a key");
        let names = ["localhost".to_owned()];
        let node = CertificateParams::new(names).expect("a name").signed_by(&node_key, &issuer);
        let client_key = KeyPair::generate().expect("a key");
        let client = CertificateParams::new(["client".to_owned()]).expect("a name");
        let client = client.signed_by(&client_key, &issuer).expect("it is signed");
        let provider = Arc::new(ring::default_provider());
        let mut roots = RootCertStore::empty();
        roots.add(signer.der().clone()).expect("it was made here");
        let asking = WebPkiClientVerifier::builder_with_provider(roots.into(), provider.clone());
        let config = ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .expect("the provider knows them");
        let config = match asks {
            Asks::Nothing => config.with_no_client_auth(),
            Asks::ForCertificate => {
                config.with_client_cert_verifier(asking.build().expect("there is a root"))
            }
        };
        let config = config.with_single_cert(
            vec![node.expect("it is signed").der().clone()],
            PrivateKeyDer::try_from(node_key.serialize_der()).expect("the key was made here"),
        );
        let acceptor = TlsAcceptor::from(Arc::new(config.expect("key and name belong together")));
        Self {
            signer: written(&signer.pem()),
            client: written(&client.pem()),
            client_key: written(&client_key.serialize_pem()),
            acceptor,
        }
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

fn written(text: &str) -> NamedTempFile {
    let file = NamedTempFile::new().expect("a place for it");
    std::fs::write(file.path(), text).expect("it can be written");
    file
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

fn client(cluster: &Cluster, urls: &[String], trusted: &Path) -> OtherProcess {
    let names = node_names(cluster).join(",");
    let options = [("--resource", "secret"), ("--ttl", "2000"), ("--names", &*names)];
    let trusted = trusted.to_str().expect("temporary names are plain");
    let trusts = format!("SSL_CERT_FILE={trusted}");
    OtherProcess::start_under(&["env", &trusts], "hold", urls, &options)
}

#[tokio::test]
async fn nodes_behind_tls_are_locked_by_a_client_that_trusts_their_signer() {
    let (cluster, trust) = (cluster_in_plain(3).await, Trust::new());
    let urls = trust.in_front_of(&cluster).await;
    let mut client = client(&cluster, &urls, trust.signer.path());
    client.expect("acquired").await;
    eventually("every node holds it", || async { holders(&cluster, "secret").await == "111" })
        .await;
    client.tell("release").await;
    client.end().await;
}

#[tokio::test]
async fn a_client_that_does_not_trust_the_signer_sends_no_lock_and_says_why() {
    let (cluster, trust) = (cluster_in_plain(3).await, Trust::new());
    let urls = trust.in_front_of(&cluster).await;
    let stranger = Trust::new();
    let mut client = client(&cluster, &urls, stranger.signer.path());
    let error = client.expect("error").await;
    assert!(error.contains("certificate"), "{error}");
    client.end().await;
    for node in cluster.nodes() {
        assert!(node.keys().await.unwrap().is_empty(), "{} has nothing", node.name());
    }
}

#[tokio::test]
async fn nodes_that_ask_for_a_certificate_are_locked_by_a_client_that_shows_one() {
    let (cluster, trust) = (cluster_in_plain(3).await, Trust::that(Asks::ForCertificate));
    let urls = trust.in_front_of(&cluster).await;
    let known = by(&cluster, urls.clone())
        .tls_roots(trust.signer.path())
        .tls_identity(trust.client.path(), trust.client_key.path());
    let guard = known.build().unwrap().try_lock("secret").await.unwrap().expect("it is free");
    guard.release().await.unwrap();

    // Without what is shown to the nodes of QUORLOCK_TLS.
    let nobody = Redlock::builder(urls).node_names(node_names(&cluster)).max_ttl(MAX_TTL);
    let nobody = nobody.tls_roots(trust.signer.path()).build().unwrap();
    let refused = nobody.try_lock("secret").await.unwrap_err();
    assert!(matches!(refused, Error::NoQuorum { .. }), "{refused}");
    assert!(refused.to_string().to_lowercase().contains("certificate"), "{refused}");
}

#[tokio::test]
async fn a_file_of_certificates_that_cannot_be_used_is_named() {
    let (cluster, trust) = (cluster_in_plain(3).await, Trust::new());
    let urls = trust.in_front_of(&cluster).await;
    for text in
        ["", "no certificate", "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----"]
    {
        let file = written(text);
        let redlock = by(&cluster, urls.clone()).tls_roots(file.path()).build().unwrap();
        let refused = redlock.try_lock("secret").await.unwrap_err().to_string();
        let name = file.path().to_str().expect("temporary names are plain");
        assert!(refused.contains(name), "{text:?}: {refused}");
    }
}

/// As when a certificate is renewed: it is read anew for every connection.
#[tokio::test]
async fn a_file_of_certificates_that_is_mended_is_used_without_a_new_handle() {
    let (cluster, trust) = (cluster_in_plain(3).await, Trust::new());
    let urls = trust.in_front_of(&cluster).await;
    let file = written("not yet");
    let redlock = by(&cluster, urls).tls_roots(file.path()).build().unwrap();
    redlock.try_lock("secret").await.unwrap_err();
    std::fs::copy(trust.signer.path(), file.path()).unwrap();
    eventually("the nodes are connected", async || redlock.try_lock("secret").await.is_ok()).await;
}

/// As docs/operations.md has it for nodes that were set up as it says.
#[tokio::test]
async fn nodes_set_up_by_the_document_are_locked_by_its_client_and_by_no_other() {
    let Some(tls) = Tls::from_env() else {
        return eprintln!("skipped: tests/tls/run sets such nodes up");
    };
    let cluster = cluster(5).await;
    let url = |node: &Node| format!("rediss://{}", node.addr());
    let nodes = || cluster.nodes().iter().map(url);
    let (certificate, key) = tls.identity();
    let shown = || {
        Redlock::builder(nodes())
            .max_ttl(MAX_TTL)
            .tls_roots(tls.roots())
            .tls_identity(&certificate, &key)
    };
    let redlock = shown().credentials(|_node| async {
        let file = Tls::from_env().expect("it was there").password_file();
        let password = std::fs::read_to_string(file)?;
        Ok((USER.to_owned(), password.trim_end().to_owned()))
    });
    let redlock = redlock.build().unwrap();
    let guard = redlock.lock(["a", "b"]).await.unwrap();
    guard.extend().await.unwrap();
    guard.release().await.unwrap();

    let plain = cluster.urls().into_iter().map(|url| url.replace("rediss://", "redis://"));
    for (who, said, builder) in [
        ("nobody", "NOAUTH", shown()),
        ("no certificate", "certificate", Redlock::builder(cluster.urls()).tls_roots(tls.roots())),
        ("no TLS", "", Redlock::builder(plain)),
    ] {
        let refused = builder.build().unwrap().try_lock("a").await.unwrap_err().to_string();
        assert!(refused.to_lowercase().contains(&said.to_lowercase()), "{who}: {refused}");
    }
}
