//! Following one kind of objects for ever: list, then watch, then watch again; list anew when the server has forgotten.
//!
//! Streaming lists are not used: API servers with an older etcd refuse them. A server that is away, restarts, or lost its
//! history is waited for with growing pauses of up to 30 s; what was learned before stays with the caller meanwhile.
//! (Not kube's own runtime, which goes on asking for a version that a server set up anew does not know.)

use std::pin::pin;
use std::time::Duration;

use futures_util::StreamExt;
use kube::api::{ListParams, WatchEvent, WatchParams};
use kube::{Api, Error, Resource, ResourceExt};
use serde::de::DeserializeOwned;
use tokio::time::{Instant, sleep, timeout};

use crate::net::random::jitter;

/// What happened. Between `Begin` and `Complete` come all objects that exist; others were deleted.
#[derive(Clone, Debug, PartialEq)]
pub enum Event<K> {
    /// A list begins.
    Begin,
    /// An object of the list.
    Listed(K),
    /// The list is complete.
    Complete,
    /// An object is new or has changed.
    Applied(K),
    /// An object was deleted.
    Deleted(K),
}

/// Which objects of the kind are wanted; the server selects. Empty selects all.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Wanted {
    /// By label: `a=b,c!=d,e,!f`.
    pub labels: String,
    /// By field: `spec.nodeName=n1`.
    pub fields: String,
    /// How long the server may hold one watch: whole seconds, at least one; some minutes without it. (On lists, where
    /// contrib's resolver asks for it too, it has no effect.)
    pub watch_for: Option<Duration>,
}

impl Wanted {
    fn watch_seconds(&self) -> u32 {
        let seconds = |span: Duration| u32::try_from(span.as_secs()).unwrap_or(u32::MAX).clamp(1, WATCH_SECONDS);
        self.watch_for.map_or(WATCH_SECONDS, seconds)
    }
}

/// Objects of one page of a list.
const PAGE: u32 = 500;
/// How long the server may hold one watch, seconds. It ends them all by itself within minutes.
const WATCH_SECONDS: u32 = 290;
/// A connection that says nothing for this long beyond that is dead.
const SILENCE: Duration = Duration::from_secs(WATCH_SECONDS as u64 + 15);
/// The longest that a list's page or the beginning of a watch may take.
const ANSWER: Duration = Duration::from_secs(60);

/// Gives every event to `take`, and never ends. `what` names the objects in the log: `pods`.
pub async fn follow<K>(what: &str, api: Api<K>, wanted: Wanted, mut take: impl FnMut(Event<K>))
where
    K: Resource + Clone + DeserializeOwned + std::fmt::Debug + Send + 'static,
{
    let mut pauses = Pauses::default();
    let mut said = Said { what, last: String::new() };
    loop {
        match list(&api, &wanted, &mut take).await {
            Ok(version) => {
                said.well();
                pauses = Pauses::default();
                watch(&api, &wanted, version, &mut said, &mut take).await;
                // The list is asked for again; at once, it would be a loop where a server refuses every watch.
                pauses.wait().await;
            }
            Err(failure) => {
                said.failed(&failure);
                pauses.wait().await;
            }
        }
    }
}

/// Lists all; gives the version that a watch goes on from.
async fn list<K>(api: &Api<K>, wanted: &Wanted, take: &mut impl FnMut(Event<K>)) -> Result<String, Failure>
where
    K: Resource + Clone + DeserializeOwned + std::fmt::Debug,
{
    let mut params = ListParams::default().limit(PAGE);
    params.label_selector = Some(wanted.labels.clone()).filter(|text| !text.is_empty());
    params.field_selector = Some(wanted.fields.clone()).filter(|text| !text.is_empty());
    loop {
        let page = timeout(ANSWER, api.list(&params)).await.map_err(|_| Failure::Silence)??;
        if params.continue_token.is_none() {
            take(Event::Begin);
        }
        page.items.into_iter().for_each(|object| take(Event::Listed(object)));
        match page.metadata.continue_.filter(|token| !token.is_empty()) {
            Some(token) => params.continue_token = Some(token),
            None => {
                take(Event::Complete);
                return Ok(page.metadata.resource_version.unwrap_or_default());
            }
        }
    }
}

/// Watches until only a new list helps.
async fn watch<K>(
    api: &Api<K>,
    wanted: &Wanted,
    mut version: String,
    said: &mut Said<'_>,
    take: &mut impl FnMut(Event<K>),
) where
    K: Resource + Clone + DeserializeOwned + std::fmt::Debug + Send + 'static,
{
    let seconds = wanted.watch_seconds();
    let mut params = WatchParams::default().timeout(seconds);
    params.label_selector = Some(wanted.labels.clone()).filter(|text| !text.is_empty());
    params.field_selector = Some(wanted.fields.clone()).filter(|text| !text.is_empty());
    let mut pauses = Pauses::default();
    loop {
        let began = Instant::now();
        match watch_once(api, &params, &mut version, said, take).await {
            // The server's time was up: going on at once misses nothing for long. Servers that end a watch early are not
            // asked at once.
            Ok(events) => {
                let lasted = began.elapsed() * 2 >= Duration::from_secs(seconds.into());
                if events > 0 || lasted {
                    pauses = Pauses::default();
                }
                if lasted {
                    continue;
                }
            }
            Err(failure) => {
                said.failed(&failure);
                if failure.lost_history() {
                    return;
                }
            }
        }
        pauses.wait().await;
    }
}

/// One watch request to its end; gives the number of its events.
async fn watch_once<K>(
    api: &Api<K>,
    params: &WatchParams,
    version: &mut String,
    said: &mut Said<'_>,
    take: &mut impl FnMut(Event<K>),
) -> Result<u64, Failure>
where
    K: Resource + Clone + DeserializeOwned + std::fmt::Debug + Send + 'static,
{
    let stream = timeout(ANSWER, api.watch(params, version)).await.map_err(|_| Failure::Silence)??;
    said.well();
    let mut stream = pin!(stream);
    let mut events = 0;
    while let Some(event) = timeout(SILENCE, stream.next()).await.map_err(|_| Failure::Silence)? {
        let event = match event? {
            WatchEvent::Added(object) | WatchEvent::Modified(object) => Event::Applied(object),
            WatchEvent::Deleted(object) => Event::Deleted(object),
            WatchEvent::Bookmark(bookmark) => {
                *version = bookmark.metadata.resource_version;
                continue;
            }
            WatchEvent::Error(status) => return Err(Failure::Api(Error::Api(status))),
        };
        if let Event::Applied(object) | Event::Deleted(object) = &event {
            *version = object.resource_version().unwrap_or_default();
        }
        events += 1;
        take(event);
    }
    Ok(events)
}

#[derive(Debug)]
enum Failure {
    Api(Error),
    Silence,
}

impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        Self::Api(error)
    }
}

impl Failure {
    /// The server does not know the version that the watch would go on from (410), or, set up anew, waits for a version
    /// of its past and gives up (504).
    fn lost_history(&self) -> bool {
        matches!(self, Self::Api(Error::Api(status)) if matches!(status.code, 410 | 504))
    }

    fn describe(&self, what: &str) -> String {
        match self {
            Self::Silence => "the server does not answer".to_owned(),
            Self::Api(Error::Api(status)) if status.code == 403 => {
                format!("{}; give the service account a role with get, list and watch on {what}", status.message)
            }
            Self::Api(Error::Api(status)) => status.message.clone(),
            // The outer texts only say that something failed.
            Self::Api(other) => {
                let mut deepest: &dyn std::error::Error = other;
                while let Some(source) = deepest.source() {
                    deepest = source;
                }
                deepest.to_string()
            }
        }
    }
}

/// One line a cause: a server that is away fails the same way every few seconds.
struct Said<'w> {
    what: &'w str,
    last: String,
}

impl Said<'_> {
    fn failed(&mut self, failure: &Failure) {
        let text = failure.describe(self.what);
        if text != self.last {
            tracing::warn!(objects = self.what, error = text.as_str(), "Watching the Kubernetes API failed");
            self.last = text;
        }
    }

    fn well(&mut self) {
        if !self.last.is_empty() {
            tracing::info!(objects = self.what, "The Kubernetes API answers again");
            self.last.clear();
        }
    }
}

/// Half a second, doubled each time up to 30 s, with jitter so that a fleet does not come back at once.
struct Pauses(Duration);

impl Default for Pauses {
    fn default() -> Self {
        Self(Duration::from_millis(500))
    }
}

impl Pauses {
    async fn wait(&mut self) {
        sleep(jitter(self.0, 0.5)).await;
        self.0 = (self.0 * 2).min(Duration::from_secs(30));
    }
}
