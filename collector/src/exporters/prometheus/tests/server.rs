//! The page over HTTP, and the exporter's life.

use std::io::Read as _;
use std::net::SocketAddr;

use component::Consumer as _;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use super::super::Exporter;
use super::*;
use crate::factory::Lifecycle as _;
use crate::testing::{context, series};

async fn get(address: SocketAddr, path: &str, headers: &str) -> (String, Vec<u8>) {
    let mut stream = tokio::net::TcpStream::connect(address).await.unwrap();
    let request = format!("GET {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n{headers}\r\n");
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).await.unwrap();
    let end = answer.windows(4).position(|window| window == b"\r\n\r\n").unwrap();
    (String::from_utf8_lossy(&answer[..end]).to_ascii_lowercase(), answer[end + 4..].to_vec())
}

#[tokio::test]
async fn serves_what_was_consumed() {
    let context = context("prometheus/x");
    let config = configured("enable_open_metrics: true\nresponse_headers: {X-Extra: here}");
    let exporter = Exporter::new(config, &context).unwrap();
    exporter.start().await.unwrap();
    let address = exporter.address().unwrap();

    let (head, body) = get(address, "/metrics", "").await;
    assert!(head.starts_with("http/1.1 200") && body.is_empty());
    assert!(head.contains("content-type: text/plain; version=0.0.4; charset=utf-8; escaping=underscores"), "{head}");

    let resource = [("service.name", "s"), ("service.instance.id", "i")];
    let metrics = vec![
        gauge("a.b", vec![number(&[], 0, 1, 1)]),
        sum("refused", DELTA, false, vec![number(&[], 0, 1, 1), number(&[], 0, 2, 1)]),
    ];
    exporter.consume(batch(&resource, metrics)).await.unwrap();
    let (_, plain) = get(address, "/metrics", "").await;
    assert!(String::from_utf8(plain.clone()).unwrap().contains("\na_b{instance=\"i\",job=\"s\","));

    let (head, body) = get(address, "/metrics", "Accept-Encoding: gzip\r\n").await;
    assert!(head.contains("content-encoding: gzip") && head.contains("x-extra: here"), "{head}");
    let mut unpacked = Vec::new();
    flate2::read::GzDecoder::new(body.as_slice()).read_to_end(&mut unpacked).unwrap();
    assert_eq!(unpacked, plain);

    let (head, body) = get(address, "/metrics", "Accept: application/openmetrics-text;version=1.0.0\r\n").await;
    assert!(head.contains("application/openmetrics-text; version=1.0.0") && body.ends_with(b"# EOF\n"));
    let (_, body) = get(address, "/metrics?name[]=target_info", "").await;
    assert_eq!(String::from_utf8(body).unwrap().lines().count(), 3);
    let (head, body) = get(address, "/", "").await;
    assert!(head.starts_with("http/1.1 404") && body == b"404 page not found\n");

    let own = series(&context.registry);
    assert!(own.contains(&"otelcol_exporter_sent_metric_points{exporter=\"prometheus/x\"} 3".to_owned()), "{own:?}");
    let dropped = "ottlcol_exporter_prometheus_dropped_points{exporter=\"prometheus/x\"} 2";
    assert!(own.contains(&dropped.to_owned()), "{own:?}");
    assert!(own.contains(&"ottlcol_exporter_prometheus_series{exporter=\"prometheus/x\"} 1".to_owned()), "{own:?}");

    exporter.shutdown().await.unwrap();
    assert!(tokio::net::TcpStream::connect(address).await.is_err());
}

#[tokio::test]
async fn large_batches_are_stored_too() {
    let exporter = Exporter::new(configured(""), &context("prometheus")).unwrap();
    let names: Vec<String> = (0..5000).map(|n| n.to_string()).collect();
    let points = names.iter().map(|name| number(&[("n", name)], 0, 1, 1)).collect();
    exporter.consume(batch(&[], vec![gauge("g", points)])).await.unwrap();
    assert_eq!(exporter.shared.store().len(), 5000);
}

#[tokio::test]
async fn a_taken_address_is_an_error_of_start() {
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let config = configured_at(&taken.local_addr().unwrap().to_string(), "");
    let exporter = Exporter::new(config, &context("prometheus")).unwrap();
    assert!(exporter.start().await.unwrap_err().0.contains("address already in use"));
}
