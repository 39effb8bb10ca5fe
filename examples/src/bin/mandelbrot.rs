//! The Mandelbrot set of the EuroSciPy 2012 tutorial, cut into chunks that take unequal times.
//!
//! Prints what the tutorial asks of its audience, and draws the picture.

use std::{
    error::Error,
    io::{self, Write},
    num::NonZeroUsize,
    path::PathBuf,
    process::ExitCode,
    time::Duration,
};

use clap::Parser;
use cloud::names::MAX_SLOTS;
use cloud_examples::{
    Chunk, Ending, Grid, MAXITER, Measured, Table, WIDTH, Watch, calculate_z, check_sum, exit_code,
    print_line, print_report, write_png,
};

/// Computes and draws the Mandelbrot set, chunk by chunk, on all cores.
#[derive(Parser)]
struct Args {
    /// The tutorial's width: the picture is half as wide
    #[arg(default_value_t = WIDTH, value_parser = clap::value_parser!(u32).range(1..))]
    width: u32,
    /// The most iterations for a point
    #[arg(default_value_t = MAXITER)]
    maxiter: u32,
    /// Into how many chunks to cut; several numbers, as in 1,2,4,8,16,32, print a table
    #[arg(long, value_name = "N,..", value_delimiter = ',', default_value = "32")]
    chunks: Vec<NonZeroUsize>,
    /// How many slots to use [default: as many as there are cores]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=MAX_SLOTS as i64))]
    slots: Option<u16>,
    /// Where the picture goes
    #[arg(long, value_name = "PATH", default_value = "mandelbrot.png")]
    png: PathBuf,
    /// Print one JSON object for each number of chunks, and nothing else
    #[arg(long)]
    json: bool,
}

#[cloud::main]
async fn main() -> ExitCode {
    exit_code("mandelbrot", run(&Args::parse()).await)
}

async fn run(args: &Args) -> Ending {
    let grid = Grid::new(args.width);
    let mut out = io::stdout();
    let mut table = Table::default();
    let mut counts = Vec::new();
    for chunks in &args.chunks {
        let run = measure(calculate_z, &grid, chunks.get(), args).await?;
        check_sum(args.width, args.maxiter, run.sum())?;
        if args.json {
            print_line(&run.row())?;
        } else {
            let transfer = transfer(&grid, chunks.get(), args).await?;
            match args.chunks.len() {
                1 => print_report(&mut out, &run, transfer)?,
                _ => table.print_row(&mut out, &run, transfer)?,
            }
        }
        counts = run.counts;
    }
    write_png(&args.png, &counts, grid.columns, args.maxiter)?;
    if !args.json {
        writeln!(io::stderr(), "wrote `{}`", args.png.display())?;
    }
    Ok(())
}

/// Runs the map, and takes its outcomes one by one to see when each slot is done.
async fn measure(
    function: impl Fn(Chunk) -> Vec<u32> + Copy + 'static,
    grid: &Grid,
    chunks: usize,
    args: &Args,
) -> Result<Measured, Box<dyn Error>> {
    let watch = Watch::default();
    let mut map = cloud::map(function, grid.chunks(chunks, args.maxiter))
        .label("mandelbrot")
        .reporter(watch.reporter());
    if let Some(slots) = args.slots {
        map = map.slots(slots.into());
    }
    Measured::take(map.details(), &watch).await
}

/// How long the same chunks take there, and as many counts back, when nothing is computed.
async fn transfer(grid: &Grid, chunks: usize, args: &Args) -> Result<Duration, Box<dyn Error>> {
    let there_and_back = |chunk: Chunk| vec![chunk.maxiter; chunk.points.len()];
    Ok(measure(there_and_back, grid, chunks, args).await?.summary.elapsed)
}
