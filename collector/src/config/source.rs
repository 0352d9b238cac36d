//! Where configuration comes from: `file:`, `env:` and `yaml:` URIs, bare paths, and `--set`.
//!
//! What lies outside the process is behind [`Outside`], so that everything above it is tested without files.

use std::io;

use super::node::Node;
use super::yaml::{self, YamlError};

/// Files and environment variables.
pub trait Outside {
    /// The variable, if it is set.
    fn variable(&self, name: &str) -> Option<String>;
    /// The whole file.
    fn file(&self, path: &str) -> io::Result<String>;
}

/// The process's own environment and files.
#[derive(Clone, Copy, Debug, Default)]
pub struct Process;

impl Outside for Process {
    fn variable(&self, name: &str) -> Option<String> {
        std::env::var_os(name).map(|value| value.to_string_lossy().into_owned())
    }
    fn file(&self, path: &str) -> io::Result<String> {
        let bytes = std::fs::read(path)?;
        String::from_utf8(bytes).map_err(|_| io::Error::new(io::ErrorKind::InvalidData, "not UTF-8"))
    }
}

/// Something the user should hear about that is no error.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Remark {
    /// `${env:X}` without a default, and X is not set.
    UnsetVariable(String),
    /// X is set to the empty text.
    EmptyVariable(String),
}

/// What a URI gave: the text, and the text parsed.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Fetched {
    pub(super) text: String,
    pub(super) value: Node,
    /// Why the text was taken as a plain string, if it is no YAML.
    pub(super) not_yaml: Option<YamlError>,
}

/// Schemes, with the module names that `components` lists.
pub const PROVIDERS: &[&str] = &["env", "file", "yaml"];

/// Why nothing was fetched.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum FetchError {
    #[error("invalid uri: {0:?}{1}")]
    InvalidUri(String, &'static str),
    #[error("scheme {0:?} is not supported for uri {1:?}")]
    Scheme(String, String),
    #[error("environment variable {0:?} has invalid name: must match regex ^[a-zA-Z_][a-zA-Z0-9_]*$")]
    VariableName(String),
    #[error("unable to read the file {uri}: {cause}")]
    File { uri: String, cause: String },
}

/// Splits `scheme:opaque`.
pub(super) fn split_uri(uri: &str) -> Option<(&str, &str)> {
    let (scheme, opaque) = uri.split_once(':')?;
    let well = scheme.len() >= 2
        && scheme.starts_with(|c: char| c.is_ascii_alphabetic())
        && scheme.chars().all(|c| c.is_ascii_alphanumeric() || "+.-".contains(c));
    well.then_some((scheme, opaque))
}

/// Fetches what `uri` names.
pub(super) fn fetch(uri: &str, outside: &dyn Outside, remarks: &mut Vec<Remark>) -> Result<Fetched, FetchError> {
    let hint = if uri.contains(":-") { " (a default needs the scheme: ${env:NAME:-default})" } else { "" };
    let Some((scheme, opaque)) = split_uri(uri) else { return Err(FetchError::InvalidUri(uri.to_owned(), hint)) };
    let text = match scheme {
        "env" => variable(opaque, outside, remarks)?,
        "yaml" => opaque.to_owned(),
        "file" => {
            let path = clean(opaque);
            outside.file(&path).map_err(|error| FetchError::File {
                uri: uri.to_owned(),
                cause: format!("open {path}: {}", go_cause(&error)),
            })?
        }
        _ if opaque.starts_with('-') => return Err(FetchError::InvalidUri(uri.to_owned(), hint)),
        _ => return Err(FetchError::Scheme(scheme.to_owned(), uri.to_owned())),
    };
    Ok(parsed(text))
}

/// Text that is no YAML, or that YAML reads as a string, is taken as it is.
fn parsed(text: String) -> Fetched {
    match yaml::parse(&text) {
        Ok(Node::String(_)) => Fetched { value: Node::String(text.clone()), text, not_yaml: None },
        Ok(value) => Fetched { value, text, not_yaml: None },
        Err(error) => Fetched { value: Node::String(text.clone()), text, not_yaml: Some(error) },
    }
}

fn variable(opaque: &str, outside: &dyn Outside, remarks: &mut Vec<Remark>) -> Result<String, FetchError> {
    let (name, default) = match opaque.split_once(":-") {
        Some((name, default)) => (name, Some(default)),
        None => (opaque, None),
    };
    let well = name.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_')
        && name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_');
    if !well {
        return Err(FetchError::VariableName(name.to_owned()));
    }
    let value = outside.variable(name);
    let remark = match (&value, default) {
        (None, None) => Some(Remark::UnsetVariable(name.to_owned())),
        (Some(value), _) if value.is_empty() => Some(Remark::EmptyVariable(name.to_owned())),
        _ => None,
    };
    remarks.extend(remark.filter(|remark| !remarks.contains(remark)));
    Ok(value.or(default.map(str::to_owned)).unwrap_or_default())
}

/// `./a//b/../c` is `a/c`, as Go cleans paths; without looking at the disk.
fn clean(path: &str) -> String {
    let mut parts: Vec<&str> = Vec::new();
    for part in path.split('/') {
        match part {
            "" | "." => {}
            ".." if parts.last().is_some_and(|last| *last != "..") => drop(parts.pop()),
            ".." if path.starts_with('/') => {}
            part => parts.push(part),
        }
    }
    match (path.starts_with('/'), parts.is_empty()) {
        (true, _) => format!("/{}", parts.join("/")),
        (false, true) => ".".to_owned(),
        (false, false) => parts.join("/"),
    }
}

fn go_cause(error: &io::Error) -> String {
    match error.kind() {
        io::ErrorKind::NotFound => "no such file or directory".to_owned(),
        io::ErrorKind::PermissionDenied => "permission denied".to_owned(),
        io::ErrorKind::IsADirectory => "is a directory".to_owned(),
        _ => error.to_string(),
    }
}

/// A `--set` value as a `yaml:` URI: `a.b.c=value` is `yaml:a::b::c: value`.
pub fn set_to_uri(set: &str) -> Result<String, String> {
    let Some((path, value)) = set.split_once('=') else {
        return Err(format!("invalid argument {set:?} for \"--set\" flag: missing equal sign"));
    };
    Ok(format!("yaml:{}: {}", path.replace('.', "::").trim(), value.trim()))
}

/// A `--config` value as a URI: without a scheme, or with a drive letter, it is a file.
pub(super) fn config_to_uri(config: &str) -> Result<String, String> {
    let drive = config.as_bytes().first().is_some_and(u8::is_ascii_alphabetic) && config.get(1..2) == Some(":");
    if drive || !config.contains(':') {
        return Ok(format!("file:{config}"));
    }
    match split_uri(config) {
        Some((scheme, _)) if PROVIDERS.contains(&scheme) => Ok(config.to_owned()),
        Some(_) => Err(format!("unsupported scheme on URI {config:?}")),
        None => Err(format!("invalid uri: {config:?}")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn set_values_become_yaml() {
        assert_eq!(set_to_uri("a.b/x.c=5"), Ok("yaml:a::b/x::c: 5".to_owned()));
        assert_eq!(set_to_uri("a=b=c"), Ok("yaml:a: b=c".to_owned()));
        assert_eq!(
            set_to_uri("novalue"),
            Err("invalid argument \"novalue\" for \"--set\" flag: missing equal sign".to_owned())
        );
    }

    #[test]
    fn config_values_become_uris() {
        assert_eq!(config_to_uri("a/b.yaml"), Ok("file:a/b.yaml".to_owned()));
        assert_eq!(config_to_uri("C:\\x.yaml"), Ok("file:C:\\x.yaml".to_owned()));
        assert_eq!(config_to_uri("env:X"), Ok("env:X".to_owned()));
        assert_eq!(config_to_uri("foo:bar"), Err("unsupported scheme on URI \"foo:bar\"".to_owned()));
    }

    #[test]
    fn paths_are_cleaned() {
        for (path, expected) in [("./a//b/../c", "a/c"), ("/../x", "/x"), ("../a", "../a"), ("", "."), ("/a/b", "/a/b")]
        {
            assert_eq!(clean(path), expected);
        }
    }
}
