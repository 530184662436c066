//! Paths and URLs: one inside every folder and of every host that tests name, and some that are nowhere.

use super::texts::Texts;
use crate::hosts::ListedHost;
use crate::test::Test;

/// Paths and URLs with a name in them that no test names.
pub(super) fn examples(tests: &[&&Test], fresh: &str) -> Vec<String> {
    let mut texts = Vec::new();
    for test in tests {
        if let Test::Within(folders) = test {
            texts.push(format!("/{fresh}"));
            for folder in folders {
                let inside = folder.with(fresh);
                texts.extend((!inside.starts_with('/')).then(|| format!("../{inside}")));
                texts.push(inside);
            }
        }
        if let Test::HostIn(hosts) = test {
            texts.push(format!("https://{fresh}.{fresh}/"));
            texts.extend(hosts.iter().map(|host| match host {
                ListedHost::This(host) => format!("https://{host}/{fresh}"),
                ListedHost::Below(domain) => format!("https://{fresh}{domain}/{fresh}"),
            }));
        }
    }
    texts
}

/// How most paths and URLs look that are inside, so that they meet what other tests on the same text ask for.
pub(super) fn add_forms(test: &Test, texts: &mut Texts) {
    if let Test::Within(folders) = test {
        for folder in folders {
            let inside = folder.with("");
            let root = regex::escape(inside.trim_end_matches('/'));
            texts.add_form(format!(r"{root}(/[^/\\%.][^/\\%]*)*"));
        }
        // Climbing out again is what other tests most often miss.
        texts.add_form(r"(?s:.*[/\\]\.\.([/\\].*)?)".to_owned());
    }
    if let Test::HostIn(hosts) = test {
        for host in hosts {
            let host = match host {
                ListedHost::This(host) => regex::escape(host),
                ListedHost::Below(domain) => format!("[a-z]+{}", regex::escape(domain)),
            };
            texts.add_form(format!("https://{host}(/[!-~]*)?"));
        }
    }
}
