//! The debug page: the ring and the other instances as this one sees them, as text, and at `/json` as JSON.

use std::fmt::Write as _;
use std::sync::{Arc, Weak};

use ::peers::{Counters, MemberState};
use bytes::Bytes;
use http::header::CONTENT_TYPE;
use http::{HeaderValue, Method, Request, Response, StatusCode};
use hyper::body::Incoming;

use super::super::processor::Shared;
use super::lock;
use crate::net::serve::{Answer, Handler, Reply};

/// Answers until the processor is gone.
pub(super) struct Page(pub(super) Weak<Shared>);

/// What the page shows.
pub(super) struct View {
    pub(super) name: String,
    pub(super) incarnation: u64,
    pub(super) view: u64,
    /// Owners, with the part of all traces that each owns.
    pub(super) shares: Vec<(Arc<str>, f64)>,
    pub(super) members: Vec<MemberState>,
    pub(super) held: usize,
    pub(super) owned: usize,
    pub(super) decisions: usize,
    pub(super) counters: Counters,
}

impl Handler for Page {
    fn answer(self: Arc<Self>, request: Request<Incoming>) -> Answer {
        Box::pin(async move {
            let (status, kind, text) = self.respond(request.method(), request.uri().path());
            let mut response = Response::new(Reply::data(Bytes::from(text)));
            *response.status_mut() = status;
            response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(kind));
            response
        })
    }
}

impl Page {
    fn respond(&self, method: &Method, path: &str) -> (StatusCode, &'static str, String) {
        const TEXT: &str = "text/plain; charset=utf-8";
        if method != Method::GET && method != Method::HEAD {
            return (StatusCode::METHOD_NOT_ALLOWED, TEXT, "only GET\n".to_owned());
        }
        let view = self.0.upgrade().and_then(|shared| shared.view_of_peers());
        match (view, path) {
            (None, _) => (StatusCode::SERVICE_UNAVAILABLE, TEXT, "this instance stops\n".to_owned()),
            (Some(view), "/") => (StatusCode::OK, TEXT, view.to_text()),
            (Some(view), "/json") => (StatusCode::OK, "application/json", view.to_json()),
            (Some(_), _) => (StatusCode::NOT_FOUND, TEXT, "there is / and /json\n".to_owned()),
        }
    }
}

impl Shared {
    fn view_of_peers(&self) -> Option<View> {
        let peers = self.peers.as_ref()?;
        let node = lock(&peers.node);
        let (held, owned, decisions) = node.sizes();
        Some(View {
            name: peers.name.clone(),
            incarnation: node.incarnation(),
            view: node.view(),
            shares: node.shares(),
            members: node.states(peers.now()),
            held,
            owned,
            decisions,
            counters: node.counters(),
        })
    }
}

impl View {
    pub(super) fn to_text(&self) -> String {
        let mut out = String::new();
        let own = self.shares.iter().find(|(name, _)| **name == *self.name);
        // Writing to a String cannot fail.
        let _ = match own {
            Some((_, share)) => writeln!(out, "{} owns {:.1} % of all traces", self.name, share * 100.0),
            None => writeln!(out, "{} owns no traces", self.name),
        };
        let _ = writeln!(out, "run {}, view {:016x}\n", self.incarnation, self.view);
        let width = self.shares.iter().map(|(name, _)| name.len()).chain(self.members.iter().map(|m| m.name.len()));
        let width = width.max().unwrap_or(0).max(8);
        let _ = writeln!(out, "{:width$}  of all traces", "owner");
        for (name, share) in &self.shares {
            let _ = writeln!(out, "{name:width$}  {:.1} %", share * 100.0);
        }
        let _ = writeln!(
            out,
            "\n{:width$}  {:14}  listed  owner  same view  silent ms  decisions to tell  entries to collect",
            "instance", "condition"
        );
        let yes = |yes: bool| if yes { "yes" } else { "no" };
        for member in &self.members {
            let _ = writeln!(
                out,
                "{:width$}  {:14}  {:6}  {:5}  {:9}  {:9}  {:17}  {}",
                member.name,
                member.condition,
                yes(member.listed),
                yes(member.owner),
                yes(member.agrees),
                member.silent_for,
                member.owed,
                member.unreported
            );
        }
        let _ = writeln!(
            out,
            "\ntraces held here {}, owned {}; decisions remembered {}",
            self.held, self.owned, self.decisions
        );
        for (name, value) in self.counts() {
            let _ = writeln!(out, "{name} {value}");
        }
        out
    }

    fn counts(&self) -> [(&'static str, u64); 11] {
        let names = [
            "entries sent",
            "entries received",
            "decisions sent",
            "traces judged",
            "traces merged",
            "traces incomplete",
            "traces alone",
            "traces adopted",
            "conflicts",
            "ring changes",
            "entries refused",
        ];
        let values = super::metrics::list(&self.counters);
        std::array::from_fn(|at| (names[at], values[at]))
    }

    pub(super) fn to_json(&self) -> String {
        let owners: Vec<_> =
            self.shares.iter().map(|(name, share)| serde_json::json!({ "name": **name, "share": share })).collect();
        let members: Vec<_> = self
            .members
            .iter()
            .map(|member| {
                serde_json::json!({
                    "name": *member.name,
                    "condition": member.condition,
                    "listed": member.listed,
                    "owner": member.owner,
                    "same_view": member.agrees,
                    "silent_ms": member.silent_for,
                    "decisions_to_tell": member.owed,
                    "entries_to_collect": member.unreported,
                })
            })
            .collect();
        let counts: serde_json::Map<String, serde_json::Value> =
            self.counts().into_iter().map(|(name, value)| (name.replace(' ', "_"), value.into())).collect();
        serde_json::json!({
            "name": self.name,
            "run": self.incarnation,
            "view": format!("{:016x}", self.view),
            "owners": owners,
            "members": members,
            "traces_held": self.held,
            "traces_owned": self.owned,
            "decisions_remembered": self.decisions,
            "counts": counts,
        })
        .to_string()
            + "\n"
    }
}
