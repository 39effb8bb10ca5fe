//! Inside the slot's process: hello, then chunk after chunk until the parent closes the pipe.

use std::{
    io::{self, Write},
    sync::atomic::{AtomicU8, Ordering},
};

use rustix::{
    process::{Pid, Signal, getpid, kill_process_group},
    time::{ClockId, clock_gettime},
};

use super::{
    attempt::{Trouble, attempt, install_panic_hook},
    descriptors::{Page, monotonic_nanos, remove_variable, take_page, take_pipes},
    frame::{Content, Header, Kind, Record, encode_fault, hello, split_chunk, split_run_frame},
    output::Output,
    parcel::{Direction, Outlet},
    process::Ticket,
    requests::Requests,
};
use crate::{
    failure::{FailureKind, Fault},
    function::{Call, Codec, Encoder, Limit, Run, Shared, enter_runtime, find},
    names::SLOT_VAR,
};

/// Of -1000 to 1000 (proc(5), `oom_score_adj`): as if the slot used half of all memory more than it does.
const SOONER_THAN_OTHERS: &str = "500";

/// What this process is.
static ROLE: AtomicU8 = AtomicU8::new(UNKNOWN);
const UNKNOWN: u8 = 0;
const CLIENT: u8 = 1;
const SLOT: u8 = 2;

/// True once `init` has run.
pub(crate) fn is_initialised() -> bool {
    ROLE.load(Ordering::Relaxed) != UNKNOWN
}

/// True inside a slot.
pub(crate) fn is_slot() -> bool {
    ROLE.load(Ordering::Relaxed) == SLOT
}

/// Notes that this process is neither a slot nor uninitialised.
pub(crate) fn be_client() {
    ROLE.store(CLIENT, Ordering::Relaxed);
}

/// Serves as the slot that the ticket, the value of [`SLOT_VAR`], names.
#[expect(clippy::exit, reason = "a slot's process must not run the user's `main`")]
pub(crate) fn serve_slot(ticket: &str, setup: impl FnOnce()) -> ! {
    ROLE.store(SLOT, Ordering::Relaxed);
    match Server::start(ticket).and_then(|server| server.run(setup)) {
        // The parent has closed the pipe, so it is done with this slot or gone: what chunks started goes with it.
        Ok(()) => {
            let _ = kill_process_group(getpid(), Signal::KILL);
        }
        // To the parent, which keeps a slot's last lines.
        Err(error) => drop(writeln!(io::stderr(), "cloud: this slot ends: {error}")),
    }
    std::process::exit(1);
}

struct Server {
    requests: Requests,
    doer: Doer,
}

/// Runs chunks and hands over their results.
struct Doer {
    page: Page,
    output: Output,
    /// Results may still be gathered in `output`.
    unflushed: bool,
    /// For large results.
    parcels: Outlet,
    meter: Meter,
    run: CurrentRun,
    /// One result being made.
    result: Vec<u8>,
}

/// Tells the parent how much processor time this process has used.
#[derive(Default)]
struct Meter {
    told: u64,
}

impl Meter {
    /// Before results go out, or their reader would not have it yet; and once a millisecond at most, since asking takes a
    /// system call.
    #[inline]
    fn tell(&mut self, page: &Page, now: u64) {
        const OFTEN_ENOUGH: u64 = 1_000_000;
        if now - self.told >= OFTEN_ENOUGH {
            self.told = now;
            let used = clock_gettime(ClockId::ProcessCPUTime);
            page.set_processor_time(used.tv_sec as u64 * 1_000_000_000 + used.tv_nsec as u64);
        }
    }
}

/// The run that chunks belong to.
struct CurrentRun {
    id: u64,
    function: Result<Run, Fault>,
    shared: Shared,
    limit: Limit,
    replies: Encoder,
}

impl Server {
    fn start(ticket: &str) -> io::Result<Server> {
        let ticket: Ticket = ticket.parse()?;
        remove_variable(SLOT_VAR).map_err(|error| {
            io::Error::other(format!("`cloud::init` must come first in `main`, on its own thread: {error}"))
        })?;
        let parent = Pid::from_raw(ticket.parent as i32)
            .ok_or_else(|| io::Error::other("the parent has no number"))?;
        // Where memory runs out, the kernel shall take a slot rather than its parent. A system that forbids it takes whom it
        // likes.
        let _ = std::fs::write("/proc/self/oom_score_adj", SOONER_THAN_OTHERS);
        let page = take_page(ticket.page)?;
        let pipes = take_pipes()?;
        let output = Output::start(pipes.results, parent)?;
        output.push(&hello(ticket.nonce), &[])?;
        output.flush()?;
        let run = CurrentRun {
            id: 0,
            function: Err(Fault::new(FailureKind::UndecodableInput, "no run was announced")),
            shared: Shared::default(),
            limit: Limit(0),
            replies: Encoder::default(),
        };
        let doer = Doer {
            page,
            output,
            unflushed: false,
            parcels: Outlet::new(Direction::Results),
            meter: Meter::default(),
            run,
            result: Vec::new(),
        };
        Ok(Server { requests: Requests::new(pipes.requests), doer })
    }

    fn run(mut self, setup: impl FnOnce()) -> io::Result<()> {
        install_panic_hook();
        let _runtime = enter_runtime()?;
        setup();
        let Server { requests, doer } = &mut self;
        loop {
            if requests.must_wait() {
                // Nothing more to do at hand: everything finished goes out before this blocks.
                doer.pause()?;
            }
            let Some(header) = requests.next_header(&doer.page)? else { return Ok(()) };
            let Some(body) = requests.body(header, &doer.page)? else { return Ok(()) };
            match header.kind {
                Kind::Run => doer.begin_run(body)?,
                Kind::Chunks | Kind::ChunksInParcel => doer.do_chunks(header, body)?,
            }
        }
    }
}

impl Doer {
    fn begin_run(&mut self, body: &[u8]) -> io::Result<()> {
        let (run, shared) = split_run_frame(body)?;
        let function = find(run.function, &run.name).map(|entry| entry.run).ok_or_else(|| {
            Fault::new(FailureKind::UndecodableInput, format!("this program has no function `{}`", run.name))
        });
        let codec = run.shared.and_then(Codec::from_byte);
        // A function's replies are of one type, so what was learned of it holds in every run.
        let mut replies = if run.function == self.run.id {
            std::mem::take(&mut self.run.replies)
        } else {
            Encoder::default()
        };
        replies.renew();
        self.run = CurrentRun {
            id: run.function,
            function,
            shared: codec.map_or_else(Shared::default, |codec| Shared::new(codec, shared.to_vec())),
            limit: Limit(usize::try_from(run.max_bytes).map_err(io::Error::other)?),
            replies,
        };
        Ok(())
    }

    fn do_chunks(&mut self, header: Header, body: &[u8]) -> io::Result<()> {
        let mut rest = body;
        let mut now = monotonic_nanos();
        for number in header.first..header.first + u64::from(header.chunks) {
            let (codec, input, behind) = split_chunk(rest)?;
            rest = behind;
            if !self.page.claim(number, now) {
                continue; // taken back
            }
            if self.unflushed {
                self.output.leave_to_guard();
            }
            self.result.clear();
            let result = match &self.run.function {
                Ok(run) => {
                    let call = Call {
                        input,
                        codec,
                        shared: &self.run.shared,
                        replies: &mut self.run.replies,
                        limit: self.run.limit,
                    };
                    attempt(*run, call, &mut self.result)
                }
                Err(fault) => Err(Trouble::Fault(fault.clone())),
            };
            let end = monotonic_nanos();
            let elapsed = end - now;
            self.page.finish();
            now = end;
            let content = match result {
                Ok(codec) => Content::Value(codec),
                Err(trouble) => {
                    self.result = encode_fault(&trouble.into_fault());
                    now = monotonic_nanos();
                    Content::Fault
                }
            };
            self.meter.tell(&self.page, end);
            if self.hand_over(number, elapsed, content)? {
                now = monotonic_nanos(); // it may have waited for room in the pipe
            }
        }
        Ok(())
    }

    /// Sends the result just made; true if that took long.
    fn hand_over(&mut self, number: u64, elapsed: u64, content: Content) -> io::Result<bool> {
        let in_parcel = self.parcels.put(&self.page, &self.result);
        let record = Record { number: number as u32, length: self.result.len(), elapsed, content, in_parcel };
        if in_parcel {
            self.output.push(&record.header(), &[])?;
            self.output.flush()?;
            return Ok(true);
        }
        self.unflushed = true;
        self.output.push(&record.header(), &self.result)
    }

    fn pause(&mut self) -> io::Result<()> {
        self.meter.tell(&self.page, monotonic_nanos());
        // What user code printed without a newline; before the results, after which the program may end.
        // If it cannot be printed, that is not the run's affair.
        let _ = io::stdout().flush();
        self.output.flush()?;
        self.unflushed = false;
        Ok(())
    }
}
