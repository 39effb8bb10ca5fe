//! Inside the slot's process: hello, then chunk after chunk until the parent closes the pipe.

use std::{
    io::{self, Write},
    os::fd::OwnedFd,
    sync::atomic::{AtomicU8, Ordering},
};

use rustix::{
    buffer::spare_capacity,
    event::{PollFd, PollFlags, Timespec, poll},
    io::{Errno, read},
    process::Pid,
    thread::sched_yield,
    time::{ClockId, clock_gettime},
};

use super::{
    attempt::{Trouble, attempt, install_panic_hook},
    descriptors::{Page, monotonic_nanos, remove_variable, take_page, take_pipes},
    frame::{
        Content, HEADER, Header, Kind, RECORD, Record, encode_fault, hello, split_chunk, split_run_frame,
    },
    output::Output,
    process::Ticket,
};
use crate::{
    failure::{FailureKind, Fault},
    function::{Call, Codec, Encoder, Limit, Run, Shared, enter_runtime, find},
    names::{SLOT_VAR, SPIN},
};

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

/// Must be the first line of `main`, or use [`#[cloud::main]`](macro@crate::main).
///
/// Slots are started by running this same program again. In such a process this function serves chunks and never
/// returns; in any other it notes that slots may be started, and returns at once.
///
/// Tests, doctests and benches have no `main` to put it in: the crate's feature `test` runs it before `main`.
pub fn init() {
    init_with(|| {});
}

/// Like [`init`], and runs `setup` in each slot before its first chunk: for loggers, thread pools, licences.
///
/// It runs on the thread that later calls the function, inside the slot's tokio runtime. If it panics or exits, so does the
/// slot, and the run ends with what it printed.
pub fn init_with(setup: impl FnOnce()) {
    match std::env::var(SLOT_VAR) {
        Ok(ticket) => serve(&ticket, setup),
        Err(_) => ROLE.store(CLIENT, Ordering::Relaxed),
    }
}

/// What the test hook does: the same, in a process that is not ours.
#[cfg(feature = "test")]
pub(crate) fn init_before_main() {
    init();
}

#[expect(clippy::exit, reason = "a slot's process must not run the user's `main`")]
fn serve(ticket: &str, setup: impl FnOnce()) -> ! {
    ROLE.store(SLOT, Ordering::Relaxed);
    let code = match Server::start(ticket).and_then(|server| server.run(setup)) {
        Ok(()) => 0,
        Err(error) => {
            // To the parent, which keeps a slot's last lines.
            let _ = writeln!(io::stderr(), "cloud: this slot ends: {error}");
            1
        }
    };
    std::process::exit(code);
}

struct Server {
    requests: OwnedFd,
    page: Page,
    output: Output,
    /// Results may still be gathered in `output`.
    unflushed: bool,
    meter: Meter,
    /// Bytes read; `used` of them are done with.
    inbox: Vec<u8>,
    used: usize,
    run: CurrentRun,
    /// One record being made.
    record: Vec<u8>,
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
        let page = take_page(ticket.page)?;
        let pipes = take_pipes()?;
        let output = Output::start(pipes.results, parent)?;
        output.push(&hello(ticket.nonce))?;
        output.flush()?;
        Ok(Server {
            requests: pipes.requests,
            page,
            output,
            unflushed: false,
            meter: Meter::default(),
            inbox: Vec::new(),
            used: 0,
            run: CurrentRun {
                function: Err(Fault::new(FailureKind::UndecodableInput, "no run was announced")),
                shared: Shared::default(),
                limit: Limit(0),
                replies: Encoder::default(),
            },
            record: Vec::new(),
        })
    }

    fn run(mut self, setup: impl FnOnce()) -> io::Result<()> {
        install_panic_hook();
        let _runtime = enter_runtime()?;
        setup();
        while let Some(header) = self.next_header()? {
            let body = usize::try_from(header.body).map_err(io::Error::other)?;
            if !self.fetch(body)? {
                return Ok(());
            }
            match header.kind {
                Kind::Run => self.begin_run(body)?,
                Kind::Chunks => self.do_chunks(header, body)?,
            }
            self.used += body;
        }
        Ok(())
    }

    fn begin_run(&mut self, body: usize) -> io::Result<()> {
        let (run, shared) = split_run_frame(&self.inbox[self.used..self.used + body])?;
        let function = find(run.function, &run.name).map(|entry| entry.run).ok_or_else(|| {
            Fault::new(FailureKind::UndecodableInput, format!("this program has no function `{}`", run.name))
        });
        self.run = CurrentRun {
            function,
            shared: run
                .shared
                .and_then(Codec::from_byte)
                .map_or_else(Shared::default, |c| Shared::new(c, shared.to_vec())),
            limit: Limit(usize::try_from(run.max_bytes).map_err(io::Error::other)?),
            replies: Encoder::default(),
        };
        Ok(())
    }

    fn do_chunks(&mut self, header: Header, body: usize) -> io::Result<()> {
        let mut rest = &self.inbox[self.used..self.used + body];
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
            self.record.clear();
            self.record.resize(RECORD, 0);
            let result = match &self.run.function {
                Ok(run) => {
                    let call = Call {
                        input,
                        codec,
                        shared: &self.run.shared,
                        replies: &mut self.run.replies,
                        limit: self.run.limit,
                    };
                    attempt(*run, call, &mut self.record)
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
                    self.record.extend_from_slice(&encode_fault(&trouble.into_fault()));
                    now = monotonic_nanos();
                    Content::Fault
                }
            };
            let length = self.record.len() - RECORD;
            Record { number: number as u32, length, elapsed, content }.write(&mut self.record);
            self.meter.tell(&self.page, end);
            if self.output.push(&self.record)? {
                now = monotonic_nanos(); // it may have waited for room in the pipe
            }
            self.unflushed = true;
        }
        Ok(())
    }

    fn next_header(&mut self) -> io::Result<Option<Header>> {
        if self.inbox.len() - self.used < HEADER {
            // Nothing more to do at hand: everything finished goes out before this blocks.
            self.pause(monotonic_nanos())?;
        }
        if !self.fetch(HEADER)? {
            return Ok(None);
        }
        let header = Header::read(&self.inbox[self.used..])?;
        self.used += HEADER;
        Ok(Some(header))
    }

    fn pause(&mut self, now: u64) -> io::Result<()> {
        self.meter.tell(&self.page, now);
        // What user code printed without a newline; before the results, after which the program may end.
        io::stdout().flush()?;
        self.output.flush()?;
        self.unflushed = false;
        Ok(())
    }

    /// Reads until `count` unused bytes are here; false when the parent has closed the pipe.
    fn fetch(&mut self, count: usize) -> io::Result<bool> {
        const USUAL: usize = 64 << 10;
        const KEPT: usize = 8 << 20;
        if self.inbox.len() - self.used >= count {
            return Ok(true);
        }
        self.inbox.drain(..self.used);
        self.used = 0;
        if self.inbox.is_empty() && self.inbox.capacity() > KEPT && count <= KEPT {
            self.inbox = Vec::new();
        }
        while self.inbox.len() < count {
            let missing = count - self.inbox.len();
            self.inbox.reserve(missing.max(USUAL));
            match read(&self.requests, spare_capacity(&mut self.inbox)) {
                Ok(0) => return Ok(false),
                Ok(_) => {}
                Err(Errno::INTR) => {}
                Err(Errno::AGAIN) => self.wait_for_requests()?,
                Err(error) => return Err(error.into()),
            }
        }
        Ok(true)
    }

    /// Returns when there may be something to read.
    fn wait_for_requests(&self) -> io::Result<()> {
        let mut request = [PollFd::new(&self.requests, PollFlags::IN)];
        let give_up = monotonic_nanos() + SPIN.as_nanos() as u64;
        while monotonic_nanos() < give_up {
            sched_yield();
            if poll(&mut request, Some(&Timespec { tv_sec: 0, tv_nsec: 0 }))? > 0 {
                return Ok(());
            }
        }
        match poll(&mut request, None) {
            Ok(_) | Err(Errno::INTR) => Ok(()),
            Err(error) => Err(error.into()),
        }
    }
}
