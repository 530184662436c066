//! Which arguments of which tools go into `Mcp-Param-*` headers: learnt from the lists that pass.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use http::{HeaderMap, HeaderName, HeaderValue};
use mcp::{ListOf, Mirror, Object};
use serde_json::value::RawValue;

/// Tools that are remembered at most.
const MAX_TOOLS: usize = 20_000;

/// Arguments of one tool that are mirrored at most: a gateway takes no more headers than about that.
const MAX_MIRRORS: usize = 64;

/// Only tools that have such arguments are kept.
#[derive(Default)]
pub(super) struct Mirrored(Mutex<HashMap<Box<str>, Vec<Mirror>>>);

impl Mirrored {
    /// Takes a page of tools; the first one replaces what was known.
    pub(super) fn learn(&self, result: &RawValue, first: bool) {
        let Some(result) = Object::read(result.get()) else { return };
        let list = result.get(ListOf::Tools.member()).map(|list| list.get());
        let Some(Ok(items)) = list.map(serde_json::from_str::<Vec<&RawValue>>) else { return };
        let mut tools = self.tools();
        if first {
            tools.clear();
        }
        for item in items {
            let Some(name) = Object::read(item.get()).and_then(|tool| tool.text("name")) else { continue };
            match mcp::mirrors(item) {
                Some(mirrors) if !mirrors.is_empty() && tools.len() < MAX_TOOLS => {
                    tools.insert(name.as_ref().into(), mirrors);
                }
                Some(_) | None => drop(tools.remove(name.as_ref())),
            }
        }
    }

    pub(super) fn headers(&self, tool: &str, arguments: Option<&str>) -> HeaderMap {
        let tools = self.tools();
        let mirrors = tools.get(tool).into_iter().flatten();
        mirrors
            .take(MAX_MIRRORS)
            .filter_map(|mirror| {
                let name: HeaderName = mirror.header.parse().ok()?;
                Some((name, HeaderValue::from_str(&mirror.written(arguments)?).ok()?))
            })
            .collect()
    }

    fn tools(&self) -> MutexGuard<'_, HashMap<Box<str>, Vec<Mirror>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
