//! A client as a process of its own: this program again, and what it does there.

use std::{
    fs,
    process::{Child, Command, ExitStatus, Stdio},
    thread::sleep,
    time::Duration,
};

use cloud::{Backend, Error, Run, RunState};
use rustix::process::{Signal, getppid};
use serde::{Deserialize, Serialize};
use smol::block_on;

use crate::place::{PLACE_VAR, Place, signal, within};

/// Tells a process what it is to do.
const PART_VAR: &str = "CLOUD_TEST_PART";

/// What is run, and how its function behaves.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Plan {
    pub(crate) place: Place,
    pub(crate) chunks: u64,
    pub(crate) workers: usize,
    pub(crate) retries: u32,
    /// Bytes that each chunk has beside its number.
    pub(crate) padding: usize,
    /// The input stops at this chunk until it is released.
    pub(crate) input_stops_at: Option<u64>,
    /// These chunks wait until they are released.
    pub(crate) hold: Vec<u64>,
    /// These kill their worker the first time.
    pub(crate) kill_once: Vec<u64>,
    /// These kill their worker each time.
    pub(crate) kill: Vec<u64>,
    pub(crate) millis: u64,
}

/// What a client does.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) enum Part {
    /// Starts a run, and takes its results.
    Run,
    /// Starts one, and cancels it when it is told to.
    Cancel,
    /// Attaches, and takes the results.
    Attach { run: String },
    /// Attaches, submits, and takes the results.
    Submit { run: String },
}

/// How it went.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Said {
    Values(Vec<u64>),
    /// Of each failure the chunk, the kind, and the message.
    Failed(Vec<(u64, String, String)>),
    NoRun,
    Error(String),
    Cancelled,
}

/// A client's process.
pub(crate) struct Client {
    child: Child,
    place: Place,
    number: usize,
}

pub(crate) fn value_of(chunk: u64) -> u64 {
    chunk * 3 + 1
}

pub(crate) fn chunk_of(value: u64) -> u64 {
    (value - 1) / 3
}

impl Plan {
    pub(crate) fn new(place: Place, chunks: u64, workers: usize) -> Plan {
        Plan {
            place,
            chunks,
            workers,
            retries: 0,
            padding: 0,
            input_stops_at: None,
            hold: Vec::new(),
            kill_once: Vec::new(),
            kill: Vec::new(),
            millis: 1,
        }
    }

    pub(crate) fn values(&self) -> Vec<u64> {
        (0..self.chunks).map(value_of).collect()
    }
}

/// What runs in slots.
fn work(plan: &Plan, (chunk, _padding): (u64, Vec<u8>)) -> u64 {
    let place = &plan.place;
    place.note(chunk, "begun");
    if plan.kill.contains(&chunk) || (plan.kill_once.contains(&chunk) && place.calls(chunk) == 1) {
        signal(getppid().unwrap().as_raw_pid(), Signal::KILL);
        // Until this slot ends with its worker.
        sleep(Duration::from_secs(60));
    }
    while plan.hold.contains(&chunk) && !place.is_released() {
        sleep(Duration::from_millis(1));
    }
    sleep(Duration::from_millis(plan.millis));
    place.note(chunk, "done");
    value_of(chunk)
}

#[test]
fn plays_its_part() {
    let Ok(part) = std::env::var(PART_VAR) else { return };
    let (plan, part, number): (Plan, Part, usize) = serde_json::from_str(&part).unwrap();
    let backend: Backend = Backend::mock().at(plan.place.mock()).into();
    let said = block_on(play(&plan, &part, backend));
    let text = serde_json::to_vec(&said).unwrap();
    fs::write(plan.place.0.join(format!("said.{number}")), text).unwrap();
}

/// What a client says that plays its part in this process; `None` if it has not come to its end by then.
pub(crate) fn said_here(plan: &Plan, part: &Part, time: Duration) -> Option<Said> {
    let backend: Backend = Backend::mock().at(plan.place.mock()).into();
    let late = async {
        smol::Timer::after(time).await;
        None
    };
    block_on(smol::future::or(async { Some(play(plan, part, backend).await) }, late))
}

async fn play(plan: &Plan, part: &Part, backend: Backend) -> Said {
    let attached = async |run: &String| Run::<u64>::attach_on(backend.clone(), run.parse().unwrap()).await;
    let results = match part {
        Part::Run => match start(plan, backend.clone()).await {
            Ok(run) => run.results().await,
            Err(error) => Err(error),
        },
        Part::Cancel => {
            let run = start(plan, backend.clone()).await.unwrap();
            while !plan.place.0.join("cancel").exists() {
                sleep(Duration::from_millis(1));
            }
            assert_eq!(run.cancel().await.unwrap().state, RunState::Cancelled);
            return Said::Cancelled;
        }
        Part::Attach { run } => match attached(run).await {
            Ok(run) => run.results().await,
            Err(error) => Err(error),
        },
        Part::Submit { run } => match attached(run).await {
            Ok(mut run) => {
                assert_eq!(run.status().await.unwrap().state, RunState::Prepared);
                run.submit();
                run.results().await
            }
            Err(error) => Err(error),
        },
    };
    match results {
        Ok(values) => Said::Values(values),
        Err(Error::Failed(failures)) => {
            let said = |failure: &cloud::Failure| {
                (failure.chunk as u64, format!("{:?}", failure.kind), failure.message.clone())
            };
            Said::Failed(failures.iter().map(said).collect())
        }
        Err(Error::NoRun { .. }) => Said::NoRun,
        Err(error) => Said::Error(error.to_string()),
    }
}

async fn start(plan: &Plan, backend: Backend) -> cloud::Result<Run<u64>> {
    let inputs = (0..plan.chunks).map(|chunk| {
        while plan.input_stops_at == Some(chunk) && !plan.place.is_released() {
            sleep(Duration::from_millis(1));
        }
        (chunk, vec![7; plan.padding])
    });
    let map = cloud::map_with(plan.clone(), work, inputs).on(backend).slots(plan.workers);
    map.retries(plan.retries).env(PLACE_VAR, &plan.place.0).start().await
}

impl Client {
    /// `number` tells a folder's clients apart.
    pub(crate) fn start(plan: &Plan, part: &Part, number: usize) -> Client {
        let part = serde_json::to_string(&(plan, part, number)).unwrap();
        let log = fs::File::create(plan.place.0.join(format!("client-{number}.log"))).unwrap();
        let child = Command::new(std::env::current_exe().unwrap())
            .args(["client::plays_its_part", "--exact", "--nocapture", "--test-threads=1"])
            .env(PART_VAR, part)
            .env(PLACE_VAR, &plan.place.0)
            .stdin(Stdio::null())
            .stdout(log.try_clone().unwrap())
            .stderr(log)
            .spawn()
            .unwrap();
        Client { child, place: plan.place.clone(), number }
    }

    pub(crate) fn pid(&self) -> i32 {
        self.child.id() as i32
    }

    pub(crate) fn wait(&mut self) -> ExitStatus {
        self.child.wait().unwrap()
    }

    /// What it said at its end; `None` if it has not come to it by then.
    pub(crate) fn said_within(&mut self, time: Duration) -> Option<Said> {
        let ended = within(time, || self.child.try_wait().unwrap().is_some());
        let said = fs::read(self.place.0.join(format!("said.{}", self.number))).ok()?;
        ended.then(|| serde_json::from_slice(&said).unwrap())
    }
}
