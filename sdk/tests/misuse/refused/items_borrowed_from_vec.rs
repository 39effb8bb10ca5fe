//~ `&Vec<f64>` cannot be sent to another process
//~ for items borrowed from a slice or vector (`&vec`, `vec.iter()`): pass them by value

fn total(row: &Vec<f64>) -> f64 {
    row.iter().sum()
}

#[cloud::main]
fn main() -> cloud::Result<()> {
    let rows = vec![vec![1.0, 2.0], vec![3.0]];
    cloud::map(total, &rows).wait().map(drop)
}
