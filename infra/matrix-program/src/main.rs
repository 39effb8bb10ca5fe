//! Every kind of remote function, called. What it prints is the same in every build of it.

use std::hint::black_box;

use cloud::FailureKind;
use serde::{Deserialize, Serialize, de::DeserializeOwned};

#[derive(Debug, Serialize, Deserialize)]
struct Point {
    x: f64,
    y: f64,
}

fn distance(point: Point) -> f64 {
    point.x.hypot(point.y)
}

fn largest<T: PartialOrd + Default>(items: Vec<T>) -> T {
    items.into_iter().fold(T::default(), |most, item| if item > most { item } else { most })
}

/// Its closure is another one for each `T`.
fn reversed<T: Serialize + DeserializeOwned + 'static>(items: Vec<T>) -> cloud::Result<Vec<T>> {
    cloud::call(|items: Vec<T>| items.into_iter().rev().collect::<Vec<T>>(), items).wait()
}

async fn later(x: u64) -> u64 {
    x + 100
}

fn halved(x: u64) -> Result<u64, String> {
    if x.is_multiple_of(2) { Ok(x / 2) } else { Err(format!("{x} is odd")) }
}

// Twins: one body, of which compilers and linkers may make one function. In the table they must stay several.

fn twin_a(x: u64) -> u64 {
    x * 3 + 1
}

fn twin_b(x: u64) -> u64 {
    x * 3 + 1
}

#[cloud::remote(name = "named/a")]
fn named_a(x: u64) -> u64 {
    x * 3 + 1
}

#[cloud::remote(name = "named/b")]
fn named_b(x: u64) -> u64 {
    x * 3 + 1
}

/// The name by which the function is known, and its values.
fn known_as(f: impl Fn(u64) -> u64 + Copy + 'static) -> cloud::Result<(String, Vec<u64>)> {
    let (tell, told) = std::sync::mpsc::channel();
    let report = move |event: &cloud::Event<'_>| {
        if let cloud::Event::Finished { summary } = event {
            let _ = tell.send(summary.label.clone());
        }
    };
    let values = cloud::map(f, 0..3).reporter(report).wait()?;
    Ok((told.recv().unwrap_or_default(), values))
}

fn misbehave(x: u64) -> u64 {
    assert!(x != 1, "{x} is too much");
    if x == 2 { dive(x) } else { x }
}

#[expect(unconditional_recursion, reason = "the stack is to run out")]
fn dive(x: u64) -> u64 {
    let frame = black_box([x; 512]);
    dive(x ^ frame[7]) ^ black_box(frame)[11]
}

/// Whether a panic, which may abort, and a stack overflow are told apart and blamed on their chunks, 1 and 2.
fn blame() -> cloud::Result<[bool; 4]> {
    let outcomes = cloud::map(misbehave, 0..4).outcomes().wait()?;
    Ok([
        matches!(outcomes[0], Ok(0)),
        matches!(&outcomes[1], Err(failure) if match failure.kind {
            FailureKind::Panic { location: Some(_), .. } => cfg!(panic = "unwind") && failure.message == "1 is too much",
            FailureKind::Abort => {
                cfg!(panic = "abort") && failure.stderr.iter().any(|line| line == "1 is too much")
            }
            _ => false,
        }),
        matches!(&outcomes[2], Err(failure) if failure.kind == FailureKind::StackOverflow),
        matches!(outcomes[3], Ok(3)),
    ])
}

#[cloud::main]
fn main() -> cloud::Result<()> {
    println!(
        "function {:?}",
        cloud::map(distance, [Point { x: 3.0, y: 4.0 }, Point { x: 5.0, y: 12.0 }]).wait()?
    );
    println!(
        "closures {:?} {:?}",
        cloud::map(|x: u64| x + 1, 0..3).wait()?,
        cloud::map(|x: u64| x + 2, 0..3).wait()?
    );
    println!(
        "generic {} {}",
        cloud::call(largest, vec![3u8, 9, 2]).wait()?,
        cloud::call(largest, vec![0.5, 0.25]).wait()?
    );
    println!("generic caller {:?} {:?}", reversed(vec!['a', 'b'])?, reversed(vec![1u64, 2])?);
    println!(
        "async {:?} {:?}",
        cloud::map(later, 0..3).wait()?,
        cloud::map(async |x: u64| x + 200, 0..3).wait()?
    );
    println!("shared {:?}", cloud::map_with(vec![10u64, 20], |table, at: usize| table[at], 0..2).wait()?);
    println!("fallible {:?}", cloud::try_map(halved, [4, 6]).wait()?);
    println!("twins {:?} {:?}", known_as(twin_a)?, known_as(twin_b)?);
    println!("named {:?} {:?}", known_as(named_a)?, known_as(named_b)?);
    println!("blame {:?}", blame()?);
    Ok(())
}
