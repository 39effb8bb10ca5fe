//! What a client can be ordered to do next, and what can come of it.

use std::{collections::BTreeMap, time::Duration};

use super::poll::Poll;
use crate::{
    compute::{Child, ComputeError, Job, JobId},
    failure::FailureKind,
    store::Created,
    wire::{Cancelled, Closed, Incarnation, Origin, RunId, Submitted},
};

/// What a client does next. Each is answered by one [`News`].
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Order {
    /// Note that a job is about to be submitted.
    Intend {
        round: u32,
        attempt: u32,
        workers: u32,
    },
    Submit {
        round: u32,
        workers: u32,
    },
    /// Look for jobs of these names.
    Find {
        names: Vec<String>,
    },
    NoteSubmitted {
        round: u32,
        submitted: Submitted,
    },
    /// Read which job a round counts on: another client was first.
    ReadSubmitted {
        round: u32,
    },
    /// Read the rounds anew: another client is at work.
    Reload,
    Describe {
        jobs: Vec<JobId>,
    },
    ReadFailed {
        job: JobId,
    },
    /// Read who has claimed these blocks.
    ReadClaims {
        blocks: Vec<u32>,
    },
    /// Say for these that they have left, and why.
    Bury {
        dead: Vec<(Incarnation, String)>,
    },
    /// List outcomes from this block on.
    List {
        from: u32,
    },
    /// See whether anybody has ended the run.
    Look,
    Wait(Duration),
    NoteCancelled {
        kind: FailureKind,
        reason: String,
    },
    Terminate {
        jobs: Vec<JobId>,
        reason: String,
    },
    Close(Closed),
    ReadClosed,
    /// All is said and done.
    End,
}

/// What came of an order.
#[derive(Debug)]
pub(crate) enum News {
    Intended(Created),
    Submitted(Result<JobId, ComputeError>),
    Found(Vec<Job>),
    NotedSubmitted(Created),
    ReadSubmitted(Option<Submitted>),
    Reloaded(Rounds),
    Described(Vec<Job>),
    Failed(Vec<Child>),
    Claims(Vec<Owned>),
    Buried,
    Listed(Vec<u32>),
    /// The note that it is to end, and whether it is closed.
    Looked(Option<Cancelled>, bool),
    Waited,
    NotedCancelled,
    Terminated,
    Closed(Created),
    ReadClosed(Option<Closed>),
}

/// An undecided block that somebody has claimed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Owned {
    pub(crate) block: u32,
    pub(crate) incarnation: Incarnation,
    pub(crate) origin: Origin,
    /// It is known to have left, and why.
    pub(crate) left: Option<String>,
}

/// The rounds as stored: for each how often it was intended, and the job it counts on.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Rounds(pub(crate) BTreeMap<u32, (u32, Option<Submitted>)>);

/// What does not change while a run goes on.
#[derive(Debug, Clone)]
pub(crate) struct Terms {
    pub(crate) run: RunId,
    pub(crate) blocks: u32,
    pub(crate) workers: u32,
    /// Rounds beyond the first.
    pub(crate) repairs: u32,
    pub(crate) start_within: Duration,
    /// How long a submitted job may take to show up in lists.
    pub(crate) shows_within: Duration,
    pub(crate) poll: Poll,
}

/// How a run ends.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Ending {
    /// Every block has its outcomes.
    Complete,
    Cancelled,
    /// What is missing will never come.
    Hopeless {
        kind: FailureKind,
        reason: String,
    },
}
