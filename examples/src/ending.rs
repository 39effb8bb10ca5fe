//! How the programs end.

use std::{
    error::Error,
    io::{self, Write},
    process::ExitCode,
};

/// What a program's own `main` gives.
pub type Ending = Result<(), Box<dyn Error>>;

/// Success, or 1 after a line on stderr. A reader that has closed our stdout has seen enough: success too.
pub fn exit_code(program: &str, outcome: Ending) -> ExitCode {
    let Err(error) = outcome else { return ExitCode::SUCCESS };
    if error.downcast_ref::<io::Error>().is_some_and(|error| error.kind() == io::ErrorKind::BrokenPipe) {
        return ExitCode::SUCCESS;
    }
    // Nobody is left to tell if stderr is closed as well.
    let _ = writeln!(io::stderr(), "{program}: {error}");
    if let Some(hint) = error.downcast_ref::<cloud::Error>().and_then(cloud::Error::hint) {
        let _ = writeln!(io::stderr(), "hint: {hint}");
    }
    ExitCode::FAILURE
}
