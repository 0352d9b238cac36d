//! A Kubernetes API server as far as watching goes: lists in pages, watches from a version, forgets its history, goes away
//! and comes back. Collections are those of the paths that objects are put into, by namespace or of the whole cluster.

use std::collections::{BTreeMap, BTreeSet};
use std::io::{BufRead, BufReader, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use serde_json::{Value, json};

use crate::{Failure, Outcome, wait};

/// A running server; its connections end when it is dropped.
pub struct ApiServer {
    /// Where it listens.
    pub address: SocketAddr,
    shared: Arc<Shared>,
    accepting: Option<std::thread::JoinHandle<()>>,
}

/// What a server knows, also while it is away.
pub struct Stored(State);

#[derive(Default)]
struct Shared {
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Default)]
struct State {
    version: u64,
    /// Collection path, then namespace and name.
    collections: BTreeMap<String, BTreeMap<(String, String), Value>>,
    history: Vec<Change>,
    /// Versions up to this one can no longer be watched from.
    forgotten: u64,
    forbidden: BTreeSet<String>,
    requests: Vec<String>,
    connections: Vec<TcpStream>,
    stopped: bool,
}

struct Change {
    version: u64,
    collection: String,
    kind: &'static str,
    object: Value,
}

impl ApiServer {
    /// Starts an empty server on a free port.
    pub fn start() -> Outcome<Self> {
        Stored(State { version: 100, ..State::default() }).start_on(SocketAddr::from(([127, 0, 0, 1], 0)))
    }

    /// A kubeconfig file that leads here.
    pub fn kubeconfig(&self) -> Outcome<std::path::PathBuf> {
        let file = crate::collector::fresh_directory("kubeconfig")?.join("config");
        let text = format!(
            "apiVersion: v1\nkind: Config\ncurrent-context: test\nclusters: [{{name: test, cluster: {{server: \
             'http://{}'}}}}]\nusers: [{{name: test, user: {{}}}}]\ncontexts: [{{name: test, context: {{cluster: \
             test, user: test}}}}]\n",
            self.address
        );
        std::fs::write(&file, text)?;
        Ok(file)
    }

    /// Puts an object into a collection (`/api/v1/pods`): a new one is added, a known one modified.
    pub fn put(&self, collection: &str, object: Value) {
        let mut state = self.state();
        state.put(collection, object);
        drop(state);
        self.shared.changed.notify_all();
    }

    /// Deletes an object.
    pub fn delete(&self, collection: &str, namespace: &str, name: &str) {
        let mut state = self.state();
        let key = (namespace.to_owned(), name.to_owned());
        if let Some(mut object) = state.collections.entry(collection.to_owned()).or_default().remove(&key) {
            state.version += 1;
            object["metadata"]["resourceVersion"] = json!(state.version.to_string());
            let version = state.version;
            state.history.push(Change { version, collection: collection.to_owned(), kind: "DELETED", object });
        }
        drop(state);
        self.shared.changed.notify_all();
    }

    /// Answers 403 for a collection from now on.
    pub fn forbid(&self, collection: &str) {
        self.state().forbidden.insert(collection.to_owned());
    }

    /// Path and query of all requests so far.
    #[must_use]
    pub fn requests(&self) -> Vec<String> {
        self.state().requests.clone()
    }

    /// Waits until a request was made that contains all of these.
    pub fn wait_for_request(&self, parts: &[&str]) -> Outcome {
        let made = || {
            let requests = self.requests();
            requests.iter().any(|request| parts.iter().all(|part| request.contains(part))).then_some(())
        };
        wait::until(&format!("a request with {parts:?}"), 30, made)
            .map_err(|Failure(why)| Failure(format!("{why}; requests were {:?}", self.requests())))
    }

    /// Goes away: all connections end. What it knows can be changed and started again.
    #[must_use]
    pub fn stop(mut self) -> Stored {
        self.end();
        Stored(std::mem::take(&mut *self.state()))
    }

    fn end(&mut self) {
        let mut state = self.state();
        state.stopped = true;
        for connection in state.connections.drain(..) {
            // An error means that the other side has closed it already.
            let _ = connection.shutdown(Shutdown::Both);
        }
        drop(state);
        self.shared.changed.notify_all();
        // Wakes the accepting thread.
        let _ = TcpStream::connect(self.address);
        if let Some(accepting) = self.accepting.take() {
            let _ = accepting.join();
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.shared.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for ApiServer {
    fn drop(&mut self) {
        self.end();
    }
}

impl Stored {
    /// Changes an object while no server runs.
    pub fn put(&mut self, collection: &str, object: Value) {
        self.0.put(collection, object);
    }

    /// Forgets all history: watches from before must list again.
    pub fn forget_history(&mut self) {
        self.0.version += 1;
        self.0.forgotten = self.0.version;
        self.0.history.clear();
    }

    /// A server that knows all this.
    pub fn start_on(self, address: SocketAddr) -> Outcome<ApiServer> {
        // The port may take a moment to be free again.
        let listener = wait::until("the port is free", 30, || TcpListener::bind(address).ok())?;
        let address = listener.local_addr()?;
        let state = State { stopped: false, requests: Vec::new(), connections: Vec::new(), ..self.0 };
        let shared = Arc::new(Shared { state: Mutex::new(state), changed: Condvar::new() });
        let serving = Arc::clone(&shared);
        let accepting = std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let mut state = serving.state.lock().unwrap_or_else(PoisonError::into_inner);
                if state.stopped {
                    return;
                }
                state.connections.extend(stream.try_clone());
                drop(state);
                let shared = Arc::clone(&serving);
                // A client that goes away ends its thread with an error that nobody has to hear of.
                std::thread::spawn(move || {
                    let _ = serve(&stream, &shared);
                    let _ = stream.shutdown(Shutdown::Both);
                });
            }
        });
        Ok(ApiServer { address, shared, accepting: Some(accepting) })
    }
}

impl State {
    fn put(&mut self, collection: &str, mut object: Value) {
        self.version += 1;
        object["metadata"]["resourceVersion"] = json!(self.version.to_string());
        let text = |field: &str| object["metadata"][field].as_str().unwrap_or_default().to_owned();
        let key = (text("namespace"), text("name"));
        let old = self.collections.entry(collection.to_owned()).or_default().insert(key, object.clone());
        let kind = if old.is_some() { "MODIFIED" } else { "ADDED" };
        self.history.push(Change { version: self.version, collection: collection.to_owned(), kind, object });
    }
}

/// What a request asks for.
struct Asked {
    collection: String,
    namespace: Option<String>,
    query: BTreeMap<String, String>,
    metadata_only: bool,
}

impl Asked {
    fn parse(target: &str, accept: &str) -> Self {
        let (path, query) = target.split_once('?').unwrap_or((target, ""));
        let pairs = query.split('&').filter_map(|pair| pair.split_once('='));
        let query = pairs.map(|(key, value)| (key.to_owned(), unescape(value))).collect();
        let parts: Vec<&str> = path.split('/').collect();
        let at = parts.iter().position(|part| *part == "namespaces").filter(|at| at + 2 < parts.len());
        let (collection, namespace) = match at {
            Some(at) => (format!("{}/{}", parts[..at].join("/"), parts[at + 2]), Some(parts[at + 1].to_owned())),
            None => (path.to_owned(), None),
        };
        Self { collection, namespace, query, metadata_only: accept.contains("as=PartialObjectMetadata") }
    }

    fn wants(&self, object: &Value) -> bool {
        let metadata = &object["metadata"];
        self.namespace.as_ref().is_none_or(|namespace| metadata["namespace"] == *namespace)
            && self.selects("fieldSelector", |field| match field {
                "metadata.name" => metadata["name"].as_str().map(str::to_owned),
                "spec.nodeName" => object["spec"]["nodeName"].as_str().map(str::to_owned),
                _ => None,
            })
            && self.selects("labelSelector", |label| metadata["labels"][label].as_str().map(str::to_owned))
    }

    fn selects(&self, selector: &str, value: impl Fn(&str) -> Option<String>) -> bool {
        let text = self.query.get(selector).map_or("", String::as_str);
        text.split(',').filter(|term| !term.is_empty()).all(|term| {
            if let Some((key, wanted)) = term.split_once("!=") {
                value(key).as_deref() != Some(wanted)
            } else if let Some((key, wanted)) = term.split_once('=') {
                value(key).as_deref() == Some(wanted)
            } else if let Some(key) = term.strip_prefix('!') {
                value(key).is_none()
            } else {
                value(term).is_some()
            }
        })
    }

    fn shown(&self, object: &Value) -> Value {
        if self.metadata_only {
            let (kind, version) = ("PartialObjectMetadata", "meta.k8s.io/v1");
            return json!({ "kind": kind, "apiVersion": version, "metadata": object["metadata"] });
        }
        object.clone()
    }

    fn number(&self, key: &str) -> Option<u64> {
        self.query.get(key)?.parse().ok()
    }
}

fn unescape(text: &str) -> String {
    let mut out = Vec::new();
    let mut bytes = text.bytes();
    while let Some(byte) = bytes.next() {
        match byte {
            b'+' => out.push(b' '),
            b'%' => {
                let digits: Vec<u8> = bytes.by_ref().take(2).collect();
                let hex = std::str::from_utf8(&digits).unwrap_or_default();
                out.push(u8::from_str_radix(hex, 16).unwrap_or(b'?'));
            }
            other => out.push(other),
        }
    }
    String::from_utf8_lossy(&out).into_owned()
}

fn serve(stream: &TcpStream, shared: &Shared) -> std::io::Result<()> {
    let mut reader = BufReader::new(stream);
    loop {
        let mut line = String::new();
        if reader.read_line(&mut line)? == 0 {
            return Ok(());
        }
        let target = line.split(' ').nth(1).unwrap_or_default().to_owned();
        let mut accept = String::new();
        loop {
            let mut header = String::new();
            reader.read_line(&mut header)?;
            if header.trim().is_empty() {
                break;
            }
            if let Some(value) = header.to_ascii_lowercase().strip_prefix("accept:") {
                // The parameters are case sensitive.
                accept = header[header.len() - value.len()..].to_owned();
            }
        }
        let asked = Asked::parse(&target, &accept);
        let mut state = shared.state.lock().unwrap_or_else(PoisonError::into_inner);
        state.requests.push(target);
        if state.forbidden.contains(&asked.collection) {
            let message = format!("{} is forbidden: no role", asked.collection);
            drop(state);
            answer(stream, "403 Forbidden", &status(403, "Forbidden", &message))?;
        } else if matches!(asked.query.get("watch").map(String::as_str), Some("true" | "1")) {
            drop(state);
            return watch(stream, shared, &asked);
        } else {
            let page = list(&state, &asked);
            drop(state);
            answer(stream, "200 OK", &page)?;
        }
    }
}

fn status(code: u16, reason: &str, message: &str) -> Value {
    json!({ "kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Failure", "message": message,
            "reason": reason, "code": code })
}

fn answer(mut stream: &TcpStream, status: &str, body: &Value) -> std::io::Result<()> {
    let body = body.to_string();
    write!(
        stream,
        "HTTP/1.1 {status}\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\r\n{body}",
        body.len()
    )
}

fn list(state: &State, asked: &Asked) -> Value {
    let nothing = BTreeMap::new();
    let all = state.collections.get(&asked.collection).unwrap_or(&nothing);
    let wanted: Vec<&Value> = all.values().filter(|object| asked.wants(object)).collect();
    let from = asked.number("continue").unwrap_or_default();
    let start = usize::try_from(from).unwrap_or_default().min(wanted.len());
    let limit = asked.number("limit").and_then(|limit| usize::try_from(limit).ok()).filter(|limit| *limit > 0);
    let end = limit.map_or(wanted.len(), |limit| (start + limit).min(wanted.len()));
    let mut metadata = json!({ "resourceVersion": state.version.to_string() });
    if end < wanted.len() {
        metadata["continue"] = json!(end.to_string());
    }
    let items: Vec<Value> = wanted[start..end].iter().map(|object| asked.shown(object)).collect();
    if asked.metadata_only {
        let (kind, version) = ("PartialObjectMetadataList", "meta.k8s.io/v1");
        return json!({ "kind": kind, "apiVersion": version, "metadata": metadata, "items": items });
    }
    // Go's clients read the version only of a list of the kind that they expect.
    let said = |field: &str| items.first().and_then(|first| first[field].as_str());
    let kind = format!("{}List", said("kind").unwrap_or_default());
    let version = said("apiVersion").unwrap_or("v1").to_owned();
    json!({ "kind": kind, "apiVersion": version, "metadata": metadata, "items": items })
}

/// One line an event, as chunks, until the client's time is up or the server goes away.
fn watch(mut stream: &TcpStream, shared: &Shared, asked: &Asked) -> std::io::Result<()> {
    let mut seen = asked.number("resourceVersion").unwrap_or_default();
    let seconds = asked.number("timeoutSeconds").unwrap_or(300);
    let mut state = shared.state.lock().unwrap_or_else(PoisonError::into_inner);
    if seen > state.version {
        drop(state);
        return answer(stream, "504 Gateway Timeout", &status(504, "Timeout", "Too large resource version"));
    }
    if asked.query.contains_key("sendInitialEvents") {
        drop(state);
        // As an older server says it; clients then list. (Said as an event of the watch, they would ask for ever.)
        let refusal =
            status(422, "Invalid", "sendInitialEvents is forbidden for watch unless the WatchList feature is on");
        return answer(stream, "422 Unprocessable Entity", &refusal);
    }
    write!(stream, "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n")?;
    if seen < state.forgotten {
        drop(state);
        let gone = status(410, "Expired", "too old resource version");
        chunk(stream, &json!({ "type": "ERROR", "object": gone }))?;
        return write!(stream, "0\r\n\r\n");
    }
    for _ in 0..seconds * 10 {
        if state.stopped {
            return Ok(());
        }
        let news: Vec<Value> = state
            .history
            .iter()
            .filter(|change| change.version > seen && change.collection == asked.collection)
            .filter(|change| asked.wants(&change.object))
            .map(|change| json!({ "type": change.kind, "object": asked.shown(&change.object) }))
            .collect();
        seen = state.version;
        drop(state);
        for event in &news {
            chunk(stream, event)?;
        }
        state = shared.state.lock().unwrap_or_else(PoisonError::into_inner);
        if state.version == seen && !state.stopped {
            let waited = shared.changed.wait_timeout(state, Duration::from_millis(100));
            state = waited.unwrap_or_else(PoisonError::into_inner).0;
        }
    }
    drop(state);
    write!(stream, "0\r\n\r\n")
}

fn chunk(mut stream: &TcpStream, event: &Value) -> std::io::Result<()> {
    let line = format!("{event}\n");
    write!(stream, "{:x}\r\n{line}\r\n", line.len())
}
