//~ exit 1
//~ stderr this process was started as a slot, but `main` reached a `map` before `cloud::init`
//~ stderr hint: make `cloud::init()` the first line of `main`, outside any condition
//~ stderr slots in a row ended

fn main() -> cloud::Result<()> {
    // A slot is told that it is one by this variable; no other condition that users think of is so sure to differ.
    if std::env::var_os(cloud::names::SLOT_VAR).is_none() {
        cloud::init();
    }
    cloud::map(|x: u64| 2 * x, 0..4).wait().map(drop)
}
