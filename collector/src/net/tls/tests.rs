//! Handshakes over a pair of connected sockets, and the texts of mistakes. The certificates in `testdata` are valid from
//! 2020 to 2120 for `collector.test` and 127.0.0.1; their keys protect nothing.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use component::{Clock, ManualClock};
use serde::de::DeserializeOwned;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::UnixStream;

use super::{Acceptor, Client, Connector, Server};
use crate::config::{Problems, Section};
use crate::net::Stream;

fn file(name: &str) -> String {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("src/net/tls/testdata").join(name).display().to_string()
}

fn decode<T: DeserializeOwned>(yaml: &str) -> T {
    let mut problems = Problems::default();
    let config = Section::parse("x", "exporters", yaml).unwrap().decode(&mut problems).unwrap();
    assert!(problems.is_empty(), "{problems:?}");
    config
}

fn server(extra: &str) -> Server {
    decode(&format!("{{cert_file: '{}', key_file: '{}', {extra}}}", file("server.pem"), file("server.key")))
}

fn client(extra: &str) -> Client {
    decode(&format!("{{ca_file: '{}', {extra}}}", file("ca.pem")))
}

fn clock() -> Arc<dyn Clock> {
    Arc::new(ManualClock::default())
}

/// Connects to `host` and sends one byte each way.
async fn check(server: &Server, client: &Client, host: &str) -> Result<(), String> {
    let acceptor = Acceptor::load(server, &["h2"], &clock()).unwrap();
    let connector = Connector::load(client, &["h2"], &clock())?;
    meet(&acceptor, &connector, host).await
}

async fn meet(acceptor: &Acceptor, connector: &Connector, host: &str) -> Result<(), String> {
    let (near, far) = UnixStream::pair().unwrap();
    let serve = async {
        let mut stream = acceptor.accept(Stream::Unix(far)).await?;
        let byte = stream.read_u8().await?;
        stream.write_u8(byte).await?;
        stream.shutdown().await
    };
    let call = async {
        let mut stream = connector.connect(host, Stream::Unix(near)).await?;
        stream.write_u8(7).await?;
        stream.read_u8().await
    };
    let (served, called) = tokio::join!(serve, call);
    assert!(called.is_err() || served.is_ok());
    called.map(|_| ()).map_err(|error| error.to_string())
}

#[tokio::test]
async fn names_and_roots_are_checked() {
    check(&server(""), &client(""), "collector.test").await.unwrap();
    check(&server(""), &client(""), "127.0.0.1").await.unwrap();
    check(&server(""), &client("server_name_override: collector.test"), "elsewhere").await.unwrap();
    let error = check(&server(""), &client(""), "elsewhere").await.unwrap_err();
    assert!(error.contains("not valid for name"), "{error}");
    let error = check(&server(""), &decode("{}"), "collector.test").await.unwrap_err();
    assert!(error.contains("UnknownIssuer"), "{error}");
    check(&server(""), &decode("{insecure_skip_verify: true}"), "elsewhere").await.unwrap();
}

#[tokio::test]
async fn versions_and_suites_are_kept_to() {
    let (old, new) = ("max_version: '1.2'", "min_version: '1.3'");
    check(&server(old), &client(old), "collector.test").await.unwrap();
    assert!(check(&server(old), &client(new), "collector.test").await.is_err());
    let suite = "max_version: '1.2', cipher_suites: [TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256]";
    check(&server(suite), &client(old), "collector.test").await.unwrap();
    let other = "max_version: '1.2', cipher_suites: [TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256]";
    assert!(check(&server(suite), &client(other), "collector.test").await.is_err());
}

#[tokio::test]
async fn a_client_ca_demands_certificates() {
    let mutual = server(&format!("client_ca_file: '{}'", file("ca.pem")));
    let known = client(&format!("cert_file: '{}', key_file: '{}'", file("client.pem"), file("client.key")));
    check(&mutual, &known, "collector.test").await.unwrap();
    assert!(check(&mutual, &client(""), "collector.test").await.is_err());
}

#[tokio::test]
async fn certificates_are_read_again_after_the_interval() {
    let folder = std::env::temp_dir().join(format!("ottlcol-tls-{}", std::process::id()));
    std::fs::create_dir_all(&folder).unwrap();
    let (cert, key) = (folder.join("tls.crt"), folder.join("tls.key"));
    std::fs::copy(file("server.pem"), &cert).unwrap();
    std::fs::copy(file("server.key"), &key).unwrap();
    let config: Server =
        decode(&format!("{{cert_file: '{}', key_file: '{}', reload_interval: 10s}}", cert.display(), key.display()));
    let manual = Arc::new(ManualClock::default());
    let clock: Arc<dyn Clock> = Arc::clone(&manual) as _;
    let acceptor = Acceptor::load(&config, &["h2"], &clock).unwrap();
    let connector = Connector::load(&client(""), &["h2"], &clock).unwrap();
    meet(&acceptor, &connector, "collector.test").await.unwrap();
    // A file that went bad is reported, and the old certificate stays.
    std::fs::write(&cert, "nothing").unwrap();
    manual.advance(Duration::from_secs(11));
    meet(&acceptor, &connector, "collector.test").await.unwrap();
    std::fs::copy(file("client.pem"), &cert).unwrap();
    std::fs::copy(file("client.key"), &key).unwrap();
    manual.advance(Duration::from_secs(11));
    meet(&acceptor, &connector, "collector.test").await.unwrap();
    std::fs::remove_dir_all(&folder).unwrap();
}

#[test]
fn mistakes_have_upstreams_texts() {
    let check = |yaml: &str, expected: &str| {
        let mut problems = Problems::default();
        decode::<Client>(yaml).check("x::tls", &mut problems);
        assert_eq!(problems.list().first().map(|problem| problem.message.as_str()), Some(expected), "{yaml}");
    };
    check("{ca_file: a, ca_pem: b}", "provide either a CA file or the PEM-encoded string, but not both");
    check(
        "{cert_file: a}",
        "TLS configuration must include both certificate and key (CertFile/CertPem and KeyFile/KeyPem)",
    );
    check("{min_version: x}", "invalid TLS min_version: unsupported TLS version: \"x\"");
    check(
        "{min_version: '1.3', max_version: '1.2'}",
        "invalid TLS configuration: min_version cannot be greater than max_version",
    );
    check("{cipher_suites: [X]}", "invalid TLS cipher suite: \"X\"");
    check("{curve_preferences: [X25519]}", "curve_preferences is not supported");
    let missing: Client = decode("{cert_file: /none, key_file: /none}");
    let error = Connector::load(&missing, &[], &clock()).err().unwrap();
    assert!(error.starts_with("failed to load TLS config: failed to load TLS cert and key: open /none"), "{error}");
}
