//~ unknown option, expected `slot = function`

fn setup() {}

#[cloud::main(setup = setup)]
fn main() {
    setup();
}
