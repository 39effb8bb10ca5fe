//! The shapes a remote function can have, and the entry each of its instances leaves in the table.

use std::{any::type_name, error::Error as StdError, future::Future, marker::PhantomData, mem::size_of};

use serde::{Serialize, de::DeserializeOwned};

use super::{
    Codec, Limit, Shared,
    codec::{EncodeError, Encoder, decode},
    executor,
    table::{conjure, type_bits},
};
use crate::failure::{FailureKind, Fault};

/// A value that can be sent to a slot and back: owned, and known to serde both ways.
///
/// Implemented for every such type; there is nothing to implement by hand.
#[diagnostic::on_unimplemented(
    message = "`{Self}` cannot be sent to another process",
    label = "crosses a process boundary, so it must be an owned serde type",
    note = "for a type of your own: add `#[derive(serde::Serialize, serde::Deserialize)]`",
    note = "for items borrowed from a slice or vector (`&vec`, `vec.iter()`): pass them by value, \
            as `vec` or `vec.iter().cloned()`"
)]
pub trait Wire: Serialize + DeserializeOwned + 'static {}

impl<T: Serialize + DeserializeOwned + 'static> Wire for T {}

/// What a function under [`map`](crate::map) may return: a value, or a future of one.
///
/// `K` only tells the two apart and is always inferred.
#[diagnostic::on_unimplemented(
    message = "a function under `cloud::map` cannot return `{Self}`",
    label = "neither an owned serde value nor a future of one",
    note = "for a `Result` whose error serde does not know (`io::Error`, `anyhow::Error`, `Box<dyn Error>`), \
            use `cloud::try_map`",
    note = "for a type of your own: add `#[derive(serde::Serialize, serde::Deserialize)]`"
)]
pub trait Reply<K> {
    /// The value that comes back to the client.
    type Output: Wire;

    #[doc(hidden)]
    fn resolve(self) -> Self::Output;
}

#[doc(hidden)]
#[derive(Debug)]
pub struct Plain;

#[doc(hidden)]
#[derive(Debug)]
pub struct Async<K>(PhantomData<K>);

#[doc(hidden)]
#[derive(Debug)]
pub struct Boxed;

impl<T: Wire> Reply<Plain> for T {
    type Output = T;

    #[inline]
    fn resolve(self) -> T {
        self
    }
}

impl<F: Future> Reply<Async<Plain>> for F
where
    F::Output: Wire,
{
    type Output = F::Output;

    fn resolve(self) -> F::Output {
        executor::block_on(self)
    }
}

/// What a function under [`try_map`](crate::try_map) may return: a `Result`, or a future of one, whose error is any
/// `std::error::Error`, `anyhow::Error`, `Box<dyn Error>` with or without `Send + Sync`, or text.
///
/// `K` only tells them apart and is always inferred.
#[diagnostic::on_unimplemented(
    message = "a function under `cloud::try_map` cannot return `{Self}`",
    label = "not a `Result` of an owned serde value and an error (or a future of one)",
    note = "for a function that cannot fail, use `cloud::map`"
)]
pub trait TryReply<K> {
    /// The value that comes back to the client when the function succeeds.
    type Output: Wire;

    #[doc(hidden)]
    fn resolve(self) -> Result<Self::Output, ErrorText>;
}

/// An error on its way to another process: what it and its sources said.
#[doc(hidden)]
#[derive(Debug)]
pub struct ErrorText {
    message: String,
    chain: Vec<String>,
}

impl ErrorText {
    fn of(error: &(dyn StdError + 'static)) -> ErrorText {
        let chain =
            std::iter::successors(error.source(), |&cause| cause.source()).map(ToString::to_string).collect();
        ErrorText { message: error.to_string(), chain }
    }
}

impl<T: Wire, E: Into<Box<dyn StdError>>> TryReply<Plain> for Result<T, E> {
    type Output = T;

    fn resolve(self) -> Result<T, ErrorText> {
        self.map_err(|error| ErrorText::of(&*error.into()))
    }
}

impl<T: Wire> TryReply<Boxed> for Result<T, Box<dyn StdError + Send + Sync>> {
    type Output = T;

    fn resolve(self) -> Result<T, ErrorText> {
        self.map_err(|error| ErrorText::of(&*error))
    }
}

impl<F: Future, K> TryReply<Async<K>> for F
where
    F::Output: TryReply<K>,
{
    type Output = <F::Output as TryReply<K>>::Output;

    fn resolve(self) -> Result<Self::Output, ErrorText> {
        executor::block_on(self).resolve()
    }
}

/// How a reply becomes a value or a fault: the one thing in which `map` and `try_map` differ.
pub(crate) trait Settle<R>: 'static {
    type Output: Wire;

    fn settle(reply: R) -> Result<Self::Output, Fault>;
}

pub(crate) struct ByReply<K>(PhantomData<K>);
pub(crate) struct ByTry<K>(PhantomData<K>);

impl<K: 'static, R: Reply<K>> Settle<R> for ByReply<K> {
    type Output = R::Output;

    #[inline]
    fn settle(reply: R) -> Result<R::Output, Fault> {
        Ok(reply.resolve())
    }
}

impl<K: 'static, R: TryReply<K>> Settle<R> for ByTry<K> {
    type Output = R::Output;

    fn settle(reply: R) -> Result<R::Output, Fault> {
        reply.resolve().map_err(|error| Fault::new(FailureKind::Error { chain: error.chain }, error.message))
    }
}

/// One call as the slot sees it.
pub(crate) struct Call<'a> {
    pub(crate) input: &'a [u8],
    pub(crate) codec: Codec,
    pub(crate) shared: &'a Shared,
    /// Writes this run's results.
    pub(crate) replies: &'a mut Encoder,
    pub(crate) limit: Limit,
}

/// Runs one chunk: decodes, calls, appends the encoded result to the vector.
pub(crate) type Run = fn(&mut Call<'_>, &mut Vec<u8>) -> Result<Codec, Fault>;

/// One line of the function table: how to find a function and how to run it.
#[derive(Clone, Copy)]
pub(crate) struct Entry {
    /// Names this instance within this build.
    pub(crate) id: u64,
    /// Names the function alone, whichever of `map`, `try_map`, `map_with` it is used with.
    pub(crate) function: u64,
    pub(crate) name: &'static str,
    pub(crate) run: Run,
}

/// A way to call a function, as a type: what the linker table is made of.
pub(crate) trait Shape: 'static {
    fn entry() -> Entry;
}

/// `f(item)`.
pub(crate) struct PerItem<F, I, R, A>(PhantomData<(F, I, R, A)>);

/// `f(&shared, item)`.
pub(crate) struct WithShared<F, S, I, R, A>(PhantomData<(F, S, I, R, A)>);

impl<F, I, R, A> Shape for PerItem<F, I, R, A>
where
    F: Fn(I) -> R + Copy + 'static,
    I: Wire,
    R: 'static,
    A: Settle<R>,
{
    fn entry() -> Entry {
        fn run<F: Fn(I) -> R + Copy + 'static, I: Wire, R, A: Settle<R>>(
            call: &mut Call<'_>,
            out: &mut Vec<u8>,
        ) -> Result<Codec, Fault> {
            let item: I = decode(call.codec, call.input).map_err(|error| undecodable::<I>(&error))?;
            let value = A::settle(conjure::<F>()(item))?;
            encode_reply(&value, call.replies, call.limit, out)
        }
        Entry {
            id: type_bits::<Self>(),
            function: type_bits::<F>(),
            name: type_name::<F>(),
            run: run::<F, I, R, A>,
        }
    }
}

impl<F, S, I, R, A> Shape for WithShared<F, S, I, R, A>
where
    F: Fn(&S, I) -> R + Copy + 'static,
    S: Wire,
    I: Wire,
    R: 'static,
    A: Settle<R>,
{
    fn entry() -> Entry {
        fn run<F: Fn(&S, I) -> R + Copy + 'static, S: Wire, I: Wire, R, A: Settle<R>>(
            call: &mut Call<'_>,
            out: &mut Vec<u8>,
        ) -> Result<Codec, Fault> {
            let item: I = decode(call.codec, call.input).map_err(|error| undecodable::<I>(&error))?;
            let value = call.shared.with(|shared: &S| A::settle(conjure::<F>()(shared, item)))??;
            encode_reply(&value, call.replies, call.limit, out)
        }
        Entry {
            id: type_bits::<Self>(),
            function: type_bits::<F>(),
            name: type_name::<F>(),
            run: run::<F, S, I, R, A>,
        }
    }
}

/// A compile error, in our words, for a function that carries data.
///
/// Evaluated when the call is compiled to code, so `cargo build` reports it and `cargo check` does not.
pub(crate) const fn assert_captures_nothing<F>() {
    assert!(
        size_of::<F>() == 0,
        "this closure captures variables, or is a `fn` pointer: captured data cannot be sent to another process. \
         Pass the data with each item, or once for all items: cloud::map_with(shared, |shared, item| .., items)"
    );
}

#[inline]
fn encode_reply<O: Wire>(
    value: &O,
    replies: &mut Encoder,
    limit: Limit,
    out: &mut Vec<u8>,
) -> Result<Codec, Fault> {
    replies.encode(value, limit, out).map_err(|error| match error {
        EncodeError::TooLarge => Fault::new(
            FailureKind::ResultTooLarge { limit: limit.0 as u64 },
            format!("`{}` takes more than {} bytes", type_name::<O>(), limit.0),
        ),
        EncodeError::Refused(reason) => {
            Fault::new(FailureKind::UnencodableResult, format!("`{}`: {reason}", type_name::<O>()))
        }
    })
}

pub(super) fn undecodable<T>(reason: &str) -> Fault {
    Fault::new(FailureKind::UndecodableInput, format!("`{}`: {reason}", type_name::<T>()))
}
