//~ `main` takes no arguments

#[cloud::main]
fn main(arguments: Vec<String>) {
    println!("{arguments:?}");
}
