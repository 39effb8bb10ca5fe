use std::{collections::VecDeque, sync::Mutex};

use super::*;

/// Time that passes as fast as it is slept through, and chance that is given.
#[derive(Debug)]
struct Scripted {
    chance: u64,
    slept: Mutex<Vec<Duration>>,
}

impl Clock for Scripted {
    fn now(&self) -> Duration {
        self.slept.lock().unwrap().iter().sum()
    }

    fn wall(&self) -> u64 {
        0
    }

    fn sleep(&self, time: Duration) -> Pending<'static, ()> {
        self.slept.lock().unwrap().push(time);
        Box::pin(async {})
    }

    fn random(&self) -> u64 {
        self.chance
    }
}

type Answer = Result<Created, StoreErrorKind>;

/// Answers creates and heads with what it is given, and keeps the ids that were sent.
#[derive(Debug)]
struct Answers {
    creates: Mutex<VecDeque<Answer>>,
    heads: Mutex<VecDeque<Result<Option<WriteId>, StoreErrorKind>>>,
    sent: Mutex<Vec<WriteId>>,
}

fn said(kind: StoreErrorKind) -> StoreError {
    StoreError::new(kind, "key", "asked", "scripted")
}

impl Store for Answers {
    fn create<'a>(&'a self, _: &'a str, _: Bytes, id: WriteId) -> Pending<'a, Result<Created>> {
        self.sent.lock().unwrap().push(id);
        let answer = self.creates.lock().unwrap().pop_front().unwrap();
        Box::pin(async move { answer.map_err(said) })
    }

    fn head<'a>(&'a self, _: &'a str) -> Pending<'a, Result<Option<WriteId>>> {
        let answer = self.heads.lock().unwrap().pop_front().unwrap();
        Box::pin(async move { answer.map_err(said) })
    }

    fn get<'a>(&'a self, _: &'a str, _: Option<Range<u64>>) -> Pending<'a, Result<Option<Bytes>>> {
        unreachable!()
    }

    fn list<'a>(&'a self, _: &'a str, _: &'a str) -> Pending<'a, Result<Page>> {
        unreachable!()
    }

    fn folders<'a>(&'a self, _: &'a str, _: &'a str) -> Pending<'a, Result<Page>> {
        unreachable!()
    }
}

const OWN: WriteId = WriteId(1);
const OTHER: WriteId = WriteId(2);
const LOST: Answer = Err(StoreErrorKind::Transient);
const CONFLICT: Answer = Err(StoreErrorKind::Conflict);
const DENIED: Answer = Err(StoreErrorKind::Denied);
const INVALID: Answer = Err(StoreErrorKind::Invalid);
const EXISTS: Answer = Ok(Created::Exists);
const YES: Answer = Ok(Created::Yes);
const UNKNOWN: Answer = Ok(Created::Unknown);

/// One write with three attempts. All answers must be asked for, and no more.
fn write(creates: &[Answer], heads: &[Result<Option<WriteId>, StoreErrorKind>]) -> Answer {
    let answers = Arc::new(Answers {
        creates: Mutex::new(creates.iter().copied().collect()),
        heads: Mutex::new(heads.iter().copied().collect()),
        sent: Mutex::default(),
    });
    let clock = Arc::new(Scripted { chance: 0, slept: Mutex::default() });
    let store = Retrying::with_clock(Arc::clone(&answers), clock).attempts(3);
    let answer = pollster::block_on(store.create("key", Bytes::new(), OWN)).map_err(|error| error.kind);
    assert!(answers.creates.lock().unwrap().is_empty(), "{creates:?}: each is sent");
    assert!(answers.heads.lock().unwrap().is_empty(), "{creates:?}: each is looked up");
    assert_eq!(*answers.sent.lock().unwrap(), vec![OWN; creates.len()], "{creates:?}: always the same id");
    answer
}

#[test]
fn a_first_answer_is_believed_without_looking() {
    assert_eq!(write(&[YES], &[]), YES);
    assert_eq!(write(&[EXISTS], &[]), EXISTS);
    assert_eq!(write(&[CONFLICT, YES], &[]), YES);
    assert_eq!(write(&[CONFLICT, CONFLICT, EXISTS], &[]), EXISTS);
    assert_eq!(write(&[LOST, YES], &[]), YES);
    assert_eq!(write(&[DENIED], &[]), DENIED);
}

#[test]
fn exists_after_a_lost_reply_is_looked_into() {
    assert_eq!(write(&[LOST, EXISTS], &[Ok(Some(OWN))]), YES);
    assert_eq!(write(&[LOST, EXISTS], &[Ok(Some(OTHER))]), EXISTS);
    assert_eq!(write(&[LOST, CONFLICT, EXISTS], &[LOST.map(|_| None), Ok(Some(OWN))]), YES);
    assert_eq!(write(&[CONFLICT, LOST, EXISTS], &[Ok(Some(OTHER))]), EXISTS);
}

#[test]
fn a_write_that_may_have_been_applied_is_never_called_lost() {
    let lost = Err(StoreErrorKind::Transient);
    assert_eq!(write(&[LOST, LOST, LOST], &[Ok(None)]), UNKNOWN);
    assert_eq!(write(&[LOST, LOST, LOST], &[lost, lost, lost]), UNKNOWN);
    assert_eq!(write(&[LOST, CONFLICT, CONFLICT], &[lost, lost, lost]), UNKNOWN);
    assert_eq!(write(&[LOST, EXISTS], &[lost, lost, lost]), UNKNOWN);
    assert_eq!(write(&[LOST, DENIED], &[Err(StoreErrorKind::Denied)]), UNKNOWN);
    // Asking once more may tell all the same.
    assert_eq!(write(&[LOST, LOST, LOST], &[Ok(Some(OWN))]), YES);
    assert_eq!(write(&[LOST, DENIED], &[Ok(Some(OTHER))]), EXISTS);
}

#[test]
fn a_write_that_cannot_have_been_applied_is_an_error() {
    assert_eq!(write(&[CONFLICT, CONFLICT, CONFLICT], &[]), CONFLICT);
    assert_eq!(write(&[CONFLICT, DENIED], &[]), DENIED);
    assert_eq!(write(&[LOST, INVALID], &[]), INVALID);
}

#[test]
fn pauses_double_up_to_the_longest_and_are_shared_out_by_chance() {
    for (chance, expected) in [
        (u64::MAX, [50, 100, 200, 400, 800, 1600, 3200, 5000, 5000]),
        (1 << 63, [25, 50, 100, 200, 400, 800, 1600, 2500, 2500]),
        (0, [0; 9]),
    ] {
        let heads = Mutex::new(vec![Err(StoreErrorKind::Transient); 10].into());
        let answers = Answers { creates: Mutex::default(), heads, sent: Mutex::default() };
        let clock = Arc::new(Scripted { chance, slept: Mutex::default() });
        let store = Retrying::with_clock(answers, Arc::clone(&clock) as Arc<dyn Clock>).attempts(10);
        pollster::block_on(store.head("key")).unwrap_err();
        let slept = clock.slept.lock().unwrap();
        let rounded: Vec<u128> = slept.iter().map(|time| (time.as_nanos() + 1) / 1_000_000).collect();
        assert_eq!(rounded, expected);
    }
}

#[test]
fn pauses_of_any_length_and_number_do_not_overflow() {
    let heads = Mutex::new(vec![Err(StoreErrorKind::Transient); 100].into());
    let answers = Answers { creates: Mutex::default(), heads, sent: Mutex::default() };
    let clock = Arc::new(Scripted { chance: u64::MAX, slept: Mutex::default() });
    let store =
        Retrying::with_clock(answers, clock).attempts(100).pauses(Duration::from_secs(1), Duration::MAX);
    pollster::block_on(store.head("key")).unwrap_err();
}
