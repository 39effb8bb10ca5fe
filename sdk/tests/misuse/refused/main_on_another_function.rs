//~ `#[cloud::main]` belongs on `fn main`

#[cloud::main]
fn start() {}

fn main() {
    start();
}
