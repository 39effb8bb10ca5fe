//! The host process: start, listening, answers.

use std::{
    fs::File,
    io,
    os::unix::net::{UnixListener, UnixStream},
    path::Path,
    sync::Arc,
    thread,
    time::Duration,
};

use rustix::process::setsid;

use super::{
    folder::Folder,
    hub::{Hub, State, complain},
    talk::{GREETING, Program, Request, Submit, be_patient, hear_request, say, say_bytes},
    worker::Launch,
};
use crate::compute::{ComputeError, ComputeErrorKind, Result};

/// The whole life of a host process; it never gets to the user's `main`.
#[expect(clippy::exit, reason = "the host's process must not run the user's `main`")]
pub(crate) fn serve_batch(folder: &Path) -> ! {
    complain(serve(folder));
    std::process::exit(0);
}

fn serve(path: &Path) -> io::Result<()> {
    // Out of the starter's session: neither its terminal nor its Ctrl-C concern a host. A leader of one stays in it.
    let _ = setsid();
    let folder = Folder::new(path)?;
    let Some(lock) = folder.lock()? else { return Ok(()) };
    let hub = Arc::new(Hub::open(folder.clone())?);
    let listener = folder.listen(&lock)?;
    let accepting = Arc::clone(&hub);
    thread::Builder::new().name("accept".into()).spawn(move || accept(&accepting, &listener))?;
    // The starter waits until this end is closed.
    rustix::stdio::dup2_stdout(File::options().write(true).open("/dev/null")?)?;
    hub.drive(&lock);
    if lock.holds() { folder.unlink_socket() } else { Ok(()) }
}

fn accept(hub: &Arc<Hub>, listener: &UnixListener) {
    loop {
        let answering = Arc::clone(hub);
        let accepted = listener.accept().and_then(|(stream, _)| {
            thread::Builder::new().name("answer".into()).spawn(move || complain(answer(&answering, &stream)))
        });
        if accepted.is_err() {
            // Out of descriptors or threads: there will be some again.
            thread::sleep(Duration::from_millis(10));
        }
    }
}

fn answer(hub: &Hub, stream: &UnixStream) -> io::Result<()> {
    be_patient(stream)?;
    let Some(_call) = hub.enter() else { return Ok(()) };
    say_bytes(stream, GREETING)?;
    let request = hear_request(stream)?;
    let name = request.name();
    match request {
        Request::Submit(asked) => {
            let Submit { spec, rules, program } = *asked;
            // Not under the lock: a file can be slow.
            let submitted = open(program)
                .and_then(|launch| act(hub, name, |state| state.submit(hub.now(), &spec, rules, launch)));
            say(stream, &submitted)
        }
        Request::Find { name: of } => say(stream, &act(hub, name, |state| state.batch.find(hub.now(), &of))),
        Request::Describe { jobs } => {
            say(stream, &act(hub, name, |state| state.batch.describe(hub.now(), &jobs)))
        }
        Request::Children { job, state: of } => {
            say(stream, &act(hub, name, |state| state.batch.children(hub.now(), &job, of)))
        }
        Request::Terminate { jobs, reason } => {
            say(stream, &act(hub, name, |state| state.batch.terminate(hub.now(), &jobs, &reason)))
        }
    }
}

fn open(program: Program) -> Result<Launch> {
    Launch::open(program).map_err(|error| ComputeError {
        kind: ComputeErrorKind::Refused,
        call: "SubmitJob".to_string(),
        reason: format!("the program cannot be opened: {error}"),
    })
}

/// Does what was asked. What is answered is on disk, or the answer says that nobody knows.
fn act<T>(hub: &Hub, call: &str, act: impl FnOnce(&mut State) -> Result<T>) -> Result<T> {
    let mut state = hub.lock();
    let result = act(&mut state);
    let noted = state.note_changes();
    drop(state);
    hub.wake();
    let unknown = |error: io::Error| ComputeError {
        kind: ComputeErrorKind::Unknown,
        call: call.to_string(),
        reason: format!("it could not be written down: {error}"),
    };
    result.and_then(|value| noted.map(|()| value).map_err(unknown))
}
