//~ exit 0
//~ stdout [0, 2, 4, 6]
//! A plain `main`, under lints that a strict crate has: what the attributes expand to passes them all.
#![forbid(unsafe_code)]
#![deny(warnings, missing_docs, unused, unreachable_pub, unused_qualifications, elided_lifetimes_in_paths)]

/// Twice its argument.
#[cloud::remote(name = "twice", timeout = "90s", retries = 1)]
fn twice(x: u64) -> u64 {
    2 * x
}

/// Other attributes are kept: without this `expect` the unused variable would be an error.
#[cloud::main]
#[expect(unused_variables, reason = "to see whether the attribute is kept")]
fn main() -> Result<(), Box<dyn std::error::Error>> {
    let unused = 1;
    println!("{:?}", cloud::map(twice, 0..4).wait()?);
    Ok(())
}
