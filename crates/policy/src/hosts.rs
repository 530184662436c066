//! Whether a URL's host is on a list. A text that different readers could read as different URLs is none at all.

use std::fmt;

use url::{Host, Url};

/// A host that a policy lists: one name or address, or all names below one.
#[derive(Clone, Debug)]
pub(crate) enum ListedHost {
    This(Box<str>),
    /// With the dot: `.example.com`.
    Below(Box<str>),
}

/// The text is no absolute URL, or not the same one to everybody.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct NoUrl;

impl ListedHost {
    /// None where the text is no host.
    pub(crate) fn new(text: &str) -> Option<Self> {
        if let Some(name) = text.strip_prefix("*.") {
            return normal(name).filter(|name| !name.contains(':')).map(|name| Self::Below(format!(".{name}").into()));
        }
        let bracketed = text.contains(':') && !text.starts_with('[');
        let host = if bracketed { normal(&format!("[{text}]")) } else { normal(text) };
        host.map(|host| Self::This(host.into()))
    }

    fn is(&self, host: &str) -> bool {
        match self {
            Self::This(this) => **this == *host,
            Self::Below(domain) => host.strip_suffix(&**domain).is_some_and(|labels| !labels.is_empty()),
        }
    }
}

impl fmt::Display for ListedHost {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::This(host) => f.write_str(host),
            Self::Below(domain) => write!(f, "*{domain}"),
        }
    }
}

/// Whether the URL's host is listed. A URL without a host is not.
pub(crate) fn list(hosts: &[ListedHost], url: &str) -> Result<bool, NoUrl> {
    let odd = |c: char| c == '\\' || c.is_whitespace() || c.is_control();
    let (_, rest) = url.split_once(':').ok_or(NoUrl)?;
    if url.contains(odd) {
        return Err(NoUrl);
    }
    let url = Url::parse(url).map_err(|_| NoUrl)?;
    match url.host_str().filter(|host| !host.is_empty()) {
        None => Ok(false),
        // Browsers find a host in `https:example.com` and `https:///example.com`; others do not.
        Some(_) if !rest.starts_with("//") || rest.starts_with("///") => Err(NoUrl),
        Some(host) => {
            let host = normal(host).ok_or(NoUrl)?;
            Ok(hosts.iter().any(|listed| listed.is(&host)))
        }
    }
}

/// Lower case, IDNA, addresses in one form; without a trailing dot.
fn normal(host: &str) -> Option<String> {
    let host = host.strip_suffix('.').unwrap_or(host);
    let host = Host::parse(host).ok()?.to_string();
    (!host.is_empty() && !host.contains('*')).then_some(host)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(host: &str, url: &str, expected: Result<bool, NoUrl>) {
        assert_eq!(list(&[ListedHost::new(host).unwrap()], url), expected, "{url} on {host}");
    }

    #[test]
    fn urls() {
        check("example.com", "https://example.com/a", Ok(true));
        check("Example.COM.", "https://EXAMPLE.com.:8443/", Ok(true));
        check("example.com", "https://example.com../", Ok(false));
        check("example.com", "https://a.example.com/", Ok(false));
        check("*.example.com", "https://a.example.com/", Ok(true));
        check("*.example.com", "https://a.b.example.com/", Ok(true));
        check("*.example.com", "https://example.com/", Ok(false));
        check("*.example.com", "https://notexample.com/", Ok(false));
        check("example.com", "https://example.com@evil.test/", Ok(false));
        check("example.com", "https://user:secret@example.com/", Ok(true));
        check("example.com", "https://evil.test/?https://example.com", Ok(false));
        check("example.com", "https://evil.test#@example.com", Ok(false));
        check("example.com", "https://evil.test\\@example.com", Err(NoUrl));
        check("example.com", "https://exa\tmple.com/", Err(NoUrl));
        check("example.com", " https://example.com", Err(NoUrl));
        check("example.com", "https:example.com", Err(NoUrl));
        check("example.com", "https:///example.com", Err(NoUrl));
        check("example.com", "//example.com", Err(NoUrl));
        check("example.com", "example.com", Err(NoUrl));
        check("example.com", "/etc/passwd", Err(NoUrl));
        check("example.com", "", Err(NoUrl));
        check("example.com", "mailto:a@example.com", Ok(false));
        check("example.com", "ftp://%65xample.com/", Ok(true));
        check("example.com", "custom://EXAMPLE.com/a", Ok(true));
        check("bücher.example", "https://xn--bcher-kva.example/", Ok(true));
        check("xn--bcher-kva.example", "https://BÜCHER.example/", Ok(true));
        check("127.0.0.1", "http://0x7f.1/", Ok(true));
        check("::1", "http://[0:0::1]:80/", Ok(true));
        check("[::1]", "http://[::1]/", Ok(true));
    }

    #[test]
    fn what_is_no_host() {
        for text in ["", "*", "*.", "a b", "https://example.com", "example.com/a", "a.*.b", "*.*.b", "*.::1"] {
            assert!(ListedHost::new(text).is_none(), "{text}");
        }
    }
}
