use std::{
    fs::File,
    io::{BufRead, BufReader},
    ops::Range,
    path::Path,
    process::{Command, Stdio},
};

use cloud_examples::{Chunk, Grid, MAXITER, SUM, WIDTH, calculate_z, colour};

use crate::program::{Ended, Program};

/// Bytes that go out for each point: 16, give or take what rounding does, and those of chunks that were sent
/// a second time because the first slot was still busy.
const SENT: Range<f64> = 15.5..32.0;

fn mandelbrot(arguments: &str) -> Program {
    Program::new(env!("CARGO_BIN_EXE_mandelbrot"), arguments)
}

/// Computed here, in one piece.
fn counts(width: u32, maxiter: u32) -> Vec<u32> {
    calculate_z(Chunk { points: Grid::new(width).points, maxiter })
}

fn pixels(path: &Path) -> (u32, u32, Vec<u8>) {
    let mut reader = png::Decoder::new(BufReader::new(File::open(path).unwrap())).read_info().unwrap();
    let mut pixels = vec![0; reader.output_buffer_size().unwrap()];
    let frame = reader.next_frame(&mut pixels).unwrap();
    assert_eq!((frame.color_type, frame.bit_depth), (png::ColorType::Rgb, png::BitDepth::Eight));
    pixels.truncate(frame.buffer_size());
    (frame.width, frame.height, pixels)
}

/// The words of the lines that begin with a number, after the one that begins with `from`.
fn rows<'a>(ended: &'a Ended, from: &str) -> Vec<Vec<&'a str>> {
    let lines = ended.lines();
    let start =
        lines.iter().position(|line| line.starts_with(from)).unwrap_or_else(|| panic!("{}", ended.stdout));
    let numbered = |line: &&&str| line.trim_start().starts_with(|first: char| first.is_ascii_digit());
    lines[start + 1..].iter().take_while(numbered).map(|line| line.split_whitespace().collect()).collect()
}

#[test]
fn json_gives_the_tutorials_sum_and_every_figure() {
    let ended = mandelbrot("--json --chunks 1,32 --slots 2").run();
    let rows = ended.objects();
    assert_eq!(rows.iter().map(|row| row["chunks"].as_u64().unwrap()).collect::<Vec<_>>(), [1, 33]);
    for row in &rows {
        let keys: Vec<_> = row.as_object().unwrap().keys().map(String::as_str).collect();
        assert_eq!(
            keys,
            ["bytes_in", "bytes_out", "chunks", "cpu_s", "slots", "sum", "utilisation", "wall_s"]
        );
        assert_eq!((row["sum"].as_u64(), row["slots"].as_u64()), (Some(SUM), Some(2)));
        let number = |key: &str| row[key].as_f64().unwrap();
        let points = f64::from(WIDTH / 2).powi(2);
        assert!(SENT.contains(&(number("bytes_in") / points)), "16 bytes a point go out: {row}");
        assert!((1.0..=5.0).contains(&(number("bytes_out") / points)), "one count a point comes back: {row}");
        // 51 million iterations take no machine less than this.
        assert!(number("wall_s") > 0.01 && number("cpu_s") > 0.02, "{row}");
        assert!(number("cpu_s") <= 2.0 * number("wall_s") + 0.1, "two slots have two cores at most: {row}");
        assert!(number("utilisation") > 0.0 && number("utilisation") <= 1.0, "{row}");
    }
    assert!(rows[0]["utilisation"].as_f64().unwrap() <= 0.5, "one chunk leaves a slot idle: {}", rows[0]);
    assert_eq!(ended.stderr, "");
}

#[test]
fn the_picture_shows_the_set() {
    let ended = mandelbrot("--json").run();
    ended.objects();
    let (width, height, pixels) = pixels(&ended.folder.path().join("mandelbrot.png"));
    assert_eq!((width, height), (500, 500));
    let pixel = |x: usize, y: usize| <[u8; 3]>::try_from(&pixels[3 * (500 * y + x)..][..3]).unwrap();
    let black = [0, 0, 0];
    assert_eq!(pixel(367, 250), black, "0 is in the set");
    assert_eq!(pixel(195, 250), black, "-1 is in the set");
    for (x, y) in [(0, 0), (0, 250), (499, 0), (499, 250), (0, 499), (499, 499)] {
        assert_ne!(pixel(x, y), black, "the edge at {x},{y} is not");
    }
    let expected: Vec<u8> = counts(WIDTH, MAXITER).iter().flat_map(|count| colour(*count, MAXITER)).collect();
    assert!(pixels == expected, "every pixel has its point's colour");
}

#[test]
fn other_sizes_have_their_own_sums_and_pictures() {
    for (width, maxiter) in [(60, 50), (7, 3), (1, 1000), (20, 0)] {
        let ended = mandelbrot(&format!("{width} {maxiter} --json --chunks 5 --png other.png")).run();
        let sum: u64 = counts(width, maxiter).iter().copied().map(u64::from).sum();
        assert_eq!(ended.objects()[0]["sum"].as_u64(), Some(sum), "{width} {maxiter}");
        let grid = Grid::new(width);
        let (columns, rows, _) = pixels(&ended.folder.path().join("other.png"));
        assert_eq!(columns as usize, grid.columns);
        assert_eq!((columns * rows) as usize, grid.points.len());
        assert!(!ended.folder.path().join("mandelbrot.png").exists());
    }
}

#[test]
fn the_report_answers_the_tutorials_questions() {
    let ended = mandelbrot("--slots 2").run();
    assert_eq!(ended.lines()[0], "250000 points, sum 51214485");
    assert!(ended.lines()[1].starts_with("33 chunks on 2 slots: "), "{}", ended.stdout);
    let slots = rows(&ended, "slot ");
    assert_eq!(slots.len(), 2, "{}", ended.stdout);
    assert_eq!(slots.iter().map(|slot| slot[1].parse::<u32>().unwrap()).sum::<u32>(), 33, "{}", ended.stdout);
    for words in ["one slot alone would have taken", "\nout     4.", "transfer (", "in turns, beforehand"] {
        assert!(ended.stdout.contains(words), "`{words}` is missing: {}", ended.stdout);
    }
    assert_eq!(ended.stderr, "wrote `mandelbrot.png`\n");
}

#[test]
fn several_numbers_of_chunks_make_a_table() {
    let ended = mandelbrot("300 1000 --chunks 1,2,4,8,16,32 --slots 2").run();
    let table = rows(&ended, "chunks ");
    let grid = Grid::new(300);
    let asked = [1, 2, 4, 8, 16, 32];
    let cut: Vec<_> = asked.iter().map(|asked| grid.chunks(*asked, 1000).count().to_string()).collect();
    assert_eq!(table.iter().map(|row| row[0]).collect::<Vec<_>>(), cut, "{}", ended.stdout);
    assert_eq!(ended.lines().len(), 1 + asked.len());
    for row in &table {
        let [chunks, wall, "s", utilisation, foreseen, _, "s", alone, "s", _, "s", out, "kB", back, "kB"] =
            row[..]
        else {
            panic!("{row:?}");
        };
        let number = |text: &str| text.trim_end_matches('%').parse::<f64>().unwrap();
        let sent = 1000.0 * number(out) * number(chunks);
        assert!(SENT.contains(&(sent / grid.points.len() as f64)), "16 bytes a point go out: {row:?}");
        assert!(number(back) < number(out) / 3.0, "{row:?}");
        let share = 100.0 * number(alone) / (2.0 * number(wall));
        assert!((number(utilisation) - share).abs() < 5.0 && number(foreseen) <= 100.0, "{row:?}");
    }
    assert_eq!(table[0][4], "50.0%", "one chunk leaves one of two slots idle: {}", ended.stdout);
}

#[test]
fn settings_come_from_the_environment_too() {
    let small = "100 100 --json";
    assert_eq!(mandelbrot(small).env("CLOUD_SLOTS", "3").run().objects()[0]["slots"].as_u64(), Some(3));
    let sum: u64 = counts(100, 100).iter().copied().map(u64::from).sum();
    let inline = &mandelbrot(small).env("CLOUD_BACKEND", "inline").run().objects()[0];
    assert_eq!((inline["slots"].as_u64(), inline["sum"].as_u64()), (Some(1), Some(sum)));
    let wrong = mandelbrot(small).env("CLOUD_SLOTS", "many").run();
    assert_eq!((wrong.code, wrong.stdout.as_str()), (Some(1), ""));
    assert!(
        wrong.stderr.starts_with("mandelbrot: `CLOUD_SLOTS` (environment) is `many`"),
        "{}",
        wrong.stderr
    );
}

#[test]
fn wrong_usage_ends_with_2_before_anything_runs() {
    for arguments in [
        "0",
        "x",
        "10 -1",
        "10 10 10",
        "--chunks 0",
        "--chunks 1,,2",
        "--slots 0",
        "--slots 1025",
        "--nonsense",
    ] {
        let ended = mandelbrot(arguments).run();
        assert_eq!((ended.code, ended.stdout.as_str()), (Some(2), ""), "{arguments}");
        assert!(ended.stderr.starts_with("error: "), "{arguments}: {}", ended.stderr);
        assert!(!ended.folder.path().join("mandelbrot.png").exists());
    }
}

#[test]
fn a_picture_that_cannot_be_written_is_named() {
    let ended = mandelbrot("20 20 --png missing/picture.png").run();
    assert_eq!(ended.code, Some(1));
    assert!(
        ended.stderr.starts_with("mandelbrot: `missing/picture.png` cannot be written: "),
        "{}",
        ended.stderr
    );
}

#[test]
fn a_reader_that_has_seen_enough_is_no_failure() {
    for arguments in ["20 20", "20 20 --json", "20 20 --chunks 1,2"] {
        mandelbrot(arguments).run_unread().assert_quiet();
    }
}

#[test]
fn a_reader_may_leave_after_the_first_line() {
    let folder = tempfile::tempdir().unwrap();
    let mut child = Command::new(env!("CARGO_BIN_EXE_mandelbrot"))
        .args(["--json", "--chunks", "1,2"])
        .current_dir(&folder)
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut first = String::new();
    BufReader::new(child.stdout.take().unwrap()).read_line(&mut first).unwrap();
    let row: serde_json::Value = serde_json::from_str(&first).unwrap();
    assert_eq!(row["chunks"].as_u64(), Some(1));
    let ended = child.wait_with_output().unwrap();
    assert_eq!((ended.status.code(), String::from_utf8_lossy(&ended.stderr).as_ref()), (Some(0), ""));
}
