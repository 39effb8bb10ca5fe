//! Attributes of the `cloud` crate. Use them as `cloud::main` and `cloud::remote`.

mod main_attribute;
mod remote_attribute;

use proc_macro::TokenStream;

/// Makes `main` the entry of clients and of slots: `cloud::init()` runs before anything else in it.
///
/// An `async fn main` gets tokio's multi-threaded runtime, unless a runtime's own attribute, such as
/// `#[tokio::main]`, stands above or below this one. Other attributes on `main` are kept.
///
/// `#[cloud::main(slot = setup)]` calls `setup()` in each slot before its first chunk: for loggers, thread pools, licences.
#[proc_macro_attribute]
pub fn main(attribute: TokenStream, item: TokenStream) -> TokenStream {
    main_attribute::expand(attribute.into(), item.into())
        .unwrap_or_else(|error| error.to_compile_error())
        .into()
}

/// Gives a function a stable name and defaults for its maps. It is never needed to run a function.
///
/// `#[cloud::remote(name = "pricing/monte-carlo", timeout = "90s", retries = 2)]`, each part optional: the name is unique in the
/// program; the timeout is a number of `ms`, `s`, `m` or `h`. Options set on a map win. The function itself stays as it is.
#[proc_macro_attribute]
pub fn remote(attribute: TokenStream, item: TokenStream) -> TokenStream {
    remote_attribute::expand(attribute.into(), item.into())
        .unwrap_or_else(|error| error.to_compile_error())
        .into()
}
