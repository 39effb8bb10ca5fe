//~ exit 1
//~ stderr two functions are named `price`:
//~ stderr duplicate_name::old::price
//~ stderr duplicate_name::new::price
//~ stderr hint: give one of them another `name`

mod old {
    #[cloud::remote(name = "price")]
    pub fn price(x: u64) -> u64 {
        x
    }
}

mod new {
    #[cloud::remote(name = "price")]
    pub fn price(x: u64) -> u64 {
        2 * x
    }
}

#[cloud::main]
fn main() -> cloud::Result<()> {
    cloud::map(old::price, 0..4).wait()?;
    cloud::map(new::price, 0..4).wait().map(drop)
}
