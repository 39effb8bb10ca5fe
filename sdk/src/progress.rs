//! The reporters that come with the crate: a bar for people, JSON lines for scripts, and hardly anything otherwise.

use std::{
    fmt,
    io::IsTerminal,
    sync::OnceLock,
    time::{Duration, Instant},
};

use indicatif::{HumanDuration, ProgressBar, ProgressDrawTarget, ProgressState, ProgressStyle};

use crate::{
    event::{Event, Reporter},
    settings::Progress,
    worker::{show_bar, write_to_screen},
};

/// A run shorter than this shows no bar.
const BAR_AFTER: Duration = Duration::from_millis(300);

/// The reporter for a setting.
pub(crate) fn reporter(progress: Progress) -> Box<dyn Reporter> {
    match progress {
        Progress::Auto if stderr_is_terminal() => Box::new(Bar::new(ProgressDrawTarget::stderr())),
        Progress::Auto | Progress::Off => Box::new(warnings_only),
        Progress::Bar => Box::new(Bar::new(ProgressDrawTarget::stderr())),
        Progress::Json => Box::new(json_line),
    }
}

/// Asked once: a system call for every `cloud::call` would be felt.
fn stderr_is_terminal() -> bool {
    static TERMINAL: OnceLock<bool> = OnceLock::new();
    *TERMINAL.get_or_init(|| std::io::stderr().is_terminal())
}

fn warnings_only(event: &Event<'_>) {
    if let Event::Warning { message } = event {
        write_to_screen(format!("cloud: warning: {message}\n").as_bytes());
    }
}

fn json_line(event: &Event<'_>) {
    // Serialising our own plain types cannot fail; a reporter must not fail a run in any case.
    if let Ok(mut line) = serde_json::to_vec(event) {
        line.push(b'\n');
        write_to_screen(&line);
    }
}

/// A bar with done/total, rate, time left and failures; a counter when the total is unknown.
struct Bar {
    target: Option<ProgressDrawTarget>,
    bar: Option<ProgressBar>,
    started: Instant,
    label: String,
}

impl Bar {
    fn new(target: ProgressDrawTarget) -> Bar {
        Bar { target: Some(target), bar: None, started: Instant::now(), label: String::new() }
    }

    fn progress(&mut self, done: usize, failed: usize, chunks: Option<usize>) {
        if self.bar.is_none() && self.started.elapsed() >= BAR_AFTER {
            self.bar = self.target.take().map(|target| self.draw(target, chunks));
            show_bar(self.bar.clone());
        }
        if let Some(bar) = &self.bar {
            bar.set_position(done as u64);
            if failed > 0 {
                bar.set_message(format!("{failed} failed"));
            }
        }
    }

    fn draw(&self, target: ProgressDrawTarget, chunks: Option<usize>) -> ProgressBar {
        let bar = ProgressBar::with_draw_target(chunks.map(|chunks| chunks as u64), target);
        let template = if chunks.is_some() {
            "{prefix} {wide_bar} {pos}/{len}, {rate}, {left} left {msg:.red}"
        } else {
            "{prefix} {spinner} {pos}, {rate}, {elapsed} {msg:.red}"
        };
        if let Ok(style) = ProgressStyle::with_template(template) {
            bar.set_style(style.with_key("rate", rate).with_key("left", left));
        }
        bar.set_prefix(self.label.clone());
        bar.with_elapsed(self.started.elapsed())
    }
}

/// Chunks a second since the start: steadier than the last few, which come in bursts.
fn per_second(state: &ProgressState) -> f64 {
    state.pos() as f64 / state.elapsed().as_secs_f64().max(1e-3)
}

fn rate(state: &ProgressState, text: &mut dyn fmt::Write) {
    let per_second = per_second(state);
    // Nobody can be told if a line of a bar cannot be made.
    let _ = if per_second < 100.0 {
        write!(text, "{per_second:.1}/s")
    } else {
        write!(text, "{per_second:.0}/s")
    };
}

fn left(state: &ProgressState, text: &mut dyn fmt::Write) {
    let chunks = state.len().unwrap_or(0).saturating_sub(state.pos());
    let seconds = chunks as f64 / per_second(state).max(1e-9);
    let left = Duration::try_from_secs_f64(seconds).unwrap_or(Duration::MAX);
    let _ = write!(text, "{:#}", HumanDuration(left));
}

impl Reporter for Bar {
    fn report(&mut self, event: &Event<'_>) {
        match event {
            Event::Started { label, .. } => {
                self.started = Instant::now();
                self.label = (*label).to_string();
            }
            Event::Progress { done, failed, chunks } => self.progress(*done, *failed, *chunks),
            Event::Warning { .. } => warnings_only(event),
            // To attach to, should this program be lost.
            Event::Submitted { run } => write_to_screen(format!("run {run}\n").as_bytes()),
            Event::ChunkFailed { .. } => {}
            Event::Finished { summary } => {
                if self.bar.is_some() {
                    self.progress(summary.chunks, summary.failed, Some(summary.chunks));
                }
            }
        }
    }
}

impl Drop for Bar {
    fn drop(&mut self) {
        if let Some(bar) = &self.bar {
            // The last state stays in the scroll-back.
            bar.abandon();
            show_bar(None);
            write_to_screen(b"\n");
        }
    }
}
