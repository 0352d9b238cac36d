//! References to container images, as `distribution/reference` reads them.

use std::sync::LazyLock;

use regex::Regex;

/// A reference with a name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Image<'a> {
    /// Domain and path.
    pub(super) name: &'a str,
    pub(super) tag: Option<&'a str>,
    /// `sha256:...`
    pub(super) digest: Option<&'a str>,
}

static REFERENCE: LazyLock<Option<Regex>> = LazyLock::new(|| {
    let component = "(?:[a-zA-Z0-9]|[a-zA-Z0-9][a-zA-Z0-9-]*[a-zA-Z0-9])";
    let domain = format!(r"(?:{component}(?:\.{component})*|\[(?:[a-fA-F0-9:]+)\])(?::[0-9]+)?");
    let path = r"[a-z0-9]+(?:(?:[._]|__|[-]+)[a-z0-9]+)*";
    let tag = r"[\w][\w.-]{0,127}";
    let digest = r"[A-Za-z][A-Za-z0-9]*(?:[-_+.][A-Za-z][A-Za-z0-9]*)*:[0-9a-fA-F]{32,}";
    Regex::new(&format!("^((?:{domain}/)?{path}(?:/{path})*)(?::({tag}))?(?:@({digest}))?$")).ok()
});

/// Longest name that is accepted.
const MAX_NAME: usize = 255;

impl<'a> Image<'a> {
    /// Parses; nothing for what is not a reference with a name.
    pub(super) fn parse(text: &'a str) -> Option<Self> {
        let found = REFERENCE.as_ref()?.captures(text)?;
        let group = |number| found.get(number).map(|part| part.as_str());
        let image = Self { name: group(1)?, tag: group(2), digest: group(3) };
        (image.name.len() <= MAX_NAME && image.digest.is_none_or(is_digest)).then_some(image)
    }

    /// The version that `service.version` takes: tag, digest or both.
    pub(super) fn version(&self) -> Option<String> {
        match (self.tag, self.digest) {
            (Some(tag), Some(digest)) => Some(format!("{tag}@{digest}")),
            (Some(one), None) | (None, Some(one)) => Some(one.to_owned()),
            (None, None) => None,
        }
    }

    /// The tag as attribute: `latest` if there is none.
    pub(super) fn tag_or_latest(&self) -> &'a str {
        self.tag.unwrap_or("latest")
    }
}

/// A known algorithm and as many hexadecimal digits as it has.
fn is_digest(text: &str) -> bool {
    let Some((algorithm, hex)) = text.split_once(':') else { return false };
    let digits = match algorithm {
        "sha256" => 64,
        "sha384" => 96,
        "sha512" => 128,
        _ => return false,
    };
    hex.len() == digits && hex.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'))
}

/// The full reference of an image id with a digest (`docker.io/library/nginx@sha256:...`); nothing for other ids.
pub(super) fn canonical(id: &str) -> Option<String> {
    if is_digest(id) || (id.len() == 64 && id.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'))) {
        return None;
    }
    let (domain, rest) = match id.split_once('/') {
        // As the docker command line: what has no dot, no port and is not localhost is no domain.
        Some((first, rest)) if first.contains(['.', ':']) || first == "localhost" || first.to_lowercase() != first => {
            (if first == "index.docker.io" { "docker.io" } else { first }, rest)
        }
        _ => ("docker.io", id),
    };
    let library = if domain == "docker.io" && !rest.contains('/') { "library/" } else { "" };
    let full = format!("{domain}/{library}{rest}");
    let image = Image::parse(&full)?;
    image.digest?;
    Some(full)
}

#[cfg(test)]
mod tests {
    use super::*;

    const HEX: &str = "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef";

    fn parts(text: &str) -> Option<(&str, Option<&str>, Option<&str>)> {
        Image::parse(text).map(|image| (image.name, image.tag, image.digest))
    }

    #[test]
    fn references() {
        assert_eq!(parts("nginx"), Some(("nginx", None, None)));
        assert_eq!(parts("nginx:1.2"), Some(("nginx", Some("1.2"), None)));
        let name = "example.com:5000/alpine/alpine";
        assert_eq!(parts("example.com:5000/alpine/alpine:test"), Some((name, Some("test"), None)));
        let digest = format!("sha256:{HEX}");
        let both = format!("a/b:1@{digest}");
        assert_eq!(parts(&both), Some(("a/b", Some("1"), Some(digest.as_str()))));
        assert_eq!(Image::parse(&both).unwrap().version(), Some(format!("1@{digest}")));
        for bad in ["", "UPPER", "a//b", "a:b:c", "a@sha256:12", "a b", "docker-pullable://nginx"] {
            assert_eq!(parts(bad), None, "{bad}");
        }
    }

    #[test]
    fn canonical_ids() {
        let check = |id: &str, expected: Option<&str>| {
            assert_eq!(canonical(&format!("{id}@sha256:{HEX}")), expected.map(|name| format!("{name}@sha256:{HEX}")));
        };
        check("nginx", Some("docker.io/library/nginx"));
        check("me/app", Some("docker.io/me/app"));
        check("index.docker.io/nginx", Some("docker.io/library/nginx"));
        check("registry:5000/app:1", Some("registry:5000/app:1"));
        check("docker-pullable://nginx", None);
        assert_eq!(canonical(HEX), None);
        assert_eq!(canonical(&format!("sha256:{HEX}")), None);
        assert_eq!(canonical("nginx:1"), None);
    }
}
