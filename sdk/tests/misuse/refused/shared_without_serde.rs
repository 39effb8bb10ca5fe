//~ `Table` cannot be sent to another process
//~ for a type of your own: add `#[derive(serde::Serialize, serde::Deserialize)]`

struct Table(Vec<u64>);

fn look_up(table: &Table, x: usize) -> u64 {
    table.0[x]
}

#[cloud::main]
fn main() -> cloud::Result<()> {
    cloud::map_with(Table(vec![1, 2]), look_up, 0..2).wait().map(drop)
}
