//! Which function is it, and how are its values written down?

mod codec;
mod executor;
mod shape;
mod shared;
mod strict;
mod table;

pub(crate) use codec::{Codec, EncodeError, Encoder, Limit, decode, encode_shared};
pub use executor::block_on_main;
pub(crate) use executor::enter_runtime;
pub(crate) use shape::{ByReply, ByTry, Call, Entry, PerItem, Run, WithShared, assert_captures_nothing};
pub use shape::{Reply, TryReply, Wire};
pub(crate) use shared::Shared;
pub use table::{Remote, RemoteOptions, enlist, function_bits};
pub(crate) use table::{anchor, find, remote_of};
