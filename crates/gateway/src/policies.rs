//! The policy files: compiled once, watched, swapped whole. A bad file never replaces a good policy.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use arc_swap::ArcSwap;
use policy::{Catalogue, Denial, DenyCode, Policy, PolicyErrors, RulePointer};
use ratelimit::{Algorithm, InvalidMeter, InvalidQuota, Meter, Quota};

/// A policy as it is enforced: the rules, and a meter for each of its counters, by index.
pub(crate) struct Bound {
    pub(crate) policy: Policy,
    pub(crate) meters: Vec<Arc<Meter>>,
    /// The policy's hash, in hexadecimal.
    pub(crate) hash: Arc<str>,
    /// What limits call this document: on every node that has the same configuration, wherever that lies there.
    pub(crate) name: Arc<str>,
    /// There is none: this stands for it, and denies everything.
    absent: bool,
}

impl Bound {
    /// INVARIANT: no two documents of a configuration are called the same: neither two of one kind, nor a file and one of the store
    fn counted(self, kind: &str, name: &str) -> Self {
        Self { name: format!("{kind}: {name}").into(), ..self }
    }

    /// How a denial by this is told.
    pub(crate) fn denial(&self, denial: Denial) -> Denial {
        match self.absent {
            true => Denial { code: DenyCode::Default, rule: RulePointer::NO_POLICY, reason: None, approval: None },
            false => denial,
        }
    }
}

/// Which document judges a server's calls: another takes its place at once.
pub(crate) struct Binding(ArcSwap<PolicyFile>);

impl Binding {
    pub(crate) fn to(document: Arc<PolicyFile>) -> Self {
        Self(ArcSwap::new(document))
    }

    pub(crate) fn document(&self) -> Arc<PolicyFile> {
        self.0.load_full()
    }

    pub(crate) fn rebind(&self, document: Arc<PolicyFile>) {
        self.0.store(document);
    }
}

/// One document, of a file or of the store. All servers that name it share it, and the counts of its limits.
pub(crate) struct PolicyFile {
    pub(crate) path: PathBuf,
    /// What people call this document.
    pub(crate) name: Arc<str>,
    kind: Kind,
    current: ArcSwap<Bound>,
    trouble: Mutex<Option<String>>,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    /// It may change while the gateway runs.
    Watched,
    BuiltIn,
    Kept,
    Absent,
}

/// Why a policy cannot be enforced.
#[derive(Debug, thiserror::Error)]
pub enum PolicyTrouble {
    #[error("cannot read policy `{path}`")]
    Read { path: PathBuf, source: std::io::Error },
    #[error("policy `{path}` is not valid")]
    Invalid { path: PathBuf, source: PolicyErrors },
    #[error("policy `{path}` has a limit that cannot be counted: {why}")]
    Uncountable { path: PathBuf, why: String },
}

impl PolicyFile {
    /// `folder`: where the configuration lies that names it.
    pub(crate) fn load(path: &Path, folder: Option<&Path>) -> Result<Self, PolicyTrouble> {
        let within = folder.and_then(|folder| path.strip_prefix(folder).ok()).unwrap_or(path);
        Ok(Self::holding(path, Kind::Watched, read(path)?.counted("file", &within.display().to_string())))
    }

    /// A policy that comes with the program.
    pub(crate) fn built_in(name: &str, text: &str) -> Result<Self, PolicyTrouble> {
        let path = Path::new(name);
        Ok(Self::holding(path, Kind::BuiltIn, bind(path, text, None)?.counted("built in", name)))
    }

    /// One that the store has, in a version that stays as it is.
    pub(crate) fn kept(name: &str, text: &str, catalogue: Option<&str>) -> Result<Self, PolicyTrouble> {
        let path = Path::new(name);
        let invalid = |source| PolicyTrouble::Invalid { path: path.into(), source };
        let catalogue = catalogue.map(|text| Catalogue::parse(&format!("{name} (catalogue)"), text)).transpose();
        let bound = bind(path, text, catalogue.map_err(invalid)?.as_ref())?;
        Ok(Self::holding(path, Kind::Kept, bound.counted("store", name)))
    }

    /// In place of one that is missing.
    pub(crate) fn absent() -> Result<Self, PolicyTrouble> {
        let path = Path::new("(no policy)");
        let bound = bind(path, r#"{ "version": "1" }"#, None)?;
        Ok(Self::holding(path, Kind::Absent, Bound { hash: "none".into(), absent: true, ..bound }))
    }

    fn holding(path: &Path, kind: Kind, bound: Bound) -> Self {
        let name = path.display().to_string().into();
        Self { path: path.to_owned(), name, kind, current: ArcSwap::from_pointee(bound), trouble: Mutex::new(None) }
    }

    /// The snapshot to judge a whole request by.
    pub(crate) fn current(&self) -> Arc<Bound> {
        self.current.load_full()
    }

    /// Is there a file to be watched?
    pub(crate) fn is_watched(&self) -> bool {
        self.kind == Kind::Watched
    }

    /// Is it the store's?
    pub(crate) fn is_kept(&self) -> bool {
        self.kind == Kind::Kept
    }

    /// Its name, unless it stands for one that is missing.
    pub(crate) fn named(&self) -> Option<&str> {
        (self.kind != Kind::Absent).then_some(&*self.name)
    }

    /// Why the last reload was refused, if it was.
    pub(crate) fn trouble(&self) -> Option<String> {
        self.trouble.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Takes the file as it is now, unless it is bad or unchanged. The hashes of before and of now, when the policy changed.
    pub(crate) fn reload(&self) -> Option<(Arc<str>, Arc<str>)> {
        let outcome = read(&self.path).map(|bound| Bound { name: Arc::clone(&self.current().name), ..bound });
        let mut trouble = self.trouble.lock().unwrap_or_else(PoisonError::into_inner);
        match outcome {
            Ok(bound) => {
                *trouble = None;
                let before = self.current();
                let changed = before.policy.hash() != bound.policy.hash();
                changed.then(|| {
                    tracing::info!(policy = %self.name, from = %before.hash, to = %bound.hash, "policy reloaded");
                    let hashes = (Arc::clone(&before.hash), Arc::clone(&bound.hash));
                    self.current.store(Arc::new(bound));
                    hashes
                })
            }
            Err(error) => {
                let why = chain(&error);
                if trouble.as_ref() != Some(&why) {
                    tracing::error!(policy = %self.name, error = %why, "policy not reloaded: the old one stays in force");
                }
                *trouble = Some(why);
                None
            }
        }
    }
}

/// A policy file, with the catalogue beside it.
pub(crate) fn read(path: &Path) -> Result<Bound, PolicyTrouble> {
    let (text, catalogue) = documents(path)?;
    bind(path, &text, catalogue.as_ref())
}

/// The text of a policy, and the catalogue beside it.
pub(crate) fn documents(path: &Path) -> Result<(String, Option<Catalogue>), PolicyTrouble> {
    let text = text(path)?;
    let beside = path.with_file_name("catalog.json");
    if !beside.exists() {
        return Ok((text, None));
    }
    let invalid = |source| PolicyTrouble::Invalid { path: beside.clone(), source };
    let catalogue = Catalogue::parse(&beside.display().to_string(), &self::text(&beside)?).map_err(invalid)?;
    Ok((text, Some(catalogue)))
}

fn text(path: &Path) -> Result<String, PolicyTrouble> {
    fs::read_to_string(path).map_err(|source| PolicyTrouble::Read { path: path.into(), source })
}

pub(crate) fn bind(path: &Path, text: &str, catalogue: Option<&Catalogue>) -> Result<Bound, PolicyTrouble> {
    let name = path.display().to_string();
    let policy = match catalogue {
        Some(catalogue) => Policy::parse_with(&name, text, catalogue),
        None => Policy::parse(&name, text),
    };
    let policy = policy.map_err(|source| PolicyTrouble::Invalid { path: path.into(), source })?;
    let meters = policy.counters().iter().map(meter).collect::<Result<_, _>>();
    let meters = meters.map_err(|why| PolicyTrouble::Uncountable { path: path.into(), why })?;
    Ok(Bound { hash: policy.hash().to_string().into(), policy, meters, name: name.into(), absent: false })
}

fn meter(counter: &policy::Counter) -> Result<Arc<Meter>, String> {
    let quotas = counter.limits.iter().map(quota).collect::<Result<Vec<_>, _>>().map_err(|error| error.to_string())?;
    Meter::new(quotas).map(Arc::new).map_err(|error: InvalidMeter| error.to_string())
}

fn quota(limit: &policy::Limit) -> Result<Quota, InvalidQuota> {
    let max = std::num::NonZeroU64::new(limit.max).unwrap_or(std::num::NonZeroU64::MIN);
    let algorithm = match limit.algorithm {
        policy::Algorithm::Window => Algorithm::Window,
        policy::Algorithm::Smooth => Algorithm::Smooth,
    };
    Quota::new(max, limit.window, algorithm)
}

/// An error and all its causes, on one line.
pub(crate) fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(source) = cause {
        text.push_str(": ");
        text.push_str(&source.to_string());
        cause = source.source();
    }
    // Whose words these are is not known here: nothing of them may pass for a line, or for the look of one, of ours.
    let mut line = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '\n' | '\r' => line.push(' '),
            '"' | '\'' | '\\' => line.push(c),
            _ => line.extend(c.escape_debug()),
        }
    }
    line
}
