//~ `#[cloud::remote]` names one function, and a generic one is many; leave the attribute off
//~ `cloud::map(function::<Concrete>, ..)` works without it

#[cloud::remote(name = "echo")]
fn echo<T>(value: T) -> T {
    value
}

#[cloud::main]
fn main() -> cloud::Result<()> {
    cloud::map(echo::<u64>, 0..4).wait().map(drop)
}
