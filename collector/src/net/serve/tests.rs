//! Ends of connections: age, idleness, shutdown, and a client that never finishes.

use std::future::pending;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::{Request, Response, Uri};
use http_body_util::{BodyExt, Empty};
use hyper::body::Incoming;
use hyper_util::rt::{TokioExecutor, TokioIo};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::sync::Notify;

use super::{Answer, Handler, Lifetime, Protocol, Reply, Server};
use crate::net::address::HostPort;
use crate::net::listen::{Listener, Place, Transport};

/// Answers `/` at once, `/gate` when told, anything else never.
#[derive(Default)]
struct Echo {
    gate: Notify,
    asked: Notify,
}

impl Handler for Echo {
    fn answer(self: Arc<Self>, request: Request<Incoming>) -> Answer {
        Box::pin(async move {
            self.asked.notify_one();
            match request.uri().path() {
                "/" => {}
                "/gate" => self.gate.notified().await,
                _ => pending().await,
            }
            Response::new(Reply::data(Bytes::from_static(b"done")))
        })
    }
}

async fn serve(protocol: Protocol, lifetime: Lifetime) -> (Arc<Echo>, Server, SocketAddr) {
    let address = HostPort { host: "127.0.0.1".to_owned(), port: 0 };
    let listener = Listener::bind(&Place::Tcp(Transport::Tcp, address)).await.unwrap();
    let address = listener.local_address().unwrap();
    let echo = Arc::new(Echo::default());
    let server = Server::spawn(listener, None, protocol, lifetime, Arc::clone(&echo) as _);
    (echo, server, address)
}

async fn http1(address: SocketAddr, path: &str) -> TcpStream {
    let mut stream = TcpStream::connect(address).await.unwrap();
    stream.write_all(format!("GET {path} HTTP/1.1\r\nHost: x\r\n\r\n").as_bytes()).await.unwrap();
    stream
}

async fn rest(stream: &mut TcpStream) -> String {
    let mut out = Vec::new();
    // A connection that was cut may end in a reset.
    let _ = stream.read_to_end(&mut out).await;
    String::from_utf8_lossy(&out).into_owned()
}

#[tokio::test]
async fn an_idle_connection_is_closed_and_a_busy_one_is_not() {
    let lifetime = Lifetime { max_idle: Some(Duration::from_millis(30)), ..Lifetime::default() };
    let (echo, _server, address) = serve(Protocol::Auto(Protocol::auto()), lifetime).await;
    let mut idle = http1(address, "/").await;
    assert!(rest(&mut idle).await.ends_with("done"));
    let mut busy = http1(address, "/gate").await;
    // Longer than two periods, measured by another connection that lives for as long.
    for _ in 0..3 {
        rest(&mut http1(address, "/").await).await;
    }
    echo.gate.notify_one();
    assert!(rest(&mut busy).await.ends_with("done"));
}

#[tokio::test]
async fn an_old_connection_is_told_to_go_and_its_requests_end_well() {
    let lifetime = Lifetime { max_age: Some(Duration::from_millis(30)), ..Lifetime::default() };
    let (echo, _server, address) = serve(Protocol::Http2(Protocol::http2()), lifetime).await;
    let stream = TcpStream::connect(address).await.unwrap();
    let (mut sender, connection) =
        hyper::client::conn::http2::handshake(TokioExecutor::new(), TokioIo::new(stream)).await.unwrap();
    let connection = tokio::spawn(connection);
    let url = |path: &str| Uri::try_from(format!("http://x{path}")).unwrap();
    let request = Request::get(url("/gate")).body(Empty::<Bytes>::new()).unwrap();
    let answer = tokio::spawn(sender.send_request(request));
    echo.asked.notified().await;
    // New requests are refused once the GOAWAY has come; the one under way is still answered.
    while sender.ready().await.is_ok() {
        let request = Request::get(url("/")).body(Empty::<Bytes>::new()).unwrap();
        let _ = sender.send_request(request).await;
    }
    echo.gate.notify_one();
    let answer = answer.await.unwrap().unwrap();
    assert_eq!(answer.into_body().collect().await.unwrap().to_bytes(), "done");
    connection.await.unwrap().unwrap();
}

#[tokio::test]
async fn the_grace_after_the_age_is_bounded() {
    let (max_age, max_age_grace) = (Some(Duration::from_millis(10)), Some(Duration::from_millis(10)));
    let lifetime = Lifetime { max_age, max_age_grace, ..Lifetime::default() };
    let (_, _server, address) = serve(Protocol::Auto(Protocol::auto()), lifetime).await;
    assert_eq!(rest(&mut http1(address, "/never").await).await, "");
}

#[tokio::test(start_paused = true)]
async fn shutdown_is_bounded_although_a_request_never_ends() {
    let (echo, server, address) = serve(Protocol::Auto(Protocol::auto()), Lifetime::default()).await;
    let mut stuck = http1(address, "/never").await;
    echo.asked.notified().await;
    server.shutdown().await;
    assert_eq!(rest(&mut stuck).await, "");
    assert!(TcpStream::connect(address).await.is_err());
}
