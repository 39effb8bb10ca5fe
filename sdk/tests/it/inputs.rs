//! What a map can run over.

use std::{
    cell::Cell,
    collections::{BTreeMap, VecDeque},
    rc::Rc,
    task::Poll,
    time::Duration,
};

use futures::{StreamExt, stream};

use crate::support::Recorder;

fn plus_one(x: u32) -> u32 {
    x + 1
}

#[test]
fn collections_and_ranges() {
    assert_eq!(cloud::map(plus_one, vec![5, 3]).wait().unwrap(), [6, 4]);
    assert_eq!(cloud::map(plus_one, [5, 3]).wait().unwrap(), [6, 4]);
    assert_eq!(cloud::map(plus_one, VecDeque::from([5, 3])).wait().unwrap(), [6, 4]);
    assert_eq!(cloud::map(plus_one, 1..=3).wait().unwrap(), [2, 3, 4]);
    assert_eq!(cloud::map(plus_one, Some(8)).wait().unwrap(), [9]);
    let prices = BTreeMap::from([("a".to_string(), 1), ("b".to_string(), 2)]);
    let lines = cloud::map(|(name, price): (String, u32)| format!("{name}={price}"), prices);
    assert_eq!(lines.wait().unwrap(), ["a=1", "b=2"]);
}

#[test]
fn no_chunks_give_no_values() {
    let none = Vec::<u32>::new();
    assert_eq!(cloud::map(plus_one, none.clone()).wait().unwrap(), none);
    assert_eq!(cloud::map(plus_one, none.clone()).outcomes().wait().unwrap().len(), 0);
    assert_eq!(cloud::map(plus_one, none.clone()).iter().count(), 0);
    let from_stream = cloud::map(plus_one, stream::iter(none.clone())).into_future();
    assert_eq!(futures::executor::block_on(from_stream).unwrap(), none);
}

#[test]
fn one_chunk_gives_one_value() {
    assert_eq!(cloud::map(plus_one, [7]).slots(8).wait().unwrap(), [8]);
}

#[test]
fn an_input_of_unknown_length_is_run_to_its_end() {
    let recorder = Recorder::default();
    let odd = (0..1000).filter(|x| x % 2 == 1);
    let expected: Vec<u32> = odd.clone().map(plus_one).collect();
    assert_eq!(cloud::map(plus_one, odd).reporter(recorder.clone()).wait().unwrap(), expected);
    assert!(recorder.only("started")[0]["chunks"].is_null());
    assert_eq!(recorder.only("finished")[0]["summary"]["chunks"], 500);
}

#[test]
fn a_size_hint_that_is_not_certain_is_not_believed() {
    // Says "from 0 to 100" and gives 50.
    assert_eq!(cloud::map(plus_one, (0..100).take_while(|x| *x < 50)).wait().unwrap().len(), 50);
}

#[test]
fn an_iterator_that_is_neither_send_nor_static() {
    let pulled = Rc::new(Cell::new(0));
    let counted = Rc::clone(&pulled);
    let inputs = (0..100u32).inspect(move |_| counted.set(counted.get() + 1));
    assert_eq!(cloud::map(plus_one, inputs).wait().unwrap().len(), 100);
    assert_eq!(pulled.get(), 100);

    let words = ["to".to_string(), "be".to_string()];
    let lengths = cloud::map(|word: String| word.len(), words.iter().cloned());
    assert_eq!(lengths.wait().unwrap(), [2, 2]);
    assert_eq!(words.len(), 2);
}

#[test]
fn a_borrowed_iterator_can_be_used_on_afterwards() {
    let mut numbers = 0u32..;
    assert_eq!(cloud::map(plus_one, numbers.by_ref().take(3)).wait().unwrap(), [1, 2, 3]);
    assert_eq!(numbers.next(), Some(3));
}

#[tokio::test]
async fn a_stream_that_is_always_ready() {
    assert_eq!(cloud::map(plus_one, stream::iter(0..1000)).await.unwrap(), (1..=1000).collect::<Vec<_>>());
}

#[tokio::test]
async fn a_stream_that_is_pending_now_and_then() {
    let mut polls = 0;
    let mut left = 0..300u32;
    let inputs = stream::poll_fn(move |cx| {
        polls += 1;
        if polls % 3 == 0 {
            cx.waker().wake_by_ref();
            return Poll::Pending;
        }
        Poll::Ready(left.next())
    });
    assert_eq!(cloud::map(plus_one, inputs).await.unwrap(), (1..=300).collect::<Vec<_>>());
}

#[tokio::test]
async fn a_stream_that_waits_for_time_to_pass() {
    let inputs = stream::iter(0..5u32).then(async |x| {
        tokio::time::sleep(Duration::from_millis(10)).await;
        x
    });
    let values =
        tokio::time::timeout(Duration::from_secs(20), cloud::map(plus_one, inputs).into_future()).await;
    assert_eq!(values.unwrap().unwrap(), [1, 2, 3, 4, 5]);
}

#[tokio::test]
async fn results_come_out_while_the_input_stream_waits_for_them() {
    // The next chunk is made from the last value: a map that wanted more input first would hang.
    let (give, take) = futures::channel::mpsc::unbounded();
    give.unbounded_send(1u32).unwrap();
    let mut values = cloud::map(|x: u32| x * 2, take).stream();
    let mut give = Some(give);
    let mut last = 0;
    while let Some(value) =
        tokio::time::timeout(Duration::from_secs(20), values.next()).await.expect("it hangs")
    {
        last = value.unwrap().unwrap().1;
        match &give {
            Some(channel) if last < 1000 => channel.unbounded_send(last).unwrap(),
            _ => give = None,
        }
    }
    assert_eq!(last, 1024);
}

#[test]
fn the_input_may_run_a_map_itself() {
    let inputs = (0..5u32).map(|x| cloud::call(plus_one, x).wait().unwrap());
    assert_eq!(cloud::map(|x: u32| x * 10, inputs).wait().unwrap(), [10, 20, 30, 40, 50]);
}

#[test]
fn a_panic_in_the_input_reaches_the_caller_and_the_next_map_works() {
    let caught = std::panic::catch_unwind(|| {
        let inputs = (0..100u32).inspect(|x| assert!(*x < 50, "input broke at {x}"));
        cloud::map(plus_one, inputs).wait()
    });
    assert_eq!(caught.unwrap_err().downcast_ref::<String>().unwrap(), "input broke at 50");
    assert_eq!(cloud::map(plus_one, 0..3).wait().unwrap(), [1, 2, 3]);
}

#[test]
fn an_endless_input_is_pulled_only_as_fast_as_values_are_taken() {
    let pulled = Cell::new(0u64);
    let endless = (0u64..).inspect(|_| pulled.set(pulled.get() + 1));
    let mut taken = 0;
    for value in cloud::map(|x: u64| x, endless).iter().take(10_000) {
        value.unwrap().unwrap();
        taken += 1;
    }
    assert_eq!(taken, 10_000);
    // Fed ahead by a millisecond of work, and never more than 32,768 chunks a slot.
    assert!(pulled.get() < 1_000_000, "{} pulled", pulled.get());
}
