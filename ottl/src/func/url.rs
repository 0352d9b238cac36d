//! `URL(uri)`: the parts of a URL under the names of the semantic conventions.

use std::borrow::Cow;

use super::{Call, Function, Param, ParamKind};
use crate::{
    error::EvalError,
    go::url::{self, Url},
    ir::Type,
    value::{Entry, GoInt, List, ListRepr, Map, MapRepr, Value},
};

pub(super) static FUNCTION: Function = Function::new(
    "URL",
    // The name is all capitals upstream, so only `u_r_i` reaches it.
    &[Param::required("URI", ParamKind::String)],
    Type::Map,
    eval,
    "a map of a URL's parts: url.scheme, url.domain, url.port, url.path and so on",
);

fn eval<'e>(call: &Call<'_, 'e>) -> Result<Value<'e>, EvalError> {
    let uri = call.str(0)?;
    if uri.is_empty() {
        return Err(EvalError::Argument);
    }
    let entries = match uri.strip_prefix(b"?") {
        Some(query) => query_entries(query)?,
        None => url_entries(&Url::parse(&uri).ok_or(EvalError::Parse)?)?,
    };
    Ok(Value::Map(Map::owned(entries, MapRepr::Raw)))
}

fn url_entries<'e>(url: &Url) -> Result<Vec<Entry<'e>>, EvalError> {
    let mut entries: Vec<Entry<'e>> = Vec::new();
    let mut put = |key: &'static str, value: Value<'e>| entries.push((Cow::Borrowed(key.as_bytes()), value));
    let (host, port) = url.host_and_port();
    put("url.original", Value::string(url.text()));
    put("url.domain", Value::string(host));
    put("url.scheme", Value::string(url.scheme.clone()));
    put("url.path", Value::string(url.path.clone()));
    if !port.is_empty() {
        let port = std::str::from_utf8(port).ok().and_then(|port| port.parse().ok()).ok_or(EvalError::Parse)?;
        // Go's int, which equals no int64: a quirk that conditions can see.
        put("url.port", Value::GoInt(GoInt::Int(port)));
    }
    if !url.fragment.is_empty() {
        put("url.fragment", Value::string(url.fragment.clone()));
    }
    if let Some(user) = &url.user {
        put("url.user_info", Value::string(user.text()));
        if !user.name.is_empty() {
            put("url.username", Value::string(user.name.clone()));
        }
        if let Some(password) = &user.password {
            put("url.password", Value::string(password.clone()));
        }
    }
    if !url.raw_query.is_empty() {
        put("url.query", Value::string(url.raw_query.clone()));
    }
    if let Some(dot) = memchr::memrchr(b'.', &url.path).filter(|dot| dot + 1 < url.path.len()) {
        put("url.extension", Value::string(&url.path[dot + 1..]));
    }
    Ok(entries)
}

/// All values of each key, under `query`.
fn query_entries<'e>(query: &[u8]) -> Result<Vec<Entry<'e>>, EvalError> {
    let mut keys: Vec<(Vec<u8>, Vec<Value<'e>>)> = Vec::new();
    let mut places = hashbrown::HashMap::<Vec<u8>, usize, foldhash::fast::RandomState>::default();
    for (key, value) in url::parse_query(query).ok_or(EvalError::Parse)? {
        let place = *places.entry(key.clone()).or_insert(keys.len());
        match keys.get_mut(place) {
            Some((_, values)) => values.push(Value::string(value)),
            None => keys.push((key, vec![Value::string(value)])),
        }
    }
    if keys.is_empty() {
        return Ok(Vec::new());
    }
    let list = |values| Value::List(List::owned(values, ListRepr::Raw));
    let parameters = keys.into_iter().map(|(key, values)| (Cow::Owned(key), list(values))).collect();
    Ok(vec![(Cow::Borrowed(b"query"), Value::Map(Map::owned(parameters, MapRepr::Raw)))])
}
