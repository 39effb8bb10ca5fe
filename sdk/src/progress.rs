//! The reporters that come with the crate: a bar for people, JSON lines for scripts, and hardly anything otherwise.

use std::{
    io::IsTerminal,
    sync::OnceLock,
    time::{Duration, Instant},
};

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

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
            "{prefix} {wide_bar} {pos}/{len} {per_sec} eta {eta} {msg:.red}"
        } else {
            "{prefix} {spinner} {pos} {per_sec} {elapsed} {msg:.red}"
        };
        if let Ok(style) = ProgressStyle::with_template(template) {
            bar.set_style(style);
        }
        bar.set_prefix(self.label.clone());
        bar.with_elapsed(self.started.elapsed())
    }
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
        }
    }
}
