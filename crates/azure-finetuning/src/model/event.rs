//! What happens to a job while it runs.

use serde::{Deserialize, Serialize};

use super::lenient::{self, tolerant};
use super::{Extra, StepMetrics, UnixTime};
use crate::id::EventId;
use crate::open_enum::open_enum;

open_enum!(
    /// How much an event matters.
    EventLevel {
        /// For information.
        Info = "info",
        /// Something to look at.
        Warn = "warn" | "warning",
        /// Something went wrong.
        Error = "error",
    }
);

open_enum!(
    /// What an event is about.
    EventKind {
        /// A line of text.
        Message = "message",
        /// Metrics of a step, in [`Event::data`].
        Metrics = "metrics",
    }
);

tolerant!(
    ["id"]
    /// One event of a job (`fine_tuning.job.event`).
    ///
    /// The service lists events newest first, but its specification shows the opposite: do not rely on the order of a page.
    /// [`Event::order`] is one to sort by.
    #[derive(Clone, Debug, PartialEq, Serialize)]
    #[non_exhaustive]
    pub struct Event {
        /// The event's id, unique within the job.
        pub id: EventId,
        /// When it happened.
        #[serde(default, deserialize_with = "lenient::present")]
        pub created_at: UnixTime,
        /// How much it matters.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        pub level: Option<EventLevel>,
        /// What a person reads.
        #[serde(default, deserialize_with = "lenient::present")]
        pub message: String,
        /// What it is about.
        #[serde(rename = "type", default, skip_serializing_if = "Option::is_none")]
        pub kind: Option<EventKind>,
        /// Metrics, where the event has any.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        pub data: Option<StepMetrics>,
        /// Members this crate does not know, such as `object`.
        #[serde(flatten)]
        pub extra: Extra,
    }
);

impl Event {
    /// A key that sorts events oldest first: time, then step, then id.
    #[must_use]
    pub fn order(&self) -> (UnixTime, i64, EventId) {
        let step = self.data.as_ref().and_then(|data| data.step).unwrap_or_default();
        (self.created_at, step, self.id.clone())
    }
}
