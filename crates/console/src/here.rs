//! What all handlers stand on, and the one way in which anything is changed: recorded, done, in force.

use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

use gateway::{Act, Control};
use store::{Document, Kept, Store, StoreError};
use tokio::sync::{Mutex, MutexGuard, Semaphore};

use crate::console::Options;
use crate::control::Gate;
use crate::etag::Change;
use crate::guard::Caller;
use crate::problem::{Code, Problem, chain};
use crate::throttle::Throttle;

/// Milliseconds since 1970. A parameter, so that tests need not wait.
pub type Clock = Arc<dyn Fn() -> i64 + Send + Sync>;

/// The clock of this machine.
pub fn system_clock() -> Clock {
    Arc::new(|| {
        let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        i64::try_from(since.as_millis()).unwrap_or(i64::MAX)
    })
}

/// Live streams of events at a time.
pub(crate) const MAX_STREAMS: usize = 32;

pub(crate) struct Here {
    pub(crate) control: Gate,
    pub(crate) store: Store,
    pub(crate) clock: Clock,
    approvals_clock: Option<Clock>,
    pub(crate) throttle: Throttle,
    /// Are cookies only for TLS?
    pub(crate) secure: bool,
    pub(crate) streams: Arc<Semaphore>,
    /// The document, as it is served.
    pub(crate) openapi: std::sync::OnceLock<String>,
    changing: Mutex<()>,
}

pub(crate) type State = axum::extract::State<Arc<Here>>;

/// Held from the look at what there is until the change of it is in force: on one node changes come one after the other.
pub(crate) struct Changing<'h> {
    here: &'h Here,
    _one: MutexGuard<'h, ()>,
}

/// What is about to be done.
#[derive(Clone, Copy)]
pub(crate) struct Deed<'a> {
    /// Such as `server.put`.
    pub(crate) action: &'static str,
    pub(crate) id: &'a str,
    /// The version that is changed, if there is one.
    pub(crate) from: Option<i64>,
}

impl Here {
    pub(crate) fn new(control: Control, store: Store, options: Options) -> Self {
        let Options { clock, approvals, secure } = options;
        Self {
            control: Gate::new(control),
            store,
            clock,
            approvals_clock: approvals,
            throttle: Throttle::default(),
            secure,
            streams: Arc::new(Semaphore::new(MAX_STREAMS)),
            openapi: std::sync::OnceLock::new(),
            changing: Mutex::new(()),
        }
    }

    pub(crate) fn now(&self) -> i64 {
        (self.clock)()
    }

    /// What the gateway goes by when it asks whether an approval is over.
    pub(crate) fn approvals_now(&self) -> i64 {
        match &self.approvals_clock {
            Some(clock) => clock(),
            None => self.control.approvals_now_ms().unwrap_or_else(|| self.now()),
        }
    }

    pub(crate) async fn changing(&self) -> Changing<'_> {
        Changing { here: self, _one: self.changing.lock().await }
    }

    /// No record, no change: what cannot be recorded is not done.
    pub(crate) async fn record(&self, act: Act<'_>) -> Result<(), Problem> {
        let recorded = self.control.record(act).await;
        recorded.map_err(|error| {
            Problem::new(Code::AuditUnavailable, format!("the audit journal cannot be written: {error}"))
        })
    }

    /// Records that it begins, does it, and records how it ended. `version`: what it became, where that has one.
    pub(crate) async fn on_record<T, E: Into<Problem>>(
        &self,
        caller: &Caller,
        deed: Deed<'_>,
        work: impl Future<Output = Result<T, E>>,
        version: impl FnOnce(&T) -> Option<i64>,
    ) -> Result<T, Problem> {
        let act = caller.act(deed);
        self.record(Act { outcome: "begun", ..act }).await?;
        match work.await {
            Ok(done) => {
                let to = version(&done);
                // It is done; a record of its beginning there is.
                _ = self.record(Act { outcome: "done", to, ..act }).await;
                Ok(done)
            }
            Err(error) => {
                let problem = error.into();
                _ = self.record(Act { outcome: "failed", code: Some(problem.code.as_str()), ..act }).await;
                Err(problem)
            }
        }
    }
}

impl Changing<'_> {
    /// Does it on record, and has the gateway judge by it.
    ///
    /// Whoever changes what calls are judged by has asked the same code before that `refresh` builds from (`check_server`,
    /// `check_policy`), so `refresh` refuses nothing that came this way. If it still does (another node was faster), the store's word
    /// stands, what was in force before stays in force, and the answer says so: nothing is undone behind the back of who else reads it.
    pub(crate) async fn carry_out<T>(
        &self,
        caller: &Caller,
        deed: Deed<'_>,
        work: impl Future<Output = Result<T, StoreError>>,
        version: impl FnOnce(&T) -> Option<i64>,
    ) -> Result<T, Problem> {
        let done = self.here.on_record(caller, deed, work, version).await?;
        self.here.control.refresh().await.map_err(|error| {
            Problem::new(Code::NotApplied, format!("what was in force stays in force: {}", chain(&error)))
        })?;
        Ok(done)
    }
}

impl Changing<'_> {
    /// Makes a document, or puts it in another's place. `actions`: what the journal calls the one and the other.
    pub(crate) async fn put<D: Document>(
        &self,
        caller: &Caller,
        actions: (&'static str, &'static str),
        id: &str,
        change: Change,
        value: D,
    ) -> Result<Kept<D>, Problem> {
        let (action, from) = match change {
            Change::Create => (actions.0, None),
            Change::Update(version) => (actions.1, Some(version)),
        };
        let work = async {
            match from {
                None => self.here.store.create(id, value).await,
                Some(_) => self.here.store.replace(id, value, from).await,
            }
        };
        self.carry_out(caller, Deed { action, id, from }, work, |kept| Some(kept.version)).await
    }
}

impl From<StoreError> for Problem {
    fn from(error: StoreError) -> Self {
        match &error {
            StoreError::Unavailable { .. } => {
                tracing::error!(error = %chain(&error), "the store did not answer the admin API");
                Self::new(Code::StoreUnavailable, "whether a change was made is not known: look before you try again")
            }
            StoreError::Exists { .. } => Self::new(Code::Exists, error.to_string()),
            StoreError::Stale { version } => Self::new(Code::Stale, "it was changed since: read it again")
                .with("current", crate::etag::tag(*version)),
            StoreError::NotFound { .. } => Self::new(Code::NotFound, error.to_string()),
            StoreError::Invalid { what, why } => Self::invalid(what, why.clone()),
            StoreError::InUse { .. } => Self::new(Code::InUse, error.to_string()),
            StoreError::LastAdmin { .. } => Self::new(Code::LastAdmin, error.to_string()),
            StoreError::Full { .. } => Self::new(Code::Full, error.to_string()),
            StoreError::Corrupt { .. } | StoreError::Newer { .. } | StoreError::Url(_) => Self::internal(&error),
        }
    }
}
