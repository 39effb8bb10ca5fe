//! What a run costs in requests and objects. With B blocks in P parts, W workers, S = 1 if there is shared data, and D looks by
//! the client, all in good order and in one round:
//!
//! | | client | workers |
//! |---|---|---|
//! | creates | P + S + 4: manifest, intent, submitted, closed | 2 B + W + K + T: claims, outcomes, records |
//! | gets | B + D + 2, and one for each whole 4 MiB of an outcome object | B + A + W (1 + S + J) |
//! | heads | D + 1 | 2 W, and 2 before a claim more than 5 s after the last look: at most 2 (B + K + T) |
//! | lists | D + 1, and 1 if the job's end is seen before the last outcome | W + 3 (W + M) + L |
//!
//! - D: a look every 5 to 500 ms on the mock; waits grow by half while there is no news, and are halved by news.
//! - K: claims that another was first to make. A: blocks read ahead, then taken by another: at most K + W.
//! - J: 1 if the note of the submitted job was there when the worker came.
//! - T: workers that were told to stop before they had found out themselves that all is done.
//! - M: full lists that still found a block: at most B. L: looks at a home: at most 6 W + 4 (K + B).
//!
//! A list is one request for each 1,000 keys. To that come a head by each client and one create, once for a program; and two
//! heads a worker every 30 seconds. A worker's death costs the client 3 lists and a get for each undecided claim, a note, and
//! in each block it held one claim more; a further round 2 creates.
//!
//! Objects: P + S + 4 + 2 B + W + T. None of it depends on the number of chunks but by way of blocks, whose number grows with
//! its logarithm, about 16 W (1 + ln(chunks / 16 W)), until a block is full (64 MiB).

use std::{
    collections::BTreeMap,
    ops::Range,
    sync::{Arc, Mutex},
    task::{Context, Poll},
};

use bytes::Bytes;
use futures_util::future::join;
use pollster::block_on;
use tokio::sync::{mpsc, oneshot};

use super::{
    deliver::{Delivery, PIECE_BYTES},
    launch::{Packed, Request, Wires, plan, submit},
    opening::Opening,
    pack::Packer,
    site::Site,
};
use crate::{
    clock::SystemClock,
    compute::{
        JobState,
        simulated::{Inside, Rules},
    },
    error::Halting,
    event::SlotUse,
    function::{Codec, Limit},
    mock::Mock,
    runner::{Assignment, Crew, work},
    store::{Created, Memory, Page, Pending, Result, Store, WriteId},
    wire::{Function, Hash, Manifest, Program, RunId, StoreLocation},
    worker::{Body, Feed, Raw},
};

/// Requests by what and on which objects, such as `create claims`.
type Tally = BTreeMap<String, u64>;

/// A store that knows who asks.
#[derive(Debug, Clone)]
struct Counted {
    store: Memory,
    tally: Arc<Mutex<Tally>>,
}

impl Counted {
    fn new(store: &Memory) -> Counted {
        Counted { store: store.clone(), tally: Arc::default() }
    }

    fn count(&self, what: &str, key: &str) {
        // `runs/<id>/<kind>/..`
        let kind = key.split('/').nth(2).unwrap_or(key);
        *self.tally.lock().unwrap().entry(format!("{what} {kind}")).or_default() += 1;
    }

    /// How often that was asked, of all objects together if none is said.
    fn asked(&self, what: &str) -> u64 {
        let tally = self.tally.lock().unwrap();
        let of = tally.iter().filter(|(of, _)| *of == what || of.split(' ').next() == Some(what));
        of.map(|(_, count)| count).sum()
    }
}

impl Store for Counted {
    fn create<'a>(&'a self, key: &'a str, body: Bytes, id: WriteId) -> Pending<'a, Result<Created>> {
        Box::pin(async move {
            self.count("create", key);
            let created = self.store.create(key, body, id).await?;
            if created == Created::Exists {
                self.count("taken", key);
            }
            Ok(created)
        })
    }

    fn get<'a>(&'a self, key: &'a str, range: Option<Range<u64>>) -> Pending<'a, Result<Option<Bytes>>> {
        self.count("get", key);
        self.store.get(key, range)
    }

    fn head<'a>(&'a self, key: &'a str) -> Pending<'a, Result<Option<WriteId>>> {
        self.count("head", key);
        self.store.head(key)
    }

    fn list<'a>(&'a self, prefix: &'a str, after: &'a str) -> Pending<'a, Result<Page>> {
        // A thief's look begins at a block, a full list at none; later pages of either at a whole key.
        let look = after.len() == prefix.len() + 6 && prefix.ends_with("claims/");
        self.count(if look { "look" } else { "list" }, prefix);
        self.store.list(prefix, after)
    }

    fn folders<'a>(&'a self, prefix: &'a str, after: &'a str) -> Pending<'a, Result<Page>> {
        self.store.folders(prefix, after)
    }
}

/// One slot, in which every chunk's value is its input.
#[derive(Default)]
struct Echo {
    next: usize,
    value: Vec<u8>,
    raw: Option<Raw>,
}

impl Crew for Echo {
    fn poll_next(&mut self, cx: &mut Context<'_>, feed: &mut dyn Feed) -> Poll<Halting<bool>> {
        self.value.clear();
        match feed.poll_encode(cx, Limit(usize::MAX), &mut self.value) {
            Poll::Ready(Some(Ok(codec))) => {
                let (index, body) = (self.next, Body::Value(codec));
                self.raw = Some(Raw { index, slot: Some(0), attempt: 1, elapsed: 10, body });
                self.next += 1;
                Poll::Ready(Ok(true))
            }
            Poll::Ready(Some(Err(fault))) => panic!("{fault:?}"),
            Poll::Ready(None) => Poll::Ready(Ok(false)),
            Poll::Pending => Poll::Pending,
        }
    }

    fn current(&mut self) -> (&mut Raw, &[u8]) {
        (self.raw.as_mut().unwrap(), &self.value)
    }

    fn used(&self) -> Vec<SlotUse> {
        vec![SlotUse::default()]
    }
}

/// A whole run, after it.
struct Done {
    store: Memory,
    client: Counted,
    workers: Counted,
    manifest: Arc<Manifest>,
    /// Bytes of the values alone, on their way in or out.
    value_bytes: u64,
    shared: u64,
}

/// Runs so many chunks on so many workers; chunk `n` is what `value` makes of it.
fn run(chunks: u64, workers: u32, shared: bool, value: impl Fn(u64) -> Vec<u8>) -> Done {
    let store = Memory::new();
    let (client, theirs) = (Counted::new(&store), Counted::new(&store));
    let at_work = theirs.clone();
    let compute = Inside::new(Rules::default(), move |container, stop| {
        let store = Arc::new(at_work.clone());
        Box::pin(async move {
            let variable = |name: &str| {
                container.environment.iter().find(|(known, _)| known == name).map(|(_, value)| value.clone())
            };
            let assignment = Assignment::from_variables(variable).unwrap();
            let fit = async |_: &_| Ok(Echo::default());
            work(store, Arc::new(SystemClock::new()), assignment, fit, stop.told()).await.code.into()
        })
    });
    let site = Site {
        store: Arc::new(client.clone()),
        compute: Arc::new(compute.unwrap()),
        clock: Arc::new(SystemClock::new()),
        location: StoreLocation::Memory,
    };
    let request = Request {
        run: RunId::new(0, 1),
        label: "echo".into(),
        function: Function { id: 1, path: "echo".into(), output: "bytes".into() },
        program: Program { hash: Hash::of(b""), bytes: 0 },
        shared: shared.then(|| (Codec::Postcard, Bytes::from_static(b"shared"))),
        options: crate::wire::Options { max_bytes: 1 << 28, ..Mock::default().options() },
    };
    let mut value_bytes = 0;
    let (to, mut packed) = mpsc::channel(1);
    let packing = async {
        let mut packer = Packer::new(workers, Some(chunks));
        for chunk in 0..chunks {
            let value = value(chunk);
            value_bytes += value.len() as u64;
            let part = packer.push(|out| {
                out.extend(value);
                Some(Ok(Codec::Postcard))
            });
            if let Some(part) = part {
                to.send(Packed::Part(part)).await.unwrap();
            }
        }
        let (parts, layout) = packer.finish();
        for part in parts {
            to.send(Packed::Part(part)).await.unwrap();
        }
        to.send(Packed::Layout(layout)).await.unwrap();
    };
    let (planned, ()) = block_on(join(plan(site, request, &mut packed), packing));
    let planned = planned.unwrap().unwrap();

    let (_commands, commands) = mpsc::unbounded_channel();
    let (progress, _told) = mpsc::unbounded_channel();
    let (want, wanted) = oneshot::channel();
    let (deliveries, mut delivered) = mpsc::channel(4);
    want.send(true).unwrap();
    let taking = async {
        let mut opening = Opening::new(1);
        let mut next = 0;
        while let Some(delivery) = delivered.recv().await {
            let Delivery::Piece { first, bytes } = delivery else { panic!("{delivery:?}") };
            opening.add(first, bytes).unwrap();
            while opening.next().unwrap() {
                let (raw, bytes) = opening.current();
                assert_eq!((raw.index as u64, bytes), (next, &value(next)[..]));
                next += 1;
            }
        }
        opening.finish().unwrap();
        assert_eq!(next, chunks);
    };
    let submitting = submit(&planned, Wires { commands, progress, wanted, deliveries });
    block_on(join(submitting, taking)).0.unwrap();
    // Workers that have found nothing more to do are still writing that down.
    let job = || block_on(planned.site.compute.find(&format!("{}-r0", planned.manifest.run))).unwrap();
    while !matches!(job()[0].state, JobState::Succeeded | JobState::Failed) {
        std::thread::sleep(std::time::Duration::from_millis(1));
    }
    let manifest = Arc::clone(&planned.manifest);
    Done { store, client, workers: theirs, manifest, value_bytes, shared: shared.into() }
}

impl Done {
    fn blocks(&self) -> u64 {
        self.manifest.block_count().into()
    }

    fn parts(&self) -> u64 {
        self.manifest.blocks().map(|block| u64::from(block.part) + 1).max().unwrap_or(0)
    }

    /// Keys and sizes of everything that is stored.
    fn objects(&self) -> BTreeMap<String, u64> {
        let mut objects = BTreeMap::new();
        let mut after = String::new();
        loop {
            let page = block_on(self.store.list("", &after)).unwrap();
            for key in page.keys {
                let size = block_on(self.store.get(&key, None)).unwrap().unwrap().len() as u64;
                after.clone_from(&key);
                objects.insert(key, size);
            }
            if !page.more {
                return objects;
            }
        }
    }

    /// Asserts the table above, and the number of objects.
    fn check(&self) {
        let Done { client, workers, shared, .. } = self;
        let (blocks, parts, objects) = (self.blocks(), self.parts(), self.objects());
        let all = format!("{:?}\n{:?}", client.tally.lock().unwrap(), workers.tally.lock().unwrap());
        let homes = self.manifest.homes.len() as u64;
        let records = workers.asked("create workers");
        // Who is terminated with the rest of the array may not come to its record.
        assert!(records <= homes, "{all}");
        let pages = 1 + 2 * blocks / 1000;

        assert_eq!(client.asked("create"), parts + shared + 4, "{all}");
        let outs = objects.iter().filter(|(key, _)| key.contains("/out/"));
        let pieces: u64 = outs.map(|(_, bytes)| 1 + bytes / PIECE_BYTES).sum();
        // One look lies before the submit, and finds nobody who has ended the run.
        let looks = client.asked("head") - 1;
        assert_eq!(client.asked("get"), pieces + looks + 2, "{all}");
        let lists = client.asked("list");
        assert!(lists > looks && lists <= 2 + looks * pages, "{all}");

        let conflicts = workers.asked("taken claims");
        assert_eq!(workers.asked("create claims"), blocks + conflicts, "{all}");
        assert_eq!(workers.asked("create out"), blocks, "{all}");
        let told = workers.asked("create left");
        assert_eq!(workers.asked("create"), 2 * blocks + conflicts + records + told, "{all}");
        let heads = workers.asked("head");
        assert!(heads >= 2 * records, "{all}");
        assert!(heads <= 2 * (homes + blocks + conflicts + told), "{all}");
        let gets = workers.asked("get");
        assert!(gets >= blocks + records, "{all}");
        assert!(gets <= blocks + conflicts + homes + 2 * homes, "{all}");
        let full = workers.asked("list left");
        assert!(workers.asked("list rounds") <= homes, "{all}");
        assert!(full <= homes + blocks, "{all}");
        assert!(workers.asked("list") <= homes + full * (1 + 2 * pages), "{all}");
        assert!(workers.asked("look") <= 6 * homes + 4 * (conflicts + blocks), "{all}");

        let own = parts + shared + 4;
        assert_eq!(objects.len() as u64, own + 2 * blocks + records + told, "{:?}", objects.keys());
    }
}

fn number(chunk: u64) -> Vec<u8> {
    postcard::to_allocvec(&chunk).unwrap()
}

#[test]
fn requests_and_objects_depend_on_blocks_workers_and_looks() {
    for (chunks, workers, shared) in
        [(1, 1, false), (100, 1, true), (10_000, 1, false), (10_000, 4, true), (100_000, 8, false)]
    {
        let done = run(chunks, workers, shared, number);
        done.check();
        let (client, theirs) = (&done.client, &done.workers);
        let requests = |of: &Counted| ["create", "get", "head", "list", "look"].map(|what| of.asked(what));
        println!(
            "{chunks:7} chunks {workers} workers {:4} blocks: client {:?}, workers {:?} (creates, gets, heads, lists, looks)",
            done.blocks(),
            requests(client),
            requests(theirs)
        );
    }
}

#[test]
fn alone_a_worker_asks_for_no_more_than_it_needs() {
    let done = run(10_000, 1, false, number);
    let (blocks, workers) = (done.blocks(), &done.workers);
    assert_eq!(workers.asked("create") - workers.asked("create left"), 2 * blocks + 1);
    assert!((2..=2 + 2 * blocks).contains(&workers.asked("head")));
    assert_eq!(workers.asked("get") - workers.asked("get rounds"), blocks + 1);
    assert!(workers.asked("list") <= 4);
    assert_eq!(workers.asked("look"), 0);
}

#[test]
fn a_small_chunk_costs_at_most_48_bytes() {
    const CHUNKS: u64 = 100_000;
    let done = run(CHUNKS, 8, false, number);
    let whole: u64 = done.objects().values().sum();
    // In and out, each value is stored once.
    let overhead = (whole - 2 * done.value_bytes) as f64 / CHUNKS as f64;
    println!("{overhead:.1} bytes a chunk");
    assert!(overhead <= 48.0, "{overhead} bytes a chunk");
}

#[test]
fn a_million_chunks_are_a_few_hundred_objects() {
    let done = run(1_000_000, 8, false, number);
    done.check();
    // A share of what is left is 1 / 16 W: logarithmically many, and single ones at the end.
    let shares = 16.0 * 8.0;
    let estimate = shares * (1_000_000.0_f64 / shares).ln() + shares;
    let blocks = done.blocks() as f64;
    println!("{blocks} blocks, estimate {estimate:.0}");
    assert!((blocks - estimate).abs() < estimate * 0.1, "{blocks} blocks, estimate {estimate}");
}

/// The outcome object of one chunk may be any number of bytes long, a whole number of pieces too.
#[test]
fn outcomes_are_read_whole_whatever_their_size() {
    let header = |chunk: usize| {
        let done = run(1, 1, false, |_| vec![1; chunk]);
        done.objects().into_iter().find(|(key, _)| key.contains("/out/")).unwrap().1 as usize - chunk
    };
    let header = header(PIECE_BYTES as usize / 2);
    for (pieces, more) in [(1, -1), (1, 0), (1, 1), (2, 0)] {
        let bytes = (PIECE_BYTES as isize * pieces + more) as usize - header;
        run(1, 1, false, |_| vec![1; bytes]).check();
    }
}
